"""Text of one LLVM function, written block by block, with a way out for everything that is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping

from ..compute.expr import Const, Expr, Op, Size


class Writer:
    """Lines of a function whose blocks follow each other; `require` leaves for the block `reject`.

    `held` says how far the function has come, and reaches `reject` as the value of its phi; `block` is the label of
    the block that is being written.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.held = 0
        self._exits: list[tuple[str, int]] = []
        self._conditions: list[str] = []
        self.block = "entry"
        self._names = 0

    def do(self, instruction: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {instruction}")

    def value(self, instruction: str) -> str:
        """The result of an instruction."""
        self._names += 1
        self.lines.append(f"  %v{self._names} = {instruction}")
        return f"%v{self._names}"

    def load(self, of_type: str, pointer: str, offset: int = 0) -> str:
        """What is `offset` bytes after the pointer."""
        return self.value(f"load {of_type}, ptr {self.offset(pointer, offset)}")

    def offset(self, pointer: str, offset: int) -> str:
        """The address `offset` bytes after the pointer."""
        return self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer

    def require(self, condition: str) -> None:
        """Leave, at the next `settle`, if the condition does not hold."""
        self._conditions.append(condition)

    def compare(self, how: str, a: str, b: str, of_type: str = "i64") -> str:
        return self.value(f"icmp {how} {of_type} {a}, {b}")

    def any_of(self, conditions: list[str]) -> str:
        first, *others = conditions
        for other in others:
            first = self.value(f"or i1 {first}, {other}")
        return first

    def settle(self) -> None:
        """Test what was required; what follows may rely on it."""
        if not self._conditions:
            return
        holds, *others = self._conditions
        for other in others:
            holds = self.value(f"and i1 {holds}, {other}")
        self._conditions.clear()
        self._exits.append((self.block, self.held))
        self._names += 1
        block = f"b{self._names}"
        self.do(f"br i1 {holds}, label %{block}, label %reject")
        self.begin(block)

    def begin(self, block: str) -> None:
        """Start a block."""
        self.lines.append(f"{block}:")
        self.block = block

    @property
    def exits(self) -> str:
        """The incoming values of the phi of `reject`: `held`, for each way there."""
        return ", ".join(f"[ {held}, %{block} ]" for block, held in self._exits)

    def extent(self, expr: Expr, sizes: Mapping[str, str]) -> str:
        """The value of an extent, as `evaluate_extent` computes it; requires that nothing overflows, nor divides by
        what is not positive."""
        match expr:
            case Const(value):
                return str(int(value))
            case Size(name):
                return sizes[name]
            case Op("neg", (operand,)):
                return self.checked("sub", "0", self.extent(operand, sizes))
            case Op(name, (left, right)):
                a, b = self.extent(left, sizes), self.extent(right, sizes)
                if name in ("add", "sub", "mul"):
                    return self.checked(name, a, b)
                if name in ("min", "max"):
                    return self.value(f"call i64 @llvm.s{name}.i64(i64 {a}, i64 {b})")
                return self._divided(name, a, b)
        raise AssertionError(f"{expr} is not an extent")

    def checked(self, name: str, a: str, b: str) -> str:
        """The sum, difference or product; requires that it does not overflow."""
        pair = self.value(f"call {{ i64, i1 }} @llvm.s{name}.with.overflow.i64(i64 {a}, i64 {b})")
        overflows = self.value(f"extractvalue {{ i64, i1 }} {pair}, 1")
        self.require(self.value(f"xor i1 {overflows}, true"))
        return self.value(f"extractvalue {{ i64, i1 }} {pair}, 0")

    def _divided(self, name: str, a: str, b: str) -> str:
        """Quotient or remainder of floor division; requires a positive divisor."""
        self.require(self.compare("sgt", b, "0"))
        self.settle()
        remainder = self.value(f"srem i64 {a}, {b}")
        negative = self.compare("slt", remainder, "0")
        if name == "mod":
            return self.value(f"select i1 {negative}, i64 {self.value(f'add i64 {remainder}, {b}')}, i64 {remainder}")
        assert name == "floordiv"
        quotient = self.value(f"sdiv i64 {a}, {b}")
        return self.value(f"sub i64 {quotient}, {self.value(f'zext i1 {negative} to i64')}")
