"""Index expressions in normal form: a sum of products with literal coefficients, equal exactly where they print alike.

Works on int64 expressions of every stage. Sums and products wrap alike in every form. Division, minimum and comparison
are simplified only where nothing wraps: between axes, sizes and loop variables with literals below 2 ** 32.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields

from .dtypes import BOOL, INDEX
from .expr import Axis, Cast, Const, Expr, Op, Read, Size, rebuild, walk

_LARGE = 1 << 32
_LINEAR = frozenset({"add", "sub", "neg", "mul"})
Terms = Mapping[Hashable, tuple[Expr, int]]


def simplify(expr: Expr) -> Expr:
    """The same value with constants folded and like terms of index arithmetic collected."""
    return _simplified(expr, {})


def _simplified(expr: Expr, done: dict[int, Expr]) -> Expr:
    if isinstance(expr, Op) and expr.simple:
        return expr
    operands = expr.children
    if not operands:
        return expr
    if id(expr) not in done:
        done[id(expr)] = simplify_node(rebuild(expr, tuple([_simplified(operand, done) for operand in operands])))
    return done[id(expr)]


def simplify_node(expr: Expr) -> Expr:
    """`simplify` for a node whose operands are simple."""
    result = _node(expr)
    if isinstance(result, Op):
        object.__setattr__(result, "simple", True)
    return result


def linear(expr: Expr) -> tuple[Terms, int]:
    """An int64 expression as {key: (atom, coefficient)} and a constant; what is not linear is an atom. Found once for
    a node, and shared."""
    match expr:
        case Const(value):
            return {}, int(value)
        case Op(name) if name in _LINEAR and expr.dtype == INDEX:
            return expr.form or _noted(expr, _linear(name, [linear(operand) for operand in expr.operands]))
        case _:
            return {key(expr): (expr, 1)}, 0


def _linear(name: str, sides: list[tuple[Terms, int]]) -> tuple[Terms, int]:
    if name == "neg":
        return scaled(sides[0], -1)
    if name == "mul":
        return _multiplied(*sides)
    return summed(sides[0], scaled(sides[1], -1) if name == "sub" else sides[1])


def _noted(expr: Op, form: tuple[Terms, int]) -> tuple[Terms, int]:
    """The form of a sum or product, which is not among its own terms: that would be a circle."""
    object.__setattr__(expr, "form", form)
    return form


def key(expr: Expr) -> Hashable:
    """Equal for expressions of the same structure over the same objects; never shown and never ordered by."""
    match expr:
        case Const(value, to):
            return to.name, repr(value)
        case Size(name):
            return "size", name
        case Op(name, operands):
            parts = [key(operand) for operand in operands]
            commutes = name == "mul" and len(set(parts)) > 1
            return name, expr.dtype.name, frozenset(parts) if commutes else tuple(parts)
        case Read(tensor, indices):
            return "read", tensor.uid, *map(key, indices)
        case _ if expr.children:
            return type(expr).__name__, *own_fields(expr), *map(key, expr.children)
        case _:
            return id(expr)


def own_fields(expr: Expr) -> Iterator[Hashable]:
    """What a node has beside its operands: the type of a cast, the buffer of a load."""
    for field in fields(expr):  # type: ignore[arg-type]  # every node is a dataclass
        value = getattr(expr, field.name)
        if field.name != "location" and not isinstance(value, (Expr, tuple)):
            yield value


def from_linear(terms: Terms, constant: int) -> Expr:
    """The expression of a linear form, positive terms first."""
    result: Expr | None = None
    terms, constant = {k: (atom, w) for k, (atom, c) in terms.items() if (w := _wrapped(c))}, _wrapped(constant)
    terms = dict(sorted(terms.items(), key=lambda item: item[1][1] < 0))
    for atom, coefficient in terms.values():
        size = abs(coefficient)
        part = atom if size == 1 else Op("mul", (Const(_wrapped(size), INDEX), atom), INDEX)
        if result is None:
            result = part if coefficient > 0 else Op("neg", (part,), INDEX)
        else:
            result = Op("add" if coefficient > 0 else "sub", (result, part), INDEX)
    if result is None:
        return Const(constant, INDEX)
    if constant:
        result = Op("add" if constant > 0 else "sub", (result, Const(_wrapped(abs(constant)), INDEX)), INDEX)
    if isinstance(result, Op) and (constant or len(terms) > 1):
        _noted(result, (terms, constant))
    return result


def _wrapped(value: int) -> int:
    """The int64 that is `value` modulo 2 ** 64."""
    if -_LARGE < value < _LARGE:
        return value
    half = 1 << (INDEX.bits - 1)
    return (value + half) % (2 * half) - half


def _never_wraps(expr: Expr) -> bool:
    """Whether index arithmetic stands for the integers: nothing from memory or of another type, no large literal."""
    return not any(
        node.is_data or isinstance(node, Cast) or (isinstance(node, Const) and abs(node.value) >= _LARGE)
        for node in walk(expr)
    )


def difference(a: Expr, b: Expr) -> int | None:
    """a - b where it is the same integer for all values."""
    terms, constant = summed(linear(simplify(a)), scaled(linear(simplify(b)), -1))
    return None if terms else constant


def apart(a: Expr, b: Expr) -> tuple[float, float]:
    """The least and the largest value of a - b that can be told: of one integer, or of quotients by one divisor, as
    (n + 5) // 6 - n // 6 is 0 or 1."""
    terms, constant = summed(linear(a), scaled(linear(b), -1))
    if not terms:
        return constant, constant
    match sorted(terms.values(), key=lambda term: -term[1]):
        case [(Op("floordiv", (x, Const(divisor))), 1), (Op("floordiv", (y, Const(other))), -1)]:
            shift = difference(x, y) if divisor == other and 0 < divisor < _LARGE else None
            if shift is not None:
                return constant + shift // divisor, constant - (-shift // divisor)
    return -float("inf"), float("inf")


