"""Which loops are over waves that need not wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.polyhedral.doacross import doacross
from polysched.polyhedral.tree import loops_of, statements_below

TWO = ps.Target("native", threads=2)


def lines(*reads: int) -> ps.Schedule:
    """Lines over time, of the elements at these distances in the line before."""
    T, n = ps.size_var("T"), ps.size_var("n", min=1)
    A = ps.placeholder((n,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float64", name="u")
    u[0, i] = A[i]
    value: Any = 0.5 * u[t, i]
    for k in reads:
        value = value + ps.select((i + k >= 0) & (i + k < n), u[t, i + k], 0.25)
    u[t + 1, i] = value
    return ps.Schedule(u[T])


def marked(s: ps.Schedule) -> set[str]:
    """The loops over such waves; that over the plane of step 0 alone is always one."""
    tree = doacross(s.program, s.tree(), s.state.pairs)
    found = [node for node in loops_of(tree.root) if node.doacross]
    return {node.name for node in found if any(s.equation == 1 or s.rule is None for s in statements_below(node))}


def blocks(s: ps.Schedule) -> None:
    """Blocks of the line on threads, step after step."""
    s["u"].split("i", 4)
    s["u"].parallel("i_o")


def diamonds(s: ps.Schedule) -> None:
    ps.recipes.time_tile(s["u"], TWO, time=3, space=(5,))


@pytest.mark.parametrize(
    ("reads", "schedule", "found"),
    [
        ((-1, 1), diamonds, ["i_w"]),
        ((-1,), blocks, ["t"]),
        ((), blocks, ["t"]),
        ((-1, 1), blocks, []),  # blocks of a step need the next block of the step before
        ((1,), blocks, []),
    ],
)
def test_where_numbers_of_tiles_never_fall(
    reads: tuple[int, ...], schedule: Callable[[ps.Schedule], None], found: list[str]
) -> None:
    s = lines(*reads)
    schedule(s)
    assert marked(s) == set(found)
    kernel = s.build(TWO, cache=False)
    assert ("doacross for" in kernel.source("loops")) == bool(found)
    given = np.random.default_rng(1).random(67)
    expected = lines(*reads).build()(given, T=11)
    for _ in range(3):
        np.testing.assert_array_equal(kernel(given, T=11), expected)


def test_what_shares_a_cell_is_in_order_too() -> None:
    """Of two lines, one is overwritten two steps later: by a block that must wait for the readers in the next one."""
    s = lines(-1)
    blocks(s)
    assert marked(s) == {"t"}
    s["u"].fold_storage("t", 2)
    assert marked(s) == set()


def test_memory_of_a_wave_is_not_shared_with_the_next() -> None:
    """What one iteration of a loop has for itself is one block of memory for all of them."""
    n = ps.size_var("n", min=1)
    A = ps.placeholder((n, n), "float64", name="A")
    B = ps.compute((n, n), lambda i, j: 2.0 * A[i, j], name="B")
    C = ps.compute((n, n), lambda i, j: B[i, j] + 1.0, name="C")
    s = ps.Schedule(C)
    s[C].parallel("j")
    assert marked(s) == {"i"}
    s[B].compute_at(s[C], "j")
    s[B].store_at(s[C], "i")
    assert marked(s) == set()
