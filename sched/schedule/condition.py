"""Conditions on sizes and data as text, "m <= 16" or "(n % 8 == 0) & (max(a) < 256)", and as expressions.

A condition is comparisons of sums of sizes, times integers, with // and % by integers, joined by & and |, or turned
round by ~, with Python's precedence. The least or greatest element of an argument of integers is compared with an
integer. The parser executes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NoReturn

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Const, Expr, Size
from ..compute.extremes import Extreme
from ..compute.operations import COMPARISONS, apply
from ..compute.printing import text
from ..compute.tensor import MAX_NAME, Tensor
from ..errors import ScheduleError
from .suggestion import listed, meant, shown

_MAX_DEPTH = 20
_MAX_DIGITS = 18  # so that it has 64 bits
_MOST_FACTOR = 999_999_999  # so that no product with a size that an array has leaves 64 bits
_TOKEN = re.compile(r"\s*(?:([0-9]+)|([^\W\d]\w*)|(<=|>=|==|!=|//|[-+*%<>&|~()]))")
_BINARY = {
    **{"<": ("lt", 0), "<=": ("le", 0), ">": ("gt", 0), ">=": ("ge", 0), "==": ("eq", 0), "!=": ("ne", 0)},
    **{"|": ("or", 1), "&": ("and", 2), "+": ("add", 3), "-": ("sub", 3)},
    **{"*": ("mul", 4), "//": ("floordiv", 4), "%": ("mod", 4)},
}
_UNARY = {"-": "neg", "~": "not"}


def parsed_condition(condition: object, sizes: Mapping[str, Size], arguments: Mapping[str, Tensor]) -> Expr:
    """The condition that is given as text, or as an expression, in these sizes, on these arguments.

    Raises `ScheduleError` for what is none.
    """
    words = text(condition) if isinstance(condition, Expr) else condition
    if not isinstance(words, str):
        raise ScheduleError(
            'specialize takes a condition on sizes or data, such as n <= 16, "n <= 16" or "max(a) < 256", not '
            f"{shown(condition)}"
        )
    if len(words) > MAX_NAME:
        raise ScheduleError(f"a condition has at most {MAX_NAME} characters, and this has {len(words)}")
    parser = _Parser(words, sizes, arguments)
    found = parser.binary(0)
    if parser.token:
        parser.refuse("the end")
    if found.dtype != BOOL:
        raise ScheduleError(f"{shown(words)} is a number and no condition: compare it, as in n <= 16")
    return found


class _Parser:
    """Reads from the left; `token` is what comes next, empty at the end."""

    def __init__(self, words: str, sizes: Mapping[str, Size], arguments: Mapping[str, Tensor]) -> None:
        self.words, self.sizes, self.arguments = words, sizes, arguments
        self.place = self.depth = 0
        self.token = ""
        self._next()

    def _next(self) -> str:
        """The token, which is taken."""
        taken, rest = self.token, self.words[self.place :]
        match = _TOKEN.match(rest)
        if match is None and rest.strip():
            self.token = rest.strip()[0]
            self.refuse("a size, an integer or an operator")
        self.token = match[0].strip() if match is not None else ""
        self.place += match.end() if match is not None else 0
        return taken

    def binary(self, level: int) -> Expr:
        """Operands joined by operators of at least this level; comparisons do not chain."""
        left = self._operand()
        while (operator := _BINARY.get(self.token)) is not None and operator[1] >= level:
            name, own = operator
            symbol = self._next()
            left = self._joined(name, symbol, left, self.binary(own + 1))
            if not own and self.token in _BINARY and not _BINARY[self.token][1]:
                self.refuse("one comparison, or several in parentheses that & or | joins")
        return left

    def _joined(self, name: str, symbol: str, left: Expr, right: Expr) -> Expr:
        wanted, what = (BOOL, "conditions") if name in ("and", "or") else (INDEX, "integers and sizes")
        if any(side.dtype != wanted for side in (left, right)):
            raise ScheduleError(f"{symbol} in the condition {shown(self.words)} is between {what}")
        if name in ("floordiv", "mod") and not (isinstance(right, Const) and right.value > 0):
            raise ScheduleError(f"{symbol} in the condition {shown(self.words)} is by a positive integer")
        if name == "mul" and not any(isinstance(side, Const) for side in (left, right)):
            raise ScheduleError(f"* in the condition {shown(self.words)} is by an integer")
        if wanted == INDEX:
            self._check_operands(name, symbol, (left, right))
        return apply(name, left, right)

    def _check_operands(self, name: str, symbol: str, sides: tuple[Expr, Expr]) -> None:
        extreme = next((side for side in sides if isinstance(side, Extreme)), None)
        if extreme is not None and not (name in COMPARISONS and any(isinstance(side, Const) for side in sides)):
            raise ScheduleError(f"{extreme} in the condition {shown(self.words)} is compared with an integer")
        large = any(isinstance(side, Const) and abs(side.value) > _MOST_FACTOR for side in sides)
        if large and extreme is None:
            raise ScheduleError(
                f"{symbol} in the condition {shown(self.words)} is between sizes and integers of at most 9 digits"
            )

    def _extreme(self, word: str) -> Extreme:
        """What is in parentheses behind `min` or `max`: the name of an argument."""
        name: Literal["min", "max"] = "min" if word == "min" else "max"
        self._next()
        word = self._next()
        if self.token != ")":
            self.refuse("')'")
        self._next()
        tensor, near = self.arguments.get(word), meant(word, list(self.arguments))
        if tensor is None:
            known = f"the arguments are {listed(self.arguments)}" if self.arguments else "there are no arguments"
            raise ScheduleError(f"{name}({word}) in the condition is of no argument; {known}{near}")
        if not tensor.dtype.is_int or tensor.dtype.highest > INDEX.highest:
            raise ScheduleError(
                f"{name}({word}) in the condition: {word} is of {tensor.dtype.name}, and conditions are on integers "
                "that int64 holds"
            )
        return Extreme(name, tensor)

    def _operand(self) -> Expr:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ScheduleError(f"a condition has parentheses and signs in at most {_MAX_DEPTH} others")
        token = self._next() if self.token != "" else self.refuse("a size or an integer")
        if token == "(":
            found = self.binary(0)
            if self.token != ")":
                self.refuse("')'")
            self._next()
        elif token in _UNARY:
            operand = self._operand()
            if operand.dtype != (BOOL if token == "~" else INDEX):
                raise ScheduleError(f"{token} in the condition {shown(self.words)} has the wrong kind of operand")
            found = Const(-operand.value, INDEX) if isinstance(operand, Const) else apply(_UNARY[token], operand)
        elif token.isdecimal():
            if len(token) > _MAX_DIGITS:
                raise ScheduleError(f"an integer in a condition has at most {_MAX_DIGITS} digits, not {len(token)}")
            found = Const(int(token), INDEX)
        elif token in ("min", "max") and self.token == "(":
            found = self._extreme(token)
        elif token in self.sizes:
            found = self.sizes[token]
        elif token in self.arguments:
            raise ScheduleError(f"{token} in the condition is an input: compare its min({token}) or max({token})")
        elif token.isidentifier():
            known = f"the sizes are {listed(self.sizes)}" if self.sizes else "all sizes are fixed here"
            raise ScheduleError(f"{token} in the condition is no size; {known}{meant(token, list(self.sizes))}")
        else:
            self.token = token
            self.refuse("a size or an integer")
        self.depth -= 1
        return found

    def refuse(self, expected: str) -> NoReturn:
        found = shown(self.token) if self.token else "the end"
        raise ScheduleError(f"the condition {shown(self.words)}: expected {expected}, not {found}")
