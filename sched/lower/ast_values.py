"""From isl's expressions to those of loop IR: bounds, conditions, and where statements are."""

from __future__ import annotations

from collections.abc import Mapping

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Const, Expr, Op, Size, transform
from ..compute.simplify import simplify
from ..polyhedral.isl_trees import AstExpr, AstNode, identifier_of, integer_of, operands_of, operation_of
from ..polyhedral.schedule_tree import Nest
from ..polyhedral.tree import Tree

_OPERATIONS = {
    **{"add": "add", "sub": "sub", "mul": "mul", "minus": "neg", "min": "min", "max": "max"},
    **{"fdiv_q": "floordiv", "pdiv_q": "floordiv", "div": "floordiv", "pdiv_r": "mod", "zdiv_r": "mod"},
    **{"and": "and", "and_then": "and", "or": "or", "or_else": "or", "cond": "select", "select": "select"},
    **{"eq": "eq", "le": "le", "lt": "lt", "ge": "ge", "gt": "gt"},
}
_TRUTH = frozenset({"and", "or", "eq", "le", "lt", "ge", "gt"})


class AstValues:
    """Reads the expressions of one Nest. Sizes that stand for the counts of fused loops become the products that they
    are. `iterators` are the values of isl's iterators, and of what is a parameter in a tile."""

    def __init__(self, nest: Nest, tree: Tree) -> None:
        self.nest = nest
        self.products = {f.count.name: f.product for f in tree.fused.values() if isinstance(f.count, Size)}

    def value(self, expr: AstExpr, iterators: Mapping[str, Expr]) -> Expr:
        return simplify(self._convert(expr, iterators))

    def end(self, node: AstNode, iterators: Mapping[str, Expr]) -> Expr:
        """The first value that the counter of a loop does not have any more."""
        condition = node.for_get_cond()
        relation = operation_of(condition)
        assert relation in ("le", "lt"), f"a loop ends with its counter below a bound: {condition}"
        bound = self.value(operands_of(condition)[1], iterators)
        return simplify(_plus_one(bound)) if relation == "le" else bound

    def _convert(self, expr: AstExpr, iterators: Mapping[str, Expr]) -> Expr:
        literal, name = integer_of(expr), identifier_of(expr)
        if literal is not None:
            return Const(literal, INDEX)
        if name is not None:
            return iterators[name] if name in iterators else self.visible(self.nest.size_of_parameter(name))
        operation = _OPERATIONS[operation_of(expr)]
        operands = [self._convert(operand, iterators) for operand in operands_of(expr)]
        if operation in ("neg", "select"):
            return Op(operation, tuple(operands), operands[-1].dtype)
        result = operands[0]
        for operand in operands[1:]:
            result = Op(operation, (result, operand), BOOL if operation in _TRUTH else INDEX)
        return result

    def visible(self, expr: Expr) -> Expr:
        """The expression with the counts of fused loops as products."""
        if not self.products:
            return expr

        def visible(node: Expr) -> Expr:
            product = self.products.get(node.name) if isinstance(node, Size) else None
            return node if product is None else transform(product, visible)

        return simplify(transform(expr, visible))


def step_of(node: AstNode) -> int:
    step = integer_of(node.for_get_inc())
    assert step is not None and step > 0, "counters go up by a literal"
    return step


def _plus_one(bound: Expr) -> Expr:
    """bound + 1, inside minima so that they stay on top."""
    if isinstance(bound, Op) and bound.name in ("min", "max"):
        return Op(bound.name, tuple(_plus_one(operand) for operand in bound.operands), INDEX)
    return Op("add", (bound, Const(1, INDEX)), INDEX)
