"""Every operation on every type in every number of lanes gives NumPy's bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from polysched.compute.dtypes import DTYPES
from polysched.compute.expr import Cast, Const, Expr, Op, Scalar, const
from polysched.compute.operations import COMPARISONS, OPERATIONS, TRANSCENDENTAL, apply
from polysched.errors import DefinitionError
from polysched.lower.ir import HORIZONTAL, For, Load, Stmt, Store, Var
from polysched.lower.llvm import Note

LANES = (1, 3, 4, 8, 16, 17)
EXACT = [operation for operation in OPERATIONS.values() if operation.name not in TRANSCENDENTAL]


def over_lanes(lab: Any, out: Any, count: int, value: Any) -> list[Stmt]:
    """out[row, :] = value(index), in each number of lanes its own row; what does not fill a vector is left."""
    loops: list[Stmt] = []
    for row, lanes in enumerate(LANES):
        i = Var("i")
        at = lab.ramp(apply("mul", i, lanes), lanes)
        loops.append(For(i, const(0), const(count // lanes), Store(out, (const(row), at), value(at))))
    return loops


def check_rows(lab: Any, found: Any, expected: Any, what: str) -> None:
    for row, lanes in enumerate(LANES):
        filled = found.shape[1] // lanes * lanes
        lab.assert_same_bits(found[row, :filled], expected[:filled], f"{what} in {lanes} lanes")


def run_all(lab: Any, inputs: list[Any], values: dict[str, Any], machine: Any, level: int) -> dict[str, Any]:
    """Each value's rows, computed by one kernel."""
    count = len(inputs[0])
    arrays = [lab.array(f"x{n}", x.dtype.name, count) for n, x in enumerate(inputs)]
    outputs, body = [], []
    for name, value in values.items():
        loads = [lambda at, b=buffer: Load(b, (at,)) for _, buffer in arrays]
        dtype = value(*(load(const(0)) for load in loads)).dtype
        out = lab.array(name, dtype.name, len(LANES), count, output=True)
        outputs.append(out)
        body += over_lanes(lab, out[1], count, lambda at, v=value, ls=loads: v(*(load(at) for load in ls)))
    kernel = lab.build(body, (*arrays, *outputs), machine=machine, level=level)
    results = [np.zeros((len(LANES), count), parameter.dtype.numpy) for parameter, _ in outputs]
    assert kernel(*inputs, *results) == 0
    return dict(zip(values, results, strict=True))


def numpy_value(operation: Any, operands: Any) -> Any:
    """NumPy's result; of zeros with different signs, min and max take -0.0 for the lesser."""
    with np.errstate(all="ignore"):
        result = np.asarray(operation.numpy(*operands))
    if operation.name in ("min", "max") and result.dtype.kind == "f":
        a, b = operands
        least = operation.name == "min"
        zeros = (a == 0) & (b == 0)
        sign = np.signbit(a) | np.signbit(b) if least else np.signbit(a) & np.signbit(b)
        result = np.where(zeros, np.where(sign, -0.0, 0.0).astype(result.dtype), result)
    return result


@pytest.mark.parametrize("machine", ["NATIVE", "BASELINE"])
@pytest.mark.parametrize("name", DTYPES)
def test_operation_gives_the_bits_of_numpy(lab: Any, name: str, machine: str) -> None:
    a, b = lab.pairs(DTYPES[name])
    if machine == "BASELINE":
        a, b = a[:: 1 if name == "bool" else 7].copy(), b[:: 1 if name == "bool" else 7].copy()
    values, expected = {}, {}
    for operation in EXACT:
        try:
            numpy = numpy_value(operation, (a, b)[: operation.arity])
        except TypeError:
            with pytest.raises(DefinitionError):
                apply(operation.name, *(Const(1, DTYPES[name]) for _ in range(operation.arity)))
            continue
        expected[operation.name] = numpy
        values[operation.name] = lambda x, y, o=operation: apply(o.name, *(x, y)[: o.arity])
    found = run_all(lab, [a, b], values, getattr(lab, machine), 1 if machine == "NATIVE" else 0)
    assert len(found) > 15
    for operation_name, result in found.items():
        check_rows(lab, result, expected[operation_name], f"{operation_name} on {name}")


