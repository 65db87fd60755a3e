"""Random sequences of legal commands, as lines of Python on a Schedule `s`."""

from __future__ import annotations

import random
import re
from math import prod
from typing import Any

import polysched as ps
from polysched.compute.expr import Read, walk
from polysched.compute.recurrence import Recurrence

FACTORS = (1, 2, 3, 5, 7, 8, 16, 31, 64)
MAX_WRITTEN_OUT = 1024


def random_commands(schedule: ps.Schedule, names: dict[str, Any], rng: random.Random) -> tuple[str, ...]:
    """A random sequence of commands that are legal; of recurrences, now and then after what is suggested."""
    made: list[str] = []
    if rng.random() < 0.2:
        for name, command in (line.split(".", 1) for line in schedule.auto_polyhedral()):
            made.append(f's["{name}"].{command}')
    made += _steps_in_blocks(schedule, rng)
    for _ in range(rng.choice((2, 4, 6, 8, 12, 16))):
        conditions = len(schedule.branches)
        chosen, where = _some_sizes(schedule, rng)
        if len(schedule.branches) > conditions:
            made.append(f"s{where}")
        stage = rng.choice([s.name for s in chosen.stages])
        command = _command(chosen, stage, rng)
        if command is None:
            continue
        line = f's{where}["{stage}"].{command}'
        try:
            exec(line, {**names, "s": schedule})
        except ps.ScheduleError:
            continue
        if _written_out(chosen) > MAX_WRITTEN_OUT:
            schedule.undo()
            continue
        made.append(line)
    return tuple(made)


def random_narrow(schedule: ps.Schedule, names: dict[str, Any], rng: random.Random) -> tuple[str, ...]:
    """Some stages in fewer bits, for the sizes for which their values are proven to fit."""
    made: list[str] = []
    for stage in rng.sample(list(schedule.stages), min(3, len(schedule.stages))):
        name = stage.name
        if any(stage is output for output in schedule.outputs):
            name = f"N{len(schedule.stages)}"
            made += _tried(schedule, names, f's["{stage.name}"].cache_write(name="{name}")')
        if name not in [s.name for s in schedule.stages]:
            continue
        dtypes = rng.sample(("int8", "uint8", "int16", "uint16", "int32"), 3)
        refusals = [(dtype, schedule[name].why_not("narrow", dtype)) for dtype in dtypes]
        refusals.sort(key=lambda pair: pair[1] is not None and "specialize(" not in str(pair[1]))
        dtype, refusal = refusals[0]
        known = re.search(r'specialize\("(.*?)"\)', str(refusal))
        where = "" if known is None else f".specialize({known[0].removeprefix('specialize(')}"
        if where:
            made += _tried(schedule, names, f"s{where}")
        made += _tried(schedule, names, f's{where}["{name}"].narrow("{dtype}")')
    return tuple(made)


def _tried(schedule: ps.Schedule, names: dict[str, Any], line: str) -> list[str]:
    """The line, if it is legal; and carry it out."""
    try:
        exec(line, {**names, "s": schedule})
    except ps.ScheduleError:
        return []
    return [line]


def _some_sizes(schedule: ps.Schedule, rng: random.Random) -> tuple[ps.Schedule, str]:
    """The schedule, or now and then that of a condition, with how it is written."""
    sizes = [size.name for size in schedule.program.sizes]
    if not sizes or rng.random() < 0.8:
        return schedule, ""
    size = rng.choice(sizes)
    new = rng.choice((f"{size} <= {rng.choice((1, 4, 16))}", f"{size} % 2 == 1", f"{size} > {rng.choice(sizes)}"))
    words = rng.choice([new, *(branch.words for branch in schedule.branches)])
    try:
        return schedule.specialize(words), f'.specialize("{words}")'
    except ps.ScheduleError:
        return schedule, ""


def _steps_in_blocks(schedule: ps.Schedule, rng: random.Random) -> list[str]:
    """Blocks of steps of a stencil, before it has other commands; of other recurrences none is legal."""
    for stage in schedule.stages:
        if isinstance(stage, Recurrence) and rng.random() < 0.6:
            loop, factor = stage.equations[0].axes[0].name, rng.choice((2, 3, 4, 7) if stage.ndim < 4 else (3, 4))
            if schedule[stage].why_not("block_steps", loop, factor) is None:
                schedule[stage].block_steps(loop, factor)
                return [f's["{stage.name}"].block_steps("{loop}", {factor})']
    return []


