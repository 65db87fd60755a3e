"""What the iterations of each loop of a tree touch: elements of every tensor, and instances of every statement.

The row of a loop is about one iteration of it, at any values of the counters of the loops around: a relation from these
counters to elements, and the smallest box known around the elements of one point. A box that some point fills is
`exact`; otherwise it is an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce as fold
from typing import Literal

from ..compute.dtypes import INDEX
from ..compute.expr import Axis, Const, Expr, Size, transform, walk
from ..compute.simplify import constant_value, difference, simplify, upper_bound
from ..compute.tensor import Tensor
from ..errors import BudgetError
from .affine import affine
from .bounds import access_relation, guarded_reads
from .cardinality import cardinality
from .counters import at_sizes, expand_fused
from .isl import Frame, Map, Set, involves_input
from .placement import box_around
from .program import Program
from .statement import Statement
from .tree import Leaf, LoopNode, Node, Sequence, Tree, statements_below

_SHARE = 16  # of the budget of a proof, what a number in a table may take


@dataclass(frozen=True, slots=True, eq=False)
class Footprint:
    """What one iteration touches of a tensor: a box of these extents, or fewer elements if it is not `exact`.

    reads    whether it reads elements that it has not defined itself
    writes   whether it writes elements
    depth    how many of the loops around, outermost first, decide which elements these are
    private  whether the tensor's memory is that of one iteration: nothing of it leaves
    """

    tensor: Tensor
    shape: tuple[Expr, ...]
    exact: bool
    reads: bool
    writes: bool
    depth: int
    private: bool

    @property
    def elements(self) -> Expr:
        return fold(lambda a, b: simplify(a * b), self.shape, _constant(1))

    @property
    def bytes(self) -> Expr:
        return simplify(self.elements * self.tensor.dtype.bytes)


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """How many instances of a statement one iteration runs: those of a box of these extents, or fewer."""

    statement: Statement
    shape: tuple[Expr, ...]
    exact: bool

    @property
    def count(self) -> Expr:
        return fold(lambda a, b: simplify(a * b), self.shape, _constant(1))


@dataclass(frozen=True, slots=True, eq=False)
class Iteration:
    """One iteration of `loop`, or with None a whole nest: all that its outermost loops do.

    around      the loops around, outermost first, and the loop itself
    iterations  how many there are in a call, where all sizes are known and they can be counted; `outer` likewise for
                each loop of `around`
    children    what its body has further in
    """

    loop: LoopNode | None
    around: tuple[LoopNode, ...]
    footprints: tuple[Footprint, ...]
    instances: tuple[Instances, ...]
    outer: tuple[int | None, ...]
    children: tuple[Iteration, ...]

    @property
    def iterations(self) -> int | None:
        return self.outer[-1] if self.outer else 1


def iterations_of(program: Program, tree: Tree, sizes: Mapping[str, int]) -> tuple[Iteration, ...]:
    """A row for each nest of the tree, and in these one for each loop; `sizes` are those whose value is known.

    >>> import polysched as ps
    >>> A = ps.placeholder((8, 6), "float32", name="A")
    >>> B = ps.compute((8, 6), lambda i, j: A[i, j] + 1, name="B")
    >>> s = ps.Schedule(B)
    >>> (nest,) = iterations_of(s.program, s.tree(), {})
    >>> str(nest.footprints[0].bytes), str(nest.children[0].footprints[0].bytes), nest.children[0].iterations
    ('192', '24', 8)
    """
    known = all(size.name in sizes for size in program.sizes)
    walker = _Walker(program, at_sizes(tree, sizes) if known else tree, sizes, known)
    roots = tree.root.children if isinstance(tree.root, Sequence) else (tree.root,)
    return tuple(walker.row(root, None, (), (), None) for root in roots)


@dataclass(frozen=True, slots=True, eq=False)
class _Walker:
    program: Program
    tree: Tree
    sizes: Mapping[str, int]
    known: bool

    def row(
        self,
        body: Node,
        loop: LoopNode | None,
        around: tuple[LoopNode, ...],
        outer: tuple[int | None, ...],
        parent: Iteration | None,
    ) -> Iteration:
        """What isl does not find within its budget is at most what an iteration of the loop around touches."""
        statements = statements_below(body)
        usable = [node for node in around if all(self._counter(node, s) is not None for s in statements)]
        axes = tuple(Axis(node.name, _constant(0), _constant(0)) for node in usable)
        frame = self.program.world.frame(axes, "X")
        footprints = tuple(self._footprints(statements, usable, around, frame, parent))
        instances = tuple(self._instances(statement, usable, around, frame, parent) for statement in statements)
        own = Iteration(loop, around, footprints, instances, outer, ())
        inner = (self.row(n.body, n, (*around, n), (*outer, self._count((*around, n))), own) for n in _loops(body))
        return replace(own, children=tuple(inner))

    def _counter(self, node: LoopNode, statement: Statement) -> Expr | None:
        """The counter as an affine function of the statement's axes; None for positions that are not affine."""
        value = self.fixed(expand_fused(node.values[statement.number], self.tree, linear=True))
        return value if affine(value, statement.frame) is not None else None

    def fixed(self, expr: Expr) -> Expr:
        """The expression with the sizes that are known."""

        def replaced(node: Expr) -> Expr:
            return _constant(self.sizes[node.name]) if isinstance(node, Size) and node.name in self.sizes else node

        return simplify(transform(expr, replaced))

    def _prefix(self, statement: Statement, loops: list[LoopNode]) -> Map:
        """From an instance to the counters of the loops."""
        values = []
        for node in loops:
            counter = self._counter(node, statement)
            known = None if counter is None else affine(counter, statement.frame)
            assert known is not None, "only affine counters are asked for"
            values.append(known)
        return self._known(statement.frame.map_to(values).intersect_domain(statement.domain))

    def _count(self, loops: tuple[LoopNode, ...]) -> int | None:
        """How many iterations the last of these loops has in a call."""
        if not self.known:
            return None
        points: Set | None = None
        for statement in statements_below(loops[-1]):
            if any(self._counter(node, statement) is None for node in loops):
                return None
            new = self._prefix(statement, list(loops)).range()
            points = new if points is None else points.union(new)
        assert points is not None, "there are statements in every loop"
        try:
            with self.program.world.budgeted(f"counting the iterations of {loops[-1].name}", _SHARE):
                return cardinality(points, self.program.world, self.sizes)
        except BudgetError:
            return None

    def _footprints(
        self,
        statements: tuple[Statement, ...],
        loops: list[LoopNode],
        around: tuple[LoopNode, ...],
        frame: Frame,
        parent: Iteration | None,
    ) -> Iterator[Footprint]:
        found: dict[int, list[tuple[Statement, _Access]]] = {}
        decided = self._decided(statements, loops, around)
        for statement in statements:
            for access in _accesses(statement):
                found.setdefault(access.tensor.uid, []).append((statement, access))
        for accesses in found.values():
            tensor = accesses[0][1].tensor
            try:
                with self.program.world.budgeted(f"the footprint of {tensor.name}", _SHARE):
                    relation, footprint = self._footprint(accesses, loops, around, frame, decided)
            except BudgetError:
                yield self._at_most(accesses, around, parent)
            else:
                yield replace(footprint, depth=self._depth(relation, loops, around))

    def _footprint(
        self,
        accesses: list[tuple[Statement, _Access]],
        loops: list[LoopNode],
        around: tuple[LoopNode, ...],
        frame: Frame,
        decided: bool,
    ) -> tuple[Map, Footprint]:
        """From counters of the loops to elements, and the footprint as if all loops around decided these."""
        tensor = accesses[0][1].tensor
        moved = [
            replace(access, elements=self._prefix(statement, loops).reverse().apply_range(access.elements))
            for statement, access in accesses
        ]
        relation = fold(Map.union, (access.elements for access in moved))
        relation = self._known(relation).coalesce().detect_equalities()
        shape, exact = self._box(relation, frame, tensor.shape)
        smaller, private = self._stored(tensor, shape, around)
        return relation, Footprint(
            tensor, smaller, exact and decided and smaller is shape,
            reads=_fetches(moved),
            writes=any(access.kind != "read" for access in moved),
            depth=len(around),
            private=private,
        )  # fmt: skip

    def _at_most(
        self, accesses: list[tuple[Statement, _Access]], around: tuple[LoopNode, ...], parent: Iteration | None
    ) -> Footprint:
        """All that an iteration of the loop around touches, or the tensor; other elements in every iteration."""
        tensor = accesses[0][1].tensor
        wider = () if parent is None else parent.footprints
        known = (footprint.shape for footprint in wider if footprint.tensor is tensor)
        shape, private = self._stored(tensor, next(known, tuple(map(self.fixed, tensor.shape))), around)
        kinds = {access.kind for _, access in accesses}
        return Footprint(
            tensor, shape, exact=False, reads="read" in kinds, writes=kinds != {"read"}, depth=len(around),
            private=private,
        )  # fmt: skip

    def _decided(self, statements: tuple[Statement, ...], loops: list[LoopNode], around: tuple[LoopNode, ...]) -> bool:
        """Whether the counters of `loops` decide those of all loops around: positions that are not affine follow from
        their components, once these have loops."""
        components = {node.of for node in loops if node.kind == "component"}
        left = [node for node in around if node not in loops]
        axes = {a for node in left for s in statements for a in walk(node.values[s.number]) if a in self.tree.fused}
        return axes <= components

    def _known(self, relation: Map) -> Map:
        fixed = {name: value for name, value in self.sizes.items() if name in self.program.world.sizes}
        return relation.intersect_params(self.program.world.fixed(fixed)).intersect_params(self.program.context)

    def _box(self, relation: Map, frame: Frame, shape: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], bool]:
        """The extents of a box around what a point is related to, and whether a point has all of it."""
        box = box_around(frame.relation(relation), frame, tuple(map(self.fixed, shape)))
        extents = tuple(map(self.fixed, box.shape))
        origins = [affine(self.fixed(origin), frame) for origin in box.origin]
        ends = [affine(self.fixed(o + e), frame) for o, e in zip(box.origin, extents, strict=True)]
        if any(value is None for value in (*origins, *ends)):
            return extents, False
        whole = frame.map_to(())
        for low, high in zip(origins, ends, strict=True):
            assert low is not None and high is not None
            whole = whole.flat_range_product(_between(Map.from_pw_aff(low), Map.from_pw_aff(high), frame))
        inputs = frame.relation(relation).domain()
        lacking = whole.intersect_domain(inputs).subtract(frame.relation(relation)).domain()
        return extents, not inputs.subtract(lacking).is_empty()

    def _stored(
        self, tensor: Tensor, shape: tuple[Expr, ...], around: tuple[LoopNode, ...]
    ) -> tuple[tuple[Expr, ...], bool]:
        """The extents in memory, and whether that memory is of one iteration alone. Folded dimensions have as many
        positions as the fold, and points of the loops outside of where a tensor is stored use the same memory."""
        placement = self.program.placements.get(tensor.uid)
        if placement is None:
            return shape, False
        layout = self.program.layout(tensor)
        extents = list(shape)
        for form, size in layout.folds.items():
            ((dimension, factor), *others) = form
            if others or factor != 1:
                continue
            here = constant_value(shape[dimension])
            if here is None or here > size:
                extents[dimension] = _constant(size)
        shape = shape if all(a is b for a, b in zip(extents, shape, strict=True)) else tuple(extents)
        kept = placement.around.loops[: placement.around.kept]
        names = [_named(node) for node in around]
        if not kept or (kept[-1] in names and kept[-1] != names[-1]):
            return shape, False
        stored = tuple(map(self.fixed, layout.shape(placement.stored.shape)))
        same = len(stored) == len(shape) and all(difference(a, b) == 0 for a, b in zip(stored, shape, strict=True))
        return (shape if same else stored), True

    def _depth(self, relation: Map, loops: list[LoopNode], around: tuple[LoopNode, ...]) -> int:
        """Up to which of the loops around the elements differ, or may differ, from iteration to iteration."""
        for k in reversed(range(len(loops))):
            try:
                with self.program.world.budgeted(f"what {loops[k].name} decides", _SHARE):
                    differ = involves_input(relation, k)
            except BudgetError:
                differ = True
            if differ:
                return around.index(loops[k]) + 1
        return 0

    def _instances(
        self,
        statement: Statement,
        loops: list[LoopNode],
        around: tuple[LoopNode, ...],
        frame: Frame,
        parent: Iteration | None,
    ) -> Instances:
        offsets = [affine(axis - axis.lower, statement.frame) for axis in statement.axes]
        own = statement.frame.map_to([value for value in offsets if value is not None])
        extents = tuple(upper_bound(axis.upper - axis.lower) for axis in statement.axes)
        try:
            with self.program.world.budgeted(f"the instances of {statement.stage.name}", _SHARE):
                relation = self._known(self._prefix(statement, loops).reverse().apply_range(own))
                shape, exact = self._box(relation.coalesce().detect_equalities(), frame, extents)
        except BudgetError:
            wider = () if parent is None else parent.instances
            known = (instances.shape for instances in wider if instances.statement is statement)
            return Instances(statement, next(known, tuple(map(self.fixed, extents))), exact=False)
        return Instances(statement, shape, exact and self._decided((statement,), loops, around))


