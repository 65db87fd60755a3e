"""One case: a random definition, random commands on it, and the checker's verdict on each against the oracle's."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import polysched as ps
from polysched.compute.expr import Read, walk
from polysched.compute.simplify import constant_value
from polysched.polyhedral.layout import shown_form
from polysched.schedule.primitives import (
    REGISTRY,
    CacheRead,
    CacheWrite,
    Prefetch,
    Primitive,
    Specialize,
    Specialized,
)
from polysched.schedule.text import schedule_text

from .definitions import Definition, random_definition
from .oracle import Oracle
from .values import numbers

Command = tuple[str, Primitive]
MOST_INSTANCES = 700
WORDS = (
    ["split"] * 6 + ["tile"] * 2 + ["reorder"] * 6 + ["fuse"] * 4 + ["unroll"] + ["vectorize"] * 5
    + ["parallel"] * 4 + ["reverse"] * 3 + ["skew"] * 4 + ["partition"] * 3 + ["shift"] + ["inline"] * 3
    + ["compute_root"] + ["compute_at"] * 12 + ["store_at"] * 6
)  # fmt: skip
STORAGE = (
    ["cache_read"] * 4 + ["cache_write"] * 3 + ["rfactor"] * 4 + ["compute_with"] * 5 + ["fold_storage"] * 6
    + ["reorder_storage", "store_streaming", "prefetch", "align_storage", "peel"]
)  # fmt: skip
OF_RECURRENCES = {"separate", "cache_operand", "block_steps"}  # have their place in tests/recurrences/test_verdicts.py
OF_VALUES = {"narrow"}  # is proven of values, against values: tests/polyhedral/test_value_bounds.py
assert {*WORDS, *STORAGE, "specialize"} == set(REGISTRY) - OF_RECURRENCES - OF_VALUES, "every primitive is tried"


class Disagreement(AssertionError):
    """The checker and the oracle differ."""


@dataclass
class Tally:
    """How often each primitive was accepted, refused and left undecided."""

    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    cases: int = 0

    def __str__(self) -> str:
        columns = ("accepted", "refused", "undecided")
        rows = [f"{'':14}{''.join(f'{c:>11}' for c in columns)}"]
        for word in sorted(REGISTRY):
            rows.append(f"{word:14}{''.join(f'{self.verdicts[word, c]:>11}' for c in columns)}")
        return "\n".join([f"{self.cases} cases", *rows])


def run_case(seed: int, tally: Tally) -> None:
    """Raise `Disagreement` with a small reproducer where a verdict is wrong."""
    rng = random.Random(seed)
    definition = random_definition(rng)
    condition = random_condition(ps.Schedule(definition.make()), rng)
    schedule = scheduled(definition, condition)
    sizes = assignments(schedule, rng)
    log: list[Command] = []
    for _ in range(rng.randint(3, 8)):
        command = random_command(schedule, rng, rng.choice((WORDS, WORDS, WORDS, STORAGE)))
        if command is None:
            continue
        log.append(command)
        try:
            verdict = compare(schedule, command, [rng.choice(sizes)])
        except Disagreement as wrong:
            raise Disagreement(report(seed, *shrunk(definition, log, condition), wrong)) from None
        if verdict != "accepted":
            log.pop()
        if verdict != "invalid":
            tally.verdicts[command[1].word, verdict] += 1
    try:
        compare(schedule, (schedule.stages[-1].name, REGISTRY["compute_root"]()), sizes)
    except Disagreement as wrong:
        raise Disagreement(report(seed, *shrunk(definition, log, condition), wrong)) from None
    if condition:
        tally.verdicts["specialize", "accepted"] += 1
    tally.cases += 1


def random_condition(schedule: ps.Schedule, rng: random.Random) -> str:
    """For which sizes commands are given, now and then; empty for all."""
    names = [size.name for size in schedule.program.sizes]
    if not names or rng.random() < 0.8:
        return ""
    size, other = rng.choice(names), rng.choice([*names, "5"])
    form = rng.choice((f"{size} <= {other}", f"{size} > {rng.randint(1, 4)}", f"{size} == 3", f"{size} % 2 == 1"))
    try:
        schedule.specialize(form)
    except ps.ScheduleError:  # it always holds, or never
        return ""
    return form


def scheduled(definition: Definition, condition: str) -> ps.Schedule:
    """The default schedule of the definition for the sizes for which the condition holds."""
    schedule = ps.Schedule(definition.make())
    return schedule.specialize(condition).copy() if condition else schedule


def holds(schedule: ps.Schedule, sizes: dict[str, int]) -> bool:
    """Whether the sizes are among those that a schedule is for."""
    return schedule.condition is None or bool(numbers([schedule.condition], {}, 1, sizes)[0][0])


def assignments(schedule: ps.Schedule, rng: random.Random) -> list[dict[str, int]]:
    """Up to three small values of the sizes with not too many instances, most with several iterations a loop."""
    named = schedule.program.sizes
    choices = [
        dict(zip((size.name for size in named), values, strict=True))
        for values in itertools.product((0, 1, 2, 3, 4, 5, 6, 8, 9), repeat=len(named))
        if all(v >= size.min and v % size.multiple_of == 0 for v, size in zip(values, named, strict=True))
    ]
    choices = [sizes for sizes in choices if holds(schedule, sizes)]
    least = min(choices, key=lambda sizes: sum(sizes.values()))
    rng.shuffle(choices)
    found: list[dict[str, int]] = []
    for sizes in choices:
        if min(sizes.values(), default=2) >= 2 and instances(schedule.state, sizes) <= MOST_INSTANCES:
            found.append(sizes)
        if len(found) == 2:
            break
    return [*found, choices[0] if instances(schedule.state, choices[0]) <= MOST_INSTANCES else least]


def instances(state: Any, sizes: dict[str, int]) -> int:
    return sum(len(run.cells) for run in Oracle(state, sizes).runs)


def random_command(schedule: ps.Schedule, rng: random.Random, words: list[str] = WORDS) -> Command | None:
    """A stage and a command with names that exist; it may be illegal, and now and then invalid."""
    stage = rng.choice(schedule.stages)
    word = rng.choice(words)
    record = REGISTRY[word]
    if word in ("inline", "compute_root"):
        return stage.name, record()
    if stage.uid not in schedule.state.nests:
        return None
    if word in ("compute_at", "store_at"):
        return _place(schedule, word, rng)
    if word in STORAGE:
        return _storage(schedule, stage, word, rng)
    nest = schedule.state.nests[stage.uid]
    names = [loop.name for loop in nest.loops]
    if not names:
        return None
    reductions = [loop.name for loop in nest.loops if nest.is_reduction(loop)]
    new = [name for name in (f"x{k}" for k in range(len(names) + 4)) if name not in names]
    name = rng.choice(reductions if reductions and rng.random() < 0.4 else names)
    first = names.index(name)
    arguments: tuple[Any, ...]
    match word:
        case "split":
            arguments = name, _factor(rng), new[0], new[1]
        case "tile" if len(names) > 1:
            other = rng.choice([n for n in names if n != name])
            arguments = name, other, _factor(rng), _factor(rng), tuple(new[:2]), tuple(new[2:4])
        case "reorder" if len(names) > 1:
            arguments = (tuple(rng.sample(names, rng.randint(2, min(4, len(names))))),)
        case "fuse" if first + 1 < len(names):
            arguments = tuple(names[first : first + rng.choice((2, 2, 3))]), new[0]
        case "parallel" if rng.random() < 0.3 and first + 1 < len(names):
            arguments = (name, names[first + 1]), new[0]
        case "parallel":
            arguments = (name,), ""
        case "reverse":
            arguments = (name,)
        case "skew" if first:
            arguments = name, rng.choice((1, 1, 2, 3, -1)), rng.choice(names[:first])
        case "partition":
            other = rng.choice(names)
            form = name if other == name else f"{rng.choice(('', '2*'))}{name}{rng.choice('+-')}{other}"
            arguments = form, _factor(rng), new[0]
        case "shift":
            arguments = name, rng.choice((1, 2, -1, -3))
        case "unroll" | "vectorize":
            short = [loop.name for loop in nest.loops if constant_value(loop.extent) is not None]
            if not short:
                return stage.name, REGISTRY["split"](name, _factor(rng), new[0], new[1])
            arguments = (rng.choice(short),)
        case _:
            return None
    return stage.name, record(*arguments)


def _factor(rng: random.Random) -> int:
    return rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 7, 10))


def _place(schedule: ps.Schedule, word: str, rng: random.Random) -> Command | None:
    """A stage in a loop of one that reads it, or that hosts another; now and then of any other, which is refused."""
    state, live = schedule.state, schedule.program.live_stages()
    inner = [s for s in live[:-1] if word == "compute_at" or s.uid in state.places]
    if not inner:
        return None
    stage = rng.choice(inner)
    later = live[live.index(stage) + 1 :]
    readers = list(schedule.program.definitions.consumers(stage))
    place = state.places.get(stage.uid) or (state.places.get(readers[0].uid) if readers else None)
    hosts = [*readers, *([place.host] if place else [])] if rng.random() < 0.9 else list(later)
    if word == "store_at" and rng.random() < 0.3:
        return stage.name, REGISTRY[word]()
    loops = [(host, loop) for host in hosts for loop in state.nests[host.uid].names]
    if not loops:
        return None
    host, loop = rng.choice(loops)
    return stage.name, REGISTRY[word](host.name, loop)


def _storage(schedule: ps.Schedule, stage: ps.Tensor, word: str, rng: random.Random) -> Command | None:
    """A command that makes a stage of another, that stores one elsewhere, or that runs two in one nest."""
    state, live = schedule.state, schedule.program.live_stages()
    loops, axes = state.nests[stage.uid].names, [axis.name for axis in stage.equations[0].axes]
    others = [other for other in live if other is not stage and state.nests[other.uid].names]
    new, at = f"N{len(schedule.stages)}", rng.choice(["", *loops])
    arguments: tuple[Any, ...]
    match word:
        case "cache_read":
            reads = [
                node.tensor.name
                for node in walk(schedule.program.definitions.values[stage.uid])
                if isinstance(node, Read)
            ]
            if not reads:
                return None
            return stage.name, CacheRead(rng.choice(reads), at, name=new)
        case "cache_write":
            return stage.name, CacheWrite(at, name=new)
        case "rfactor" if loops:
            arguments = rng.choice(loops), new
        case "compute_with" if others:
            beside = [s for s in others if stage.uid in state.places and s.uid in state.places]
            other = rng.choice(beside if beside and rng.random() < 0.7 else others)
            arguments = other.name, rng.choice(state.nests[other.uid].names[: 3 if beside else 2])
        case "fold_storage" if axes and len(live) > 1:
            slid = [s for s in live[:-1] if s.uid in state.places] or live[:-1]
            stage = rng.choice(slid)
            axes = [axis.name for axis in stage.equations[0].axes]
            if not axes:
                return None
            forms = [shown_form(form, axes) for form in state.program.layout(stage).forms(len(axes))]
            arguments = rng.choice(forms), rng.choice((1, 2, 2, 3, 3, 4, 5, 8))
        case "reorder_storage" if axes:
            split = rng.choice(axes)
            if len(axes) > 1 and rng.random() < 0.5:
                first, second, *others = rng.sample(axes, len(axes))
                skewed = f"{first}{rng.choice(('+', '-', '+2*'))}{second}"
                return stage.name, REGISTRY[word]((skewed, second, *others))
            arguments = (
                tuple(rng.sample([*(a for a in axes if a != split), f"{split}/2", f"{split}%2"], len(axes) + 1)),
            )
        case "peel" if loops:
            arguments = rng.choice(loops), rng.choice((0, 1, 2)), rng.choice((0, 1, 3))
        case "align_storage" if axes:
            arguments = rng.choice(axes), rng.choice((2, 8)), rng.choice((0, 1))
        case "store_streaming":
            arguments = ()
        case "prefetch" if loops:
            at = rng.randrange(len(loops))
            read = rng.choice([*live, *schedule.program.arguments]).name
            by = loops[rng.randint(0, at)]
            return stage.name, Prefetch(read, rng.choice((1, 2, 5)), at=loops[at], by=by)
        case _:
            return None
    return stage.name, REGISTRY[word](*arguments)


def compare(schedule: ps.Schedule, command: Command, sizes: list[dict[str, int]]) -> str:
    """Give the command, and check the verdict: accepted, refused, undecided or invalid. Nothing else may be raised."""
    try:
        return _compared(schedule, command, sizes)
    except (AssertionError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as fault:
        if isinstance(fault, Disagreement):
            raise
        raise Disagreement(f"{command[0]}.{command[1]}: {type(fault).__name__}: {fault}") from fault


def _compared(schedule: ps.Schedule, command: Command, sizes: list[dict[str, int]]) -> str:
    stage, record = command
    before, tensor = schedule.state, schedule[stage].tensor
    try:
        schedule.apply(tensor, record)
    except ps.BudgetError:
        return "undecided"
    except ps.LegalityError as refusal:
        try:
            state = before.after(record, tensor)
        except ps.ScheduleError:  # nothing was carried out of which an order could be wrong
            return "invalid"
        if not holds(schedule, refusal.sizes):
            raise Disagreement(f"refused for sizes that it is not for: {refusal}") from None
        if not Oracle(state, refusal.sizes).violated(refusal.source, refusal.sink):
            legal = next(Oracle(state, refusal.sizes).violations(), None) is None
            also = "; everything is legal at these sizes" if legal else "; another pair is"
            raise Disagreement(f"refused, and the witness is no violation{also}: {refusal}") from None
        return "refused"
    except ps.ScheduleError:
        return "invalid"
    for values in sizes:
        wrong = next(Oracle(schedule.state, values).violations(), None)
        if wrong is not None:
            source, mine, sink, theirs = wrong
            pair = [{axis.name: int(c[rows[0]]) for axis, c in run.columns.items()}
                    for run, rows in ((source, mine), (sink, theirs))]  # fmt: skip
            raise Disagreement(
                f"accepted, but at {values} {source.stage.name}{pair[0]} must be before {sink.stage.name}{pair[1]}"
            )
    return "accepted"


def fails(definition: Definition, log: list[Command], condition: str) -> bool:
    """Whether the commands still lead to a disagreement, invalid and refused ones left out."""
    try:
        schedule = scheduled(definition, condition)
        sizes = assignments(schedule, random.Random(0)) + assignments(schedule, random.Random(1))
        for command in log:
            compare(schedule, command, sizes)
    except Disagreement:
        return True
    except (ps.PolyschedError, NameError, SyntaxError, ValueError):
        return False
    return False


def shrunk(definition: Definition, log: list[Command], condition: str) -> tuple[Definition, list[Command], str]:
    """A smaller definition and fewer commands that still disagree."""
    changed = fails(definition, log, condition)
    while changed:
        changed = False
        for k in reversed(range(len(log))):
            fewer = log[:k] + log[k + 1 :]
            if fails(definition, fewer, condition):
                log, changed = fewer, True
        for smaller in definition.smaller():
            if fails(smaller, log, condition):
                definition, changed = smaller, True
                break
    return definition, log, condition


def report(seed: int, definition: Definition, log: list[Command], condition: str, wrong: Any) -> str:
    stage = definition.stages[-1].name
    special = [(stage, Specialize(condition)), *((name, Specialized(condition, command)) for name, command in log)]
    text = schedule_text(tuple(special if condition else log))
    program = f'import polysched as ps\n{definition.source()}\ns = ps.Schedule.from_text({stage}, """{text}""")'
    return f"seed {seed}: {wrong}\n\n{program}\n"
