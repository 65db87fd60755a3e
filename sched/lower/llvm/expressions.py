"""Expressions to values and to indices: the cases of the two closed unions, and nothing of what they do."""

from __future__ import annotations

from itertools import repeat

from ...compute.dtypes import BOOL, INDEX
from ...compute.expr import Cast, Const, Expr, Op, Scalar, Size
from ...compute.integers import INTEGER_OPERATIONS
from ...compute.operations import COMPARISONS
from ...compute.simplify import key
from ..ir import HORIZONTAL, Buffer, Load, Ramp, Rarely, Var
from ..math.expansion import EXPANDED, expansion
from ..passes.dot_products import DOTS
from . import (
    called,
    dots,
    fixed_point,
    floats,
    halves,
    horizontal,
    integers,
    lane_index,
    long_integers,
    memory,
    remainders,
    rounding,
)
from .casts import cast, reinterpret, short_to_float
from .comparisons import compare, integer_predicate
from .emitter import Emitter
from .lane_index import LaneIndex, Operand
from .outlined import rarely
from .values import Value, constant, wrapped

_INDEX_OPERATIONS = frozenset({"add", "sub", "mul", "neg"})
_SCALAR_INDEX_OPERATIONS = frozenset({"floordiv", "mod", "min", "max"})
_LOGIC = frozenset({"and", "or", "xor"})
_ROUNDING = frozenset({"floor", "ceil", "trunc"})


def value_of(e: Emitter, expr: Expr) -> Value:
    """Emit an expression. A node that a statement uses twice is emitted once."""
    match expr:
        case Const(value, dtype):
            return constant(value, dtype)
        case Var():
            bound = e.variable(expr)
            return bound if isinstance(bound, Value) else _vector(e, bound)
        case Size(name):
            return e.parameter("size", name)
        case Scalar(name):
            return e.parameter("scalar", name)
        case _:
            found = e.memo.get(id(expr))
    if found is not None:
        return found
    match expr:
        case Op("where_fused", (fused, apart)):
            found = value_of(e, fused if e.machine.has_fma else apart)
        case Op():
            found = _operation(e, expr)
        case Load(buffer, indices, mask):
            found = memory.load(e, e.storage(buffer), offset(e, buffer, indices), mask_of(e, mask))
        case Cast(operand, dtype):
            found = cast(e, value_of(e, operand), dtype)
        case Ramp():
            found = _vector(e, index_of(e, expr))
        case Rarely():
            found = rarely(e, expr, value_of)
        case _:
            raise AssertionError(f"{type(expr).__name__} is not loop IR")
    e.memo[id(expr)] = found
    return found


def _vector(e: Emitter, index: LaneIndex) -> Value:
    return Value(lane_index.materialise(e.fn, index), INDEX, index.lanes)


def mask_of(e: Emitter, mask: Expr | None) -> Value | None:
    """The mask, or None where it is known to hold."""
    value = None if mask is None else value_of(e, mask)
    return None if value is not None and value.text in ("true", "splat (i1 true)") else value


def index_of(e: Emitter, expr: Expr) -> LaneIndex:
    """Emit an integer expression as an index."""
    found = e.indices.get(id(expr))
    if found is None:
        found = e.indices[id(expr)] = _index(e, expr)
    return found


def _index(e: Emitter, expr: Expr) -> LaneIndex:
    match expr:
        case Var() if isinstance(bound := e.variable(expr), LaneIndex):
            return bound
        case Op(name) if name in _INDEX_OPERATIONS and expr.dtype.name == "int64":
            return _combined(e, expr)
        case Ramp(first, lanes):
            return lane_index.ramp(index_of(e, first), lanes)
        case Const(value) if not isinstance(value, float):
            return LaneIndex(None, wrapped(int(value)))
        case _:
            return _of_value(cast(e, value_of(e, expr), INDEX))


def _combined(e: Emitter, expr: Op) -> LaneIndex:
    parts = tuple(index_of(e, operand) for operand in expr.operands)
    combined = lane_index.combine(e.fn, expr.name, parts)
    return _of_value(_operation(e, expr)) if combined is None else combined


