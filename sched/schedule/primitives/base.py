"""What a schedule primitive is: a frozen record of its arguments that rewrites a state.

The registry of records serves the methods of a stage, the text form's loader (as its allow-list), the tests and the
reference page. A record's fields are exactly what is printed and loaded, with every default already filled in.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from ...compute.components import components
from ...compute.recurrence import Recurrence
from ...compute.tensor import Tensor
from ...errors import DefinitionError, PolyschedError, ScheduleError
from ...polyhedral.definitions import Factored, Inlined, OperandCopied, ReadThrough, Rewrite, reads_of
from ...polyhedral.order import maybe_equal
from ...polyhedral.program import Program
from ...polyhedral.requirements import Requirement, requirements
from ...polyhedral.statement import Statement
from ...polyhedral.systems import systems
from ...polyhedral.tree import Ahead, Node, Tree, loops_of, statements_below
from ..fetching import check_ahead
from ..forest import make_tree
from ..nest import StageNest
from ..place import Place, resolved, settled
from ..suggestion import shown
from .mark import check_written_out


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a log of commands amounts to: the rewritten Program, its requirements, the loops of each stage, which stages
    are computed inside loops of others, and what loops fetch ahead."""

    program: Program
    pairs: tuple[Requirement, ...]
    nests: Mapping[int, StageNest]
    places: Mapping[int, Place] = field(default_factory=dict)
    ahead: tuple[Ahead, ...] = ()
    _made: list[Tree] = field(default_factory=list, init=False, repr=False)  # the tree, once it was asked for
    _next: dict[Hashable, State] = field(default_factory=dict, init=False, repr=False)
    _legal: list[bool] = field(default_factory=list, init=False, repr=False)  # True, once that is proven

    @staticmethod
    def initial(program: Program) -> State:
        """The default loops, which are legal by how they are made."""
        state = State(program, (), {}).settled()
        state.mark_proven()
        return state

    @property
    def is_proven(self) -> bool:
        """Whether the loops are known to be legal."""
        return bool(self._legal)

    def mark_proven(self) -> None:
        """Note that the loops are legal."""
        self._legal[:] = [True]

    def tree(self) -> Tree:
        """The loop tree of all stages."""
        if not self._made:
            made = make_tree(self.program, self.nests, self.places, self.pairs)
            self._made.append(replace(made, ahead=self.ahead))
        return self._made[0]

    def after(self, command: Primitive, stage: Tensor) -> State:
        """The state after a command, in which everything that was fetched ahead still can be."""
        try:
            state = command.apply(self, stage)
        except DefinitionError as error:  # of what a rewrite made of the definitions
            raise ScheduleError(f"{stage.name}.{command}: {error.reason}") from error
        for uid, nest in state.nests.items():
            if nest is not self.nests.get(uid):
                check_written_out(nest)
        if state.ahead:
            check_ahead(state.program, state.tree(), state.nests, state.ahead)
        return state

    def known_after(self, command: Primitive, stage: Tensor) -> State | None:
        """The state after a command, if that is the last one that was asked about here, before it is carried out or
        by a recipe that tried it on a copy."""
        return self._next.get(_asked(stage, command)) if self._next else None

    def keep_after(self, command: Primitive, stage: Tensor, state: State) -> None:
        """Keep what a command leads to; of several, the last one."""
        self._next.clear()
        self._next[_asked(stage, command)] = state

    def with_rewrites(self, rewrites: tuple[Rewrite, ...]) -> State:
        """The state with other rewrites of the definitions; stages that are new have their default loops."""
        for rewrite in rewrites:
            _refuse_rewrite(rewrite, self)
        program = self.program.rewritten(rewrites)
        _check_copies(program)
        live = {stage.uid for stage in program.live_stages()}
        places = {uid: place for uid, place in self.places.items() if uid in live}
        return replace(self, program=program, places=places).settled()

    def with_place(self, stages: tuple[Tensor, ...], place: Place | None) -> State:
        """The state with stages computed elsewhere; at the root without a place."""
        uids = {stage.uid for stage in stages}
        for uid, (host, loop) in self.program.joined.items() if place is not None else ():
            if host.uid in uids and uid not in uids:
                guest = next(s.name for s in self.program.live_stages() if s.uid == uid)
                raise ScheduleError(
                    f"{guest} shares {loop} of {host.name} by compute_with, at the root: {guest}.compute_root() before "
                    f"{host.name} is computed elsewhere"
                )
        places = {uid: other for uid, other in self.places.items() if uid not in uids}
        places = places if place is None else {**places, **dict.fromkeys(uids, place)}
        joined = {uid: host for uid, host in self.program.joined.items() if uid not in uids}
        return replace(self, program=replace(self.program, joined=joined), places=places).settled()

    def with_joined(self, stage: Tensor, host: Tensor, loop: str) -> State:
        """The state with the loops of a stage made together with those of a recurrence, down to one of them."""
        program = replace(self.program, joined={**self.program.joined, stage.uid: (host, loop)})
        return replace(self, program=program).settled()

    def with_nests(self, *nests: StageNest) -> State:
        """The state with other loops of some stages; what is computed inside them follows."""
        changed = replace(self, nests={**self.nests, **{nest.stage.uid: nest for nest in nests}})
        return changed.settled() if any(map(self._involves, nests)) else changed

    def settled(self) -> State:
        """The state whose statements are where the places say."""
        places = resolved(self.places, self.nests)
        program, nests = settled(self.program, self.nests, places)
        pairs = requirements(program)
        live = [stage.uid for stage in program.live_stages()]
        return replace(self, program=program, pairs=pairs, nests={uid: nests[uid] for uid in live}, places=places)

    def _involves(self, nest: StageNest) -> bool:
        """Whether another stage's place depends on what is new in these loops, or their stage shares another's."""
        old, own = self.nests[nest.stage.uid], self.places.get(nest.stage.uid)
        hosts = any(place.involves(nest.stage) and not place.is_kept(old, nest) for place in self.places.values())
        return hosts or (own is not None and own.shared)

    def companions(self, stage: Tensor) -> tuple[Tensor, ...]:
        """The other stages of a circle of stages that need each other, as far as they are in the same place."""
        return tuple(s for s in self.system(stage) if s is not stage and self._is_beside(s, stage))

    def _is_beside(self, *stages: Tensor) -> bool:
        owns = (place.own if (place := self.places.get(stage.uid)) is not None else None for stage in stages)
        return len({None if own is None else (own.host.uid, own.loop) for own in owns}) == 1

    def together(self, stage: Tensor, place: Place | None = None) -> tuple[Tensor, ...]:
        """The stages that are computed in loops only with this one, itself among them: those that it needs, and that
        need it, as far as they are in the same place now; but not what is needed of an earlier iteration of the loops
        that are around at `place` by a stage that is in these anyway."""
        group = (stage, *self.companions(stage))
        around: tuple[str, ...] = ()
        if place is not None and place.host in group:
            names = self.nest(place.host).names
            around = names[: names.index(place.loop) + 1]
        values = self.program.definitions.values
        needs = {sink: [source for source in group if reads_of(values[sink.uid], source)] for sink in group}
        for sink in group if around else ():
            if self.nest(sink).names[: len(around)] == around:
                now = {p.source.stage for p in self.pairs if p.sink.stage is sink and not self._carried(p, around)}
                needs[sink] = [source for source in needs[sink] if source in now]
        return next(found for found in components(group, needs.__getitem__) if stage in found)

    def _carried(self, pair: Requirement, around: tuple[str, ...]) -> bool:
        """Whether no iteration of loops with these names, as far as both statements are in them, has both ends of
        needs."""
        relation = pair.relation
        for name, own, other in zip(
            around, self.nest_of(pair.source).loops, self.nest_of(pair.sink).loops, strict=False
        ):
            if not own.name == other.name == name:
                break
            relation = maybe_equal(self.tree(), pair, relation, own.value, other.value)
        return pair.kind != "flow" or relation.is_empty()

    def system(self, stage: Tensor) -> tuple[Tensor, ...]:
        """The stages whose loops are made together with those of this one, itself among them."""
        return next((group for group in systems(self.program) if stage in group), ())

    def nest_of(self, statement: Statement) -> StageNest:
        """The loops that a statement has."""
        return self.nests[statement.stage.uid].of_equation(statement.loops_of)

    def share(self, stage: Tensor, other: Tensor, loops: set[str]) -> bool:
        """Whether one of the loops of a stage is also around another one."""
        for loop in loops_of(self.tree().root):
            stages = [statement.stage for statement in statements_below(loop)]
            if loop.name in loops and stage in stages and other in stages:
                return True
        return False

    def nest(self, stage: Tensor) -> StageNest:
        """The loops of a stage, which an inlined one has not."""
        if stage.uid not in self.nests:
            raise ScheduleError(
                f"{stage.name} is inlined and has no loops; {stage.name}.compute_root() gives it loops again"
            )
        return self.nests[stage.uid]


