"""How the elements of a stage lie in memory: which index a term of the layout is of.

The default is one term a dimension, row-major. A term is x, x / c, x % c or x / c % d of a form x: the position in a
dimension, or a sum of positions times integers, such as i + j, along which the vectors of a wavefront are contiguous.
Panels of 64 columns, for example, are [j / 64, k, j % 64], and a skewed plane is [i + j, i]. The terms of each form are
its digits, and the forms tell all elements apart (`meeting` has those that they do not), so that no two meet. The
extent of a term may be padded, which moves apart what lies further out. A folded form is the exception: its values are
taken modulo a size, and `clobber` proves that what meets there is never needed at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Op
from ..compute.simplify import constant_value, lower_bound, simplify
from .affine import affine
from .bounds import iteration_domain
from .isl import Map, Set, World

Form = tuple[tuple[int, int], ...]  # dimensions, in their order, each with the integer that its position is times

_NUMBER = "[0-9]{1,9}"
_NAME = r"[^\W\d]\w*"
_SUM = re.compile(rf"[+-]?(?:{_NUMBER}\*)?{_NAME}(?:[+-](?:{_NUMBER}\*)?{_NAME})*\Z")
_PART = re.compile(rf"([+-]?)(?:({_NUMBER})\*)?({_NAME})")
_TERM = re.compile(
    rf"(?:\((?P<sum>[^()]*)\)|(?P<bare>[^()/%]*))(?:/(?P<divisor>{_NUMBER}))?(?:%(?P<modulus>{_NUMBER}))?\Z"
)


@dataclass(frozen=True, slots=True)
class Term:
    """value // divisor % modulus of a form; without a modulus, all of value // divisor."""

    form: Form
    divisor: int = 1
    modulus: int | None = None

    def index(self, value: Expr) -> Expr:
        upper = value if self.divisor == 1 else value // self.divisor
        return simplify(upper if self.modulus is None else upper % self.modulus)

    def shown(self, names: Sequence[str]) -> str:
        """The term as it is written, for dimensions of these names."""
        whole = shown_form(self.form, names)
        digit = self.divisor > 1 or self.modulus is not None
        upper = f"({whole})" if digit and not whole.isidentifier() else whole
        upper = f"{upper}/{self.divisor}" if self.divisor > 1 else upper
        return upper if self.modulus is None else f"{upper}%{self.modulus}"

    def extent(self, extent: Expr) -> Expr:
        """How many values it has for values of the form below `extent`."""
        if self.modulus is not None:
            return Const(self.modulus, INDEX)
        return extent if self.divisor == 1 else simplify((extent + (self.divisor - 1)) // self.divisor)


@dataclass(frozen=True, slots=True)
class Layout:
    """How elements are stored.

    terms      outermost first; none: row-major
    folds      the sizes of folded forms
    pads       terms whose extents are padded: to a multiple, and how many more
    streaming  the bytes from which on all of it is stored past the caches; None: never
    """

    terms: tuple[Term, ...] = ()
    folds: Mapping[Form, int] = field(default_factory=dict)
    pads: Mapping[Term, tuple[int, int]] = field(default_factory=dict)
    streaming: int | None = None

    def stored_terms(self, rank: int) -> tuple[Term, ...]:
        """The terms of a stage of so many dimensions, outermost first."""
        return self.terms or tuple(Term(plain(dimension)) for dimension in range(rank))

    def forms(self, rank: int) -> tuple[Form, ...]:
        """What the terms are made of; together they tell all elements of `rank` dimensions apart."""
        return tuple(dict.fromkeys(term.form for term in self.stored_terms(rank)))

    def values(self, positions: tuple[Expr, ...], extents: tuple[Expr, ...]) -> dict[Form, Expr]:
        """The values of the forms, from 0 on, for the element at these positions of a box of `extents`."""
        found: dict[Form, Expr] = {}
        for form in self.forms(len(positions)):
            value = total(form, positions)
            if any(factor < 0 for _, factor in form):
                value = simplify(value - _least(form, extents))
            found[form] = simplify(value % self.folds[form]) if form in self.folds else value
        return found

    def indices(self, positions: tuple[Expr, ...], extents: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Where the element at these positions is."""
        values = self.values(positions, extents)
        return tuple(term.index(values[term.form]) for term in self.terms) if self.terms else tuple(values.values())

    def shape(self, extents: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The extents of the terms: as many values as the forms have in a box of `extents`."""
        counts = {form: self._count(form, extents) for form in self.forms(len(extents))}
        return tuple(self._padded(term, term.extent(counts[term.form])) for term in self.stored_terms(len(extents)))

    def _padded(self, term: Term, extent: Expr) -> Expr:
        if term not in self.pads:
            return extent
        multiple, offset = self.pads[term]
        return simplify((extent + (multiple - 1 - offset)) // multiple * multiple + offset)

    def _count(self, form: Form, extents: tuple[Expr, ...]) -> Expr:
        if len(form) == 1 and form[0][1] == 1:
            extent = extents[form[0][0]]
        else:
            extent = simplify(sum((_last(extents[d]) * abs(c) for d, c in form), Const(1, INDEX)))
        return _folded(extent, self.folds.get(form))


def _folded(extent: Expr, size: int | None) -> Expr:
    """Of the size of the fold where the extent is not known, so that memory is of constant size."""
    known = constant_value(extent)
    return extent if size is None or (known is not None and known <= size) else Const(size, INDEX)


def plain(dimension: int) -> Form:
    """The form that is the position in a dimension."""
    return ((dimension, 1),)


def total(form: Form, positions: Sequence[Expr] | Mapping[int, Expr]) -> Expr:
    """The value of a form at these positions."""
    value: Expr = Const(0, INDEX)
    for dimension, factor in form:
        value = value + positions[dimension] * factor
    return simplify(value)


def _least(form: Form, extents: Sequence[Expr]) -> Expr:
    """The least value of a form in a box of positions from 0 on."""
    falling = tuple((d, c) for d, c in form if c < 0)
    return total(falling, {d: _last(extents[d]) for d, _ in falling})


def _last(extent: Expr) -> Expr:
    """The last position, or 0 where there is none."""
    last = simplify(extent - 1)
    least = constant_value(lower_bound(last))
    return last if least is not None and least >= 0 else simplify(Op("max", (last, Const(0, INDEX)), INDEX))


def shown_form(form: Form, names: Sequence[str]) -> str:
    """A form as it is written, for dimensions of these names."""
    text = ""
    for dimension, factor in form:
        sign = "-" if factor < 0 else "+" if text else ""
        text += f"{sign}{'' if abs(factor) == 1 else f'{abs(factor)}*'}{names[dimension]}"
    return text


def meeting(layout: Layout, axes: tuple[Axis, ...], world: World, context: Set) -> Map:
    """Pairs of elements of a tensor with these axes that the forms of a layout, not folded, do not tell apart."""
    frame = world.frame(axes, "E")
    values = [affine(total(form, axes), frame) for form in layout.forms(len(axes))]
    places = frame.map_to([value for value in values if value is not None])
    places = places.intersect_domain(iteration_domain(frame, axes, context))
    pairs = places.apply_range(places.reverse())
    return pairs.subtract(Map.identity(pairs.get_space()))


def parsed(texts: tuple[str, ...], names: tuple[str, ...]) -> tuple[Term, ...]:
    """The terms that texts such as "j/64", "j%64" or "i+2*j" stand for; ValueError says what is wrong with them."""
    terms = tuple(parsed_term(text, names) for text in texts)
    used = {dimension for term in terms for dimension, _ in term.form}
    for dimension, name in enumerate(names):
        if dimension not in used:
            raise ValueError(f"the layout leaves {name} out; it needs {name}, or {name}/c together with {name}%c")
    forms = dict.fromkeys(term.form for term in terms)
    for form in forms:
        whole = shown_form(form, names)
        name = whole if whole.isidentifier() else f"({whole})"
        _check_digits([term for term in terms if term.form == form], name)
    if len(forms) > len(names):
        raise ValueError(
            f"the layout has {len(forms)} terms of different sums, and {len(names)} tell all elements apart"
        )
    return terms


def parsed_form(text: str, names: tuple[str, ...]) -> Form | None:
    """The form that a text such as "i" or "i+j" stands for, if it is one."""
    text = "".join(text.split())
    if _SUM.match(text) is None:
        return None
    factors: dict[int, int] = {}
    for sign, factor, name in _PART.findall(text):
        if name not in names or names.index(name) in factors:
            return None
        factors[names.index(name)] = int(factor or 1) * (-1 if sign == "-" else 1)
    return None if 0 in factors.values() else tuple(sorted(factors.items()))


def names_of(text: str) -> tuple[str, ...]:
    """The names in the text of a form."""
    return tuple(name for _, _, name in _PART.findall(text))


def parsed_term(text: str, names: tuple[str, ...]) -> Term:
    """The term that a text stands for; ValueError says what is wrong with it."""
    match = _TERM.match("".join(text.split()))
    form = None if match is None else parsed_form(match["sum"] or match["bare"], names)
    whole = match is not None and (match["sum"] is not None or not (match["divisor"] or match["modulus"]))
    if match is None or form is None or not (whole or form == plain(form[0][0])):
        raise ValueError(
            f"{text[:40]!r} is no term of a layout over {', '.join(names)}: terms are like j, j/64, j%64, i+j and "
            "(i+2*j)/16"
        )
    divisor, modulus = int(match["divisor"] or 1), None if match["modulus"] is None else int(match["modulus"])
    if divisor < 1 or (modulus is not None and modulus < 1):
        raise ValueError(f"{text[:40]!r} divides by 0")
    return Term(form, divisor, modulus)


def _check_digits(terms: list[Term], name: str) -> None:
    """Each term takes over where the one below it ends, from 1 to the whole."""
    wanted: int | None = 1
    for term in sorted(terms, key=lambda term: (term.divisor, term.modulus is None)):
        if wanted is None or term.divisor != wanted:
            raise ValueError(f"the terms of {name} overlap or leave some out: write it as {name}/c and {name}%c")
        wanted = None if term.modulus is None else term.divisor * term.modulus
    if wanted is not None:
        raise ValueError(f"the layout has no term for the upper part of {name}, {name}/{wanted}")
