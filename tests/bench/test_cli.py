"""The command line, as scripts use it: what it prints, what it writes, its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polysched.target.bench.cli import main
from polysched.target.bench.json_format import read_json
from polysched.target.bench.options import assignments, combinations, values

FAST = ["--time", "0.01", "--no-peaks", "--quiet"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    """What a command prints to standard output, or to standard error where it fails."""
    found = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert found == status, err
    return out if status < 2 else err


def test_bench_writes_all_files(workload_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "html")}
    wanted = [argument for kind, file in files.items() for argument in (f"--{kind}", file)]
    printed = run(
        capsys, "--plain", "bench", workload_file, "--schedule", "default,tiled", "--param", "mr=2..4:2", *FAST,
        "--size", "n=m=6,7,k=18", "--peer", "numpy", *wanted,
    )  # fmt: skip
    assert "product: n=6, m=6, k=18 (warm caches)" in printed and "product: n=7, m=7, k=18 (warm caches)" in printed
    assert printed.count("tiled(mr=2)") >= 2 and printed.count("same bits") == 4
    recorded = read_json(files["json"])
    assert "tiled(mr=4)/n:7/m:7/k:18/threads:1/warm" in recorded.benchmarks
    assert recorded.context["versions"]["llvm"] and recorded.context["schedules"]["tiled(mr=4)"]["text"]
    assert recorded.context["definition"] == ["C: float32[n, m]", "    C[i, j] = sum(A[i, r] * B[r, j], axis=r)"]
    assert len(files["csv"].read_text().splitlines()) == 9
    assert "loop nest" in files["html"].read_text()


def test_a_result_can_be_produced_again_from_its_file(
    workload_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "bench", workload_file, "--schedule", "tiled", *FAST, "--json", tmp_path / "a.json")
    text = read_json(tmp_path / "a.json").context["schedules"]["tiled"]["text"]
    (workload_file.parent / "again.sched").write_text(text)
    shown = run(capsys, "show", f"{workload_file}:{workload_file.parent / 'again.sched'}")
    assert shown == run(capsys, "show", f"{workload_file}:tiled")


def test_bench_says_what_is_wrong(
    workload_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = run(capsys, "bench", workload_file, "--schedule", "tiled", "--peer", "wrong", *FAST, status=1)
    assert "WRONG" in printed
    run(capsys, "bench", workload_file, "--schedule", "illegal", *FAST, status=1)
    other = workload_file.parent / "other.saved.sched"
    assert "same bits" in run(capsys, "bench", workload_file, "--schedule", other, *FAST)
    assert "no schedule 'x'" in run(capsys, "bench", workload_file, "--schedule", "x", *FAST, status=2)
    assert "no such directory" in run(capsys, "bench", workload_file, *FAST, "--json", "/no/such/x.json", status=2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "need matplotlib" in run(capsys, "bench", workload_file, *FAST, "--plot", "x.png", status=2)
    monkeypatch.undo()
    assert "no workload file" in run(capsys, "bench", "absent.py", status=2)


@pytest.mark.parametrize(
    "option", ["--size=n", "--size=n=x", "--threads=0", "--time=-1", "--param=mr=8..4", "--cache=x"]
)
def test_options_are_checked(workload_file: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["bench", str(workload_file), option, *FAST])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("nest", "unrolled for i_i"),
        ("isl", "schedule"),
        ("loops", "fma("),
        ("llvm", "define"),
        ("asm", ".text"),
        ("explain", "bound by"),
    ],
)
def test_show(workload_file: Path, stage: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in run(capsys, "show", f"{workload_file}:tiled", "--stage", stage)


def test_show_for_other_targets_and_parameters(workload_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"{workload_file}:tiled"
    assert "fmla" in run(capsys, "show", name, "--stage", "asm", "--target", "aarch64")
    assert "for i_i in 0..7" in run(capsys, "show", name, "--param", "mr=7")
    assert "one value" in run(capsys, "show", name, "--param", "mr=7,8", status=2)
    assert "no target 'toaster'" in run(capsys, "show", name, "--stage", "asm", "--target", "toaster", status=2)
    assert "no source 'x'" in run(capsys, "show", name, "--stage", "x", status=2)


def test_show_side_by_side(workload_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "show", f"{workload_file}:tiled", "--diff", "default", "--param", "mr=2")
    lines = printed.splitlines()
    assert lines[0].split() == [f"{workload_file}:tiled", "default"]
    assert lines[1].count("C: float32[n, m], sum in order") == 2
    assert any(" | " in line for line in lines) and any(line.endswith("<") for line in lines)


def test_check(workload_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "check", f"{workload_file}:tiled")
    assert printed.endswith("product.py:tiled: legal, 4 commands, proven for all n, m, k\n")
    refused = run(capsys, "check", f"{workload_file}:illegal", status=1)
    assert "illegal: illegal" in refused
    assert re.search(
        r"must come first: +C\[i=0, j=0, r=0\]\n +must come after: +C\[i=0, j=0, r=1\]\n +sizes: +n=1", refused
    )
    assert "refused" in run(capsys, "check", f"{workload_file}:tiled", "--param", "mr=0", status=1)
    assert "no schedule" in run(capsys, "check", f"{workload_file}:tild", status=2)
    assert "cannot be read" in run(capsys, "check", f"{workload_file}:absent.sched", status=2)
    assert "no parameter" in run(capsys, "check", f"{workload_file}:tiled", "--param", "x=1", status=2)
    bad = workload_file.parent / "product.bad.sched"
    bad.write_text('# polysched schedule, version 1\nC.split("q", 2, outer="a", inner="b")\n')
    assert "refused" in run(capsys, "check", f"{workload_file}:bad", status=1)
    assert "C.tile(" in run(capsys, "check", f"{workload_file}:tiled", "--text")


def test_compare(workload_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        capsys,
        "bench",
        workload_file,
        "--schedule",
        "default",
        "--time",
        "0.05",
        *FAST[2:],
        "--json",
        tmp_path / "a.json",
    )
    document = json.loads((tmp_path / "a.json").read_text())
    assert "0 of 1 have become slower" in run(capsys, "compare", tmp_path / "a.json", tmp_path / "a.json")
    for entry in document["benchmarks"]:
        entry["real_time"] *= 100
    (tmp_path / "b.json").write_text(json.dumps(document))
    printed = run(capsys, "compare", tmp_path / "a.json", tmp_path / "b.json", status=1)
    assert "slower" in printed and "100.000" in printed
    assert "faster" in run(capsys, "compare", tmp_path / "b.json", tmp_path / "a.json")
    (tmp_path / "c.json").write_text('{"benchmarks": []}')
    assert "no benchmark in common" in run(capsys, "compare", tmp_path / "a.json", tmp_path / "c.json", status=2)
    assert "no JSON" in run(capsys, "compare", workload_file, tmp_path / "c.json", status=2)


def test_export(workload_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out = f"{workload_file}:tiled", tmp_path / "out"
    printed = run(capsys, "export", name, "-o", out, "--name", "product", "--param", "mr=2")
    files = {file.name for file in out.iterdir()}
    assert {"product.h", "product.o", "product.json", "product.ll", "product.s", "product.sched"} <= files
    assert "product.h" in printed and '"j", 2, 8' in (out / "product.sched").read_text()
    other = tmp_path / "arm"
    run(capsys, "export", name, "-o", other, "--target", "aarch64", "--product", "header,object")
    assert (other / "C.o").read_bytes()[18:20] == b"\xb7\x00"  # e_machine of ELF: AArch64
    assert "no product 'x'" in run(capsys, "export", name, "-o", out, "--product", "x", status=2)
    assert "cannot be written" in run(capsys, "export", name, "-o", workload_file, status=2)


def test_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polysched.target.bench.commands.LEVELS", ("L1",))
    printed = run(capsys, "machine", "--threads", "1", "--time", "0.001", "--json", tmp_path / "m.json")
    for words in ("processor:", "counters:", "vectors:", "llvm 2", "float32 peak", "GFLOP/s", "L1 bandwidth", "GB/s"):
        assert words in printed
    assert json.loads((tmp_path / "m.json").read_text())["peaks"][0]["threads"] == 1


def test_errors_name_lines_of_the_workload_and_not_of_the_script(workload_file: Path, tmp_path: Path) -> None:
    script = tmp_path / "polysched"
    script.write_text("import sys\nfrom polysched.target.bench.cli import main\nsys.exit(main())\n")
    ask = [sys.executable, str(script), "check"]
    missing = subprocess.run([*ask, "absent.py"], capture_output=True, text=True, check=False)
    assert missing.returncode == 2 and missing.stderr == "polysched: there is no workload file absent.py\n"
    illegal = subprocess.run([*ask, f"{workload_file}:illegal"], capture_output=True, text=True, check=False)
    assert illegal.returncode == 1 and "(product.py:29)" in illegal.stdout


SCALE = """import polysched as ps

