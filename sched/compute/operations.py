"""The operations: one table that says of each what NumPy calls it, and the one function that applies them.

The table is read by typing (here), the NumPy reference, the printer and the code generator; a new operation is a
row here and a case in the code generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DefinitionError
from . import references
from .dtypes import BOOL, DTYPES, EVERY_DTYPE, FLOAT64, INDEX, DType, resolve, rounded
from .expr import Cast, Const, Expr, Op


@dataclass(frozen=True, slots=True)
class Operation:
    """`ufunc` is NumPy's name, whose types are ours, and whose values, unless there is a `reference` that gives them;
    `symbol` is how Python writes it, if it does."""

    name: str
    ufunc: str
    arity: int
    symbol: str | None = None
    reference: Callable[..., Any] | None = None

    @property
    def numpy(self) -> Callable[..., Any]:
        """The operation on arrays."""
        return self.reference or getattr(np, self.ufunc)


OPERATIONS: dict[str, Operation] = {
    row.name: row
    for row in (
        Operation("add", "add", 2, "+"),
        Operation("sub", "subtract", 2, "-"),
        Operation("mul", "multiply", 2, "*"),
        Operation("truediv", "true_divide", 2, "/"),
        Operation("floordiv", "floor_divide", 2, "//"),
        Operation("mod", "remainder", 2, "%"),
        Operation("pow", "power", 2, "**"),
        Operation("neg", "negative", 1, "-"),
        Operation("abs", "absolute", 1),
        Operation("min", "minimum", 2),
        Operation("max", "maximum", 2),
        Operation("lt", "less", 2, "<"),
        Operation("le", "less_equal", 2, "<="),
        Operation("gt", "greater", 2, ">"),
        Operation("ge", "greater_equal", 2, ">="),
        Operation("eq", "equal", 2, "=="),
        Operation("ne", "not_equal", 2, "!="),
        Operation("and", "bitwise_and", 2, "&"),
        Operation("or", "bitwise_or", 2, "|"),
        Operation("xor", "bitwise_xor", 2, "^"),
        Operation("not", "invert", 1, "~"),
        Operation("shl", "left_shift", 2, "<<"),
        Operation("shr", "right_shift", 2, ">>"),
        Operation("sqrt", "sqrt", 1),
        Operation("floor", "floor", 1),
        Operation("ceil", "ceil", 1),
        Operation("trunc", "trunc", 1),
        Operation("round", "rint", 1),
        Operation("fmod", "fmod", 2),
        Operation("isnan", "isnan", 1),
        Operation("exp", "exp", 1),
        Operation("exp2", "exp2", 1),
        Operation("expm1", "expm1", 1),
        Operation("log", "log", 1),
        Operation("log2", "log2", 1),
        Operation("log1p", "log1p", 1),
        Operation("sin", "sin", 1),
        Operation("cos", "cos", 1),
        Operation("tan", "tan", 1),
        Operation("asin", "arcsin", 1),
        Operation("acos", "arccos", 1),
        Operation("atan", "arctan", 1),
        Operation("atan2", "arctan2", 2),
        Operation("sinh", "sinh", 1),
        Operation("cosh", "cosh", 1),
        Operation("tanh", "tanh", 1),
        Operation("rsqrt", "sqrt", 1, reference=references.rsqrt),
        Operation("cbrt", "cbrt", 1),
        Operation("hypot", "hypot", 2),
        Operation("erf", "exp", 1, reference=references.erf),
        Operation("erfc", "exp", 1, reference=references.erfc),
        Operation("sigmoid", "exp", 1, reference=references.sigmoid),
        Operation("silu", "exp", 1, reference=references.silu),
        Operation("gelu_tanh", "exp", 1, reference=references.gelu_tanh),
        Operation("gelu_erf", "exp", 1, reference=references.gelu_erf),
    )
}
MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}  # with operands exchanged
COMPARISONS = frozenset(MIRRORED)
TRANSCENDENTAL = frozenset(
    {
        *("exp", "exp2", "expm1", "log", "log2", "log1p", "pow", "rsqrt", "cbrt", "hypot", "erf", "erfc"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
        *("sigmoid", "silu", "gelu_tanh", "gelu_erf"),
    }
)
# Operations that no ufunc stands for; `apply` does not make them:
#   select(condition, a, b)   both sides of one type; the condition guards what each side reads
#   checked(x, low, high)     x, which must satisfy low <= x < high at run time
#   fma(a, b, c)              a * b + c rounded once (two operations where the target has no fma)
#   exact_fma(a, b, c, x, y)  a * b + c where that and a * x + c are exact, for b = x + y
#   product_rest(a, b, p)     a * b - p, exactly, for p = a * b
#   scaled(x, s)              x * 2 ** k rounded once, for an integer k and s = k + 1.5 * 2 ** (bits of the fraction)
#   scaled_down(x, s)         the same for k from -165 (float32) or -1090 (float64) to 0
#   reinterpret(x)            the bits of x at another type of the same size
#   min_number, max_number    min and max that prefer a number to NaN (minimumNumber of IEEE 754-2019)

_UINT64 = DTYPES["uint64"]
_INDEX_ARITHMETIC = frozenset({"add", "sub", "mul", "floordiv", "mod"})  # of int64s is an int64


def as_expr(value: Any) -> Expr:
    """`value` as an expression: Python's numbers become weak literals, NumPy's scalars keep their type."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.generic) and value.dtype.name in EVERY_DTYPE:
        return Const(value.item(), EVERY_DTYPE[value.dtype.name])
    if isinstance(value, bool):
        return Const(value, BOOL)
    if isinstance(value, int):
        if not INDEX.lowest <= value <= DTYPES["uint64"].highest:
            raise DefinitionError(f"the integer {str(value)[:40]} does not fit into 64 bits")
        return Const(value, INDEX, weak=True)
    if isinstance(value, float):
        return Const(value, FLOAT64, weak=True)
    raise DefinitionError(f"an expression cannot hold {_described(value)}")


