"""bfloat16: conversions rounded once, arithmetic in float32, one result under all schedules; arrays from everywhere."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import BFLOAT16, DTYPES, EVERY_DTYPE
from polysched.compute.operations import OPERATIONS, TRANSCENDENTAL, apply
from polysched.target import dlpack

ml_dtypes = pytest.importorskip("ml_dtypes")
Array = np.ndarray[Any, Any]
n = ps.size_var("n")
EVERY = np.arange(1 << 16).astype(np.uint16).view(ml_dtypes.bfloat16)
TARGETS = [ps.Target(name) for name in ("native", "x86-64-v2", "x86-64-v3")]


def bits(array: Array) -> Array:
    """The bits, with one pattern for all NaNs."""
    with np.errstate(all="ignore"):
        plain = np.where(np.isnan(array), np.array(np.nan, array.dtype), array) if array.dtype.kind in "fV" else array
    return plain.view(f"u{array.itemsize}") if array.dtype.kind in "fV" else plain


def kernels(outputs: list[ps.Tensor], targets: list[ps.Target] = TARGETS) -> list[ps.Kernel]:
    """One in scalars, and one in vectors for each target."""
    made = [ps.build(ps.Schedule(outputs), targets[0])]
    for target in targets:
        if target.can_run():
            schedule = ps.Schedule(outputs)
            for stage in outputs:
                schedule[stage].split("i", 24 if target is targets[0] else 32)
                schedule[stage].vectorize("i_i")
            made.append(ps.build(schedule, target))
    return made


def assert_all_give(outputs: list[ps.Tensor], inputs: dict[Any, Any], expected: list[Array]) -> None:
    for kernel in kernels(outputs):
        found = kernel(**{key.name: value for key, value in inputs.items()})
        for stage, a, b in zip(outputs, found if len(outputs) > 1 else (found,), expected, strict=True):
            assert a.dtype == b.dtype and np.array_equal(bits(a), bits(b)), stage


def nearest(x: Fraction | float) -> float:
    """The bfloat16 nearest to a number, ties to even, by its definition."""
    if not np.isfinite(float(x)) or x == 0:
        return float(x)
    exact = abs(Fraction(x))
    exponent = max(-133, _floor_log2(exact) - 7)
    steps = round(exact / Fraction(2) ** exponent)  # to even
    value = Fraction(steps) * Fraction(2) ** exponent
    return float("inf" if value >= Fraction(2) ** 128 else float(value)) * (1 if x > 0 else -1)


def _floor_log2(x: Fraction) -> int:
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if Fraction(2) ** guess <= x else guess - 1


def test_every_value_converts_exactly() -> None:
    A = ps.placeholder((n,), "bfloat16", name="A")
    outputs = [ps.compute((n,), lambda i, t=t: ps.cast(t, A[i]), name=f"to_{t}") for t in DTYPES]
    single = (EVERY.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    expected = ps.evaluate(outputs, {A: EVERY})
    with np.errstate(all="ignore"):
        for to, array in zip(DTYPES, expected, strict=True):
            if DTYPES[to].is_float:
                assert np.array_equal(bits(array), bits(single.astype(to)))
            elif DTYPES[to].is_int:
                low, high = int(DTYPES[to].lowest), int(DTYPES[to].highest)
                sane = np.flatnonzero(np.isfinite(single))[::37]
                assert [int(v) for v in array[sane]] == [max(low, min(high, int(v))) for v in single[sane]]
    assert_all_give(outputs, {A: EVERY}, list(expected))


@pytest.mark.parametrize("source", DTYPES)
def test_rounded_once(source: str) -> None:
    """Ties, what is next to them, and what two roundings would get wrong."""
    random = np.random.default_rng(1)
    x = ps.placeholder((n,), source, name="x")
    outputs = [ps.compute((n,), lambda i: ps.cast("bfloat16", x[i]), name="rounded")]
    dtype = DTYPES[source]
    if dtype.is_float:
        ties = (random.integers(0, 0x7F80, 400) << 16 | 0x8000).astype(np.uint32).view(np.float32).astype(np.float64)
        near = [ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf), ties * (1 + 2.0**-30)]
        near += [np.array([0.0, np.inf, np.nan, 3.39e38, 3.4e38, 1e300, 1e-300, 2.0**-134, 2.0**-133 * 1.5])]
        values = np.concatenate(near)
        with np.errstate(all="ignore"):
            values = np.concatenate([values, -values]).astype(source)
    elif dtype.is_int:
        some = random.integers(int(dtype.lowest), int(dtype.highest), 2000, dtype.numpy, endpoint=True)
        some >>= random.integers(0, dtype.bits, 2000).astype(dtype.numpy)
        ties = [s * ((257 << k) + e) for k in range(dtype.bits) for e in (-1, 0, 1) for s in (1, -1)]
        values = np.array([*some.tolist(), *(t for t in ties if dtype.lowest <= t <= dtype.highest)], dtype.numpy)
    else:
        values = np.array([False, True])
    expected = np.array([nearest(v) for v in values.tolist()], np.float32).astype(ml_dtypes.bfloat16)
    assert np.array_equal(bits(ps.evaluate(outputs[0], {x: values})), bits(expected))
    assert_all_give(outputs, {x: values}, [expected])


def test_operations_are_those_of_float32_rounded() -> None:
    random = np.random.default_rng(2)
    special = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 3.38e38, 1e-38, 1e-40, 0.5, 3], ml_dtypes.bfloat16)
    a, b = (x.ravel() for x in np.meshgrid(special, special))
    a = np.concatenate([a, random.permutation(EVERY)[:3000]])
    b = np.concatenate([b, random.permutation(EVERY)[:3000]])
    A, B = (ps.placeholder((n,), "bfloat16", name=name) for name in "AB")
    outputs = []
    for row in OPERATIONS.values():
        if row.name not in ("and", "or", "xor", "not", "shl", "shr"):
            define = lambda i, o=row: apply(o.name, *(A[i], B[i])[: o.arity])  # noqa: E731
            outputs.append(ps.compute((n,), define, name=f"{row.name}_"))
    outputs.append(ps.compute((n,), lambda i: ps.select(A[i] < B[i], A[i], B[i] * A[i] + 1.1), name="select_"))
    scalar, *vectors = (kernel(a, b) for kernel in kernels(outputs))
    for found in vectors:
        for stage, x, y in zip(outputs, scalar, found, strict=True):
            assert np.array_equal(bits(x), bits(y)), stage
    for stage, x, y in zip(outputs, scalar, ps.evaluate(outputs, {A: a, B: b}), strict=True):
        assert x.dtype == y.dtype
        name = stage.name[:-1]
        if name in TRANSCENDENTAL or name == "silu":
            with np.errstate(all="ignore"):
                assert np.allclose(x.astype(np.float32), y.astype(np.float32), 2**-7, 1e-38, equal_nan=True), stage
        else:
            same = (bits(x) == bits(y)) | ((x == 0) & (y == 0) if name in ("min", "max") else False)
            assert same.all(), stage
    # ml_dtypes computes in float32, too.
    with np.errstate(all="ignore"):
        for name, value in {"add_": a + b, "mul_": a * b, "truediv_": a / b, "sqrt_": np.sqrt(a)}.items():
            place = next(k for k, stage in enumerate(outputs) if stage.name == name)
            assert np.array_equal(bits(scalar[place]), bits(value)), name


def test_promotion_is_that_of_ml_dtypes() -> None:
    A = ps.placeholder((4,), "bfloat16", name="A")
    for other in DTYPES:
        B = ps.placeholder((4,), other, name="B")
        expected = np.promote_types(ml_dtypes.bfloat16, other)
        assert ps.compute((4,), lambda i, B=B: A[i] + B[i], name="C").dtype.numpy == expected
    assert ps.compute((4,), lambda i: A[i] * 2 + 0.1 - i, name="C").dtype == BFLOAT16
    assert ps.compute((4,), lambda i: A[i] + ml_dtypes.bfloat16(2), name="C").dtype == BFLOAT16
    assert ps.compute((4,), lambda i: ps.widening_mul(A[i], A[i]), name="C").dtype.name == "float32"


def test_products_accumulated_in_float32() -> None:
    """A matrix product of bfloat16 storage: in registers, the same bits, and those of float32."""
    r = ps.reduce_axis((0, n), name="r")
    A, B = ps.placeholder((n, n), "bfloat16", name="A"), ps.placeholder((n, n), "bfloat16", name="B")
    C = ps.compute((n, n), lambda i, j: ps.sum(ps.widening_mul(A[i, r], B[r, j]), axis=r), name="C")
    s = ps.Schedule(C)
    s[C].tile("i", "j", 4, 32)
    s[C].reorder("i_o", "j_o", "r", "i_i", "j_i")
    s[C].unroll("i_i")
    s[C].vectorize("j_i")
    random = np.random.default_rng(3)
    a, b = (random.normal(size=(37, 37)).astype(ml_dtypes.bfloat16) for _ in "ab")
    found = s.build()(a, b)
    assert np.array_equal(found, ps.Schedule(C).build()(a, b))
    assert np.allclose(found, a.astype(np.float32) @ b.astype(np.float32), 1e-5, 1e-5)


def test_reductions_and_scalars() -> None:
    r = ps.reduce_axis((0, n), name="r")
    A, x = ps.placeholder((n,), "bfloat16", name="A"), ps.scalar("x", "bfloat16")
    value = A[r] * x
    outputs = [
        ps.compute((), lambda f=f: f(value, axis=r), name=f"{f.__name__}_") for f in (ps.min, ps.max, ps.argmax, ps.sum)
    ]
    a = np.random.default_rng(4).normal(size=100).astype(ml_dtypes.bfloat16)
    y = ml_dtypes.bfloat16(1.5)
    expected = a * y
    total = ml_dtypes.bfloat16(0)
    for element in expected:
        total += element
    s = ps.Schedule(outputs)
    for stage in outputs[:2]:
        s[stage].split("r", 16)
        s[stage].vectorize("r_i")
    for found in (s.build()(a, y), s.build()(A=a, x=1.5), ps.Schedule(outputs).build()(a, np.float32(1.5))):
        assert [v[()] for v in found] == [expected.min(), expected.max(), expected.argmax(), total]
    with pytest.raises(ps.ArgumentError, match="which a bfloat16 cannot hold"):
        s.build()(a, 1e39)


class Exporter:
    """What torch does with a tensor of bfloat16: NumPy exports the bits, and the header says what they are."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        capsule = self.array.view(np.uint16).__dlpack__()
        dlpack._Tensor.from_address(dlpack._pointer(capsule, b"dltensor")).dtype.code = dlpack._BFLOAT
        return capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def test_arrays_through_dlpack() -> None:
    A = ps.placeholder((n, n), "bfloat16", name="A", strides="any")
    B = ps.compute((n, n), lambda i, j: A[i, j] * 2, name="B")
    kernel = ps.Schedule(B).build()
    a = np.random.default_rng(5).normal(size=(6, 6)).astype(ml_dtypes.bfloat16)
    for given in (a, a.T, a[::2, 1:4]):
        assert np.array_equal(kernel(Exporter(given)), given * 2)
    out = np.zeros((6, 6), ml_dtypes.bfloat16)
    kernel(Exporter(a), out=Exporter(out))
    assert np.array_equal(out, a * 2)
    assert kernel(Exporter(a[:0, :0])).shape == (0, 0)
    with pytest.raises(ps.ArgumentError, match="has the dtype uint16, and bfloat16 is expected"):
        kernel(a.view(np.uint16))
    with pytest.raises(ps.ArgumentError, match="has the dtype float16, and bfloat16 is expected"):
        kernel(a.astype(np.float16))


def test_memory_of_dlpack_lives_as_long_as_the_array() -> None:
    array = dlpack.bfloat16_array(Exporter(EVERY.copy()))
    assert array is not None
    assert np.array_equal(bits(array), bits(EVERY))
    assert dlpack.bfloat16_array(np.zeros(3, np.float32)) is None


def test_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ps.DefinitionError, match=r"pip install 'polysched\[bfloat16\]'"):
        ps.placeholder((n,), "bfloat16", name="A")
    assert "bfloat16" in EVERY_DTYPE and "bfloat16" not in DTYPES
