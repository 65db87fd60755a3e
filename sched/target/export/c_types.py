"""How a kernel looks in C: what its function, its parameters and its constants are called, and their types.

int32_t NAME(arrays and scalars as in Python, other outputs, sizes, strides, NAME_context *context)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ...compute.dtypes import DType
from ...compute.expr import Const, Expr, Op, Size
from ...errors import TargetError
from ...lower.abi import ArrayParameter, ScalarParameter, Signature

MAX_NAME = 64
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Words of C and C++, and macros that common headers and compilers define.
_TAKEN_WORDS = (
    "alignas alignof and and_eq asm assert auto bitand bitor bool break case catch char char8_t char16_t char32_t "
    "class compl complex concept const consteval constexpr constinit const_cast continue co_await co_return "
    "co_yield decltype default delete do double dynamic_cast else enum EOF errno explicit export extern false FILE "
    "float for friend goto I if imaginary inline int int8_t int16_t int32_t int64_t INFINITY linux long main "
    "mutable namespace NAN new noexcept not not_eq NULL nullptr operator or or_eq private protected public register "
    "reinterpret_cast requires restrict return short signed size_t sizeof static static_assert static_cast stderr "
    "stdin stdout struct switch template this thread_local throw true try typedef typeid typename typeof uint8_t "
    "uint16_t uint32_t uint64_t union unix unsigned using virtual void volatile wchar_t while xor xor_eq "
)
_TAKEN = frozenset(_TAKEN_WORDS.split())


@dataclass(frozen=True, slots=True)
class CParameter:
    """A parameter: its name and type in C, and what it passes; `dimension` is a stride's, `size` the name of a size."""

    name: str
    type: str
    of: ArrayParameter | ScalarParameter | None = None
    size: str | None = None
    dimension: int | None = None

    @property
    def declaration(self) -> str:
        return f"{self.type}{'' if self.type.endswith('*') else ' '}{self.name}"


@dataclass(frozen=True, slots=True)
class CSignature:
    """A kernel's function in C; `name` begins the names of all that belongs to it."""

    name: str
    signature: Signature
    parameters: tuple[CParameter, ...]

    @property
    def macro(self) -> str:
        return self.name.upper()

    def of_array(self, array: ArrayParameter) -> str:
        """What an array is called in C."""
        return next(p.name for p in self.parameters if p.of is array and p.dimension is None)

    def of_size(self, name: str) -> str:
        return next(p.name for p in self.parameters if p.size == name)

    def strides_of(self, array: ArrayParameter) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters if p.of is array and p.dimension is not None)


def c_signature(name: str, signature: Signature) -> CSignature:
    """The kernel's function under this name.

    Raises TargetError if C cannot call it that.
    """
    if not _IDENTIFIER.fullmatch(name) or name in _TAKEN or len(name) > MAX_NAME:
        raise TargetError(
            f"{name[:80]!r} cannot name a function in C: give name=, letters, digits and underscores, at most "
            f"{MAX_NAME} of them, beginning with a letter and no word of C or C++"
        )
    used = {"context"}  # and not the function's name, which a parameter may have as well

    def fresh(wanted: str) -> str:
        base = wanted if _IDENTIFIER.fullmatch(wanted) and wanted not in _TAKEN else f"p_{_ascii(wanted)}"
        found, count = base, 1
        while found in used:
            count += 1
            found = f"{base}_{count}"
        used.add(found)
        return found

    parameters = []
    extra = [array for array in signature.arrays if not any(array is p for p in signature.positional)]
    for item in (*signature.positional, *extra):
        parameters.append(CParameter(fresh(item.name), parameter_type(item), item))
    for size in signature.sizes:
        parameters.append(CParameter(fresh(size.name), "int64_t", size=size.name))
    for array in signature.arrays:
        if array.strides == "any":
            for dimension in range(len(array.shape)):
                stride = fresh(f"{_ascii(array.name)}_stride{dimension}")
                parameters.append(CParameter(stride, "int64_t", array, dimension=dimension))
    return CSignature(name, signature, tuple(parameters))


def _ascii(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:MAX_NAME]


def element_type(dtype: DType) -> str:
    """The C type of an element; a float16 is its bits, and a bool is 0 or 1."""
    match dtype.name:
        case "float32":
            return "float"
        case "float64":
            return "double"
        case "float16":
            return "uint16_t"
        case "bool":
            return "uint8_t"
        case name:
            return f"{name}_t"


def parameter_type(parameter: ArrayParameter | ScalarParameter) -> str:
    element = element_type(parameter.dtype)
    if isinstance(parameter, ScalarParameter):
        return element
    return f"{element} *" if parameter.output else f"const {element} *"


def c_expression(expr: Expr, size: Callable[[str], str], prefix: str = "") -> str:
    """An extent in C, with floordiv, floormod, least and greatest as functions whose names begin with `prefix`."""

    def text(node: Expr) -> str:
        match node:
            case Const(value):
                return f"INT64_C({int(value)})"
            case Size(name):
                return size(name)
            case Op("neg", (operand,)):
                return f"(-{text(operand)})"
            case Op(name, (left, right)) if name in _INFIX:
                return f"({text(left)} {_INFIX[name]} {text(right)})"
            case Op(name, (left, right)):
                return f"{prefix}{_FUNCTIONS[name]}({text(left)}, {text(right)})"
        raise AssertionError(f"{node} is not an extent")

    return text(expr)


_INFIX = {"add": "+", "sub": "-", "mul": "*"}
_FUNCTIONS = {"floordiv": "floordiv", "mod": "floormod", "min": "least", "max": "greatest"}
