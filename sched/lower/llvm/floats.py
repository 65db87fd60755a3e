"""Operations on float32 and float64, with the results and the signs of zero and infinity that NumPy gives.

min and max take -0.0 for less than 0.0, so that they commute; NumPy returns either.
"""

from __future__ import annotations

from ...compute.dtypes import DTYPES, INDEX
from .casts import reinterpret
from .emitter import Emitter
from .integers import Operands
from .values import DOUBLE, FLOAT32, Value, constant

INT32 = DTYPES["int32"]

_OPCODES = {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv"}
_INTRINSICS = {"min": "minimum", "max": "maximum"}
_LAYOUTS = {FLOAT32: (INT32, 23, 127), DOUBLE: (INDEX, 52, 1023)}  # the integer, the bits of the fraction, the bias
_RAISED = {FLOAT32: 40, DOUBLE: 69}  # how far down `scaled_down` goes below normal numbers
_RANGES = {"min": 4, "max": 5}  # with the sign of what is chosen


def arithmetic(e: Emitter, name: str, operands: Operands) -> Value:
    """add, sub, mul, truediv, min, max, min_number, max_number."""
    if name.endswith("_number"):
        return extreme_number(e, name.removesuffix("_number"), *operands)
    if name in _INTRINSICS:
        return _extremum(e, name, *operands)
    return e.binary(_OPCODES[name], *operands)


def _extremum(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """min and max. Vectors of AVX-512 have an instruction that orders zeros, too; it prefers numbers to NaN."""
    if not has_range(e, a):
        return e.intrinsic(_INTRINSICS[name], a, b)
    return e.choose(e.test("uno", a, b.text), e.binary("fadd", a, b), extreme_number(e, name, a, b))


def has_range(e: Emitter, a: Value) -> bool:
    """Whether there is one instruction for the least and greatest numbers of two vectors."""
    width = a.lanes * a.dtype.bits
    return e.machine.has_range and width in (128, 256, 512) and width <= e.machine.vector_bits


def extreme_number(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """min and max that prefer a number to NaN."""
    if not has_range(e, a):
        return e.intrinsic(f"{_INTRINSICS[name]}num", a, b)
    width = a.lanes * a.dtype.bits
    kind, mask = "ps" if a.dtype.bits == 32 else "pd", f"i{max(8, a.lanes)}"
    types, rounding = f"{a.type}, {a.type}, i32, {a.type}, {mask}", width == 512
    callee = e.module.declare(a.type, f"llvm.x86.avx512.mask.range.{kind}.{width}", types + ", i32" * rounding)
    arguments = f"{a.type} {a.text}, {a.type} {b.text}, i32 {_RANGES[name]}, {a.type} zeroinitializer, {mask} -1"
    text = e.fn.pure(f"call {a.type} {callee}({arguments}{', i32 4' * rounding})")
    return Value(text, a.dtype, a.lanes)


def negate(e: Emitter, a: Value) -> Value:
    return Value(e.fn.pure(f"fneg {a.type} {a.text}"), a.dtype, a.lanes)


def fma(e: Emitter, a: Value, b: Value, c: Value) -> Value:
    """a * b + c, rounded once where the machine can."""
    if e.machine.has_fma:
        return e.intrinsic("fma", a, b, c)
    return e.binary("fadd", e.binary("fmul", a, b), c)


def product_rest(e: Emitter, a: Value, b: Value, product: Value) -> Value:
    """a * b - product, exactly: without fma by products of halves of the digits (Dekker, 1971)."""
    if e.machine.has_fma:
        return e.intrinsic("fma", a, b, negate(e, product))
    (a_high, a_low), (b_high, b_low) = _halves(e, a), _halves(e, b)
    rest = e.binary("fsub", e.binary("fmul", a_high, b_high), product)
    for c, d in ((a_high, b_low), (a_low, b_high), (a_low, b_low)):
        rest = e.binary("fadd", rest, e.binary("fmul", c, d))
    return rest


def _halves(e: Emitter, a: Value) -> tuple[Value, Value]:
    """A number as the sum of two with half of its digits: the upper bits, and the rest."""
    integer, kept = (INT32, -1 << 12) if a.dtype == FLOAT32 else (INDEX, -1 << 27)
    upper = e.binary("and", reinterpret(e, a, integer), constant(kept, integer, a.lanes))
    high = reinterpret(e, upper, a.dtype)
    return high, e.binary("fsub", a, high)


def scaled(e: Emitter, x: Value, shifted: Value) -> Value:
    """x * 2 ** k, rounded once: k is what is left of `shifted` without 1.5 * 2 ** fraction, whose low bits it has.

    2 ** k itself may be no normal number; without an instruction for it there are two factors, and the first product
    is exact.
    """
    if _has_scalef(e, x):
        return _scalef(e, x, shifted)
    integer, fraction, bias = _LAYOUTS[x.dtype]
    to_integer = 1.5 * 2.0**fraction
    one, first = constant(1, integer, x.lanes), constant(fraction, integer, x.lanes)
    offset = reinterpret(e, constant(to_integer, x.dtype), integer)
    exponent = e.binary("sub", reinterpret(e, shifted, integer), e.broadcast(offset, x.lanes))
    half = e.binary("ashr", exponent, one)
    for part in (half, e.binary("sub", exponent, half)):
        bits = e.binary("shl", e.binary("add", part, constant(bias, integer, x.lanes)), first)
        x = e.binary("fmul", x, reinterpret(e, bits, x.dtype))
    return x


def scaled_down(e: Emitter, x: Value, shifted: Value) -> Value:
    """The same for k from -165 (float32) or -1090 to 0: the first factor is a power of two that is a normal number."""
    if _has_scalef(e, x):
        return _scalef(e, x, shifted)
    integer, fraction, bias = _LAYOUTS[x.dtype]
    in_place = e.binary("shl", reinterpret(e, shifted, integer), constant(fraction, integer, x.lanes))
    raised = bias + _RAISED[x.dtype] << fraction
    factor = reinterpret(e, e.binary("add", in_place, constant(raised, integer, x.lanes)), x.dtype)
    return e.binary("fmul", e.binary("fmul", x, factor), constant(2.0 ** -_RAISED[x.dtype], x.dtype, x.lanes))


def _has_scalef(e: Emitter, x: Value) -> bool:
    return e.machine.has_scalef and x.lanes * x.dtype.bits in (128, 256, 512)


def _scalef(e: Emitter, x: Value, shifted: Value) -> Value:
    k = e.binary("fsub", shifted, constant(1.5 * 2.0 ** _LAYOUTS[x.dtype][1], x.dtype, x.lanes))
    kind = "ps" if x.dtype == FLOAT32 else "pd"
    mask = f"i{max(8, x.lanes)} -1" + (", i32 4" if x.lanes * x.dtype.bits == 512 else "")
    name = f"@llvm.x86.avx512.mask.scalef.{kind}.{x.lanes * x.dtype.bits}"
    text = e.fn.pure(f"call {x.type} {name}({x.type} {x.text}, {k.type} {k.text}, {x.type} zeroinitializer, {mask})")
    return Value(text, x.dtype, x.lanes)
