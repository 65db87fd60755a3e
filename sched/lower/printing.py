"""Loop IR as text."""

from __future__ import annotations

from ..compute.expr import Expr, transform
from ..compute.printing import text as expression_text
from .ir import Allocate, Block, Buffer, Check, Comment, For, If, Let, Load, Prefetch, PrefetchBox, Stmt, Store, Var

_KINDS = {"serial": "for", "parallel": "parallel for", "vectorize": "vectorized for", "unroll": "unrolled for"}


def text(expr: Expr) -> str:
    """The expression, with buffers of a single element by their names alone."""

    def named(node: Expr) -> Expr:
        if isinstance(node, Load) and not node.indices and node.mask is None:
            return Var(node.buffer.name, node.dtype)
        return node

    return expression_text(transform(expr, named))


def _element(buffer: Buffer, indices: tuple[Expr, ...]) -> str:
    return f"{buffer.name}[{', '.join(map(text, indices))}]" if indices else buffer.name


def program_text(stmt: Stmt) -> str:
    """The statement, indented."""
    return "\n".join(line for line, _ in _lines(stmt, 0))


def line_numbers(stmt: Stmt) -> dict[int, int]:
    """The line of `program_text`, from 1, on which each statement begins, by the statement's id."""
    found: dict[int, int] = {}
    for number, (_, of) in enumerate(_lines(stmt, 0), 1):
        found.setdefault(id(of), number)
    return found


def _lines(stmt: Stmt, depth: int) -> list[tuple[str, Stmt]]:
    """The lines, each with the statement that it is of."""
    pad = "    " * depth
    match stmt:
        case Block(body):
            return [line for inner in body for line in _lines(inner, depth)]
        case For(var, begin, end, body, kind):
            return [(f"{pad}{_KINDS[kind]} {var.name} in {text(begin)}..{text(end)}:", stmt), *_lines(body, depth + 1)]
        case If(condition, then, otherwise):
            tail = [] if otherwise is None else [(f"{pad}else:", stmt), *_lines(otherwise, depth + 1)]
            return [(f"{pad}if {text(condition)}:", stmt), *_lines(then, depth + 1), *tail]
        case Let(var, value, body):
            return [(f"{pad}{var.name} = {text(value)}", stmt), *_lines(body, depth)]
        case Store(buffer, indices, value, mask):
            where = "" if mask is None else f" where {text(mask)}"
            return [(f"{pad}{_element(buffer, indices)} = {text(value)}{where}", stmt)]
        case Check(_, value, low, high, mask):
            where = "" if mask is None else f" where {text(mask)}"
            return [(f"{pad}check {text(low)} <= {text(value)} < {text(high)}{where}", stmt)]
        case PrefetchBox(buffer, origins, extents):
            spans = ", ".join(
                f"{text(origin)} : {text(extent)}" for origin, extent in zip(origins, extents, strict=True)
            )
            return [(f"{pad}prefetch {buffer.name}[{spans}]", stmt)]
        case Prefetch(buffer, indices):
            return [(f"{pad}prefetch {_element(buffer, indices)}", stmt)]
        case Allocate(buffer, body):
            shape = f"[{', '.join(map(text, buffer.shape))}]" if buffer.shape else ""
            return [(f"{pad}{buffer.scope} {buffer.name}: {buffer.dtype}{shape}", stmt), *_lines(body, depth)]
        case Comment(words):
            return [(f"{pad}# {words}", stmt)]
        case _:
            raise AssertionError(f"unknown statement {stmt!r}")
