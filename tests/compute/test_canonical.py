"""The canonical text: equal for equal definitions, in every process, and different for different ones."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

import polysched as ps
from polysched.compute.canonical import canonical_text
from polysched.compute.expr import Cast, Const, Expr
from polysched.compute.tensor import Equation, Tensor


def matmul(**change: object):
    """A definition, with one thing changed."""
    n = ps.size_var(change.get("size", "n"), min=change.get("min", 0), multiple_of=change.get("multiple_of", 1))
    A = ps.placeholder((n, 8), change.get("dtype", "float32"), name="A", strides=change.get("strides", "row-major"))
    B = ps.placeholder((8, n), change.get("dtype", "float32"), name=change.get("name", "B"))
    alpha = ps.scalar("alpha", change.get("scalar", "float32"))
    r = ps.reduce_axis((0, change.get("upper", 8)), name=change.get("axis", "r"))
    body = change.get("body", lambda a, b: a * b)
    total = ps.compute(
        (n, n),
        lambda i, j: ps.sum(body(A[i, r], B[r, j]), axis=r, reassociate=change.get("free", False)),
        name=change.get("stage", "C"),
    )
    factor = change.get("factor", 2.0)
    D = ps.compute((n, n), lambda i, j: total[i, j] * alpha + factor, name="D")
    return D, (A, B, alpha)


def text(**change: object) -> str:
    D, arguments = matmul(**change)
    if change.get("swapped"):
        arguments = (arguments[1], arguments[0], arguments[2])
    outputs = (D,) if not change.get("both") else (D, D.equations[0].body.operands[0].operands[0].tensor)
    return canonical_text(outputs, arguments)


def test_equal_definitions_have_one_text() -> None:
    first = text()
    for _ in range(3):
        ps.placeholder((1,), name="unrelated")
        assert text() == first


CHANGES = {
    "size": "m",
    "min": 1,
    "multiple_of": 4,
    "dtype": "float64",
    "strides": "any",
    "name": "X",
    "scalar": "float64",
    "upper": 7,
    "axis": "k",
    "body": lambda a, b: b * a,
    "free": True,
    "stage": "P",
    "factor": 2.5,
    "swapped": True,
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_different_has_another_text(what: str) -> None:
    assert text(**{what: CHANGES[what]}) != text()


def one(value: Expr) -> str:
    """The text of a definition whose body is the expression."""
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float64", name="A")
    return canonical_text((ps.compute((n,), lambda i: A[i] + value, name="B"),), (A,))


def test_constants_are_told_apart_by_their_bits() -> None:
    values = [0.0, -0.0, 1.0, 1.0 + 2**-52, float("inf"), float("-inf"), float("nan"), 5e-324]
    texts = {one(Const(value, ps.scalar("x", "float64").dtype)) for value in values}
    assert len(texts) == len(values)


def test_sharing_makes_no_difference() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "float32", name="A")

    def shared(i: Expr) -> Expr:
        x = A[i] * 3
        return x + x

    texts = [canonical_text((ps.compute((n,), shared, name="B"),), (A,))]
    texts.append(canonical_text((ps.compute((n,), lambda i: A[i] * 3 + A[i] * 3, name="B"),), (A,)))
    assert texts[0] == texts[1]


def test_axes_of_one_name_are_not_mixed_up() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n, n), "float32", name="A")
    r, s = ps.reduce_axis((0, n), name="r"), ps.reduce_axis((0, n), name="s")

    def total(first: Expr, second: Expr) -> str:
        return canonical_text((ps.compute((1,), lambda i: ps.sum(A[first, second], axis=(r, s)), name="B"),), (A,))

    assert total(r, s) != total(s, r)


def test_the_order_of_creation_counts() -> None:
    def two(first: str) -> str:
        A = ps.placeholder((4,), name="A")
        stages = {}
        for name in (first, "Q" if first == "P" else "P"):
            stages[name] = ps.compute((4,), lambda i: A[i] + 1, name=name)
        return canonical_text((stages["P"], stages["Q"]), (A,))

    assert two("P") != two("Q")


def test_lines_of_the_program_count_only_for_checks() -> None:
    n, A = ps.size_var("n"), ps.placeholder((8,), name="A")
    index = ps.placeholder((n,), "int64", name="I")

    def plain() -> str:
        return canonical_text((ps.compute((n,), lambda i: A[ps.clamp(index[i], 0, 7)], name="B"),), (A, index))

    def checked() -> Tensor:
        return ps.compute((n,), lambda i: A[ps.checked(index[i])], name="B")

    assert plain() == plain()
    here = checked()
    function = compile(
        "\n" * 70 + "B = ps.compute((n,), lambda i: A[ps.checked(index[i])], name='B')", "elsewhere", "exec"
    )
    scope = {"ps": ps, "n": n, "A": A, "index": index}
    exec(function, scope)
    assert canonical_text((here,), (A, index)) != canonical_text((scope["B"],), (A, index))


def test_what_is_not_known_is_refused() -> None:
    @dataclass(frozen=True)
    class Odd(Expr):
        what: object
        dtype: object = ps.scalar("x").dtype

    A = ps.placeholder((4,), name="A")
    plain = ps.compute((4,), lambda i: A[i] + 1, name="B")
    equation = plain.equations[0]
    odd = Cast(Odd(object()), A.dtype)
    with pytest.raises(TypeError, match="object <object"):
        canonical_text(
            (Tensor("B", plain.shape, plain.dtype, 10**6, (Equation(equation.axes, equation.indices, odd),)),), (A,)
        )


def test_long_chains_of_stages_are_no_recursion() -> None:
    stage = first = ps.placeholder((4,), name="A")
    for k in range(600):
        stage = ps.compute((4,), lambda i, s=stage: s[i] + 1, name=f"S{k}")
    assert canonical_text((stage,), (first,)).count("Tensor") == 601


def test_deep_expressions_are_no_recursion() -> None:
    A = ps.placeholder((4,), name="A")

    def nested(i: Expr) -> Expr:
        value = A[i]
        for _ in range(240):
            value = ps.sqrt(value)
        return value

    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else canonical_text((ps.compute((4,), nested, name="B"),), (A,))

    assert deeper(20).count('"sqrt"') == 240


def test_every_process_writes_the_same() -> None:
    script = "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import test_canonical as t; print(repr(t.text()))"
    texts = {
        subprocess.check_output(
            [sys.executable, "-c", script, os.path.dirname(__file__)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            text=True,
            timeout=120,
        )
        for seed in ("0", "1")
    }
    assert texts == {repr(text()) + "\n"}
