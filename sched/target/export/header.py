"""The C header: the function, its codes, and all that a caller must know, in words."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from ...compute.expr import Expr, Size, transform
from ...compute.printing import text as expr_text
from ...lower.abi import CHECK_FAILED, ArrayParameter, ScalarParameter
from ..machine import Target
from .c_entry import FIRST_RULE, MESSAGES, CModule
from .c_types import CSignature

_NAMES = {0: "OK", 1: "OUT_OF_MEMORY", 2: "CHECK_FAILED"}
_STORED_AS = {"float16": "the bits of an IEEE 754 binary16", "bool": "0 or 1"}


def header_text(c: CSignature, module: CModule, target: Target, rounding: str) -> str:
    """The text of NAME.h."""
    parameters = ",\n    ".join([*(p.declaration for p in c.parameters), f"{c.name}_context *context"])
    codes = "".join(f"#define {c.macro}_{_NAMES[code]} {code} /* {words} */\n" for code, words in MESSAGES.items())
    return _TEMPLATE.format(
        about=_comment(_about(c, module, target, rounding)),
        name=c.name,
        macro=c.macro,
        codes=codes,
        first=FIRST_RULE,
        parameters=parameters,
        release=_RELEASES if module.keeps_blocks else _RELEASES_NOTHING,
    )


_RELEASES = "Frees the memory that the function keeps for its intermediate results; no call may run meanwhile."
_RELEASES_NOTHING = "Does nothing, since this function keeps no memory between calls."
_TEMPLATE = """\
{about}
#ifndef {macro}_H
#define {macro}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{codes}\
#define {macro}_BAD_ARGUMENT {first} /* from here on: an argument that breaks a rule, and nothing was written */

/* What a call may be told, and tells; NULL stands for {macro}_CONTEXT. */
typedef struct {name}_context {{
    int64_t check;   /* out: after {macro}_CHECK_FAILED, the number of the check that failed */
    int64_t value;   /* out: and the index that it found */
    int32_t threads; /* in: how many threads a parallel loop may use, the caller's among them */
    /* in: what runs body(data) on that many threads and returns when all are done, as GOMP_parallel does; NULL: OpenMP
       where the program is linked with it, else threads that live as long as the loop */
    void (*parallel)(void (*body)(void *), void *data, unsigned threads, unsigned flags);
}} {name}_context;
#define {macro}_CONTEXT {{0, 0, 1, 0}}

int32_t {name}(
    {parameters});

/* What a code means, in words that live for ever. */
const char *{name}_message(int32_t code);

/* {release} */
void {name}_release(void);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _about(c: CSignature, module: CModule, target: Target, rounding: str) -> list[str]:
    outputs = ", ".join(c.of_array(output) for output in c.signature.outputs)
    lines = [f"{c.name}: computes {outputs}", "", f"Made by polysched for {target}.", ""]
    lines += ["Arrays, whose elements lie in row-major order without gaps unless strides are given:"]
    lines += [f"  {line}" for array in c.signature.arrays for line in _array(c, array)]
    if c.signature.scalars:
        lines += ["", "Scalars:"]
        lines += [f"  {_scalar(c, scalar)}" for scalar in c.signature.scalars]
    if c.signature.sizes:
        lines += ["", "Sizes:"]
        for size in c.signature.sizes:
            multiple = f", a multiple of {size.multiple_of}" if size.multiple_of != 1 else ""
            lines.append(f"  {c.of_size(size.name)}: at least {size.min}{multiple}")
    lines += [
        "",
        "Alignment: any is right; arrays that begin at a multiple of 64 bytes are the fastest.",
        "Overlap: an array that is written shares no memory with another one, from its first byte to its last.",
        f"Rounding: {rounding}.",
        "Threads: several threads may call at the same time.",
    ]
    if module.uses_threads:
        lines.append("  Parallel loops use context->threads threads, and one where context is NULL.")
    lines += [
        f"Errors: the result is {c.macro}_OK, or a code that {c.name}_message puts into words. Arguments are checked",
        "  before anything is written; nothing is printed, and nothing ends the program.",
    ]
    if c.signature.checks:
        lines += ["", f"Checks of indices that are read from data, by their numbers ({CHECK_FAILED} is returned):"]
        for number, check in enumerate(c.signature.checks):
            where = f", {check.location}" if check.location else ""
            lines.append(f"  {number}: dimension {check.dimension} of {check.tensor}{where}")
    return lines


def _array(c: CSignature, array: ArrayParameter) -> list[str]:
    name = c.of_array(array)
    extents = "".join(f"[{_extent(c, extent)}]" for extent in array.shape) or ", one element"
    kind = "written" if array.output else "read"
    stored = f" ({_STORED_AS[array.dtype.name]})" if array.dtype.name in _STORED_AS else ""
    lines = [f"{name}{extents}: {array.dtype}{stored}, {kind}"]
    if strides := c.strides_of(array):
        lines.append(f"  its strides, in elements, are {', '.join(strides)}")
    return lines


def _extent(c: CSignature, extent: Expr) -> str:
    """The extent, with the sizes as they are called in C."""

    def named(node: Expr) -> Expr:
        return replace(node, name=c.of_size(node.name)) if isinstance(node, Size) else node

    return expr_text(transform(extent, named))


def _scalar(c: CSignature, scalar: ScalarParameter) -> str:
    name = next(p.name for p in c.parameters if p.of is scalar)
    stored = f" ({_STORED_AS[scalar.dtype.name]})" if scalar.dtype.name in _STORED_AS else ""
    return f"{name}: {scalar.dtype}{stored}"


def _comment(lines: list[str]) -> str:
    """The lines as a comment of C, which nothing in them can end."""
    shown = []
    for line in lines:
        safe = line.replace("*/", "* /").encode("ascii", "backslashreplace").decode()
        indent = " " * (len(safe) - len(safe.lstrip()) + 2)
        shown += textwrap.wrap(safe, 110, subsequent_indent=indent, break_long_words=False) or [""]
    return (
        "/* "
        + "\n".join(" * " + line if k else line for k, line in enumerate(shown)).replace(" * \n", " *\n")
        + "\n */"
    )
