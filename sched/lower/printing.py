"""Loop IR as text."""

from __future__ import annotations

from ..compute.printing import text
from .ir import Allocate, Block, Check, Comment, For, If, Let, Stmt, Store

_KINDS = {"serial": "for", "parallel": "parallel for", "vectorize": "vectorized for", "unroll": "unrolled for"}


def program_text(stmt: Stmt) -> str:
    """The statement, indented."""
    return "\n".join(_lines(stmt, 0))


def _lines(stmt: Stmt, depth: int) -> list[str]:
    pad = "    " * depth
    match stmt:
        case Block(body):
            return [line for inner in body for line in _lines(inner, depth)]
        case For(var, begin, end, body, kind):
            return [f"{pad}{_KINDS[kind]} {var.name} in {text(begin)}..{text(end)}:", *_lines(body, depth + 1)]
        case If(condition, then, otherwise):
            tail = [] if otherwise is None else [f"{pad}else:", *_lines(otherwise, depth + 1)]
            return [f"{pad}if {text(condition)}:", *_lines(then, depth + 1), *tail]
        case Let(var, value, body):
            return [f"{pad}{var.name} = {text(value)}", *_lines(body, depth)]
        case Store(buffer, indices, value, mask):
            where = "" if mask is None else f" where {text(mask)}"
            return [f"{pad}{buffer.name}[{', '.join(map(text, indices))}] = {text(value)}{where}"]
        case Check(_, value, low, high, mask):
            where = "" if mask is None else f" where {text(mask)}"
            return [f"{pad}check {text(low)} <= {text(value)} < {text(high)}{where}"]
        case Allocate(buffer, body):
            shape = ", ".join(map(text, buffer.shape))
            return [f"{pad}{buffer.scope} {buffer.name}: {buffer.dtype}[{shape}]", *_lines(body, depth)]
        case Comment(words):
            return [f"{pad}# {words}"]
        case _:
            raise AssertionError(f"unknown statement {stmt!r}")
