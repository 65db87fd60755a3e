"""Operations on integers and bools: they wrap, and division by anything is defined."""

from __future__ import annotations

from ...compute.dtypes import DTYPES
from . import long_integers
from .casts import cast
from .emitter import Emitter
from .fixed_point import mul_hi
from .values import DOUBLE, FLOAT32, Value, constant

Operands = tuple[Value, ...]
_BOOLEAN = {"add": "or", "mul": "and", "min": "and", "max": "or"}


def arithmetic(e: Emitter, name: str, operands: Operands) -> Value:
    """add, sub, mul, min, max; on bools the logic that NumPy makes of them."""
    a, b = operands
    if a.dtype.kind == "bool":
        return e.binary(_BOOLEAN[name], a, b)
    if name in ("min", "max"):
        return e.intrinsic(f"{'s' if a.dtype.kind == 'int' else 'u'}{name}", a, b)
    return long_integers.mul(e, a, b) if name == "mul" and _long(a) else e.binary(name, a, b)


def _long(a: Value) -> bool:
    return a.lanes > 1 and a.dtype.bits == 64


def negate(e: Emitter, a: Value) -> Value:
    return e.binary("sub", constant(0, a.dtype, a.lanes), a)


def absolute(e: Emitter, a: Value) -> Value:
    """The least integer stays as it is."""
    return e.intrinsic("abs", a, extra=", i1 false") if a.dtype.kind == "int" else a


def invert(e: Emitter, a: Value) -> Value:
    return e.binary("xor", a, constant(1 if a.dtype.kind == "bool" else -1, a.dtype, a.lanes))


def shift(e: Emitter, name: str, operands: Operands, known: int | None) -> Value:
    """shl and shr: counts that are no bit positions leave zeros, or copies of the sign. `known` is a constant count."""
    a, count = operands
    bits = a.dtype.bits
    signed = a.dtype.kind == "int"
    opcode = "shl" if name == "shl" else "ashr" if signed else "lshr"
    if known is not None and 0 <= known < bits:
        return e.binary(opcode, a, count)
    if opcode == "ashr":
        return e.binary(opcode, a, e.intrinsic("umin", count, constant(bits - 1, count.dtype, count.lanes)))
    inside = e.test("ult", count, count.lit(bits))
    return e.choose(inside, e.binary(opcode, a, count), constant(0, a.dtype, a.lanes))


def divide(e: Emitter, name: str, operands: Operands, known: int | None) -> Value:
    """floordiv and mod, both 0 where b is 0. `known` is a constant divisor."""
    a, b = operands
    zero = constant(0, a.dtype, a.lanes)
    if known == 0:
        return zero
    if known is not None:
        return _divide_by_constant(e, name, a, known)
    by_zero = e.test("eq", b, zero.text)
    divisor = e.choose(_unsafe(e, a, b, by_zero), constant(1, a.dtype, a.lanes), b)
    quotient, remainder = _truncated(e, a, divisor)
    above: Value | None = None
    if a.dtype.kind == "int":
        # The quotient was cut towards zero; it lies above the floor where the signs differ.
        apart = e.test("slt", e.binary("xor", remainder, b), zero.text)
        above = e.binary("and", e.test("ne", remainder, zero.text), apart)
    if name == "mod":
        return remainder if above is None else e.binary("add", remainder, e.choose(above, b, zero))
    if above is not None:
        minus_one = e.fn.pure(f"sext {above.type} {above.text} to {a.type}")
        quotient = e.binary("add", quotient, Value(minus_one, a.dtype, a.lanes))
    return e.choose(by_zero, zero, quotient)


def truncated_remainder(e: Emitter, operands: Operands, known: int | None) -> Value:
    """fmod: the remainder with the sign of a; 0 for b = 0."""
    a, b = operands
    remainder = divide(e, "mod", operands, known)
    if a.dtype.kind == "uint":
        return remainder
    apart = e.test("slt", e.binary("xor", a, b), a.lit(0))
    moved = e.binary("and", e.test("ne", remainder, a.lit(0)), apart)
    return e.choose(moved, e.binary("sub", remainder, b), remainder)


def _unsafe(e: Emitter, a: Value, b: Value, by_zero: Value) -> Value:
    """Where the machine's division would trap; division by 1 gives the result of the least integer by -1."""
    if a.dtype.kind == "uint":
        return by_zero
    least, minus_one = e.test("eq", a, a.lit(a.dtype.lowest)), e.test("eq", b, b.lit(-1))
    return e.binary("or", by_zero, e.binary("and", least, minus_one))


