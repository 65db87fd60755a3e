"""Vectors stored between each other's elements go to memory together, and nothing else does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Expr, Size, const
from polysched.compute.operations import apply
from polysched.lower.ir import Load, Stmt, Store

n = Size("n")
COUNT = 20


@dataclass
class Case:
    """out[row, lane, part] = x[10 * part + lane] for the parts in an order, where a mask holds."""

    parts: tuple[int, ...]
    width: int
    lanes: int
    masked: bool = False

    def stores(self, lab: Any, x: Any, out: Any) -> list[Stmt]:
        ramp = lab.ramp(0, self.lanes)
        mask = apply("lt", ramp, n) if self.masked else None
        return [
            Store(out, (ramp, const(part)), Load(x, (apply("add", ramp, 10 * part),), mask), mask)
            for part in self.parts
        ]

    def expected(self, x: Any) -> Any:
        result = np.ones((COUNT, self.width), x.dtype)
        for part in self.parts:
            lanes = min(self.lanes, 5) if self.masked else self.lanes
            result[:lanes, part] = x[10 * part :][:lanes]
        return result


CASES = [
    *(Case(tuple(range(width)), width, lanes, masked)
      for width in (2, 4) for lanes in (3, 4, 16, 17) for masked in (False, True)),
    Case((1, 0), 2, 8), Case((0, 1, 3, 2), 4, 8), Case((0, 1, 2), 4, 8),
    *(Case(tuple(range(count)), width, lanes, masked)
      for count, width in ((3, 3), (14, 14), (4, 5), (17, 17), (6, 40))
      for lanes in (4, 16) for masked in (False, True)),
    Case(tuple(range(6)), 6, 12), Case((0, 1, 2, 3, 5), 6, 4), Case((1, 0, 2, 3, 4, 5), 6, 8),
]  # fmt: skip


@pytest.mark.parametrize("machine", ["NATIVE", "BASELINE"])
@pytest.mark.parametrize("name", ["int8", "bool", "float16", "float32", "uint64"])
def test_every_element_is_in_its_place(lab: Any, name: str, machine: str) -> None:
    random = np.random.default_rng(3)
    values = random.integers(0, 2 if name == "bool" else 100, 350).astype(DTYPES[name].numpy)
    x = lab.array("x", name, 350)
    outs = [lab.array(f"out{k}", name, COUNT, case.width, output=True) for k, case in enumerate(CASES)]
    body = [store for case, (_, out) in zip(CASES, outs, strict=True) for store in case.stores(lab, x[1], out)]
    kernel = lab.build(body, (x, *outs), (n,), machine=getattr(lab, machine))
    found = [np.ones((COUNT, case.width), values.dtype) for case in CASES]
    assert kernel(values, *found, sizes=(5,)) == 0
    for case, result in zip(CASES, found, strict=True):
        lab.assert_same_bits(result, case.expected(values), str(case))


def scatters(lab: Any, body: list[Stmt], arrays: Any) -> int:
    return sum(note.kind == "scatter" for note in lab.emit(body, arrays, (n,)).notes)


def test_what_is_beside_each_other_is_no_scatter(lab: Any) -> None:
    x = lab.array("x", "int8", 350)
    for case in CASES:
        out = lab.array("out", "int8", COUNT, case.width, output=True)
        together = case.parts == tuple(range(len(case.parts))) and (
            len(case.parts) == case.width if case.width in (2, 4) else case.lanes in (4, 8, 16)
        )
        assert (scatters(lab, case.stores(lab, x[1], out[1]), (x, out)) == 0) == together, case


def test_a_store_that_reads_what_the_others_write_waits_for_them(lab: Any) -> None:
    out = lab.array("out", "int32", 8, 2, output=True)
    ramp = lab.ramp(0, 4)

    def doubled(place: Expr) -> Expr:
        return apply("mul", Load(out[1], (ramp, place)), 2)

    body: list[Stmt] = [
        Store(out[1], (ramp, const(0)), doubled(const(1))), Store(out[1], (ramp, const(1)), doubled(const(0)))
    ]  # fmt: skip
    found = np.arange(16, dtype=np.int32).reshape(8, 2)
    expected = found.copy()
    expected[:4, 0] = 2 * expected[:4, 1]
    expected[:4, 1] = 2 * expected[:4, 0]
    assert lab.build(body, (out,))(found) == 0
    assert np.array_equal(found, expected)


def test_several_vectors_of_each_part_are_put_beside_each_other(lab: Any) -> None:
    """All vectors of the first part are stored before those of the second one."""
    x, out = lab.array("x", "int16", 350), lab.array("out", "int16", COUNT, 2, output=True)
    body: list[Stmt] = [
        Store(out[1], (lab.ramp(first, 8), const(part)), Load(x[1], (apply("add", lab.ramp(first, 8), 10 * part),)))
        for part in (0, 1)
        for first in (0, 8)
    ]
    assert scatters(lab, body, (x, out)) == 0
    values, found = np.arange(350, dtype=np.int16), np.zeros((COUNT, 2), np.int16)
    assert lab.build(body, (x, out), (n,))(values, found, sizes=(5,)) == 0
    assert np.array_equal(found[:16], np.stack([values[:16], values[10:26]], axis=1))


def test_stores_that_may_meet_stay_in_order(lab: Any) -> None:
    """The second and the third one write one element, and do not change places."""
    out = lab.array("out", "int16", COUNT, 2, output=True)
    places = ((0, 0), (1, 1), (0, 1), (1, 1))
    at = [const(0), n]
    body: list[Stmt] = [
        Store(out[1], (at[row], const(part)), const(value, DTYPES["int16"]))
        for value, (row, part) in enumerate(places, 1)
    ]
    found = np.zeros((COUNT, 2), np.int16)
    assert lab.build(body, (out,), (n,))(found, sizes=(0,)) == 0
    assert found[0].tolist() == [1, 4]
    assert lab.build(body[:3], (out,), (n,))(found, sizes=(0,)) == 0
    assert found[0].tolist() == [1, 3]
