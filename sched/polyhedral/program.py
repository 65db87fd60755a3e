"""A Program: the statements of a computation over isl sets. Proof and code generation see only this.

A stage without a reduction is one statement; a reduction is two, an init over the stage's axes and an update over
those and the reduction axes, whose value reads the element it writes. What a stage computes, and where, may have been
rewritten (`definitions`, `placement`); its statements follow from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..compute.define import sizes_of, stages_of, tensors_read
from ..compute.expr import Expr, Read, Scalar, Size, walk
from ..compute.extremes import limits
from ..compute.recurrence import Recurrence
from ..compute.tensor import Tensor
from ..errors import DefinitionError
from .affine import condition_sets
from .bounds import access_relation, size_context
from .definitions import Definitions, Rewrite, defined
from .equations import numbered, recurrence_statements
from .isl import Map, Set, World
from .layout import Layout
from .needs import closures_of
from .placement import Around, Members, Placement, at_root, counters_of, inside, placed_statement, statements_of
from .statement import Cut, Statement, StatementKind

__all__ = ["Program", "Statement", "StatementKind", "default_arguments", "make_program"]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The statements of the stages that are not inlined, producers first, in one isl World.

    `joined` are stages, by their uids, whose loops are made together with those of a recurrence, down to a loop of
    this name, though that does not need them; `cuts` are instances of equations that are statements of their own.
    `limits` are the numbers between which all elements of arguments are, by their uids, if a condition says so.
    """

    world: World
    context: Set
    outputs: tuple[Tensor, ...]
    arguments: tuple[Tensor | Scalar, ...]
    written: tuple[Tensor, ...]
    rewrites: tuple[Rewrite, ...]
    definitions: Definitions
    placements: Mapping[int, Placement]
    statements: tuple[Statement, ...]
    layouts: Mapping[int, Layout] = field(default_factory=dict)
    joined: Mapping[int, tuple[Tensor, str]] = field(default_factory=dict)
    cuts: Mapping[int, tuple[Cut, ...]] = field(default_factory=dict)
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def layout(self, stage: Tensor) -> Layout:
        """How the elements of a stage lie in memory."""
        return self.layouts.get(stage.uid, Layout())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments that are read and not computed, but for scalars."""
        return tuple(a for a in self.arguments if isinstance(a, Tensor) and not a.equations)

    @property
    def is_folded(self) -> bool:
        """Whether elements of a stage share cells."""
        return any(layout.folds for layout in self.layouts.values())

    def with_layout(self, stage: Tensor, layout: Layout) -> Program:
        return replace(self, layouts={**self.layouts, stage.uid: layout})

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """All stages, producers first, inlined ones among them."""
        return self.definitions.stages

    @property
    def inlined(self) -> frozenset[int]:
        return self.definitions.inlined

    @property
    def sizes(self) -> tuple[Size, ...]:
        return tuple(size for size in self.world.sizes.values() if not size.name.startswith("|"))

    def of_stage(self, stage: Tensor) -> tuple[Statement, ...]:
        return tuple(statement for statement in self.statements if statement.stage is stage)

    def live_stages(self) -> tuple[Tensor, ...]:
        """The stages that have loops, producers first."""
        return self.definitions.live()

    def elements_read(self, read: Read, sink: Statement, instances: Set) -> Map:
        """From an instance of `sink` to the elements that a read of a stage may see, as `Statement.writes` has them."""
        elements = access_relation(read, sink.frame, instances)
        around = self.placements[read.tensor.uid].around
        if not around.kept:
            return elements
        return counters_of(around, sink, around.kept).flat_range_product(elements)

    def rewritten(self, rewrites: tuple[Rewrite, ...]) -> Program:
        """The Program with these rewrites of what was written, and every stage computed at the root."""
        definitions = self.definitions if rewrites is self.rewrites else defined(self.written, rewrites)
        return _assembled(replace(self, rewrites=rewrites, definitions=definitions), {})

    def readers(self, stages: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The other stages that read some of these and have loops."""
        found = {c.uid: c for stage in stages for c in self.definitions.consumers(stage) if c not in stages}
        return tuple(stage for stage in self.live_stages() if stage.uid in found)

    def placed(self, stages: tuple[Tensor, ...], around: Around) -> Program:
        """The Program with a stage, or several that need each other, computed inside loops. What reads them is placed
        before."""
        readers = self.readers(stages)
        consumers = wider = [s for c in readers for s in self.of_stage(c)]
        if any(reader.kept < len(reader.prefix) for reader in consumers):
            wider = [s for c in readers for s in self._wider(c)]
        rank, closure = min(stage.ndim for stage in stages), None
        if len(stages) > 1 or self.definitions.has_rules(stages[0]):
            closure = closures_of([s for stage in stages for s in self.of_stage(stage)], rank)
        members, placements = Members(stages, rank, closure), dict(self.placements)
        for stage in stages:
            equation, value = self.definitions.equations[stage.uid], self.definitions.values[stage.uid]
            placements[stage.uid] = inside(stage, equation, value, around, members, consumers, wider, self.world)
        return _assembled(self, placements, keep=stages)

    def as_a_whole(self, stage: Tensor, first: int = 0) -> tuple[Statement, ...]:
        """The statements of a stage as if it were computed at the root, numbered from `first`."""
        equation, value = self.definitions.equations[stage.uid], self.definitions.values[stage.uid]
        if isinstance(stage, Recurrence) and self.definitions.has_rules(stage):
            cuts = self.cuts.get(stage.uid, ())
            return tuple(recurrence_statements(stage, value, first, self.world, self.context, cuts))
        return tuple(statements_of(stage, at_root(stage, equation, value), first, self.world, self.context))

    def _wider(self, stage: Tensor) -> Iterator[Statement]:
        """The statements of a stage as if it computed again what it keeps from earlier points."""
        placement = self.placements[stage.uid]
        return statements_of(stage, replace(placement, domain=placement.needed), 0, self.world, self.context)


