"""float16 and bfloat16: every operation is done in float32 and rounded, as NumPy does.

Where the machine has no conversion instructions for float16 they are written in integers; LLVM would call a library
that is not there. Both ways give the same bits, except that not every NaN keeps its payload. bfloat16 is always
converted in integers: x86's instruction for it takes subnormals for zeros.

x86 has instructions for these conversions and for nothing else. What a float32 is the value of is remembered for two of
its uses: a half that is wanted in all lanes is broadcast, and converted there; and LLVM is not shown that a half is
rounded to an integer, which it would do lane by lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compute.dtypes import BFLOAT16, DType
from .values import DOUBLE, FLOAT16, FLOAT32, Value, splat, vector

if TYPE_CHECKING:
    from .emitter import Emitter

# LLVM's names of the types that scalars are passed in.
HALF_TYPES = {"float16": "half", "bfloat16": "bfloat"}


def is_half(dtype: DType) -> bool:
    return dtype.name in HALF_TYPES


def widen(e: Emitter, half: Value) -> Value:
    """The float32 of a float16 or bfloat16."""
    single = vector("float", half.lanes)
    if half.dtype == BFLOAT16:
        i = _Bits(e, 32, half.lanes)
        upper = i("shl", e.fn.pure(f"zext {half.type} {half.text} to {i.type}"), 16)
        return Value(e.fn.pure(f"bitcast {i.type} {upper} to {single}"), FLOAT32, half.lanes)
    if e.native_half:
        type_ = vector("half", half.lanes)
        bits = e.fn.pure(f"bitcast {half.type} {half.text} to {type_}")
        wide = Value(e.fn.pure(f"fpext {type_} {bits} to {single}"), FLOAT32, half.lanes)
        if not e.is_arm:
            e.widened[wide.text] = half
        return wide
    i = _Bits(e, 32, half.lanes)
    bits = e.fn.pure(f"zext {half.type} {half.text} to {i.type}")
    magnitude = i("and", bits, 0x7FFF)
    shifted = i("shl", magnitude, 13)
    # A subnormal is a small multiple of 2 ** -24: put it below an exponent as a mantissa, and subtract that.
    raised = e.fn.pure(f"bitcast {i.type} {i('add', shifted, 113 << 23)} to {single}")
    lowered = e.fn.pure(f"fsub {single} {raised}, {splat('float', '0x3F10000000000000', half.lanes)}")
    subnormal = e.fn.pure(f"bitcast {single} {lowered} to {i.type}")
    finite = i.select(i.less(magnitude, 0x400), subnormal, i("add", shifted, 112 << 23))
    number = i.select(i.less(magnitude, 0x7C00), finite, i("add", shifted, 224 << 23))
    signed = i("or", number, i("shl", i("and", bits, 0x8000), 16))
    return Value(e.fn.pure(f"bitcast {i.type} {signed} to {single}"), FLOAT32, half.lanes)


def narrow(e: Emitter, value: Value, to: DType) -> Value:
    """The float16 or bfloat16 nearest to a float32 or float64, rounded once, ties to even."""
    if value.dtype == DOUBLE:
        value = _round_to_odd(e, value)
    if to == BFLOAT16:
        return _upper_half(e, value)
    type_ = vector("half", value.lanes)
    short = vector("i16", value.lanes)
    if e.native_half:
        rounded = e.fn.pure(f"fptrunc {value.type} {value.text} to {type_}")
        return Value(e.fn.pure(f"bitcast {type_} {rounded} to {short}"), FLOAT16, value.lanes)
    i = _Bits(e, 32, value.lanes)
    bits = e.fn.pure(f"bitcast {value.type} {value.text} to {i.type}")
    magnitude = i("and", bits, 0x7FFFFFFF)
    # Below 2 ** -14 the addition of 0.5 rounds to a multiple of 2 ** -24.
    plain = e.fn.pure(f"bitcast {i.type} {magnitude} to {value.type}")
    raised = e.fn.pure(f"fadd {value.type} {plain}, {splat('float', '0x3FE0000000000000', value.lanes)}")
    subnormal = i("sub", e.fn.pure(f"bitcast {value.type} {raised} to {i.type}"), 126 << 23)
    odd = i("and", i("lshr", magnitude, 13), 1)
    carried = i("add", i("add", magnitude, 0xFFF - (112 << 23)), odd)
    normal = i("lshr", carried, 13)
    special = i.select(i.less(magnitude, (255 << 23) + 1), i.all(0x7C00), i.all(0x7E00))
    finite = i.select(i.less(magnitude, 113 << 23), subnormal, normal)
    number = i.select(i.less(magnitude, 143 << 23), finite, special)
    signed = i("or", number, i("lshr", i("and", bits, -1 << 31), 16))
    return Value(e.fn.pure(f"trunc {i.type} {signed} to {short}"), FLOAT16, value.lanes)


def _upper_half(e: Emitter, value: Value) -> Value:
    """The bfloat16 nearest to a float32; NaN stays one without the lower half of its bits."""
    i = _Bits(e, 32, value.lanes)
    bits = e.fn.pure(f"bitcast {value.type} {value.text} to {i.type}")
    upper = i("lshr", bits, 16)
    rounded = i("lshr", i("add", i("add", bits, 0x7FFF), i("and", upper, 1)), 16)
    chosen = i.select(e.test("uno", value, value.lit(0.0)).text, i("or", upper, 0x40), rounded)
    short = vector("i16", value.lanes)
    return Value(e.fn.pure(f"trunc {i.type} {chosen} to {short}"), BFLOAT16, value.lanes)


def _round_to_odd(e: Emitter, value: Value) -> Value:
    """A float32 next to a float64, the one with an odd mantissa where it is not exact.

    Rounding that again to 22 bits or fewer gives what rounding the float64 gives.
    """
    single = vector("float", value.lanes)
    nearest = e.fn.pure(f"fptrunc {value.type} {value.text} to {single}")
    back = Value(e.fn.pure(f"fpext {single} {nearest} to {value.type}"), DOUBLE, value.lanes)
    inexact = e.test("one", back, value.text)
    above = e.test("ogt", e.intrinsic("fabs", back), e.intrinsic("fabs", value).text)
    i = _Bits(e, 32, value.lanes)
    bits = e.fn.pure(f"bitcast {single} {nearest} to {i.type}")
    below = i("add", bits, -1)
    odd = i("or", i.select(above.text, below, bits), 1)
    chosen = i.select(inexact.text, odd, bits)
    return Value(e.fn.pure(f"bitcast {i.type} {chosen} to {single}"), FLOAT32, value.lanes)


class _Bits:
    """Arithmetic on integers of one width in some lanes."""

    __slots__ = ("element", "fn", "lanes", "type")

    def __init__(self, e: Emitter, width: int, lanes: int) -> None:
        self.fn, self.lanes, self.element = e.fn, lanes, f"i{width}"
        self.type = vector(self.element, lanes)

    def all(self, number: int) -> str:
        return splat(self.element, str(number), self.lanes)

    def __call__(self, opcode: str, a: str, b: str | int) -> str:
        return self.fn.pure(f"{opcode} {self.type} {a}, {self.all(b) if isinstance(b, int) else b}")

    def less(self, a: str, b: int) -> str:
        return self.fn.pure(f"icmp ult {self.type} {a}, {self.all(b)}")

    def select(self, condition: str, yes: str, no: str) -> str:
        test = vector("i1", self.lanes)
        return self.fn.pure(f"select {test} {condition}, {self.type} {yes}, {self.type} {no}")
