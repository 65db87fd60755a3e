"""The pass flatten_positions: which accesses of a fused loop are addressed by its position."""

from __future__ import annotations

import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Const, Expr
from polysched.lower.ir import Buffer, Load, Ramp, Store, Var
from polysched.lower.passes.flatten_positions import flatten_positions
from polysched.lower.printing import program_text

F32 = DTYPES["float32"]
N, M = ps.size_var("n"), ps.size_var("m")
F = Var("f")
ROWS = Buffer("C", F32, (N, M), "argument")
LANES = Ramp(F, 16)


def test_the_position_in_row_major_order_needs_no_division() -> None:
    stmt = Store(ROWS, (LANES // M, LANES % M), Load(ROWS, (LANES // M, LANES % M)))
    assert program_text(flatten_positions(stmt)) == "C[ramp(f, 16)] = C[ramp(f, 16)]"


@pytest.mark.parametrize(
    ("buffer", "indices"),
    [
        (Buffer("C", F32, (N, M), "argument", (Var("C.stride0"), Var("C.stride1"))), (LANES // M, LANES % M)),
        (ROWS, (LANES % M, LANES // M)),
        (ROWS, (LANES // 8, LANES % 8)),
        (ROWS, (F // M, F % M)),
    ],
    ids=["any strides", "transposed", "another extent", "no vector"],
)
def test_other_accesses_stay(buffer: Buffer, indices: tuple[Expr, ...]) -> None:
    stmt = Store(buffer, indices, Const(1.0, F32))
    assert program_text(flatten_positions(stmt)) == program_text(stmt)