def _decided(always: bool, never: bool) -> bool | None:
    return True if always else False if never else None


# Whether a comparison holds where the difference of its sides is between two numbers, if that follows.
_COMPARED: dict[str, Callable[[float, float], bool | None]] = {
    "lt": lambda least, most: _decided(most < 0, least >= 0),
    "le": lambda least, most: _decided(most <= 0, least > 0),
    "gt": lambda least, most: _decided(least > 0, most <= 0),
    "ge": lambda least, most: _decided(least >= 0, most < 0),
    "eq": lambda least, most: _decided(least == most == 0, most < 0 or least > 0),
    "ne": lambda least, most: _decided(most < 0 or least > 0, least == most == 0),
}


def constant_value(expr: Expr) -> int | None:
    """The integer that an index expression always is, or None."""
    simple = simplify(expr)
    return int(simple.value) if isinstance(simple, Const) and simple.dtype == INDEX else None


def upper_bound(expr: Expr) -> Expr:
    """An expression of sizes that is at least `expr` for all values of its axes within their bounds."""
    return simplify(_bound(simplify(expr), upper=True))


def lower_bound(expr: Expr) -> Expr:
    """An expression of sizes that is at most `expr` for all values of its axes within their bounds."""
    return simplify(_bound(simplify(expr), upper=False))


def _bound(expr: Expr, *, upper: bool) -> Expr:
    match expr:
        case Axis():
            return _bound(expr.upper - 1 if upper else expr.lower, upper=upper)
        case Op("add" | "min" | "max", (a, b)):
            return rebuild(expr, (_bound(a, upper=upper), _bound(b, upper=upper)))
        case Op("sub", (a, b)):
            return rebuild(expr, (_bound(a, upper=upper), _bound(b, upper=not upper)))
        case Op("neg", (a,)):
            return rebuild(expr, (_bound(a, upper=not upper),))
        case Op("mul", (Const(factor), a)):
            return rebuild(expr, (expr.children[0], _bound(a, upper=upper == (factor > 0))))
        case Op("floordiv", (a, Const(divisor))) if divisor:
            return rebuild(expr, (_bound(a, upper=upper == (divisor > 0)), expr.children[1]))
        case Op("mod", (_, Const(divisor))) if divisor:
            return Const(max(divisor - 1, 0) if upper else min(divisor + 1, 0), INDEX)
        case Op("select", (_, a, b)):
            return Op("max" if upper else "min", (_bound(a, upper=upper), _bound(b, upper=upper)), INDEX)
        case _:
            return expr


def scaled(form: tuple[Terms, int], factor: int) -> tuple[Terms, int]:
    """A linear form times an integer."""
    if factor == 1:
        return form
    terms, constant = form
    return ({k: (atom, c * factor) for k, (atom, c) in terms.items()} if factor else {}), constant * factor


def summed(a: tuple[Terms, int], b: tuple[Terms, int]) -> tuple[Terms, int]:
    """The sum of two linear forms."""
    if not b[0] or not a[0]:
        return a[0] or b[0], a[1] + b[1]
    terms = dict(a[0])
    for k, (atom, coefficient) in b[0].items():
        total = coefficient + (terms[k][1] if k in terms else 0)
        if total:
            terms[k] = (atom, total)
        else:
            terms.pop(k, None)
    return terms, a[1] + b[1]


def _multiplied(a: tuple[Terms, int], b: tuple[Terms, int]) -> tuple[Terms, int]:
    """The product, distributed over the sums on both sides."""
    if not a[0] or not b[0]:
        return scaled(a, b[1]) if a[0] else scaled(b, a[1])
    result: tuple[Terms, int] = summed(scaled(a, b[1]), scaled(b, a[1]))
    result = result[0], a[1] * b[1]
    for left, x in a[0].values():
        for right, y in b[0].values():
            product = Op("mul", (left, right), INDEX)
            result = summed(result, ({key(product): (product, x * y)}, 0))
    return result


