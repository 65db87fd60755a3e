"""The text of a module: the same in every process, free of names, and accepted for every target."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Const, Expr, Op, Scalar, Size, const
from polysched.compute.operations import apply
from polysched.lower.ir import Allocate, Block, Buffer, Check, Comment, For, If, Let, Load, Ramp, Stmt, Store, Var

FLOAT = DTYPES["float32"]
CRAFTED = 'x" }\n!0 = !{}\ndefine void @kernel() { ret void }\n; %v1 @a0 \\00'


def everything(lab: Any, name: str) -> Any:
    """A program with every statement, whose names are all `name`; emitted."""
    n, alpha = Size(name), Scalar(name, FLOAT, 0)
    x, y = lab.array(name, "float32", n, strides="any"), lab.array(name, "float32", n, output=True)
    i, j, t = Var(name), Var(name), Var(name, FLOAT)
    heap, cell = Buffer(name, FLOAT, (n, n), "heap"), Buffer(name, FLOAT, (const(8),), "register")
    vector: Expr = Ramp(apply("mul", i, 8), 8)
    fill = Store(cell, (Ramp(const(0), 8),), apply("exp", Load(x[1], (vector,), apply("lt", vector, n))))
    write = Store(y[1], (vector,), apply("mul", Load(cell, (Ramp(const(0), 8),)), alpha), apply("lt", vector, n))
    inner = Block((Comment(name), Check(0, i, const(0), n), fill, write))
    body: list[Stmt] = [
        For(i, const(0), n, Allocate(heap, Allocate(cell, inner)), "parallel"),
        For(j, const(0), n, Let(t, alpha, If(apply("lt", t, Const(1.0, FLOAT)), Store(y[1], (j,), t))), "unroll"),
    ]
    return lab.emit(body, (x, y), (n,), ((name, FLOAT),), lab.AVX512)


def test_names_do_not_enter_the_text(lab: Any) -> None:
    assert everything(lab, CRAFTED).text == everything(lab, "plain").text
    lab.optimised(everything(lab, CRAFTED).text, lab.AVX512)


def test_the_text_is_the_same_in_every_process(lab: Any, tmp_path: Any) -> None:
    script = tmp_path / "digest.py"
    script.write_text(
        "import sys, hashlib; sys.path[:0] = sys.argv[1:]\nimport conftest, test_text\n"
        "print(hashlib.sha256(test_text.everything(conftest, 'name').text.encode()).hexdigest())\n"
    )
    digests = {hashlib.sha256(everything(lab, "name").text.encode()).hexdigest()}
    for seed in ("0", "4711"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, str(script), os.path.dirname(__file__)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        digests.add(result.stdout.strip())
    assert len(digests) == 1


@pytest.mark.parametrize("machine", ["AVX512", "AVX2", "BASELINE", "AARCH64"])
def test_every_target_takes_it(lab: Any, machine: str) -> None:
    target = getattr(lab, machine)
    n = Size("n")
    x, out = lab.array("x", "float32", n), lab.array("out", "float32", n, output=True)
    lanes = lab.ramp(0, 16)
    value = apply("add", apply("max", Load(x[1], (lanes,)), Const(0.0, FLOAT)), Load(x[1], (apply("mul", lanes, n),)))
    text = lab.assembly(lab.emit(Store(out[1], (lanes,), value), (x, out), (n,), machine=target).text, target)
    assert {"AVX512": "zmm", "AVX2": "ymm", "BASELINE": "xmm", "AARCH64": "fmax"}[machine] in text


def test_the_schedule_is_all_there_is(lab: Any) -> None:
    """LLVM neither vectorises nor unrolls a loop of its own accord."""
    n = Size("n")
    x, out = lab.array("x", "float32", n), lab.array("out", "float32", n, output=True)
    i = Var("i")
    body = For(i, const(0), n, Store(out[1], (i,), apply("mul", Load(x[1], (i,)), Const(3.0, FLOAT))))
    emitted = lab.emit(body, (x, out), (n,), machine=lab.AVX512)
    tm = lab.target_machine(lab.AVX512)
    module = lab.llvm.parse_assembly(emitted.text)
    passes = lab.llvm.create_pass_builder(tm, lab.llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    assert str(module).count("fmul float") == 1
    assert "fmul <" not in str(module)


def test_what_is_no_loop_ir_is_refused(lab: Any) -> None:
    out = lab.array("out", "float32", 4, output=True)
    i = Var("i")
    store = Store(out[1], (i,), Const(1.0, FLOAT))
    with pytest.raises(AssertionError, match="vector loops"):
        lab.emit(For(i, const(0), const(4), store, "vectorize"), (out,))
    with pytest.raises(AssertionError, match="i is not bound"):
        lab.emit(store, (out,))
    checked = Op("checked", (const(1), const(0), const(4)), DTYPES["int64"])
    with pytest.raises(AssertionError, match="checked is not defined"):
        lab.emit(Store(out[1], (checked,), Const(1.0, FLOAT)), (out,))