def make_program(
    outputs: tuple[Tensor, ...],
    arguments: tuple[Tensor | Scalar, ...] | None,
    budget: int,
    where: Expr | None = None,
) -> Program:
    """The Program of the definitions that `outputs` need; for the calls for which a condition holds."""
    stages = stages_of(outputs)
    tensors = {t.uid: t for s in stages for t in (*tensors_read(s), s)}
    if arguments is None:
        arguments = default_arguments(stages)
    named = (*tensors.values(), *(a for a in arguments if isinstance(a, Tensor)))
    sizes = sizes_of(named)
    _check_names(arguments, outputs, sizes)
    world = World(sizes, budget)
    return _program(world, stages, outputs, arguments, tuple(named), where)


def unproven_program(stages: tuple[Tensor, ...]) -> Program:
    """The Program of stages of which some are still to be proven, each an output."""
    named = tuple({t.uid: t for s in stages for t in (*tensors_read(s), s)}.values())
    return _program(World(sizes_of(named)), stages, stages, (), named)


def _program(
    world: World,
    stages: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    arguments: tuple[Tensor | Scalar, ...],
    named: tuple[Tensor, ...],
    where: Expr | None = None,
) -> Program:
    context = size_context(world, named)
    if where is not None:
        context = context.intersect(condition_sets(where, world.parameter_frame())[0])
    definitions = defined(stages, ())
    program = Program(world, context, outputs, arguments, stages, (), definitions, {}, (), limits=limits(where))
    return _assembled(program, {})


def _assembled(
    program: Program, placements: Mapping[int, Placement], keep: tuple[Tensor, ...] | None = None
) -> Program:
    """The Program with the statements that follow from its definitions and placements; with `keep`, only those of these
    stages are new, and others may have other numbers.

    Statements that are what they were stay the same objects, so that what is known of them is found again. Those that
    are cut off have the last numbers, and change no others.
    """
    definitions, found = program.definitions, dict[int, Placement]()
    made: list[Statement] = []
    for stage in definitions.live():
        placement = placements.get(stage.uid)
        if placement is None:
            placement = at_root(stage, definitions.equations[stage.uid], definitions.values[stage.uid])
        found[stage.uid] = placement
        first = sum(statement.apart is None for statement in made)
        if keep is not None and stage not in keep:
            made += program.of_stage(stage)
        elif definitions.has_rules(stage):
            whole = program.as_a_whole(stage, first)
            if placement.prefix:
                whole = tuple(placed_statement(s, placement, s.number, program.context) for s in whole)
            made += whole
        else:
            made += statements_of(stage, placement, first, program.world, program.context)
    made = _numbered(made, list(program.cuts))
    if keep is None:
        known = {statement.number: statement for statement in program.statements}
        made = [s if (old := known.get(s.number)) is None or not old.is_like(s) else old for s in made]
    return replace(program, placements=found, statements=tuple(made))


def _numbered(statements: list[Statement], order: list[int]) -> list[Statement]:
    """The statements, with numbers for those that are cut off: by when their stages, of these uids, were first cut, and
    then by when they were."""
    apart = [s for s in statements if s.apart is not None]
    apart.sort(key=lambda s: (order.index(s.stage.uid), s.apart))
    numbers = {id(s): number for number, s in enumerate(apart, len(statements) - len(apart))}
    return [s if (number := numbers.get(id(s), s.number)) == s.number else numbered(s, number) for s in statements]


def default_arguments(stages: tuple[Tensor, ...]) -> tuple[Tensor | Scalar, ...]:
    """Placeholders and scalars, as they were created."""
    found: dict[int, Tensor | Scalar] = {}
    for stage in stages:
        for tensor in tensors_read(stage):
            if not tensor.equations:
                found[tensor.uid] = tensor
        for equation in stage.equations:
            for node in walk(equation.body):
                if isinstance(node, Scalar):
                    found[node.uid] = node
    return tuple(found[uid] for uid in sorted(found))


def _check_names(arguments: tuple[Tensor | Scalar, ...], outputs: tuple[Tensor, ...], sizes: tuple[Size, ...]) -> None:
    """Arguments are also passed by name, so a name must mean one thing."""
    seen: dict[str, object] = {}
    for item in (*arguments, *outputs, *sizes):
        other = seen.setdefault(item.name, item)
        if other is not item:
            raise DefinitionError(
                f"two things that a caller may pass by name are both called {item.name}: give placeholders, outputs, "
                "scalars and sizes names of their own",
                location=getattr(item, "location", None),
            )
