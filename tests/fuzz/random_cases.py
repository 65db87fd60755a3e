"""A case: a definition, a schedule of it, sizes and arrays; how it is made from a seed, run, and printed."""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from guarded import Pool, strided
from random_commands import random_commands, random_narrow
from random_definitions import Definition, Generator
from random_integers import random_integers
from random_recurrences import random_recurrences
from random_stencils import random_stencil

import polysched as ps
from polysched.compute.expr import Const
from polysched.compute.sizes import evaluate_extent, solve_plan

TARGETS = ("native", "native", "native", "native", "x86-64-v3", "x86-64-v2")
MAX_VOLUME = 20_000
RECURRENCES = float(os.environ.get("POLYSCHED_FUZZ_RECURRENCES", "0.15"))  # which share of the definitions they are
INTEGERS = float(os.environ.get("POLYSCHED_FUZZ_INTEGERS", "0.04"))  # which are of integers in fewer bits
POOL = Pool()
TOLERANCE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}


@dataclass(frozen=True)
class Case:
    """`commands` are lines of Python on a Schedule `s`; `seed` makes the arrays."""

    definition: Definition
    commands: tuple[str, ...]
    sizes: tuple[dict[str, int], ...]
    target: str
    seed: int

    def text(self) -> str:
        """The case as a user would write it."""
        namespace = self.definition.namespace()
        outputs = ", ".join(self.definition.outputs)
        lines = ["import numpy as np", "import polysched as ps", "", *self.definition.lines]
        lines += [f"s = ps.Schedule([{outputs}])", *self.commands, "print(s)"]
        lines.append(f'kernel = ps.build(s, "{self.target}")')
        lines.append(f'default = ps.build(ps.Schedule([{outputs}]), "{self.target}")')
        for sizes in self.sizes:
            made = [f"# {sizes}"]
            inputs, parameters, unknown = _inputs(self, namespace, sizes)
            for parameter, value in zip(parameters, inputs, strict=True):
                if isinstance(value, np.ndarray) and value.size > 64:
                    shown = f"... # {parameter.dtype}{list(value.shape)}, see the seed"
                elif isinstance(value, np.ndarray):
                    shown = f'np.array({value.tolist()}, "{value.dtype}").reshape({value.shape})'
                else:
                    shown = repr(value)
                made.append(f"{parameter.name}_ = {shown}")
            call = ", ".join([*(f"{p.name}_" for p in parameters), *(f"{k}={v}" for k, v in unknown.items())])
            lines += [*made, f"print(kernel({call}), default({call}), sep='\\n')"]
        return "\n".join(lines).replace("nan", "np.nan").replace("inf", "np.inf")


def make_case(seed: int) -> Case | None:
    """The case of a seed; None where no command was legal."""
    rng = random.Random(seed)
    integers = random.Random(f"integers {seed}").random() < INTEGERS
    definition = _definition(rng, integers=integers)
    names = definition.namespace()
    schedule = ps.Schedule([names[output] for output in definition.outputs])
    early = integers and rng.random() < 0.6
    commands = random_narrow(schedule, names, rng) if early else ()
    commands += random_commands(schedule, names, rng)
    commands += random_narrow(schedule, names, rng) if integers and not early else ()
    target = rng.choice(TARGETS)
    sizes = _sizes(schedule, rng)
    return Case(definition, commands, sizes, target, seed) if commands and sizes else None


def _definition(rng: random.Random, *, integers: bool) -> Definition:
    """The first random definition that means something; recurrences may not."""
    if not integers and rng.random() >= RECURRENCES:
        return Generator(rng).generate()
    while True:
        if integers:
            definition = random_integers(rng)
        else:
            made = random_stencil(rng) if rng.random() < 0.25 else random_recurrences(rng)
            definition = Definition(made.lines, made.outputs, made.data)
        names = definition.namespace()
        try:
            ps.Schedule([names[output] for output in definition.outputs])
        except (ps.DefinitionError, ps.BoundsError, ps.BudgetError):
            continue
        return definition


