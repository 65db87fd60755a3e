"""Stages that cannot be computed, stored, or run where they are asked to."""

from __future__ import annotations

import polysched as ps

from .definitions import case, pipeline


def window():
    n, m = ps.size_var("n"), ps.size_var("m")
    A = ps.placeholder((n + 2, m), "float32", name="A")
    B = ps.compute((n + 2, m), lambda i, j: A[i, j] * 2, name="B")
    C = ps.compute((n, m), lambda i, j: B[i, j] + B[i + 2, j], name="C")
    s = ps.Schedule(C)
    s["C"].split("i", 16)
    return s


@case
def computed_in_no_reader():
    s = window()
    yield s
    s["B"].compute_at("D", "i_o")


@case
def computed_in_no_loop():
    s = window()
    yield s
    s["B"].compute_at("C", "i")


@case
def output_computed_in_a_loop():
    s = pipeline()
    yield s
    s["out"].compute_at("total", "i")


@case
def computed_where_a_reader_is_not():
    s = pipeline()
    s["total"].compute_at("out", "i")
    yield s
    s["scaled"].compute_at("out", "j")


@case
def computed_where_readers_share_nothing():
    s = pipeline()
    yield s
    s["scaled"].compute_at("out", "i")


@case
def computed_in_lanes():
    s = window()
    s["C"].vectorize("i_i")
    yield s
    s["B"].compute_at("C", "i_i")


@case
def vectorized_around_a_stage():
    s = window()
    s["B"].compute_at("C", "i_i")
    yield s
    s["C"].vectorize("i_i")


@case
def stored_without_a_place():
    s = window()
    yield s
    s["B"].store_at("C", "i_o")


@case
def stored_inside_of_its_place():
    s = window()
    s["B"].compute_at("C", "i_o")
    yield s
    s["B"].store_at("C", "i_i")


@case
def window_over_threads():
    s = window()
    s["C"].parallel("i_o")
    s["B"].compute_at("C", "i_i")
    yield s
    s["B"].store_root()


@case
def threads_over_a_window():
    s = window()
    s["B"].compute_at("C", "i_i")
    s["B"].store_at("C", "i_o")
    yield s
    s["C"].parallel("i_i")


@case
def loop_of_a_place_taken_away():
    s = window()
    s["B"].compute_at("C", "i_i")
    yield s
    s["C"].split("i_i", 4)


@case
def loop_of_a_store_taken_away():
    s = window()
    s["B"].compute_at("C", "i_i")
    s["B"].store_at("C", "i_o")
    yield s
    s["C"].split("i_o", 4)


@case
def commands_that_the_moved_loops_do_not_take():
    s = window()
    s["B"].compute_at("C", "i_i")
    s["B"].unroll("i")
    yield s
    s["B"].compute_root()


@case
def fold_that_is_too_small():
    s = window()
    s["B"].compute_at("C", "i_i")
    s["B"].store_root()
    yield s
    s["B"].fold_storage("i", 2)


@case
def loops_shared_with_what_is_elsewhere():
    s = window()
    s["B"].compute_at("C", "i_o")
    yield s
    s["C"].compute_with("B", "i")


@case
def read_before_it_is_computed_in_shared_loops():
    s = window()
    s["B"].split("i", 16)
    yield s
    s["B"].compute_with("C", "i_o")
