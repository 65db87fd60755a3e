"""Types of operations: those of NumPy 2, asked of NumPy, for every pair of types and every operation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES, DType, dtype, resolve
from polysched.compute.expr import Cast, Const, Op
from polysched.compute.operations import COMPARISONS, OPERATIONS, apply, as_expr, convert

ALL = pytest.mark.parametrize("name", DTYPES)
n = ps.size_var("n")
r = ps.reduce_axis((0, n), name="r")
BINARY = [row for row in OPERATIONS.values() if row.arity == 2 and row.name != "pow"]
UNARY = [row for row in OPERATIONS.values() if row.arity == 1]


def element(name: str) -> Any:
    return ps.scalar("x", name)


def numpy_type(ufunc: str, *operands: Any) -> str | None:
    """The type of NumPy's result on arrays and Python's numbers; None where it refuses."""
    with np.errstate(all="ignore"):
        try:
            return str(getattr(np, ufunc)(*operands).dtype.name)
        except TypeError:
            return None


def ones(name: str) -> Any:
    return np.ones(2, name)


def check(operation: Any, operands: tuple[Any, ...], expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ps.DefinitionError, match="NumPy refuses it too"):
            apply(operation.name, *operands)
    else:
        assert apply(operation.name, *operands).dtype.name == expected, operation.name


@ALL
def test_binary_operations_on_every_pair(name: str) -> None:
    for other, operation in itertools.product(DTYPES, BINARY):
        check(operation, (element(name), element(other)), numpy_type(operation.ufunc, ones(name), ones(other)))


@ALL
def test_unary_operations(name: str) -> None:
    for operation in UNARY:
        check(operation, (element(name),), numpy_type(operation.ufunc, ones(name)))


@ALL
def test_python_numbers_take_on_the_type_of_elements(name: str) -> None:
    for literal, operation in itertools.product((1, 2.0, True), BINARY):
        check(operation, (element(name), literal), numpy_type(operation.ufunc, ones(name), literal))
        check(operation, (literal, element(name)), numpy_type(operation.ufunc, literal, ones(name)))


@ALL
def test_numpy_scalars_keep_their_type(name: str) -> None:
    for other in DTYPES:
        value = np.dtype(other).type(1)
        for found in (element(name) + value, value + element(name), np.asarray(value) + element(name)):
            assert found.dtype.name == np.result_type(name, other).name
    assert np.sqrt(element("float32")).name == "sqrt"  # type: ignore[attr-defined]


@ALL
def test_axes_and_sizes_never_wrap(name: str) -> None:
    """They are int64 beside narrower integers, and adapt to int64, uint64 and floats."""
    kind = DTYPES[name]
    expected = "int64" if (kind.is_int and kind.bits < 64) or name == "bool" else name
    for index in (r, n, r + 1, 2 * n):
        for found in (element(name) + index, index * element(name), ps.maximum(index, element(name))):
            assert found.dtype.name == expected
        assert ps.select(r > 0, element(name), index).dtype.name == expected
    assert (r + n).weak and (r + 1).weak and (r / 2).dtype.name == "float64" and (r / 2).weak


def test_indices_are_int64() -> None:
    assert {(x).dtype.name for x in (r, n, r + 1, r // 2, n % 3, -r, abs(r), r**2, ps.clamp(r, 0, n))} == {"int64"}


@ALL
def test_select_is_numpys_where(name: str) -> None:
    condition = np.ones(2, bool)
    for other in DTYPES:
        chosen = ps.select(r > 0, element(name), element(other))
        assert chosen.dtype.name == np.where(condition, ones(name), ones(other)).dtype.name
    for literal in (1, 2.0, True):
        assert ps.select(r > 0, element(name), literal).dtype.name == np.result_type(ones(name), literal).name
        assert ps.select(r > 0, literal, element(name)).dtype.name == np.result_type(ones(name), literal).name


def test_select_between_literals() -> None:
    assert ps.select(r > 0, 1, 2).dtype.name == "int64" and ps.select(r > 0, 1, 2).weak
    assert ps.select(r > 0, 1, 2.5).dtype.name == "float64"
    assert (element("float32") * ps.select(r > 0, 1, 2.5)).dtype.name == "float32"
    assert ps.select(r > 0, True, False).dtype.name == "bool"


@ALL
def test_integer_powers(name: str) -> None:
    for exponent in range(0, 64, 9):
        assert (element(name) ** exponent).dtype.name == numpy_type("power", ones(name), exponent)
    if DTYPES[name].is_float:
        assert (element(name) ** 0.5).dtype.name == name
        assert (2 ** element(name)).dtype.name == name
    else:
        assert (element(name) ** 0.5).dtype.name == "float64"


@pytest.mark.parametrize("exponent", range(0, 64))
def test_integer_powers_are_products(exponent: int) -> None:
    A = ps.placeholder((5,), "int64", name="A")
    power = ps.compute((5,), lambda i: A[i] ** exponent, name="power")
    values = np.array([0, 1, -1, 2, 3])
    assert np.array_equal(ps.evaluate(power, {A: values}), values**exponent)


@pytest.mark.parametrize("exponent", [-1, 64, 0.5])
def test_other_integer_powers(exponent: Any) -> None:
    if isinstance(exponent, float):
        assert (element("int32") ** exponent).dtype.name == "float64"
        return
    with pytest.raises(
        ps.DefinitionError, match=r"an integer to the power -?\d+ is not defined: the exponent must be a"
    ):
        element("int32") ** exponent
    with pytest.raises(ps.DefinitionError, match="an integer to the power x is not defined"):
        element("int32") ** element("int8")


def test_squares_of_floats_are_products() -> None:
    x = element("float32")
    assert isinstance(x**2, Op) and (x**2).name == "mul" and (x**2.0).name == "mul" and (x**3).name == "pow"


@pytest.mark.parametrize("name", [t for t in DTYPES if DTYPES[t].is_int])
def test_literals_must_fit_and_compare_by_value(name: str) -> None:
    t = DTYPES[name]
    for value in (t.lowest, t.highest):
        assert (element(name) + value).dtype == t
    for value in (int(t.lowest) - 1, int(t.highest) + 1):
        if -(1 << 63) <= value < 1 << 64:
            with pytest.raises(ps.DefinitionError, match=f"the integer {value} does not fit into {name}"):
                element(name) + value
            with pytest.raises(OverflowError):
                ones(name) + value
            A = ps.placeholder((3,), name, name="A")
            array = np.array([t.lowest, 0, t.highest], name)
            for operation in sorted(COMPARISONS):
                found = ps.compute((3,), lambda i, o=operation, v=value, A=A: apply(o, A[i], v), name="found")
                expected = OPERATIONS[operation].numpy(array, value)
                assert np.array_equal(ps.evaluate(found, {A: array}), expected), (operation, value)


@pytest.mark.parametrize("name", [t for t in DTYPES if DTYPES[t].is_int])
def test_axes_compare_by_value(name: str) -> None:
    A = ps.placeholder((3,), name, name="A")
    array = np.array([DTYPES[name].lowest, 1, DTYPES[name].highest], name)
    below = ps.compute((3,), lambda i: A[i] < i - 1, name="below")
    assert list(ps.evaluate(below, {A: array})) == [int(a) < k - 1 for k, a in enumerate(array)]


def test_integers_of_64_bits() -> None:
    assert as_expr(2**64 - 1).value == 2**64 - 1  # type: ignore[attr-defined]
    assert (element("uint64") + (2**64 - 1)).dtype.name == "uint64"
    for wrong in (2**64, -(2**63) - 1):
        with pytest.raises(ps.DefinitionError, match="does not fit into 64 bits"):
            as_expr(wrong)
    for made in (lambda i: i + 2**63, lambda i: 2**63):
        with pytest.raises(ps.DefinitionError, match="9223372036854775808 does not fit into int64"):
            ps.compute((3,), made, name="C")
    assert ps.compute((3,), lambda i: 2**63, name="C", dtype="uint64").dtype.name == "uint64"


@ALL
def test_conversion_of_literals(name: str) -> None:
    for value in (0, 1, 2.5, True):
        made = convert(as_expr(value), DTYPES[name])
        assert made.dtype.name == name
        if isinstance(made, Const) and not (isinstance(value, float) and DTYPES[name].is_int):
            assert made.value == np.dtype(name).type(value)
    assert isinstance(convert(as_expr(2.5), DTYPES["int8"]), Cast)
    assert convert(as_expr(0.1), DTYPES["float16"]).value == float(np.float16(0.1))  # type: ignore[attr-defined]


@ALL
def test_dtypes(name: str) -> None:
    t, numpy = DTYPES[name], np.dtype(name)
    assert dtype(name) is t and dtype(numpy) is t and dtype(numpy.type) is t and dtype(t) is t and str(t) == name
    assert (t.bytes, t.bits, t.numpy) == (numpy.itemsize, 8 * numpy.itemsize, numpy)
    if t.is_int:
        assert (t.lowest, t.highest) == (np.iinfo(numpy).min, np.iinfo(numpy).max)
    if t.is_float:
        assert (t.lowest, t.highest) == (-np.inf, np.inf)


def test_dtypes_by_other_names() -> None:
    found = [dtype(spec).name for spec in ("f4", "<f8", "i8", "u1", "?", int, float, bool, np.half, np.intp)]
    assert found == ["float32", "float64", "int64", "uint8", "bool", "int64", "float64", "bool", "float16", "int64"]


@pytest.mark.parametrize(
    "spec", [None, "O", "U3", "(2,", "f4,i4", "3f4", "", 0, {}, "complex64", "datetime64[s]", "x" * 10_000]
)
def test_other_dtypes_are_refused(spec: Any) -> None:
    with pytest.raises(ps.DefinitionError, match="is not supported; supported are float16, float32,") as error:
        dtype(spec)
    assert len(str(error.value)) < 300


def test_the_other_byte_order_is_refused() -> None:
    with pytest.raises(ps.DefinitionError, match="dtype '>f4' is not supported in this byte order"):
        dtype(">f4")


def test_resolve_refuses_as_numpy_does() -> None:
    assert resolve("negative", (DTYPES["bool"],)) is None
    assert resolve("bitwise_and", (DTYPES["float32"], DTYPES["float32"])) is None
    result: tuple[DType, ...] | None = resolve("true_divide", (DTYPES["int8"], int))
    assert result is not None and result[-1].name == "float64"


def test_weak_results() -> None:
    assert (n + 1).weak and (-n).weak and ps.select(n > 1, n, 1).weak
    assert not (n > 1).weak and not ps.isnan(r).weak and not ps.cast("int64", n).weak
    assert not (element("int8") + 1).weak
