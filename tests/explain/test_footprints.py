"""Footprints against enumeration: no iteration touches more, and where a box is called exact, one touches all of it."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

import polysched as ps
from polysched.compute.simplify import constant_value
from polysched.polyhedral import footprints
from polysched.polyhedral.isl import Map


def triangle() -> ps.Schedule:
    A, x = ps.placeholder((11, 11), "float32", name="A"), ps.placeholder((11,), "float32", name="x")
    r = ps.reduce_axis((0, 11), name="r")
    y = ps.compute((11,), lambda i: ps.sum(ps.select(r <= i, A[i, r] * x[r], 0.0), axis=r), name="y")
    s = ps.Schedule(y)
    s[y].split("i", 4)
    s[y].split("r", 3)
    s[y].reorder("r_o", "i_o", "i_i", "r_i")
    return s


def windows() -> ps.Schedule:
    X = ps.placeholder((13, 9), "float32", name="X")
    bx = ps.compute((13, 7), lambda i, j: X[i, j] + X[i, j + 2], name="bx")
    by = ps.compute((11, 7), lambda i, j: bx[i, j] + bx[i + 2, j], name="by")
    s = ps.Schedule(by)
    s[by].tile("i", "j", 4, 3)
    s[bx].compute_at(by, "j_o")
    return s


def strided() -> ps.Schedule:
    A = ps.placeholder((40,), "int32", name="A")
    B = ps.compute((12,), lambda i: A[3 * i] + A[3 * i + 1] - A[39 - 2 * i], name="B")
    s = ps.Schedule(B)
    s[B].split("i", 5)
    s[B].reorder("i_i", "i_o")
    return s


@pytest.mark.parametrize("make", [triangle, windows, strided])
def test_boxes_against_enumeration(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = 0
    box = footprints._Walker._box

    def enumerated(self: Any, relation: Map, frame: Any, shape: Any) -> Any:
        nonlocal checked
        extents, exact = box(self, relation, frame, shape)
        points: list[Any] = []
        relation.domain().foreach_point(points.append)
        world = self.program.world
        counts = [
            footprints.cardinality(relation.intersect_domain(type(relation.domain()).from_point(p)).range(), world, {})
            for p in points
        ]
        size = prod(constant_value(extent) or 0 for extent in extents)
        assert max(counts) <= size and exact == (max(counts) == size)
        checked += 1
        return extents, exact

    monkeypatch.setattr(footprints._Walker, "_box", enumerated)
    s = make()
    footprints.iterations_of(s.program, s.tree(), {})
    assert checked > 6


@pytest.mark.parametrize("make", [triangle, windows, strided])
def test_what_is_undecided_is_at_most_what_the_loop_around_touches(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s = make()
    exact = footprints.iterations_of(s.program, s.tree(), {})
    monkeypatch.setattr(footprints, "_SHARE", 10**9)
    bounds = footprints.iterations_of(s.program, s.tree(), {})
    pairs = list(zip(exact, bounds, strict=True))
    while pairs:
        found, bound = pairs.pop()
        for a, b in zip(found.footprints, bound.footprints, strict=True):
            assert a.tensor is b.tensor and not b.exact and a.depth <= b.depth and a.reads <= b.reads
            assert a.writes == b.writes and int(str(a.bytes)) <= int(str(b.bytes))
        for a, b in zip(found.instances, bound.instances, strict=True):
            assert not b.exact and int(str(a.count)) <= int(str(b.count))
        assert bound.iterations is None or bound.iterations == found.iterations
        pairs += zip(found.children, bound.children, strict=True)


@pytest.mark.parametrize("sizes", [{}, {"n": 300, "T": 20}])
def test_time_tiles_of_symbolic_sizes_are_explained(sizes: dict[str, int]) -> None:
    T, n = ps.size_var("T", min=1), ps.size_var("n", min=3)
    A, (t, i) = ps.placeholder((n,), "float32", name="A"), ps.axes("t i")
    u = ps.recurrence((T + 1, n), "float32", name="u")
    u[0, i] = A[i]
    inner = u[t, i] + 0.25 * (u[t, i - 1] - 2 * u[t, i] + u[t, i + 1])
    u[t + 1, i] = ps.select((i > 0) & (i < n - 1), inner, u[t, i])
    s = ps.Schedule(u[T])
    ps.recipes.time_tile(s[u], ps.Target("x86-64-v4", threads=2))
    explanation = s.explain("x86-64-v4", **sizes)
    assert all(level.iteration.footprints for nest in explanation.nests for level in nest.level.all_below())
    assert bool(sizes) == (explanation.nests[0].level.bytes is not None)
