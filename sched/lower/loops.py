"""From isl's AST to loop IR: the loops, with the kinds that the schedule gave them, around the statements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Const, Expr, Op, substitute, walk
from ..compute.simplify import difference, simplify
from ..polyhedral.counters import expand_fused
from ..polyhedral.isl_trees import (
    AstExpr,
    AstNode,
    identifier_of,
    mark_of,
    node_kind,
    operands_of,
)
from ..polyhedral.order import is_reduction_counter, shares_accumulator
from ..polyhedral.schedule_tree import Band, Extended, Nest
from ..polyhedral.statement import Statement
from ..polyhedral.tree import LoopNode, Tree
from .ast_values import AstValues, step_of
from .fetches import Fetches
from .ir import Accumulator, Allocate, Block, For, If, Let, LoopKind, Stmt, Var
from .rewrite import block
from .statements import StatementLowering
from .tiles import is_tile, most_iterations
from .together import together


@dataclass(frozen=True, slots=True)
class _Noted:
    """What the counter of a loop is for each statement below, in terms of isl's iterators."""

    loop: LoopNode
    values: list[Expr]


@dataclass(slots=True)
class _Scope:
    """Values of isl's iterators, and of the virtual axes that are resolved here.

    `counters` are the values of loops, by whose they are and what they are called, `loops` by themselves. `guards` are
    pairs of a value and a loop, whose counter must have it where a statement runs. `noted` gets the counters of all.
    `conditions` are those of inits, by their numbers, which the updates of what they begin have, too.
    """

    iterators: dict[str, Expr] = field(default_factory=dict)
    counters: dict[tuple[int, str], Expr] = field(default_factory=dict)
    loops: dict[LoopNode, Expr] = field(default_factory=dict)
    positions: dict[Axis, Expr] = field(default_factory=dict)
    guards: list[tuple[Expr, LoopNode]] = field(default_factory=list)
    noted: tuple[_Noted, ...] = ()
    conditions: dict[int, Expr] = field(default_factory=dict)

    def count(self, loop: LoopNode, iterator: str, value: Expr) -> None:
        """Note the value of isl's iterator of a loop."""
        self.iterators[iterator] = self.loops[loop] = value
        if loop.stage is not None:
            self.counters[loop.stage.uid, loop.name] = value

    def inner(self) -> _Scope:
        return _Scope(
            dict(self.iterators),
            dict(self.counters),
            dict(self.loops),
            dict(self.positions),
            list(self.guards),
            self.noted,
            dict(self.conditions),
        )


