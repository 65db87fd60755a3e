"""Waves of tiles on one team of threads: each tile runs once, and after all that it may need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Op, Size, const
from polysched.compute.operations import apply
from polysched.lower.abi import OK, OUT_OF_MEMORY
from polysched.lower.ir import Allocate, Block, Buffer, For, Load, Stmt, Store, Var

from .test_parallel import SPAWNERS, Heap

INT = DTYPES["int64"]
waves, tiles, shift, work = Size("waves"), Size("tiles"), Size("shift"), Size("work")
SIZES = (waves, tiles, shift, work)


def table(lab: Any, *, with_memory: bool = False) -> tuple[Stmt, Any]:
    """out[w, d] = out[w - 1, d] + out[w - 1, d - 1] + x, where the tiles of wave w begin at `shift` * w, and x is what
    x * 5 + 3 makes of 0 in the element itself, `work` times; ten times as often in the first tile."""
    out = lab.array("out", "int64", waves + 1, tiles + 1, output=True)
    w, d, k = Var("w"), Var("d"), Var("k")
    above = tuple(Load(out[1], (w, apply("add", d, shifted))) for shifted in (1, 0))
    is_first = apply("eq", d, apply("mul", w, shift))
    most = Op("select", (is_first, apply("mul", work, 10), work), INT)
    place = (apply("add", w, 1), apply("add", d, 1))
    one = apply("add", apply("mul", Load(out[1], place), 5), 3)
    slowly = Block((Store(out[1], place, const(0)), For(k, const(0), most, Store(out[1], place, one))))
    value = apply("add", apply("add", *above), Load(out[1], place))
    body: Stmt = Block((slowly, Store(out[1], place, value)))
    if with_memory:
        line = Buffer("line", INT, (tiles,), "heap")
        body = Allocate(line, Block((Store(line, (const(0),), d), body)))
    inner = For(d, apply("mul", w, shift), tiles, body, "parallel")
    return For(w, const(0), waves, inner, doacross=True), (out,)


def expected(sizes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    rows, columns, begin, least = sizes
    found = start(sizes)
    first, other = (
        np.array(3 * ((pow(5, times, 2**66) - 1) // 4) % 2**64, np.uint64).astype(np.int64)
        for times in (10 * least, least)
    )
    for w in range(rows):
        for d in range(begin * w, columns):
            with np.errstate(over="ignore"):
                found[w + 1, d + 1] = found[w, d + 1] + found[w, d] + (first if d == begin * w else other)
    return found


def start(sizes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 2, (sizes[0] + 1, sizes[1] + 1))


@pytest.mark.parametrize("spawner", SPAWNERS)
@pytest.mark.parametrize("level", [0, 2])
def test_tiles_wait_for_those_that_they_need(lab: Any, spawner: str, level: int) -> None:
    """Waves with fewer tiles than threads and with many, that get shorter until they are empty, and none."""
    body, arrays = table(lab)
    kernel = lab.build(body, arrays, SIZES, level=level)
    for sizes in ((30, 3, 0, 10_000), (6, 300, 0, 20), (20, 40, 3, 300), (12, 1, 0, 1), (0, 5, 0, 1), (5, 0, 0, 1)):
        for threads in (0, 1, 2, 3, 7):
            out = start(sizes)
            assert kernel(out, sizes=sizes, parallel=SPAWNERS[spawner], threads=threads) == OK
            assert (out == expected(sizes)).all(), (sizes, threads)


def test_more_tiles_than_the_ring_has_places(lab: Any) -> None:
    """All but one thread get as far ahead of the slow first tile as they may."""
    body, arrays = table(lab)
    kernel = lab.build(body, arrays, SIZES)
    sizes = (3, 400, 0, 10_000)
    for _ in range(5):
        out = start(sizes)
        assert kernel(out, sizes=sizes, parallel=SPAWNERS["threads"], threads=6) == OK
        assert (out == expected(sizes)).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_memory_that_runs_out_ends_it(lab: Any, threads: int) -> None:
    body, arrays = table(lab, with_memory=True)
    heap = Heap()
    kernel = lab.build(body, arrays, SIZES, edit=heap.instead)
    sizes = (6, 5, 1, 10)
    for limit in (1, 2, 3, 1000):
        heap.calls, heap.limit = 0, limit
        out = start(sizes)
        result = kernel(out, sizes=sizes, parallel=SPAWNERS["threads"], threads=threads)
        assert result == (OUT_OF_MEMORY if heap.calls >= limit else OK)
        assert result != OK or (out == expected(sizes)).all()
        assert not heap.mistakes
    assert result == OK


def test_one_team_for_all_waves(lab: Any) -> None:
    body, arrays = table(lab)
    text = lab.emit(body, arrays, SIZES).text
    assert text.count("call void %parallel") == 1
    assert "call void @doacross" in text
