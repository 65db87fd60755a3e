"""From isl's AST to loop IR: the loops, with the kinds that the schedule gave them, around the statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, Size, transform
from ..compute.simplify import constant_value, difference, simplify
from ..polyhedral.isl import AstExpr, AstNode, identifier_of, integer_of, mark_of, node_kind, operands_of, operation_of
from ..polyhedral.schedule_tree import Extended, Nest
from ..polyhedral.tree import Fused, LoopNode, Tree
from .ir import Block, For, If, Let, LoopKind, Stmt, Var
from .statements import StatementLowering

_OPERATIONS = {
    **{"add": "add", "sub": "sub", "mul": "mul", "minus": "neg", "min": "min", "max": "max"},
    **{"fdiv_q": "floordiv", "pdiv_q": "floordiv", "div": "floordiv", "pdiv_r": "mod", "zdiv_r": "mod"},
    **{"and": "and", "and_then": "and", "or": "or", "or_else": "or", "cond": "select", "select": "select"},
    **{"eq": "eq", "le": "le", "lt": "lt", "ge": "ge", "gt": "gt"},
}
_TRUTH = frozenset({"and", "or", "eq", "le", "lt", "ge", "gt"})


@dataclass(slots=True)
class _Scope:
    """Values of isl's iterators, and of the virtual axes that are resolved here."""

    iterators: dict[str, Expr] = field(default_factory=dict)
    positions: dict[Axis, Expr] = field(default_factory=dict)

    def inner(self) -> _Scope:
        return _Scope(dict(self.iterators), dict(self.positions))


