"""What the emission of one function knows: its text, what names are bound to, and the function around it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from ...compute.dtypes import BOOL
from ...compute.expr import Expr
from ..ir import Buffer, Load, Var
from . import halves, lane_index
from .lane_index import LaneIndex
from .module import Function, Module
from .storage import Storage
from .values import Value, mangled, vector

NoteKind = Literal["gather", "scatter", "division"]


class Machine(Protocol):
    """What the code generator asks of a target."""

    @property
    def triple(self) -> str: ...
    @property
    def has_fma(self) -> bool: ...
    @property
    def has_f16c(self) -> bool: ...
    @property
    def has_range(self) -> bool: ...
    @property
    def has_rounding(self) -> bool: ...
    @property
    def has_scalef(self) -> bool: ...
    @property
    def vector_bits(self) -> int: ...
    @property
    def vector_registers(self) -> int: ...
    @property
    def dot_bits(self) -> int: ...
    @property
    def has_vnni(self) -> bool: ...
    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Note:
    """An operation on vectors that is done lane by lane.

    gather    `subject` is the buffer that is read with a step other than 1 and -1, or at indices from data
    scatter   `subject` is the buffer that is written so
    division  `subject` is the type of integers divided by no constant
    """

    kind: NoteKind
    subject: str
    lanes: int


@dataclass(frozen=True, slots=True)
class EmittedKernel:
    """`text` is a module that defines @kernel; `notes` are in the order of emission, each once."""

    text: str
    notes: tuple[Note, ...]


# Of a column of a tile: its buffer, its place, and its mask, by structure.
TileKey = tuple[Buffer, LaneIndex, Hashable]


@dataclass(slots=True, eq=False)
class Tile:
    """A square that is read by columns: see transposed.py. They are there once loaded.

    places      of the columns that are read, from the first one on
    conditions  under which each of them is read, if there is one
    load        of the first one, with the mask that all have
    """

    buffer: Buffer
    load: Load
    places: tuple[LaneIndex, ...]
    conditions: tuple[Expr | None, ...]
    columns: list[Value] = field(default_factory=list)

    def column(self, place: LaneIndex) -> Value:
        return self.columns[place.constant - self.places[0].constant]


class Emitter:
    """The state of emitting one function.

    A function outlined from another (`parent`) takes what it uses of it as parameters: `imports` maps the operand in
    the parent to the parameter, in the order of the parameters.
    """

    __slots__ = (
        "buffers", "called_from", "decided", "failure", "fn", "imports", "in_a_row", "indices", "machine", "memo",
        "module", "notes", "on_failure", "parameters", "parent", "parts", "streams", "tiles", "variables", "widened",
    )  # fmt: skip

    def __init__(self, module: Module, machine: Machine, parent: Emitter | None = None) -> None:
        self.module, self.machine, self.parent = module, machine, parent
        self.fn = Function()
        self.fn.mark = parent.fn.mark if parent else ""
        self.notes: dict[Note, None] = parent.notes if parent else {}
        self.variables: dict[Var, Value | LaneIndex] = {}
        self.parameters: dict[tuple[str, str], Value] = {}
        self.buffers: dict[Buffer, Storage] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self.memo: dict[int, Value] = {}
        self.indices: dict[int, LaneIndex] = {}
        self.tiles: dict[TileKey, Tile] = {}
        self.parts: dict[int, tuple[Value, ...]] = {}
        self.widened: dict[str, Value] = {}  # the halves that float32s are the values of, by their text; see `halves`
        self.called_from = 0  # operations from which on functions are called in this statement; see `called`
        self.decided: dict[str, bool] = {}  # what conditions are in this version of a loop; see `streaming`
        self.in_a_row: frozenset[str] = frozenset()  # pointers of what the loop around stores along one row
        self.failure: str | None = None
        self.on_failure: str | None = None
        self.streams = False

    def finish(self, result: str) -> None:
        """Return, after everything that was stored past the caches is where others see it."""
        if self.streams:
            self.fn.do("fence seq_cst")
        self.fn.do(f"ret {result}")

    @property
    def native_half(self) -> bool:
        """Whether conversions between float and half are instructions."""
        return self.machine.has_f16c or self.is_arm

    @property
    def is_arm(self) -> bool:
        """Whether this is 64-bit Arm, whose conversions from float saturate by themselves."""
        return self.machine.triple.startswith(("aarch64", "arm64"))

    @property
    def is_windows(self) -> bool:
        """Whether there is no POSIX."""
        return "windows" in self.machine.triple

    def note(self, kind: NoteKind, subject: str, count: int) -> None:
        if count > 1:
            self.notes[Note(kind, subject, count)] = None

    def variable(self, var: Var) -> Value | LaneIndex:
        """What a loop variable or a `Let` is bound to."""
        if var not in self.variables:
            assert self.parent is not None, f"{var.name} is not bound"
            self.variables[var] = self._imported(self.parent.variable(var))
        return self.variables[var]

    def parameter(self, kind: str, name: str) -> Value:
        """A size, a scalar or a stride of the kernel."""
        if (kind, name) not in self.parameters:
            assert self.parent is not None, f"the kernel has no {kind} {name}"
            value = self.parent.parameter(kind, name)
            self.parameters[kind, name] = replace(value, text=self._import(value.text, value.type))
        return self.parameters[kind, name]

    def storage(self, buffer: Buffer) -> Storage:
        """Where a buffer is."""
        if buffer not in self.buffers:
            assert self.parent is not None, f"{buffer.name} is not allocated"
            outer = self.parent.storage(buffer)
            pointer = self._import(outer.pointer, f"ptr {outer.attributes}")
            strides = tuple(s if isinstance(s, int) else self._import(s, "i64") for s in outer.strides)
            size = self._import(outer.size, "i64") if isinstance(outer.size, str) else outer.size
            self.buffers[buffer] = replace(outer, pointer=pointer, strides=strides, slots=None, size=size)
        return self.buffers[buffer]

    def kernel_operand(self, name: str, type_: str) -> str:
        """A parameter of the kernel function that is no value of the program: %parallel, %threads, %status."""
        return name if self.parent is None else self._import(self.parent.kernel_operand(name, type_), type_)

    def failure_flag(self) -> str:
        """Where the kernel's result is kept, an i32."""
        if self.failure is None:
            if self.parent is None:
                self.failure = self.fn.alloca("i32", 4)
                self.fn.initially(f"store i32 0, ptr {self.failure}, align 4")
            else:
                self.failure = self._import(self.parent.failure_flag(), "ptr")
        return self.failure

    def _imported(self, binding: Value | LaneIndex) -> Value | LaneIndex:
        if isinstance(binding, Value):
            return replace(binding, text=self._import(binding.text, binding.type))
        symbol, constant, step, count, spread = binding
        return LaneIndex(
            None if symbol is None else self._import(symbol, "i64"),
            constant,
            step if isinstance(step, int) else self._import(step, "i64"),
            count,
            None if spread is None else self._import(spread, vector("i64", count)),
        )

    def _import(self, operand: str, type_: str) -> str:
        if not operand.startswith("%"):
            return operand
        if operand not in self.imports:
            self.imports[operand] = (f"%p{len(self.imports)}", type_)
        return self.imports[operand][0]

    def broadcast(self, value: Value, count: int) -> Value:
        """`value` in `count` lanes."""
        if value.lanes == count:
            return value
        assert value.lanes == 1, f"{value.lanes} lanes where {count} are expected"
        half = self.widened.get(value.text)
        if half is not None:
            return halves.widen(self, self.broadcast(half, count))
        return Value(lane_index.broadcast(self.fn, value.element, value.text, count), value.dtype, count)

    def level(self, *values: Value) -> tuple[Value, ...]:
        """The values in as many lanes as the widest has."""
        count = max(v.lanes for v in values)
        return tuple(v if v.lanes == count else self.broadcast(v, count) for v in values)

    def binary(self, opcode: str, a: Value, b: Value) -> Value:
        """An instruction on two operands of one type that gives that type."""
        return Value(self.fn.pure(f"{opcode} {a.type} {a.text}, {b.text}"), a.dtype, a.lanes)

    def intrinsic(self, name: str, *operands: Value, extra: str = "") -> Value:
        """A pure LLVM intrinsic on operands of one type that gives that type."""
        first = operands[0]
        arguments = ", ".join(f"{first.type} {o.text}" for o in operands)
        suffix = mangled(first.element, first.lanes)
        text = self.fn.pure(f"call {first.type} @llvm.{name}.{suffix}({arguments}{extra})")
        return Value(text, first.dtype, first.lanes)

    def choose(self, condition: Value, yes: Value, no: Value) -> Value:
        """`yes` in the lanes where the condition holds, `no` in the others."""
        test = f"{condition.type} {condition.text}"
        chosen = self.fn.pure(f"select {test}, {yes.type} {yes.text}, {yes.type} {no.text}")
        return Value(chosen, yes.dtype, yes.lanes)

    def test(self, predicate: str, a: Value, b: str) -> Value:
        """A comparison with an operand of the same type."""
        opcode = "fcmp" if a.dtype.is_float and a.dtype.bits > 16 else "icmp"
        return Value(self.fn.pure(f"{opcode} {predicate} {a.type} {a.text}, {b}"), BOOL, a.lanes)
