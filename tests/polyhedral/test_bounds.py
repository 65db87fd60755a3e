"""Bounds proofs against trying all small sizes: none accepted wrongly, no affine one refused wrongly."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator

import pytest

import polysched as ps
from polysched.compute.expr import Axis, Expr, Size

from .enumerated import random_condition, random_index, value_of


def wrong(shape: Expr, index: Expr, guard: Expr, i: Axis, r: Axis) -> Iterator[tuple[int, int, int, int]]:
    """Instances (n, m, i, r) that leave the tensor."""
    for n, m in itertools.product(range(9), repeat=2):
        sizes = {"n": n, "m": m}
        extent = value_of(shape, {}, sizes)
        if extent < 0:
            continue  # there is no such tensor
        for a in range(value_of(i.upper, {}, sizes)):
            for b in range(value_of(r.lower, {i: a}, sizes), value_of(r.upper, {i: a}, sizes)):
                at = {i: a, r: b}
                if value_of(guard, at, sizes) and not 0 <= value_of(index, at, sizes) < extent:
                    yield n, m, a, b


def test_proofs_agree_with_enumeration() -> None:
    verdicts: Counter[bool] = Counter()
    for seed in range(160):
        rng = random.Random(seed)
        n, m = Size("n"), Size("m")
        shape = rng.choice([n, m + 0, n + rng.randint(0, 3), n + m, 2 * n, (m + 1) // 2, n - 1 + 0])
        T = ps.placeholder((shape,), "float32", name="T")
        seen: list[tuple[Axis, Axis, Expr, Expr]] = []

        def function(i: Axis, rng: random.Random = rng, T: ps.Tensor = T, n: Size = n, m: Size = m, shape: Expr = shape,
                     seen: list[tuple[Axis, Axis, Expr, Expr]] = seen) -> Expr:  # fmt: skip
            r = ps.reduce_axis(rng.choice([(0, m), (0, i + 1), (i, n), (i // 2, i + 2), (1, n)]), name="r")
            index = rng.choice([i, r, i + r, i - r, n - 1 - i, random_index(rng, [i, r, n], 1), i // 2 + r % 2])
            guard = rng.choice([
                i >= 0, (index >= 0) & (index < shape), index < shape, random_condition(rng, [i, r, n, m], 1),
                (index > -1) & ~(index >= shape) & (r != i), i < m,
            ])  # fmt: skip
            seen.append((i, r, index, guard))
            return ps.sum(ps.select(guard, T[index], 0), axis=r)

        try:
            ps.compute((n,), function, name="S")
            accepted = True
        except ps.BoundsError as error:
            accepted = False
            message = str(error)
        ((i, r, index, guard),) = seen
        bad = list(wrong(shape, index, guard, i, r))
        verdicts[accepted] += 1
        if accepted:
            assert not bad, f"seed {seed}: accepted, and leaves at (n, m, i, r) = {bad[0]}"
        else:
            a, b, c, d = min(bad, key=lambda point: (sum(point[:2]), point))
            used = {name for name in ("n", "m") if f"{name}=" in message.split("instance", maxsplit=1)[0]}
            assert bad, f"seed {seed}: refused, and never leaves: {message}"
            assert f"S[i={c}, r={d}]" in message, f"seed {seed}: {message}, where {(a, b, c, d)} is the smallest"
            assert all(f"{name}={value}" in message for name, value in (("n", a), ("m", b)) if name in used)
    assert min(verdicts[True], verdicts[False]) >= 30, "both outcomes are tried"


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32"])
def test_a_clamped_index_from_data_is_proven(dtype: str) -> None:
    n = Size("n", min=1)
    A, at = ps.placeholder((n,), "float32", name="A"), ps.placeholder((4,), dtype, name="at")
    table = ps.placeholder((10,), "float32", name="table")
    ps.compute((4,), lambda i: A[ps.clamp(at[i], 0, n - 1)], name="symbolic")
    ps.compute((4,), lambda i: table[ps.clamp(at[i], 0, 9)], name="literal")
    ps.compute((4,), lambda i: table[ps.cast("int64", at[i]) % 10], name="wrapped")
    with pytest.raises(ps.BoundsError):
        ps.compute((4,), lambda i: table[ps.clamp(at[i], 0, 10)], name="one_too_far")
    with pytest.raises(ps.BoundsError):
        ps.compute((4,), lambda i: table[at[i]], name="bare")


def test_a_uint64_may_be_negative_as_an_index() -> None:
    """What is at least 0 before it becomes an int64 may be -1 after it."""
    table = ps.placeholder((8,), "float32", name="table")
    for dtype in ("uint32", "int64"):
        at = ps.placeholder((4,), dtype, name="at")
        ps.compute((4,), lambda i, at=at: table[ps.minimum(ps.cast("int64", ps.maximum(at[i], 0)), 7)], name="fits")
    at = ps.placeholder((4,), "uint64", name="at")
    with pytest.raises(ps.BoundsError):
        ps.compute((4,), lambda i: table[ps.minimum(ps.cast("int64", ps.maximum(at[i], 0)), 7)], name="wraps")