@ps.Workload
def scale(n=100):
    A = ps.placeholder((n,), "float32", name="A")
    return ps.compute((n,), lambda i: 2 * A[i], name="B")
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("import polysched_has_no_such\n", "ModuleNotFoundError: No module named 'polysched_has_no_such' (scale.py:7)"),
        ("def f(:\n", "SyntaxError: invalid syntax (scale.py:7)"),
        ("\0", "scale.py is no Python file, which a workload is: source code string cannot contain null bytes"),
        ("@scale.schedule\ndef x(s):\n    s.nothing()\n", "has no attribute 'nothing' (scale.py:9, in x)"),
        ("@scale.schedule\ndef x(s):\n    s['B'].split('j', 4)\n", "B has no loop 'j'; its loops are i (scale.py:9)"),
        ("@scale.inputs\ndef x(rng, n):\n    return {}[n]\n", "KeyError: 100 (scale.py:9, in x)"),
        ("@scale.reference\ndef x(A):\n    return A @ A[:3]\n", "(scale.py:9, in x)"),
        ("scale.define = lambda n: 3\n", "returns the output, or a tuple of outputs, that ps.compute has defined"),
        ("del scale\n", "a workload file makes one ps.Workload, and scale.py makes none"),
    ],
)
def test_faults_of_the_workloads_own_code(
    tmp_path: Path, more: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scale.py"
    file.write_text(SCALE + more, encoding="utf-8")
    command = ("show", f"{file}:x") if "schedule" in more else ("bench", file, *FAST)
    said = run(capsys, *command, status=2)
    assert said.startswith("polysched: ") and words in said and "Traceback" not in said
    if "nothing" in more:
        with pytest.raises(AttributeError):
            main([str(argument) for argument in (*command, "--traceback")])


def test_faults_of_polysched_are_not_hidden(workload_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polysched.target.bench.workload._accepted", [].index)
    with pytest.raises(TypeError):
        main(["bench", str(workload_file), *FAST])


def test_what_cannot_be_written_is_said_before_anything_is_measured(
    workload_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("polysched.target.bench.commands.run_bench", lambda *_, **__: pytest.fail("measured"))
    assert "is a directory" in run(capsys, "bench", workload_file, "--html", tmp_path, status=2)
    assert "is a directory" in run(capsys, "bench", tmp_path, status=2)
    pytest.importorskip("matplotlib")
    said = run(capsys, "bench", workload_file, "--plot", tmp_path / "a.foo", status=2)
    assert "its ending is 'foo', and accepted are" in said and "png" in said
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "no permission" in run(capsys, "bench", workload_file, "--csv", tmp_path / "a.csv", status=2)
    taken = tmp_path / "taken"
    taken.write_text("")
    assert "takes a directory" in run(capsys, "export", f"{workload_file}:tiled", "-o", taken, status=2)


def test_sizes_beyond_memory(workload_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "bench", workload_file, "--size", "n=m=k=4000000000", *FAST, status=2)
    assert said == "polysched: there is not enough memory: A has the shape (4000000000, 4000000000)\n"


def test_options_of_all_commands_may_stand_behind_the_command(
    workload_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run(capsys, "show", f"{workload_file}:tiled", "--plain", "--stage", "nest")
    assert printed == run(capsys, "--plain", "show", f"{workload_file}:tiled")
    assert "did you mean loops?" in run(capsys, "show", f"{workload_file}:tiled", "--stage", "lops", status=2)


def test_module_and_help() -> None:
    environment = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "polysched", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    for command in ("bench", "show", "check", "export", "machine", "compare"):
        assert command in done.stdout


def test_values_of_options() -> None:
    assert values("1..3,8,0.5,x,true") == [1, 2, 3, 8, 0.5, "x", True]
    assert combinations(assignments("n=1,2,k=3,4")) == [
        {"n": 1, "k": 3}, {"n": 1, "k": 4}, {"n": 2, "k": 3}, {"n": 2, "k": 4},
    ]  # fmt: skip
