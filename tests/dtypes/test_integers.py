"""The integer and fixed-point operations against Python's integers: all pairs of 8 bits, edges and samples of others,
in scalars, in vectors of every width, and in masked tails."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES, DType
from polysched.compute.integers import INTEGER_OPERATIONS
from polysched.compute.tensor import Tensor
from polysched.lower.llvm.integers import _reciprocal

INTEGERS = [name for name, dtype in DTYPES.items() if dtype.is_int]
TARGETS = {name: ps.Target(name) for name in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "native")}
n = ps.size_var("n")


def limited(x: int, to: DType) -> int:
    return max(int(to.lowest), min(int(to.highest), x))


def unsigned(x: int, to: DType) -> int:
    return x % (1 << to.bits)


# What each operation is, of two numbers that have the type, or of the first of them.
EXACT: dict[str, Callable[[int, int, DType], int]] = {
    "saturating_add": lambda a, b, t: limited(a + b, t),
    "saturating_sub": lambda a, b, t: limited(a - b, t),
    "halving_add": lambda a, b, t: (a + b) // 2,
    "rounding_halving_add": lambda a, b, t: -((-a - b) // 2),
    "absd": lambda a, b, t: abs(a - b),
    "mul_hi": lambda a, b, t: a * b >> t.bits,
    "popcount": lambda a, _, t: unsigned(a, t).bit_count(),
    "count_leading_zeros": lambda a, _, t: t.bits - unsigned(a, t).bit_length(),
    "count_trailing_zeros": lambda a, _, t: (unsigned(a, t) & -unsigned(a, t)).bit_length() - 1 if a else t.bits,
    "floordiv": lambda a, b, t: wrapped(a // b, t) if b else 0,
    "mod": lambda a, b, t: a % b if b else 0,
    "shl": lambda a, b, t: wrapped(a << b, t) if 0 <= b < t.bits else 0,
    "shr": lambda a, b, t: a >> b if 0 <= b < t.bits else -(a < 0),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    **{name: getattr(ps, name) for name in ("saturating_add", "saturating_sub", "halving_add", "absd", "mul_hi")},
    "rounding_halving_add": ps.rounding_halving_add,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "shl": lambda a, b: a << b,
    "shr": lambda a, b: a >> b,
}
UNARY = {name: getattr(ps, name) for name in ("popcount", "count_leading_zeros", "count_trailing_zeros")}
WIDENING: dict[str, Callable[[int, int], int]] = {
    "widening_add": lambda a, b: a + b,
    "widening_sub": lambda a, b: a - b,
    "widening_mul": lambda a, b: a * b,
}


def wrapped(x: int, to: DType) -> int:
    x %= 1 << to.bits
    return x - (1 << to.bits) if x > to.highest else x


def counts(dtype: DType) -> tuple[int, ...]:
    return (0, dtype.bits - 1, dtype.bits)


def fixed_point(dtype: DType) -> dict[str, tuple[Callable[[Any, Any], Any], Callable[[int, int, DType], int]]]:
    """The operations with a literal count: their definition, and what they are."""
    made: dict[str, Any] = {}
    for count in counts(dtype):
        half = 1 << count >> 1
        made[f"rounding_shift_right_{count}"] = (
            lambda a, _, c=count: ps.rounding_shift_right(a, c),
            lambda a, _, t, c=count, h=half: a + h >> c,
        )
        if dtype.bits == 64:
            continue
        made[f"mul_shift_right_{count}"] = (
            lambda a, b, c=count: ps.mul_shift_right(a, b, c),
            lambda a, b, t, c=count: limited(a * b >> c, t),
        )
        made[f"rounding_mul_shift_right_{count}"] = (
            lambda a, b, c=count: ps.rounding_mul_shift_right(a, b, c),
            lambda a, b, t, c=count, h=half: limited(a * b + h >> c, t),
        )
    return made


def operands(lab: Any, dtype: DType) -> tuple[Any, Any]:
    """All pairs of 8 bits; of others all pairs of edges, and samples of all magnitudes."""
    if dtype.bits == 8:
        every = np.arange(int(dtype.lowest), int(dtype.highest) + 1).astype(dtype.numpy)
        a, b = np.meshgrid(every, every)
        return a.ravel().copy(), b.ravel().copy()
    a, b = lab.pairs(dtype)
    random = np.random.default_rng(dtype.bits)
    some = random.integers(int(dtype.lowest), int(dtype.highest), (2, 400), dtype.numpy, endpoint=True)
    some >>= random.integers(0, dtype.bits, (2, 400)).astype(dtype.numpy)
    return np.concatenate([a, some[0]]), np.concatenate([b, some[1]])


@pytest.mark.parametrize("name", INTEGERS)
def test_exact_at_every_width(lab: Any, name: str) -> None:
    dtype = DTYPES[name]
    a, b = operands(lab, dtype)
    A, B = ps.placeholder((n,), name, name="A"), ps.placeholder((n,), name, name="B")
    stages: dict[str, Tensor] = {}
    exact: dict[str, Callable[[int, int, DType], int]] = dict(EXACT)
    for key, make in (*BINARY.items(), *UNARY.items()):
        unary = key in UNARY
        stages[key] = ps.compute((n,), lambda i, m=make, u=unary: m(A[i]) if u else m(A[i], B[i]), name=key)
    for key, (define, meaning) in fixed_point(dtype).items():
        stages[key] = ps.compute((n,), lambda i, d=define: d(A[i], B[i]), name=key)
        exact[key] = meaning
    for key, meaning in WIDENING.items() if dtype.bits < 64 else ():
        stages[key] = ps.compute((n,), lambda i, k=key: getattr(ps, k)(A[i], B[i]), name=key)
        exact[key] = lambda a, b, t, m=meaning: m(a, b)
    numbers = list(zip(a.tolist(), b.tolist(), strict=True))
    expected = {
        key: np.array([exact[key](x, y, dtype) for x, y in numbers], stage.dtype.numpy) for key, stage in stages.items()
    }
    for key, reference in zip(stages, ps.evaluate(list(stages.values()), {A: a, B: b}), strict=True):
        lab.assert_same_bits(reference, expected[key], f"{key} by evaluate")
    lanes = 512 // dtype.bits
    short = ("x86-64-v2", 24) if dtype.kind == "int" else ("x86-64-v3", lanes // 2)
    for target, width in (("native", None), short, ("native", lanes)):
        if TARGETS[target].can_run():
            kernel = built(stages, width, target)
            for length in (len(a), 1, lanes - 1, 2 * lanes + 5):
                for key, found in zip(stages, kernel(a[:length], b[:length]), strict=True):
                    what = f"{key} of {length} {name} in {width} lanes on {target}"
                    lab.assert_same_bits(found, expected[key][:length], what)


def built(stages: dict[str, Tensor], width: int | None, target: str) -> ps.Kernel:
    schedule = ps.Schedule(list(stages.values()))
    for stage in stages.values():
        if width is not None:
            schedule[stage].split("i", width)
            schedule[stage].vectorize("i_i")
    return ps.build(schedule, TARGETS[target])


def test_every_operation_is_tested() -> None:
    counted = {name for name, row in INTEGER_OPERATIONS.items() if row.arity == 3}
    assert set(INTEGER_OPERATIONS) - counted <= set(EXACT)
    assert counted == {"mul_shift_right", "rounding_mul_shift_right"}


@pytest.mark.parametrize("name", DTYPES)
def test_saturating_casts(lab: Any, name: str) -> None:
    dtype = DTYPES[name]
    A = ps.placeholder((n,), name, name="A")
    values = [lab.edges(dtype)]
    for other in DTYPES.values() if dtype.is_int else ():
        values.append(np.array([limited(int(v), dtype) for v in lab.edges(other) if other.is_int], dtype.numpy))
    a = np.concatenate(values)
    outputs = {to: ps.compute((n,), lambda i, to=to: ps.saturating_cast(to, A[i]), name=f"to_{to}") for to in DTYPES}
    lab.check(outputs, {A: a})
    if dtype.is_int:
        for to, found in zip(outputs, ps.evaluate(list(outputs.values()), {A: a}), strict=True):
            if DTYPES[to].is_int:
                assert found.tolist() == [limited(x, DTYPES[to]) for x in a.tolist()]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations([t for t in INTEGERS if "64" not in t], 2)))
def test_widening_of_two_types(first: str, second: str) -> None:
    A, B = ps.placeholder((n,), first, name="A"), ps.placeholder((n,), second, name="B")
    limits = [np.array([int(t.lowest), 1, int(t.highest)], t.numpy) for t in (DTYPES[first], DTYPES[second])]
    a, b = (x.ravel() for x in np.meshgrid(*limits))
    for name, meaning in WIDENING.items():
        stage = ps.compute((n,), lambda i, k=name: getattr(ps, k)(A[i], B[i]), name=name)
        assert stage.dtype.bits == 2 * max(DTYPES[first].bits, DTYPES[second].bits)
        expected = [meaning(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        assert ps.evaluate(stage, {A: a, B: b}).tolist() == expected


def test_widening_of_floats_and_literals() -> None:
    H, B = ps.placeholder((3,), "float16", name="H"), ps.placeholder((3,), "uint8", name="B")
    product = ps.compute((3,), lambda i: ps.widening_mul(H[i], H[2]), name="product")
    half = ps.compute((3,), lambda i: ps.widening_mul(B[i], 200), name="half")
    axis = ps.compute((3,), lambda i: ps.saturating_add(B[i], ps.cast("uint8", i)), name="axis")
    h, b = np.array([1.001, 300, -2], np.float16), np.array([255, 1, 254], np.uint8)
    p, q, r = ps.Schedule([product, half, axis]).build()(h, b)
    assert product.dtype.name == "float32" and (p == h.astype(np.float32) * np.float32(-2)).all()
    assert half.dtype.name == "uint16" and q.tolist() == [51000, 200, 50800] and r.tolist() == [255, 2, 255]


@pytest.mark.parametrize("name", INTEGERS)
def test_divisions_by_constants(lab: Any, name: str) -> None:
    """Vectors multiply by reciprocals, or shift, and say nothing of lanes."""
    divisors = [
        0,
        1,
        2,
        3,
        7,
        10,
        64,
        127,
        -2,
        -7,
        -64,
        -128,
        255,
        1 << 15,
        -(1 << 15),
        -(1 << 31),
        (1 << 32) + 1,
        (1 << 63) - 1,
        -1,
        -3,
        -(1 << 62),
        -(1 << 63),
        (1 << 63) + 1,
        (1 << 64) - 1,
    ]
    dtype = DTYPES[name]
    A = ps.placeholder((n,), name, name="A")
    stages: dict[str, Tensor] = {}
    values, exact = [np.unique(operands(lab, dtype)[0])], []
    for place, divisor in enumerate(d for d in divisors if dtype.lowest <= d <= dtype.highest):
        near = [wrapped(divisor * k + off, dtype) for k in (1, 2, 3, 5, 1 << 20) for off in (-1, 0, 1)]
        near += [limited(int(dtype.highest) // (divisor or 1) * divisor + off, dtype) for off in (-1, 0)]
        values.append(np.array(near, dtype.numpy))
        by = ps.cast(name, divisor)
        stages[f"div{place}"] = ps.compute((n,), lambda i, by=by: A[i] // by, name=f"div{place}")
        stages[f"mod{place}"] = ps.compute((n,), lambda i, by=by: A[i] % by, name=f"mod{place}")
        exact += [lambda x, d=divisor: wrapped(x // d, dtype) if d else 0, lambda x, d=divisor: x % d if d else 0]
    a = np.concatenate(values)
    for width, target in ((None, "native"), (512 // dtype.bits, "native"), (256 // dtype.bits, "x86-64-v3")):
        kernel = built(stages, width, target)
        assert kernel.warnings == ()
        for found, meaning, stage in zip(kernel(a), exact, stages, strict=True):
            assert found.tolist() == [meaning(x) for x in a.tolist()], (stage, width, target)


@pytest.mark.parametrize("bits", [63, 64])
def test_reciprocals(bits: int) -> None:
    """The quotient is right at the multiples of the divisor and before them, where it would go wrong first."""
    random = np.random.default_rng(bits)
    divisors = {3, 5, 6, 7, 9, 11, 641, (1 << 62) + 1, (1 << 63) - 1, (1 << 63) + 1, (1 << 64) - 1}
    divisors |= {int(x) >> int(s) for x, s in zip(random.integers(1 << 63, size=500), range(500), strict=True)}
    for divisor in divisors:
        if divisor & (divisor - 1) == 0 or divisor >> bits:
            continue
        places, reciprocal = _reciprocal(divisor, bits)
        assert reciprocal >> 65 == 0 and (bits == 64 or reciprocal >> 64 == 0)
        last = ((1 << bits) - 1) // divisor * divisor
        for a in (0, 1, divisor - 1, divisor, last - 1, last, (1 << bits) - 1):
            if a >> bits == 0:
                assert a * reciprocal >> (64 + places) == a // divisor, (a, divisor)


def test_a_reciprocal_is_the_same_for_all_lanes() -> None:
    """By a variable it is not, and P004 says so where vectors would be slower."""
    A, B = ps.placeholder((n,), "int64", name="A"), ps.placeholder((n,), "int64", name="B")
    stage = {"quotient": ps.compute((n,), lambda i: A[i] // B[i], name="quotient")}
    assert [warning[:4] for warning in built(stage, 8, "x86-64-v3").warnings] == ["P004"]
    assert built(stage, 8, "x86-64-v4").warnings == ()


@pytest.mark.parametrize(
    ("define", "words"),
    [
        (ps.saturating_add, "saturating_add is not defined on int64 and float32"),
        (lambda a, f: ps.popcount(f), "popcount is not defined on float32"),
        (lambda a, f: ps.popcount(f > 0), "popcount is not defined on bool"),
        (lambda a, f: ps.absd(a, ps.cast("uint64", a)), "no integer type in common"),
        (lambda a, f: ps.saturating_add(ps.cast("int8", a), 128), "128 does not fit into int8"),
        (lambda a, f: ps.widening_mul(a, a), "no type of 128 bits"),
        (lambda a, f: ps.widening_mul(ps.cast("int32", a), f), "widening_mul is not defined on int32 and float32"),
        (lambda a, f: ps.mul_shift_right(a, a, 3), "integers of 8, 16 and 32 bits, not on int64"),
        (lambda a, f: ps.mul_shift_right(ps.cast("int8", a), 3, 9), "a number from 0 to the 8 of int8"),
        (lambda a, f: ps.rounding_mul_shift_right(ps.cast("int8", a), 3, a), "a number from 0 to the 8 of int8"),
        (lambda a, f: ps.rounding_shift_right(a, -1), "a number of at least 0 is expected"),
        (lambda a, f: ps.saturating_cast("int3", a), "dtype 'int3' is not supported"),
    ],
)
def test_refusals(define: Callable[[Any, Any], Any], words: str) -> None:
    A, F = ps.placeholder((n,), "int64", name="A"), ps.placeholder((n,), "float32", name="F")
    with pytest.raises(ps.DefinitionError, match=words):
        ps.compute((n,), lambda i: define(A[i], F[i]), name="C")


def test_printed_as_they_are_written() -> None:
    A = ps.placeholder((n,), "int16", name="A")
    seen: list[str] = []

    def define(i: Any) -> Any:
        value = ps.saturating_add(A[i], ps.mul_shift_right(A[i], 3, 15))
        seen.append(str(value))
        return value

    ps.compute((n,), define, name="C")
    assert seen == ["saturating_add(A[i], mul_shift_right(A[i], 3, 15))"]
