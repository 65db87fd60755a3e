"""What a kernel takes, as JSON: written beside its machine code, and read back by a reader that accepts nothing else.

Extents are written as an integer, a size's name, or [operation, operands...]. Reading builds nothing but the records of
lower/abi.py; whatever is not of the form raises `MalformedError`, with where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from ..compute.dtypes import DTYPES, INDEX
from ..compute.expr import Const, Expr, Op, Size
from ..compute.tensor import MAX_NAME
from ..lower.abi import ArrayParameter, RuntimeCheck, ScalarParameter, Signature

T = TypeVar("T")
MAX_TEXT = 1 << 22
_MAX_ITEMS = 10_000
_MAX_DEPTH = 64
_MAX_WORDS = 2000
_OPERATIONS = {"add": 2, "sub": 2, "mul": 2, "floordiv": 2, "mod": 2, "min": 2, "max": 2, "neg": 1}


class MalformedError(ValueError):
    """A description that is not of the form; the message says where."""


@dataclass(frozen=True, slots=True)
class Description:
    """A kernel without its code."""

    signature: Signature
    warnings: tuple[str, ...]
    rounding: str

    def as_json(self) -> dict[str, Any]:
        """The description as values of JSON."""
        signature = self.signature
        arrays, scalars = list(signature.arrays), list(signature.scalars)
        return {
            "sizes": [{"name": s.name, "min": s.min, "multiple_of": s.multiple_of} for s in signature.sizes],
            "arrays": [
                {
                    "name": array.name,
                    "dtype": array.dtype.name,
                    "shape": [_extent(extent) for extent in array.shape],
                    "output": array.output,
                    "strides": array.strides,
                }
                for array in arrays
            ],
            "scalars": [{"name": scalar.name, "dtype": scalar.dtype.name} for scalar in scalars],
            "positional": [
                ["array", _place(arrays, p)] if isinstance(p, ArrayParameter) else ["scalar", _place(scalars, p)]
                for p in signature.positional
            ],
            "outputs": [_place(arrays, output) for output in signature.outputs],
            "intermediates": [
                {"name": name, "shape": [_extent(extent) for extent in shape]}
                for name, shape in signature.intermediates
            ],
            "checks": [
                {"tensor": c.tensor, "dimension": c.dimension, "location": c.location} for c in signature.checks
            ],
            "warnings": list(self.warnings),
            "rounding": self.rounding,
        }

    @classmethod
    def of_json(cls, value: object) -> Description:
        """The description that `as_json` wrote. Raises MalformedError."""
        record = Record(value, "the description")
        sizes = record.items("sizes", _size)
        by_name = {size.name: size for size in sizes}
        arrays = record.items("arrays", lambda item: _array(item, by_name))
        scalars = record.items("scalars", _scalar)
        positional = tuple(_positional(place, arrays, scalars) for place in record.list("positional"))
        outputs = tuple(_chosen(arrays, place) for place in record.list("outputs"))
        intermediates = record.items("intermediates", lambda item: (item.name("name"), _shape(item, by_name)))
        checks = record.items("checks", _check)
        warnings = tuple(_words(words) for words in record.list("warnings"))
        rounding = record.words("rounding")
        record.done()
        signature = Signature(positional, outputs, sizes, intermediates, checks)
        named: tuple[Any, ...] = (*sizes, *arrays, *scalars)
        names = [item.name for item in named]
        require(len(set(names)) == len(names), "two things have one name")
        require(len({id(p) for p in (*positional, *outputs)}) == len(arrays) + len(scalars), "an argument is left out")
        require(len({id(p) for p in positional}) == len(positional), "an argument is listed twice")
        require(len({id(p) for p in outputs}) == len(outputs), "an output is listed twice")
        require(all(a is b for a, b in zip(signature.arrays, arrays, strict=True)), "the arrays are out of order")
        require(all(output.output for output in outputs), "an output is not written")
        require(sum(array.output for array in arrays) == len(outputs), "a written array is no output")
        return cls(signature, warnings, rounding)


def parse_json(text: bytes) -> object:
    """The value of a JSON text of UTF-8, in which no name of an object stands twice. Raises MalformedError."""
    require(len(text) <= MAX_TEXT, f"the text has more than {MAX_TEXT} bytes")
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"it is not JSON: {error}") from None


def require(holds: bool, otherwise: str) -> None:
    """Raise MalformedError unless the condition holds."""
    if not holds:
        raise MalformedError(otherwise)


class Record:
    """An object of JSON that is taken apart field by field; `done` says that nothing else may be in it."""

    def __init__(self, value: object, where: str) -> None:
        require(isinstance(value, dict), f"{where} is no object")
        self.left, self.where = dict(cast("dict[str, object]", value)), where

    def take(self, field: str) -> object:
        require(field in self.left, f"{self.where} has no {field}")
        return self.left.pop(field)

    def done(self) -> None:
        require(not self.left, f"{self.where} has also {', '.join(map(str, self.left))[:80]}")

    def name(self, field: str) -> str:
        """A Python identifier."""
        value = self.words(field)
        require(value.isidentifier() and len(value) <= MAX_NAME, f"{field} of {self.where} is no name")
        return value

    def words(self, field: str) -> str:
        return _words(self.take(field))

    def one(self, field: str, accepted: Mapping[str, object]) -> str:
        value = self.words(field)
        require(value in accepted, f"{field} of {self.where} is none of {', '.join(accepted)}")
        return value

    def integer(self, field: str, low: int = 0) -> int:
        return _integer(self.take(field), low)

    def truth(self, field: str) -> bool:
        value = self.take(field)
        require(isinstance(value, bool), f"{field} of {self.where} is neither true nor false")
        return value is True

    def list(self, field: str) -> list[object]:
        value = self.take(field)
        require(isinstance(value, list) and len(value) <= _MAX_ITEMS, f"{field} of {self.where} is no list")
        return cast("list[object]", value)

    def items(self, field: str, read: Callable[[Record], T]) -> tuple[T, ...]:
        """A list of objects, each read in whole."""
        return tuple(self._item(value, field, read) for value in self.list(field))

    def _item(self, value: object, field: str, read: Callable[[Record], T]) -> T:
        item = Record(value, f"one of {field}")
        result = read(item)
        item.done()
        return result


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return made


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _words(value: object) -> str:
    require(isinstance(value, str) and len(value) <= _MAX_WORDS, "a text is expected")
    return cast(str, value)


def _integer(value: object, low: int) -> int:
    # bool is a subclass of int, and no integer here
    require(type(value) is int and low <= value <= INDEX.highest, f"{str(value)[:40]} is no integer from {low}")
    return cast(int, value)


def _size(record: Record) -> Size:
    return Size(record.name("name"), record.integer("min"), record.integer("multiple_of", 1))


def _array(record: Record, sizes: Mapping[str, Size]) -> ArrayParameter:
    name, dtype = record.name("name"), DTYPES[record.one("dtype", DTYPES)]
    strides = cast("Literal['row-major', 'any']", record.one("strides", {"row-major": 0, "any": 0}))
    return ArrayParameter(name, dtype, _shape(record, sizes), record.truth("output"), strides)


def _scalar(record: Record) -> ScalarParameter:
    return ScalarParameter(record.name("name"), DTYPES[record.one("dtype", DTYPES)])


def _check(record: Record) -> RuntimeCheck:
    return RuntimeCheck(record.words("tensor"), record.integer("dimension"), record.words("location"))


def _shape(record: Record, sizes: Mapping[str, Size]) -> tuple[Expr, ...]:
    return tuple(_read_extent(extent, sizes, 0) for extent in record.list("shape"))


def _positional(
    value: object, arrays: tuple[ArrayParameter, ...], scalars: tuple[ScalarParameter, ...]
) -> ArrayParameter | ScalarParameter:
    require(isinstance(value, list) and len(value) == 2, "a positional argument is no pair")
    kind, place = cast("list[object]", value)
    require(kind in ("array", "scalar"), "a positional argument is neither an array nor a scalar")
    return _chosen(arrays, place) if kind == "array" else _chosen(scalars, place)


def _chosen(items: tuple[T, ...], place: object) -> T:
    index = _integer(place, 0)
    require(index < len(items), f"there is no argument {index}")
    return items[index]


def _place(items: list[Any], item: object) -> int:
    return next(place for place, one in enumerate(items) if one is item)


def _extent(expr: Expr) -> Any:
    match expr:
        case Const(value):
            return int(value)
        case Size(name):
            return name
        case Op(name, operands):
            return [name, *map(_extent, operands)]
    raise AssertionError(f"{expr} is not an extent")


def _read_extent(value: object, sizes: Mapping[str, Size], depth: int) -> Expr:
    if isinstance(value, str):
        require(value in sizes, f"there is no size {value[:MAX_NAME]}")
        return sizes[value]
    if not isinstance(value, list):
        return Const(_integer(value, -(1 << 63)), INDEX, weak=True)
    require(bool(value) and depth < _MAX_DEPTH, "an extent is empty, or too deep")
    name = value[0]
    require(isinstance(name, str) and _OPERATIONS.get(name) == len(value) - 1, "an extent has no such operation")
    return Op(cast(str, name), tuple(_read_extent(item, sizes, depth + 1) for item in value[1:]), INDEX, weak=True)
