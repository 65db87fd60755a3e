"""Long elementary functions: one copy of their code in a module, called for each vector.

    %v9 = call <8 x double> @pow_v8f64(<8 x double> %v7, <8 x double> %v8)

A statement is written several times, for whole vectors and for masked tails, and in each of them once for each vector
of its loop. LLVM takes some 30 microseconds for an operation of such a function, which a copy of it has a hundred of,
and a call costs next to nothing beside these: arguments and results are in registers. Two calls for vectors side by
side become one of a function that computes them in step, for the reason that `in_step` gives.

The code of an expansion is arithmetic as good as it gets, in one block or two: only the code generator sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import pairwise

from ...compute.dtypes import DTYPES, DType
from ...compute.expr import Const, Expr, Op, walk
from ..ir import Rarely, Stmt, Store, lanes
from ..math.expansion import EXPANDED, expansion
from .emitter import Emitter, Machine
from .module import Module
from .turns import NAMES, by_turns
from .values import ELEMENTS, Value, mangled, vector

# Operations from which on a function is called: more than those of gelu in float32, four of which in step are faster
# than two. It is fewer where there is more code than that, in masked tails, and on vectors of two of the target's,
# which float16 is computed in: nothing is gained there by copies in step.
LONG, SHORT = 55, 16
_MOST = 4 * LONG
_LOOPS = frozenset({"fmod", "mod", "floordiv"})  # of floats: no expansions, and simplified as kernels are
_ATTRIBUTES = "noinline speculatable willreturn memory(none)"
_CALL = re.compile(r"  (%v\d+) = call (\S.*) @(\w+)_(?:v(\d+))?f(32|64)\((.*)\)( ;.*)?")

# The value of a function of values.
Body = Callable[[Emitter, str, tuple[Value, ...]], Value]


def functions(stmt: Stmt) -> tuple[Op, ...]:
    """The elementary functions in what a statement stores."""
    if not isinstance(stmt, Store):
        return ()
    return tuple(node for node in walk(stmt.value) if isinstance(node, Op) and node.name in EXPANDED)


def from_(block: Iterable[Op]) -> int:
    """The operations from which on a function of vectors is called among these of one block."""
    vectors = (node for node in block if node.dtype.bits > 16 and lanes(node) > 1)
    counts = (_operations(node.name, node.dtype.name) for node in vectors)
    return SHORT if sum(count for count in counts if count < LONG) > _MOST else LONG


@lru_cache(maxsize=512)
def is_long(name: str, dtype: str, from_: int) -> bool:
    """Whether the function is called, where those of `from_` operations are."""
    return name in _LOOPS or _may_branch(name, dtype) or _operations(name, dtype) >= from_


def call(e: Emitter, name: str, arguments: tuple[Value, ...], body: Body) -> Value:
    """The function of values of one type."""
    first = arguments[0]
    symbol = _defined(e, name, len(arguments), first.dtype, first.lanes, 1, body)
    text = f"call {first.type} {symbol}({', '.join(f'{one.type} {one.text}' for one in arguments)})"
    return Value(e.fn.pure(text), first.dtype, first.lanes)


def in_pairs(e: Emitter, lines: list[str], body: Body) -> list[str]:
    """The lines, with one call instead of two of the same function, of one of the target's vectors each, that follow
    each other."""
    paired = list[str]()
    previous: re.Match[str] | None = None
    for line in lines:
        found = _CALL.fullmatch(line)
        if found is not None and not _is_one_vector(e, found):
            found = None
        if previous is not None and found is not None and _are_alike(previous, found):
            paired[-1:] = _pair(e, previous, found, body)
            previous = None
        else:
            paired.append(line)
            previous = found
    return paired


def _are_alike(a: re.Match[str], b: re.Match[str]) -> bool:
    """Whether these are calls of the same function, the second not of what the first gives."""
    return a.group(2, 3) == b.group(2, 3) and a[1] not in NAMES.findall(b[6])


def _is_one_vector(e: Emitter, found: re.Match[str]) -> bool:
    return found[3] in EXPANDED and int(found[4] or 1) * int(found[5]) <= e.machine.vector_bits


def _pair(e: Emitter, a: re.Match[str], b: re.Match[str], body: Body) -> list[str]:
    """One call for two."""
    arity = a[6].count("%") if a[4] is None else a[6].count("> ")
    symbol = _defined(e, a[3], arity, DTYPES[f"float{a[5]}"], int(a[4] or 1), 2, body)
    both, result, mark = e.fn.fresh(), f"{{ {a[2]}, {a[2]} }}", a[7] or ""
    return [
        f"  {both} = call {result} {symbol}({a[6]}, {b[6]}){mark}",
        *(f"  {one[1]} = extractvalue {result} {both}, {k}{mark}" for k, one in enumerate((a, b))),
    ]


def _defined(e: Emitter, name: str, arity: int, dtype: DType, lanes: int, copies: int, body: Body) -> str:
    """The symbol of the function, of so many tuples of arguments, in the module."""
    element = ELEMENTS[dtype.name]
    type_ = vector(element, lanes)
    result = type_ if copies == 1 else f"{{ {', '.join([type_] * copies)} }}"
    symbol = f"@{name}_{mangled(element, lanes)}" + (f"_{copies}" if copies > 1 else "")
    names = tuple(f"%x{number}" for number in range(arity * copies))
    attributes = _ATTRIBUTES if name in _LOOPS else f'{_ATTRIBUTES} "code-generator-only"'
    header = f"internal {result} {symbol}({', '.join(f'{type_} {one}' for one in names)}) {attributes}"
    if not e.module.defines(header):
        e.module.define(header, "")  # in its place, before what it calls
        values = tuple(Value(one, dtype, lanes) for one in names)
        arguments = tuple(values[first : first + arity] for first in range(0, len(values), arity))
        if name in _LOOPS or _may_branch(name, dtype.name):
            text = _text(e.module, e.machine, name, result, arguments, body)
        else:
            text = _known_text(e.machine, name, result, arguments, body)
        e.module.define(header, text)
    return symbol


@lru_cache(maxsize=64)
def _known_text(machine: Machine, name: str, result: str, arguments: tuple[tuple[Value, ...], ...], body: Body) -> str:
    """The code of one that calls nothing and has no metadata, and so is the same in every module."""
    return _text(Module(machine.triple, ""), machine, name, result, arguments, body)


def _text(
    module: Module, machine: Machine, name: str, result: str, arguments: tuple[tuple[Value, ...], ...], body: Body
) -> str:
    """The body of the function: its copies in step."""
    e = Emitter(module, machine)
    values, ends = list[Value](), [0]
    for copy in arguments:
        values.append(e.broadcast(body(e, name, copy), copy[0].lanes))
        ends.append(e.fn.length)
    if e.fn.block == "entry":  # no branches
        e.fn.rearrange(0, lambda lines: by_turns([lines[a:b] for a, b in pairwise(ends)]))
    returned = values[0].text
    if len(values) > 1:
        returned = "poison"
        for number, value in enumerate(values):
            returned = e.fn.result(f"insertvalue {result} {returned}, {value.type} {value.text}, {number}")
    e.fn.do(f"ret {result} {returned}")
    return e.fn.body()


@lru_cache(maxsize=256)
def _may_branch(name: str, dtype: str) -> bool:
    """Whether there is something in it that a lane rarely needs."""
    return any(isinstance(node, Rarely) for node in _nodes(name, dtype))


@lru_cache(maxsize=256)
def _operations(name: str, dtype: str) -> int:
    return sum(not isinstance(node, Const) for node in _nodes(name, dtype))


def _nodes(name: str, dtype: str) -> list[Expr]:
    """The nodes of the expansion for targets with fused multiply-add, each once."""
    pending, nodes = list[Expr](expansion(name, dtype).values), dict[int, Expr]()
    while pending:
        node = pending.pop()
        if id(node) not in nodes:
            nodes[id(node)] = node
            pending += node.operands[:1] if isinstance(node, Op) and node.name == "where_fused" else node.children
    return list(nodes.values())
