"""Loads and stores of every shape: side by side, backwards, in steps, gathered, masked, and never beyond."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES, INDEX
from polysched.compute.expr import Cast, Const, Expr, Op, Size, const
from polysched.compute.operations import apply
from polysched.lower.ir import Block, For, Let, Load, Stmt, Store, Var

LANES = (1, 3, 4, 8, 16, 17)
COUNT = 128
n = Size("n")

# What the index of a lane is, as an expression of a ramp and as numbers; n is 5, and `at` holds a permutation.
PATTERNS: dict[str, Any] = {
    "side by side": (lambda ramp, at: apply("add", ramp, 3), lambda lane, at: lane + 3),
    "backwards": (lambda ramp, at: apply("sub", 99, ramp), lambda lane, at: 99 - lane),
    "negated": (lambda ramp, at: apply("add", apply("neg", ramp), apply("mul", n, 10)), lambda lane, at: 50 - lane),
    "step 2": (lambda ramp, at: apply("mul", ramp, 2), lambda lane, at: lane * 2),
    "step 3": (lambda ramp, at: apply("add", apply("mul", 3, ramp), 1), lambda lane, at: lane * 3 + 1),
    "step 4": (lambda ramp, at: apply("mul", ramp, 4), lambda lane, at: lane * 4),
    "step 5": (lambda ramp, at: apply("mul", ramp, 5), lambda lane, at: lane * 5),
    "step -2": (lambda ramp, at: apply("sub", 60, apply("add", ramp, ramp)), lambda lane, at: 60 - 2 * lane),
    "step n": (lambda ramp, at: apply("mul", apply("add", ramp, 1), n), lambda lane, at: lane * 5 + 5),
    "pairs": (lambda ramp, at: apply("floordiv", ramp, 2), lambda lane, at: lane // 2),
    "gathered": (lambda ramp, at: apply("add", Cast(at(ramp), INDEX), n), lambda lane, at: at[lane] + 5),
    "gathered steps": (lambda ramp, at: apply("add", apply("mul", Cast(at(ramp), INDEX), n), ramp),
                       lambda lane, at: at[lane] * 5 + lane),
    "one place": (lambda ramp, at: apply("add", apply("mul", ramp, 0), 7), lambda lane, at: lane * 0 + 7),
}  # fmt: skip
MASKS: dict[str, Any] = {
    "all": (lambda ramp, flag: None, lambda lane, flag: lane >= 0),
    "flags": (lambda ramp, flag: flag(ramp), lambda lane, flag: flag[lane]),
    "tail": (lambda ramp, flag: apply("lt", ramp, n), lambda lane, flag: lane < 5),
    "head": (lambda ramp, flag: apply("ge", apply("add", ramp, 1), n), lambda lane, flag: lane + 1 >= 5),
    "none": (lambda ramp, flag: apply("lt", n, 5), lambda lane, flag: lane < 0),
    "yes": (lambda ramp, flag: apply("eq", n, 5), lambda lane, flag: lane >= 0),
}


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        *((name, "NATIVE") for name in ("float16", "float32", "float64", "int8", "int32", "uint64", "bool")),
        *((name, "BASELINE") for name in ("float16", "float32", "int8")),
    ],
)
def test_patterns(lab: Any, name: str, machine: str) -> None:
    random = np.random.default_rng(3)
    dtype = DTYPES[name]
    x = lab.array("x", name, COUNT)
    at, flag = lab.array("at", "int8", 20), lab.array("flag", "bool", 20)
    cases = [
        (pattern, mask, lanes)
        for pattern in PATTERNS
        for mask in MASKS
        for lanes in ((1, 3, 4) if machine == "BASELINE" else LANES if name == "float32" else (1, 4, 17))
    ]
    loaded = lab.array("loaded", name, len(cases), 17, output=True)
    stored = lab.array("stored", name, len(cases), COUNT, output=True)
    body: list[Stmt] = []
    for row, (pattern, mask_name, lanes) in enumerate(cases):
        ramp = lab.ramp(0, lanes)
        index = PATTERNS[pattern][0](ramp, lambda r: Load(at[1], (r,)))
        mask = MASKS[mask_name][0](ramp, lambda r: Load(flag[1], (r,)))
        body.append(Store(loaded[1], (const(row), ramp), Load(x[1], (index,), mask)))
        body.append(Store(stored[1], (const(row), index), Load(x[1], (ramp,)), mask))
    kernel = lab.build(body, (x, at, flag, loaded, stored), (n,), machine=getattr(lab, machine))
    values = random.integers(0, 100, COUNT).astype(dtype.numpy)
    places, flags = random.permutation(20).astype(np.int8), random.integers(0, 2, 20).astype(bool)
    found = np.full((len(cases), 17), 1, dtype.numpy), np.full((len(cases), COUNT), 1, dtype.numpy)
    assert kernel(values, places, flags, *found, sizes=(5,)) == 0
    expected = np.full_like(found[0], 1), np.full_like(found[1], 1)
    for row, (pattern, mask_name, lanes) in enumerate(cases):
        lane = np.arange(lanes)
        index = PATTERNS[pattern][1](lane, places.astype(np.int64))
        active = MASKS[mask_name][1](lane, flags)
        expected[0][row, :lanes] = np.where(active, values[index], np.zeros_like(values[:1]))
        for one in lane[active]:
            expected[1][row, index[one]] = values[one]
        lab.assert_same_bits(found[0][row], expected[0][row], f"load {cases[row]}")
        lab.assert_same_bits(found[1][row], expected[1][row], f"store {cases[row]}")


def test_two_dimensions_and_strides(lab: Any) -> None:
    """Rows, columns and diagonals of arrays with row-major and with given strides, also through lets."""
    m = Size("m")
    x, y = lab.array("x", "float32", n, m), lab.array("y", "float32", n, m, strides="any")
    i, shifted = Var("i"), Var("shifted")
    ramp = lab.ramp(0, 4)
    column, row = apply("add", shifted, ramp), apply("add", ramp, 1)
    places = [(i, column), (row, i), (row, column), (apply("sub", n, row), apply("add", i, 0))]
    out = lab.array("out", "float32", 2, 3, len(places), 4, output=True)
    stores = tuple(
        Store(out[1], (const(which), i, const(case), ramp), Load(buffer, place))
        for which, buffer in enumerate((x[1], y[1]))
        for case, place in enumerate(places)
    )
    body = For(i, const(0), const(3), Let(shifted, apply("add", i, 2), Block(stores)))
    kernel = lab.build(body, (x, y, out), (n, m))
    a = np.random.default_rng(4).random((9, 11), np.float32)
    b = np.ascontiguousarray(a[::-1, ::-1].T)[::-1, ::-1].T  # the values of a, all strides other than a's
    assert (b == a).all()
    found = np.zeros((2, 3, len(places), 4), np.float32)
    assert kernel(a, b, found, sizes=(9, 11)) == 0
    lane = np.arange(4)
    for first in range(3):
        expected = [
            a[first, first + 2 + lane],
            a[lane + 1, first],
            a[lane + 1, first + 2 + lane],
            a[9 - lane - 1, first],
        ]
        for case, values in enumerate(expected):
            for which in range(2):
                lab.assert_same_bits(found[which, first, case], values, f"{case}")


def test_strides_may_be_named_by_the_buffer(lab: Any) -> None:
    parameter, buffer = lab.array("x", "int32", 3, 4, strides="any")
    named = replace(buffer, strides=(Var("rows"), Var("columns")))
    out = lab.array("out", "int32", 3, output=True)
    i = Var("i")
    body = For(i, const(0), const(3), Store(out[1], (i,), Load(named, (i, apply("add", i, 1)))))
    x = np.arange(12, dtype=np.int32).reshape(4, 3).T
    found = np.zeros(3, np.int32)
    assert lab.build(body, ((parameter, named), out))(x, found) == 0
    assert (found == [x[0, 1], x[1, 2], x[2, 3]]).all()


def test_comparisons_of_indices_are_exact(lab: Any) -> None:
    """Ramps compare as one narrow comparison; bounds far away must not wrap in it."""
    bounds = [0, 1, 5, 16, 17, 300, -1, -300, 1 << 31, -(1 << 31), (1 << 62), -(1 << 62), 70000]
    i = Var("i")
    comparisons = ("lt", "le", "gt", "ge", "eq", "ne")
    ramps = {
        "up": (lambda r: r, lambda v: v),
        "down": (lambda r: apply("sub", 7, r), lambda v: 7 - v),
        "steep": (lambda r: apply("mul", r, 1000), lambda v: v * 1000),
        "flat": (lambda r: apply("mul", r, 0), lambda v: v * 0),
    }
    out = lab.array("out", "bool", len(bounds), len(ramps), len(comparisons), 2, 17, output=True)
    at = lab.array("at", "int64", len(bounds))
    bound = Var("bound")
    stores: list[Stmt] = [
        Store(
            out[1], (i, const(r), const(c), const(s), lab.ramp(0, 17)), apply(name, *(pair if s == 0 else pair[::-1]))
        )
        for r, (ramp, _) in enumerate(ramps.values())
        for c, name in enumerate(comparisons)
        for s in (0, 1)
        for pair in [(ramp(lab.ramp(0, 17)), apply("add", bound, 0))]
    ]
    body = For(i, const(0), const(len(bounds)), Let(bound, Load(at[1], (i,)), Block(tuple(stores))))
    found = np.zeros((len(bounds), len(ramps), len(comparisons), 2, 17), np.bool_)
    assert lab.build(body, (at, out))(np.array(bounds), found) == 0
    numpy = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}
    for b, limit in enumerate(bounds):
        for r, (_, value) in enumerate(ramps.values()):
            for c, name in enumerate(comparisons):
                pair = value(np.arange(17)), np.full(17, limit)
                assert (found[b, r, c, 0] == getattr(np, numpy[name])(*pair)).all(), (limit, r, name)
                assert (found[b, r, c, 1] == getattr(np, numpy[name])(*pair[::-1])).all(), (limit, r, name)


class Guarded:
    """Elements that end (and begin) at pages that may not be touched."""

    def __init__(self, dtype: Any, count: int) -> None:
        page, size = mmap.PAGESIZE, count * np.dtype(dtype).itemsize
        inner = -(-size // page) * page
        self.memory = mmap.mmap(-1, inner + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None)
        for edge in (start, start + page + inner):
            assert libc.mprotect(ctypes.c_void_p(edge), page, 0) == 0  # PROT_NONE
        whole = np.frombuffer(self.memory, np.uint8)
        self.last = whole[page + inner - size : page + inner].view(dtype)
        self.first = whole[page : page + size].view(dtype)


@pytest.mark.parametrize("name", ["uint8", "float16", "float32", "float64"])
def test_nothing_is_touched_beyond_the_lanes(lab: Any, name: str) -> None:
    """Steps, tails and heads right beside protected pages."""
    for lanes in (3, 8, 16, 17):
        for step in (1, 2, 3, 4, 5):
            touched = step * (lanes - 1) + 1
            x, out = lab.array("x", name, touched), lab.array("out", name, lanes, output=True)
            body: list[Stmt] = [
                Store(out[1], (lab.ramp(0, lanes),), Load(x[1], (apply("mul", lab.ramp(0, lanes), step),))),
                Store(out[1], (lab.ramp(0, lanes),), Load(x[1], (apply("sub", touched - 1, lab.ramp(0, lanes)),))),
            ]
            if step == 1:  # lanes before the first and after the last element, all masked out
                before, after = lab.ramp(-2, lanes), lab.ramp(2, lanes)
                low, high = apply("ge", before, 0), apply("lt", after, lanes)
                body += [Store(out[1], (before,), Load(x[1], (before,), low), low)]
                body += [Store(out[1], (after,), Load(x[1], (after,), high), high)]
                body += [Store(out[1], (apply("sub", lanes - 1, after),), Load(x[1], (after,), high), high)]
            else:
                ends = lab.ramp(-2, lanes), lab.ramp(2, lanes)
                for lane, inside in zip(ends, (apply("ge", ends[0], 0), apply("lt", ends[1], lanes)), strict=True):
                    body.append(Store(out[1], (lane,), Load(x[1], (apply("mul", lane, step),), inside), inside))
            kernel = lab.build(body, (x, out), level=0)
            guarded, result = Guarded(DTYPES[name].numpy, touched), Guarded(DTYPES[name].numpy, lanes)
            for source, target in ((guarded.first, result.first), (guarded.last, result.last)):
                assert kernel(source, target) == 0


def test_a_masked_scalar_is_not_read(lab: Any) -> None:
    x, out = lab.array("x", "float32", 1), lab.array("out", "float32", 2, 3, output=True)
    far = apply("mul", n, 1 << 40)
    inside = apply("lt", far, 1)
    spread = lab.ramp(0, 3)
    body: list[Stmt] = [
        Store(out[1], (const(0), const(1)), Load(x[1], (far,), inside)),
        Store(out[1], (const(1), spread), Load(x[1], (far,), inside)),
        Store(out[1], (far, const(0)), Const(7.0, DTYPES["float32"]), inside),
    ]
    kernel = lab.build(body, (x, out), (n,), level=3)
    value, found = np.array([4], np.float32), np.ones((2, 3), np.float32)
    assert kernel(value, found, sizes=(0,)) == 0
    assert (found == [[7, 4, 1], [4, 4, 4]]).all()
    assert kernel(value, found, sizes=(1,)) == 0
    assert (found == [[7, 0, 1], [0, 0, 0]]).all()


def test_register_buffers_under_masks_and_at_any_index(lab: Any) -> None:
    tile = lab.register("int32", 2, 8)
    x, out = lab.array("x", "int32", 16), lab.array("out", "int32", 3, 16, output=True)
    i = Var("i")
    odd = apply("eq", apply("mod", lab.ramp(0, 8), 2), 1)
    body = lab.allocate(
        tile,
        *(Store(tile, (const(r), lab.ramp(0, 8)), Load(x[1], (lab.ramp(8 * r, 8),))) for r in range(2)),
        Store(tile, (const(1), apply("sub", 7, lab.ramp(0, 8))), Const(-1, DTYPES["int32"]), odd),
        Store(tile, (const(0), const(3)), Const(-2, DTYPES["int32"]), apply("eq", n, 5)),
        *(Store(out[1], (const(0), lab.ramp(8 * r, 8)), Load(tile, (const(r), lab.ramp(0, 8)), odd)) for r in range(2)),
        For(i, const(0), const(8), Store(out[1], (const(1), i), Load(tile, (apply("mod", i, 2), i)))),
        Store(out[1], (const(2), lab.ramp(0, 8)), Load(tile, (const(0), const(3)), apply("lt", lab.ramp(0, 8), n))),
    )
    values = np.arange(100, 116, dtype=np.int32)
    found = np.zeros((3, 16), np.int32)
    for level in (0, 3):
        assert lab.build(body, (x, out), (n,), level=level)(values, found, sizes=(5,)) == 0
        expected = values.reshape(2, 8).copy()
        lane = np.arange(8)
        expected[1, (7 - lane)[lane % 2 == 1]] = -1
        expected[0, 3] = -2
        assert (found[0].reshape(2, 8) == np.where(lane % 2 == 1, expected, 0)).all()
        assert (found[1, :8] == expected[lane % 2, lane]).all()
        assert (found[2, :8] == np.where(lane < 5, -2, 0)).all()


def test_bools_are_any_byte_in_memory(lab: Any) -> None:
    x, out = lab.array("x", "bool", 8), lab.array("out", "bool", 8, output=True)
    body = Store(out[1], (lab.ramp(0, 8),), apply("not", Load(x[1], (lab.ramp(0, 8),))))
    bytes_ = np.array([0, 1, 2, 255, 128, 0, 64, 1], np.uint8)
    found = np.zeros(8, np.uint8)
    assert lab.build(body, (x, out))(bytes_.view(np.bool_), found.view(np.bool_)) == 0
    assert (found == (bytes_ == 0)).all()


def test_stores_are_seen_by_later_loads(lab: Any) -> None:
    """Loads are not repeated within a block, except after a store to their buffer."""
    out = lab.array("out", "int32", 4, output=True)
    first = Load(out[1], (const(0),))
    body = [
        Store(out[1], (const(1),), first),
        Store(out[1], (lab.ramp(0, 2),), Const(5, DTYPES["int32"])),
        Store(out[1], (const(2),), first),
        Store(out[1], (const(3),), Op("add", (first, first), first.dtype)),
    ]
    found = np.array([9, 0, 0, 0], np.int32)
    assert lab.build(body, (out,), level=0)(found) == 0
    assert (found == [5, 5, 5, 10]).all()


def test_known_tails_are_one_comparison(lab: Any) -> None:
    """A tail on AVX-512 is one vector comparison into a mask register, and two masked moves."""
    x, out = lab.array("x", "float32", n), lab.array("out", "float32", n, output=True)
    tail: Expr = apply("lt", lab.ramp(0, 16), n)
    body = Store(out[1], (lab.ramp(0, 16),), Load(x[1], (lab.ramp(0, 16),), tail), tail)
    text = lab.assembly(lab.emit(body, (x, out), (n,), machine=lab.AVX512).text, lab.AVX512)
    assert text.count("vpcmp") == 1
    assert text.count("{%k1}") == 2
    assert lab.emit(body, (x, out), (n,)).notes == ()
