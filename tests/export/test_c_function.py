"""The exported function as C calls it: through ctypes, with arguments that are good and arguments that are not."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import polysched as ps

from ..kernel_cases import CASES, gather, matmul

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
PARALLEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Context(ctypes.Structure):
    _fields_ = (
        ("check", ctypes.c_int64), ("value", ctypes.c_int64), ("threads", ctypes.c_int32), ("parallel", PARALLEL)
    )  # fmt: skip


class Library:
    """An exported kernel's shared library."""

    def __init__(self, schedule: ps.Schedule, directory: Path, name: str = "f") -> None:
        self.name = name
        made = ps.export(schedule, directory, name=name)
        self.library = ctypes.CDLL(str(made.files["shared"]))
        self.message = self.library[f"{name}_message"]
        self.message.restype = ctypes.c_char_p

    def __call__(self, *arguments: object, context: Context | None = None) -> str:
        values = [self.value(argument) for argument in arguments]
        code = self.library[self.name](*values, None if context is None else ctypes.byref(context))
        words: bytes = self.message(code)
        return words.decode()

    @staticmethod
    def value(argument: object) -> object:
        if argument is None:
            return ctypes.c_void_p()
        if isinstance(argument, np.ndarray):
            return ctypes.c_void_p(argument.ctypes.data)
        return ctypes.c_int64(argument) if isinstance(argument, int) else argument


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(matmul()[0], tmp_path_factory.mktemp("product"))


def operands(n: int = 7, k: int = 6, m: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return (
        random.standard_normal((n, k), np.float32),
        random.standard_normal((m, k), np.float32).T,
        np.full((n, m), np.nan, np.float32),
    )


@pytest.mark.parametrize("threads", [None, -3, 0, 1, 2, 7])
def test_it_computes(product: Library, threads: int | None) -> None:
    a, b, c = operands()
    context = None if threads is None else Context(9, 9, threads)
    assert product(a, b, c, 7, 6, 5, 1, 6, context=context) == "success"
    assert c.tobytes() == matmul()[0].build()(a, b).tobytes()
    assert context is None or (context.check, context.value) == (0, 0)


def test_every_rule_has_its_words(product: Library) -> None:
    a, b, c = operands()
    good = [a, b, c, 7, 6, 5, 1, 6]
    wrong = {
        "A is NULL": {0: None},
        "B is NULL": {1: None},
        "C is NULL": {2: None},
        "n must be at least 0": {3: -1},
        "k must be a multiple of 2": {4: 5},
        "m must be at least 1": {5: 0},
        "the extents of A are negative or too large": {3: 2**40, 4: 2**40},
        "the strides of B are too large": {6: 2**61},
        "C shares memory with A": {2: a},
        "C shares memory with B": {2: b},
    }
    for words, changes in wrong.items():
        arguments = [changes.get(place, value) for place, value in enumerate(good)]
        assert product(*arguments) == words
    assert np.isnan(c).all()
    assert product(*good[:6], 2**63 - 1, -(2**63)) == "the strides of B are too large"
    assert product(None, b, None, 0, 6, 5, 1, 6) == "success"  # nothing to read, and nothing to write
    backwards = b[:, ::-1]
    assert product(a, backwards, c, 7, 6, 5, 1, -6) == "success"
    assert np.allclose(c, a @ backwards, atol=1e-5)


def test_codes_that_are_none(product: Library) -> None:
    for code in (-1, 3, 15, 10_000, -(2**31)):
        assert product.message(code) == b"no code of this kernel's"


def test_touching_arrays_are_no_overlap(tmp_path: Path) -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n,), "int32", name="A")
    library = Library(ps.Schedule(ps.compute((n,), lambda i: A[i] + 1, name="B")), tmp_path)
    memory = np.arange(20, dtype=np.int32)
    assert library(memory[:10], memory[10:], 10) == "success"
    assert library(memory[10:], memory[:10], 10) == "success"
    assert library(memory[:10], memory[9:], 10) == "B shares memory with A"
    assert library(memory[9:], memory[:10], 10) == "B shares memory with A"
    assert library(memory, memory, 0) == "success"


def test_an_array_without_elements_overlaps_with_nothing(tmp_path: Path) -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n + 2,), "int32", name="A")
    library = Library(ps.Schedule(ps.compute((n,), lambda i: A[i] + 1, name="B")), tmp_path)
    memory = np.arange(20, dtype=np.int32)
    assert library(memory, memory[1:], 0) == "success"
    assert library(memory, memory[1:], 1) == "B shares memory with A"


