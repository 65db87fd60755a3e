"""Recurrences that mean nothing, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import polysched as ps

T, N = ps.size_var("T"), ps.size_var("N", min=1)
t, i, j = ps.axes("t i j")
A = ps.placeholder((N,), "float64", name="A")
Define = Callable[[ps.Recurrence], Any]


def line() -> ps.Recurrence:
    return ps.recurrence((N,), "float64", name="u")


def plane() -> ps.Recurrence:
    return ps.recurrence((T + 1, N), "float64", name="u")


def undefined(u: ps.Recurrence) -> None:
    u[0, i] = A[i]
    u[t + 1, i + 1] = u[t, i]


def twice(u: ps.Recurrence) -> None:
    u[0, i] = A[i]
    u[t, i] = 0.0


def nothing(u: ps.Recurrence) -> None:
    del u


def itself(u: ps.Recurrence) -> None:
    u[i] = 0.5 * u[i]


def itself_in_a_sum(u: ps.Recurrence) -> None:
    r = ps.reduce_axis((0, i + 1), name="r")
    u[i] = ps.sum(u[r], axis=r)


def circle_of_two(u: ps.Recurrence) -> None:
    u[i] = 0.5 * u[N - 1 - i]


def neighbours_now(u: ps.Recurrence) -> None:
    u[0, i] = A[i]
    u[t + 1, i] = ps.select(i > 0, u[t + 1, i - 1], 0.0) + ps.select(i < N - 1, u[t + 1, i + 1], 0.0)


def outside(u: ps.Recurrence) -> None:
    u[0, i] = A[i]
    u[t + 1, i] = u[t, i + 1]


def range_outside(u: ps.Recurrence) -> None:
    (k,) = ps.axes("k", k=(0, N + 1))
    u[k] = A[0]


def region_by_data(u: ps.Recurrence) -> None:
    u.define(i, 0.0, where=A[i] > 0)


def other_type(u: ps.Recurrence) -> None:
    u[i] = ps.cast("float32", A[i])


def too_few_indices(u: ps.Recurrence) -> None:
    u[t, i, j] = 0.0


def another_axis(u: ps.Recurrence) -> None:
    u[i] = A[j]


def undetermined(u: ps.Recurrence) -> None:
    u[0, i + j] = 0.0


def two_reductions(u: ps.Recurrence) -> None:
    r, s = ps.reduce_axis((0, N), name="r"), ps.reduce_axis((0, N), name="s")
    u[i] = ps.sum(A[r], axis=r) + ps.sum(A[s], axis=s)


def narrower_sum(u: ps.Recurrence) -> None:
    r = ps.reduce_axis((0, N), name="r")
    u[i] = 1.0 + ps.cast("float64", ps.sum(ps.cast("float32", A[r]), axis=r))


def no_order_found(u: ps.Recurrence) -> None:
    """Even cells from the left, odd ones from the right: there is an order, but of no loops over all of the cells."""
    u[i] = ps.select(i % 2 == 0, ps.select(i > 1, u[i - 2], 0.0), ps.select(i < N - 2, u[i + 2], 0.0))


def itself_late(u: ps.Recurrence) -> None:
    u.define(i, A[i], where=i != 11)
    u.define(i, 0.5 * u[i], where=i == 11)


def circle_of_two_late(u: ps.Recurrence) -> None:
    u.define(i, A[i], where=(i != 0) & (i != 15))
    u.define(i, ps.select(N > 20, u[15], 0.0), where=i == 0)
    u.define(i, u[0], where=i == 15)


def plane_of_an_axis(u: ps.Recurrence) -> None:
    u[0, i] = A[i]
    u[t + 1, i] = u[t]


def constant_outside(u: ps.Recurrence) -> None:
    u[5] = 0.0
    u.define(i, A[i], where=i != 5)


def an_index_and_a_value(u: ps.Recurrence) -> None:
    r = ps.reduce_axis((0, N), name="r")
    u[i] = 1.0 + ps.cast("float64", ps.argmax(A[r], axis=r))


WRONG: dict[str, tuple[Callable[[], ps.Recurrence], Define]] = {
    define.__name__: (make, define)
    for make, define in (
        *((plane, d) for d in (undefined, twice, neighbours_now, outside, too_few_indices, undetermined)),
        (plane, plane_of_an_axis),
        *((line, d) for d in (nothing, itself, itself_in_a_sum, circle_of_two, range_outside, region_by_data)),
        *((line, d) for d in (itself_late, circle_of_two_late, constant_outside, an_index_and_a_value)),
        *((line, d) for d in (other_type, another_axis, two_reductions, narrower_sum, no_order_found)),
    )
}


def message(make: Callable[[], ps.Recurrence], define: Define) -> str:
    u = make()

    def used() -> ps.Schedule:
        define(u)
        return ps.Schedule(u)

    with pytest.raises(ps.PolyschedError) as wrong:
        used()
    assert type(wrong.value) in (ps.DefinitionError, ps.BoundsError)
    return f"{type(wrong.value).__name__}: {wrong.value.reason}"


def test_messages(expect: Callable[[str, str], None]) -> None:
    parts = [f"{name}\n    {message(*case)}" for name, case in WRONG.items()]
    expect("wrong_definitions.txt", "\n\n".join(parts))
