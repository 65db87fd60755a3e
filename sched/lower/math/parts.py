"""What the functions are made of: formats, bits, polynomials, and powers of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ...compute.dtypes import DTYPES, DType
from ...compute.expr import Cast, Const, Expr, Op


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point type: the bits of its fraction, its exponent's bias, and the integer of its size."""

    dtype: DType
    fraction: int
    bias: int
    integer: DType

    @property
    def to_integer(self) -> float:
        """Added to a number below 2 ** (fraction - 2), it rounds that to the nearest integer, which is left in the
        low bits of the sum."""
        return 1.5 * 2.0**self.fraction

    @property
    def sqrt_half(self) -> int:
        """The bits of sqrt(1/2): from there on, x = 2 ** k m has the k for which m is nearest to 1."""
        return {23: 0x3F3504F3, 52: 0x3FE6A09E667F3BCD}[self.fraction]

    def const(self, value: float) -> Const:
        return Const(value, self.dtype)

    def int(self, value: int) -> Const:
        return Const(value, self.integer)

    def bits(self, value: Expr) -> Expr:
        """The bits of a float as an integer."""
        return Op("reinterpret", (value,), self.integer)

    def float(self, bits: Expr) -> Expr:
        """The float that has these bits."""
        return Op("reinterpret", (bits,), self.dtype)

    def count(self, exponent: Expr) -> Expr:
        """An integer of few bits, which LLVM sees in how it was made, as a float."""
        return Op("short_to_float", (exponent,), self.dtype)

    def power_of_two(self, exponent: Expr) -> Expr:
        """2 ** exponent for an integer that is the exponent of a normal number."""
        return self.float((exponent + self.int(self.bias)) << self.int(self.fraction))

    def scaled(self, value: Expr, shifted: Expr) -> Expr:
        """value * 2 ** k, rounded once, for an integer k to which `to_integer` was added."""
        return Op("scaled", (value, shifted), self.dtype)

    def scaled_down(self, value: Expr, shifted: Expr) -> Expr:
        """The same in fewer operations for k from -165 (float32) or -1090 to 0."""
        return Op("scaled_down", (value, shifted), self.dtype)

    def magnitude(self, x: Expr) -> Expr:
        """x without its sign bit."""
        return self.float(self.bits(x) & self.int((1 << (self.integer.bits - 1)) - 1))

    def with_sign_of(self, magnitude: Expr, x: Expr) -> Expr:
        """A number that is not negative, with the sign bit of x."""
        sign = self.bits(x) & self.int(-1 << (self.integer.bits - 1))
        return self.float(self.bits(magnitude) | sign)


FORMATS = {
    "float32": Format(DTYPES["float32"], 23, 127, DTYPES["int32"]),
    "float64": Format(DTYPES["float64"], 52, 1023, DTYPES["int64"]),
}


def power_of_shifted(f: Format, shifted: Expr, more: int = 0) -> Expr:
    """2 ** (k + more) for an integer k to which `to_integer` was added."""
    in_place = f.bits(shifted) << f.int(f.fraction)
    return f.float(in_place + f.int((f.bias + more) << f.fraction))


def fma(a: Expr, b: Expr, c: Expr) -> Expr:
    """a * b + c, rounded once where the target can."""
    return Op("fma", (a, b, c), a.dtype)


def where_fused(fused: Expr, apart: Expr) -> Expr:
    """The first where the target has fma, otherwise the second, which does with two roundings."""
    return Op("where_fused", (fused, apart), fused.dtype)


def exact_fma(a: Expr, parts: tuple[float, float], c: Expr) -> Expr:
    """a (the sum of the parts) + c, which is a number of the type, as are the sum and the product of a and each part.

    So it is one operation where there is fma, and the same from two products where there is none.
    """
    high, low = (Const(part, a.dtype) for part in parts)
    return where_fused(fma(a, Const(sum(parts), a.dtype), c), fma(a, low, fma(a, high, c)))


def compensated_fma(a: Expr, b: Expr, c: Expr) -> Expr:
    """a * b + c, rounded once where the target can, and hardly ever otherwise where it cannot: there it is computed in
    float64 for float32, and for float64 with what the product and the sum lose (Dekker, 1971; Knuth, 1969)."""
    if a.dtype.bits == 32:
        wide = (Cast(operand, DTYPES["float64"]) for operand in (a, b, c))
        return where_fused(fma(a, b, c), Cast(fma(*wide), a.dtype))
    product = a * b
    total = product + c
    added = total - product
    lost = (product - (total - added)) + (c - added)
    return where_fused(fma(a, b, c), total + (lost + product_rest(a, b, product)))


def product_rest(a: Expr, b: Expr, product: Expr) -> Expr:
    """a * b - product, which is a * b rounded: exactly, also where the target has no fma."""
    return Op("product_rest", (a, b, product), a.dtype)


def select(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return Op("select", (condition, yes, no), yes.dtype)


def at_most(x: Expr, limit: Const) -> Expr:
    """The smaller of the two; NaN stays."""
    return select(x > limit, limit, x)


def at_least(x: Expr, limit: Const) -> Expr:
    """The larger of the two; NaN stays."""
    return select(x < limit, limit, x)


def polynomial(x: Expr, coefficients: tuple[float, ...]) -> Expr:
    """c0 + x (c1 + c2 x + ...), the coefficient of the lowest power first.

    The sum in parentheses is made of pairs, and pairs of pairs (Estrin, 1960): with a power of x a level it takes some
    more operations than Horner's scheme, which waits for each, but a processor has as many of them under way as fit
    into its window, and half as long a chain lets it finish them nearly twice as fast.
    """
    first, *rest = (Const(coefficient, x.dtype) for coefficient in coefficients)
    return fma(_in_pairs(x, rest), x, first) if rest else first


def _in_pairs(x: Expr, terms: Sequence[Expr]) -> Expr:
    """The sum of terms[n] x ** n."""
    while len(terms) > 1:
        pairs = zip_longest(terms[::2], terms[1::2])
        terms = [even if odd is None else fma(odd, x, even) for even, odd in pairs]
        x = x * x if len(terms) > 1 else x
    return terms[0]