@pytest.mark.parametrize("name", [name for name in DTYPES if DTYPES[name].is_int])
def test_constant_divisors_and_counts(lab: Any, name: str) -> None:
    dtype = DTYPES[name]
    a, _ = lab.pairs(dtype)
    constants = [0, 1, 2, 3, 7, 8, 10, 64, dtype.highest, dtype.bits - 1, dtype.bits]
    constants += [-1, -2, -3, -8, dtype.lowest] if dtype.kind == "int" else []
    values, expected = {}, {}
    for number in constants:
        for operation in ("floordiv", "mod", "shl", "shr"):
            key = f"{operation} {number}"
            values[key] = lambda x, o=operation, n=number: Op(o, (x, Const(n, x.dtype)), x.dtype)
            expected[key] = numpy_value(OPERATIONS[operation], (a, dtype.numpy.type(number)))
    for key, result in run_all(lab, [a], values, lab.NATIVE, 1).items():
        check_rows(lab, result, expected[key], f"{name} {key}")


def test_comparisons_of_signed_with_unsigned_are_mathematical(lab: Any) -> None:
    a, _ = lab.pairs(DTYPES["int64"])
    _, b = lab.pairs(DTYPES["uint64"])
    a, b = np.resize(a, 1000), np.resize(b, 1000)
    values = {name: lambda x, y, n=name: apply(n, x, y) for name in COMPARISONS}
    values |= {f"{name} swapped": lambda x, y, n=name: apply(n, y, x) for name in COMPARISONS}
    found = run_all(lab, [a, b], values, lab.NATIVE, 1)
    exact = list(zip(map(int, a), map(int, b), strict=True))
    for name, result in found.items():
        python = f"__{name.split()[0]}__"
        expected = [getattr(y, python)(x) if "swapped" in name else getattr(x, python)(y) for x, y in exact]
        check_rows(lab, result, np.array(expected), name)


@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("machine", ["NATIVE", "BASELINE"])
def test_fma_is_rounded_once_where_the_machine_can(lab: Any, name: str, machine: str) -> None:
    a, b = lab.pairs(DTYPES[name])
    value = {"fma": lambda x, y: Op("fma", (x, y, apply("neg", x)), x.dtype)}
    found = run_all(lab, [a, b], value, getattr(lab, machine), 1)["fma"]
    with np.errstate(all="ignore"):
        expected = a * b + -a
    if getattr(lab, machine).has_fma:
        fma = lab.libm("fma", DTYPES[name], 3)
        expected = np.array([fma(float(x), float(y), -float(x)) for x, y in zip(a, b, strict=True)], a.dtype)
    check_rows(lab, found, expected, "fma")


def test_fma_on_halves_rounds_twice(lab: Any) -> None:
    a, b = lab.pairs(DTYPES["float16"])
    value = {"fma": lambda x, y: Op("fma", (x, y, x), x.dtype)}
    found = run_all(lab, [a, b], value, lab.NATIVE, 1)["fma"]
    with np.errstate(all="ignore"):
        check_rows(lab, found, (a * b).astype(np.float16) + a, "fma")


@pytest.mark.parametrize("name", DTYPES)
def test_select(lab: Any, name: str) -> None:
    a, b = lab.pairs(DTYPES[name])
    condition = np.random.default_rng(1).integers(0, 3, len(a)).astype(np.uint8).view(np.bool_)  # 2 is true as well
    choose = {"each": lambda c, x, y: Op("select", (c, x, y), x.dtype)}
    choose["all"] = lambda c, x, y: Op("select", (Load(c.buffer, (const(3),)), x, y), x.dtype)
    choose["literal"] = lambda c, x, y: Op("select", (c, x, Const(1, x.dtype)), x.dtype)
    found = run_all(lab, [condition, a, b], choose, lab.NATIVE, 1)
    truth = condition.view(np.uint8) != 0
    check_rows(lab, found["each"], np.where(truth, a, b), "select")
    check_rows(lab, found["all"], a if truth[3] else b, "select all")
    check_rows(lab, found["literal"], np.where(truth, a, np.ones_like(a)), "select a literal")


def by_halves(operation: Any, lanes: Any) -> Any:
    """The lower half with the upper half, and so on with the result; an odd last lane after the others."""
    if len(lanes) == 1:
        return lanes[0]
    half = len(lanes) // 2
    result = by_halves(operation, operation(lanes[:half], lanes[half : 2 * half]))
    return operation(result, lanes[-1]) if len(lanes) % 2 else result


