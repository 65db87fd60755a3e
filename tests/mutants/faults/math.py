"""Faults in sched/lower/math: the elementary functions."""

from __future__ import annotations

from ..mutant import Mutant

_CIRCULAR = ("tests/math/test_circular.py",)

IN_MATH: tuple[Mutant, ...] = (
    Mutant(
        "reduction-forgets-the-last-part",
        "lower/math/reduction.py",
        "fma(k, f.const(-last), (x - r) - product)",
        "(x - r) - product",
        _CIRCULAR,
        "pi / 2 has three parts only",
    ),
    Mutant(
        "reduction-forgets-its-rounding",
        "lower/math/reduction.py",
        "fma(k, f.const(-last), (x - r) - product)",
        "k * f.const(-last)",
        ("tests/math/test_accuracy.py",),
        "r is as good as one number of its type",
    ),
    Mutant(
        "window-is-short",
        "lower/math/payne_hanek.py",
        "a << offset) | ((b >> Const(1, word)) >> upward)",
        "a << offset) | ((b >> Const(2, word)) >> upward)",
        _CIRCULAR,
        "a word of 1 / (2 pi) gets the wrong bits of the next one",
    ),
    Mutant(
        "product-loses-a-carry",
        "lower/math/payne_hanek.py",
        "        carry = (first >> _u64(32)) + (second >> _u64(32))",
        "        carry = first >> _u64(32)",
        _CIRCULAR,
        "long multiplication forgets a carry",
    ),
    Mutant(
        "rarely-replaces-all-lanes",
        "lower/llvm/outlined.py",
        "[e.choose(condition, replace(part, text=text), part) for",
        "[replace(part, text=text) for",
        _CIRCULAR,
        "one large argument changes the bits of the other lanes",
    ),
    Mutant(
        "atan2-of-minus-zero",
        "lower/math/inverse_trigonometric.py",
        "f.bits(x) < f.int(0)",
        "x < f.const(0.0)",
        _CIRCULAR,
        "-0.0 counts as 0.0 on the axis",
    ),
    Mutant(
        "sinh-of-the-smallest-numbers",
        "lower/math/hyperbolic.py",
        "select(magnitude < f.const(_SMALL[x.dtype.name]), magnitude, value + value)",
        "value + value",
        ("tests/math/test_accuracy.py",),
        "half of an odd subnormal number loses its last bit",
    ),
    Mutant(
        "floor-of-a-negative-number",
        "lower/llvm/rounding.py",
        'e.test("ogt", signed, x.text), e.binary("fsub", signed, one), signed)',
        'e.test("olt", signed, x.text), e.binary("fsub", signed, one), signed)',
        ("tests/math/test_code.py",),
        "without SSE4.1, floor is one too low or too high",
    ),
    Mutant(
        "copies-in-step-though-they-read-each-other",
        "lower/llvm/in_step.py",
        "len(found) > 1 and independent",
        "len(found) > 1",
        ("tests/lower/llvm/test_in_step.py",),
        "a copy reads what the one before has not yet written",
    ),
    Mutant(
        "erfc-forgets-what-a-quotient-lost",
        "lower/math/error_function.py",
        "fma(quotient, small, fma(rest, parts.first, rest))",
        "fma(quotient, small, rest)",
        ("tests/math/test_accuracy.py",),
        "half an ulp more",
    ),
    Mutant(
        "compensated-fma-forgets-the-product",
        "lower/math/parts.py",
        "total + (lost + product_rest(a, b, product))",
        "total + lost",
        ("tests/math/test_accuracy.py",),
        "without fma, a product is rounded before the sum",
    ),
    Mutant(
        "quotients-of-64-bits-without-a-last-step",
        "lower/llvm/long_integers.py",
        'more = e.test("uge", remainder, b.text)',
        'more = e.test("ugt", remainder, b.text)',
        ("tests/dtypes/test_integers.py",),
        "a remainder as large as the divisor is left (vectors of AVX-512)",
    ),
    Mutant(
        "long-integers-are-rounded-twice",
        "lower/llvm/long_integers.py",
        'e.choose(more, e.binary("or", cut, _like(a, 0x800)), cut)',
        "cut",
        ("tests/dtypes/test_integer_code.py",),
        "what float64 does not have counts for nothing",
    ),
)
