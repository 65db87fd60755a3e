"""The rules of loop IR, checked after every pass where the user or a test asks for it.

names     a variable is used below what binds it, and nothing binds it twice; a buffer is an argument's, or used below
          its `Allocate`
types     the operands of an operation have the types it runs at; indices and bounds are int64, conditions are bool
lanes     the vectors of one statement have the same number of lanes; bounds and conditions are scalars
buffers   an element has one index a dimension, or one position in row-major order; register buffers have literal shapes
loops     of no kind that a pass that has run removes; nor are there boxes to be fetched after the pass for them
"""

from __future__ import annotations

from collections.abc import Iterable

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, Read, Reduce, walk
from ..compute.integers import INTEGER_OPERATIONS
from ..compute.operations import COMPARISONS, OPERATIONS
from .ir import (
    HORIZONTAL,
    Allocate,
    Buffer,
    Check,
    For,
    If,
    Let,
    Load,
    Prefetch,
    PrefetchBox,
    Ramp,
    Stmt,
    Store,
    Var,
    lanes,
    sub_statements,
    values,
)
from .passes.dot_products import DOTS
from .printing import program_text
from .tiles import is_tile, literal_range

_ARITIES = {name: row.arity for name, row in OPERATIONS.items()}
_ARITIES |= {name: row.arity for name, row in INTEGER_OPERATIONS.items()}
_ARITIES |= {
    "select": 3,
    "checked": 3,
    "fma": 3,
    "lanes_behind": 2,
    "min_number": 2,
    "max_number": 2,
    **dict.fromkeys(DOTS, 3),
    **dict.fromkeys(HORIZONTAL, 1),
}


class InvalidIR(AssertionError):
    """A pass made loop IR that breaks a rule: a bug in the compiler, not in the user's program."""


def verify(stmt: Stmt, stages: Iterable[str], buffers: Iterable[Buffer]) -> None:
    """Raise InvalidIR if `stmt` breaks a rule.

    stages   the names of the passes that have run, the one that made `stmt` last
    buffers  arguments and heap buffers, which are there from the beginning
    """
    done = list(stages)
    known = frozenset(buffers)
    strides = frozenset(n for b in known for e in b.strides or () for n in walk(e) if isinstance(n, Var))
    verifier = _Verifier(stmt, done)
    verifier.statement(stmt, strides, known)