def refuse_recurrence(stage: Tensor) -> None:
    """Refuse what is for stages of one equation."""
    if isinstance(stage, Recurrence):
        raise ScheduleError(
            f"{stage.name} is a recurrence, and its cells are computed where its equations say; inline and rfactor "
            "are for stages of ps.compute"
        )


def _refuse_rewrite(rewrite: Rewrite, state: State) -> None:
    """Refuse what would change the definition of a recurrence."""
    match rewrite:
        case Inlined(stage) | Factored(stage):
            refuse_recurrence(stage)
        case ReadThrough(consumer, tensor) if any(tensor is other for other in (consumer, *state.companions(consumer))):
            raise ScheduleError(
                f"{consumer.name} reads {tensor.name} while it is computed, so there is nothing to copy before; "
                "cache_read is for what is there before"
            )


def _check_copies(program: Program) -> None:
    """Refuse copies that nobody reads any more."""
    for rewrite in program.rewrites:
        if isinstance(rewrite, (ReadThrough, OperandCopied)) and not program.definitions.consumers(rewrite.copy):
            raise ScheduleError(
                f"{rewrite.consumer.name} reads {_copied(rewrite).name}, and its copy {rewrite.copy.name}, only "
                f"through stages that are inlined; without them the copy has no reader: take it back first, with undo"
            )


