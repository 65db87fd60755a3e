"""Kernels written by hand in LLVM IR, in the form that lower/abi.py prescribes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Expr, Size
from polysched.compute.tensor import size_var, validated_shape
from polysched.lower.abi import ArrayParameter, RuntimeCheck, ScalarParameter, Signature
from polysched.target.kernel import Kernel
from polysched.target.machine import Target

Shape = tuple[Expr | int, ...]
F32, F64, I32, I64, BOOL = (DTYPES[name] for name in ("float32", "float64", "int32", "int64", "bool"))


def flat(parameters: str, count: str, body: str, result: str = "0") -> str:
    """A kernel that runs `body` for %i from 0 to the value of the instruction `count`."""
    return f"""
define i32 @kernel({parameters}, ptr %parallel, i32 %threads, ptr noalias %status) nounwind {{
entry:
  %count = {count}
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %continue ]
{body}
  br label %continue
continue:
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  ret i32 {result}
}}
"""


def element(name: str, of_type: str, index: str = "%i") -> str:
    """%p<name> points to the element of %<name>."""
    return f"  %p{name} = getelementptr {of_type}, ptr %{name}, i64 {index}\n"


def load(name: str, of_type: str, index: str = "%i") -> str:
    return element(name, of_type, index) + f"  %v{name} = load {of_type}, ptr %p{name}, align 1\n"


def store(name: str, of_type: str, value: str, index: str = "%i") -> str:
    return element(name, of_type, index) + f"  store {of_type} {value}, ptr %p{name}, align 1\n"


def make(name: str, signature: Signature, text: str, target: Target | None = None) -> Kernel:
    return Kernel(
        name,
        signature,
        text,
        target or Target(threads=4),
        sources={"loops": "the loops", "isl": lambda: "the schedule"},
        timings={"lower": 1.5},
        warnings=("P001: none",),
        rounding="exact",
    )


def add_signature(**promises: int) -> Signature:
    n = size_var("n", **promises)
    a, b, c = (ArrayParameter(name, F32, (n,), output=name == "C") for name in "ABC")
    return Signature((a, b), (c,), (n,))


ADD = flat(
    "ptr noalias %A, ptr noalias %B, ptr noalias %C, i64 %n",
    "add i64 %n, 0",
    load("A", "float") + load("B", "float") + "  %sum = fadd float %vA, %vB\n" + store("C", "float", "%sum"),
)


@pytest.fixture(scope="session")
def add() -> Kernel:
    """C[n] = A[n] + B[n], float32."""
    return make("add", add_signature(), ADD)


@pytest.fixture(scope="session")
def add_for() -> Callable[..., Kernel]:
    """`add` for a target, with promises about n."""
    return lambda target=None, **promises: make("add", add_signature(**promises), ADD, target)


@pytest.fixture(scope="session")
def two_outputs() -> Kernel:
    """S[n] = A[n] + 1 and D[n] = 2 A[n], int32; D is a positional argument."""
    n = size_var("n")
    a, s, d = (ArrayParameter(name, I32, (n,), output=name != "A") for name in "ASD")
    text = flat(
        "ptr noalias %A, ptr noalias %D, ptr noalias %S, i64 %n",
        "add i64 %n, 0",
        load("A", "i32")
        + "  %s = add i32 %vA, 1\n  %d = shl i32 %vA, 1\n"
        + store("S", "i32", "%s")
        + store("D", "i32", "%d"),
    )
    return make("two", Signature((a, d), (s, d), (n,)), text)


@pytest.fixture(scope="session")
def scalars_of() -> Callable[[str], Kernel]:
    """A kernel out[] = x for a scalar x of the type of that name, passed before the array."""
    types = {"float16": "half", "float32": "float", "float64": "double", "bool": "i8"}

    def kernel(name: str) -> Kernel:
        dtype = DTYPES[name]
        of_type = types.get(name, f"i{dtype.bits}")
        out = ArrayParameter("out", dtype, (), output=True)
        text = flat(f"ptr noalias %out, {of_type} %x", "add i64 1, 0", store("out", of_type, "%x"))
        return make("scalar", Signature((ScalarParameter("x", dtype), out), (out,), ()), text)

    made: dict[str, Kernel] = {}
    return lambda name: made.setdefault(name, kernel(name)) if name not in made else made[name]


@pytest.fixture(scope="session")
def strided() -> Kernel:
    """C[n, m] = A[n, m] for an A of any strides, float32."""
    n, m = size_var("n"), size_var("m")
    a = ArrayParameter("A", F32, (n, m), strides="any")
    c = ArrayParameter("C", F32, (n, m), output=True)
    text = flat(
        "ptr noalias %A, ptr noalias %C, i64 %n, i64 %m, i64 %s0, i64 %s1",
        "mul i64 %n, %m",
        "  %row = udiv i64 %i, %m\n  %column = urem i64 %i, %m\n"
        "  %down = mul i64 %row, %s0\n  %right = mul i64 %column, %s1\n  %at = add i64 %down, %right\n"
        + load("A", "float", "%at")
        + store("C", "float", "%vA"),
    )
    return make("strided", Signature((a,), (c,), (n, m)), text)


@pytest.fixture(scope="session")
def gather() -> Kernel:
    """C[n] = A[I[n]] with every index checked, float64; A has m elements."""
    n, m = size_var("n"), size_var("m")
    a, i = ArrayParameter("A", F64, (m,)), ArrayParameter("I", I64, (n,))
    c = ArrayParameter("C", F64, (n,), output=True)
    text = flat(
        "ptr noalias %A, ptr noalias %I, ptr noalias %C, i64 %n, i64 %m",
        "add i64 %n, 0",
        load("I", "i64")
        + "  %good = icmp ult i64 %vI, %m\n  br i1 %good, label %read, label %bad\n"
        + "bad:\n  store i64 1, ptr %status\n  %second = getelementptr i64, ptr %status, i64 1\n"
        + "  store i64 %vI, ptr %second\n  ret i32 2\nread:\n"
        + load("A", "double", "%vI")
        + store("C", "double", "%vA"),
    )
    checks = (RuntimeCheck("B", 3), RuntimeCheck("A", 0, "gather.py:7"))
    return make("gather", Signature((a, i), (c,), (n, m), checks=checks), text)


@pytest.fixture(scope="session")
def hungry() -> Kernel:
    """A kernel of A[n] that always says that there is no memory."""
    n = size_var("n")
    a, c = ArrayParameter("A", F32, (n,)), ArrayParameter("C", F32, (n,), output=True)
    text = flat("ptr noalias %A, ptr noalias %C, i64 %n", "add i64 0, 0", "", result="1")
    return make("hungry", Signature((a,), (c,), (n,)), text)


@pytest.fixture(scope="session")
def waiting() -> Kernel:
    """C[] = 1 as soon as A[] is not 0; it gives up after some seconds."""
    a, c = ArrayParameter("A", I64, ()), ArrayParameter("C", I64, (), output=True)
    text = flat(
        "ptr noalias %A, ptr noalias %C",
        "add i64 10000000000, 0",
        "  %flag = load volatile i64, ptr %A\n  %waits = icmp eq i64 %flag, 0\n"
        "  br i1 %waits, label %on, label %seen\nseen:\n  store i64 1, ptr %C\n  ret i32 0\non:\n",
    )
    return make("waiting", Signature((a,), (c,), ()), text)


# Each call of the body claims indices until there are none left.
PARALLEL = """
define internal void @body(ptr %data) nounwind {
entry:
  %pn = getelementptr i8, ptr %data, i64 8
  %pc = getelementptr i8, ptr %data, i64 16
  %n = load i64, ptr %pn
  %C = load ptr, ptr %pc
  br label %claim
claim:
  %i = atomicrmw add ptr %data, i64 1 monotonic
  %some = icmp slt i64 %i, %n
  br i1 %some, label %run, label %done
run:
  %p = getelementptr i64, ptr %C, i64 %i
  %square = mul i64 %i, %i
  store i64 %square, ptr %p, align 1
  br label %claim
done:
  ret void
}

