"""The slow way in: what is accepted, and the words for what is not."""

from __future__ import annotations

import array

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.tensor import size_var
from polysched.errors import ArgumentError
from polysched.lower.abi import ScalarParameter
from polysched.target.arguments import scalar_value


class Exported:
    """An array behind DLPack and nothing else."""

    def __init__(self, of):
        self._of = of

    def __dlpack__(self, **options):
        return self._of.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._of.__dlpack_device__()


class ExportedByFirstVersion(Exported):
    def __dlpack__(self, stream=None):
        return self._of.__dlpack__()


class OnAnotherDevice(Exported):
    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **options):
        raise BufferError("the memory is on the device cuda:0")


class Interfaced:
    def __init__(self, of):
        self.__array_interface__ = of.__array_interface__
        self._of = of


def arrays(n=8):
    return np.arange(n, dtype=np.float32), np.ones(n, np.float32), np.zeros(n, np.float32)


@pytest.mark.parametrize("wrap", [Exported, ExportedByFirstVersion, Interfaced, memoryview])
def test_memory_of_others_is_shared(add, wrap):
    a, b, c = arrays()
    out = wrap(c)
    assert add(wrap(a), wrap(b), out=out) is out
    assert np.array_equal(c, a + b)
    assert np.array_equal(add(wrap(a), B=b), a + b)
    assert np.array_equal(add(array.array("f", a), b), a + b)


def test_arguments_by_name(add, two_outputs):
    a, b, c = arrays()
    assert np.array_equal(add(B=b, A=a), a + b)
    assert add(a, B=b, out=c) is c
    assert np.array_equal(add(a, b, n=8), a + b)
    x, d = np.arange(5, dtype=np.int32), np.zeros(5, np.int32)
    s, doubled = two_outputs(D=d, A=x)
    assert doubled is d
    assert np.array_equal(s, x + 1)
    assert np.array_equal(d, 2 * x)


def test_sizes_by_name(squares_for):
    kernel = squares_for(None)
    assert np.array_equal(kernel(n=5), np.arange(5) ** 2)
    assert np.array_equal(kernel(n=np.int32(3)), [0, 1, 4])
    assert np.array_equal(kernel(out=np.zeros(4, np.int64)), [0, 1, 4, 9])


def test_interleaved_arrays_do_not_overlap(strided):
    both = np.arange(32, dtype=np.float32).reshape(1, 32)
    memory = both.copy()
    source, out = memory[:, :16:2], memory[:, 16:24]
    assert strided(source, out=out) is out
    assert np.array_equal(out, both[:, :16:2])
    columns = np.arange(32, dtype=np.float32).reshape(16, 2)
    column = np.ascontiguousarray(columns[:, :1])
    assert np.array_equal(strided(columns[:, 1:]), columns[:, 1:])
    assert column.shape == (16, 1)


def test_strides_of_dimensions_of_one_element_mean_nothing(strided):
    one = np.lib.stride_tricks.as_strided(np.ones(4, np.float32), (1, 4), (3, 4))
    assert np.array_equal(strided(one), np.ones((1, 4)))


def call(kernel, *args, **kwargs):
    with pytest.raises(ArgumentError) as error:
        kernel(*args, **kwargs)
    return error.value.reason


def test_words_about_names(add, two_outputs, squares_for):
    a, b, c = arrays()
    assert call(add, a, b, c) == (
        "add was called with 3 positional arguments; it takes A, B; the output C is passed as out="
    )
    assert call(add, a) == "add was called without B; it takes A, B"
    assert call(add, a, A=a) == "add was given A twice, by position and by name"
    assert call(add, a, b, X=a) == "add has no argument X; it takes A, B, the sizes n and out"
    assert call(add, a, b, n=8.0) == "n is a float; a size is an integer"
    assert call(add, a, b, out=(c, c)) == "out has 2 arrays; one array is expected, for C"
    x = np.zeros(2, np.int32)
    assert call(two_outputs, x, x, x).startswith("two was called with 3 positional arguments; it takes A, D")
    assert call(squares_for(None)) == "no array has a shape that determines n; give a value, as in n=8"
    assert call(squares_for(None), n=-1) == "n is -1 as given; it must be at least 0"
    assert call(squares_for(None), n=1 << 70) == f"n is {1 << 70} as given; it must fit into 64 bits"


def test_words_about_arrays(add, strided):
    a, b, c = arrays()
    assert call(add, [1.0], b) == (
        "A is a list; a NumPy array, or an object with DLPack or the buffer protocol, is expected: convert it with "
        "np.asarray"
    )
    assert call(add, OnAnotherDevice(a), b).startswith("A is a OnAnotherDevice whose memory NumPy cannot share: ")
    convert = 'float32 is expected: convert it with .astype("float32")'
    assert call(add, a, np.ones(8)) == f"B has the dtype float64, and {convert}"
    assert call(add, a.astype(">f4"), b) == f"A has the dtype >f4, and {convert}"
    assert call(add, a.reshape(2, 4), b) == "A has the shape (2, 4), and 1 dimensions are expected: [n]"
    assert call(add, a, b[:3]) == "B has the shape (3,); its dimension 0 must be n = 8 (n is 8 from dimension 0 of A)"
    assert call(add, a, b, out=c[:3]) == (
        "C has the shape (3,); its dimension 0 must be n = 8 (n is 8 from dimension 0 of A)"
    )
    assert call(add, a, b, n=7) == "A has the shape (8,); its dimension 0 must be n = 7 (n is 7 as given)"
    assert call(add, np.zeros(16, np.float32)[::2], b) == (
        "A is not C-contiguous: its shape is (8,), its strides are (8,) bytes: pass np.ascontiguousarray, or declare "
        'it with strides="any"'
    )
    assert call(add, a, b, out=np.zeros(16, np.float32)[::2]) == (
        "C is not C-contiguous: its shape is (8,), its strides are (8,) bytes"
    )
    odd = np.zeros(8, [("x", np.float32), ("y", np.int8)])["x"].reshape(2, 4)
    assert call(strided, odd) == (
        "A has strides of (20, 5) bytes, which are no multiples of its elements of 4: pass np.ascontiguousarray"
    )