class _Verifier:
    def __init__(self, root: Stmt, done: list[str]) -> None:
        self.root, self.after, self.done = root, done[-1], frozenset(done)
        self.bound: set[Var] = set()

    def require(self, holds: bool, rule: str, where: Stmt | Expr) -> None:
        if not holds:
            shown = program_text(where) if isinstance(where, Stmt) else str(where)
            raise InvalidIR(f"after {self.after}, {rule}:\n{shown}\n\nin\n\n{program_text(self.root)}")

    def statement(self, stmt: Stmt, variables: frozenset[Var], buffers: frozenset[Buffer]) -> None:
        for value in values(stmt):
            self.expression(value, stmt, variables, buffers)
        match stmt:
            case For():
                self._bind(stmt.var, stmt)
                self.require(stmt.kind not in self.done, f"a loop is still to be {stmt.kind}d", stmt)
                self.require(all(e.dtype == INDEX and lanes(e) == 1 for e in values(stmt)), "a bound is no index", stmt)
                self.require(
                    not is_tile(stmt) or literal_range(stmt) is not None, "a tile loop has no literal bound", stmt
                )
                peeled = "peel_loops" in self.done and stmt.peel not in (None, (0, 0))
                self.require(not peeled, "a loop is still to be peeled", stmt)
                variables |= {stmt.var}
            case Let(var, value, _):
                self._bind(var, stmt)
                self.require(value.dtype == var.dtype, "a variable has another type than its value", stmt)
                self.require(lanes(value) == 1, "a variable is bound to a vector", stmt)
                variables |= {var}
            case If(condition, _, _):
                self.require(condition.dtype == BOOL and lanes(condition) == 1, "a condition is no bool", stmt)
            case Store():
                self._store(stmt, buffers)
            case Check():
                operands = (stmt.value, stmt.low, stmt.high)
                self.require(all(e.dtype == INDEX for e in operands), "a checked index is no index", stmt)
                self._mask(stmt.mask, stmt)
                self._one_width(values(stmt), stmt)
            case PrefetchBox():
                self.require("prefetch_lines" not in self.done, "a box is still to be fetched line by line", stmt)
                self._element(stmt.buffer, stmt.origins, stmt, buffers)
                self.require(all(e.dtype == INDEX and lanes(e) == 1 for e in values(stmt)), "a bound is no index", stmt)
            case Prefetch():
                self._element(stmt.buffer, stmt.indices, stmt, buffers)
                self.require(all(lanes(e) == 1 for e in values(stmt)), "a vector is fetched", stmt)
            case Allocate(buffer, _):
                self.require(buffer not in buffers, f"{buffer.name} is allocated inside itself", stmt)
                literal = all(isinstance(extent, Const) for extent in buffer.shape)
                self.require(
                    buffer.scope not in ("stack", "register") or literal, f"{buffer.name} has no literal shape", stmt
                )
                self.require(buffer.scope != "argument", f"the argument {buffer.name} is allocated", stmt)
                buffers |= {buffer}
        for inner in sub_statements(stmt):
            self.statement(inner, variables, buffers)

    def _bind(self, var: Var, stmt: Stmt) -> None:
        self.require(var not in self.bound, f"{var.name} is bound twice", stmt)
        self.bound.add(var)

    def _store(self, stmt: Store, buffers: frozenset[Buffer]) -> None:
        self._element(stmt.buffer, stmt.indices, stmt, buffers)
        self.require(stmt.value.dtype == stmt.buffer.dtype, "a value has another type than its buffer", stmt)
        self._mask(stmt.mask, stmt)
        self._one_width(values(stmt), stmt)
        width = max(map(lanes, stmt.indices), default=1)
        self.require(max(map(lanes, values(stmt))) == width, "a vector is stored to one element", stmt)

    def _element(self, buffer: Buffer, indices: tuple[Expr, ...], stmt: Stmt, buffers: frozenset[Buffer]) -> None:
        self.require(buffer in buffers, f"{buffer.name} is not there", stmt)
        position = len(indices) == 1 and buffer.strides is None and buffer.scope != "register"
        self.require(position or len(indices) == len(buffer.shape), "an index is missing or too many", stmt)
        self.require(all(index.dtype == INDEX for index in indices), "an index is no int64", stmt)

    def _mask(self, mask: Expr | None, stmt: Stmt) -> None:
        self.require(mask is None or mask.dtype == BOOL, "a mask is no bool", stmt)

    def _one_width(self, exprs: Iterable[Expr], stmt: Stmt) -> None:
        widths = {lanes(e) for e in exprs} - {1}
        self.require(len(widths) <= 1, f"vectors of {sorted(widths)} lanes meet", stmt)

    def expression(self, expr: Expr, stmt: Stmt, variables: frozenset[Var], buffers: frozenset[Buffer]) -> None:
        for node in walk(expr):
            self._one_width(node.children, stmt)
            match node:
                case Var():
                    self.require(node in variables, f"{node.name} is used where nothing binds it", stmt)
                case Axis() | Read() | Reduce():
                    self.require(False, f"{node} is no loop IR", stmt)
                case Load(buffer, indices, mask):
                    self._element(buffer, indices, stmt, buffers)
                    self._mask(mask, stmt)
                    width = max(map(lanes, indices), default=1)
                    self.require(mask is None or lanes(mask) in (1, width), "one element has a vector of masks", stmt)
                case Ramp(base, count):
                    self.require(base.dtype == INDEX and lanes(base) == 1 and count > 1, "a ramp is no vector", stmt)
                case Op(name, operands):
                    self._operation(name, operands, node, stmt)

    def _operation(self, name: str, operands: tuple[Expr, ...], node: Op, stmt: Stmt) -> None:
        types = [operand.dtype for operand in operands]
        if name == "pack":
            whole = len(set(types)) == 1 and sum(t.bits for t in types) == node.dtype.bits
            self.require(whole, f"{', '.join(map(str, types))} are packed into a {node.dtype}", stmt)
            return
        self.require(_ARITIES.get(name) == len(operands), f"{name} has {len(operands)} operands", stmt)
        if name in HORIZONTAL:
            kept = types[0] == node.dtype
        elif name == "select":
            kept = types[0] == BOOL and types[1] == types[2] == node.dtype
        elif name in COMPARISONS or name == "isnan":
            # Integers of different types are compared as the numbers that they are.
            kept = node.dtype == BOOL and (len(set(types)) == 1 or all(t.is_int for t in types))
        elif name in DOTS:
            kept = types[0] == node.dtype and types[0].bits == 32 and {t.name for t in types[1:]} == {"uint32"}
        elif name in INTEGER_OPERATIONS:
            kept = len(set(types)) == 1 and INTEGER_OPERATIONS[name].result(types[0]) == node.dtype
        else:
            kept = set(types) == {node.dtype}
        if not kept:
            self.require(False, f"{name} of {', '.join(map(str, types))} gives {node.dtype} in {node}", stmt)
