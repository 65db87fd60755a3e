"""x = k pi / 2 + r with an integer k, for x of any size: in integers (Payne and Hanek, Radian reduction for
trigonometric functions, 1983).

x = M 2 ** e is multiplied by a window of the bits of 1 / (2 pi): those before it give whole turns, those after it less
than is asked for. Of the turn that is left, the first two bits are k, and the others r. No float32 comes closer to a
multiple of pi / 2 than 2 ** -30 or so, no float64 than 2 ** -61, and there are 62 and 126 bits.
"""

from __future__ import annotations

from itertools import pairwise

from ...compute.dtypes import DTYPES
from ...compute.expr import Cast, Const, Expr, Op
from ...compute.operations import apply
from .circular_coefficients import QUARTER, TURN, TURN_PADDING
from .parts import Format, fma, select
from .reduction import Reduced

_WORDS = {"float32": DTYPES["uint32"], "float64": DTYPES["uint64"]}
_INT32, _INT64, _UINT64, _DOUBLE = (DTYPES[name] for name in ("int32", "int64", "uint64", "float64"))


def reduced(f: Format, x: Expr) -> Reduced:
    """NEAR < x; anything for infinity and for other x."""
    return _in_words(f, x) if f.dtype != _DOUBLE else _in_double_words(f, x)


def _in_words(f: Format, x: Expr) -> Reduced:
    """float32: 24 bits times 96."""
    significand, window = _factors(f, x)
    m = Cast(significand, _UINT64)
    high, middle, low = (Cast(word, _UINT64) for word in window)
    quadrant, rest = _quarters((m * high << _u64(32)) + m * middle + (m * low >> _u64(32)))
    wide = _double(rest) * Const(sum(QUARTER) * 2.0**-62, _DOUBLE)
    r = Cast(wide, f.dtype)
    return Reduced(Cast(quadrant, _INT32), r, Cast(wide - Cast(r, _DOUBLE), f.dtype))


def _in_double_words(f: Format, x: Expr) -> Reduced:
    """float64: 53 bits times 192, of which the upper 128 after the first 64 are kept."""
    significand, window = _factors(f, x)
    high, low = _product(significand, window)
    quadrant, rest = _quarters(high)
    first, second = _halves(rest)
    upper = first + second
    lower = fma(_double(low), f.const(2.0**-64), second - (upper - first))
    total = upper + lower
    return _times_quarter(f, Cast(quadrant, _INT64), total, lower - (total - upper))


def _factors(f: Format, x: Expr) -> tuple[Expr, tuple[Expr, ...]]:
    """M as an integer, and three words of 1 / (2 pi) from the bit on whose product with it is below 1."""
    word = _WORDS[f.dtype.name]

    def const(value: int) -> Const:
        return Const(value, word)

    bits = Op("reinterpret", (x,), word)
    significand = bits & const((1 << f.fraction) - 1) | const(1 << f.fraction)
    position = (bits >> const(f.fraction)) - const(f.bias + f.fraction - TURN_PADDING[f.dtype.name])
    return significand, _window(position, [const(value) for value in TURN[f.dtype.name]], 3)


def _window(position: Expr, words: list[Const], count: int) -> tuple[Expr, ...]:
    """`count` words from the bit `position` on: shifted by words, in powers of two, and then by bits."""
    word = words[0].dtype
    index, zero = position >> Const(word.bits.bit_length() - 1, word), Const(0, word)
    found: list[Expr] = list(words)
    for step in (1 << n for n in reversed(range((len(words) - count - 1).bit_length()))):
        moved = apply("ne", index & Const(step, word), zero)
        pairs = ((i, i + step) for i in range(count + step))
        found = [select(moved, found[j], found[i]) if j < len(found) else found[i] for i, j in pairs]
    offset = position & Const(word.bits - 1, word)
    upward = offset ^ Const(word.bits - 1, word)
    return tuple((a << offset) | ((b >> Const(1, word)) >> upward) for a, b in pairwise(found))


def _product(significand: Expr, window: tuple[Expr, ...]) -> tuple[Expr, Expr]:
    """The product of 53 and 192 bits without its upper 53 and, but for what they carry, its lower 64.

    Long multiplication in 32 bits. No sum overflows: a product of two words leaves room for two more words.
    """
    upper, lower = significand >> _u64(32), _lower(significand)
    halves = [half for word in window for half in (word >> _u64(32), _lower(word))]
    carry = (_times(lower, halves[4]) >> _u64(32)) + (_times(upper, halves[5]) >> _u64(32))
    digits = []
    for one, other in ((3, 4), (2, 3), (1, 2), (0, 1)):
        first = _times(lower, halves[one]) + carry
        second = _times(upper, halves[other]) + _lower(first)
        carry = (first >> _u64(32)) + (second >> _u64(32))
        digits.append(second)
    return (digits[3] << _u64(32)) | _lower(digits[2]), (digits[1] << _u64(32)) | _lower(digits[0])


def _times(a: Expr, b: Expr) -> Expr:
    """The product of 64-bit integers below 2 ** 32."""
    return Op("short_mul", (a, b), a.dtype)


def _quarters(turn: Expr) -> tuple[Expr, Expr]:
    """A turn of 2 ** 64 as the nearest number of quarters, and the signed rest."""
    quadrant = ((turn >> _u64(61)) + _u64(1)) >> _u64(1)
    return quadrant, Cast(turn - (quadrant << _u64(62)), _INT64)


def _times_quarter(f: Format, quadrant: Expr, high: Expr, low: Expr) -> Reduced:
    """(high + low) pi / 2 2 ** -62. The product of the first halves of `high` and pi / 2 is exact."""
    head = f.float(f.bits(high) & f.int(-1 << (f.fraction // 2 + 1)))
    first, second = (f.const(part * 2.0**-62) for part in QUARTER)
    product = head * first
    rest = fma(high, second, fma(low, first, (high - head) * first))
    r = product + rest
    return Reduced(quadrant, r, rest - (r - product))


def _double(x: Expr) -> Expr:
    """A 64-bit integer as a float64, rounded once, without a conversion that few processors have for vectors."""
    first, second = _halves(x)
    return first + second


def _halves(x: Expr) -> tuple[Expr, Expr]:
    """A 64-bit integer as the sum of two numbers, the upper and the lower 32 bits: each added to the bits of a number
    whose last digit is 1, from which that is subtracted."""
    one = Const(1.5 * 2.0**52, _DOUBLE)
    bits = Const(0x4338 << 48, _INT64)
    upper = Cast(x >> Const(32, x.dtype), _INT64)
    first, second = (Op("reinterpret", (part + bits,), _DOUBLE) - one for part in (upper, Cast(_lower(x), _INT64)))
    return first * Const(2.0**32, _DOUBLE), second


def _lower(x: Expr) -> Expr:
    """The lower 32 bits."""
    return x & Const((1 << 32) - 1, x.dtype)


def _u64(value: int) -> Const:
    return Const(value, _UINT64)
