"""Faults in integer, fixed-point and bfloat16 code, and in dot products."""

from __future__ import annotations

from ..mutant import Mutant

INTEGERS, BFLOAT16 = "tests/dtypes/test_integers.py", "tests/dtypes/test_bfloat16.py"
DOTS = "tests/lower/test_dot_products.py"

IN_INTEGERS: tuple[Mutant, ...] = (
    Mutant(
        "average-of-signs-without-signs",
        "lower/llvm/fixed_point.py",
        'return "ashr" if dtype.kind == "int" else "lshr"',
        'return "lshr"',
        (INTEGERS,),
        "averages and products of negative numbers are shifted as if they were positive",
    ),
    Mutant(
        "upper-half-without-signs",
        "lower/llvm/fixed_point.py",
        'upper = e.binary("sub", upper, e.binary("and", negative, y))',
        'upper = e.binary("sub", upper, e.binary("and", negative, x))',
        (INTEGERS,),
        "mul_hi of 64-bit vectors is wrong for negative numbers",
    ),
    Mutant(
        "square-of-the-least-fraction-wraps",
        "lower/llvm/fixed_point.py",
        "return e.choose(is_least, constant(a.dtype.highest, a.dtype, a.lanes), result)",
        "return e.choose(is_least, result, result)",
        (INTEGERS,),
        "-1 times -1 is -1 as a fraction",
    ),
    Mutant(
        "reciprocal-of-64-bits",
        "lower/llvm/integers.py",
        'high, places = e.binary("add", high, half), places - 1',
        'high, places = e.binary("add", high, half), places',
        (INTEGERS,),
        "vectors of uint64 are divided by twice the constant 7",
    ),
    Mutant(
        "negative-divisors-round-up",
        "lower/llvm/integers.py",
        "return e.choose(exact, negate(e, quotient), invert(e, quotient))",
        "return negate(e, quotient)",
        (INTEGERS, "tests/lower/llvm/test_operations.py"),
        "7 // -2 is -3",
    ),
    Mutant(
        "bfloat16-ties-away",
        "lower/llvm/halves.py",
        'i("add", i("add", bits, 0x7FFF), i("and", upper, 1))',
        'i("add", bits, 0x8000)',
        (BFLOAT16,),
        "ties of bfloat16 go away from zero",
    ),
    Mutant(
        "bfloat16-of-int64-rounds-twice",
        "lower/llvm/long_integers.py",
        'return e.choose(e.test("ult", near, a.lit(1 << 53)), a, marked)',
        "return a if near is not marked else marked",
        (BFLOAT16,),
        "a large int64 becomes a float64 on its way to bfloat16",
    ),
    Mutant(
        "bytes-lose-their-signs",
        "lower/llvm/dots.py",
        'return e.binary("ashr" if kind == "s8" else "lshr", pairs,',
        'return e.binary("lshr", pairs,',
        (DOTS,),
        "products of signed bytes as 16 bits take them for unsigned",
    ),
    Mutant(
        "moved-bytes-stay-moved",
        "lower/passes/dot_products.py",
        'Op("sub", (Load(store.buffer, store.indices), whole), dtype)',
        'Op("add", (Load(store.buffer, store.indices), whole), dtype)',
        (DOTS,),
        "what makes up for the moved bytes is added and not taken away",
    ),
    Mutant(
        "dot-products-of-what-is-stored-in-between",
        "lower/passes/dot_products.py",
        "if update is None or operands & stored or update.store.buffer in read | operands:",
        "if update is None:",
        (DOTS,),
        "an operand is read before the update that stores it",
    ),
    Mutant(
        "rows-that-overlap",
        "lower/llvm/memory.py",
        "stays = lane * len(values) + (number + 1) * access.lanes <= size",
        "stays = size > 0",
        ("tests/lower/llvm/test_interleaved.py",),
        "the last transposed rows are written beyond the end of all of them",
    ),
    Mutant(
        "stored-before-it-is-read",
        "lower/llvm/interleaved.py",
        "return masks[0] != masks[1] or any(load.buffer is first.buffer for load in loads(member))",
        "return masks[0] != masks[1]",
        ("tests/lower/llvm/test_interleaved.py",),
        "stores that go to memory together read what was there before all of them",
    ),
    Mutant(
        "lanes-of-two-blocks-divided",
        "lower/rewrite.py",
        "if quotient == (first + count - 1) // divisor:",
        "if quotient == first // divisor:",
        ("tests/golden/test_nests.py", DOTS),
        "a vector over two panels reads one",
    ),
    Mutant(
        "lanes-that-do-not-run-are-padding",
        "lower/passes/promote_accumulators.py",
        "alike = not any(map(_follows_its_tile, accesses))",
        "alike = not _follows_its_tile(template) or len(accesses) > 0",
        ("tests/lower/test_found.py",),
        "lanes whose inner loop has not begun are updated with zeros",
    ),
)
