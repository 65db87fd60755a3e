"""What `load` opens is the kernel that was exported; what it refuses, it refuses with the reason."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.errors import ArgumentError, BoundsError, PolyschedError, TargetError
from polysched.target.description import Description
from polysched.target.export.record import _digest
from polysched.target.machine import Target

from ..kernel_cases import CASES, gather, matmul, results

PRODUCTS = ("schedule", "llvm", "assembly")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """Each case's kernel, and where it was exported."""
    place = tmp_path_factory.mktemp("loaded")
    made = {}
    for name, case in CASES.items():
        kernel = ps.build(case()[0], name=name)
        made[name] = kernel, kernel.export(place / name, products=PRODUCTS).directory
    return made


@pytest.fixture
def directory(originals: dict[str, tuple[Any, Path]], tmp_path: Path) -> Path:
    """A copy of the exported product."""
    return Path(shutil.copytree(originals["matmul"][1], tmp_path / "copy"))


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_same_kernel(name: str, originals: dict[str, tuple[Any, Path]]) -> None:
    original, place = originals[name]
    arguments = CASES[name]()[1]
    loaded = ps.load(place)
    for _ in range(3):
        assert results(loaded, arguments) == results(original, arguments)
    assert (loaded.name, loaded.warnings, loaded.rounding) == (name, original.warnings, original.rounding)
    assert repr(loaded) == repr(original)
    assert (loaded._fast is None) == (original._fast is None)
    assert loaded._decides_threads == original._decides_threads
    assert Description(loaded.signature, (), "").as_json() == Description(original.signature, (), "").as_json()
    assert loaded.source("schedule") == original.source("schedule")
    assert f"{name}_kernel" in loaded.source("llvm")
    assert f"{name}:" in loaded.source("asm")
    with pytest.raises(ArgumentError, match="there are schedule, llvm, asm"):
        loaded.source("loops")
    assert str(loaded.benchmark(*arguments, min_time=0.001))


def refusal(kernel: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(PolyschedError) as error:
        kernel(*arguments, **named)
    return f"{type(error.value).__name__}: {error.value.reason}"


def test_it_checks_its_arguments_as_the_original_did(originals: dict[str, tuple[Any, Path]]) -> None:
    kernels = {name: (kernel, ps.load(place)) for name, (kernel, place) in originals.items()}
    a, b = matmul()[1]
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("matmul", (), {}),
        ("matmul", (a,), {}),
        ("matmul", (a, b, a), {}),
        ("matmul", (a.astype("float64"), b), {}),
        ("matmul", (a[:, :5], b[:5]), {}),
        ("matmul", (np.asfortranarray(a), b), {}),
        ("matmul", (a, b[:4]), {}),
        ("matmul", (a, b[:, :0]), {}),
        ("matmul", (a, b), {"out": np.zeros((7, 6), np.float32)}),
        ("matmul", (a, b), {"n": 8}),
        ("matmul", (a, b), {"x": 8}),
        ("matmul", (a, "b"), {}),
        ("pipeline", (1e400, np.zeros(13), np.zeros(11)), {}),
        ("pipeline", ("x", np.zeros(13), np.zeros(11)), {}),
        ("pipeline", (0.5, np.zeros(3), np.zeros(1)), {}),
        ("gather", (np.zeros(9, np.int32), np.array([9])), {}),
        ("halves", (np.ones((4, 3), np.float16), 1e6, True), {}),
        ("halves", (np.ones((4, 3), np.float16), 1, 2), {}),
    ]
    for name, arguments, named in calls:
        original, loaded = kernels[name]
        if name == "pipeline" and arguments[0] == 1e400:
            continue
        assert refusal(loaded, *arguments, **named) == refusal(original, *arguments, **named)
    c = np.zeros((7, 7), np.float32)
    overlapping = {"out": c[:, :5]}
    assert refusal(kernels["matmul"][1], a, b, **overlapping) == refusal(kernels["matmul"][0], a, b, **overlapping)


