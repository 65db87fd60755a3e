"""Random definitions, as the lines of Python that a user would write.

Text has two uses: a failing case is printed as it is, and it is shrunk as a syntax tree.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import polysched as ps

FLOATS = ("float16", "float32", "float64")
INTS = ("int8", "int16", "int32", "int64")
UINTS = ("uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTS, *UINTS, "bool")
# float32 most often: its vectors are what schedules are made for.
WEIGHTS = (2, 6, 3, 1, 1, 2, 2, 1, 1, 1, 1, 2)
AXES = ("i", "j", "k", "l")
LITERALS = (1, 2, 3, 5, 7, 8, 16, 17)


@dataclass
class Definition:
    """`lines` run with `ps` in scope define everything; `data` says what the elements of each placeholder are like:
    "exact" (small integers), "special" (with NaN, infinities and extremes), "smooth" (0.5 to 2), or an extent that
    they are indices of.
    """

    lines: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)

    def namespace(self) -> dict[str, object]:
        """The names that the lines define."""
        found: dict[str, object] = {"ps": ps}
        for line in self.lines:
            exec(compile(line, "<definition>", "exec"), found)
        return found


@dataclass
class _Axis:
    """An axis: the extents E for which 0 <= axis < E."""

    name: str
    fits: set[str]


@dataclass
class _Tensor:
    name: str
    dtype: str
    extents: list[str]
    raw: bool


class Generator:
    """One random definition."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.made = Definition()
        self.names: dict[str, object] = {"ps": ps}
        self.tensors: list[_Tensor] = []
        # Inexact operations only where nothing is compared or rounded, and nothing cancels.
        self.smooth = rng.random() < 0.2
        self.special = not self.smooth and rng.random() < 0.2
        self.extents: list[str] = []
        self.axes: list[_Axis] = []
        self.pending: list[str] = []
        self.count = 0

    def generate(self) -> Definition:
        rng = self.rng
        for name in ("n", "m", "p")[: rng.choice((0, 1, 1, 2, 2, 3))]:
            least = rng.choice((0, 0, 1))
            self._run(f'{name} = ps.size_var("{name}"{f", min={least}" if least else ""})')
            self.extents.append(name)
            if rng.random() < 0.1:
                self.extents.append(rng.choice((f"{name} + 1", f"2 * {name}", f"{name} // 2 + 1")))
        self.extents += [str(rng.choice(LITERALS)) for _ in range(rng.choice((1, 1, 2)) + (not self.extents))]
        for number in range(rng.choice((1, 2, 2, 3, 4))):
            self._stage(f"T{number}")
        stages = [tensor.name for tensor in self.tensors if not tensor.raw]
        later = {name: "\n".join(self.made.lines).count(f"{name}[") for name in stages}
        self.made.outputs = [s for s in stages[:-1] if not later[s] or rng.random() < 0.2] + stages[-1:]
        return self.made

    def _run(self, line: str) -> None:
        exec(compile(line, "<definition>", "exec"), self.names)
        self.made.lines.append(line)

    def _stage(self, name: str) -> None:
        """Try stages until one is well-typed and in bounds; the last resort always is."""
        for _ in range(12):
            state = len(self.made.lines), dict(self.made.data), list(self.tensors), self.count, dict(self.names)
            try:
                rank = self.rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4))
                extents = [self.rng.choice(self.extents) for _ in range(rank)]
                body = self._body(extents)
                for line in self.pending:
                    self._run(line)
                axes = ", ".join(AXES[:rank])
                comma = "," if rank == 1 else ""
                self._run(f'{name} = ps.compute(({", ".join(extents)}{comma}), lambda {axes}: {body}, name="{name}")')
                tensor = self.names[name]
                assert isinstance(tensor, ps.Tensor)
                self.tensors.append(_Tensor(name, tensor.dtype.name, extents, raw=False))
                return
            except (ps.DefinitionError, ps.BoundsError, ps.BudgetError):
                lines, self.made.data, self.tensors, self.count, self.names = state
                del self.made.lines[lines:]
            finally:
                self.pending = []
        self.tensors.append(_Tensor(name, "int64", [self.extents[0]], raw=False))
        self._run(f'{name} = ps.compute(({self.extents[0]},), lambda i: ps.cast("int64", i), name="{name}")')

    def _dtype(self) -> str:
        stages = [tensor.dtype for tensor in self.tensors if not tensor.raw]
        if stages and self.rng.random() < 0.5:
            return stages[-1] if not self.smooth or stages[-1] in FLOATS else "float32"
        if self.smooth:
            return self.rng.choice(FLOATS)
        return self.rng.choices(DTYPES, WEIGHTS)[0]

    def _body(self, extents: list[str]) -> str:
        rng = self.rng
        self.axes = [_Axis(AXES[k], {extent}) for k, extent in enumerate(extents)]
        if rng.random() < 0.5:
            return self._expr(self._dtype(), rng.choice((1, 2, 2, 3)))[0]
        axes, bound_inside = self._reduction_axes()
        over = axes[0] if len(axes) == 1 else f"({', '.join(axes)})"
        kind = rng.choice(("sum", "sum", "sum", "prod", "min", "max", "argmin", "argmax", "any", "all"))
        dtype = "bool" if kind in ("any", "all") and rng.random() < 0.7 else self._dtype()
        narrow = rng.choice((("int8", "int8"), ("uint8", "int8"), ("uint8", "uint8"), ("int16", "int16")))
        if kind == "sum" and not self.smooth and rng.random() < 0.15:
            # What becomes a dot product where the loops are right for it.
            value = " * ".join(f'ps.cast("int32", {self._read(of)})' for of in narrow)
        elif kind.startswith("arg") or kind in ("any", "all"):
            value = self._exact(dtype, 1)
        else:
            value = self._expr(dtype, rng.choice((0, 1, 1, 2)))[0]
        if kind == "prod" and dtype in FLOATS:
            value = f"ps.minimum(ps.maximum({value}, -1), 1)"
        free = ", reassociate=True" if kind in ("sum", "prod") and dtype in FLOATS and rng.random() < 0.2 else ""
        reduction = f"ps.{kind}({value}, axis={over}{free})"
        return f"({', '.join(bound_inside)}, {reduction})[{len(bound_inside)}]" if bound_inside else reduction

    def _reduction_axes(self) -> tuple[list[str], list[str]]:
        """The names of one or two new axes, and how those are bound whose bounds depend on the outer axes."""
        rng = self.rng
        outer_axes = list(self.axes)
        names, inside = [], []
        for letter in "rs"[: rng.choice((1, 1, 1, 2))]:
            name = f"{letter}{self.count}"
            extent = rng.choice(self.extents)
            if outer_axes and rng.random() < 0.3:
                outer = rng.choice(outer_axes)
                extent = rng.choice(sorted(outer.fits))
                bounds = rng.choice((f"0, {outer.name} + 1", f"{outer.name}, {extent}", f"0, {outer.name}"))
                inside.append(f'{name} := ps.reduce_axis(({bounds}), name="{name}")')
            else:
                self.pending.append(f'{name} = ps.reduce_axis((0, {extent}), name="{name}")')
            names.append(name)
            self.axes.append(_Axis(name, {extent}))
        self.count += 1
        return names, inside

    # Elements. Each gives (source, raw): a raw float is exact, so that it may be compared and rounded.

    def _exact(self, dtype: str, depth: int) -> str:
        """An element that has the same value however its operations are rounded."""
        if dtype in FLOATS:
            return self._read(dtype, raw_only=True)
        return self._expr(dtype, depth)[0]

    def _expr(self, dtype: str, depth: int) -> tuple[str, bool]:
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            return self._leaf(dtype)
        if rng.random() < 0.15:
            a, b = self._expr(dtype, depth - 1), self._expr(dtype, depth - 1)
            return f"ps.select({self._condition(depth - 1)}, {a[0]}, {b[0]})", False
        if not self.smooth and rng.random() < 0.12:
            return f'ps.cast("{dtype}", {self._exact(self._dtype(), depth - 1)})', False
        if dtype == "bool":
            return self._bool(depth), False
        if dtype in FLOATS:
            return self._float(dtype, depth), False
        return self._int(dtype, depth), False

    def _leaf(self, dtype: str) -> tuple[str, bool]:
        rng, chance = self.rng, self.rng.random()
        if chance < 0.08 and dtype != "bool":
            return f'ps.cast("{dtype}", {rng.choice((1, 2, 3))})', True
        if chance < 0.14 and self.axes and dtype != "bool" and not self.smooth:
            return f'ps.cast("{dtype}", {self._affine()[0]})', True
        if chance < 0.2:
            name = f"x{self.count}"
            self.count += 1
            self.pending.append(f'{name} = ps.scalar("{name}", "{dtype}")')
            return name, True
        return self._read(dtype), True

    def _condition(self, depth: int) -> str:
        rng = self.rng
        if rng.random() < 0.6 and self.axes:
            left, _ = self._affine()
            right = rng.choice(self.extents) if rng.random() < 0.5 else str(rng.choice((0, 1, 3, 8)))
            return f"({left} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {right})"
        return self._exact("bool", max(0, depth))

    def _bool(self, depth: int) -> str:
        rng = self.rng
        if rng.random() < 0.5:
            dtype = self._dtype()
            a, b = self._exact(dtype, depth - 1), self._exact(dtype, depth - 1)
            return f"({a} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {b})"
        a, b = self._expr("bool", depth - 1)[0], self._expr("bool", depth - 1)[0]
        return rng.choice((f"({a} & {b})", f"({a} | {b})", f"({a} ^ {b})", f"~{a}"))

    def _float(self, dtype: str, depth: int) -> str:
        rng = self.rng
        a, b = self._expr(dtype, depth - 1)[0], self._expr(dtype, depth - 1)[0]
        if self.smooth:
            return rng.choice(
                (f"({a} + {b})", f"({a} * {b})", f"({a} / {b})", f"ps.sqrt({a})", f"ps.minimum({a}, {b})",
                 f"ps.exp(ps.minimum({a}, 2))", f"ps.log({a} + 1)", f"ps.tanh({a})",
                 f"ps.sin(ps.minimum({a}, 1))", f"ps.atan2({a}, {b})", f"ps.cosh(ps.minimum({a}, 2))")
            )  # fmt: skip
        if rng.random() < 0.2:
            raw, other = self._exact(dtype, 0), self._exact(dtype, 0)
            return rng.choice((f"ps.floor({raw})", f"ps.trunc({raw})", f"({raw} // {other})", f"({raw} % {other})"))
        return rng.choice(
            (f"({a} + {b})", f"({a} - {b})", f"({a} * {b})", f"({a} * {b} + {self._expr(dtype, 0)[0]})",
             f"ps.minimum({a}, {b})", f"ps.maximum({a}, {b})", f"(-{a})", f"ps.abs({a})")
        )  # fmt: skip

    def _int(self, dtype: str, depth: int) -> str:
        rng = self.rng
        a, b = self._expr(dtype, depth - 1)[0], self._expr(dtype, depth - 1)[0]
        forms = [f"({a} {op} {b})" for op in ("+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>")]
        forms += [f"ps.minimum({a}, {b})", f"ps.maximum({a}, {b})", f"(~{a})", f"ps.abs({a})", f"({a} + {b} * {a})"]
        forms += [f"({a} // 3)", f"({a} % 5)", f"({a} // -7)"] if dtype in INTS else [f"({a} // 3)", f"({a} % 5)"]
        pair = rng.choice(("saturating_add", "saturating_sub", "halving_add", "rounding_halving_add", "mul_hi"))
        alone = rng.choice(("popcount", "count_leading_zeros", "count_trailing_zeros"))
        forms += [f"ps.{pair}({a}, {b})", f"ps.{alone}({a})", f'ps.cast("{dtype}", ps.absd({a}, {b}))']
        return rng.choice(forms)

    # Accesses.

    def _affine(self) -> tuple[str, str]:
        """An affine expression of the axes that is at least 0, and a bound above it."""
        rng = self.rng
        axis = rng.choice(self.axes)
        extent = rng.choice(sorted(axis.fits))
        match rng.choice(("axis", "axis", "axis", "shift", "stride", "mirror", "div", "mod", "sum")):
            case "axis":
                return axis.name, extent
            case "shift":
                c = rng.choice((1, 2, 7))
                return f"{axis.name} + {c}", f"{extent} + {c}"
            case "stride":
                return f"2 * {axis.name} + 1", f"2 * ({extent}) + 1"
            case "mirror":
                return f"({extent} - 1 - {axis.name})", extent
            case "div":
                c = rng.choice((2, 3, 8))
                return f"{axis.name} // {c}", f"({extent} + {c - 1}) // {c}"
            case "mod":
                c = rng.choice((2, 3, 8))
                return f"{axis.name} % {c}", str(c)
            case _:
                other = rng.choice(self.axes)
                return f"({axis.name} + {other.name})", f"{extent} + {rng.choice(sorted(other.fits))}"

    def _read(self, dtype: str, *, raw_only: bool = False) -> str:
        rng = self.rng
        known = [t for t in self.tensors if t.dtype == dtype and (t.raw or not raw_only)]
        stages = [t for t in known if not t.raw]
        if stages and rng.random() < 0.7:
            return self._read_of(rng.choice(stages))
        others = [t for t in self.tensors if not t.raw and t.dtype not in (dtype, *FLOATS)]
        if others and rng.random() < 0.3 and not self.smooth:
            return f'ps.cast("{dtype}", {self._read_of(rng.choice(others))})'
        if known and rng.random() < 0.4:
            return self._read_of(rng.choice(known))
        return self._read_of_new(dtype)

    def _new(self, dtype: str, extents: list[str], data: str) -> str:
        name = f"A{self.count}"
        self.count += 1
        shape = ", ".join(extents) + ("," if len(extents) == 1 else "")
        strides = ', strides="any"' if extents and self.rng.random() < 0.2 else ""
        self.pending.append(f'{name} = ps.placeholder(({shape}), "{dtype}", name="{name}"{strides})')
        self.made.data[name] = data
        return name

    def _read_of_new(self, dtype: str) -> str:
        rng = self.rng
        places = []
        if self.axes:
            plain = [(axis.name, rng.choice(sorted(axis.fits))) for axis in self.axes]
            match rng.choice(("own", "own", "some", "any")):
                case "own":
                    places = plain
                case "some":
                    places = rng.sample(plain, rng.randint(1, len(plain)))
                case _:
                    places = [self._affine() for _ in range(rng.randint(1, 3))]
        style = "smooth" if self.smooth else "special" if self.special and dtype != "bool" else "exact"
        name = self._new(dtype, [extent for _, extent in places], style)
        self.tensors.append(_Tensor(name, dtype, [extent for _, extent in places], raw=True))
        return f"{name}[{', '.join(index for index, _ in places) or '()'}]"

    def _read_of(self, tensor: _Tensor) -> str:
        """A read of a tensor whose extents are given: fitting axes, guards, clamps and gathers."""
        rng = self.rng
        places, guards = [], []
        for extent in tensor.extents:
            fitting = [axis.name for axis in self.axes if extent in axis.fits]
            chance = rng.random()
            if fitting and chance < 0.6:
                name = rng.choice(fitting)
                places.append(name if rng.random() < 0.85 else f"{extent} - 1 - {name}")
            elif self.axes and chance < 0.75:
                low, index = rng.choice((1, 2)), rng.choice(self.axes).name
                places.append(f"{index} - {low}")
                guards.append(f"({index} >= {low}) & ({index} - {low} < {extent})")
            elif self.axes and chance < 0.9:
                places.append(f"ps.clamp({self._affine()[0]} - {rng.choice((0, 1, 2))}, 0, {extent} - 1)")
            elif self.axes and chance < 0.97:
                axis = rng.choice(self.axes)
                of = rng.choice(("int32", "int64", "uint8"))
                name = self._new(of, [rng.choice(sorted(axis.fits))], extent)
                index = f"{name}[{axis.name}]"
                clamped = f"ps.clamp({index}, 0, {extent} - 1)"
                places.append(clamped if rng.random() < 0.5 else f"ps.checked({index})")
            else:
                places.append("0")
        read = f"{tensor.name}[{', '.join(places) or '()'}]"
        other = "False" if tensor.dtype == "bool" else "1"
        return f"ps.select({' & '.join(guards)}, {read}, {other})" if guards else read
