"""Random definitions of integers with values at the limits of their types, many of which fit into fewer bits.

Inputs are of few bits and cast to wider ones, as filters of images and scores of alignments are. Bounds come from the
inputs' types, constants, masks, and cells of recurrences that a minimum, a maximum or a step of a constant keeps small.
"""

from __future__ import annotations

import random

from random_definitions import Definition, Generator
from random_recurrences import LITERALS, RecurrenceGenerator

WIDE = ("int32", "int32", "int32", "int32", "int64", "int16", "uint32", "uint16")
FEW = {"int16": ("int8", "uint8"), "uint16": ("uint8", "int8")}
NUMBERS = (0, 1, 1, 2, 3, 7, 40, 63, 100, 126, 127, 128, 129, 254, 255, 256, 1000, 16000, 32767, 32768, 65535, 65536)


def random_integers(rng: random.Random) -> Definition:
    """Stages, or recurrences that may still mean nothing."""
    if rng.random() < 0.5:
        return IntegerStages(rng).generate()
    made = IntegerRecurrences(rng).generate()
    return Definition(made.lines, made.outputs, made.data)


def _few(rng: random.Random, wide: str) -> str:
    """A type of fewer bits than another one."""
    return rng.choice(FEW.get(wide, ("uint8", "uint8", "int8", "int16", "uint16")))


def _number(rng: random.Random, wide: str) -> str:
    fitting = [n for n in NUMBERS if n < 32768 or not wide.endswith("int16")]
    sign = "-" if rng.random() < 0.4 and not wide.startswith("u") else ""
    return f'ps.cast("{wide}", {sign}{rng.choice(fitting)})'


def _clamped(rng: random.Random, wide: str, value: str) -> str:
    low, high = _number(rng, wide), _number(rng, wide)
    return rng.choice((f"ps.maximum({value}, {low})", f"ps.minimum({value}, {high})",
                       f"ps.maximum(ps.minimum({value}, {high}), {low})"))  # fmt: skip


class IntegerStages(Generator):
    """Stages of integers alone, each of which may be kept between constants."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.smooth = self.special = False

    def _dtype(self) -> str:
        stages = [tensor.dtype for tensor in self.tensors if not tensor.raw]
        return stages[-1] if stages and self.rng.random() < 0.8 else self.rng.choice(WIDE)

    def _body(self, extents: list[str]) -> str:
        body = super()._body(extents)
        if self.rng.random() < 0.3 and body.startswith("("):
            return f"ps.cast({self.rng.choice(WIDE)!r}, {body})"
        return body

    def _expr(self, dtype: str, depth: int) -> tuple[str, bool]:
        value, raw = super()._expr(dtype, depth)
        if dtype != "bool" and self.rng.random() < 0.25:
            return _clamped(self.rng, dtype, value), False
        return value, raw

    def _leaf(self, dtype: str) -> tuple[str, bool]:
        chance = self.rng.random()
        if dtype in WIDE and chance < 0.15:
            return _number(self.rng, dtype), True
        return super()._leaf(dtype)

    def _read(self, dtype: str, *, raw_only: bool = False) -> str:
        stages = [tensor for tensor in self.tensors if not tensor.raw and tensor.dtype == dtype]
        if stages and self.rng.random() < 0.6:
            return self._read_of(self.rng.choice(stages))
        if dtype in WIDE and self.rng.random() < 0.9:
            return f'ps.cast("{dtype}", {self._read_of_new(_few(self.rng, dtype))})'
        return super()._read(dtype, raw_only=raw_only)

    def _int(self, dtype: str, depth: int) -> str:
        rng = self.rng
        if rng.random() < 0.3:
            return super()._int(dtype, depth)
        a, b = self._expr(dtype, depth - 1)[0], self._expr(dtype, depth - 1)[0]
        word, number = rng.choice(("<", "<=", ">", "==", "!=")), rng.choice((1, 2, 3, 7, 9, 16))
        mask, bits = rng.choice((1, 15, 63, 127, 255)), rng.choice((0, 1, 2, 3, 7))
        return rng.choice(
            (f"({a} + {b})", f"({a} - {b})", f"({a} * {_number(rng, dtype)})", f"ps.minimum({a}, {b})",
             f"ps.maximum({a}, {b})", f"ps.abs({a})", f"ps.select({a} {word} {b}, {a}, {b})", f"({a} // {number})",
             f"({a} % {number})", f"({a} & {mask})", f"({a} >> {bits})", f"({a} << {bits})", f"(-{a})",
             f'ps.cast("{dtype}", {a} {word} {b})', f"ps.select(({a} {word} {b}) & ({b} > 0), {b}, {a})")
        )  # fmt: skip

    def _new(self, dtype: str, extents: list[str], data: str) -> str:
        return super()._new(dtype, extents, "extreme" if data == "exact" else data)


class IntegerRecurrences(RecurrenceGenerator):
    """Cells that are the least or the largest of what some others are with a constant, or between constants."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng, LITERALS)
        self.dtype = rng.choice(WIDE)
        self.given = _few(rng, self.dtype)
        self.data = "extreme"
        self.floats = self.free = False

    def _total(self, terms: list[str]) -> str:
        rng = self.rng
        first, *others = (f"{term} {rng.choice('+-')} {_number(rng, self.dtype)}" if rng.random() < 0.4 else term
                          for term in terms)  # fmt: skip
        total = first
        for term in others:
            total = rng.choice((f"ps.maximum({total}, {term})", f"ps.minimum({total}, {term})", f"{total} + {term}",
                                f"ps.select({terms[0]} == {_number(rng, self.dtype)}, {total}, {term})"))  # fmt: skip
        return _clamped(rng, self.dtype, total) if rng.random() < 0.6 else total

    def _reduced(self, total: str, reduction: str) -> str:
        combined = self.rng.choice((f"ps.maximum({total}, {reduction})", f"ps.minimum({total}, {reduction})",
                                    f"{total} + {reduction}"))  # fmt: skip
        return _clamped(self.rng, self.dtype, combined) if self.rng.random() < 0.7 else combined
