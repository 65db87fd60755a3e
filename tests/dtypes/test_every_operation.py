"""Every operation on every type, compiled as it is and in vectors: the same bits, and those of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.define import MAX_DEPTH
from polysched.compute.dtypes import DTYPES, DType
from polysched.compute.operations import OPERATIONS, TRANSCENDENTAL, apply
from polysched.compute.tensor import Tensor

ALL = pytest.mark.parametrize("name", DTYPES)
n = ps.size_var("n")


def ulps(name: str) -> int:
    """NumPy's own vectors of exp, log, sin, cos, tanh and pow are up to 4 ulp away from the C library's."""
    return 4 if any(name.startswith(f"{known}_") for known in TRANSCENDENTAL) else 0


def defined(outputs: dict[str, Tensor], name: str, function: Any) -> None:
    """Add a stage, where the operation is defined at all."""
    try:
        outputs[name] = ps.compute((n,), function, name=name)
    except ps.DefinitionError as error:
        if " is not defined" not in error.reason or name.startswith(("add", "lt", "select")):
            raise


def operands(name: str, other: str | None = None) -> tuple[Tensor, Tensor]:
    return ps.placeholder((n,), name, name="A"), ps.placeholder((n,), other or name, name="B")


@ALL
def test_operations(lab: Any, name: str) -> None:
    A, B = operands(name)
    a, b = lab.pairs(DTYPES[name])
    outputs: dict[str, Tensor] = {}
    for row in OPERATIONS.values():
        if row.arity == 1:
            defined(outputs, f"{row.name}_", lambda i, row=row: apply(row.name, A[i]))
        else:
            defined(outputs, f"{row.name}_", lambda i, row=row: apply(row.name, A[i], B[i]))
    defined(outputs, "select_", lambda i: ps.select(A[i] < B[i], A[i], B[i]))
    assert len(outputs) >= (12 if name == "bool" else 20)
    lab.check(outputs, {A: a, B: b}, ulps)


@ALL
def test_unrolled_operations(lab: Any, name: str) -> None:
    A, B = operands(name)
    a, b = lab.pairs(DTYPES[name])
    outputs: dict[str, Tensor] = {}
    for operation in ("add", "mul", "min", "lt", "floordiv", "shr"):
        defined(outputs, f"{operation}_", lambda i, o=operation: apply(o, A[i], B[i]))
    lab.check(outputs, {A: a, B: b}, ulps, lab.unrolled)


@ALL
def test_literals_and_scalars(lab: Any, name: str) -> None:
    """Python's numbers take on the type of the elements; scalars have their own."""
    dtype = DTYPES[name]
    A, x = ps.placeholder((n,), name, name="A"), ps.scalar("x", name)
    literal: Any = True if name == "bool" else 3
    outputs: dict[str, Tensor] = {}
    for operation in ("sub", "mul", "truediv", "floordiv", "mod", "max", "le", "xor", "shl"):
        defined(outputs, f"{operation}_literal", lambda i, o=operation: apply(o, A[i], literal))
        defined(outputs, f"{operation}_scalar", lambda i, o=operation: apply(o, x, A[i]))
    lab.check(outputs, {A: lab.edges(dtype), x: dtype.numpy.type(1 if name == "bool" else 5)}, ulps)


@ALL
def test_powers(lab: Any, name: str) -> None:
    A = ps.placeholder((n,), name, name="A")
    outputs = {f"pow_{e}": ps.compute((n,), lambda i, e=e: A[i] ** e, name=f"pow_{e}") for e in (0, 1, 2, 3, 7, 63)}
    lab.check(outputs, {A: lab.edges(DTYPES[name])}, ulps)


@ALL
def test_casts(lab: Any, name: str) -> None:
    A = ps.placeholder((n,), name, name="A")
    outputs = {to: ps.compute((n,), lambda i, to=to: ps.cast(to, A[i]), name=f"to_{to}") for to in DTYPES}
    lab.check(outputs, {A: cast_values(lab, DTYPES[name])})


def cast_values(lab: Any, dtype: DType) -> Any:
    """The edges of the type, and those of all others that it has."""
    values = [lab.edges(dtype)]
    for other in DTYPES.values():
        if dtype.is_float and other.is_int:
            with np.errstate(over="ignore"):
                limits = np.array([int(other.lowest), int(other.highest)], np.float64).astype(dtype.numpy)
                values += [limits, np.nextafter(limits, dtype.numpy.type(0)), limits * dtype.numpy.type(1.5)]
    if dtype.is_int and dtype.bits == 64:
        # Ties between floats, and sums just above them, which two roundings would get wrong.
        values.append(
            np.array(
                [(1 << 24) + 1, (1 << 53) + 1, (1 << 54) + 2, (1 << 60) + (1 << 36) + 1, 65519, 65520], dtype.numpy
            )
        )
    return np.concatenate(values)


