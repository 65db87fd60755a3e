"""From expressions to isl: exact where they are (quasi-)affine, and a superset of the values where they are not."""

from __future__ import annotations

from ..compute.dtypes import BOOL, INDEX
from ..compute.expr import Axis, Cast, Const, Expr, Op, Size
from ..compute.operations import COMPARISONS
from .isl import Frame, Map, PwAff, Set


def affine(expr: Expr, frame: Frame) -> PwAff | None:
    """The integer expression as a piecewise quasi-affine function on the frame, or None where it is not one."""
    match expr:
        case Const(value) if expr.dtype.is_int:
            return frame.const(int(value))
        case Axis():
            return frame.axis(expr)
        case Size():
            return frame.size(expr)
        case Cast(operand, to) if to == INDEX and operand.dtype == INDEX:
            return affine(operand, frame)
        case Op(name, operands) if expr.dtype == INDEX:
            if id(expr) not in frame.found:  # nodes are immutable, and counters are asked for by every proof
                frame.found[id(expr)] = expr, _operation(name, operands, frame)
            return frame.found[id(expr)][1]
        case _:
            return None


def _operation(name: str, operands: tuple[Expr, ...], frame: Frame) -> PwAff | None:
    if name == "select":
        return _select(operands, frame)
    if name not in ("add", "sub", "mul", "floordiv", "mod", "min", "max", "neg"):
        return None
    sides = [affine(operand, frame) for operand in operands]
    if any(side is None for side in sides):
        return None
    a = sides[0]
    b = sides[1] if len(sides) > 1 else None
    assert a is not None
    if name == "neg":
        return a.neg()
    assert b is not None
    match name:
        case "add":
            return a.add(b)
        case "sub":
            return a.sub(b)
        case "mul":
            return a.mul(b) if a.is_cst() or b.is_cst() else None
        case "min":
            return a.min(b)
        case "max":
            return a.max(b)
        case _:
            divisor = operands[1]
            if not isinstance(divisor, Const) or divisor.value == 0:
                return None
            return _divided(name, a, int(divisor.value), frame)


def _divided(name: str, a: PwAff, divisor: int, frame: Frame) -> PwAff:
    """Floor division and its remainder, which has the sign of the divisor, as in Python."""
    numerator = a if divisor > 0 else a.neg()
    quotient = numerator.scale_down_val(frame.world.val(abs(divisor))).floor()
    return quotient if name == "floordiv" else a.sub(quotient.scale_val(frame.world.val(divisor)))


def _select(operands: tuple[Expr, ...], frame: Frame) -> PwAff | None:
    condition, yes, no = operands
    if not is_affine_condition(condition, frame):
        return None
    a, b = affine(yes, frame), affine(no, frame)
    if a is None or b is None:
        return None
    may_hold, may_fail = condition_sets(condition, frame)
    return a.intersect_domain(may_hold).union_add(b.intersect_domain(may_fail))


def is_affine_condition(condition: Expr, frame: Frame) -> bool:
    """Whether `condition_sets` is exact."""
    match condition:
        case Const():
            return True
        case Op("and" | "or" | "not" | "xor" | "eq" | "ne", operands) if all(o.dtype == BOOL for o in operands):
            return all(is_affine_condition(operand, frame) for operand in operands)
        case Op(name, (a, b)) if name in COMPARISONS and a.dtype == b.dtype == INDEX:
            return affine(a, frame) is not None and affine(b, frame) is not None
        case _:
            return False


def condition_sets(condition: Expr, frame: Frame) -> tuple[Set, Set]:
    """Where a condition may hold and where it may fail: exact for affine conditions, else supersets."""
    match condition:
        case Const(value):
            return (frame.universe(), frame.empty()) if value else (frame.empty(), frame.universe())
        case Op("and", (a, b)) if condition.dtype == BOOL:
            (hold_a, fail_a), (hold_b, fail_b) = condition_sets(a, frame), condition_sets(b, frame)
            return hold_a.intersect(hold_b), fail_a.union(fail_b)
        case Op("or", (a, b)) if condition.dtype == BOOL:
            (hold_a, fail_a), (hold_b, fail_b) = condition_sets(a, frame), condition_sets(b, frame)
            return hold_a.union(hold_b), fail_a.intersect(fail_b)
        case Op("not", (a,)) if condition.dtype == BOOL:
            hold, fail = condition_sets(a, frame)
            return fail, hold
        case Op(name, (a, b)) if name in COMPARISONS and a.dtype == b.dtype == INDEX:
            left, right = affine(a, frame), affine(b, frame)
            if left is not None and right is not None:
                return _compared(name, left, right)
        case Op("xor" | "ne" | "eq" as name, (a, b)) if a.dtype == b.dtype == BOOL:
            (hold_a, fail_a), (hold_b, fail_b) = condition_sets(a, frame), condition_sets(b, frame)
            differ = hold_a.intersect(fail_b).union(fail_a.intersect(hold_b))
            alike = hold_a.intersect(hold_b).union(fail_a.intersect(fail_b))
            return (alike, differ) if name == "eq" else (differ, alike)
    return frame.universe(), frame.universe()


