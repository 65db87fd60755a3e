"""The least and the greatest element of an argument: what conditions compare, and what follows where they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from .dtypes import INDEX, DType
from .expr import Const, Expr, Op
from .operations import MIRRORED, joined_by
from .tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Extreme(Expr):
    """The least or the greatest element of a tensor of integers: the greatest, or the least, number of its type if
    there are none. Conditions alone are made of it: it is found once a call, before anything else."""

    name: Literal["min", "max"]
    tensor: Tensor
    dtype: DType = INDEX
    weak: bool = False

    @property
    def is_data(self) -> bool:
        return True

    def shown(self, text: Callable[[Expr], str]) -> str:
        return f"{self.name}({self.tensor.name})"


def limits(condition: Expr | None) -> Mapping[int, tuple[int, int]]:
    """Between which numbers all elements of tensors are, by their uids, where a condition holds. What joins its parts
    by anything but `and` is not looked into."""
    found: dict[int, tuple[int, int]] = {}
    for tensor, low, high in () if condition is None else _comparisons(condition):
        least, most = found.get(tensor.uid, (int(tensor.dtype.lowest), int(tensor.dtype.highest)))
        found[tensor.uid] = max(least, low), min(most, high)
    return {uid: (low, high) for uid, (low, high) in found.items() if low <= high}


def _comparisons(condition: Expr) -> Iterator[tuple[Tensor, int, int]]:
    for part in joined_by("and", condition):
        match part:
            case Op(name, (Extreme() as extreme, Const(number))):
                yield _compared(extreme, name, int(number))
            case Op(name, (Const(number), Extreme() as extreme)):
                yield _compared(extreme, MIRRORED[name], int(number))


def _compared(extreme: Extreme, comparison: str, number: int) -> tuple[Tensor, int, int]:
    """The tensor, and between which numbers its elements are: of the least one, only how small it is tells."""
    low, high = int(extreme.tensor.dtype.lowest), int(extreme.tensor.dtype.highest)
    match extreme.name, comparison:
        case "min", ("ge" | "gt" | "eq"):
            low = number + (comparison == "gt")
        case "max", ("le" | "lt" | "eq"):
            high = number - (comparison == "lt")
    return extreme.tensor, low, high
