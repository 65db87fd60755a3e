"""The fast way in: what it takes, what it leaves to the slow way, and that it holds on to nothing."""

from __future__ import annotations

import array
import ctypes
import gc
import sys
import timeit

import numpy as np
import pytest

from polysched.compute.operations import apply
from polysched.compute.tensor import size_var


def arrays(n=8):
    return np.arange(n, dtype=np.float32), np.ones(n, np.float32), np.zeros(n, np.float32)


def unaligned(values):
    memory = bytearray(values.nbytes + 1)
    result = np.frombuffer(memory, values.dtype, values.size, 1)
    result[:] = values
    assert not result.flags.aligned
    return result


def test_it_runs(add):
    a, b, c = arrays()
    assert add._fast(a, b, c) is None
    assert np.array_equal(c, a + b)


def test_what_it_takes(add):
    a, b, c = arrays()
    a.flags.writeable = False
    assert add._fast(a, memoryview(b), c) is None
    assert add._fast(array.array("f", a), (ctypes.c_float * 8)(*b), c) is None
    assert add._fast(unaligned(a), unaligned(b), out := unaligned(c)) is None
    assert np.array_equal(out, a + b)
    assert add._fast(a, a, c) is None
    assert np.array_equal(c, 2 * a)
    for n in (0, 1, 1000):
        x, y, z = arrays(n)
        assert add._fast(x, y, z) is None
        assert np.array_equal(z, x + y)


def refused():
    a, b, c = arrays()
    frozen = c.copy()
    frozen.flags.writeable = False
    both = np.zeros(12, np.float32)
    return {
        "too few": (a, b),
        "too many": (a, b, c, c),
        "no arrays": (1, None, "c"),
        "dtype": (a.astype(np.float64), b, c),
        "byte order": (a.astype(">f4"), b, c),
        "integers": (a.astype(np.int32), b, c),
        "dimensions": (a.reshape(2, 4), b, c),
        "extent": (a[:-1], b, c),
        "output's extent": (a, b, c[1:]),
        "strides": (np.zeros(16, np.float32)[::2], b, c),
        "read-only output": (a, b, frozen),
        "overlap": (both[:8], b, both[4:]),
        "the same": (a, c, c),
        "a list": ([1.0] * 8, b, c),
        "bytes": (bytes(32), b, c),
        "structure": (np.zeros(8, [("x", np.float32)]), b, c),
    }


@pytest.mark.parametrize("what", refused())
def test_what_it_refuses(add, what):
    args = refused()[what]
    before = [x.copy() for x in args if isinstance(x, np.ndarray)]
    assert add._fast(*args) is NotImplemented
    after = [x for x in args if isinstance(x, np.ndarray)]
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))


def test_neighbours_do_not_overlap(add):
    both = np.arange(24, dtype=np.float32)
    a, c, b = both[:8], both[8:16], both[16:]
    expected = a + b
    assert add._fast(a, b, c) is None
    assert np.array_equal(c, expected)


def test_promises_are_checked(add_for):
    kernel = add_for(min=4, multiple_of=4)
    assert kernel._fast(*arrays(8)) is None
    assert kernel._fast(*arrays(0)) is NotImplemented
    assert kernel._fast(*arrays(6)) is NotImplemented


