"""Products of narrow integers are grouped into dot products, which are the same integers on every target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import polysched as ps
from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Cast, Const, Expr, Op, const
from polysched.lower.ir import Block, Buffer, For, Load, Ramp, Stmt, Store, Var, statements
from polysched.lower.passes.dot_products import dot_products
from polysched.lower.pipeline import lower
from polysched.lower.printing import program_text

TARGETS = {
    "baseline": ps.Target("x86-64"),
    "avx2": ps.Target("x86-64-v3"),
    "avx512": ps.Target("x86-64-v4"),
    "avxvnni": ps.Target("x86-64-v3", features="+avxvnni"),
    "vnni": ps.Target("x86-64-v4", features="+avx512vnni"),
    "native": ps.Target("native"),
}
n, m, p = ps.size_var("n"), ps.size_var("m"), ps.size_var("p")
MIXED = [("uint8", "int8"), ("int8", "int8"), ("uint8", "uint8")]
PAIRS = [*MIXED, ("int8", "uint8"), ("int16", "int16"), ("uint8", "int16")]


def packed(x: str, y: str, group: int = 4, wide: str = "cast") -> ps.Tensor:
    """A matrix product whose second operand has `group` rows side by side."""
    A = ps.placeholder((n, p * group), x, name="A")
    B = ps.placeholder((p, m, group), y, name="B")
    ko, ki = ps.reduce_axis((0, p), name="ko"), ps.reduce_axis((0, group), name="ki")

    def product(i: Any, j: Any) -> Any:
        a, b = A[i, ko * group + ki], B[ko, j, ki]
        value = ps.cast("int32", a) * ps.cast("int32", b) if wide == "cast" else ps.widening_mul(a, b)
        return ps.sum(value, axis=(ko, ki), dtype="int32")

    return ps.compute((n, m), product, name="C")


def plain(x: str, y: str) -> ps.Tensor:
    """A matrix product of matrices as they are."""
    A, B = ps.placeholder((n, p), x, name="A"), ps.placeholder((p, m), y, name="B")
    k = ps.reduce_axis((0, p), name="k")
    return ps.compute(
        (n, m), lambda i, j: ps.sum(ps.cast("int32", A[i, k]) * ps.cast("int32", B[k, j]), axis=k), name="C"
    )


def tiled(C: ps.Tensor, lanes: int, order: tuple[str, ...] = ("ki", "i_i", "j_i")) -> ps.Schedule:
    """Register tiles of 3 rows and two vectors."""
    s = ps.Schedule(C)
    s[C].tile("i", "j", 3, 2 * lanes)
    if "k" in s[C].loops:
        s[C].split("k", 4)
        s[C].reorder("j_o", "i_o", "k_o", "k_i", "i_i", "j_i")
        s[C].unroll("k_i")
    else:
        s[C].reorder("j_o", "i_o", "ko", *order)
        s[C].unroll("ki")
    s[C].unroll("i_i")
    s[C].vectorize("j_i")
    return s


def anything(dtype: str, shape: tuple[int, ...], seed: int) -> Any:
    """Any values, the ends of the range most often."""
    random, info = np.random.default_rng(seed), np.iinfo(dtype)
    values = random.integers(info.min, info.max, shape, dtype, endpoint=True)
    ends = random.choice(np.array([info.min, info.max, 0], dtype), shape)
    return np.where(random.random(shape) < 0.3, ends, values)


def check(C: ps.Tensor, kernels: list[ps.Kernel], shapes: list[tuple[int, int, int]]) -> None:
    A, B = (next(t for t in ps.Schedule(C).program.arguments if t.name == name) for name in "AB")
    for rows, columns, depth in shapes:
        sizes = {"n": rows, "m": columns, "p": depth}
        extents = [tuple(int(eval(str(extent), {}, sizes)) for extent in t.shape) for t in (A, B)]
        a, b = (anything(t.dtype.name, shape, len(shape)) for t, shape in zip((A, B), extents, strict=True))
        whole = b if b.ndim == 2 else b.transpose(0, 2, 1).reshape(-1, columns)
        expected = (a.astype(np.int64) @ whole.astype(np.int64)).astype(np.int32)
        assert np.array_equal(ps.evaluate(C, {A: a, B: b, m: columns}), expected)
        for kernel in kernels:
            assert np.array_equal(kernel(a, b), expected), (kernel, sizes)


SHAPES = [(3, 32, 5), (7, 37, 9), (1, 1, 1), (4, 64, 0), (2, 15, 70)]


@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_the_same_integers_on_every_target(x: str, y: str) -> None:
    C = packed(x, y, 2 if "int16" in (x, y) else 4)
    chosen = [TARGETS[name] for name in (TARGETS if (x, y) in MIXED[:2] else ("avx2", "native"))]
    kernels = [ps.build(tiled(C, target.vector_bits // 32), target) for target in chosen if target.can_run()]
    check(C, kernels, SHAPES)


@pytest.mark.parametrize("order", [("i_i", "j_i", "ki"), ("i_i", "ki", "j_i")])
def test_in_any_order_of_loops(order: tuple[str, ...]) -> None:
    C = packed("int8", "int8", wide="widening_mul")
    kernel = ps.build(tiled(C, 16, order), TARGETS["native"])
    check(C, [kernel], SHAPES)


def test_rows_that_lie_apart_and_a_rest() -> None:
    """Elements from several rows are put together in registers; what is left over of four is multiplied singly."""
    for x, y in (PAIRS[0], PAIRS[3]):
        C = plain(x, y)
        check(C, [ps.build(tiled(C, 16), TARGETS["native"])], [(3, 32, 8), (7, 37, 11), (1, 2, 3)])


def test_operands_packed_by_the_schedule() -> None:
    C = plain("int8", "int8")
    B = next(t for t in ps.Schedule(C).program.arguments if t.name == "B")
    s = tiled(C, 16)
    copy = s[C].pack(B, at="j_o", layout=("k/4", "j", "k%4"))
    copy.split("k", 4)
    copy.unroll("k_i")
    copy.vectorize("j")
    kernel = s.build(TARGETS["native"])
    check(C, [kernel], [(3, 32, 8), (7, 37, 11), (1, 2, 3), (2, 64, 0)])


def test_sums_wrap() -> None:
    C = packed("uint8", "uint8")
    kernel = ps.build(tiled(C, 16), TARGETS["native"])
    a, b = np.full((1, 4 * 20000), 255, np.uint8), np.full((20000, 3, 4), 255, np.uint8)
    assert (kernel(a, b) == np.array(255 * 255 * 80000).astype(np.int32)).all()
    D = packed("int16", "int16", 2)
    least = np.full((1, 2), -(1 << 15), np.int16)
    for target in TARGETS.values():
        if target.can_run():
            assert (ps.build(tiled(D, 8), target)(least, np.full((1, 9, 2), -(1 << 15), np.int16)) == -(1 << 31)).all()


@pytest.mark.parametrize(
    ("target", "x", "y", "instruction", "lanes"),
    [
        ("vnni", "uint8", "int8", "vpdpbusd", 16),
        ("vnni", "int8", "int8", "vpdpbusd", 16),
        ("vnni", "uint8", "uint8", "vpdpwssd", 16),
        ("avxvnni", "int8", "uint8", "vpdpbusd", 8),
        ("avx2", "int8", "int8", "vpmaddwd", 8),
        ("baseline", "uint8", "int8", "pmaddwd", 4),
    ],
)
def test_instructions(target: str, x: str, y: str, instruction: str, lanes: int) -> None:
    """One for every four products, in full tiles and in tails; nothing is multiplied in 32 bits."""
    text = ps.build(tiled(packed(x, y), lanes), TARGETS[target]).source("asm")
    assert instruction in text and "pmulld" not in text and "gather" not in text


@pytest.mark.parametrize("target", ["avx2", "vnni"])
@pytest.mark.parametrize(("x", "y"), [("int8", "int8"), ("uint8", "int8"), ("int16", "int16")])
def test_every_pass_keeps_the_meaning(target: str, x: str, y: str, run_ir: Callable[..., Any]) -> None:
    C = packed(x, y, 2 if x == "int16" else 4)
    schedule = tiled(C, 4)
    made = lower(schedule.program, schedule.tree(), TARGETS[target], check=True)
    assert "dot_" in program_text(made.stages["dot_products"])
    a, b = anything(x, (4, 6 if x == "int16" else 12), 1), anything(y, (3, 9, 2 if x == "int16" else 4), 2)
    expected = (a.astype(np.int64) @ b.transpose(0, 2, 1).reshape(-1, 9).astype(np.int64)).astype(np.int32)
    for name, stmt in made.stages.items():
        (found,) = run_ir(made, stmt, schedule.program, [a, b], {"n": 4, "m": 9, "p": 3})
        assert np.array_equal(found, expected), name


# The pass alone, on blocks written by hand.

ACC = Buffer("acc", DTYPES["int32"], (const(2), const(4)), "register")
X = Buffer("x", DTYPES["uint8"], (const(64),), "argument")
Y = Buffer("y", DTYPES["int8"], (const(64), const(4)), "argument")


def widened(value: Expr) -> Expr:
    return Cast(value, DTYPES["int32"])


def update(row: int, k: Expr, x: Expr | None = None, buffer: Buffer = ACC) -> Store:
    """acc[row, 0..3] += x[k] * y[0..3, k]."""
    lanes = Ramp(const(0), 4)
    product = Op("mul", (widened(Load(X, (k,)) if x is None else x), widened(Load(Y, (lanes, k)))), DTYPES["int32"])
    place = (const(row), lanes)
    return Store(buffer, place, Op("add", (product, Load(buffer, place)), DTYPES["int32"]))


def dots(stmt: Stmt) -> list[str]:
    """The operations of the stores of a statement."""
    after = dot_products(stmt, 512, vnni=True)
    return [s.value.name for s in statements(after) if isinstance(s, Store) and isinstance(s.value, Op)]


def test_updates_of_several_elements_are_sorted_out() -> None:
    body = [update(row, const(k)) for k in range(4) for row in range(2)]
    assert dots(Block(tuple(body))) == ["dot_u8s8", "dot_u8s8"]
    assert dots(Block((*body, update(1, const(4))))) == ["dot_u8s8", "dot_u8s8", "add"]
    assert dots(Block(tuple(body[:6]))) == ["add"] * 6


def test_what_is_stored_in_between_stays_in_between() -> None:
    other = Buffer("other", DTYPES["uint8"], (const(4),), "register")
    four = [update(0, const(k)) for k in range(4)]
    between = Store(other, (const(0),), Const(1, DTYPES["uint8"]))
    assert dots(Block((*four[:2], between, *four[2:]))) == ["add"] * 4
    own = [update(0, const(k), x=Cast(Load(ACC, (const(1), const(0))), DTYPES["uint8"])) for k in range(4)]
    assert dots(Block((*own[:2], update(1, const(0)), *own[2:]))) == ["add"] * 5


def test_scalars_and_other_types_are_left() -> None:
    scalar = [Store(s.buffer, (const(0), const(1)), s.value) for s in (update(0, const(k)) for k in range(4))]
    assert dots(Block(tuple(scalar))) == ["add"] * 4
    wide = Buffer("wide", DTYPES["int64"], (const(2), const(4)), "register")
    assert dots(Block(tuple(update(0, const(k), buffer=wide) for k in range(4)))) == ["add"] * 4
    short = Load(Buffer("short", DTYPES["uint16"], (const(9),), "argument"), (const(0),))
    assert dots(Block(tuple(update(0, const(k), x=short) for k in range(4)))) == ["add"] * 4


def test_signed_bytes_are_moved_where_a_loop_repeats_them() -> None:
    """Rows with the same second operands have one column of sums."""
    signed = Buffer("signed", DTYPES["int8"], (const(64),), "argument")
    r = Var("r")

    def four(row: int) -> list[Store]:
        return [update(row, 4 * r + k, x=Load(signed, (4 * r + k + 16 * row,))) for k in range(4)]

    loop = For(r, const(0), const(4), Block((*four(0), *four(1))))
    assert dots(loop) == ["dot_m8s8"] * 3 + ["sub"] * 2
    assert dots(Block(tuple(update(0, const(k), x=Load(signed, (const(k),))) for k in range(4)))) == ["dot_s8s8"]
    moving = For(r, const(0), const(2), Block(tuple(
        Store(s.buffer, (r, s.indices[1]), Op("add", (s.value.operands[0], Load(ACC, (r, s.indices[1]))), ACC.dtype))
        for s in four(0) if isinstance(s.value, Op)
    )))  # fmt: skip
    assert dots(moving) == ["dot_s8s8"]
    seen = Buffer("seen", DTYPES["int32"], (const(4), const(4)), "argument")
    lanes = Ramp(const(0), 4)
    watched = Store(seen, (r, lanes), Op("neg", (Load(ACC, (const(0), lanes)),), DTYPES["int32"]))
    assert dots(For(r, const(0), const(4), Block((*four(0), watched)))) == ["dot_s8s8", "neg"]


def test_targets_without_such_instructions_keep_their_loops() -> None:
    body = Block(tuple(update(0, const(k)) for k in range(4)))
    assert dot_products(body, 0, vnni=False) is body
    assert ps.Target("aarch64").dot_bits == 0 and TARGETS["baseline"].dot_bits == 128
    assert not TARGETS["avx512"].has_vnni and TARGETS["vnni"].has_vnni and TARGETS["avxvnni"].has_vnni


def test_lanes_between_two_multiples_are_not_divided() -> None:
    """A panel's rows are read side by side."""
    B = ps.placeholder((m, n, 32), "float32", name="B")
    C = ps.compute((n, m * 32), lambda i, j: B[j // 32, i, j % 32] * 2, name="C")
    s = ps.Schedule(C)
    s[C].split("j", 32)
    s[C].vectorize("j_i")
    kernel = s.build(TARGETS["native"])
    assert not kernel.warnings
    b = np.random.default_rng(0).random((2, 3, 32), np.float32)
    assert np.array_equal(kernel(b), b.transpose(1, 0, 2).reshape(3, 64) * 2)
