"""Expressions as text, as a user would write them."""

from __future__ import annotations

from .expr import Axis, Cast, Const, Expr, Op, Read, Reduce, Scalar, Size
from .operations import COMPARISONS, OPERATIONS

_PRECEDENCE = {
    **{"or": 1, "xor": 2, "and": 3, "shl": 5, "shr": 5, "add": 6, "sub": 6},
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), 0),
    **dict.fromkeys(("mul", "truediv", "floordiv", "mod"), 7),
    **{"neg": 8, "not": 8, "pow": 9},
}
_ATOM = 10
MAX_NODES = 5000


def text(expr: Expr) -> str:
    """The expression in Python's notation; "..." for what comes after the first 5000 nodes."""
    return _Text().text(expr)


class _Text:
    """Counts what it has shown: an expression that uses its nodes many times is too long to be written out."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def text(self, expr: Expr) -> str:
        return self._text(expr)[0]

    def _text(self, expr: Expr) -> tuple[str, int]:
        self.left -= 1
        if self.left < 0:
            return "...", _ATOM
        match expr:
            case Const(value):
                shown = str(expr.dtype.numpy.type(value) if expr.dtype.is_float else value)
                return shown, _PRECEDENCE["neg"] if shown.startswith("-") else _ATOM
            case Size(name) | Scalar(name) | Axis(name):
                return name, _ATOM
            case Cast(operand, to):
                return f"{to.name}({self.text(operand)})", _ATOM
            case Read(tensor, indices):
                return f"{tensor.name}[{self._list(indices) or '()'}]", _ATOM
            case Reduce(name, operand, axes):
                over = ", ".join(axis.name for axis in axes)
                return f"{name}({self.text(operand)}, axis={over if len(axes) == 1 else f'({over})'})", _ATOM
            case Op("checked", (index, *_)):
                return f"checked({self.text(index)})", _ATOM
            case Op(name, operands):
                return self._operation(name, operands)
            case _:
                return expr.shown(self.text), _ATOM

    def _list(self, exprs: tuple[Expr, ...]) -> str:
        return ", ".join(map(self.text, exprs))

    def _operation(self, name: str, operands: tuple[Expr, ...]) -> tuple[str, int]:
        symbol = OPERATIONS[name].symbol if name in OPERATIONS else None
        if symbol is None:
            return f"{name}({self._list(operands)})", _ATOM
        level = _PRECEDENCE[name]
        if len(operands) == 1:
            return symbol + self._wrapped(operands[0], level), level
        # Python chains comparisons and groups powers from the right.
        left = self._wrapped(operands[0], level + 1 if name == "pow" or name in COMPARISONS else level)
        return f"{left} {symbol} {self._wrapped(operands[1], level + 1)}", level

    def _wrapped(self, expr: Expr, level: int) -> str:
        shown, own = self._text(expr)
        return shown if own >= level else f"({shown})"