def _command(schedule: ps.Schedule, stage: str, rng: random.Random) -> str | None:
    handle = schedule[stage]
    try:
        loops = list(handle.loops)
    except ps.ScheduleError:
        return "compute_root()"
    words = ("split", "split", "split", "tile", "reorder", "reorder", "fuse", "unroll", "vectorize", "vectorize",
             "parallel", "reverse", "skew", "skew", "partition", "shift", "inline", "compute_root", "parallel_many",
             *["compute_at"] * 5, "store_at",
             "store_at", "cache_read", "cache_read", "cache_write", "rfactor", "fold_storage", "fold_storage",
             "reorder_storage", "compute_with", "compute_with", "store_streaming",
             "prefetch", "align_storage", "narrow", "peel", "peel")  # fmt: skip
    word = rng.choice(words)
    if word in _STORAGE:
        return _storage(schedule, handle.tensor, loops, word, rng)
    if word in ("compute_at", "store_at"):
        return _place(schedule, handle.tensor, word, rng)
    if word in ("inline", "compute_root"):
        return f"{word}()"
    if word == "narrow":
        return f'narrow("{rng.choice(("int8", "uint8", "int16", "int16", "uint16", "int32"))}")'
    if not loops or len(loops) > 9:
        return None
    loop = rng.choice(loops) if rng.random() < 0.5 else loops[-1]
    match word:
        case "peel":
            return f'peel("{loop}", first={rng.choice((0, 1, 1, 2, 5))}, last={rng.choice((0, 1, 1, 3))})'
        case "prefetch":
            return _prefetch(schedule, handle.tensor, loops, rng)
        case "split":
            factor = rng.choice(FACTORS)
            offset = f", offset={rng.randrange(factor)}" if rng.random() < 0.3 else ""
            return f'split("{loop}", {factor}{offset})'
        case "tile" if len(loops) > 1:
            first, second = sorted(rng.sample(range(len(loops)), 2))
            return f'tile("{loops[first]}", "{loops[second]}", {rng.choice(FACTORS)}, {rng.choice(FACTORS)})'
        case "reorder" if len(loops) > 1:
            chosen = rng.sample(loops, rng.randint(2, len(loops)))
            return f"reorder({', '.join(map(_quoted, chosen))})"
        case "fuse" | "parallel_many" if len(loops) > 1:
            count = rng.randint(2, min(3, len(loops)))
            first = rng.randrange(len(loops) - count + 1)
            chosen = loops[first : first + count]
            return f"{'fuse' if word == 'fuse' else 'parallel'}({', '.join(map(_quoted, chosen))})"
        case "skew" if loops.index(loop):
            outer = rng.choice(loops[: loops.index(loop)])
            return f'skew("{loop}", {rng.choice((1, 1, 2, 3, -1))}, by="{outer}")'
        case "partition":
            form = "".join(
                f"{rng.choice('+++-')}{loop}" for loop in rng.sample(loops, rng.randint(1, min(2, len(loops))))
            )
            return f'partition("{form}", {rng.choice(FACTORS)}, name="s{len(loops)}")'
        case "shift":
            return f'shift("{loop}", {rng.choice((1, 2, 7, -1, -3))})'
        case "unroll" | "vectorize" | "parallel" | "reverse":
            return f'{word}("{loop}")'
    return None


_STORAGE = {
    "align_storage",
    "cache_read",
    "cache_write",
    "rfactor",
    "fold_storage",
    "reorder_storage",
    "compute_with",
    "store_streaming",
}


