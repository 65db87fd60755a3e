"""Ranges of values against what values there are: whatever narrow accepts has the bits that it had."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

import polysched as ps
from polysched.compute.expr import Axis, Expr
from polysched.compute.extremes import limits
from polysched.compute.tensor import Tensor
from polysched.polyhedral import value_bounds
from polysched.polyhedral.invariants import Cells, Unknown
from polysched.polyhedral.isl import PwAff
from polysched.polyhedral.value_ranges import Ranges

TYPES = ("int8", "uint8", "int16", "uint16")


def narrowed(schedule: ps.Schedule, stage: Tensor, dtype: str) -> tuple[ps.Schedule, str] | None:
    """The schedule with a narrow stage, for all sizes or for those that the refusal names; None where it names none."""
    refusal = schedule[stage].why_not("narrow", dtype)
    if refusal is None:
        schedule[stage].narrow(dtype)
        return schedule, ""
    if 'specialize("' not in str(refusal):
        return None
    condition = str(refusal).split('specialize("')[1].split('")')[0]
    branch = schedule.specialize(condition)
    branch[stage].narrow(dtype)
    return branch, condition


def most(condition: str) -> int:
    """The largest n that a condition allows, up to 300, with inputs for which it may hold."""
    sizes = [part for part in condition.split(" & ") if "min(" not in part and "max(" not in part]
    return max((n for n in range(301) if eval(" & ".join(sizes) or "True", {"n": n})), default=0)


def within(values: list[int], tensor: Tensor, schedule: ps.Schedule) -> np.ndarray:
    """Those of some values that elements of a tensor may have."""
    low, high = limits(schedule.condition).get(tensor.uid, (int(tensor.dtype.lowest), int(tensor.dtype.highest)))
    return np.unique(np.clip(values, low, high)).astype(tensor.dtype.name)


def random_value(rng: random.Random, leaves: list[Expr], depth: int) -> Expr:
    if depth == 0:
        return rng.choice([*leaves, ps.cast("int32", rng.randint(-40, 40))])
    a, b = (random_value(rng, leaves, depth - 1 - rng.randint(0, 1) * (depth > 1)) for _ in range(2))
    divisor = rng.randint(1, 9)
    made = [
        lambda: a + b,
        lambda: a - b,
        lambda: ps.min(a, b),
        lambda: ps.max(a, b),
        lambda: a * rng.choice((-3, 2, 5)),
        lambda: ps.select(a > b, a, b + 1),
        lambda: ps.select(a == 7, b, a),
        lambda: abs(a),
        lambda: a // divisor,
        lambda: a % divisor,
        lambda: a & 63,
        lambda: a >> rng.randint(0, 3),
        lambda: -a,
        lambda: a * b,
    ]
    return rng.choice(made)()


def test_what_is_accepted_has_the_same_values() -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(90):
        rng = random.Random(seed)
        n = ps.size_var("n")
        types = ("uint8", "int8") if seed % 3 else ("uint16", "int32")
        u, v = (ps.placeholder((n,), dtype, name=name) for name, dtype in zip("uv", types, strict=True))

        def body(i: Axis, rng: random.Random = rng, u: Tensor = u, v: Tensor = v) -> Expr:
            leaves = [ps.cast("int32", u[i]), ps.cast("int32", v[i]), ps.cast("int32", i)]
            return random_value(rng, leaves, 3)

        B = ps.compute((n,), body, name="B")
        C = ps.compute((n,), lambda i, B=B: B[i], name="C")
        found = narrowed(ps.Schedule(C), B, rng.choice(TYPES))
        size = 0 if found is None else most(found[1])
        verdicts["none" if size == 0 else "some" if size < 300 else "all"] += 1
        verdicts["inputs"] += found is not None and "(" in found[1]
        if found is None:
            continue
        data = np.random.default_rng(seed)
        given = {
            n: size,
            u: data.choice(within([0, 1, 7, 254, 255, 65535], u, found[0]), size),
            v: data.choice(within([-(2**31), -128, -1, 0, 7, 127, 2**31 - 1], v, found[0]), size),
        }
        narrow = found[0][B].tensor
        assert narrow.dtype.name in TYPES
        np.testing.assert_array_equal(ps.evaluate(narrow, given), ps.evaluate(B, given), err_msg=f"seed {seed}")
    assert min(verdicts[kind] for kind in ("none", "some", "all")) >= 5, verdicts
    assert verdicts["inputs"] >= 3


def random_cells(rng: random.Random, cells: list[Expr], match: Expr, depth: int) -> Expr:
    if depth == 0:
        return rng.choice(cells) + rng.choice([match, ps.cast("int32", rng.randint(-3, 3))])
    a, b = random_cells(rng, cells, match, depth - 1), random_cells(rng, cells, match, depth - 1)
    made = [
        lambda: ps.max(a, b),
        lambda: ps.min(a, b),
        lambda: ps.select(match == 2, a, b),
        lambda: ps.max(ps.min(a, 100), b - 1),
        lambda: ps.select(a < b, b, a - 1),
        lambda: ps.max(a, 0),
    ]
    return rng.choice(made)()


def test_inductive_bounds_hold() -> None:
    verdicts: Counter[str] = Counter()
    for seed in range(12):
        rng = random.Random(seed)
        n = ps.size_var("n")
        a = ps.placeholder((n,), "uint8", name="a")
        i, j = ps.axes("i j")
        H = ps.recurrence((n + 1, n + 1), "int32", name="H")
        H[0, j] = rng.choice([ps.cast("int32", 0), ps.cast("int32", j), ps.cast("int32", -2 * j)])
        H[i + 1, 0] = rng.choice([ps.cast("int32", 0), ps.cast("int32", i + 1)])
        match = ps.select(a[i] == a[j], ps.cast("int32", 2), ps.cast("int32", -1))
        H[i + 1, j + 1] = random_cells(rng, [H[i, j], H[i, j + 1], H[i + 1, j]], match, rng.randint(1, 2))
        C = ps.compute((n + 1, n + 1), lambda i, j, H=H: H[i, j], name="C")
        found = narrowed(ps.Schedule(C), H, "int8")
        if found is None:
            verdicts["refused"] += 1
            continue
        size = min(most(found[1]), 40)
        verdicts["some" if size > 3 else "few"] += 1
        for letters in (1, 2):
            given = {n: size, a: np.random.default_rng(seed).integers(0, letters, size, np.uint8)}
            own, whole = (ps.evaluate(t, given) for t in (found[0][H].tensor, H))
            assert own.dtype == np.int8
            np.testing.assert_array_equal(own, whole, err_msg=f"seed {seed}")
    assert verdicts["some"] >= 6, verdicts


@pytest.mark.parametrize(("dtype", "size"), [("int8", 42), ("int16", 10922)], ids=["bytes", "words"])
def test_the_score_of_an_alignment_fits_up_to_its_longest_match(dtype: str, size: int) -> None:
    n, m = ps.size_var("n"), ps.size_var("m")
    a, b = ps.placeholder((n,), "int32", name="a"), ps.placeholder((m,), "int32", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((n + 1, m + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select(a[i] == b[j], ps.cast("int32", 3), ps.cast("int32", -3))
    H[i + 1, j + 1] = ps.max(ps.max(H[i, j] + match, 0), ps.max(H[i, j + 1], H[i + 1, j]) - 2)
    s = ps.Schedule(ps.compute((n + 1,), lambda i: H[i, m], name="last"))
    found = narrowed(s, H, dtype)
    assert found is not None
    assert found[1] == f"n <= {size}"
    with pytest.raises(ps.ScheduleError, match=rf"at most {3 * (size + 1)} at n={size + 1}, m={size + 1}"):
        s.specialize(f"n <= {size + 1}")[H].narrow(dtype)


def test_a_bound_that_is_guessed_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no values beyond 0 before, none is beyond 2, and all would fit: but then 2 is before."""
    n = ps.size_var("n")
    (i,) = ps.axes("i")
    x = ps.recurrence((n + 1,), "int32", name="x")
    x[0] = 0
    x[i + 1] = x[i] + 2

    def zero(system: Sequence[Cells], ranges: Ranges, unknown: Sequence[Unknown]) -> Iterator[dict[Unknown, PwAff]]:
        frame = ranges.frame(system[0].stage, system[0].equation, reducing=False)
        yield dict.fromkeys(unknown, frame.const(0))

    monkeypatch.setattr(value_bounds, "invariants", zero)
    s = ps.Schedule(ps.compute((n,), lambda i: x[i], name="y"))
    with pytest.raises(ps.ScheduleError, match="fit for n == 0"):
        s[x].narrow("int8")