def _copied(rewrite: ReadThrough | OperandCopied) -> Tensor:
    return rewrite.tensor if isinstance(rewrite, ReadThrough) else rewrite.operand.tensor


def _asked(stage: Tensor, command: Primitive) -> Hashable:
    """A command as it is told from others: by its text, as True is 1 to Python; None for what has no text, and is
    refused."""
    try:
        return stage.uid, type(command), str(command)
    except PolyschedError:
        return None


@dataclass(frozen=True, slots=True)
class Primitive:
    """Base of all primitives. `word` is the method's name.

    A command on a stage that needs others, which need it, is carried out for all of them that have its loops, so that
    they can share them; one that `marks` a loop, for those that do share it; one that is `alone`, for its own stage.
    """

    word: ClassVar[str]
    named: ClassVar[frozenset[str]] = frozenset()  # further fields that are written with their names
    alone: ClassVar[bool] = False
    marks: ClassVar[bool] = False

    def apply(self, state: State, stage: Tensor) -> State:
        """The state after the command, or a ScheduleError that says what would be accepted."""
        companions, own = state.companions(stage), [self.carried_out(state.nest(stage))]
        for other in () if self.alone else companions:
            shared = not self.marks or state.share(stage, other, self.named_loops)
            if shared and self.named_loops <= set(state.nest(other).names):
                own.append(self.carried_out(state.nest(other)))
        changed = state.with_nests(*own)
        if companions and changed.nest(stage).fused:
            raise ScheduleError(
                f"{self.word} would fuse loops that {stage.name} shares with {companions[0].name}, as they need each "
                "other, and their positions would not be the same; leave these loops apart"
            )
        return changed

    @property
    def named_loops(self) -> set[str]:
        """The loops that must be there for the command."""
        given = (value for name, value in self.arguments.items() if name in ("loop", "other", "by", "loops"))
        return {name for value in given for name in _items(value)}

    def apply_to_equation(self, state: State, stage: Tensor, number: int) -> State:
        """The state after the command on the loops of one equation."""
        nest = state.nest(stage)
        if type(self).rewrite is Primitive.rewrite:
            raise ScheduleError(
                f"{self.word} is for a stage as a whole, {stage.name}.{self}; an equation has loops of its own, and no "
                "storage or place"
            )
        own = self.carried_out(nest.with_equation(number))
        return state.with_nests(replace(nest, apart={**nest.apart, number: own}))

    def carried_out(self, nest: StageNest) -> StageNest:
        """The loops after the command, which remember it."""
        made = replace(self.rewrite(nest), history=(*nest.history, self))
        apart = {k: self._also(own) for k, own in nest.apart.items()}
        return replace(made, apart=apart) if apart else made

    def _also(self, nest: StageNest) -> StageNest:
        """The loops of an equation that has its own, after a command on those of the whole stage."""
        return self.carried_out(nest) if self.named_loops <= set(nest.names) else nest

    def rewrite(self, nest: StageNest) -> StageNest:
        """The loops after the command, for primitives that touch nothing else."""
        raise AssertionError(f"{self.word} rewrites the state as a whole")

    def taken_back(self, tree: Tree, of: frozenset[int]) -> Node | None:
        """The loops without this command, which was for those around statements `of` these numbers, where it keeps the
        order of instances in them; None if they do not all have it."""
        return tree.root

    def restricted(self, names: tuple[str, ...]) -> Primitive | None:
        """The command for loops of which only those with these names are there, if it means anything for them."""
        given = self.arguments
        loops = [loop for key in ("loop", "other", "loops") if key in given for loop in _items(given[key])]
        return self if all(loop in names for loop in loops) else None

    @property
    def arguments(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def __str__(self) -> str:
        parts, defaults = [], {item.name: item.default for item in fields(self)}
        for name, value in self.arguments.items():
            if value in ("", ()) or (value == 0 and defaults[name] == 0):  # an option that was not used
                continue
            items = [f'"{item}"' if isinstance(item, str) else str(item) for item in _items(value)]
            shown = ", ".join(items)
            if name in KEYWORDS or name in self.named:
                shown = f"{name}=({shown})" if isinstance(value, tuple) else f"{name}={shown}"
            parts.append(shown)
        return f"{self.word}({', '.join(part for part in parts if part)})"


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


# Fields that are written with their names, as keyword-only arguments are; the others are positional, in the order of
# the record.
KEYWORDS = frozenset({"outer", "inner", "name", "outers", "inners", "at", "by"})

REGISTRY: dict[str, type[Primitive]] = {}


def primitive(record: type[Primitive]) -> type[Primitive]:
    """Register a record under its word."""
    assert record.word not in REGISTRY
    REGISTRY[record.word] = record
    return record


MAX_FACTOR = 2**31 - 1


def checked_factor(factor: Any, what: str, kind: str = "factor") -> int:
    """`factor` if it is an integer from 1 to MAX_FACTOR, so that sums of extents and factors stay within 64 bits."""
    if isinstance(factor, bool) or not isinstance(factor, int) or not 1 <= factor <= MAX_FACTOR:
        raise ScheduleError(f"{what} takes a {kind} that is an integer from 1 to {MAX_FACTOR}, not {shown(factor)}")
    return factor