def _of_value(value: Value) -> LaneIndex:
    if value.lanes > 1:
        return LaneIndex(None, 0, 0, value.lanes, value.text)
    return lane_index.of_operand(value.text if value.constant is None else value.constant)


def operand_of(e: Emitter, expr: Expr) -> Operand:
    """Emit a scalar index."""
    index = index_of(e, expr)
    assert index.lanes == 1, "a scalar is expected"
    return lane_index.base(e.fn, index)


def offset(e: Emitter, buffer: Buffer, indices: tuple[Expr, ...]) -> LaneIndex:
    """Where in its buffer an access is, in elements."""
    return e.storage(buffer).offset(e.fn, tuple(index_of(e, index) for index in indices))


def _operation(e: Emitter, expr: Op) -> Value:
    name = expr.name
    if name in COMPARISONS and expr.operands[0].dtype == expr.operands[1].dtype == INDEX:
        compared = _compare_indices(e, expr)
        if compared is not None:
            return compared
    if name == "pack" and (adjacent := _adjacent(e, expr)) is not None:
        return adjacent
    operands = tuple(map(value_of, repeat(e), expr.operands))
    if name == "reinterpret":
        return reinterpret(e, operands[0], expr.dtype)
    if name == "short_to_float":
        return short_to_float(e, operands[0], expr.dtype)
    if name in HORIZONTAL:
        return horizontal.combine(e, name, operands[0])
    known = operands[-1].constant
    if name == "select":
        condition, *sides = operands
        count = max(v.lanes for v in operands)
        yes, no = (e.broadcast(side, count) for side in sides)
        return e.choose(condition if condition.lanes == 1 else e.broadcast(condition, count), yes, no)
    operands = e.level(*operands)
    first = operands[0]
    if name == "lanes_behind":
        return _behind(e, *operands)
    if name == "pack":
        return dots.pack(e, operands, expr.dtype)
    if name in DOTS:
        return dots.emit(e, name, *operands)
    if halves.is_half(first.dtype):
        return _on_halves(e, name, operands)
    if name in COMPARISONS:
        return compare(e, name, *operands)
    if first.dtype.is_float:
        return _on_floats(e, name, operands)
    return _on_integers(e, name, operands, known)


def _behind(e: Emitter, before: Value, here: Value) -> Value:
    """The lanes of `here`, each one lane further up, after the last one of `before`."""
    places = ", ".join(f"i32 {here.lanes - 1 + lane}" for lane in range(here.lanes))
    text = f"shufflevector {here.type} {before.text}, {here.type} {here.text}, <{here.lanes} x i32> <{places}>"
    return Value(e.fn.pure(text), here.dtype, here.lanes)


def _adjacent(e: Emitter, pack: Op) -> Value | None:
    """The load of elements that lie side by side, as one integer a lane; None where they do not."""
    parts = [part for part in pack.operands if isinstance(part, Load)]
    first = parts[0] if parts else None
    if first is None or len(parts) < len(pack.operands) or any(part.buffer is not first.buffer for part in parts):
        return None
    masks = {None if part.mask is None else key(part.mask) for part in parts}
    places = [offset(e, part.buffer, part.indices) for part in parts]
    following = (place._replace(constant=place.constant - k) for k, place in enumerate(places))
    if len(masks) > 1 or any(place != places[0] for place in following):
        return None
    return memory.load_packed(e, e.storage(first.buffer), places[0], mask_of(e, first.mask), pack.dtype)


def _on_halves(e: Emitter, name: str, operands: tuple[Value, ...]) -> Value:
    """In float32, rounded at the end; an fma is two operations, each rounded."""
    if name == "fma":
        return _on_halves(e, "add", (_on_halves(e, "mul", operands[:2]), operands[2]))
    wide = tuple(halves.widen(e, operand) for operand in operands)
    result = compare(e, name, *wide) if name in COMPARISONS else _on_floats(e, name, wide)
    return result if result.dtype == BOOL else halves.narrow(e, result, operands[0].dtype)