def test_fortran_order_is_not_taken_for_c_order(strided):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert call(strided, rows, out=np.zeros((2, 3), np.float32, order="F")) == (
        "C is not C-contiguous: its shape is (2, 3), its strides are (4, 8) bytes"
    )
    assert np.array_equal(strided(np.asfortranarray(rows)), rows)


def test_words_about_outputs(add):
    a, b, c = arrays()
    c.flags.writeable = False
    assert call(add, a, b, out=c) == "C is written by the kernel, and the array is read-only"
    assert call(add, a, b, out=Exported(c)) == "C is written by the kernel, and the array is read-only"
    assert call(add, a, b, out=bytes(32)).startswith("C has the dtype uint8")
    assert call(add, a, b, out=a) == "the output C shares memory with A; pass an array that does not, or a copy"
    memory = np.zeros(12, np.float32)
    assert call(add, a, memory[:8], out=memory[4:]) == (
        "the output C shares memory with B; pass an array that does not, or a copy"
    )


def test_words_about_promises(add_for):
    kernel = add_for(min=4, multiple_of=4)
    assert call(kernel, *arrays(0)[:2]) == "n is 0 from dimension 0 of A; it must be at least 4"
    assert call(kernel, *arrays(6)[:2]) == "n is 6 from dimension 0 of A; it must be a multiple of 4"


def test_words_about_shapes_that_no_argument_has(shapes_for):
    n, m = size_var("n"), size_var("m")
    a = np.zeros(3, np.int32)
    kernel = shapes_for((n,), (n - 4,), (n,))
    words = "dimension 0 of C would be n - 4 = -1 at n = 3; an extent is at least 0 and fits into 64 bits"
    assert call(kernel, a) == words
    hidden = shapes_for((n,), (n,), (n,), hidden=(n - 4,))
    assert call(hidden, a) == words.replace(" C ", " T ")
    divided = shapes_for((n, m), (n // m,), (n,), (m,))
    assert call(divided, a, a[:0]) == "the extent n // m of C divides by zero at n = 3, m = 0"
    huge = shapes_for((n,), (n * n * n,), ())
    assert call(huge, np.zeros((), np.int32), n=1 << 30).startswith("dimension 0 of C would be")
    with pytest.raises(MemoryError, match="no memory for C of shape"):
        huge(np.zeros((), np.int32), n=1 << 20)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("uint8", 256, "x is 256, which a uint8 cannot hold"),
        ("int8", -129, "x is -129, which an int8 cannot hold"),
        ("int32", 1.0, "x is a float; an integer is expected, for the int32 scalar"),
        ("int32", np.bool_(True), "x is a bool; an integer is expected, for the int32 scalar"),
        ("float32", 1e39, "x is 1e+39, which a float32 cannot hold"),
        ("float16", 65520, "x is 65520, which a float16 cannot hold"),
        ("float64", 1 << 1100, f"x is {str(1 << 1100)[:40]}, which a float64 cannot hold"),
        ("float32", "1", "x is a str; a number is expected, for the float32 scalar"),
        ("float32", np.zeros(1, np.float32), "x is a ndarray; a number is expected, for the float32 scalar"),
        ("bool", 1, "x is a int; True or False is expected, for the bool scalar"),
    ],
)
def test_words_about_scalars(scalars_of, name, value, words):
    assert call(scalars_of(name), value, np.zeros((), name)) == words


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("float16", 65519, 65519.0),
        ("float32", np.float64(0.1), 0.1),
        ("float32", 3, 3.0),
        ("float64", np.int8(3), 3.0),
        ("float64", np.array(2.5), 2.5),
        ("int16", np.uint64(5), 5),
        ("uint64", (1 << 64) - 1, (1 << 64) - 1),
        ("int32", True, 1),
        ("bool", np.True_, True),
    ],
)
def test_scalars(scalars_of, name, value, expected):
    assert scalar_value(ScalarParameter("x", DTYPES[name]), value) == expected
    out = np.zeros((), name)
    scalars_of(name)(value, out)
    assert out[()] == np.dtype(name).type(expected)


def test_float16_scalars_reach_the_kernel(scalars_of):
    out = np.zeros((), np.float16)
    for value in (1.5, -0.0, 65504, float("inf"), 6e-8):
        scalars_of("float16")(value, out)
        assert out[()] == np.float16(value)