@pytest.mark.parametrize("name", ["int8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integer_scalars(scalars_of, name):
    kernel, out = scalars_of(name), np.zeros((), name)
    info = np.iinfo(name)
    for value in (0, 1, info.min, info.max, info.max // 3):
        assert kernel._fast(value, out) is None
        assert out[()] == value
    for value in (info.min - 1, info.max + 1, 1 << 100, 1.0, "1", None, np.float64(1), [1]):
        assert kernel._fast(value, out) is NotImplemented
    if name != "uint64":
        assert kernel._fast(np.dtype(name).type(7), out) is None
        assert out[()] == 7


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_float_scalars(scalars_of, name):
    kernel, out = scalars_of(name), np.zeros((), name)
    for value in (
        0.1,
        -3,
        np.float64(0.1),
        np.dtype(name).type(2.5),
        float("inf"),
        1e300 if name == "float64" else 1e38,
    ):
        assert kernel._fast(value, out) is None
        assert out[()] == np.dtype(name).type(value)
    assert kernel._fast(float("nan"), out) is None
    assert np.isnan(out[()])
    for value in (1 << 2000, 1j, "1", [1.0], True, *((1e300, 1 << 200) if name == "float32" else ())):
        assert kernel._fast(value, out) is NotImplemented


def test_bool_scalars(scalars_of):
    kernel, out = scalars_of("bool"), np.zeros((), bool)
    for value in (True, np.True_, False, np.False_):
        assert kernel._fast(value, out) is None
        assert out[()] == value
    for value in (1, 0, 1.0, None):
        assert kernel._fast(value, out) is NotImplemented


def test_there_is_none_for_what_it_cannot_pass(scalars_of, squares_for):
    assert scalars_of("float16")._fast is None
    assert squares_for(None)._fast is not None  # its size is that of the output


def test_any_strides(strided):
    base = np.arange(120, dtype=np.float32).reshape(10, 12)
    views = [base, base.T, base[::2, ::-3], base[::-1], base[3:4], base[:, :0], np.broadcast_to(base[0], (4, 12))]
    for view in views:
        out = np.zeros(view.shape, np.float32)
        assert strided._fast(view, out) is None
        assert np.array_equal(out, view)
    odd = np.zeros(8, [("x", np.float32), ("y", np.int8)])["x"].reshape(2, 4)
    assert strided._fast(odd, np.zeros((2, 4), np.float32)) is NotImplemented
    assert strided._fast(base[:, 2:4], base[:, :2].copy()) is None
    whole = np.zeros((4, 4), np.float32)
    assert strided._fast(whole[2:, ::-1], whole[:2]) is None
    assert strided._fast(whole[1:, ::-1], whole[:3]) is NotImplemented


def test_extents_of_every_form(shapes_for):
    n, m = size_var("n"), size_var("m")
    extents = (n + m, 2 * n - m, n * m, n // m, -n % m, apply("min", n, m), apply("max", n, 3))
    kernel = shapes_for((n, m), extents, (n, 2 * m + n))

    def fast(*shapes):
        return kernel._fast(*(np.zeros(shape, np.int32) for shape in shapes))

    assert fast((7, 11), (9, 12, 14, 3, 1, 2, 7)) is None
    assert fast((7, 11), (9, 12, 14, 3, 0, 2, 7)) is NotImplemented
    assert fast((7, 12), (9, 12, 14, 3, 1, 2, 7)) is NotImplemented  # 2 m = 5
    assert fast((7, 7), (7, 14, 0, 0, 0, 0, 7)) is NotImplemented  # n // 0
    hidden = shapes_for((n,), (n,), (n,), hidden=(n - 4,))
    assert hidden._fast(np.zeros(4, np.int32), np.zeros(4, np.int32)) is None
    assert hidden._fast(np.zeros(3, np.int32), np.zeros(3, np.int32)) is NotImplemented


def test_extents_do_not_wrap_around(shapes_for):
    n = size_var("n")
    kernel = shapes_for((n,), (16 * n, n), (n, 0))
    assert kernel._fast(np.zeros((2, 0), np.int32), np.zeros((32, 2), np.int32)) is None
    assert kernel._fast(np.zeros((1 << 60, 0), np.int32), np.zeros((0, 1 << 60), np.int32)) is NotImplemented


def test_nothing_is_kept(add, gather):
    a, b, c = arrays()
    index = np.array([0, 9, 1, 2, 3, 4, 5, 6])
    data, out = np.zeros(8), np.zeros(8)
    watched = [a, b, c, index, data, out, None, NotImplemented]
    bad = a.astype(np.float64)

    def calls():
        for _ in range(1000):
            add._fast(a, b, c)
            add._fast(a, b, a)
            add._fast(a, bad, c)
            add._fast(a, b)
            gather._fast(data, index, out)

    calls()
    gc.collect()
    before = [sys.getrefcount(x) for x in watched]
    blocks = sys.getallocatedblocks()
    calls()
    gc.collect()
    assert max(abs(sys.getrefcount(x) - count) for x, count in zip(watched, before, strict=True)) < 10
    assert sys.getallocatedblocks() - blocks < 100


def test_the_callable_outlives_the_kernel(add_for):
    fast = add_for()._fast
    gc.collect()
    a, b, c = arrays()
    assert fast(a, b, c) is None
    assert np.array_equal(c, a + b)


def test_no_error_is_left_behind(add):
    a, b, c = arrays()
    assert add._fast(a[::2], b, c) is NotImplemented
    assert ctypes.pythonapi.PyErr_Occurred() in (None, 0)


def test_time(add, capsys):
    a, b, c = arrays()
    fast = add._fast
    seconds = min(timeit.repeat(lambda: fast(a, b, c), number=20_000, repeat=5)) / 20_000
    with capsys.disabled():
        print(f" fast call with three small arrays: {seconds * 1e6:.2f} us", end="")
