"""How the elements of a stage lie in memory: which index a term of the layout is of.

The default is one term a dimension, row-major. A term is x, x / c, x % c or x / c % d of the position x in a dimension;
panels of 64 columns, for example, are [j / 64, k, j % 64]. The terms of each dimension are the digits of its position,
so that no two elements meet. The extent of a term may be padded, which moves apart what lies further out. A folded
dimension is the exception: its positions are taken modulo a size, and `clobber` proves that what meets there is never
needed at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..compute.dtypes import INDEX
from ..compute.expr import Const, Expr
from ..compute.simplify import constant_value, simplify

_TERM = re.compile(r"([^\W\d]\w*)(?:\s*/\s*([0-9]{1,9}))?(?:\s*%\s*([0-9]{1,9}))?\Z")


@dataclass(frozen=True, slots=True)
class Term:
    """position // divisor % modulus of a dimension; without a modulus, all of position // divisor."""

    dimension: int
    divisor: int = 1
    modulus: int | None = None

    def index(self, position: Expr) -> Expr:
        value = position if self.divisor == 1 else position // self.divisor
        return simplify(value if self.modulus is None else value % self.modulus)

    def shown(self, name: str) -> str:
        """The term as it is written, for a dimension of this name."""
        upper = f"{name}/{self.divisor}" if self.divisor > 1 else name
        return upper if self.modulus is None else f"{upper}%{self.modulus}"

    def extent(self, extent: Expr) -> Expr:
        """How many values it has for the positions below `extent`."""
        if self.modulus is not None:
            return Const(self.modulus, INDEX)
        return extent if self.divisor == 1 else simplify((extent + (self.divisor - 1)) // self.divisor)


@dataclass(frozen=True, slots=True)
class Layout:
    """How elements are stored.

    terms      outermost first; none: row-major
    folds      the sizes of folded dimensions
    pads       terms whose extents are padded: to a multiple, and how many more
    streaming  whether stores go past the caches
    """

    terms: tuple[Term, ...] = ()
    folds: Mapping[int, int] = field(default_factory=dict)
    pads: Mapping[Term, tuple[int, int]] = field(default_factory=dict)
    streaming: bool = False

    def stored_terms(self, rank: int) -> tuple[Term, ...]:
        """The terms of a stage of so many dimensions, outermost first."""
        return self.terms or tuple(map(Term, range(rank)))

    def indices(self, positions: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Where the element at these positions is."""
        folded = tuple(
            simplify(position % self.folds[d]) if d in self.folds else position for d, position in enumerate(positions)
        )
        return tuple(term.index(folded[term.dimension]) for term in self.terms) if self.terms else folded

    def shape(self, extents: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The extents of the terms."""
        folded = tuple(_folded(extent, self.folds.get(d)) for d, extent in enumerate(extents))
        terms = self.stored_terms(len(extents))
        return tuple(self._padded(term, term.extent(folded[term.dimension])) for term in terms)

    def _padded(self, term: Term, extent: Expr) -> Expr:
        if term not in self.pads:
            return extent
        multiple, offset = self.pads[term]
        return simplify((extent + (multiple - 1 - offset)) // multiple * multiple + offset)


def _folded(extent: Expr, size: int | None) -> Expr:
    """Of the size of the fold where the extent is not known, so that memory is of constant size."""
    known = constant_value(extent)
    return extent if size is None or (known is not None and known <= size) else Const(size, INDEX)


def parsed(texts: tuple[str, ...], names: tuple[str, ...]) -> tuple[Term, ...]:
    """The terms that texts such as "j/64" or "j%64" stand for; ValueError says what is wrong with them."""
    terms = tuple(parsed_term(text, names) for text in texts)
    for dimension, name in enumerate(names):
        _check_digits([term for term in terms if term.dimension == dimension], name)
    return terms


def parsed_term(text: str, names: tuple[str, ...]) -> Term:
    """The term that a text stands for; ValueError says what is wrong with it."""
    match = _TERM.match(text.strip())
    if match is None or match[1] not in names:
        raise ValueError(
            f"{text[:40]!r} is no term of a layout over {', '.join(names)}: terms are like j, j/64 and j%64"
        )
    divisor, modulus = int(match[2] or 1), None if match[3] is None else int(match[3])
    if divisor < 1 or (modulus is not None and modulus < 1):
        raise ValueError(f"{text[:40]!r} divides by 0")
    return Term(names.index(match[1]), divisor, modulus)


def _check_digits(terms: list[Term], name: str) -> None:
    """Each term takes over where the one below it ends, from 1 to the whole."""
    wanted: int | None = 1
    for term in sorted(terms, key=lambda term: (term.divisor, term.modulus is None)):
        if wanted is None or term.divisor != wanted:
            raise ValueError(f"the terms of {name} overlap or leave some out: write it as {name}/c and {name}%c")
        wanted = None if term.modulus is None else term.divisor * term.modulus
    if wanted is not None:
        raise ValueError(
            f"the layout leaves {name} out; it needs {name}, or {name}/c together with {name}%c"
            if not terms
            else f"the layout has no term for the upper part of {name}, {name}/{wanted}"
        )
