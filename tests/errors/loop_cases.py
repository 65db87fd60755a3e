"""Commands over loops that cannot be carried out."""

from __future__ import annotations

import polysched as ps

from .definitions import case, matmul, pipeline


@case
def no_such_loop():
    s, c = matmul()
    yield s
    c.split("x", 4)


@case
def loop_misspelt():
    s, c = matmul()
    c.split("i", 4, outer="rows", inner="row_in_tile")
    yield s
    c.unroll("row_in_tiles")


@case
def loop_of_upper_case():
    s, c = matmul()
    yield s
    c.vectorize("J")


@case
def no_loops_at_all():
    one = ps.compute((), lambda: 1.0, name="one")
    s = ps.Schedule(one)
    yield s
    s["one"].split("i", 4)


@case
def loop_given_as_a_number():
    s, c = matmul()
    yield s
    c.split(0, 4)


@case
def loop_given_as_an_axis():
    s, c = matmul()
    r = ps.reduce_axis((0, 4), name="r")
    yield s
    c.reorder("i", r)


@case
def factor_zero():
    s, c = matmul()
    yield s
    c.split("i", 0)


@case
def factor_negative():
    s, c = matmul()
    yield s
    c.split("i", -4)


@case
def factor_float():
    s, c = matmul()
    yield s
    c.split("i", 4.0)


@case
def factor_bool():
    s, c = matmul()
    yield s
    c.split("i", True)


@case
def factor_text():
    s, c = matmul()
    yield s
    c.tile("i", "j", 4, "8")


@case
def factor_huge():
    s, c = matmul()
    yield s
    c.split("i", 10**400)


@case
def factor_symbolic():
    s, c = matmul()
    yield s
    c.split("i", ps.size_var("b"))


@case
def new_name_taken():
    s, c = matmul()
    yield s
    c.split("i", 4, outer="j")


@case
def new_names_equal():
    s, c = matmul()
    yield s
    c.split("i", 4, outer="x", inner="x")


@case
def new_name_is_no_name():
    s, c = matmul()
    yield s
    c.split("i", 4, inner="i-inner")


@case
def new_name_too_long():
    s, c = matmul()
    c.split("i", 4, outer="x" * 199)
    yield s
    c.split("x" * 199, 4)


@case
def fused_name_is_no_name():
    s, c = matmul()
    yield s
    c.fuse("i", "j", name="")


@case
def split_of_marked_loop():
    s, c = matmul()
    c.parallel("i")
    yield s
    c.split("i", 4)


@case
def tile_one_loop():
    s, c = matmul()
    yield s
    c.tile("i", "i", 4, 4)


@case
def tile_with_too_few_names():
    s, c = matmul()
    yield s
    c.tile("i", "j", 4, 4, outers=("x",))


@case
def tile_with_a_text_for_names():
    s, c = matmul()
    yield s
    c.tile("i", "j", 4, 4, inners="xy")


@case
def tile_names_collide():
    s, c = matmul()
    yield s
    c.tile("i", "j", 4, 4, outers=("x", "y"), inners=("y", "z"))


@case
def reorder_nothing():
    s, c = matmul()
    yield s
    c.reorder()


@case
def reorder_twice_the_same():
    s, c = matmul()
    yield s
    c.reorder("j", "i", "j")


@case
def reorder_of_split_loop():
    s, c = matmul()
    c.split("i", 4)
    yield s
    c.reorder("j", "i")


@case
def fuse_one():
    s, c = matmul()
    yield s
    c.fuse("i")


@case
def fuse_not_adjacent():
    s, c = matmul()
    yield s
    c.fuse("i", "r")


@case
def fuse_in_the_wrong_order():
    s, c = matmul()
    yield s
    c.fuse("j", "i")


@case
def fuse_unknown():
    s, c = matmul()
    yield s
    c.fuse("i", "k")


@case
def fuse_marked():
    s, c = matmul()
    c.parallel("i")
    yield s
    c.fuse("i", "j")


@case
def fuse_too_deep():
    s, c = matmul()
    for _ in range(4):
        c.split(c.fuse("i", "j", name="f"), 3, outer="i", inner="j")
    yield s
    c.fuse("i", "j", name="f")


@case
def too_many_loops():
    s, c = matmul()
    for k in range(37):
        c.split("i", 2, outer="i", inner=f"i{k}")
    yield s
    c.split("i", 2)


@case
def unroll_symbolic():
    s, c = matmul()
    yield s
    c.unroll("j")


@case
def unroll_fused_symbolic():
    s, c = matmul()
    c.fuse("i", "j")
    yield s
    c.unroll("i_j")


@case
def unroll_too_many():
    s = pipeline()
    yield s
    s["scaled"].unroll("j")


@case
def vectorize_symbolic():
    s, c = matmul()
    c.split("j", 16)
    yield s
    c.vectorize("j_o")


@case
def vectorize_too_many():
    s = pipeline()
    yield s
    s["out"].vectorize("j")


@case
def marked_twice():
    s, c = matmul()
    c.split("j", 16)
    c.unroll("j_i")
    yield s
    c.vectorize("j_i")


@case
def marked_the_same_twice():
    s, c = matmul()
    c.parallel("i")
    yield s
    c.parallel("i")


@case
def parallel_nothing():
    s, c = matmul()
    yield s
    c.parallel()


@case
def parallel_not_adjacent():
    s, c = matmul()
    c.split("i", 4)
    yield s
    c.parallel("i_o", "j")


@case
def parallel_renames_one_loop():
    s, c = matmul()
    yield s
    c.parallel("i", name="rows")


@case
def reverse_marked():
    s, c = matmul()
    c.parallel("i")
    yield s
    c.reverse("i")
