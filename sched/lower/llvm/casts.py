"""Conversions: integers wrap, floats to integers saturate and NaN gives 0, integers to floats round once."""

from __future__ import annotations

import numpy as np

from ...compute.dtypes import BFLOAT16, BOOL, DTYPES, DType
from . import halves, long_integers
from .emitter import Emitter
from .values import DOUBLE, ELEMENTS, FLOAT32, Value, constant, mangled, splat, vector


def cast(e: Emitter, value: Value, to: DType) -> Value:
    """`value` at type `to`."""
    if value.dtype == to:
        return value
    if to == BOOL:
        return to_bool(e, value)
    if halves.is_half(value.dtype):
        return cast(e, halves.widen(e, value), to)
    if halves.is_half(to):
        return halves.narrow(e, value if value.dtype.is_float else _float_to_narrow(e, value, to), to)
    result = vector(ELEMENTS[to.name], value.lanes)
    if value.dtype.is_int and to.is_int and value.dtype.bits == to.bits:
        return Value(value.text, to, value.lanes)
    if value.dtype.is_float and to.is_int:
        text = _saturate(e, value, to, result)
    elif value.lanes > 1 and value.dtype.is_int and value.dtype.bits == 64 and to.is_float:
        return _from_long(e, value, to)
    else:
        text = e.fn.pure(f"{_opcode(value.dtype, to)} {value.type} {value.text} to {result}")
    return Value(text, to, value.lanes)


def _float_to_narrow(e: Emitter, value: Value, to: DType) -> Value:
    """A float that is rounded to the half type `to` as the integer is."""
    # Integers up to 2 ** 24 are exact in float32, and all beyond are infinite in float16.
    if to != BFLOAT16 or value.dtype.bits <= 16:
        return cast(e, value, FLOAT32)
    return cast(e, long_integers.exact_in_double(e, value) if value.dtype.bits == 64 else value, DOUBLE)


def _from_long(e: Emitter, value: Value, to: DType) -> Value:
    """A vector of 64-bit integers as floats. Arm's back end would round to float64 on the way to float32."""
    native = long_integers.converts(e)
    if to == FLOAT32 and (e.is_arm or not native):
        return cast(e, _from_long(e, long_integers.exact_in_double(e, value), DOUBLE), to)
    if not native:
        return long_integers.to_double(e, value)
    result = vector(ELEMENTS[to.name], value.lanes)
    return Value(e.fn.pure(f"{_opcode(value.dtype, to)} {value.type} {value.text} to {result}"), to, value.lanes)


def short_to_float(e: Emitter, value: Value, to: DType) -> Value:
    """A signed integer that LLVM knows to have less than 32 bits, for which there are instructions, as a float."""
    result = vector(ELEMENTS[to.name], value.lanes)
    return Value(e.fn.pure(f"sitofp {value.type} {value.text} to {result}"), to, value.lanes)


def reinterpret(e: Emitter, value: Value, to: DType) -> Value:
    """The bits of `value` at a type of the same size; no float16 or bfloat16, which is an integer already."""
    result = vector(ELEMENTS[to.name], value.lanes)
    return Value(e.fn.pure(f"bitcast {value.type} {value.text} to {result}"), to, value.lanes)


def to_bool(e: Emitter, value: Value) -> Value:
    """value != 0; NaN is true."""
    if halves.is_half(value.dtype):
        magnitude = e.fn.pure(f"and {value.type} {value.text}, {splat('i16', '32767', value.lanes)}")
        value = Value(magnitude, value.dtype, value.lanes)
    return e.test("une" if value.dtype in (FLOAT32, DOUBLE) else "ne", value, value.lit(0))


def _saturate(e: Emitter, value: Value, to: DType, result: str) -> str:
    """A float as the nearest integer towards zero, as far as there is one."""
    sign = "s" if to.kind == "int" else "u"
    if value.lanes > 1 and e.is_arm and value.dtype == DOUBLE and to.bits < 64:
        # LLVM would do this lane by lane.
        wide = cast(e, value, DTYPES[f"{to.kind}64"])
        limited = e.intrinsic(f"{sign}min", wide, constant(to.highest, wide.dtype, wide.lanes))
        return cast(e, e.intrinsic(f"{sign}max", limited, constant(to.lowest, wide.dtype, wide.lanes)), to).text
    if value.lanes == 1 or e.is_arm:
        suffix = f"{mangled(ELEMENTS[to.name], value.lanes)}.{mangled(value.element, value.lanes)}"
        return e.fn.pure(f"call {result} @llvm.fpto{sign}i.sat.{suffix}({value.type} {value.text})")
    # LLVM would do this lane by lane. NaN becomes the least integer here.
    low, high = _float_bounds(value.dtype, to)
    raised = e.choose(e.test("ogt", value, value.lit(low)), value, constant(low, value.dtype, value.lanes))
    limited = e.choose(e.test("olt", raised, value.lit(high)), raised, constant(high, value.dtype, value.lanes))
    if to.bits == 64 and not long_integers.converts(e):
        whole = long_integers.from_double(e, cast(e, limited, DOUBLE), to)
    else:
        whole = Value(e.fn.pure(f"fpto{sign}i {value.type} {limited.text} to {result}"), to, value.lanes)
    if high != to.highest:
        whole = e.choose(e.test("ogt", value, value.lit(high)), constant(to.highest, to, value.lanes), whole)
    if low != 0:
        whole = e.choose(e.test("uno", value, value.lit(0.0)), constant(0, to, value.lanes), whole)
    return whole.text


def _float_bounds(source: DType, to: DType) -> tuple[float, float]:
    """The least integer of `to`, which every float type has, and the greatest float that is not above the greatest."""
    high = source.numpy.type(to.highest)
    if int(high) > to.highest:
        high = np.nextafter(high, source.numpy.type(0))
    return float(to.lowest), float(high)


def _opcode(source: DType, to: DType) -> str:
    """The instruction between types other than halves that neither saturates nor makes a bool."""
    match source.kind, to.kind:
        case "float", _:
            return "fptrunc" if to.bits < source.bits else "fpext"
        case "int", "float":
            return "sitofp"
        case _, "float":
            return "uitofp"
        case "bool", _:
            return "zext"
        case kind, _:
            if to.bits < source.bits:
                return "trunc"
            return "sext" if kind == "int" else "zext"