def _storage(schedule: ps.Schedule, stage: ps.Tensor, loops: list[str], word: str, rng: random.Random) -> str | None:
    """A command that makes a stage of another, that stores one elsewhere, or that runs two in one nest."""
    live, axes = schedule.program.live_stages(), [axis.name for axis in stage.equations[0].axes]
    at = rng.choice(["", *(f', at="{loop}"' for loop in loops)])
    name = f'name="N{len(schedule.stages)}"'
    match word:
        case "cache_read":
            value = schedule.program.definitions.values[stage.uid]
            reads = {node.tensor.name for node in walk(value) if isinstance(node, Read) and node.tensor is not stage}
            return f'cache_read("{rng.choice(sorted(reads))}"{at}, {name})' if reads else None
        case "cache_write":
            return f"cache_write({f'{at[2:]}, ' if at else ''}{name})"
        case "rfactor" if loops:
            return f'rfactor("{rng.choice(loops)}", {name})'
        case "fold_storage" if axes:
            return f'fold_storage("{rng.choice(axes)}", {rng.choice((1, 2, 3, 4, 5, 8, 16, 17))})'
        case "reorder_storage" if axes:
            split, factor = rng.choice(axes), rng.choice(FACTORS[1:])
            terms = [*(axis for axis in axes if axis != split), f"{split}/{factor}", f"{split}%{factor}"]
            return f"reorder_storage({', '.join(map(_quoted, rng.sample(terms, len(terms))))})"
        case "compute_with" if len(live) > 1:
            state, others = schedule.state, [s for s in live if s is not stage]
            beside = [s for s in others if stage.uid in state.places and s.uid in state.places]
            other = rng.choice(beside if beside and rng.random() < 0.7 else others)
            names = state.nests[other.uid].names[: 4 if beside else 2]
            return f'compute_with("{other.name}", "{rng.choice(names)}")' if names else None
        case "align_storage" if axes:
            terms = schedule.program.layout(stage).stored_terms(len(axes))
            term = rng.choice(terms)
            multiple = rng.choice((2, 3, 8, 16))
            return f'align_storage("{term.shown(axes)}", {multiple}, offset={rng.randrange(multiple)})'
        case "store_streaming":
            return f"store_streaming(at_least={rng.choice((0, 500))})"
    return None


def _prefetch(schedule: ps.Schedule, stage: ps.Tensor, loops: list[str], rng: random.Random) -> str | None:
    """What a stage reads, itself or in stages that are computed in it, ahead of one of its loops or one around that."""
    values = [schedule.program.definitions.values[s.uid] for s in schedule.program.live_stages()]
    own = schedule.program.definitions.values[stage.uid] if rng.random() < 0.7 else rng.choice(values)
    reads = sorted({node.tensor.name for node in walk(own) if isinstance(node, Read)})
    at = rng.randrange(len(loops))
    by = loops[rng.randint(0, at)] if rng.random() < 0.5 else loops[at]
    distance = rng.choice((1, 1, 2, 3, 8))
    return f'prefetch("{rng.choice(reads)}", at="{loops[at]}", by="{by}", distance={distance})' if reads else None


def _place(schedule: ps.Schedule, stage: ps.Tensor, word: str, rng: random.Random) -> str | None:
    """A stage computed or stored in a loop of one that reads it, or that hosts one; or stored at the root."""
    state = schedule.state
    hosts = list(schedule.program.definitions.consumers(stage))
    hosts += [place.host for uid, place in state.places.items() if uid == stage.uid or any(h.uid == uid for h in hosts)]
    loops = [(host.name, loop) for host in hosts for loop in state.nests[host.uid].names]
    if not loops or (word == "store_at") != (stage.uid in state.places and rng.random() < 0.7):
        return None
    host, loop = rng.choice(loops)
    if word == "store_at" and rng.random() < 0.4:
        return "store_root()"
    return f'{word}("{host}", "{loop}")'


def _quoted(name: str) -> str:
    return f'"{name}"'


def _written_out(schedule: ps.Schedule) -> int:
    """How many copies of a statement unrolled and vectorized loops make at most, for the most of all stages."""
    nests, places = schedule.state.nests, schedule.state.places

    def copies(uid: int, count: int) -> int:
        """In the loops of a stage, the first `count` of them."""
        written = (loop.most or 1 for loop in nests[uid].loops[:count] if loop.kind in ("unroll", "vectorize"))
        place = places.get(uid)
        around = 1 if place is None else copies(place.host.uid, nests[place.host.uid].names.index(place.loop) + 1)
        return around * prod(max(1, count) for count in written)

    return max(copies(uid, len(nest.loops)) for uid, nest in nests.items())