def _sizes(schedule: ps.Schedule, rng: random.Random) -> tuple[dict[str, int], ...]:
    """Sizes around the factors, small ones and primes, of which no stage gets too large."""
    used = [record.factor for _, record in schedule.log if hasattr(record, "factor")] or [4]
    used += [int(number) for branch in schedule.branches for number in re.findall(r"\d+", branch.words)]
    found: list[dict[str, int]] = []
    for attempt in range(20):
        pool = [0, 1, 2, 13, 31, 67, *(f + d for f in used for d in (-1, 0, 1)), *(2 * f + 1 for f in used)]
        pool = [p for p in pool if p <= (150 >> (attempt // 2))]
        sizes = {size.name: max(size.min, rng.choice(pool)) for size in schedule.program.sizes}
        every = (schedule, *(branch.schedule for branch in schedule.branches))
        if sizes not in found and all(_fits(one, sizes) for one in every):
            found.append(sizes)
        if len(found) == 3 or (found and not sizes):
            break
    return tuple(found)


def _fits(schedule: ps.Schedule, sizes: dict[str, int]) -> bool:
    """Whether no stage is large, nor what is computed of it again and again."""
    placements, places = schedule.program.placements, schedule.state.places

    def again(uid: int) -> int:
        bounds: dict[int, int] = {id(axis): _upper(axis.upper, sizes, {}) for axis in placements[uid].prefix}
        volume = 1
        nested = uid in places and not places[uid].shared
        for axis in placements[uid].equation.loops:
            bounds[id(axis)] = _upper(axis.upper, sizes, bounds)
            volume *= max(1, bounds[id(axis)])
        return volume * (again(places[uid].host.uid) if nested else 1)

    small = all(_volume(stage, sizes) <= MAX_VOLUME for stage in schedule.stages)
    return small and all(again(uid) <= 50 * MAX_VOLUME for uid in placements)


def _volume(stage: ps.Tensor, sizes: dict[str, int]) -> int:
    """The instances of a stage, at most; the reference looks at those of a recurrence many times."""
    most = 0
    for equation in stage.equations:
        volume = 1
        bounds: dict[int, int] = {}
        for axis in equation.loops:
            upper = _upper(axis.upper, sizes, bounds)
            bounds[id(axis)] = upper
            volume *= max(1, upper)
        most = max(most, volume)
    return most if len(stage.equations) == 1 else 10 * most


def _upper(expr: Any, sizes: dict[str, int], bounds: dict[int, int]) -> int:
    if id(expr) in bounds:
        return bounds[id(expr)]
    if expr.children:
        operands = tuple(Const(_upper(child, sizes, bounds), child.dtype) for child in expr.children)
        return evaluate_extent(expr.with_children(operands), sizes)
    return evaluate_extent(expr, sizes)


def run(case: Case) -> str | None:
    """What is wrong with the case, or None."""
    names = case.definition.namespace()
    outputs = [names[output] for output in case.definition.outputs]
    schedule = ps.Schedule(outputs)
    for command in case.commands:
        exec(command, {**names, "s": schedule})
    default = ps.build(ps.Schedule(outputs), case.target)
    try:
        kernel = ps.build(schedule, case.target, check=True)
    except ps.BudgetError:  # loops that isl takes too long for are refused, too
        return None
    for sizes in case.sizes:
        problem = _run_sizes(case, names, kernel, default, sizes)
        if problem:
            return f"at {sizes}: {problem}"
    return None


def _run_sizes(case: Case, names: dict[str, Any], kernel: Any, default: Any, sizes: dict[str, int]) -> str | None:
    inputs, parameters, unknown = _inputs(case, names, sizes)
    given = {names[p.name]: value for p, value in zip(parameters, inputs, strict=True)}
    given |= {names[name]: value for name, value in sizes.items()}
    wanted = [names[output] for output in case.definition.outputs]
    try:
        reference = ps.evaluate(wanted, given)
    except ps.BoundsError:
        reference = None
    plain = _call(default, inputs, unknown, case, names, sizes, "left", 0x3C)
    if (reference is None) != (plain is None):
        return f"the run-time check of the reference {'failed' if reference is None else 'did not fail'}"
    for flush, fill in (("right", 0xA5), ("left", 0x5B)):
        results = _call(kernel, inputs, unknown, case, names, sizes, flush, fill)
        if (results is None) != (plain is None):
            return f"the run-time check {'failed' if results is None else 'did not fail'}"
        if results is None or plain is None or reference is None:
            continue
        for output, result, other in zip(wanted, results, plain, strict=True):
            equal = close if "reassociate=True" in "".join(case.definition.lines) else same_bits
            if not equal(result, other):
                return f"{output.name} differs from the default schedule's, flush {flush}: {_difference(result, other)}"
    if plain is None or reference is None:
        return None
    for output, result, other in zip(wanted, plain, reference, strict=True):
        if not close(result, other):
            return f"{output.name} differs from the reference: {_difference(result, other)}"
    return None


def _call(
    kernel: Any, inputs: list[Any], unknown: dict[str, int], case: Case, names: dict[str, Any], sizes: dict[str, int],
    flush: str, fill: int,
) -> list[np.ndarray[Any, Any]] | None:  # fmt: skip
    """The outputs of a call with guarded arrays, copied; None if a run-time check failed."""
    try:
        arrays = [POOL.array(a, flush=flush) if isinstance(a, np.ndarray) else a for a in inputs]
        outs = []
        for output in case.definition.outputs:
            tensor = names[output]
            like = np.empty([evaluate_extent(e, sizes) for e in tensor.shape], tensor.dtype.numpy)
            outs.append(POOL.array(like, flush=flush, fill=fill))
        # The fast way in takes no names; it is the common one.
        kernel(*arrays, out=tuple(outs), **unknown)
        return [out.copy() for out in outs]
    except ps.BoundsError:
        return None
    finally:
        POOL.release()


def _inputs(case: Case, names: dict[str, Any], sizes: dict[str, int]) -> tuple[list[Any], list[Any], dict[str, int]]:
    """Values of the kernel's positional parameters, the tensors and scalars that they are, and the sizes that no
    array tells."""
    schedule = ps.Schedule([names[output] for output in case.definition.outputs])
    program = schedule.program
    values: list[Any] = []
    for parameter in program.arguments:
        # An array's elements depend on its name alone, not on what else is in the case: shrinking keeps them.
        rng = np.random.default_rng([case.seed, *parameter.name.encode()])
        if isinstance(parameter, ps.Tensor):
            shape = tuple(evaluate_extent(extent, sizes) for extent in parameter.shape)
            array = _elements(rng, shape, parameter.dtype.name, case.definition.data[parameter.name], sizes)
            values.append(strided(array, int(rng.integers(4))) if parameter.strides == "any" else array)
        else:
            values.append(_elements(rng, (), parameter.dtype.name, "exact", sizes)[()].item())
    shapes = [(p.name, p.shape) for p in (*program.arguments, *program.outputs) if isinstance(p, ps.Tensor)]
    missing = solve_plan(shapes, program.sizes).missing
    return values, list(program.arguments), {size.name: sizes[size.name] for size in missing}


def _elements(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, kind: str, sizes: dict[str, int]
) -> np.ndarray[Any, Any]:
    to = np.dtype(dtype)
    if to.kind == "b":
        return rng.random(shape) < 0.5
    if kind == "smooth" and to.kind == "f":
        return np.asarray(rng.uniform(0.5, 2, shape)).astype(to)
    if kind == "extreme":
        limits = np.iinfo(to)
        chosen = rng.choice([limits.min, limits.max, 0, 1, limits.max - 1], size=int(rng.integers(1, 4)))
        return np.asarray(rng.choice(chosen, shape)).astype(to)
    if kind not in ("exact", "special", "smooth"):
        extent = int(eval(kind, dict(sizes)))
        return np.asarray(rng.integers(0, max(1, extent), shape)).astype(to)
    low, high = (0 if to.kind == "u" else -4), (2 if dtype == "float16" else 4)
    values = np.asarray(rng.integers(low, high + 1, shape)).astype(to)
    if kind == "special":
        rare = rng.random(shape) < 0.2
        extremes = (
            [np.nan, np.inf, -np.inf, -0.0, 0.0] if to.kind == "f" else [np.iinfo(to).min, np.iinfo(to).max, -1 % 3]
        )
        values = np.where(rare, rng.choice(np.array(extremes, to), shape), values).astype(to)
    return np.asarray(values)


def same_bits(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays are equal bit for bit, but for the payloads of NaNs."""
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b)) and (a.dtype != bool or a.tobytes() == b.tobytes())
    bits = np.dtype(f"u{a.dtype.itemsize}")
    return bool(np.all((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))))


def close(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether a kernel's result is the reference's, up to the rounding of floats."""
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    rtol = TOLERANCE[a.dtype.name]
    if a.dtype == np.float16:  # sums in order and in pairs part where adding 1 changes nothing
        a, b = (np.where(np.abs(b) < 1024, x, 0) for x in (a, b))
    finite = np.abs(b[np.isfinite(b)])
    scale = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=rtol * scale, equal_nan=True))


def _difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> str:
    different = a != b
    if a.dtype.kind == "f":
        different = (different & ~(np.isnan(a) & np.isnan(b))) | (np.signbit(a) != np.signbit(b))
    places = np.argwhere(different)
    if not len(places):
        return "in bytes that stand for the same values"
    at = tuple(int(k) for k in places[0])
    return f"{len(places)} of {a.size} elements, first at {at}: {a[at]!r} instead of {b[at]!r}"
