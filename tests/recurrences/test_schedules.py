"""Examples under schedules that are worth having: time tiles, wavefronts, folded and in-place storage. The same bits as
the default schedule, which tests/recurrences/test_examples.py compares with the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

from .definitions import EXAMPLES

SIZES = {
    "jacobi_1d": ({"T": 0, "N": 1}, {"T": 7, "N": 20}, {"T": 9, "N": 65}),
    "jacobi_2d": ({"T": 0, "N": 1}, {"T": 5, "N": 13}, {"T": 9, "N": 34}),
    "heat_3d": ({"T": 1, "N": 2}, {"T": 5, "N": 11}),
    "seidel_2d": ({"T": 0, "N": 3}, {"T": 5, "N": 12}, {"T": 4, "N": 21}),
    "fdtd_2d": ({"T": 0, "N": 2, "M": 2}, {"T": 5, "N": 12, "M": 10}),
    "floyd_warshall": ({"N": 1}, {"N": 19}),
    "smith_waterman": ({"N": 0, "M": 0}, {"N": 23, "M": 17}),
    "lu": ({"N": 1}, {"N": 17}),
    "cholesky": ({"N": 1}, {"N": 18}),
    "nussinov": ({"N": 1}, {"N": 15}),
    "triangular_solve": ({"N": 1}, {"N": 21}),
    "deriche": ({"N": 3, "M": 2}, {"N": 9, "M": 19}),
    "adi": ({"T": 0, "N": 2}, {"T": 3, "N": 10}),
    "prefix_sum": ({"N": 1}, {"N": 30}),
}
SCHEDULES = {
    "jacobi_1d tiled over time, two planes": """
        u.skew("i", 1, by="t")
        u.tile("t", "i", 4, 16, outers=("to", "io"), inners=("ti", "ii"))
        u.vectorize("ii")
        u.fold_storage("t", 2)""",
    "jacobi_2d tiled over time, two planes": """
        u.skew("i", 1, by="t")
        u.skew("j", 1, by="t")
        u.split("t", 4, outer="to", inner="ti")
        u.split("i", 8, outer="io", inner="ii")
        u.split("j", 16, outer="jo", inner="ji")
        u.reorder("to", "io", "jo", "ti", "ii", "ji")
        u.vectorize("ji")
        u.fold_storage("t", 2)""",
    "jacobi_2d on threads": """
        u.parallel("i")
        u.split("j", 8, outer="jo", inner="ji")
        u.vectorize("ji")
        u.fold_storage("t", 2)""",
    "heat_3d tiled over time, two planes": """
        u.skew("i", 1, by="t")
        u.tile("t", "i", 2, 4, outers=("to", "io"), inners=("ti", "ii"))
        u.split("k", 4, outer="ko", inner="ki")
        u.vectorize("ki")
        u.fold_storage("t", 2)""",
    "seidel_2d in place": """
        u.fold_storage("t", 1)""",
    "seidel_2d in place, in a wavefront of lines": """
        u.fold_storage("t", 1)
        u.skew("i", 2, by="t")
        u.reorder("i", "t")
        u.parallel("t")""",
    "seidel_2d in place, in waves of tiles": """
        u.fold_storage("t", 1)
        u.split("t", 2, outer="to", inner="ti")
        u.skew("i", 1, by="ti")
        u.skew("j", 2, by="ti")
        u.reorder("to", "i", "j", "ti")
        u.partition("i", 4, name="rows")
        u.partition("j+i", 8, name="parts")
        u.skew("parts", 1, by="rows")
        u.reorder("parts", "rows")
        u.parallel("rows")""",
    "fdtd_2d in place": """
        ex.fold_storage("t", 1)
        ey.fold_storage("t", 1)
        hz.fold_storage("t", 1)
        ex.parallel("i")
        hz.split("j", 4, outer="jo", inner="ji")
        hz.vectorize("ji")""",
    "fdtd_2d tiled over time, in place": """
        hz.shift("i", 1)
        hz.shift("j", 1)
        ex.skew("i", 1, by="t")
        ex.skew("j", 1, by="t")
        ex.split("t", 2, outer="to", inner="ti")
        ex.split("i", 4, outer="io", inner="ii")
        ex.reorder("to", "io", "ti", "ii")
        ex.fold_storage("t", 1)
        ey.fold_storage("t", 1)
        hz.fold_storage("t", 1)""",
    "floyd_warshall two planes": """
        d.fold_storage("k", 2)
        d.split("j", 8, outer="jo", inner="ji")
        d.vectorize("ji")""",
    "smith_waterman along diagonals": """
        H.skew("j", 1, by="i")
        H.reorder("j", "i")
        H.split("i", 4, outer="io", inner="ii")
        H.vectorize("ii")
        H.parallel("io")""",
    "smith_waterman by columns": """
        H.reorder("j", "i")""",
    "smith_waterman in tiles along a wavefront": """
        H.tile("i", "j", 4, 8, outers=("io", "jo"), inners=("ii", "ji"))
        H.skew("jo", 1, by="io")
        H.reorder("jo", "io")
        H.parallel("io")""",
    "floyd_warshall in tiles of a step, on threads": """
        d.fold_storage("k", 2)
        d.tile("i", "j", 4, 8, outers=("io", "jo"), inners=("ii", "ji"))
        d.parallel("io")
        d.vectorize("ji")""",
    "triangular_solve with sums in blocks": """
        x.split("r", 4, outer="ro", inner="ri")
        x.unroll("ri")""",
    "nussinov by columns": """
        B.reorder("j", "i")""",
    "nussinov in tiles": """
        B.tile("i", "j", 4, 4, outers=("io", "jo"), inners=("ii", "ji"))""",
    "cholesky in tiles": """
        L.tile("i", "j", 4, 4, outers=("io", "jo"), inners=("ii", "ji"))""",
    "lu by columns": """
        L.reorder("j", "i")""",
    "lu with rows of U in vectors": """
        U.split("j", 4, outer="jo", inner="ji")
        U.reorder("i", "jo", "q", "ji")
        U.vectorize("ji")""",
    "cholesky by columns": """
        L.reorder("j", "i")
        L.parallel("i")""",
    "nussinov by diagonals": """
        B.skew("i", 1, by="j")
        B.reorder("i", "j")
        B.parallel("j")""",
    "deriche on threads": """
        f.parallel("i")
        g.parallel("i")""",
    "adi on threads": """
        q.parallel("i")""",
    "jacobi_1d with the step alone in vectors": """
        u.equation(1).split("i", 8, outer="io", inner="ii")
        u.equation(1).vectorize("ii")
        u.equation(0).parallel("i")
        u.fold_storage("t", 2)""",
    "seidel_2d with the boundary in columns": """
        u.fold_storage("t", 2)
        u.equation(1).reorder("j", "i")
        u.equation(0).fuse("i", "j", name="ij")
        u.skew("i", 1, by="t")""",
    "fdtd_2d with a field's edge apart": """
        ey.equation(1).split("j", 4, outer="jo", inner="ji")
        ey.equation(1).vectorize("ji")""",
    "lu with one equation of U in vectors": """
        U.equation(1).split("j", 4, outer="jo", inner="ji")
        U.equation(1).reorder("i", "jo", "q", "ji")
        U.equation(1).vectorize("ji")
        L.equation(0).parallel("i", "j", name="ij")""",
    "prefix_sum split": """
        p.split("i", 4, outer="io", inner="ii")
        p.unroll("ii")""",
}


@pytest.mark.parametrize("title", SCHEDULES)
def test_the_same_bits(title: str) -> None:
    example = EXAMPLES[title.split(maxsplit=1)[0].rstrip(",")]
    outputs = example.define()
    default, tuned = ps.Schedule(outputs), ps.Schedule(outputs)
    try:
        tuned.extend([line.strip() for line in SCHEDULES[title].split("\n") if line.strip()])
    except ps.ScheduleError as error:
        pytest.fail(f"{error}")
    kernels = default.build(), tuned.build()
    names = [a.name for a in tuned.program.arguments if isinstance(a, ps.Tensor)]
    for sizes in SIZES[example.name]:
        given = example.inputs(np.random.default_rng(8), sizes)
        one, two = (_several(kernel(*[given[name] for name in names], **sizes)) for kernel in kernels)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_folded_kernel_keeps_two_planes() -> None:
    s = ps.Schedule(EXAMPLES["jacobi_2d"].define())
    s["u"].fold_storage("t", 2)
    assert "heap u: float64[2, N, N]" in s.build().source("loops")


def test_folds_that_are_too_small() -> None:
    for name in ("jacobi_1d", "jacobi_2d", "heat_3d", "floyd_warshall"):
        s = ps.Schedule(EXAMPLES[name].define())
        stage, time = s.stages[0], "k" if name == "floyd_warshall" else "t"
        assert isinstance(s[stage].why_not("fold_storage", time, 1), ps.LegalityError)
        assert s[stage].why_not("fold_storage", time, 2) is None
    tiled = ps.Schedule(EXAMPLES["jacobi_1d"].define())
    tiled.extend('u.fold_storage("t", 2)')
    refusal = tiled["u"].why_not("tile", "t", "i", 4, 8)
    assert isinstance(refusal, ps.LegalityError)


def _several(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)