@ALL
def test_mixed_types(lab: Any, name: str) -> None:
    """Operands of two types are converted as NumPy converts them; integers compare by value."""
    A = ps.placeholder((n,), name, name="A")
    arrays: dict[Any, Any] = {A: np.resize(lab.edges(DTYPES[name]), 13 * 30)}
    outputs: dict[str, Tensor] = {}
    for other in list(DTYPES)[: list(DTYPES).index(name)]:
        B = ps.placeholder((n,), other, name=f"B_{other}")
        arrays[B] = np.resize(np.repeat(lab.edges(DTYPES[other]), 13), 13 * 30)
        defined(outputs, f"add_{other}", lambda i, B=B: A[i] + B[i])
        defined(outputs, f"lt_{other}", lambda i, B=B: A[i] < B[i])
        defined(outputs, f"select_{other}", lambda i, B=B: ps.select(A[i] != 0, A[i], B[i]))
    if outputs:
        lab.check(outputs, arrays, sizes=(0, 1, 37))


@ALL
def test_axes_and_sizes_as_values(lab: Any, name: str) -> None:
    """An axis beside a narrow integer counts as an int64 and never wraps."""
    A = ps.placeholder((n,), name, name="A")
    outputs: dict[str, Tensor] = {}
    defined(outputs, "add_axis", lambda i: A[i] + i)
    defined(outputs, "lt_axis", lambda i: A[i] < i - 3)
    defined(outputs, "ge_axis", lambda i: i - 3 >= A[i])
    defined(outputs, "select_axis", lambda i: ps.select(i % 2 == 0, A[i], i))
    defined(outputs, "size", lambda i: n - i)
    defined(outputs, "mod_axis", lambda i: A[i] % (i + 1))
    outputs["axis_float"] = ps.compute((n,), lambda i: i / 3, name="axis_float")
    outputs["cast_axis"] = ps.compute((n,), lambda i: ps.cast(name, i * 100 - 150), name="cast_axis")
    lab.check(outputs, {A: np.resize(lab.edges(DTYPES[name]), 300)})


def test_data_of_64_bits_wraps(lab: Any) -> None:
    """What is true of integers is not true of those that wrap, and is not assumed of data."""
    A, B = operands("int64")
    outputs = {
        "later": ps.compute((n,), lambda i: A[i] + 1 > A[i], name="later"),
        "scaled": ps.compute((n,), lambda i: A[i] * 4 // 4, name="scaled"),
        "least": ps.compute((n,), lambda i: ps.minimum(A[i], A[i] + 1), name="least"),
        "rest": ps.compute((n,), lambda i: (A[i] * 4 + 3) % 4, name="rest"),
        "apart": ps.compute((n,), lambda i: A[i] + B[i] - (B[i] + A[i]) + A[i] * B[i], name="apart"),
        "divided": ps.compute((n,), lambda i: A[i] // B[i] * B[i] + A[i] % B[i], name="divided"),
        "big": ps.compute((n,), lambda i: (A[i] + 2**62) * 2**40 + i * 2**62, name="big"),
    }
    a, b = lab.pairs(DTYPES["int64"])
    lab.check(outputs, {A: a, B: b})


def test_shared_expressions(lab: Any) -> None:
    """What is written once is computed once, however often it is used."""
    A = ps.placeholder((n,), "int32", name="A")

    def squared(i: Any) -> Any:
        value = A[i]
        for _ in range(40):
            value = value * value + A[i]
        return ps.select(i % 2 == 0, value, -value)

    lab.check({"squared": ps.compute((n,), squared, name="squared")}, {A: lab.edges(DTYPES["int32"])})


def test_deep_expressions(lab: Any) -> None:
    """As deep as is accepted."""
    A = ps.placeholder((n,), "int32", name="A")

    def deep(i: Any) -> Any:
        value = A[i]
        for _ in range(MAX_DEPTH // 2 - 2):
            value = ~(value + A[i])
        return value

    lab.check({"deep": ps.compute((n,), deep, name="deep")}, {A: lab.edges(DTYPES["int32"])}, schedule=lab.unrolled)
    with pytest.raises(ps.DefinitionError, match="operations deep, and at most"):
        ps.compute((n,), lambda i: deep(i) + deep(i) * 2 + 3 - 1 ^ 2, name="deeper")