@pytest.mark.parametrize("name", DTYPES)
def test_lanes_are_combined_by_halves(lab: Any, name: str) -> None:
    dtype = DTYPES[name]
    random = np.random.default_rng(2)
    data = random.permutation(lab.pairs(dtype)[0])[:200].copy()
    small = random.standard_normal(200).astype(dtype.numpy) if dtype.is_float else data
    inputs = (data, small, np.negative(np.zeros_like(data)) if dtype.is_float else data)
    operations = sorted(HORIZONTAL - ({"lanes_and", "lanes_or"} if dtype.is_float else set()))
    arrays = [lab.array(f"x{n}", name, 200) for n in range(3)]
    out = lab.array("out", name, len(operations), len(LANES), 3, output=True)
    body = [
        Store(out[1], (const(o), const(row), const(n)), Op(op, (Load(buffer, (lab.ramp(5, lanes),)),), dtype))
        for o, op in enumerate(operations)
        for row, lanes in enumerate(LANES)
        for n, (_, buffer) in enumerate(arrays)
    ]
    kernel = lab.build(body, (*arrays, out))
    found = np.zeros((len(operations), len(LANES), 3), dtype.numpy)
    assert kernel(*inputs, found) == 0
    numpy = {"lanes_and": np.bitwise_and, "lanes_or": np.bitwise_or}
    numpy |= {f"lanes_{op}": getattr(np, OPERATIONS[op].ufunc) for op in ("add", "mul", "min", "max")}
    for o, op in enumerate(operations):
        for row, lanes in enumerate(LANES):
            for n, values in enumerate(inputs):
                with np.errstate(all="ignore"):
                    expected = by_halves(numpy[op], values[5 : 5 + lanes])
                lab.assert_same_bits(found[o, row, n : n + 1], np.array([expected], dtype.numpy), f"{op} of {lanes}")


@pytest.mark.parametrize("name", DTYPES)
def test_literals_are_exact(lab: Any, name: str) -> None:
    dtype = DTYPES[name]
    values = lab.edges(dtype)
    out = lab.array("out", name, len(values), 2, output=True)
    body: list[Stmt] = []
    for n, value in enumerate(values):
        literal = Const(value.item(), dtype)
        body.append(Store(out[1], (const(n), lab.ramp(0, 2)), literal))
    found = np.zeros((len(values), 2), dtype.numpy)
    assert lab.build(body, (out,), level=0)(found) == 0
    lab.assert_same_bits(found, np.stack([values, values], axis=1))


@pytest.mark.parametrize("name", DTYPES)
def test_scalar_parameters(lab: Any, name: str) -> None:
    dtype = DTYPES[name]
    value = lab.edges(dtype)[-1].item()
    out = lab.array("out", name, 3, output=True)
    body = Store(out[1], (lab.ramp(0, 3),), Scalar("x", dtype, 0))
    found = np.zeros(3, dtype.numpy)
    for machine in (lab.NATIVE, lab.BASELINE):
        kernel = lab.build(body, (out,), scalars=(("x", dtype),), machine=machine)
        assert kernel(found, scalars=(value,)) == 0
        lab.assert_same_bits(found, np.full(3, value, dtype.numpy))


def test_an_expression_used_twice_is_emitted_once(lab: Any) -> None:
    """Repeated squaring shares its operands: 2 ** 60 paths, 60 nodes."""
    out, x = lab.array("out", "int64", 4, output=True), lab.array("x", "int64", 4)
    power: Expr = Load(x[1], (lab.ramp(0, 4),))
    index: Expr = Var("i")
    start = index
    for _ in range(60):
        power, index = apply("mul", power, power), apply("add", index, index)
    body = For(start, const(0), const(2), Store(out[1], (lab.ramp(0, 4),), apply("add", power, apply("lt", index, 5))))
    emitted = lab.emit(body, (x, out))
    assert emitted.text.count("\n") < 250


def test_notes_say_what_is_done_lane_by_lane(lab: Any) -> None:
    x, at, out = (
        lab.array("x", "float32", 64),
        lab.array("at", "int64", 64),
        lab.array("out", "float32", 64, output=True),
    )
    lanes = lab.ramp(0, 8)
    loads = Load(x[1], (lanes,))
    body = [
        Store(out[1], (lanes,), apply("sin", loads)),
        Store(out[1], (Load(at[1], (lanes,)),), Load(x[1], (apply("mul", lanes, 5),))),
        Store(out[1], (lanes,), Cast(apply("floordiv", Load(at[1], (lanes,)), Load(at[1], (lanes,))), loads.dtype)),
        Store(out[1], (const(0),), apply("mod", Load(x[1], (const(0),)), Const(2.0, loads.dtype))),
    ]
    assert lab.emit(body, (x, at, out), machine=lab.BASELINE).notes == (
        Note("gather", "x", 8),
        Note("scatter", "out", 8),
        Note("division", "int64", 8),
    )
