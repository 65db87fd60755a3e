"""What passes share: substitution, free variables, and simplification of whole statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..compute.dtypes import BOOL
from ..compute.expr import Const, Expr, Op, const, rebuild, transform, walk
from ..compute.simplify import constant_value, key, simplify, simplify_node
from .ir import (
    Block,
    Buffer,
    For,
    If,
    Let,
    Load,
    Ramp,
    Stmt,
    Store,
    Var,
    map_statements,
    map_values,
    statements,
    values,
)


def replaced(expr: Expr, bindings: Mapping[Var, Expr]) -> Expr:
    """The expression with variables replaced."""
    return transform(expr, lambda node: bindings.get(node, node) if isinstance(node, Var) else node)


def with_variables(stmt: Stmt, bindings: Mapping[Var, Expr]) -> Stmt:
    """The statement with variables replaced everywhere, and what that changes simplified."""
    return _with_variables(stmt, bindings, {})


# By id, with what has the id: expressions share their parts.
_Done = dict[int, tuple[Expr, Expr]]


def _with_variables(stmt: Stmt, bindings: Mapping[Var, Expr], done: _Done) -> Stmt:
    stmt = map_values(stmt, lambda expr: _substituted(expr, bindings, done))
    return map_statements(stmt, lambda inner: _with_variables(inner, bindings, done))


def _substituted(expr: Expr, bindings: Mapping[Var, Expr], done: _Done) -> Expr:
    if isinstance(expr, Var):
        return bindings.get(expr, expr)
    if not expr.children:
        return expr
    if id(expr) not in done:
        changed = rebuild(expr, tuple([_substituted(operand, bindings, done) for operand in expr.children]))
        done[id(expr)] = expr, expr if changed is expr else simplify_node(changed)
    return done[id(expr)][1]


def fresh(stmt: Stmt) -> Stmt:
    """A copy whose variables are its own: no variable is bound twice."""
    bindings: dict[Var, Expr] = {}

    def rename(inner: Stmt) -> Stmt:
        if isinstance(inner, (For, Let)):
            new = Var(inner.var.name)
            bindings[inner.var] = new
            inner = replace(inner, var=new)
        return map_statements(inner, rename)

    renamed = rename(stmt)
    return with_variables(renamed, bindings) if bindings else stmt


def variables(expr: Expr) -> set[Var]:
    """The variables in an expression."""
    return {node for node in walk(expr) if isinstance(node, Var)}


def with_lanes(stmt: Stmt, of_lanes: frozenset[Var]) -> frozenset[Var]:
    """Variables that differ between lanes inside a statement, given those around it. Between values of such a variable
    no loop in a vector loop may be cut: some lanes would run what is behind the cut before others are there."""
    match stmt:
        case For(var=var, kind="vectorize"):
            return of_lanes | {var}
        case Let(var=var, value=value) if variables(value) & of_lanes:
            return of_lanes | {var}
        case _:
            return of_lanes


def loads(stmt: Stmt) -> list[Load]:
    """The loads of a statement itself, in order."""
    return [load for value in values(stmt) for load in _loads(value)]


def _loads(expr: Expr) -> Iterator[Load]:
    """The loads in an expression, as `walk` finds them."""
    pending, seen = [expr], set[int]()
    while pending:
        node = pending.pop()
        children = node.children
        if (children or isinstance(node, Load)) and id(node) not in seen:
            seen.add(id(node))
            if isinstance(node, Load):
                yield node
            pending += children[::-1]


def is_element(load: Load, store: Store) -> bool:
    """Whether a load is at the indices of a store."""
    return [key(index) for index in load.indices] == [key(index) for index in store.indices]


def stored_buffers(stmt: Stmt) -> list[Buffer]:
    """The buffers that are stored to in a statement or below, each once, in order."""
    found: dict[Buffer, None] = {}
    for inner in statements(stmt):
        if isinstance(inner, Store):
            found[inner.buffer] = None
    return list(found)


def both(a: Expr | None, b: Expr) -> Expr:
    """The conjunction of conditions, of which the first may be missing."""
    return b if a is None else Op("and", (a, b), BOOL)


def divided_ramp(expr: Expr) -> Expr:
    """A quotient or remainder of lanes that lie between two multiples of the divisor without the division."""
    match expr:
        case Op("floordiv" | "mod" as name, (Ramp(Const(first), count), Const(divisor))) if divisor > 0:
            quotient = first // divisor
            if quotient == (first + count - 1) // divisor:
                return const(quotient) if name == "floordiv" else Ramp(const(first - quotient * divisor), count)
    return expr


def block(*parts: Stmt) -> Stmt:
    """Statements in order, without blocks in blocks."""
    flat: list[Stmt] = []
    for part in parts:
        flat += part.body if isinstance(part, Block) else (part,)
    return flat[0] if len(flat) == 1 else Block(tuple(flat))


def simplified(stmt: Stmt) -> Stmt:
    """The statement with simple expressions and without loops, branches and blocks that do nothing."""
    stmt = map_statements(map_values(stmt, simplify), simplified)
    match stmt:
        case Block(body):
            return block(*(inner for inner in body if not is_empty(inner))) if body else stmt
        case If(Const(value), then, otherwise):
            return then if value else otherwise if otherwise is not None else EMPTY
        case If(_, then, None) if is_empty(then):
            return EMPTY
        case For() | Let() if is_empty(stmt.body):
            return EMPTY
        case For(_, begin, end, _, _) if (trips := constant_value(end - begin)) is not None and trips <= 0:
            return EMPTY
        case _:
            return stmt


EMPTY = Block(())


def is_empty(stmt: Stmt) -> bool:
    """Whether a statement does nothing."""
    return isinstance(stmt, Block) and all(is_empty(inner) for inner in stmt.body)