def _compared(name: str, a: PwAff, b: PwAff) -> tuple[Set, Set]:
    match name:
        case "lt":
            return a.lt_set(b), a.ge_set(b)
        case "le":
            return a.le_set(b), a.gt_set(b)
        case "gt":
            return a.gt_set(b), a.le_set(b)
        case "ge":
            return a.ge_set(b), a.lt_set(b)
        case "eq":
            return a.eq_set(b), a.ne_set(b)
        case _:
            return a.ne_set(b), a.eq_set(b)


_COMBINED = {
    "min": "{ [[a] -> [b]] -> [c] : (c = a and a <= b) or (c = b and b <= a) }",
    "max": "{ [[a] -> [b]] -> [c] : (c = a and a >= b) or (c = b and b >= a) }",
    "add": "{ [[a] -> [b]] -> [a + b] }",
    "sub": "{ [[a] -> [b]] -> [a - b] }",
}
_CHOSEN = frozenset({"min", "max"})  # these give one of their operands, so that narrow integers do not wrap


def possible_values(expr: Expr, frame: Frame, domain: Set) -> Map:
    """A relation from each instance of `domain` to every value the integer expression can have there.

    Exact for affine expressions. What is read from data may be anything its type can hold; min, max, % and
    `ps.checked` limit it again.
    """
    exact = affine(expr, frame)
    if exact is not None:
        return Map.from_pw_aff(exact).intersect_domain(domain)
    match expr:
        case Cast(operand, to) if operand.dtype.is_int and to == INDEX and operand.dtype.name != "uint64":
            return possible_values(operand, frame, domain)
        case Op("checked", (_, low, high)):
            return _between(low, high, frame, domain)
        case Op("select", (condition, yes, no)) if expr.dtype.is_int:
            may_hold, may_fail = condition_sets(condition, frame)
            taken = possible_values(yes, frame, domain.intersect(may_hold))
            return taken.union(possible_values(no, frame, domain.intersect(may_fail)))
        case Op(name, (a, b)) if name in _COMBINED and (expr.dtype == INDEX or name in ("min", "max")):
            pair = possible_values(a, frame, domain).range_product(possible_values(b, frame, domain))
            return pair.apply_range(frame.world.from_text(_COMBINED[name]))
        case Op("mod", (_, Const(value))) if expr.dtype.is_int and value > 0:
            zero, top = Const(0, INDEX), Const(int(value), INDEX)
            return _between(zero, top, frame, domain)
    return _of_type(expr, frame, domain)


def _any_value(frame: Frame, domain: Set) -> Map:
    return Map.from_domain_and_range(domain, frame.world.from_text("{ [a] -> [b] }").range())


def _between(low: Expr, high: Expr, frame: Frame, domain: Set) -> Map:
    """Every value with low <= value < high."""
    lower, upper = affine(low, frame), affine(high, frame)
    result = _any_value(frame, domain)
    if lower is not None:
        result = result.intersect(Map.from_pw_aff(lower).apply_range(frame.world.from_text("{ [a] -> [b] : b >= a }")))
    if upper is not None:
        result = result.intersect(Map.from_pw_aff(upper).apply_range(frame.world.from_text("{ [a] -> [b] : b < a }")))
    return result


def _of_type(expr: Expr, frame: Frame, domain: Set) -> Map:
    """Every value of a narrow integer type: a byte indexes a table of 256 without a check."""
    if not expr.dtype.is_int or expr.dtype.bits > 32:
        return _any_value(frame, domain)
    low, high = Const(int(expr.dtype.lowest), INDEX), Const(int(expr.dtype.highest) + 1, INDEX)
    return _between(low, high, frame, domain)