class LoopBuilder:
    """Converts one Nest. Sizes that stand for the counts of fused loops become the products that they are."""

    def __init__(self, nest: Nest, tree: Tree, statements: StatementLowering) -> None:
        self.nest, self.tree, self.statements = nest, tree, statements
        self.counts = {f.count.name: f.product for f in tree.fused.values() if isinstance(f.count, Size)}

    def build(self) -> Stmt:
        """The loops of the whole Program."""
        return self._node(self.nest.ast, None, _Scope())

    def _node(self, node: AstNode, loop: LoopNode | None, scope: _Scope) -> Stmt:
        match node_kind(node):
            case "mark":
                return self._marked(node, scope)
            case "block":
                children = node.block_get_children()
                return Block(tuple(self._node(children.get_at(k), loop, scope) for k in range(children.n_ast_node())))
            case "if":
                otherwise = self._node(node.if_get_else_node(), loop, scope) if node.if_has_else_node() else None
                condition = self._expr(node.if_get_cond(), scope)
                return If(condition, self._node(node.if_get_then_node(), loop, scope), otherwise)
            case "for":
                assert loop is not None, "every loop is marked"
                return self._for(node, loop, scope)
            case "user":
                return self._leaf(node, scope)

    def _marked(self, node: AstNode, scope: _Scope) -> Stmt:
        loop = self.nest.loops[mark_of(node)]
        inner = node.mark_get_node()
        if loop.kind == "position":
            assert loop.of is not None
            scope = scope.inner()
            scope.positions[loop.of] = self._position(inner, loop.of, scope)
        if loop.kind == "component" and node_kind(inner) in ("mark", "user"):
            # isl leaves a loop out only where it has one iteration; then the box must be one wide there, too.
            assert loop.of is not None
            extent = self.tree.fused[loop.of].extents[loop.component]
            assert constant_value(extent) == 1, f"component {loop.name} of extent {extent} has no loop"
        return self._node(inner, loop, scope)

    def _position(self, node: AstNode, axis: Axis, scope: _Scope) -> Expr:
        """The value of a virtual axis below the last loop made of it, as the first statement below has it.

        It depends on the loops made of the axis alone, and isl leaves those out that have one iteration.
        """
        while (kind := node_kind(node)) != "user":
            if kind == "mark":
                node = node.mark_get_node()
            elif kind == "block":
                node = node.block_get_children().get_at(0)
            else:
                node = node.if_get_then_node() if kind == "if" else node.for_get_body()
        called, *arguments = operands_of(node.user_get_expr())
        axes = self._called(called).axes
        (place,) = (k for k, own in enumerate(axes) if own is axis)
        return self._expr(arguments[place], scope)

    def _called(self, expr: AstExpr) -> Extended:
        name = identifier_of(expr)
        assert name is not None
        return self.nest.statements[name]

    def _for(self, node: AstNode, loop: LoopNode, scope: _Scope) -> Stmt:
        name = identifier_of(node.for_get_iterator()) or ""
        begin = self._expr(node.for_get_init(), scope)
        inner = scope.inner()
        body = node.for_get_body()
        if loop.kind == "position":
            assert node.for_is_degenerate(), "a position follows from the loops around it"
            inner.iterators[name] = begin
            return self._node(body, None, inner)
        if loop.kind == "component":
            return self._component(node, loop, begin, scope)
        if node.for_is_degenerate():
            inner.iterators[name] = begin
            return self._node(body, None, inner)
        assert integer_of(node.for_get_inc()) == 1, "counters are counted one by one"
        var = Var(loop.name)
        end = self._end(node, scope)
        inner.iterators[name] = var
        return For(var, begin, end, self._node(body, None, inner), _kind(loop))

    def _end(self, node: AstNode, scope: _Scope) -> Expr:
        condition = node.for_get_cond()
        relation = operation_of(condition)
        assert relation in ("le", "lt"), f"a loop ends with its counter below a bound: {condition}"
        bound = self._expr(operands_of(condition)[1], scope)
        return simplify(_plus_one(bound)) if relation == "le" else bound

    def _component(self, node: AstNode, loop: LoopNode, begin: Expr, scope: _Scope) -> Stmt:
        """A loop over one component of a position: the component is computed instead, and must be in the loop."""
        assert loop.of is not None
        fused = self.tree.fused[loop.of]
        value = self._visible(_component_of(fused, loop.component, scope.positions[loop.of]))
        name = identifier_of(node.for_get_iterator()) or ""
        inner = scope.inner()
        if node.for_is_degenerate():
            inner.iterators[name] = begin
            body = self._node(node.for_get_body(), None, inner)
            return body if difference(value, begin) == 0 else If(_same(value, begin), body)
        var = Var(loop.name)
        inner.iterators[name] = var
        end = self._end(node, scope)
        body = self._node(node.for_get_body(), None, inner)
        low, extent = fused.begins[loop.component], fused.extents[loop.component]
        if difference(begin, self._visible(low)) != 0:
            body = If(Op("ge", (var, begin), BOOL), body)
        if difference(end, self._visible(low + extent)) != 0:
            body = If(Op("lt", (var, end), BOOL), body)
        return Let(var, value, body)

    def _leaf(self, node: AstNode, scope: _Scope) -> Stmt:
        called, *arguments = operands_of(node.user_get_expr())
        extended = self._called(called)
        at = {axis: self._expr(value, scope) for axis, value in zip(extended.axes, arguments, strict=True)}
        return self.statements.lower(extended.statement, at)

    def _expr(self, expr: AstExpr, scope: _Scope) -> Expr:
        return simplify(self._convert(expr, scope))

    def _convert(self, expr: AstExpr, scope: _Scope) -> Expr:
        literal, name = integer_of(expr), identifier_of(expr)
        if literal is not None:
            return Const(literal, INDEX)
        if name is not None:
            return (
                scope.iterators[name] if name in scope.iterators else self._visible(self.nest.size_of_parameter(name))
            )
        operation = _OPERATIONS[operation_of(expr)]
        operands = [self._convert(operand, scope) for operand in operands_of(expr)]
        if operation in ("neg", "select"):
            return Op(operation, tuple(operands), operands[-1].dtype)
        result = operands[0]
        for operand in operands[1:]:
            result = Op(operation, (result, operand), BOOL if operation in _TRUTH else INDEX)
        return result

    def _visible(self, expr: Expr) -> Expr:
        """The expression with the counts of fused loops as products."""
        counts = self.counts
        return (
            simplify(transform(expr, lambda n: counts.get(n.name, n) if isinstance(n, Size) else n)) if counts else expr
        )


def _component_of(fused: Fused, number: int, position: Expr) -> Expr:
    """begin + position // (inner extents) % extent; the outermost needs no remainder."""
    value = position
    inner: Expr = Const(1, INDEX)
    for extent in fused.extents[number + 1 :]:
        inner = inner * extent
    inner = simplify(inner)
    if fused.extents[number + 1 :]:
        value = Op("floordiv", (value, inner), INDEX)
    if number:
        value = Op("mod", (value, fused.extents[number]), INDEX)
    return simplify(Op("add", (fused.begins[number], value), INDEX))


def _kind(loop: LoopNode) -> LoopKind:
    match loop.kind:
        case "serial" | "parallel" | "vectorize" | "unroll" as kind:
            return kind
        case "position" | "component":
            raise AssertionError("positions and components are no loops of the kernel")
        case _:
            assert_never(loop.kind)


def _plus_one(bound: Expr) -> Expr:
    """bound + 1, inside minima so that they stay on top."""
    if isinstance(bound, Op) and bound.name in ("min", "max"):
        return Op(bound.name, tuple(_plus_one(operand) for operand in bound.operands), INDEX)
    return Op("add", (bound, Const(1, INDEX)), INDEX)


def _same(a: Expr, b: Expr) -> Expr:
    return Op("eq", (a, b), BOOL)