def test_the_definition_is_not_needed(originals: dict[str, tuple[Any, Path]]) -> None:
    script = """
import sys
import numpy as np
import polysched as ps
kernel = ps.load(sys.argv[1])
print(kernel(np.arange(9, dtype=np.int32), np.array([3, 8])))
try:
    kernel(np.arange(9, dtype=np.int32), np.array([3, 9]))
except ps.BoundsError as error:
    print(error.reason)
"""
    command = [sys.executable, "-c", script, str(originals["gather"][1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    first, second = done.stdout.splitlines()
    assert first == "[1 4]"
    assert second.startswith("gather read the index 9 from its data, but dimension 0 of A has no such element, at k")


def test_which_of_several(originals: dict[str, tuple[Any, Path]], directory: Path) -> None:
    for file in originals["gather"][1].iterdir():
        shutil.copy(file, directory)
    assert ps.load(directory, "gather").name == "gather"
    assert ps.load(str(directory), "matmul").name == "matmul"
    with pytest.raises(TargetError, match="several, of which name= chooses one: gather, matmul"):
        ps.load(directory)
    with pytest.raises(TargetError, match="No such file"):
        ps.load(directory, "other")


def test_threads(originals: dict[str, tuple[Any, Path]]) -> None:
    assert ps.load(originals["matmul"][1], threads=3).threads == 3


def refused(place: Path, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        ps.load(place)


def test_what_is_not_there(directory: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "there is none|cannot be read")
    (directory / "matmul.o").unlink()
    refused(directory, "matmul.o cannot be loaded: No such file")
    (directory / "matmul.json").unlink()
    refused(directory, "there is none")


@pytest.mark.parametrize("name", ["matmul.json", "matmul.o"])
def test_links_and_strange_files(name: str, directory: Path, tmp_path: Path) -> None:
    file = directory / name
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    refused(directory, "cannot be loaded")
    file.unlink()
    os.mkfifo(file)
    refused(directory, "it is no file of at most")
    file.unlink()
    file.mkdir()
    refused(directory, "cannot be loaded")
    file.rmdir()
    with open(file, "wb") as stream:
        stream.truncate(1 << 40)  # which takes no room on the disk
    refused(directory, "it is no file of at most")


def test_every_changed_byte_is_seen(directory: Path) -> None:
    for name, words in (("matmul.o", "it was changed after it was exported, or cut"), ("matmul.json", "cannot be")):
        content = (directory / name).read_bytes()
        for place in range(0, len(content), max(1, len(content) // 70)):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 7
            if name.endswith("json") and json_of(bytes(changed)) == json_of(content):
                continue  # a blank for another
            (directory / name).write_bytes(changed)
            refused(directory, words)
        for length in (0, 1, len(content) // 2, len(content) - 2):
            (directory / name).write_bytes(content[:length])
            refused(directory, words)
        (directory / name).write_bytes(content)
    assert ps.load(directory).name == "matmul"


def json_of(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return content


def test_sources_are_checked_when_they_are_asked_for(directory: Path) -> None:
    kernel = ps.load(directory)
    (directory / "matmul.s").write_text("nonsense")
    with pytest.raises(TargetError, match=r"matmul\.s cannot be loaded: it was changed"):
        kernel.source("asm")
    assert "polysched schedule" in kernel.source("schedule")


def rewrite(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the record, under a digest that is right."""
    file = directory / "matmul.json"
    content = json.loads(file.read_text())
    del content["digest"]
    changed = change(content)
    content = changed if isinstance(changed, (dict, list)) else content
    if isinstance(content, dict):
        content["digest"] = _digest(content)
    file.write_text(json.dumps(content))


def array(index: int, **changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["kernel"]["arrays"][index].update(changes)


def deep(levels: int) -> list[Any]:
    extent: Any = "n"
    for _ in range(levels):
        extent = ["add", extent, 1]
    return [extent]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda c: c.update(version=2), "it is of version 2, and this polysched reads version 1"),
    "format": (lambda c: c.update(format="other"), "it describes no kernel of polysched's"),
    "another field": (lambda c: c.update(more=1), "has also more"),
    "no field": (lambda c: c.pop("uses_threads"), "has no uses_threads"),
    "a list": (lambda c: [c], "is no object"),
    "name": (lambda c: c.update(name="other"), "it describes other"),
    "a path for a name": (lambda c: c.update(name="../../etc/x"), "is no name"),
    "a path for a file": (lambda c: c["files"].update({"../x": {"bytes": 1, "sha256": "0" * 64}}), "name is none"),
    "no digest": (lambda c: c["files"]["matmul.o"].update(sha256="00"), "has no digest"),
    "no object": (lambda c: c["files"].update() if c["files"].pop("matmul.o") else None, "exported without matmul.o"),
    "dtype": (array(0, dtype="object"), "dtype of one of arrays is none of float16"),
    "strides": (array(0, strides="some"), "strides of one of arrays is none of"),
    "an unknown size": (array(0, shape=["n", "z"]), "there is no size z"),
    "an operation": (array(0, shape=[["pow", "n", 2], "k"]), "no such operation"),
    "operands": (array(0, shape=[["add", "n"], "k"]), "no such operation"),
    "no operation": (array(0, shape=[[], "k"]), "is empty"),
    "a real extent": (array(0, shape=[1.5, "k"]), "is no integer"),
    "a true extent": (array(0, shape=[True, "k"]), "is no integer"),
    "a long extent": (array(0, shape=[2**70, "k"]), "is no integer"),
    "a deep extent": (array(0, shape=deep(100)), "too deep"),
    "output": (array(0, output=True), "a written array is no output"),
    "no output": (array(2, output=False), "an output is not written"),
    "one name twice": (array(0, name="B"), "two things have one name"),
    "a name that is none": (array(0, name="A B"), "is no name"),
    "an argument twice": (lambda c: c["kernel"].update(positional=[["array", 0], ["array", 0]]), "left out"),
    "an argument too many": (lambda c: c["kernel"]["positional"].append(["array", 0]), "listed twice"),
    "no such argument": (lambda c: c["kernel"].update(positional=[["array", 9]]), "there is no argument 9"),
    "a strange argument": (lambda c: c["kernel"].update(positional=[["list", 0]]), "neither an array nor a scalar"),
    "an output twice": (lambda c: c["kernel"].update(outputs=[2, 2]), "an output is listed twice"),
    "the order": (lambda c: c["kernel"].update(positional=[["array", 1], ["array", 0]]), "out of order"),
    "a multiple of none": (lambda c: c["kernel"]["sizes"][0].update(multiple_of=0), "is no integer from 1"),
    "a triple": (lambda c: c["target"].update(name="z", triple="z; rm -rf"), "there is no target"),
    "a processor": (lambda c: c["target"].update(cpu="486x"), "LLVM knows no processor"),
    "features": (lambda c: c["target"].update(features="+magic"), "LLVM knows no feature"),
    "a system": (lambda c: c["target"].update(triple="x86_64-pc-windows-msvc", cpu="x86-64", features=""),
                 "it was exported for .*x86_64-pc-windows-msvc"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_the_description_may_not_say(what: str, directory: Path) -> None:
    change, words = WRONG[what]
    rewrite(directory, change)
    refused(directory, words)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"{" * 100_000,
        b"[" * 1_000_000,
        b'{"a": 1, "a": 2}',
        b"NaN",
        b"1e999",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_texts_that_are_no_description(text: bytes, directory: Path) -> None:
    (directory / "matmul.json").write_bytes(text)
    refused(directory, "cannot be loaded")


def test_changed_descriptions_are_refused_or_right(directory: Path) -> None:
    """Values exchanged for others at random places, under a right digest: an error of ours, or a kernel."""
    chance = random.Random(0)
    original = json.loads((directory / "matmul.json").read_text())
    values = [
        None,
        True,
        False,
        -1,
        0,
        1,
        2**63,
        1.5,
        "",
        "n",
        "A",
        "float64",
        [],
        {},
        ["add", "n", 1],
        [[]],
        "x" * 5000,
    ]
    seen = set()
    for _ in range(80):
        content = json.loads(json.dumps(original))

        def exchange(c: dict[str, Any]) -> object:
            node: Any = c if chance.random() < 0.3 else c["kernel"]
            while True:
                keys = list(node) if isinstance(node, dict) else list(range(len(node)))
                if not keys:
                    return None
                key = chance.choice(keys)
                if isinstance(node[key], (dict, list)) and chance.random() < 0.8:
                    node = node[key]
                    continue
                node[key] = chance.choice(values)
                return None

        (directory / "matmul.json").write_text(json.dumps(content))
        rewrite(directory, exchange)
        try:
            ps.load(directory)
        except TargetError as error:
            seen.add(re.sub(r".*cannot be loaded: ", "", error.reason)[:30])
    assert len(seen) > 10


def test_code_that_this_machine_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arm = ps.export(gather()[0], tmp_path / "arm", "aarch64", products=[]).directory
    native = ps.export(gather()[0], tmp_path / "native", products=[]).directory
    if Target().triple.startswith("x86_64"):
        refused(arm, "it was exported for .*aarch64")
    monkeypatch.setattr(Target, "missing_features", lambda _: ("avx512f",))
    refused(native, "and this CPU lacks avx512f")


def test_code_of_another_processor_that_this_one_can_run(tmp_path: Path) -> None:
    if not Target().triple.startswith("x86_64"):
        pytest.skip("names an x86-64 processor")
    for k, target in enumerate(
        (Target("x86-64"), Target("native", cpu="nehalem"), Target("x86-64-v2", features="+fma"))
    ):
        if not target.can_run():
            continue
        schedule, arguments = gather()
        kernel = schedule.build(target)
        loaded = ps.load(kernel.export(tmp_path / str(k), products=[]).directory)
        assert (loaded.target.cpu, loaded.target.features) == (target.cpu, target.features)
        assert results(loaded, arguments) == results(kernel, arguments)


def test_failed_checks_and_memory_are_told(originals: dict[str, tuple[Any, Path]]) -> None:
    loaded = ps.load(originals["gather"][1])
    for _ in range(2):
        with pytest.raises(BoundsError, match="read the index -5 from its data"):
            loaded(np.arange(9, dtype=np.int32), np.array([0, -5]))


def test_loaded_code_is_given_back(originals: dict[str, tuple[Any, Path]]) -> None:
    arguments = CASES["pipeline"]()[1]
    for _ in range(20):
        results(ps.load(originals["pipeline"][1]), arguments)  # which keeps blocks, and frees them at the end