define i32 @kernel(ptr noalias %C, i64 %n, ptr %parallel, i32 %threads, ptr noalias align 8 %status) nounwind {
  %data = alloca [3 x i64]
  %pn = getelementptr i8, ptr %data, i64 8
  %pc = getelementptr i8, ptr %data, i64 16
  store i64 0, ptr %data
  store i64 %n, ptr %pn
  store ptr %C, ptr %pc
  call void %parallel(ptr @body, ptr %data, i32 %threads, i32 0)
  ret i32 0
}
"""


@pytest.fixture(scope="session")
def squares_for() -> Callable[[Target], Kernel]:
    """C[n] = i * i in parallel; n is in no input's shape."""
    n = size_var("n")
    c = ArrayParameter("C", I64, (n,), output=True)
    return lambda target: make("squares", Signature((), (c,), (n,)), PARALLEL, target)


@pytest.fixture(scope="session")
def shapes_for() -> Callable[..., Kernel]:
    """A kernel that does nothing, for tests of shapes: of C, of the inputs A0, A1, ..., and of an intermediate T."""

    def kernel(sizes: tuple[Size, ...], shape: Shape, *shapes: Shape, hidden: Shape = ()) -> Kernel:
        inputs = tuple(ArrayParameter(f"A{k}", I32, validated_shape(s, "A")) for k, s in enumerate(shapes))
        c = ArrayParameter("C", I32, validated_shape(shape, "C"), output=True)
        intermediates = (("T", validated_shape(hidden, "T")),) if hidden else ()
        parameters = [*(f"ptr %{p.name}" for p in inputs), "ptr %C", *(f"i64 %{s.name}" for s in sizes)]
        text = flat(", ".join(parameters), "add i64 0, 0", "")
        return make("shapes", Signature(inputs, (c,), sizes, intermediates), text)

    return kernel
