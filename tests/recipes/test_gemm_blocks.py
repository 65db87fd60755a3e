"""The tiles that gemm chooses: they fit the registers, waste little, and packing is left out where it costs more."""

from __future__ import annotations

import itertools

import pytest

import polysched as ps
from polysched.schedule.recipes.gemm_blocks import Blocks, Extents, Operand, blocks, is_narrow

TARGETS = [ps.Target("x86-64-v4", threads=1), ps.Target("x86-64-v3", threads=1), ps.Target("aarch64", threads=1)]
SIZES = [1, 3, 17, 128, 1003, None]


def chosen(
    rows: int | None,
    columns: int | None,
    terms: int | None,
    target: ps.Target = TARGETS[0],
    size: int = 4,
    group: int = 1,
) -> Blocks:
    left = Operand(size, None if terms is None else terms * size, "sum")
    right = Operand(size, None if columns is None else columns * size, "own")
    return blocks(Extents(rows, columns, terms), size, (left, right), target, (None,) * 5, group)


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_every_tile_fits_the_registers(target: ps.Target, size: int) -> None:
    for rows, columns, terms in itertools.product(SIZES, repeat=3):
        tile = chosen(rows, columns, terms, target, size)
        vectors = tile.nr // tile.lanes
        assert tile.nr == vectors * tile.lanes > 0
        assert tile.mr * vectors + vectors + 1 <= target.vector_registers
        dots = chosen(rows, columns, terms, target, size, group=4)
        assert (dots.mr + 2) * (dots.nr // dots.lanes) + 2 <= max(
            target.vector_registers, 3 * dots.nr // dots.lanes + 2
        )
        assert tile.mc % tile.mr == tile.nc % tile.nr == 0
        assert min(tile.mc, tile.nc, tile.kc) > 0
        assert rows is None or tile.mr <= rows


def test_edges_decide_between_tiles_that_are_as_fast() -> None:
    for rows, columns in itertools.product([*range(20, 200, 17), 1003], [*range(20, 200, 19), 517]):
        tile = chosen(rows, columns, 300)
        covered = -(-rows // tile.mr) * tile.mr * -(-columns // tile.nr) * tile.nr
        square = -(-rows // 14) * 14 * -(-columns // 32) * 32
        assert covered <= 1.1 * square, (rows, columns, tile)


def test_what_is_packed() -> None:
    assert not chosen(1, 1024, 1024).right  # each element is used once
    assert not chosen(16, 1000, 1000).right
    assert chosen(1003, 517, 771).right
    assert not chosen(1003, 517, 771).left
    page = Operand(4, 4096, "sum"), Operand(4, 4096, "own")  # rows that meet in one set of the first-level cache
    assert blocks(Extents(1024, 1024, 1024), 4, page, TARGETS[0], (14, 32, None, None, None)).left
    assert not blocks(Extents(1024, 1024, 1024), 4, page, TARGETS[0], (4, 32, None, None, None)).left
    unknown = chosen(None, None, None)
    assert not unknown.left, "few rows are in the first-level cache, wherever they are"
    assert unknown.right
    across = Operand(4, None, "own")
    assert blocks(Extents(None, None, None), 4, (across, across), TARGETS[0], (None,) * 5).left


def test_a_block_fits_its_cache() -> None:
    target = TARGETS[0]
    for shape in itertools.product(SIZES, repeat=3):
        tile = chosen(*shape)
        assert tile.kc * min(tile.mc, 4 * tile.mr) * 4 <= max(target.l2_bytes, 4 * tile.mr * tile.kc)


def test_what_is_given_stays() -> None:
    operand = Operand(4, None, "none")
    tile = blocks(Extents(100, 100, 100), 4, (operand, operand), TARGETS[0], (3, 16, 8, 6, 32))
    assert (tile.mr, tile.nr, tile.kc, tile.mc, tile.nc) == (3, 16, 8, 6, 32)


def test_rows_are_in_lanes_where_columns_are_few() -> None:
    wide = TARGETS[0]
    assert is_narrow(Extents(100, 1, 10), 4, wide)
    assert is_narrow(Extents(None, 8, None), 4, wide)
    assert not is_narrow(Extents(100, 9, 10), 4, wide), "more than half of the lanes have a column"
    assert not is_narrow(Extents(100, 8, 10), 8, wide)
    assert not is_narrow(Extents(15, 1, 10), 4, wide), "there are fewer rows than lanes"
    assert not is_narrow(Extents(100, None, 10), 4, wide)
