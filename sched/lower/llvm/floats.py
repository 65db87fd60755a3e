"""Operations on float32 and float64, with the results and the signs of zero and infinity that NumPy gives.

min and max take -0.0 for less than 0.0, so that they commute; NumPy returns either.
"""

from __future__ import annotations

from .emitter import Emitter
from .integers import Operands
from .values import Value, constant

_OPCODES = {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv"}
_INTRINSICS = {"min": "minimum", "max": "maximum"}
_LIBRARY = {"float": "{}f", "double": "{}"}
_CALL = "nobuiltin nounwind willreturn memory(none)"


def arithmetic(e: Emitter, name: str, operands: Operands) -> Value:
    """add, sub, mul, truediv, min, max."""
    if name in _INTRINSICS:
        return e.intrinsic(_INTRINSICS[name], *operands)
    return e.binary(_OPCODES[name], *operands)


def negate(e: Emitter, a: Value) -> Value:
    return Value(e.fn.pure(f"fneg {a.type} {a.text}"), a.dtype, a.lanes)


def fma(e: Emitter, a: Value, b: Value, c: Value) -> Value:
    """a * b + c, rounded once where the machine can."""
    if e.machine.has_fma:
        return e.intrinsic("fma", a, b, c)
    return e.binary("fadd", e.binary("fmul", a, b), c)


def exact_fma(e: Emitter, operands: Operands) -> Value:
    """a * b + c without rounding, for b = high + low: see math/parts.py."""
    a, b, c, high, low = operands
    return fma(e, a, b, c) if e.machine.has_fma else fma(e, a, low, fma(e, a, high, c))


def divide(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """floordiv and mod as NumPy's npy_divmod: the remainder has the sign of b, the quotient is an integer."""
    e.note("call", _LIBRARY[a.element].format("fmod"), a.lanes)
    zero, one = constant(0.0, a.dtype, a.lanes), constant(1.0, a.dtype, a.lanes)
    remainder = e.binary("frem", a, b)
    inexact = e.test("une", remainder, zero.text)
    apart = e.binary("xor", e.test("olt", b, zero.text), e.test("olt", remainder, zero.text))
    above = e.binary("and", inexact, apart)
    if name == "mod":
        moved = e.choose(above, e.binary("fadd", remainder, b), remainder)
        return e.choose(inexact, moved, e.intrinsic("copysign", zero, b))
    ratio, quotient = e.binary("fdiv", a, b), e.binary("fdiv", e.binary("fsub", a, remainder), b)
    quotient = e.choose(above, e.binary("fsub", quotient, one), quotient)
    down = e.intrinsic("floor", quotient)
    far = e.test("ogt", e.binary("fsub", quotient, down), quotient.lit(0.5))
    snapped = e.choose(far, e.binary("fadd", down, one), down)
    whole = e.choose(e.test("une", quotient, zero.text), snapped, e.intrinsic("copysign", zero, ratio))
    return e.choose(e.test("oeq", b, zero.text), ratio, whole)


def library_call(e: Emitter, name: str, operands: Operands) -> Value:
    """A function of the C library, called lane by lane and never evaluated by LLVM, so that all lanes of all vectors
    give the bits of that one function."""
    first = operands[0]
    symbol = _LIBRARY[first.element].format(name)
    parameters = ", ".join(first.element for _ in operands)
    callee = e.module.declare(first.element, symbol, parameters, " nounwind willreturn memory(none)")
    attributes = e.module.attribute_group(_CALL)
    e.note("call", symbol, first.lanes)
    if first.lanes == 1:
        arguments = ", ".join(f"{o.type} {o.text}" for o in operands)
        return Value(e.fn.pure(f"call {first.element} {callee}({arguments}) {attributes}"), first.dtype)
    collected = "poison"
    for lane in range(first.lanes):
        scalars = [e.fn.pure(f"extractelement {o.type} {o.text}, i64 {lane}") for o in operands]
        arguments = ", ".join(f"{first.element} {s}" for s in scalars)
        result = e.fn.pure(f"call {first.element} {callee}({arguments}) {attributes}")
        collected = e.fn.pure(f"insertelement {first.type} {collected}, {first.element} {result}, i64 {lane}")
    return Value(collected, first.dtype, first.lanes)