class LoopBuilder:
    """Converts one Nest, with those in its tiles."""

    def __init__(self, nest: Nest, tree: Tree, statements: StatementLowering) -> None:
        self.nest, self.tree, self.statements = nest, tree, statements
        self.fetches = Fetches(nest.program, tree, statements)
        self.values = AstValues(nest, tree)
        self.strided: set[Var] = set()  # variables that count the steps of a loop, not its counter

    def build(self) -> Stmt:
        """The loops of the whole Program."""
        return self._node(self.nest.ast, None, _Scope())

    def _node(self, node: AstNode, loop: LoopNode | None, scope: _Scope) -> Stmt:
        """What isl made of a node; `loop` is the one that is still to come, where isl has not left it out."""
        match node_kind(node):
            case "mark" | "user" as kind:
                if loop is not None and loop.kind == "component":
                    return self._fixed(node, loop, scope)
                inside = self._marked(node, scope) if kind == "mark" else self._leaf(node, scope)
                return self._iteration(loop, inside, scope)
            case "block":
                nodes = node.block_get_children()
                return together(self._parts([nodes.get_at(k) for k in range(nodes.n_ast_node())], loop, scope))
            case "if":
                otherwise = self._node(node.if_get_else_node(), loop, scope) if node.if_has_else_node() else None
                condition = self.values.value(node.if_get_cond(), scope.iterators)
                then = self._node(node.if_get_then_node(), loop, scope)
                if isinstance(condition, Const):  # isl writes a condition that always holds as 1
                    return then if condition.value else otherwise or Block(())
                return If(condition, then, otherwise)
            case "for":
                assert loop is not None, "every loop is marked"
                return self._for(node, loop, scope)

    def _parts(self, nodes: list[AstNode], loop: LoopNode | None, scope: _Scope) -> list[Stmt]:
        """Nodes in a row. What an init has for a condition, its updates have, too: isl leaves that out where their own
        loops are empty, and passes take elements out of these."""
        parts: list[Stmt] = []
        scope = scope.inner()
        for node in nodes:
            inside, below = self._inside(node), scope.inner()
            guard = None
            if all(s.kind == "update" for s in inside) and len(inits := set(map(self._init_of, inside))) == 1:
                guard = below.conditions.pop(inits.pop(), None)
            part = self._node(node, loop, below)
            if node_kind(node) == "if" and not node.if_has_else_node():
                condition = self.values.value(node.if_get_cond(), scope.iterators)
                scope.conditions |= {s.number: condition for s in inside if self._covers_updates(s)}
            parts.append(part if guard is None else If(guard, part))
        return parts

    def _covers_updates(self, init: Statement) -> bool:
        """Whether an init runs wherever its updates do: it is in no loop over the reduction."""
        if init.kind != "init":
            return False
        updates = (s for s in self.nest.program.of_stage(init.stage) if s.kind == "update")
        own = [s for s in updates if s.equation == init.equation and self._init_of(s) == init.number]
        loops = [node for node, _ in self.tree.path_to(init) if isinstance(node, LoopNode)]
        shared = [node.values[s.number] for node in loops for s in own if s.number in node.values]
        counters = (expand_fused(value, self.tree, linear=False) for value in shared)
        return not any(isinstance(axis, Axis) and axis.reduction for value in counters for axis in walk(value))

    def _init_of(self, update: Statement) -> int:
        """The number of the init of the cells that an update accumulates in: the nearest one in what it is cut off."""
        program, stage = self.nest.program, update.stage
        inits = {
            s.loops_of: s.number for s in program.of_stage(stage) if s.kind == "init" and s.equation == update.equation
        }
        part = update.loops_of
        while part not in inits:
            part = program.cuts[stage.uid][part - len(stage.equations)].equation
        return inits[part]

    def _inside(self, node: AstNode) -> list[Statement]:
        """The statements below a node."""
        match node_kind(node):
            case "user":
                name = identifier_of(operands_of(node.user_get_expr())[0])
                if name in self.nest.bands:
                    return self._in_tile(self.nest.bands[name])._inside(self.nest.bands[name].inside.ast)
                return [] if self.nest.is_end(name) else [self.nest.statements[name or ""].statement]
            case "mark":
                return self._inside(node.mark_get_node())
            case "for":
                return self._inside(node.for_get_body())
            case "if":
                otherwise = self._inside(node.if_get_else_node()) if node.if_has_else_node() else []
                return self._inside(node.if_get_then_node()) + otherwise
            case "block":
                nodes = node.block_get_children()
                return [s for k in range(nodes.n_ast_node()) for s in self._inside(nodes.get_at(k))]

    def _marked(self, node: AstNode, scope: _Scope) -> Stmt:
        loop = self.nest.loops[mark_of(node)]
        inner = node.mark_get_node()
        if loop.kind == "position":
            assert loop.of is not None
            scope = scope.inner()
            position = self._first_value(inner, loop, scope)
            assert position is not None, "a position depends on the loops made of it alone"
            scope.positions[loop.of] = position
        return self._node(inner, loop, scope)

    def _fixed(self, node: AstNode, loop: LoopNode, scope: _Scope) -> Stmt:
        """The node at the positions whose component has the one value that isl left a loop out for.

        The value is known here, or by the statements below if its expression is made of their loops.
        """
        value, only = self._component_value(loop, scope), self._first_value(node, loop, scope)
        if only is None:
            scope = scope.inner()
            scope.guards.append((value, loop))
        inside = self._node(node, None, scope)
        return inside if only is None or difference(value, only) == 0 else If(_same(value, only), inside)

    def _component_value(self, loop: LoopNode, scope: _Scope) -> Expr:
        assert loop.of is not None
        return self.values.visible(self.tree.fused[loop.of].component(loop.component, scope.positions[loop.of]))

    def _first_value(self, node: AstNode, loop: LoopNode, scope: _Scope) -> Expr | None:
        """The counter of a loop as the first statement below has it; None if it is made of loops further in."""
        inside = scope.inner()
        unknown: set[Expr] = set()
        while (kind := node_kind(node)) != "user":
            if kind == "mark":
                node = node.mark_get_node()
            elif kind == "block":
                nodes = node.block_get_children()
                each = (nodes.get_at(k) for k in range(nodes.n_ast_node()))
                node = next(inner for inner in each if self._inside(inner))  # not the end of an iteration
            elif kind == "if":
                node = node.if_get_then_node()
            else:
                name = identifier_of(node.for_get_iterator()) or ""
                if node.for_is_degenerate():
                    inside.iterators[name] = self.values.value(node.for_get_init(), inside.iterators)
                else:
                    inside.iterators[name] = Var(name)
                    unknown.add(inside.iterators[name])
                node = node.for_get_body()
        called, *arguments = operands_of(node.user_get_expr())
        extended = self._called(called)
        expr, axes = self.values.visible(loop.values[extended.statement.number]), extended.axes
        used = {n for n in walk(expr) if isinstance(n, Axis)}
        at: dict[Axis, Expr] = {}
        for axis, argument in zip(axes, arguments, strict=True):
            if axis in used:
                at[axis] = self.values.value(argument, inside.iterators)
        value = simplify(substitute(expr, at))
        return None if any(part in unknown for part in walk(value)) else value

    def _called(self, expr: AstExpr) -> Extended:
        name = identifier_of(expr)
        assert name is not None
        return self.nest.statements[name]

    def _for(self, node: AstNode, loop: LoopNode, scope: _Scope) -> Stmt:
        name = identifier_of(node.for_get_iterator()) or ""
        begin = self.values.value(node.for_get_init(), scope.iterators)
        inner = scope.inner()
        body = node.for_get_body()
        if loop.kind == "position":
            assert node.for_is_degenerate(), "a position follows from the loops around it"
            inner.iterators[name] = begin
            return self._node(body, None, inner)
        if loop.kind == "component":
            return self._component(node, loop, begin, scope)
        if node.for_is_degenerate():
            inner.count(loop, name, begin)
            return self._iteration(loop, self._node(body, None, inner), inner)
        var, step = Var(loop.name), step_of(node)
        end = self.values.end(node, scope.iterators)
        if step == 1:
            inner.count(loop, name, var)
        else:
            inner.count(loop, name, simplify(begin + var * step))
            begin, end = Const(0, INDEX), simplify((end - begin + (step - 1)) // step)
        loop_body = self._iteration(loop, self._node(body, None, inner), inner)
        kind, shared = self._shared(loop)
        if step != 1:
            self.strided.add(var)
        made = For(var, begin, end, loop_body, kind, shared, loop.peel, loop.doacross and self._is_over(loop_body))
        if is_tile(made) and most_iterations(made) is None:
            assert loop.most is not None, f"{loop.name} has at most a literal number of iterations"
            made = replace(made, end=Op("min", (simplify(begin + loop.most), end), INDEX))
        return made

    def _iteration(self, loop: LoopNode | None, body: Stmt, scope: _Scope) -> Stmt:
        """The body of a loop after what it fetches ahead, with the buffers that each iteration has for itself."""
        if loop is None:
            return body
        if boxes := list(self.fetches.at(loop, scope.loops)):
            body = block(*boxes, body)
        for buffer in self.statements.private(loop.stores):
            body = Allocate(buffer, body)
        return body

    def _is_over(self, body: Stmt) -> bool:
        """Whether the body of a loop over waves is a parallel loop alone, over the counters that the tree has."""
        return isinstance(body, For) and body.kind == "parallel" and not body.shared and body.var not in self.strided

    def _shared(self, loop: LoopNode) -> tuple[LoopKind, tuple[Accumulator, ...]]:
        """The loop's kind, and the accumulators of which several iterations update one element, in any order.

        Where other equations of a recurrence are in the loop, there are no partial results, and threads would share the
        element; lanes of a mix are to run in order (`lanes_in_order`), so that they have none in any case.
        """
        inside = [s for s in self.nest.program.statements if s.number in loop.values]
        updates = [s for s in inside if s.kind == "update" and shares_accumulator(self.tree, loop, s)]
        alone = [s for s in updates if not any(map(partial(_interferes, s), inside))]
        kind: LoopKind = "serial" if loop.kind == "parallel" and len(alone) < len(updates) else _kind(loop)
        mixed = [s for s in updates if kind == "vectorize" and not is_reduction_counter(self.tree, loop, s)]
        return kind, tuple(self.statements.accumulator(s) for s in updates if s in alone or s in mixed)

    def _component(self, node: AstNode, loop: LoopNode, begin: Expr, scope: _Scope) -> Stmt:
        """A loop over one component of a position: the component is computed instead, and must be in the loop."""
        assert loop.of is not None
        value = self._component_value(loop, scope)
        name = identifier_of(node.for_get_iterator()) or ""
        inner = scope.inner()
        if node.for_is_degenerate():
            inner.iterators[name] = begin
            body = self._node(node.for_get_body(), None, inner)
            return body if difference(value, begin) == 0 else If(_same(value, begin), body)
        var, end = Var(loop.name), self.values.end(node, scope.iterators)
        inner.iterators[name] = var
        noted = _Noted(loop, [])
        inner.noted = (*inner.noted, noted)
        body = self._node(node.for_get_body(), None, inner)
        offsets, step = {difference(own, var) for own in noted.values}, step_of(node)
        if step == 1 or offsets == {0}:  # isl moves statements only along a stride, by less than that
            return Let(var, value, self._within(node, loop, (var, begin, end), body))
        # None: made of loops further in. What runs at the component is told apart by conditions then.
        near = range(1 - step, step) if None in offsets else sorted(offset for offset in offsets if offset is not None)
        return block(*(self._moved(node, loop, scope, (value, begin, end), offset) for offset in near))

    def _moved(self, node: AstNode, loop: LoopNode, scope: _Scope, span: tuple[Expr, Expr, Expr], offset: int) -> Stmt:
        """A loop over a component in which isl has put statements at different multiples of a stride together: what
        runs for those whose component is so far from its counter. No two offsets are of one component."""
        value, begin, end = span
        var, inner = Var(loop.name), scope.inner()
        inner.iterators[identifier_of(node.for_get_iterator()) or ""] = var
        inner.guards.append((simplify(var + offset), loop))
        body = self._node(node.for_get_body(), None, inner)
        return Let(var, simplify(value - offset), self._within(node, loop, (var, begin, end), body, offset))

    def _within(
        self, node: AstNode, loop: LoopNode, span: tuple[Expr, Expr, Expr], body: Stmt, offset: int = 0
    ) -> Stmt:
        """The body where its counter is one that the loop has; bounds that all components have are left out."""
        assert loop.of is not None
        fused, (var, begin, end), step = self.tree.fused[loop.of], span, step_of(node)
        low, extent = fused.begins[loop.component], fused.extents[loop.component]
        if offset or difference(begin, self.values.visible(low)) != 0:
            body = If(Op("ge", (var, begin), BOOL), body)
        if offset or difference(end, self.values.visible(low + extent)) != 0:
            body = If(Op("lt", (var, end), BOOL), body)
        return body if step == 1 else If(_same((var - begin) % step, Const(0, INDEX)), body)

    def _in_tile(self, band: Band) -> LoopBuilder:
        """The builder of the loops in a tile of a band."""
        return LoopBuilder(band.inside, self.tree, self.statements)

    def _tile(self, band: Band, arguments: list[AstExpr], scope: _Scope) -> Stmt:
        """The loops in a tile, whose numbers are the arguments."""
        scope = scope.inner()
        for loop, parameter, argument in zip(band.loops, band.parameters, arguments, strict=True):
            scope.count(loop, parameter, self.values.value(argument, scope.iterators))
        return self._in_tile(band)._node(band.inside.ast, None, scope)

    def _leaf(self, node: AstNode, scope: _Scope) -> Stmt:
        called, *arguments = operands_of(node.user_get_expr())
        if (name := identifier_of(called)) in self.nest.bands:
            return self._tile(self.nest.bands[name], arguments, scope)
        if self.nest.is_end(identifier_of(called)):
            return Block(())
        extended = self._called(called)
        at = {
            axis: self.values.value(value, scope.iterators)
            for axis, value in zip(extended.axes, arguments, strict=True)
        }
        stmt = self.statements.lower(extended.statement, at, scope.counters)
        for noted in scope.noted:
            counter = self.values.visible(noted.loop.values[extended.statement.number])
            noted.values.append(simplify(substitute(counter, at)))
        for value, loop in scope.guards:
            own = simplify(substitute(self.values.visible(loop.values[extended.statement.number]), at))
            stmt = stmt if difference(value, own) == 0 else If(_same(value, own), stmt)
        return stmt


def _interferes(update: Statement, other: Statement) -> bool:
    """Whether a statement in the loops of an update writes elements of its stage that are not begun for it."""
    return other.stage is update.stage and (other.equation != update.equation or other.kind == "finish")


def _kind(loop: LoopNode) -> LoopKind:
    match loop.kind:
        case "serial" | "parallel" | "vectorize" | "unroll" as kind:
            return kind
        case "position" | "component":
            raise AssertionError("positions and components are no loops of the kernel")
        case _:
            assert_never(loop.kind)


def _same(a: Expr, b: Expr) -> Expr:
    return Op("eq", (a, b), BOOL)
