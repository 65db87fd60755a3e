"""`Workload`: a definition as a function of its sizes, with its inputs, reference, schedules and peers."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...compute.evaluate import evaluate
from ...compute.expr import Scalar
from ...compute.sizes import evaluate_extent
from ...compute.tensor import Tensor, size_var
from ...errors import DefinitionError, ScheduleError
from ...schedule.schedule import Schedule
from ...schedule.suggestion import listed, meant, shown
from .counting import Work, count_work
from .schedule_files import SUFFIX, beside, read_text

if TYPE_CHECKING:
    from .results import Results

Parameter = int | float | str | bool
Sizes = Mapping[str, int]
DEFAULT = "default"
_EVALUATED = 1 << 22  # operations of a definition that is evaluated where there is no reference


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named schedule: a function of a Schedule and of tunable keyword parameters, or the text of one.

    parameters  the defaults of the tunable parameters
    """

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    function: Callable[..., Any] | None = None
    file: Path | None = None


class Workload:
    """What is measured: a definition, and all that goes with it.

    define    a function of sizes that returns the output, or a tuple of outputs; the defaults of its parameters are the
              sizes that are measured unless others are asked for. May be used as a decorator
    name      the function's by default
    symbolic  whether kernels are built for all sizes (the function is called with size variables), or for each
    promises  what is promised of size variables, as in {"n": {"min": 1, "multiple_of": 8}}
    tolerance of comparisons with the reference, relative to the largest element; the root of the type's epsilon by
              default, and 0 for integers
    flops     a function of the sizes where the count of `Workload.work` is not what is meant; `bytes` likewise

    Schedules are added with `@workload.schedule`, or stand in files NAME.SCHEDULE.sched beside the file NAME.py of
    `define`; the schedule "default", without commands, is always there. Raises `DefinitionError` for a function
    whose parameters have no default.

    >>> import polysched as ps
    >>> @ps.Workload
    ... def scale(n=1000):
    ...     A = ps.placeholder((n,), "float32", name="A")
    ...     return ps.compute((n,), lambda i: 2 * A[i], name="B")
    >>> @scale.schedule
    ... def vectors(s, lanes=16):
    ...     s["B"].split("i", lanes)
    ...     s["B"].vectorize("i_i")
    >>> scale.make("vectors", lanes=8).commands
    ('B.split("i", 8, outer="i_o", inner="i_i")', 'B.vectorize("i_i")')
    >>> scale.work()
    Work(flops=1000, operations=1000, bytes_read=4000, bytes_written=4000)
    """

    def __init__(
        self,
        define: Callable[..., Any],
        *,
        name: str | None = None,
        symbolic: bool = True,
        promises: Mapping[str, Mapping[str, int]] | None = None,
        tolerance: float | None = None,
        flops: Callable[..., float] | None = None,
        bytes: Callable[..., float] | None = None,
    ) -> None:
        if not inspect.isfunction(define):
            raise DefinitionError(f"a Workload is made of a function of sizes, not of {shown(define)}")
        self.define, self.symbolic, self.tolerance = define, symbolic, tolerance
        self.name = name or define.__name__
        self.sizes = _default_sizes(define, self.name)
        self.promises = dict(promises or {})
        self.file = Path(inspect.getfile(define))
        self._flops, self._bytes = flops, bytes
        self._recipes: dict[str, Recipe] = {}
        self._inputs: Callable[..., Any] | None = None
        self.reference_function: Callable[..., Any] | None = None
        self.peers: dict[str, Callable[..., Any]] = {}
        self._definitions: dict[tuple[int, ...], tuple[Tensor, ...]] = {}

    def schedule(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Add a schedule: `function(s, mr=6, nr=64)` gives commands to the Schedule s, and may return another one."""
        parameters = list(inspect.signature(function).parameters.values())
        for parameter in parameters[1:]:
            if not isinstance(parameter.default, (int, float, str, bool)):
                raise ScheduleError(
                    f"the parameter {parameter.name} of the schedule {function.__name__} needs a default, a number "
                    "or a string: it is what the schedule is built with unless a sweep says otherwise"
                )
        name = function.__name__
        self._check_new(name)
        self._recipes[name] = Recipe(name, {p.name: p.default for p in parameters[1:]}, function)
        return function

    def inputs(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Set how inputs are made: `function(rng, n, m)` returns a dict from the names of arguments to arrays and
        scalars. By default floats are of the normal distribution and integers small."""
        self._inputs = function
        return function

    def reference(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Set the reference, in NumPy: a function of arguments and sizes, taken by name."""
        self.reference_function = function
        return function

    def peer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Add an implementation to compare with, under the function's name.

        The function takes arguments and sizes by name, and `threads` if it can use several; it imports what it needs,
        compiles, and returns the function without arguments that is timed and returns the output. What is set for a
        whole library, such as its number of threads, is set in the function that is returned.
        """
        self._check_new(function.__name__)
        self.peers[function.__name__] = function
        return function

    @property
    def recipes(self) -> dict[str, Recipe]:
        """All schedules by name, the default one first and those in files last."""
        found = {DEFAULT: Recipe(DEFAULT), **self._recipes}
        for name, file in beside(self.file).items():
            if name in found:
                raise ScheduleError(f"{self.name} has two schedules {name!r}: one in {file.name}, one in Python")
            found[name] = Recipe(name, file=file)
        return found

    def outputs(self, sizes: Sizes | None = None) -> tuple[Tensor, ...]:
        """The definition: for all sizes if it is symbolic, else for these; made once."""
        values = self.complete(sizes)
        key = () if self.symbolic else tuple(values.values())
        if key not in self._definitions:
            given = {n: size_var(n, **self.promises.get(n, {})) for n in values} if self.symbolic else values
            made = _as_tuple(self.define(**given))
            if not made or not all(isinstance(output, Tensor) for output in made):
                raise DefinitionError(
                    f"the workload {self.name} is a function that returns the output, or a tuple of outputs, that "
                    f"ps.compute has defined; it returned {shown(made if len(made) != 1 else made[0])}"
                )
            self._definitions[key] = made
        return self._definitions[key]

    def make(self, schedule: str = DEFAULT, sizes: Sizes | None = None, /, **parameters: Parameter) -> Schedule:
        """The schedule of this name, or in a .sched file, with these parameters and the defaults of the others.

        Raises what its commands raise, and `ScheduleError` for a name or parameter that is not there.
        """
        recipe = self.recipe(schedule, parameters)
        outputs = list(self.outputs(sizes))
        if recipe.file is not None:
            return Schedule.from_text(outputs, read_text(recipe.file))
        made = Schedule(outputs)
        if recipe.function is None:
            return made
        returned = recipe.function(made, **{**recipe.parameters, **parameters})
        return returned if isinstance(returned, Schedule) else made

    def recipe(self, schedule: str, parameters: Iterable[str] = ()) -> Recipe:
        """The recipe of this name, or of a .sched file anywhere; it has these parameters.

        Raises `ScheduleError` for a name or parameter that is not there.
        """
        if schedule.endswith(SUFFIX):
            recipe = Recipe(schedule, file=Path(schedule))
        else:
            recipes = self.recipes
            if schedule not in recipes:
                raise ScheduleError(
                    f"{self.name} has no schedule {shown(schedule)}; its schedules are {listed(recipes)}"
                    f"{meant(schedule, recipes)}"
                )
            recipe = recipes[schedule]
        for name in parameters:
            if name not in recipe.parameters:
                raise ScheduleError(
                    f"the schedule {schedule} of {self.name} has no parameter {name}; its parameters are "
                    f"{listed(recipe.parameters)}{meant(name, recipe.parameters)}"
                )
        return recipe

    def complete(self, sizes: Sizes | None) -> dict[str, int]:
        """All sizes: these, and the defaults of the others."""
        for name, value in (sizes or {}).items():
            if name not in self.sizes:
                raise DefinitionError(
                    f"{self.name} has no size {name}; its sizes are {listed(self.sizes)}{meant(name, self.sizes)}"
                )
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise DefinitionError(f"the size {name} is an integer >= 0, not {shown(value)}")
        return {**self.sizes, **(sizes or {})}

    def arguments(self, sizes: Sizes | None = None, *, seed: int = 0) -> dict[str, Any]:
        """Inputs by name, in the order in which kernels take them; the same for the same seed."""
        values = self.complete(sizes)
        wanted = Schedule(list(self.outputs(sizes))).program.arguments
        rng = np.random.default_rng(seed)
        made = {} if self._inputs is None else self._inputs(rng, **_accepted(self._inputs, values, skip=1))
        if not isinstance(made, Mapping) or (self._inputs is not None and set(made) != {a.name for a in wanted}):
            names = listed(made) if isinstance(made, Mapping) else f"a {type(made).__name__}"
            expected = listed(argument.name for argument in wanted)
            raise DefinitionError(f"the inputs of {self.name} are a dict of {expected}; its function returned {names}")
        return {a.name: made[a.name] if made else _random(rng, a, values) for a in wanted}

    def reference_result(self, sizes: Sizes | None, arguments: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The outputs by the reference, or else by evaluating the definition; None if that would take too long."""
        values = self.complete(sizes)
        if self.reference_function is not None:
            given = _accepted(self.reference_function, {**values, **arguments})
            return _as_tuple(self.reference_function(**given))
        if self.work(sizes).operations > _EVALUATED:
            return None
        program = Schedule(list(self.outputs(sizes))).program
        known: dict[Any, Any] = {a: arguments[a.name] for a in program.arguments}
        known |= {size: values[size.name] for size in program.sizes}
        return _as_tuple(evaluate(program.outputs, known))

    def prepare(self, peer: str, sizes: Sizes | None, arguments: Mapping[str, Any], threads: int) -> Callable[[], Any]:
        """The call of a peer that is timed. Raises what the peer raises, ImportError where it is not installed."""
        known = {**self.complete(sizes), **arguments, "threads": threads}
        if peer in self.peers:
            prepared = self.peers[peer](**_accepted(self.peers[peer], known))
            if not callable(prepared):
                raise DefinitionError(
                    f"the peer {peer} of {self.name} returns the function to be timed, not its result"
                )
            return prepared  # type: ignore[no-any-return]  # what a user's function gave; `callable` says no more
        reference = self.reference_function
        if peer != "numpy" or reference is None:
            names = [*self.peers, *(["numpy"] if reference is not None else [])]
            raise DefinitionError(
                f"{self.name} has no peer {peer!r}; its peers are {listed(names)}{meant(peer, names)}"
            )
        given = _accepted(reference, known)
        return lambda: reference(**given)

    def uses_threads(self, peer: str) -> bool:
        """Whether a peer is told how many threads to use; it is measured once if it is not."""
        return peer not in self.peers or "threads" in inspect.signature(self.peers[peer]).parameters

    def work(self, sizes: Sizes | None = None) -> Work:
        """Operations and bytes at these sizes: as given, or counted by isl on the definition; see `counting`."""
        values = self.complete(sizes)
        counted = count_work(Schedule(list(self.outputs(sizes))).program, values if self.symbolic else {})
        flops, moved = (f and f(**_accepted(f, values)) for f in (self._flops, self._bytes))
        return Work(
            counted.flops if flops is None else int(flops),
            counted.operations if flops is None else int(flops),
            counted.bytes_read if moved is None else int(moved) - min(int(moved), counted.bytes_written),
            counted.bytes_written if moved is None else min(int(moved), counted.bytes_written),
        )

    def text(self) -> list[str]:
        """The definition in words, a line an equation, for records.

        >>> import polysched as ps
        >>> @ps.Workload
        ... def scale(n=1000):
        ...     A = ps.placeholder((n,), "float32", name="A")
        ...     return ps.compute((n,), lambda i: 2 * A[i], name="B")
        >>> scale.text()
        ['B: float32[n]', '    B[i] = 2.0 * A[i]']
        """
        lines = []
        for stage in Schedule(list(self.outputs())).stages:
            lines.append(str(stage))
            for equation in stage.equations:
                indices = ", ".join(map(str, equation.indices))
                lines.append(f"    {stage.name}[{indices}] = {equation.body}")
        return lines

    @property
    def dtype(self) -> str:
        """The type that the work is done in, for the machine's peak: the first float among outputs and arguments, or
        the output's."""
        outputs = self.outputs()
        known = (*outputs, *Schedule(list(outputs)).program.arguments)
        return next((t.dtype.name for t in known if t.dtype.is_float), outputs[0].dtype.name)

    def benchmark(self, *schedules: str, **options: Any) -> Results:
        """Measure schedules, all of them by default; the options are those of `bench.run.run_bench`."""
        from .run import run_bench  # noqa: PLC0415 - needs LLVM, which writing schedules does not

        return run_bench(self, schedules or None, **options)

    def _check_new(self, name: str) -> None:
        """Results tell schedules and peers apart by their names."""
        if name in self._recipes or name == DEFAULT:
            raise ScheduleError(f"{self.name} has a schedule {name!r} already")
        if name in self.peers or name == "numpy":
            raise ScheduleError(f"{name!r} is the name of a peer of {self.name}")

    def __repr__(self) -> str:
        return f"<Workload {self.name}({', '.join(f'{n}={v}' for n, v in self.sizes.items())})>"


def _default_sizes(define: Callable[..., Any], name: str) -> dict[str, int]:
    sizes = {p.name: p.default for p in inspect.signature(define).parameters.values()}
    for size, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise DefinitionError(
                f"the parameter {size} of the workload {name} is a size, and its default is the size that is measured: "
                f"write {size}=512, or another integer"
            )
    return sizes


def _accepted(function: Callable[..., Any], values: Mapping[str, Any], skip: int = 0) -> dict[str, Any]:
    """Those of the values that the function has parameters for, after the first `skip`."""
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(values)
    for parameter in parameters:
        if parameter.name not in values and parameter.default is parameter.empty:
            raise DefinitionError(
                f"{function.__name__} has a parameter {parameter.name}, and there are {listed(values)}"
                f"{meant(parameter.name, values)}"
            )
    return {p.name: values[p.name] for p in parameters if p.name in values}


def _random(rng: np.random.Generator, argument: Tensor | Scalar, sizes: Sizes) -> Any:
    shape = tuple(evaluate_extent(e, sizes) for e in argument.shape) if isinstance(argument, Tensor) else ()
    dtype = argument.dtype
    if math.prod(shape) * dtype.bytes > sys.maxsize:  # which NumPy says in other ways
        raise MemoryError(f"{argument.name} has the shape {shape}")
    if dtype.is_float:
        made: Any = rng.standard_normal(shape, dtype=np.float64 if dtype.name == "float64" else np.float32)
    else:
        made = rng.integers(0, 2 if dtype.kind == "bool" else 100, shape)
    return np.asarray(made).astype(dtype.numpy) if isinstance(argument, Tensor) else dtype.numpy.type(made)


def _as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)
