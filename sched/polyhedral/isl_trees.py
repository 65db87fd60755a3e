"""The second half of the gate to isl: schedule trees, and the loops that isl makes of them, read as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import islpy
from islpy import (
    AstBuild,
    AstExpr,
    AstNode,
    PwAff,
    Set,
    UnionSet,
    ast_expr_op_type,
    ast_expr_type,
    ast_node_type,
)
from islpy import Schedule as IslSchedule

from .isl import World

__all__ = [
    "AstExpr", "AstNode", "IslSchedule", "TreeBuilder", "generate_ast", "identifier_of", "integer_of", "mark_of",
    "node_kind", "operands_of", "operation_of",
]  # fmt: skip


class TreeBuilder:
    """Builds an isl schedule tree from the top: one marked, single-member band a loop."""

    def __init__(self, world: World, domain: Sequence[Set]) -> None:
        self.world = world
        union = UnionSet.empty(world.space(0).params())
        for part in domain:
            union = union.union(UnionSet.from_set(part))
        self.node = IslSchedule.from_domain(union).get_root().child(0)

    def loop(self, mark: str, values: Sequence[PwAff], body: Callable[[], None]) -> None:
        """A loop over `values`, one function a statement below; isl makes exactly one `for` of it."""
        union = None
        for value in values:
            part = islpy.UnionPwAff.from_pw_aff(value)
            union = part if union is None else union.union_add(part)
        assert union is not None
        node = self.node.insert_partial_schedule(islpy.MultiUnionPwAff.from_union_pw_aff(union))
        node = node.band_member_set_ast_loop_type(0, islpy.ast_loop_type.atomic)
        self.node = node.insert_mark(self.world.identifier(mark)).child(0).child(0)
        body()
        self.node = self.node.parent().parent()

    def sequence(self, filters: Sequence[Sequence[Set]], bodies: Sequence[Callable[[], None]]) -> None:
        """Statements of filters[0] run first; a single part needs no node."""
        if len(filters) == 1:
            bodies[0]()
            return
        parts = islpy.UnionSetList.alloc(self.world.context, len(filters))
        for sets in filters:
            union = UnionSet.empty(self.world.space(0).params())
            for part in sets:
                union = union.union(UnionSet.from_set(Set.universe(part.get_space())))
            parts = parts.add(union)
        self.node = self.node.insert_sequence(parts)
        for position, body in enumerate(bodies):
            self.node = self.node.child(position).child(0)
            body()
            self.node = self.node.parent().parent()

    def schedule(self) -> IslSchedule:
        return self.node.get_schedule()


NodeKind = Literal["for", "if", "block", "mark", "user"]
_NODE_KINDS: dict[object, NodeKind] = {
    ast_node_type["for_"]: "for",
    ast_node_type["if_"]: "if",
    ast_node_type.block: "block",
    ast_node_type.mark: "mark",
    ast_node_type.user: "user",
}
_OPERATION_NAMES: dict[object, str] = {operation: operation.name.rstrip("_") for operation in ast_expr_op_type}


def node_kind(node: AstNode) -> NodeKind:
    """What kind of AST node this is."""
    return _NODE_KINDS[node.get_type()]


def operation_of(expr: AstExpr) -> str:
    """isl's name of an operation: add, fdiv_q, le, ..."""
    return _OPERATION_NAMES[expr.get_op_type()]


def integer_of(expr: AstExpr) -> int | None:
    """The value of a literal, or None."""
    kind: object = expr.get_type()
    return int(expr.int_get_val().to_python()) if kind == ast_expr_type.int else None


def identifier_of(expr: AstExpr) -> str | None:
    """The name that an expression is, or None."""
    kind: object = expr.get_type()
    return str(expr.get_id().name) if kind == ast_expr_type.id else None


def mark_of(node: AstNode) -> str:
    """The name of a mark."""
    return str(node.mark_get_id().name)


def operands_of(expr: AstExpr) -> list[AstExpr]:
    """The operands of an operation; of a call, what is called first."""
    return [expr.get_op_arg(k) for k in range(expr.get_op_n_arg())]


def generate_ast(schedule: IslSchedule, context: Set) -> AstNode:
    """isl's loops for a schedule tree, given what is known of the sizes."""
    return AstBuild.from_context(context.params() if not context.is_params() else context).node_from_schedule(schedule)
