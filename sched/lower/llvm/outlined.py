"""What is computed where a lane needs it, in functions of their own: hardly any code where it is not needed."""

from __future__ import annotations

from collections.abc import Callable

from ...compute.expr import Expr
from ..ir import Rarely
from ..math.expansion import expansion
from . import horizontal
from .emitter import Emitter
from .values import Value, mangled

Values = Callable[[Emitter, Expr], Value]


def rarely(e: Emitter, expr: Rarely, value_of: Values) -> Value:
    """The usual value, and a branch around the call of the function and the choice of its lanes."""
    fn = e.fn
    argument, usual = e.level(value_of(e, expr.argument), value_of(e, expr.usual))
    condition = e.broadcast(value_of(e, expr.condition), argument.lanes)
    needed = horizontal.any_lane(e, condition)
    function = _function(e, expr.function, argument, value_of)
    before, call, after = fn.block, fn.label(), fn.label()
    fn.branch(needed, call, after, e.module.unlikely())
    fn.start(call)
    with fn.region():
        text = fn.pure(f"call {argument.type} {function}({argument.type} {argument.text})")
        chosen = e.choose(condition, Value(text, usual.dtype, usual.lanes), usual)
    fn.jump(after)
    fn.start(after)
    merged = f"phi {usual.type} [ {usual.text}, %{before} ], [ {chosen.text}, %{call} ]"
    return Value(fn.result(merged), usual.dtype, usual.lanes)


def _function(e: Emitter, name: str, argument: Value, value_of: Values) -> str:
    """The function of one argument of this type, defined once."""
    symbol = f"@{name}_{mangled(argument.element, argument.lanes)}"
    header = f"internal {argument.type} {symbol}({argument.type} %x) cold noinline optnone"
    if not e.module.defines(header):
        inner = Emitter(e.module, e.machine, e)
        function = expansion(name, argument.dtype.name)
        (variable,) = function.arguments
        inner.variables[variable] = Value("%x", argument.dtype, argument.lanes)
        result = value_of(inner, function.value)
        inner.fn.do(f"ret {result.type} {result.text}")
        e.module.define(header, inner.fn)
    return symbol
