"""fmod, and the floor division and remainder of floats: exact, in vectors.

Long division: as long as a >= b in any lane, a multiple q t is taken off a, where t is b times a power of two so large
that the quotient q = a / t is an exact integer. Operands that are less than some 2 ** 20 apart take one turn.
"""

from __future__ import annotations

from ...compute.dtypes import DTYPES, INDEX, DType
from .casts import reinterpret
from .emitter import Emitter
from .floats import fma, negate, product_rest
from .horizontal import any_lane
from .rounding import rounded
from .values import FLOAT32, Value, constant

_INT32 = DTYPES["int32"]


def fmod(e: Emitter, x: Value, y: Value) -> Value:
    """x less the multiple of y next towards zero, with the sign of x."""
    digits = 24 if x.dtype == FLOAT32 else 53
    zero, infinity = _like(x, 0.0), _like(x, float("inf"))
    a, b = e.intrinsic("fabs", x), e.intrinsic("fabs", y)
    valid = e.binary("and", e.test("olt", a, infinity.text), e.test("ogt", b, zero.text))
    a = e.choose(valid, a, zero)
    # Subnormal divisors are divided by as multiples of theirs, and then once more, all multiplied.
    up, down = _like(x, 2.0**digits), _like(x, 2.0**-digits)
    tiny = e.test("olt", b, _like(x, 2.0 ** (-126 if digits == 24 else -1022)).text)
    b = e.choose(tiny, e.binary("fmul", b, up), b)
    slot = e.fn.alloca(a.type, min(64, 1 << (a.lanes * a.dtype.bits // 8 - 1).bit_length()))
    _set(e, slot, a)
    _divided(e, slot, b)
    some, rest = e.fn.label(), e.fn.label()
    e.fn.branch(any_lane(e, tiny), some, rest, e.module.unlikely())
    with e.fn.region():
        e.fn.start(some)
        left = _get(e, slot, a)
        _set(e, slot, e.choose(tiny, e.binary("fmul", left, up), left))
        _divided(e, slot, b)
        left = _get(e, slot, a)
        _set(e, slot, e.choose(tiny, e.binary("fmul", left, down), left))
        e.fn.jump(rest)
    e.fn.start(rest)
    remainder = e.intrinsic("copysign", _get(e, slot, a), x)
    defined = e.binary("and", valid, e.test("ord", y, y.text))
    return e.choose(defined, remainder, _like(x, float("nan")))


def divide(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """floordiv and mod as NumPy's npy_divmod: the remainder has the sign of b, the quotient is an integer."""
    zero, one = _like(a, 0.0), _like(a, 1.0)
    remainder = fmod(e, a, b)
    inexact = e.test("une", remainder, zero.text)
    apart = e.binary("xor", e.test("olt", b, zero.text), e.test("olt", remainder, zero.text))
    above = e.binary("and", inexact, apart)
    if name == "mod":
        moved = e.choose(above, e.binary("fadd", remainder, b), remainder)
        return e.choose(inexact, moved, e.intrinsic("copysign", zero, b))
    ratio, quotient = e.binary("fdiv", a, b), e.binary("fdiv", e.binary("fsub", a, remainder), b)
    quotient = e.choose(above, e.binary("fsub", quotient, one), quotient)
    down = rounded(e, "floor", quotient)
    far = e.test("ogt", e.binary("fsub", quotient, down), quotient.lit(0.5))
    snapped = e.choose(far, e.binary("fadd", down, one), down)
    whole = e.choose(e.test("une", quotient, zero.text), snapped, e.intrinsic("copysign", zero, ratio))
    return e.choose(e.test("oeq", b, zero.text), ratio, whole)


def _divided(e: Emitter, slot: str, b: Value) -> None:
    """Replace a in `slot` by its remainder, for b that is normal, infinite or NaN."""
    head, body, done = e.fn.label(), e.fn.label(), e.fn.label()
    e.fn.jump(head)
    with e.fn.region():
        e.fn.start(head)
        a = _get(e, slot, b)
        more = e.test("oge", a, b.text)
        e.fn.branch(any_lane(e, more), body, done)
        e.fn.start(body)
        _set(e, slot, e.choose(more, _less(e, a, b), a))
        e.fn.jump(head)
    e.fn.start(done)


def _less(e: Emitter, a: Value, b: Value) -> Value:
    """a less a multiple of b, and not below zero, for finite a >= b."""
    integer, fraction = _bits_of(a.dtype)
    apart = e.binary("sub", _exponent(e, a), _exponent(e, b))
    places = e.intrinsic("smax", e.binary("sub", apart, _integer(fraction - 2, a)), _integer(0, a))
    raised = e.binary("add", reinterpret(e, b, integer), e.binary("shl", places, _integer(fraction, a)))
    t = reinterpret(e, raised, a.dtype)
    q = rounded(e, "trunc", e.binary("fdiv", a, t))
    if e.machine.has_fma:
        left = fma(e, negate(e, q), t, a)
    else:
        product = e.binary("fmul", q, t)
        left = e.binary("fsub", e.binary("fsub", a, product), product_rest(e, q, t, product))
    # The quotient may have been rounded up to an integer.
    return e.choose(e.test("olt", left, _like(a, 0.0).text), e.binary("fadd", left, t), left)


def _exponent(e: Emitter, a: Value) -> Value:
    """The exponent of a positive number as it is in its bits."""
    integer, fraction = _bits_of(a.dtype)
    return e.binary("lshr", reinterpret(e, a, integer), _integer(fraction, a))


def _bits_of(dtype: DType) -> tuple[DType, int]:
    return (_INT32, 23) if dtype == FLOAT32 else (INDEX, 52)


def _integer(number: int, like: Value) -> Value:
    return constant(number, _bits_of(like.dtype)[0], like.lanes)


def _like(value: Value, number: float) -> Value:
    return constant(number, value.dtype, value.lanes)


def _get(e: Emitter, slot: str, like: Value) -> Value:
    return Value(e.fn.result(f"load {like.type}, ptr {slot}"), like.dtype, like.lanes)


def _set(e: Emitter, slot: str, value: Value) -> None:
    e.fn.do(f"store {value.type} {value.text}, ptr {slot}")
