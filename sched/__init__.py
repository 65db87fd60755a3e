"""polysched: tensor computations defined once, schedules proven legal by isl, kernels compiled by LLVM."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .compute.activations import clip, gelu, relu, sigmoid, silu, softplus
from .compute.define import compute
from .compute.evaluate import evaluate
from .compute.expr import Size
from .compute.functions import (
    abs,
    acos,
    asin,
    atan,
    atan2,
    cast,
    cbrt,
    ceil,
    checked,
    clamp,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    fmod,
    hypot,
    isnan,
    log,
    log1p,
    log2,
    maximum,
    minimum,
    pow,
    round,
    rsqrt,
    select,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
    trunc,
)
from .compute.integers import (
    absd,
    count_leading_zeros,
    count_trailing_zeros,
    halving_add,
    mul_hi,
    mul_shift_right,
    popcount,
    rounding_halving_add,
    rounding_mul_shift_right,
    rounding_shift_right,
    saturating_add,
    saturating_cast,
    saturating_sub,
    widening_add,
    widening_mul,
    widening_sub,
)
from .compute.recurrence import Recurrence, axes, recurrence
from .compute.reductions import all, any, argmax, argmin, max, min, prod, reduce_axis, sum
from .compute.tensor import Tensor, placeholder, scalar, size_var
from .errors import (
    ArgumentError,
    BoundsError,
    BudgetError,
    DefinitionError,
    LegalityError,
    PolyschedError,
    ScheduleError,
    TargetError,
)
from .polyhedral import bounds as _bounds  # noqa: F401 - registers the prover that `compute` calls
from .polyhedral import definedness as _definedness  # noqa: F401 - likewise, for recurrences
from .schedule.schedule import Schedule
from .target import cache
from .target.build import build
from .target.kernel import Kernel
from .target.machine import Target

if TYPE_CHECKING:
    from .schedule import recipes
    from .target.bench.workload import Workload
    from .target.export import export, load

__version__ = "0.1.0"
__all__ = [
    "ArgumentError", "BoundsError", "BudgetError", "DefinitionError", "Kernel", "LegalityError", "PolyschedError",
    "Recurrence", "Schedule", "ScheduleError", "Size", "Target", "TargetError", "Tensor", "Workload", "abs", "absd",
    "acos", "all", "any", "argmax", "argmin", "asin", "atan", "atan2", "axes", "build", "cache", "cast", "cbrt",
    "ceil", "checked", "clamp", "clip", "compute", "cos", "cosh", "count_leading_zeros", "count_trailing_zeros",
    "erf", "erfc", "evaluate", "exp", "exp2", "expm1", "export", "floor", "fmod", "gelu", "halving_add", "hypot",
    "isnan", "load", "log", "log1p", "log2", "max", "maximum", "min", "minimum", "mul_hi", "mul_shift_right",
    "placeholder", "popcount", "pow", "prod", "recipes", "recurrence", "reduce_axis", "relu", "round",
    "rounding_halving_add", "rounding_mul_shift_right", "rounding_shift_right", "rsqrt", "saturating_add",
    "saturating_cast", "saturating_sub", "scalar", "select", "sigmoid", "silu", "sin", "sinh", "size_var", "softplus",
    "sqrt", "sum", "tan", "tanh", "trunc", "widening_add", "widening_mul", "widening_sub",
]  # fmt: skip
# What is loaded when it is first asked for. LLVM is not: a kernel from the cache would have to wait for it.
_LATER = {"export": ".target.export", "load": ".target.export", "Workload": ".target.bench.workload"}


def __getattr__(name: str) -> Any:
    if name == "recipes":
        value: Any = import_module(".schedule.recipes", __name__)
    elif name in _LATER:
        value = getattr(import_module(_LATER[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
