"""Schedule: a log of commands, each proven legal when it is called, or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ..compute.expr import Expr, Scalar
from ..compute.tensor import Tensor
from ..errors import Location, ScheduleError, user_location
from ..polyhedral.isl import DEFAULT_BUDGET
from ..polyhedral.legality import refusal
from ..polyhedral.program import Program, make_program
from ..polyhedral.systems import is_system, systems
from ..polyhedral.tree import Tree
from .branches import Branch, branch_of, condition_of, with_command
from .outputs import check_names, checked_arguments, checked_outputs
from .primitives import Primitive, Specialize, Specialized, State
from .printing import choice_text
from .proof import first_violation_after
from .skewing import skews_that_help, suggested
from .stage import Stage
from .suggestion import listed, meant, shown
from .text import parse_commands, parse_schedule, schedule_text
from .transaction import Command, carry_out, legal_count, transaction

if TYPE_CHECKING:
    from ..target.explain import Explanation
    from ..target.kernel import Kernel
    from .specialization import Specialization


class Schedule:
    """How the stages of one or several outputs are computed; it never changes the definitions.

    outputs  a tensor or a sequence of tensors
    args     the kernel's positional arguments, outputs among them if they are to be passed; by default the
             placeholders and scalars in the order of their creation
    budget   isl operations that the proof of one command may take, the same on every machine

    The state is the log replayed, so schedules compare, hash, copy and save as their commands.

    >>> import polysched as ps
    >>> n = ps.size_var("n")
    >>> A = ps.placeholder((n,), "float32", name="A")
    >>> B = ps.compute((n,), lambda i: A[i] + 1, name="B")
    >>> s = ps.Schedule(B)
    >>> i_o, i_i = s[B].split("i", 8)
    >>> s[B].vectorize(i_i)
    >>> s.commands
    ('B.split("i", 8, outer="i_o", inner="i_i")', 'B.vectorize("i_i")')
    """

    def __init__(
        self,
        outputs: Tensor | Sequence[Tensor],
        args: Sequence[Tensor | Scalar] | None = None,
        *,
        budget: int = DEFAULT_BUDGET,
    ) -> None:
        self.outputs = checked_outputs(outputs)
        arguments = None if args is None else checked_arguments(args)
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
            raise ScheduleError(f"budget= is a number of isl operations, an integer >= 1, not {shown(budget)}")
        program = make_program(self.outputs, arguments, budget)
        check_names(program.stages)
        self._log: list[Command] = []
        self._states: list[State] = [State.initial(program)]
        self._branches: list[tuple[Branch, ...]] = [()]  # as the states: after so many commands
        self.condition: Expr | None = None  # of the calls that it is for, if it is not for all
        self.advises = True
        self.opened = 0  # transactions that are not at their end

    @property
    def state(self) -> State:
        """The Program and the loops after the last command."""
        return self._states[-1]

    @property
    def states(self) -> tuple[State, ...]:
        """After so many commands each."""
        return tuple(self._states)

    @property
    def program(self) -> Program:
        return self.state.program

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """All stages, producers first, inlined ones among them."""
        return self.program.stages

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The schedules of calls for which conditions hold, in the order in which these are asked for."""
        return self._branches[-1]

    @property
    def variants(self) -> tuple[Schedule, ...]:
        """The schedules of which a kernel runs one: those of conditions, and this one for what is left."""
        return (*(branch.schedule for branch in self.branches), self)

    def tree(self) -> Tree:
        """The loop tree of all stages."""
        return self.state.tree()

    def specialize(self, condition: Expr | str) -> Specialization:
        """The schedule of its own that calls have for which a condition holds, which is made if there is none.

        condition  comparisons of sums of sizes, joined by & and |; as an expression or as text, which may also compare
                   the least and the greatest element of an input, as "max(A) < 256"

        Commands on it change it alone. See `Stage.specialize`, which is the same for one stage, and `Specialize`.

        >>> import polysched as ps
        >>> n, m = ps.size_var("n"), ps.size_var("m")
        >>> A = ps.placeholder((n, m), "float32", name="A")
        >>> B = ps.compute((n, m), lambda i, j: A[i, j] + 1, name="B")
        >>> s = ps.Schedule(B)
        >>> few = s.specialize(n <= 4)
        >>> few[B].reorder("j", "i")
        >>> print(s)
        if n <= 4:
            B: float32[n, m]
                for j in 0..m:
                    for i in 0..n:
                        B[i, j] = A[i, j] + 1.0
        else:
            B: float32[n, m]
                for i in 0..n:
                    for j in 0..m:
                        B[i, j] = A[i, j] + 1.0
        >>> s.commands
        ('B.specialize("n <= 4")', 'B.specialize("n <= 4").reorder("j", "i")')
        """
        from .specialization import Specialization  # noqa: PLC0415 - is a Schedule

        words, _ = condition_of(self, condition)
        if all(branch.words != words for branch in self.branches):
            self.apply(self.outputs[0], Specialize(words))
        return Specialization(self, words)

    def narrowed(self, condition: Expr) -> Schedule:
        """A schedule with the same commands for the calls for which a condition holds."""
        other = self.copy()
        other.condition = condition
        other._log = [entry for entry in self._log if not isinstance(entry[1], (Specialize, Specialized))]
        program = make_program(self.outputs, self.program.arguments, self.program.world.budget, condition)
        other._states = [State.initial(program)]
        for name, command in other._log:  # what holds for all sizes holds for some
            other._states.append(other.state.after(command, other[name].tensor))
        if self.state.is_proven:
            other.state.mark_proven()
        other._branches = [()] * len(other._states)
        return other

    def __getitem__(self, stage: Tensor | str) -> Stage:
        for known in self.stages:
            if known.name == stage or (isinstance(stage, Tensor) and known.uid == stage.uid):
                return Stage(self, known)
        names = [s.name for s in self.stages]
        what, kind = stage.name if isinstance(stage, Tensor) else shown(stage), ""
        if isinstance(stage, Tensor) and not stage.equations:
            kind = ": it is a placeholder"
        elif isinstance(stage, Tensor) and stage.name in names:
            kind = f": it is another tensor than the {stage.name} that is computed here"
        near = "" if kind else meant(stage, names)
        raise ScheduleError(f"{what} is no stage of this schedule{kind}; its stages are {listed(names)}{near}")

    def apply(self, stage: Tensor, command: Primitive) -> None:
        """Carry a command out, or raise and leave everything as it was."""
        branches = self.branches
        stage = next((known for known in self.stages if known.uid == stage.uid), stage)  # in another type since
        if isinstance(command, (Specialize, Specialized)):
            command, branches = with_command(self, stage, command)
            state = self.state
        else:
            state = self._changed(stage, command)
        self._log.append((stage.name, command))
        self._states.append(state)
        self._branches.append(branches)

    def _changed(self, stage: Tensor, command: Primitive) -> State:
        """The state after a command, which is proven, unless a transaction is."""
        before = self.state
        state = before.known_after(command, stage)
        if state is None:
            state = before.after(command, stage)
        if not self.opened:
            self.prove(before, state, stage, command)
        before.keep_after(command, stage, state)
        return state

    def prove(self, before: State, state: State, stage: Tensor, command: Primitive) -> None:
        """Prove the state that a command on a stage leads to, or raise what refuses it."""
        if state.is_proven:
            return
        violation = first_violation_after(before, state, stage, command, any_of_them=not self.advises)
        if violation is not None:
            raise refusal(f"{stage.name}.{command}", violation, self._skews(stage, command))
        state.mark_proven()

    def transaction(self, *, apart: bool = False) -> AbstractContextManager[None]:
        """Commands that are proven together, where the `with` statement ends: the schedule after the last one has to be
        legal, and those in between need not be. None of them is kept if one is refused, or what they amount to is.
        One in another one is a part of it, or proven `apart` at its end, with all that came before.

        >>> import polysched as ps
        >>> n = ps.size_var("n", min=1)
        >>> (i,) = ps.axes("i")
        >>> u = ps.recurrence((n,), "int32", name="u")
        >>> u[0] = 1
        >>> u[i + 1] = 2 * u[i]
        >>> s = ps.Schedule(u)
        >>> with s.transaction():
        ...     s[u].reverse("i")  # refused by itself
        ...     s[u].reverse("i")
        >>> len(s.commands)
        2
        """
        return transaction(self, apart=apart)

    def take_back(self, count: int) -> None:
        """Take all commands but the first `count` back, which is as far as a recipe, say, has come."""
        del self._log[count:], self._states[count + 1 :], self._branches[count + 1 :]

    def _skews(self, stage: Tensor, command: Primitive) -> tuple[str, ...]:
        """What would make a refused command legal, in text form."""
        if not self.advises:
            return ()
        log = tuple(entry for entry in self._log if not isinstance(entry[1], (Specialize, Specialized)))
        helping = skews_that_help(self._states[0], log, stage, (stage.name, command))
        return tuple(f"{name}.{skew}" for name, skew in helping)

    def why_not(self, word: str, loop: str, *args: Any, **options: Any) -> ScheduleError | None:
        """Why a command on `loop` would be refused, or None; for the one stage that has such a loop.

        See `Stage.why_not`, which names the stage.
        """
        having = [stage for stage in self.program.live_stages() if loop in self[stage].loops]
        if len(having) != 1:
            stages = ", ".join(stage.name for stage in having or self.program.live_stages())
            found = "no stage has" if not having else "several stages have"
            raise ScheduleError(f"{found} a loop {loop!r}: ask the stage, as in s[stage].why_not(...), of {stages}")
        return self[having[0]].why_not(word, loop, *args, **options)

    def parallel_loops(self) -> dict[str, tuple[str, ...]]:
        """For each stage that has loops: those whose iterations may run at the same time."""
        return {stage.name: self[stage].parallel_loops() for stage in self.program.live_stages()}

    def suggest(self) -> tuple[str, ...]:
        """Commands, in text form, after which the loops of recurrences may be tiled, and one of each is parallel.

        The smallest skews, and shifts of stages that need each other, with which no dependence runs backwards in the
        outer loops; then the outermost loop that may be parallel, or a wavefront where none may. For the schedule as it
        is; nothing is changed. See `extend`, which carries them out.

        >>> import polysched as ps
        >>> T, n = ps.size_var("T"), ps.size_var("n", min=1)
        >>> A = ps.placeholder((n,), "float64", name="A")
        >>> t, i = ps.axes("t i")
        >>> u = ps.recurrence((T + 1, n), "float64", name="u")
        >>> u[0, i] = A[i]
        >>> u[t + 1, i] = u[t, i] + ps.select(i > 0, u[t, i - 1], 0.0) + ps.select(i < n - 1, u[t, i + 1], 0.0)
        >>> ps.Schedule(u).suggest()
        ('u.skew("i", 1, by="t")', 'u.parallel("i")')
        """
        groups = [group for group in systems(self.program) if is_system(group)]
        return tuple(f"{name}.{c}" for group in groups for name, c in suggested(self.state, group))

    def auto_polyhedral(self) -> tuple[str, ...]:
        """Carry out what `suggest` suggests, and return it."""
        commands = self.suggest()
        self.extend(commands)
        return commands

    def extend(self, commands: str | Sequence[str]) -> None:
        """Carry out commands in text form, one a line or one an item, as one `transaction`; none of them if one is
        refused."""
        refused = carry_out(self, [(stage, command) for _, stage, command in parse_commands(commands)])
        if refused is not None:
            raise refused.error

    def named(self, stage: str, command: Primitive) -> Tensor:
        """The stage that a command in text form is for, which may be there for a condition alone."""
        if isinstance(command, Specialized):
            words, _ = condition_of(self, command.condition)
            return branch_of(self, words).schedule[stage].tensor
        return self[stage].tensor

    @property
    def log(self) -> tuple[Command, ...]:
        """The commands so far, each with the name of its stage."""
        return tuple(self._log)

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands so far, as they are written in text form."""
        return tuple(f"{stage}.{command}" for stage, command in self._log)

    def undo(self) -> str:
        """Take the last command back and return it in text form; with those before it in its `transaction`, as far as
        the schedule is not legal without the later ones, in lines."""
        if not self._log:
            raise ScheduleError("there is no command to undo")
        count = len(self._log) - 1
        if not self.opened:
            count = legal_count(self, count)
        taken = self.commands[count:]
        self.take_back(count)
        return "\n".join(taken)

    def copy(self) -> Schedule:
        """A schedule of the same definition with the same commands, independent of this one."""
        other = object.__new__(Schedule)
        other.outputs, other._log, other._states = self.outputs, list(self._log), list(self._states)
        other._branches, other.condition, other.advises = list(self._branches), self.condition, self.advises
        other.opened = 0
        return other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        alike = len(self.outputs) == len(other.outputs) and all(map(_is, self.outputs, other.outputs))
        arguments = self.program.arguments, other.program.arguments
        alike = alike and len(arguments[0]) == len(arguments[1]) and all(map(_is, *arguments))
        return alike and str(self.condition) == str(other.condition) and self._log == other._log

    def __hash__(self) -> int:
        return hash((tuple(id(output) for output in self.outputs), tuple(self._log)))

    def to_text(self) -> str:
        """The commands as text, one a line, that `from_text` loads on this or another computation."""
        return schedule_text(self.log)

    @staticmethod
    def from_text(
        outputs: Tensor | Sequence[Tensor],
        text: str,
        args: Sequence[Tensor | Scalar] | None = None,
        *,
        budget: int = DEFAULT_BUDGET,
    ) -> Schedule:
        """The schedule of `outputs` that `text` describes, as one `transaction`. Nothing in the text is executed.

        Raises `ScheduleError` with the line that is not well-formed, or the first step that does not hold for this
        computation; `LegalityError` for a step that is illegal here.
        """
        commands = tuple(parse_schedule(text))
        schedule = Schedule(outputs, args, budget=budget)
        location = user_location()
        refused = carry_out(schedule, [(stage, command) for _, stage, command in commands])
        if refused is not None:
            line, stage, command = commands[refused.step]
            step, error = f"{stage}.{command}: ", refused.error
            error.reason = f"line {line}, {step}{error.reason.removeprefix(step)}"
            error.args = (f"{error.reason}{_at(location)}",)
            raise error
        return schedule

    def __str__(self) -> str:
        return choice_text([(branch.words, branch.schedule.state) for branch in self.branches], self.state)

    def __repr__(self) -> str:
        return f"<Schedule of {', '.join(o.name for o in self.outputs)}, {len(self._log)} commands>"

    def build(self, target: Any = "native", **options: Any) -> Kernel:
        """Compile; see `polysched.build`."""
        from ..target.build import build  # noqa: PLC0415 - the target room stands above this one

        return build(self, target, **options)

    def explain(self, target: Any = None, /, **sizes: int) -> Explanation:
        """What the schedule costs, loop by loop, before it is run: `str()` of the result is a table, notebooks show it.

        target  as `build` takes it; by default this machine
        sizes   the values of sizes; where one is left out, footprints are expressions of it

        For one iteration of each loop, the largest: the bytes that it touches of each tensor and the cache that holds
        them, its operations (a fused multiply-add is two) and those for each byte, and the bytes that move in a call
        if a cache holds one iteration. Then for each nest what bounds it (the roofline model of Williams, Waterman and
        Patterson, CACM 52:4, 2009, on one core with assumed bandwidths), for each stage how often it is computed,
        the lanes that it uses and the registers that its accumulators need, and numbered notes (docs/explain.md). Of a
        schedule that is specialized, what runs at these sizes, or for none of the conditions if that is not decided.

        Raises `ArgumentError` for sizes that the schedule has not, or that break their promises.

        >>> import polysched as ps
        >>> n = ps.size_var("n")
        >>> A = ps.placeholder((n, n), "float32", name="A")
        >>> B = ps.compute((n, n), lambda i, j: 2 * A[i, j], name="B")
        >>> s = ps.Schedule(B)
        >>> str(s.explain("x86-64-v3").level("i").iteration.footprints[0].bytes)
        '4 * n'
        >>> row = s.explain("x86-64-v3", n=1000).level("i")
        >>> row.bytes, row.moved, row.intensity
        (8000, 8000000, 0.125)
        """
        from ..target.explain import explain  # noqa: PLC0415 - as above

        return explain(self, target, **sizes)


def _is(a: object, b: object) -> bool:
    return a is b


def _at(location: Location | None) -> str:
    return f" ({location})" if location else ""