def test_a_function_that_runs_parallel_loops(product: Library) -> None:
    a, b, c = operands(40)
    seen: list[int] = []

    @PARALLEL
    def parallel(body: int, data: int, threads: int, _flags: int) -> None:
        seen.append(threads)
        workers = [threading.Thread(target=BODY(body), args=(data,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    assert product(a, b, c, 40, 6, 5, 1, 6, context=Context(0, 0, 3, parallel)) == "success"
    assert seen == [3]
    for one in (1, 0, -5):
        assert product(a, b, c, 40, 6, 5, 1, 6, context=Context(0, 0, one, parallel)) == "success"
    assert seen == [3]
    assert c.tobytes() == matmul()[0].build()(a, b).tobytes()


def test_several_threads_call_at_once(product: Library) -> None:
    a, b, _ = operands(64)
    expected = matmul()[0].build()(a, b).tobytes()
    results = [np.zeros((64, 5), np.float32) for _ in range(8)]

    def call(c: np.ndarray) -> None:
        for _ in range(50):
            product(a, b, c, 64, 6, 5, 1, 6, context=Context(0, 0, 2))

    threads = [threading.Thread(target=call, args=(c,)) for c in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {c.tobytes() for c in results} == {expected}


def test_failed_checks_are_told(tmp_path: Path) -> None:
    library = Library(gather()[0], tmp_path)
    a, out = np.arange(9, dtype=np.int32), np.zeros(3, np.int32)
    context = Context(5, 5, 1)
    assert library(a, np.array([1, 17, 2]), out, 3, context=context).startswith("an index that was read from data")
    assert (context.check, context.value) == (0, 17)
    assert library(a, np.array([1, -1, 2]), out, 3).startswith("an index that was read from data")
    assert library(a, np.array([8, 0, 2]), out, 3, context=context) == "success"
    assert out.tolist() == [4, 0, 1]
    assert "0: dimension 0 of A, kernel_cases.py:" in (tmp_path / "f.h").read_text()


def test_a_lack_of_memory_is_a_code(tmp_path: Path) -> None:
    n = ps.size_var("n", min=1)
    A = ps.placeholder((8,), "float64", name="A")
    big = ps.compute((n, n), lambda i, j: A[i % 8] * A[j % 8], name="big")
    total = ps.compute((1,), lambda i: big[0, 0] + A[0], name="total")
    library = Library(ps.Schedule(total), tmp_path)
    a, out = np.arange(8.0), np.zeros(1)
    assert library(a, out, 1 << 28) == "there is no memory for intermediate results"
    assert library(a, out, 30) == "success"
    library.library.f_release()
    assert library(a, out, 30) == "success"
    library.library.f_release()
    library.library.f_release()


def test_sizes_that_no_array_determines(tmp_path: Path) -> None:
    n, m = ps.size_var("n"), ps.size_var("m", multiple_of=3)
    A = ps.placeholder((n + m,), "int32", name="A")
    schedule = ps.Schedule(ps.compute((n + m,), lambda i: A[i] * 2, name="B"))
    library = Library(schedule, tmp_path)
    a, b = np.arange(12, dtype=np.int32), np.zeros(12, np.int32)
    assert library(a, b, 9, 3) == "success"
    assert np.array_equal(b, 2 * a)
    assert library(a, b, 4, 4) == "m must be a multiple of 3"
    assert library(a, b, 2**63 - 2, 3) == "the extents of A are negative or too large"
    loaded = ps.load(tmp_path)
    assert np.array_equal(loaded(a, n=6, m=6), b)


def test_halves_and_truths(tmp_path: Path) -> None:
    library = Library(CASES["halves"]()[0], tmp_path)
    a, out = np.linspace(0, 2, 12, dtype=np.float16).reshape(4, 3), np.zeros((4, 3), np.float16)
    half = int(np.float16(1.5).view(np.uint16))
    for truth, expected in ((1, a * np.float16(1.5)), (0, a)):
        assert library(a, ctypes.c_uint16(half), ctypes.c_uint8(truth), out, 4) == "success"
        assert np.array_equal(out, expected)


def test_the_library_needs_no_python(product: Library) -> None:
    shared = Path(product.library._name)
    symbols = subprocess.run(["nm", "-D", shared], capture_output=True, text=True, check=False)
    if symbols.returncode:
        pytest.skip("there is no nm")
    defined = [line.split()[2] for line in symbols.stdout.splitlines() if " T " in line]
    assert sorted(defined) == ["f", "f_message", "f_release"]
    assert "Py" not in symbols.stdout
    assert sys.executable not in shared.read_bytes().decode("latin-1")
