"""Equal parts of an expression as one node.

A stage that is inlined stands once for each of its reads, with all that is inlined in it. What goes over an expression
does so once for a node, however often that is used, so equal parts cost their work only once if they are one node.

Also called: hash consing (Ershov 1958), value numbering.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from .expr import Const, Expr, Op, transform
from .simplify import own_fields


def shared(expr: Expr, leave: Callable[[Expr], bool] | None = None) -> Expr:
    """The expression with one node for all that have the same operation and the same operands. Run-time checks stay
    apart, as each is reported where it was written, and so do nodes for which `leave` holds."""
    nodes = dict[Hashable, Expr]()

    def one_of(node: Expr) -> Expr:
        if isinstance(node, Const):
            return nodes.setdefault((node.dtype.name, node.weak, repr(node.value)), node)
        if not node.children or (isinstance(node, Op) and node.name == "checked"):
            return node
        return nodes.setdefault((type(node), *own_fields(node), *map(id, node.children)), node)

    return transform(expr, one_of, leave)