def _truncated(e: Emitter, a: Value, b: Value) -> tuple[Value, Value]:
    """The quotient cut towards zero, and the remainder. Vectors of up to 32 bits divide as floats that hold them.

    A quotient of integers below 2 ** 16 (2 ** 32) is further below the next integer than float32 (float64) rounds.
    """
    sign = "s" if a.dtype.kind == "int" else "u"
    if _long(a) and long_integers.divides(e):
        return long_integers.divided(e, a, b)
    if a.lanes == 1 or _long(a):
        e.note("division", a.dtype.name, a.lanes)
        return e.binary(f"{sign}div", a, b), e.binary(f"{sign}rem", a, b)
    wide = FLOAT32 if a.dtype.bits <= 16 else DOUBLE
    ratio = e.binary("fdiv", cast(e, a, wide), cast(e, b, wide))
    text = e.fn.pure(f"fpto{sign}i {ratio.type} {ratio.text} to {a.type}")
    quotient = Value(text, a.dtype, a.lanes)
    return quotient, e.binary("sub", a, e.binary("mul", quotient, b))


def _divide_by_constant(e: Emitter, name: str, a: Value, divisor: int) -> Value:
    """Floor division by a constant other than 0."""
    if divisor > 0:
        return _quotient(e, a, divisor) if name == "floordiv" else _remainder(e, a, divisor)
    remainder, zero = _remainder(e, a, -divisor), constant(0, a.dtype, a.lanes)
    exact = e.test("eq", remainder, zero.text)
    if name == "mod":
        return e.choose(exact, zero, e.binary("add", remainder, constant(divisor, a.dtype, a.lanes)))
    # The negated ceiling: ~q is -q - 1.
    quotient = _quotient(e, a, -divisor)
    return e.choose(exact, negate(e, quotient), invert(e, quotient))


def _remainder(e: Emitter, a: Value, divisor: int) -> Value:
    """The remainder of a floor division by a positive constant."""
    if divisor & (divisor - 1) == 0:
        return e.binary("and", a, constant(divisor - 1, a.dtype, a.lanes))
    if 2 * divisor > a.dtype.highest - a.dtype.lowest:  # an unsigned number has it once or not at all
        by = constant(divisor, a.dtype, a.lanes)
        return e.choose(e.test("uge", a, by.text), e.binary("sub", a, by), a)
    product = arithmetic(e, "mul", (_quotient(e, a, divisor), constant(divisor, a.dtype, a.lanes)))
    return e.binary("sub", a, product)


def _quotient(e: Emitter, a: Value, divisor: int) -> Value:
    """Floor division by a positive constant."""
    if divisor & (divisor - 1) == 0:
        places = constant(divisor.bit_length() - 1, a.dtype, a.lanes)
        return e.binary("ashr" if a.dtype.kind == "int" else "lshr", a, places)
    if a.dtype.kind == "uint":
        return _unsigned_quotient(e, a, divisor, a.dtype.bits)
    # For a < 0 the floor is ~(~a // divisor), and ~a is not negative.
    sign = e.binary("ashr", a, constant(a.dtype.bits - 1, a.dtype, a.lanes))
    magnitude = cast(e, e.binary("xor", a, sign), DTYPES[f"u{a.dtype.name}"])
    return e.binary("xor", sign, cast(e, _unsigned_quotient(e, magnitude, divisor, a.dtype.bits - 1), a.dtype))


def _unsigned_quotient(e: Emitter, a: Value, divisor: int, bits: int) -> Value:
    """The quotient of a number below 2 ** bits by a constant that is no power of two.

    LLVM multiplies by a rounded reciprocal and shifts, but leaves vectors of 64 bits for scalar code; there the same is
    done here (Granlund and Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994).
    """
    if a.lanes == 1 or a.dtype.bits < 64:
        return e.binary("udiv", a, constant(divisor, a.dtype, a.lanes))
    places, reciprocal = _reciprocal(divisor, bits)
    high = mul_hi(e, a, constant(reciprocal, a.dtype, a.lanes))
    if reciprocal >> 64:
        # The reciprocal has a 65th bit: (high + a) >> places without the sum, which would wrap.
        half = e.binary("lshr", e.binary("sub", a, high), constant(1, a.dtype, a.lanes))
        high, places = e.binary("add", high, half), places - 1
    return e.binary("lshr", high, constant(places, a.dtype, a.lanes))


def _reciprocal(divisor: int, bits: int) -> tuple[int, int]:
    """The least s, and m, for which a // divisor is a * m >> (64 + s) for all a below 2 ** bits."""
    for places in range(65):
        reciprocal = (1 << (64 + places)) // divisor + 1
        if reciprocal * divisor - (1 << (64 + places)) << bits <= 1 << (64 + places):
            return places, reciprocal
    raise AssertionError(f"{divisor} has no reciprocal")
