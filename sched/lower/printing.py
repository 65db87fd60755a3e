"""Loop IR as text."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from ..compute.expr import Expr, transform
from ..compute.printing import text as expression_text
from .ir import Allocate, Block, Buffer, Check, Comment, For, If, Let, Load, Prefetch, PrefetchBox, Stmt, Store, Var

_KINDS = {"serial": "for", "parallel": "parallel for", "vectorize": "vectorized for", "unroll": "unrolled for"}


def text(expr: Expr, names: Mapping[Expr, Var] | None = None) -> str:
    """The expression, with buffers of a single element by their names alone, and variables as `names` has them."""
    known = names or {}

    def named(node: Expr) -> Expr:
        if isinstance(node, Load) and not node.indices and node.mask is None:
            return Var(node.buffer.name, node.dtype)
        return known.get(node, node) if isinstance(node, Var) else node

    return expression_text(transform(expr, named))


def program_text(stmt: Stmt) -> str:
    """The statement, indented. A variable in the scope of another one of its name is shown with a number: i.2."""
    return "\n".join(line for line, _ in _lines(stmt, 0, {}))


def line_numbers(stmt: Stmt) -> dict[int, int]:
    """The line of `program_text`, from 1, on which each statement begins, by the statement's id."""
    found: dict[int, int] = {}
    for number, (_, of) in enumerate(_lines(stmt, 0, {}), 1):
        found.setdefault(id(of), number)
    return found


def _lines(stmt: Stmt, depth: int, names: Mapping[Expr, Var]) -> list[tuple[str, Stmt]]:
    """The lines, each with the statement that it is of; `names` has how the variables in scope are shown."""
    pad = "    " * depth

    def shown(expr: Expr) -> str:
        return text(expr, names)

    def element(buffer: Buffer, indices: tuple[Expr, ...]) -> str:
        return f"{buffer.name}[{', '.join(map(shown, indices))}]" if indices else buffer.name

    match stmt:
        case Block(body):
            return [line for inner in body for line in _lines(inner, depth, names)]
        case For(var, begin, end, body, kind):
            inside = _with(names, var)
            word = "doacross for" if stmt.doacross else _KINDS[kind]
            header = f"{pad}{word} {inside[var].name} in {shown(begin)}..{shown(end)}:"
            return [(header, stmt), *_lines(body, depth + 1, inside)]
        case If(condition, then, otherwise):
            tail = [] if otherwise is None else [(f"{pad}else:", stmt), *_lines(otherwise, depth + 1, names)]
            return [(f"{pad}if {shown(condition)}:", stmt), *_lines(then, depth + 1, names), *tail]
        case Let(var, value, body):
            inside = _with(names, var)
            return [(f"{pad}{inside[var].name} = {shown(value)}", stmt), *_lines(body, depth, inside)]
        case Store(buffer, indices, value, mask):
            where = "" if mask is None else f" where {shown(mask)}"
            return [(f"{pad}{element(buffer, indices)} = {shown(value)}{where}", stmt)]
        case Check(_, value, low, high, mask):
            where = "" if mask is None else f" where {shown(mask)}"
            return [(f"{pad}check {shown(low)} <= {shown(value)} < {shown(high)}{where}", stmt)]
        case PrefetchBox(buffer, origins, extents):
            spans = ", ".join(f"{shown(o)} : {shown(e)}" for o, e in zip(origins, extents, strict=True))
            return [(f"{pad}prefetch {buffer.name}[{spans}]", stmt)]
        case Prefetch(buffer, indices):
            return [(f"{pad}prefetch {element(buffer, indices)}", stmt)]
        case Allocate(buffer, body):
            shape = f"[{', '.join(map(shown, buffer.shape))}]" if buffer.shape else ""
            return [(f"{pad}{buffer.scope} {buffer.name}: {buffer.dtype}{shape}", stmt), *_lines(body, depth, names)]
        case Comment(words):
            return [(f"{pad}# {words}", stmt)]
        case _:
            raise AssertionError(f"unknown statement {stmt!r}")


def _with(names: Mapping[Expr, Var], var: Var) -> dict[Expr, Var]:
    """The names with that of one more variable."""
    taken = {other.name for other in names.values()}
    numbered = (f"{var.name}.{number}" for number in itertools.count(2))
    name = var.name if var.name not in taken else next(name for name in numbered if name not in taken)
    return {**names, var: replace(var, name=name)}
