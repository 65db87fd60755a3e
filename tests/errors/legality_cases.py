"""Commands that would change the answer."""

from __future__ import annotations

import polysched as ps

from .definitions import case, matmul, two_reduction_axes


@case
def parallel_float_sum():
    s, c = matmul()
    yield s
    c.parallel("r")


@case
def parallel_over_data_and_reduction():
    s, c = matmul()
    yield s
    c.parallel("j", "r")


@case
def vectorized_float_sum():
    s, c = matmul()
    c.split("r", 8)
    yield s
    c.vectorize("r_i")


@case
def reversed_float_sum():
    s, c = matmul()
    yield s
    c.reverse("r")


@case
def reordered_float_sum():
    s, c = two_reduction_axes()
    yield s
    c.reorder("q", "p")


@case
def tiled_float_product():
    s, c = two_reduction_axes(ps.prod)
    yield s
    c.tile("p", "q", 2, 4)


@case
def vectorized_mix_of_data_and_reduction():
    s, c = two_reduction_axes(ps.prod)
    c.split(c.fuse("i", "p"), 5)
    yield s
    c.vectorize("i_p_i")
