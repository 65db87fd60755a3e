"""Contraction: where a stage's expression rounds a product and a sum once.

It is decided here, on the definition alone, so that no schedule, no inlining and no vector width changes a bit:
a * b + c becomes fma(a, b, c) inside one stage for float32 and float64. With two products the left one is contracted.
"""

from __future__ import annotations

from .expr import Expr, Op, transform

_CONTRACTED = ("float32", "float64")


def contract(expr: Expr) -> Expr:
    """The expression with explicit fma operations."""
    return transform(expr, _contract)


def accumulate_sum(accumulator: Expr, operand: Expr) -> Expr:
    """accumulator + operand, contracted where the operand is a product."""
    return _contract(Op("add", (operand, accumulator), operand.dtype))


def _contract(node: Expr) -> Expr:
    if not isinstance(node, Op) or node.dtype.name not in _CONTRACTED or node.name not in ("add", "sub"):
        return node
    left, right = node.operands
    if (factors := _product(left)) is not None:
        return Op("fma", (*factors, right if node.name == "add" else _negated(right)), node.dtype)
    if (factors := _product(right)) is not None:
        first, second = factors
        return Op("fma", (first if node.name == "add" else _negated(first), second, left), node.dtype)
    return node


def _product(expr: Expr) -> tuple[Expr, ...] | None:
    return expr.operands if isinstance(expr, Op) and expr.name == "mul" else None


def _negated(expr: Expr) -> Expr:
    return Op("neg", (expr,), expr.dtype)