def as_index(value: Any) -> Expr:
    """`value` as an expression; an integer of any of NumPy's types is one of Python's."""
    expr = as_expr(value)
    return as_expr(int(expr.value)) if isinstance(expr, Const) and expr.dtype.is_int else expr


def _described(value: Any) -> str:
    """What `value` is, and what to write in its place."""
    match type(value).__name__:
        case "Tensor":
            return "a whole Tensor; index it to get an element, as in A[i, j]"
        case "NoneType":
            return "None; does the function return its value?"
        case "ndarray":
            return "an array of NumPy; declare a ps.placeholder for it and pass the array to the kernel"
        case "complex" | "complex64" | "complex128" as name:
            return f"a {name}; compute with its real and imaginary parts"
        case name:
            return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Expr:
    """What NumPy's `ufunc` means on expressions, which NumPy hands over to them."""
    named = next((row.name for row in OPERATIONS.values() if row.numpy is ufunc), None)
    if named is None or method != "__call__" or options:
        call = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
        raise DefinitionError(
            f"{call} is not defined on expressions; the functions of elements are ps.sqrt, ps.exp, ps.select, ..."
        )
    return apply(named, *inputs)


def apply(name: str, *operands: Any) -> Expr:
    """The operation on operands converted to the types at which NumPy would run it."""
    operation = OPERATIONS[name]
    exprs = tuple(as_expr(operand) for operand in operands)
    if name == "pow" and (power := _integer_power(*exprs)) is not None:
        return power
    weak = all(e.weak for e in exprs)
    if name in _INDEX_ARITHMETIC and all(e.dtype == INDEX and not _is_big(e) for e in exprs):
        return Op(name, exprs, INDEX, weak)
    types = resolve(operation.ufunc, promotion_keys(exprs, exact=name in COMPARISONS))
    if types is None:
        kinds = " and ".join(e.dtype.name for e in exprs)
        raise DefinitionError(
            f"{operation.symbol or name} is not defined on {kinds} (NumPy refuses it too); convert with ps.cast, as in "
            f'ps.cast("int64", x)'
        )
    converted = tuple(convert(e, t) for e, t in zip(exprs, types, strict=False))
    return Op(name, converted, types[-1], weak and types[-1] != BOOL)