def _node(expr: Expr) -> Expr:
    """One node whose operands are already simple."""
    if not isinstance(expr, Op):
        return expr
    if expr.dtype == BOOL:
        return _condition(expr)
    if expr.dtype != INDEX:
        return expr
    match expr.name, expr.operands:
        case (("add" | "sub" | "mul" | "neg"), _):
            return _collected(expr)
        case (("floordiv" | "mod"), (a, Const(divisor))) if 0 < divisor < _LARGE and _never_wraps(a):
            return _divided(expr, a, int(divisor))
        case (("min" | "max"), (a, b)) if _never_wraps(expr):
            return _extremum(expr, a, b)
        case "select", (Const(value), yes, no):
            return yes if value else no
    return expr


def _extremum(expr: Op, a: Expr, b: Expr) -> Expr:
    """The minimum or maximum without what another operand is never beyond."""
    least, most = apart(a, b)
    if most <= 0 or least >= 0:
        return a if (most <= 0) == (expr.name == "min") else b
    for this, other in ((a, b), (b, a)):
        if isinstance(this, Op) and this.name == expr.name:
            for kept, inner in (this.operands, reversed(this.operands)):
                chosen = _extremum(expr, inner, other)
                if chosen is inner:
                    return this
                if chosen is other:
                    return _extremum(Op(expr.name, (kept, other), INDEX), kept, other)
    return expr


def _is_collected(expr: Op) -> bool:
    """Whether it is quickly seen to be its own normal form: an atom and a literal."""
    match expr.name, expr.operands:
        case ("add" | "sub", (atom, Const(value))) if 0 < value < _LARGE and not expr.weak:
            return not isinstance(atom, (Const, Op))
        case ("mul", (Const(value), atom)) if 1 < value < _LARGE and not expr.weak:
            return not isinstance(atom, (Const, Op))
    return False


def _collected(expr: Op) -> Expr:
    if _is_collected(expr):
        return expr
    form = linear(expr)
    pending = _remainders(form)
    while pending:
        atom, coefficient = pending.pop()
        joined = _rejoined(form, atom, coefficient)
        if joined is not form:
            form, pending = joined, _remainders(joined)
    return from_linear(*form)


def _remainders(form: tuple[Terms, int]) -> list[tuple[Op, int]]:
    terms = form[0].values()
    return [(atom, coefficient) for atom, coefficient in terms if isinstance(atom, Op) and atom.name == "mod"]


def _rejoined(form: tuple[Terms, int], remainder: Op, coefficient: int) -> tuple[Terms, int]:
    """(x // m) * m + x % m is x."""
    x, m = remainder.operands
    if any(node.is_data for node in walk(m)) or (isinstance(m, Const) and not m.value):
        return form
    quotient = Op("floordiv", (x, m), INDEX)
    whole = linear(Op("mul", (quotient, m), INDEX))
    wanted = scaled(whole, coefficient)
    if all(k in form[0] and form[0][k][1] == c for k, (_, c) in wanted[0].items()):
        without = summed(form, scaled(wanted, -1))
        without = summed(without, scaled(linear(remainder), -coefficient))
        return summed(without, scaled(linear(x), coefficient))
    return form


def _divided(expr: Op, a: Expr, divisor: int) -> Expr:
    """Multiples of the divisor leave the quotient, and vanish from the remainder."""
    terms, constant = linear(a)
    whole = {k: (atom, c // divisor) for k, (atom, c) in terms.items() if c % divisor == 0}
    rest = {k: term for k, term in terms.items() if k not in whole}
    quotient, remainder = divmod(constant, divisor)
    if not rest:
        return from_linear(whole, quotient) if expr.name == "floordiv" else Const(remainder, INDEX)
    if not whole and not quotient:
        return expr
    inner = Op(expr.name, (from_linear(rest, remainder), Const(divisor, INDEX)), INDEX)
    if expr.name == "mod":
        return inner
    return from_linear(*summed((whole, quotient), linear(inner)))


def _condition(expr: Op) -> Expr:
    match expr.name, expr.operands:
        case (("lt" | "le" | "gt" | "ge" | "eq" | "ne"), (a, b)) if a.dtype == b.dtype == INDEX and _never_wraps(expr):
            least, most = apart(a, b)
            outcome = _COMPARED[expr.name](least, most)
            if outcome is not None:
                return Const(outcome, BOOL)
        case "and", (a, b):
            return _absorbing(expr, a, b, False)
        case "or", (a, b):
            return _absorbing(expr, a, b, True)
        case "not", (Const(value),):
            return Const(not value, BOOL)
    return expr


def _absorbing(expr: Op, a: Expr, b: Expr, absorbing: bool) -> Expr:
    for this, other in ((a, b), (b, a)):
        if isinstance(this, Const):
            return this if this.value == absorbing else other
    return expr
