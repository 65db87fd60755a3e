"""Expressions as text, as a user would write them."""

from __future__ import annotations

from .expr import Axis, Cast, Const, Expr, Op, Read, Reduce, Scalar, Size
from .operations import OPERATIONS

_PRECEDENCE = {
    **{"or": 1, "xor": 2, "and": 3, "shl": 5, "shr": 5, "add": 6, "sub": 6},
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), 0),
    **dict.fromkeys(("mul", "truediv", "floordiv", "mod"), 7),
    **{"neg": 8, "not": 8, "pow": 9},
}
_ATOM = 10


def text(expr: Expr) -> str:
    """The expression in Python's notation."""
    return _text(expr)[0]


def _text(expr: Expr) -> tuple[str, int]:
    match expr:
        case Const(value):
            shown = str(value)
            return shown, _PRECEDENCE["neg"] if shown.startswith("-") else _ATOM
        case Size(name) | Scalar(name) | Axis(name):
            return name, _ATOM
        case Cast(operand, to):
            return f"{to.name}({text(operand)})", _ATOM
        case Read(tensor, indices):
            return f"{tensor.name}[{', '.join(map(text, indices))}]", _ATOM
        case Reduce(name, operand, axes):
            return f"{name}({text(operand)}, axis={', '.join(axis.name for axis in axes)})", _ATOM
        case Op(name, operands):
            return _operation(name, operands)
        case _:
            return expr.shown(text), _ATOM


def _operation(name: str, operands: tuple[Expr, ...]) -> tuple[str, int]:
    symbol = OPERATIONS[name].symbol if name in OPERATIONS else None
    if symbol is None:
        return f"{name}({', '.join(map(text, operands))})", _ATOM
    level = _PRECEDENCE[name]
    if len(operands) == 1:
        return symbol + _wrapped(operands[0], level), level
    left, right = _wrapped(operands[0], level), _wrapped(operands[1], level + 1)
    return f"{left} {symbol} {right}", level


def _wrapped(expr: Expr, level: int) -> str:
    shown, own = _text(expr)
    return shown if own >= level else f"({shown})"
