"""Operations on float32 and float64, with the results and the signs of zero and infinity that NumPy gives.

min and max take -0.0 for less than 0.0, so that they commute; NumPy returns either.
"""

from __future__ import annotations

from .emitter import Emitter
from .integers import Operands
from .values import Value, constant

_OPCODES = {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv"}
_INTRINSICS = {"min": "minimum", "max": "maximum"}
_RANGES = {"min": 4, "max": 5}  # with the sign of what is chosen
_LIBRARY = {"float": "{}f", "double": "{}"}
_CALL = "nobuiltin nounwind willreturn memory(none)"


def arithmetic(e: Emitter, name: str, operands: Operands) -> Value:
    """add, sub, mul, truediv, min, max."""
    if name in _INTRINSICS:
        return _extremum(e, name, *operands)
    return e.binary(_OPCODES[name], *operands)


def _extremum(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """min and max. Whole vectors of AVX-512 have an instruction that orders zeros, too; it prefers numbers to NaN."""
    if a.lanes * a.dtype.bits != 512 or not e.machine.has_range:
        return e.intrinsic(_INTRINSICS[name], a, b)
    kind, mask = ("ps", "i16") if a.dtype.bits == 32 else ("pd", "i8")
    parameters = f"{a.type}, {a.type}, i32, {a.type}, {mask}, i32"
    callee = e.module.declare(a.type, f"llvm.x86.avx512.mask.range.{kind}.512", parameters)
    arguments = f"{a.type} {a.text}, {a.type} {b.text}, i32 {_RANGES[name]}, {a.type} zeroinitializer, {mask} -1, i32 4"
    number = Value(e.fn.pure(f"call {a.type} {callee}({arguments})"), a.dtype, a.lanes)
    return e.choose(e.test("uno", a, b.text), e.binary("fadd", a, b), number)


def negate(e: Emitter, a: Value) -> Value:
    return Value(e.fn.pure(f"fneg {a.type} {a.text}"), a.dtype, a.lanes)


def fma(e: Emitter, a: Value, b: Value, c: Value) -> Value:
    """a * b + c, rounded once where the machine can."""
    if e.machine.has_fma:
        return e.intrinsic("fma", a, b, c)
    return e.binary("fadd", e.binary("fmul", a, b), c)


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
