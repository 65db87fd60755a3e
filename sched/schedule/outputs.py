"""What a Schedule is made for, checked: outputs, arguments, and the names of stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compute.expr import Scalar
from ..compute.tensor import Tensor
from ..errors import DefinitionError


def checked_outputs(outputs: Any) -> tuple[Tensor, ...]:
    """One tensor or several, as a tuple."""
    listed = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs) if isinstance(outputs, (list, tuple)) else ()
    if not listed or not all(isinstance(output, Tensor) for output in listed):
        raise DefinitionError("a Schedule is made for a tensor, or a list of tensors, that ps.compute has defined")
    for output in listed:
        if not output.computed:
            raise DefinitionError(
                f"{output.name} is a placeholder; a Schedule computes tensors that ps.compute has defined"
            )
    if len({id(output) for output in listed}) != len(listed):
        raise DefinitionError("an output is listed twice")
    return listed


def check_names(stages: Sequence[Tensor]) -> None:
    """Commands, text forms and logs name stages, so a name must mean one."""
    seen: dict[str, Tensor] = {}
    for stage in stages:
        if seen.setdefault(stage.name, stage) is not stage:
            raise DefinitionError(
                f"two stages are called {stage.name}, and a schedule tells stages apart by their names: give one of "
                "them another name",
                location=stage.location,
            )


def checked_arguments(args: Any) -> tuple[Tensor | Scalar, ...]:
    """What is passed, in order."""
    listed = tuple(args)
    if not all(isinstance(arg, (Tensor, Scalar)) for arg in listed):
        raise DefinitionError("args= lists placeholders, outputs and scalars, in the order in which they are passed")
    if len({id(arg) for arg in listed}) != len(listed):
        raise DefinitionError("args= lists an argument twice")
    return listed
