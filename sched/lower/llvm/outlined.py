"""What is computed where a lane needs it, in functions of their own: hardly any code where it is not needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from ...compute.expr import Expr
from ..ir import Rarely
from ..math.expansion import Expansion, outlined
from . import horizontal
from .emitter import Emitter, Machine
from .module import Module
from .values import ELEMENTS, Value, mangled, vector

# Of a block. LLVM looks at all that stands in one together, longer than is good for its code here.
_LINES = 8

Values = Callable[[Emitter, Expr], Value]


def rarely(e: Emitter, expr: Rarely, value_of: Values) -> Value:
    """The part of what is usual, or of what the function gives."""
    found = e.parts.get(id(expr.usual))
    if found is None:
        found = e.parts[id(expr.usual)] = _parts(e, expr, value_of)
    return found[expr.part]


def _parts(e: Emitter, expr: Rarely, value_of: Values) -> tuple[Value, ...]:
    """All usual values, and a branch around the call of the function and the choice of its lanes."""
    fn = e.fn
    argument, *usual = e.level(value_of(e, expr.argument), *(value_of(e, part) for part in expr.usual))
    condition = e.broadcast(value_of(e, expr.condition), argument.lanes)
    needed = horizontal.any_lane(e, condition)
    function, result = _function(e, expr.function, argument, value_of)
    before, call, after = fn.block, fn.label(), fn.label()
    fn.branch(needed, call, after, e.module.unlikely())
    fn.start(call)
    with fn.region():
        all_ = fn.pure(f"call {result} {function}({argument.type} {argument.text})")
        given = (fn.pure(f"extractvalue {result} {all_}, {number}") for number in range(len(usual)))
        chosen = [e.choose(condition, replace(part, text=text), part) for part, text in zip(usual, given, strict=True)]
    fn.jump(after)
    fn.start(after)
    merged = (
        fn.result(f"phi {part.type} [ {part.text}, %{before} ], [ {other.text}, %{call} ]")
        for part, other in zip(usual, chosen, strict=True)
    )
    return tuple(replace(part, text=text) for part, text in zip(usual, merged, strict=True))


def _function(e: Emitter, name: str, argument: Value, value_of: Values) -> tuple[str, str]:
    """The function of one argument of this type, defined once, and the type of its results."""
    function = outlined(name, argument.dtype.name)
    types = ", ".join(vector(ELEMENTS[value.dtype.name], argument.lanes) for value in function.values)
    result, symbol = f"{{ {types} }}", f"@{name}_{mangled(argument.element, argument.lanes)}"
    header = f"internal {result} {symbol}({argument.type} %x) cold noinline optnone"
    if not e.module.defines(header):
        e.module.define(header, _body(function, result, argument.lanes, e.machine, value_of))
    return symbol, result


@lru_cache(maxsize=32)
def _body(function: Expansion, result: str, lanes: int, machine: Machine, value_of: Values) -> str:
    """The text of a function, which is the same in every module."""
    e = Emitter(Module(machine.triple, ""), machine)
    (variable,) = function.arguments
    e.variables[variable] = Value("%x", variable.dtype, lanes)
    all_ = "poison"
    for number, value in enumerate(function.values):
        part = e.broadcast(value_of(e, value), lanes)
        all_ = e.fn.result(f"insertvalue {result} {all_}, {part.type} {part.text}, {number}")
    if not e.is_arm:  # where it must see that factors are short: there is no product of long ones for vectors
        e.fn.in_blocks(_LINES)
    e.fn.do(f"ret {result} {all_}")
    return e.fn.body()