def promotion_keys(operands: tuple[Expr, ...], *, exact: bool = False) -> tuple[DType | type, ...]:
    """What NumPy is to see for each operand: a Python number for a weak one beside others.

    The value of an axis or a size is not known, so beside a narrower integer it counts as an int64 and never wraps.
    `exact` says that integers are compared by their values, as NumPy does with Python's: a literal that the other
    type does not have, and an axis beside a uint64, keep their own type.
    """
    strong = [e.dtype for e in operands if not e.weak]
    return tuple(_promotion_key(e, strong, exact) if strong or _is_big(e) else e.dtype for e in operands)


def _promotion_key(expr: Expr, strong: list[DType], exact: bool) -> DType | type:
    if not expr.weak:
        return expr.dtype
    if expr.dtype.is_float:
        return float
    integers = all(t.is_int for t in strong)
    if isinstance(expr, Const):
        fits = all(t.lowest <= expr.value <= t.highest for t in strong)
        return int if fits or not (integers and exact) else _UINT64 if _is_big(expr) else INDEX
    return INDEX if integers and (exact or all(t.bits < INDEX.bits for t in strong)) else int


def _is_big(expr: Expr) -> bool:
    """Whether it is a literal that is no int64."""
    return isinstance(expr, Const) and expr.dtype == INDEX and expr.value > INDEX.highest


def convert(expr: Expr, to: DType) -> Expr:
    """`expr` at type `to`; a literal is converted now, and must fit if it is weak."""
    if expr.dtype == to and not _is_big(expr):
        return expr
    if not isinstance(expr, Const):
        return Cast(expr, to)
    if to.is_int and isinstance(expr.value, int) and not to.lowest <= expr.value <= to.highest:
        if expr.weak:
            raise DefinitionError(f"the integer {expr.value} does not fit into {to.name} (NumPy raises OverflowError)")
        return Cast(expr, to)
    if to.is_float:
        return Const(rounded(expr.value, to), to)
    if to.is_int and isinstance(expr.value, float):
        return Cast(expr, to)
    return Const(bool(expr.value) if to == BOOL else int(expr.value), to)


def _integer_power(base: Expr, exponent: Expr) -> Expr | None:
    """base ** literal by repeated squaring where the base is an integer or the literal is 2 (NumPy squares there).

    None where a general power is meant. An integer power with another exponent has no exact meaning for all values
    (NumPy raises on negative ones) and is refused.
    """
    literal = exponent.value if isinstance(exponent, Const) and exponent.weak else None
    if base.dtype.is_float and literal == 2:
        return apply("mul", base, base)
    if base.dtype.is_float or exponent.dtype.is_float:
        return None
    if not isinstance(literal, int) or not 0 <= literal <= 63:
        raise DefinitionError(
            f"an integer to the power {exponent} is not defined: the exponent must be a literal from 0 to 63; "
            "cast the base to a float for a general power"
        )
    if base.dtype == BOOL:
        base = convert(base, INDEX)
    result: Expr | None = None
    square = base
    for bit in bin(literal)[:1:-1]:
        if bit == "1":
            result = square if result is None else apply("mul", result, square)
        square = apply("mul", square, square) if literal > 1 else square
        literal >>= 1
    return result if result is not None else convert(as_expr(1), base.dtype)


def joined_by(name: str, condition: Expr) -> Iterator[Expr]:
    """The conditions that a conjunction ("and") or disjunction ("or") is made of."""
    if isinstance(condition, Op) and condition.name == name:
        for operand in condition.operands:
            yield from joined_by(name, operand)
    else:
        yield condition