def _on_floats(e: Emitter, name: str, operands: tuple[Value, ...]) -> Value:
    first = operands[0]
    match name:
        case "add" | "sub" | "mul" | "truediv" | "min" | "max" | "min_number" | "max_number":
            return floats.arithmetic(e, name, operands)
        case "fma":
            return floats.fma(e, *operands)
        case "product_rest":
            return floats.product_rest(e, *operands)
        case "scaled":
            return floats.scaled(e, *operands)
        case "scaled_down":
            return floats.scaled_down(e, *operands)
        case "neg":
            return floats.negate(e, first)
        case "abs":
            return e.intrinsic("fabs", first)
        case "sqrt":
            return e.intrinsic(name, first)
        case "round" | "floor" | "ceil" | "trunc":
            return rounding.rounded(e, name, first)
        case "isnan":
            return e.test("uno", first, first.lit(0.0))
        case "floordiv" | "mod" | "fmod":
            return called.call(e, name, operands, written_out)
        case _ if name in EXPANDED:
            is_one = first.lanes * first.dtype.bits <= e.machine.vector_bits
            if called.is_long(name, first.dtype.name, e.called_from if is_one else called.SHORT):
                return called.call(e, name, operands, written_out)
            return written_out(e, name, operands)
        case _:
            raise AssertionError(f"{name} is not defined on {first.dtype}")


def written_out(e: Emitter, name: str, arguments: tuple[Value, ...]) -> Value:
    """An elementary function of values, in place. What is remembered of its nodes is forgotten: they stand for these
    values."""
    if name == "fmod":
        return remainders.fmod(e, *arguments)
    if name in ("floordiv", "mod"):
        return remainders.divide(e, name, *arguments)
    function = expansion(name, arguments[0].dtype.name)
    outer, e.memo, e.parts = e.memo, {}, {}
    e.variables.update(zip(function.arguments, arguments, strict=True))
    (result,) = map(value_of, repeat(e), function.values)
    e.memo = outer
    for variable in function.arguments:
        del e.variables[variable]
    return result


def _on_integers(e: Emitter, name: str, operands: tuple[Value, ...], known: int | None) -> Value:
    first = operands[0]
    match name:
        case "add" | "sub" | "mul" | "min" | "max":
            return integers.arithmetic(e, name, operands)
        case "floordiv" | "mod":
            return integers.divide(e, name, operands, known)
        case "fmod":
            return integers.truncated_remainder(e, operands, known)
        case "shl" | "shr":
            return integers.shift(e, name, operands, known)
        case "short_mul":
            return long_integers.short_mul(e, *operands)
        case "fma":
            product = integers.arithmetic(e, "mul", operands[:2])
            return integers.arithmetic(e, "add", (product, operands[2]))
        case "neg":
            return integers.negate(e, first)
        case "abs":
            return integers.absolute(e, first)
        case "not":
            return integers.invert(e, first)
        case "isnan":
            return constant(False, BOOL, first.lanes)
        case _ if name in _LOGIC:
            return e.binary(name, *operands)
        case _ if name in INTEGER_OPERATIONS:
            return fixed_point.emit(e, name, operands, known)
        case _ if name in _ROUNDING:
            return first
        case _:
            raise AssertionError(f"{name} is not defined on {first.dtype}")


def _compare_indices(e: Emitter, expr: Op) -> Value | None:
    """A comparison of vectors of indices that differ by a step a lane, where it can be one of narrow integers."""
    if not _are_stepping_indices(expr.operands):
        return None
    a, b = (index_of(e, operand) for operand in expr.operands)
    text = lane_index.compare_steps(e.fn, integer_predicate(expr.name, True), a, b, e.machine.vector_bits)
    return None if text is None else Value(text, BOOL, max(a.lanes, b.lanes))


def _are_stepping_indices(exprs: tuple[Expr, ...]) -> bool:
    """Whether there is a ramp among expressions of loop variables, sizes and small constants, which do not overflow."""
    found = False
    rest, seen = list(exprs), set[int]()
    while rest:
        expr = rest.pop()
        if id(expr) in seen:
            continue
        seen.add(id(expr))
        match expr:
            case Const(value):
                if abs(value) >= 1 << 32:
                    return False
            case Ramp():
                found = True
            case Var() | Size():
                pass
            case Op(name) if name in _INDEX_OPERATIONS or name in _SCALAR_INDEX_OPERATIONS:
                pass
            case _:
                return False
        rest.extend(expr.children)
    return found
