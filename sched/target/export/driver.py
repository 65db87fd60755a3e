"""A C program that checks an exported kernel and times it, and reports as Google Benchmark does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ...compute.dtypes import DType
from ...lower.abi import ArrayParameter, ScalarParameter
from .c_types import CSignature, c_expression, element_type
from .driver_text import TEMPLATE
from .trial import FNV_PRIME, FNV_START, scalar_of

_FILLS = {"float16": "HALF", "float32": "FLOAT", "float64": "DOUBLE", "bool": "BOOL"}


def driver_text(
    c: CSignature,
    check: Mapping[str, int],
    timed: Sequence[Mapping[str, int]],
    expected: int | None,
    context: Mapping[str, str],
) -> str:
    """The text of NAME_bench.c.

    check     the sizes at which it is checked; `expected` is the digest of the outputs there, None if it is not known
    timed     the sizes at which it may be timed if the caller gives no others, from small to large
    context   what goes into the context of the report in JSON
    """
    sizes = [size.name for size in c.signature.sizes]
    arrays = c.signature.arrays
    return TEMPLATE.substitute(
        name=c.name,
        macro=c.macro,
        size_names="".join(f"{json.dumps(c.of_size(name))}, " for name in sizes) + "0",
        count=len(sizes),
        check_sizes=", ".join(f"INT64_C({check[name]})" for name in sizes) or "0",
        rows=len(timed),
        timed_sizes=", ".join(f"{{{', '.join(f'INT64_C({row[name]})' for name in sizes) or '0'}}}" for row in timed),
        known="0" if expected is None else "1",
        expected=f"UINT64_C(0x{expected or 0:016x})",
        fnv_start=f"UINT64_C(0x{FNV_START:016x})",
        fnv_prime=f"UINT64_C(0x{FNV_PRIME:x})",
        array_count=len(arrays),
        arrays="\n".join(_array(k, array, sizes) for k, array in enumerate(arrays)),
        arguments=",\n        ".join([*(_argument(c, k, arrays, sizes) for k in range(len(c.parameters))), "context"]),
        null_arguments=_null_arguments(c, sizes),
        context="\n".join(_context_line(name, value) for name, value in context.items()),
    )


def _context_line(name: str, value: str) -> str:
    return f'    printf("    %s: %s,\\n", {_c(json.dumps(name))}, {_c(json.dumps(value))});'


def _c(text: str) -> str:
    """A C string literal of ASCII."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(k: int, array: ArrayParameter, sizes: list[str]) -> str:
    """The line that describes array number k of a problem."""
    extents = [c_expression(extent, lambda name: f"sizes[{sizes.index(name)}]") for extent in array.shape]
    lines = [f"    count = INT64_C({array.dtype.bytes});"]
    for extent in extents:
        lines += [f"    extent = {extent};", "    if (!grow(&count, extent)) return 0;"]
    fill = _FILLS.get(array.dtype.name, f"INT{array.dtype.bits}")
    kind = "NOTHING" if array.output else fill
    lines.append(f"    if (!new_buffer(&p->arrays[{k}], (size_t)count, {kind}, {k}u, {int(array.output)})) return 0;")
    return "\n".join(lines)


def _argument(c: CSignature, k: int, arrays: tuple[ArrayParameter, ...], sizes: list[str]) -> str:
    parameter = c.parameters[k]
    of = parameter.of
    if parameter.size is not None:
        return f"p->sizes[{sizes.index(parameter.size)}]"
    if isinstance(of, ScalarParameter):
        return _scalar(of.dtype)
    assert of is not None
    if parameter.dimension is not None:
        later = of.shape[parameter.dimension + 1 :]
        extents = [c_expression(extent, lambda name: f"p->sizes[{sizes.index(name)}]") for extent in later]
        return " * ".join(extents) or "INT64_C(1)"
    place = next(place for place, array in enumerate(arrays) if array is of)
    return f"({parameter.type.strip()})p->arrays[{place}].data"


def _scalar(dtype: DType) -> str:
    value = scalar_of(dtype)
    if dtype.name == "float16":
        return "(uint16_t)0x3e00"  # 1.5
    return f"({element_type(dtype)}){value if dtype.is_float else int(value)}"


def _null_arguments(c: CSignature, sizes: list[str]) -> str:
    """The arguments of a call whose arrays are all NULL."""
    arguments = []
    for k, parameter in enumerate(c.parameters):
        is_array = isinstance(parameter.of, ArrayParameter) and parameter.dimension is None
        arguments.append("NULL" if is_array else _argument(c, k, c.signature.arrays, sizes))
    return ",\n        ".join([*arguments, "context"])