@dataclass(frozen=True, slots=True, eq=False)
class _Access:
    """From iterations to the elements of a tensor that are read there, written, or given their first value."""

    tensor: Tensor
    elements: Map
    kind: Literal["read", "update", "define"]


def _fetches(accesses: list[_Access]) -> bool:
    """Whether an iteration reads elements that it does not define; what it defines, it defines before it reads it."""
    reads = [access.elements for access in accesses if access.kind == "read"]
    defined = [access.elements for access in accesses if access.kind == "define"]
    if not reads or not defined:
        return bool(reads)
    return not fold(Map.union, reads).is_subset(fold(Map.union, defined))


def _accesses(statement: Statement) -> Iterator[_Access]:
    """The elements that each instance reads or writes, by their indices in the tensor."""
    indices = [affine(index, statement.frame) for index in statement.indices]
    written = statement.frame.map_to([value for value in indices if value is not None])
    kind: Literal["update", "define"] = "define" if statement.kind in ("define", "init") else "update"
    yield _Access(statement.stage, written.intersect_domain(statement.domain), kind)
    for read, instances in guarded_reads(statement.value, statement.frame, statement.domain):
        yield _Access(read.tensor, access_relation(read, statement.frame, instances), "read")


def _loops(node: Node) -> Iterator[LoopNode]:
    """The outermost loops of a subtree, in order."""
    match node:
        case LoopNode():
            yield node
        case Sequence(children):
            for child in children:
                yield from _loops(child)
        case Leaf():
            return


def _between(low: Map, high: Map, frame: Frame) -> Map:
    at_least = frame.world.from_text("{ [a] -> [b] : b >= a }")
    below = frame.world.from_text("{ [a] -> [b] : b < a }")
    return low.apply_range(at_least).intersect(high.apply_range(below))


def _constant(value: int) -> Expr:
    return Const(value, INDEX)


def _named(node: LoopNode) -> tuple[int, str] | None:
    return None if node.stage is None else (node.stage.uid, node.name)
