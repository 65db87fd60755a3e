"""Row-wise kernels over float32: softmax, layernorm and rmsnorm of 4096 x 1024, and sums of 4096 x 4096.

Sums are declared re-associable; schedules are those of `recipes.rowwise`.

Peers where they are installed: torch, ONNX Runtime, Halide (its Python package).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Claim, Report, aligned, interleaved, on, table

import polysched as ps

ROWS, COLUMNS = 4096, 1024
EPSILON = 1e-5
Contenders = dict[str, Callable[[], object]]


def softmax(n: Any, m: Any) -> ps.Tensor:
    """exp(x - max(x)) / sum(exp(x - max(x))) of each row."""
    x = ps.placeholder((n, m), "float32", name="x")
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    top = ps.compute((n,), lambda i: ps.max(x[i, r], axis=r), name="top")
    e = ps.compute((n, m), lambda i, j: ps.exp(x[i, j] - top[i]), name="e")
    total = ps.compute((n,), lambda i: ps.sum(e[i, q], axis=q, reassociate=True), name="total")
    return ps.compute((n, m), lambda i, j: e[i, j] * (1 / total[i]), name="y")


def layernorm(n: Any, m: Any) -> ps.Tensor:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, in two passes as NumPy's variance."""
    x = ps.placeholder((n, m), "float32", name="x")
    weight, bias = (ps.placeholder((m,), "float32", name=name) for name in ("weight", "bias"))
    r, q = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="q")
    count = ps.cast("float32", m)
    total = ps.compute((n,), lambda i: ps.sum(x[i, r], axis=r, reassociate=True), name="total")
    mean = ps.compute((n,), lambda i: total[i] / count, name="mean")

    def square(i: Any, j: Any) -> Any:
        return (x[i, j] - mean[i]) * (x[i, j] - mean[i])

    squares = ps.compute((n,), lambda i: ps.sum(square(i, q), axis=q, reassociate=True), name="squares")
    scale = ps.compute((n,), lambda i: 1 / ps.sqrt(squares[i] / count + EPSILON), name="scale")
    return ps.compute((n, m), lambda i, j: (x[i, j] - mean[i]) * scale[i] * weight[j] + bias[j], name="y")


def rmsnorm(n: Any, m: Any) -> ps.Tensor:
    """x / sqrt(mean(x * x) + epsilon) * weight."""
    x, weight = ps.placeholder((n, m), "float32", name="x"), ps.placeholder((m,), "float32", name="weight")
    r = ps.reduce_axis((0, m), name="r")
    squares = ps.compute((n,), lambda i: ps.sum(x[i, r] * x[i, r], axis=r, reassociate=True), name="squares")
    scale = ps.compute((n,), lambda i: 1 / ps.sqrt(squares[i] / ps.cast("float32", m) + EPSILON), name="scale")
    return ps.compute((n, m), lambda i, j: x[i, j] * scale[i] * weight[j], name="y")


def row_sums(n: Any, m: Any) -> ps.Tensor:
    x, r = ps.placeholder((n, m), "float32", name="x"), ps.reduce_axis((0, m), name="r")
    return ps.compute((n,), lambda i: ps.sum(x[i, r], axis=r, reassociate=True), name="y")


def by_recipe(output: ps.Tensor, target: ps.Target) -> ps.Schedule:
    s = ps.Schedule(output)
    ps.recipes.rowwise(s[output], target)
    return s


def torch_peers(arrays: dict[str, Any], threads: int) -> dict[str, Callable[[], object]]:
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    x, weight, bias, out = (torch.from_numpy(arrays[name]) for name in ("x", "weight", "bias", "peer"))
    return {
        "softmax": lambda: torch.softmax(x, 1, out=out),
        "layernorm": lambda: torch.native_layer_norm(x, (COLUMNS,), weight, bias, EPSILON),
        "rmsnorm": lambda: torch.nn.functional.rms_norm(x, (COLUMNS,), weight, EPSILON),
    }


def onnxruntime_peers(arrays: dict[str, Any], threads: int) -> dict[str, Callable[[], object]]:
    try:
        import onnxruntime
        from onnx import TensorProto, helper
    except ImportError:
        return {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    out = arrays["peer"]

    def bound(operation: str, *inputs: str, **attributes: Any) -> Callable[[], object]:
        def info(name: str, array: Any) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)

        node = helper.make_node(operation, inputs, ["y"], axis=-1, **attributes)
        graph = helper.make_graph([node], "g", [info(i, arrays[i]) for i in inputs], [info("y", out)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        for name in inputs:
            binding.bind_cpu_input(name, arrays[name])
        binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
        return lambda: session.run_with_iobinding(binding)

    return {
        "softmax": bound("Softmax", "x"),
        "layernorm": bound("LayerNormalization", "x", "weight", "bias", epsilon=EPSILON),
        "rmsnorm": bound("SimplifiedLayerNormalization", "x", "weight", epsilon=EPSILON),
    }


def halide_peers(arrays: dict[str, Any], threads: int) -> dict[str, Callable[[], object]]:
    """The same schedules in Halide: everything in the loop over rows, partial results by rfactor."""
    try:
        import halide as hl
    except ImportError:
        return {}
    j, i, u, i_o = hl.Var("j"), hl.Var("i"), hl.Var("u"), hl.Var("i_o")
    width = min(4 * hl.get_host_target().natural_vector_size(hl.Float(32)), 1 << COLUMNS.bit_length() - 1)
    x, weight, bias = (hl.Buffer(arrays[name]) for name in ("x", "weight", "bias"))
    out, one = hl.Buffer(arrays["peer"]), hl.f32(1)

    def reduced(first: Any, combine: Any, value: Any) -> tuple[Any, ...]:
        f, r, outer, inner = hl.Func(), hl.RDom([(0, COLUMNS)]), hl.RVar("outer"), hl.RVar("inner")
        f[i] = first
        f[i] = combine(f[i], value(r.x))
        partial = f.update().split(r.x, outer, inner, width).rfactor(inner, u)
        return f, partial, outer, inner

    def summed(value: Any) -> tuple[Any, ...]:
        return reduced(hl.f32(0), lambda a, b: a + b, value)

    def built(y: Any, reductions: tuple[Any, ...], others: tuple[Any, ...] = ()) -> Callable[[], object]:
        for f, partial, outer, inner in reductions:
            f.compute_at(y, i).update().atomic().vectorize(inner, width)
            partial.compute_at(y, i).vectorize(u, width).update().reorder(u, outer).vectorize(u, width)
        for f in others:
            f.compute_at(y, i).vectorize(j, width)
        y.vectorize(j, width)
        if threads > 1:
            y.split(i, i_o, i, 16).parallel(i_o)
        y.compile_jit()
        return lambda: y.realize(out)

    top, e, y = reduced(hl.f32(-np.inf), hl.max, lambda r: x[r, i]), hl.Func(), hl.Func()
    e[j, i] = hl.exp(x[j, i] - top[0][i])
    total = summed(lambda r: e[r, i])
    y[j, i] = e[j, i] * (one / total[0][i])
    found = {"softmax": built(y, (top, total), (e,))}
    total, y = summed(lambda r: x[r, i]), hl.Func()
    mean = total[0][i] / COLUMNS
    squares = summed(lambda r: (x[r, i] - mean) * (x[r, i] - mean))
    scale = one / hl.sqrt(squares[0][i] / COLUMNS + hl.f32(EPSILON))
    y[j, i] = (x[j, i] - mean) * scale * weight[j] + bias[j]
    found["layernorm"] = built(y, (total, squares))
    squares, y = summed(lambda r: x[r, i] * x[r, i]), hl.Func()
    y[j, i] = x[j, i] * (one / hl.sqrt(squares[0][i] / COLUMNS + hl.f32(EPSILON))) * weight[j]
    found["rmsnorm"] = built(y, (squares,))
    return found


PEERS = {"torch": torch_peers, "onnxruntime": onnxruntime_peers, "halide": halide_peers}


def expected(name: str, arrays: dict[str, Any]) -> Any:
    """In float64."""
    x = arrays["x"].astype(np.float64)
    if name == "softmax":
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)
    if name == "layernorm":
        scaled = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + EPSILON)
        return scaled * arrays["weight"] + arrays["bias"]
    return x / np.sqrt((x * x).mean(1, keepdims=True) + EPSILON) * arrays["weight"]


def run(report: Report, target: ps.Target) -> None:
    rng = np.random.default_rng(3)
    arrays = {name: aligned(rng.standard_normal(shape, np.float32)) for name, shape in SHAPES.items()}
    x, out, peer = arrays["x"], arrays["out"], arrays["peer"]
    peers = {name: make(arrays, target.threads) for name, make in PEERS.items()}
    for definition, names in ((softmax, ()), (layernorm, ("weight", "bias")), (rmsnorm, ("weight",))):
        name = definition.__name__
        kernel = by_recipe(definition(ROWS, COLUMNS), target).build(target)
        inputs = [x, *(arrays[other] for other in names)]
        contenders: Contenders = {"polysched": lambda k=kernel, a=inputs: k(*a, out=out)}
        contenders |= {other: made[name] for other, made in peers.items() if name in made}
        contenders["copy"] = lambda: np.copyto(out, x)
        for contender in list(contenders)[:-1]:
            peer[:] = out[:] = 0
            result = contenders[contender]()
            found = out if contender == "polysched" else _filled(peer, result)
            np.testing.assert_allclose(found, expected(name, arrays), rtol=2e-5, atol=2e-6, err_msg=contender)
        work = x.nbytes * 2e-9
        measured = interleaved(name, contenders, rounds=21, work=work, unit="GB", threads=target.threads)
        print(f"{name}, {ROWS} x {COLUMNS} float32, {on(target.threads)}\n{table(measured, 'polysched')}")
        report.measurements += measured.values()
        others = [m.median for contender, m in measured.items() if contender in PEERS]
        if others and target.threads == 1:
            ratio = min(others) / measured["polysched"].median
            report.claims.append(Claim(f"{name}: speed relative to the best peer", ratio, 1.0))
    if target.threads == 1:
        _row_sums(report, target)


SHAPES = {"x": (ROWS, COLUMNS), "weight": COLUMNS, "bias": COLUMNS, "out": (ROWS, COLUMNS), "peer": (ROWS, COLUMNS)}


def _filled(peer: Any, result: Any) -> Any:
    """What a peer computed: into the array that it was given, or one of its own."""
    first = result[0] if isinstance(result, tuple) else result
    return first.numpy() if hasattr(first, "numpy") else peer


def _row_sums(report: Report, target: ps.Target) -> None:
    """Against reading alone: the largest of all elements as integers, in sixteen vectors that wait for nothing."""
    size = 4096
    x = np.random.default_rng(4).random((size, size), np.float32)
    kernel, out = by_recipe(row_sums(size, size), target).build(target), np.empty(size, np.float32)
    kernel(x, out=out)
    np.testing.assert_allclose(out, x.sum(1, dtype=np.float64), rtol=1e-5)
    A, r = ps.placeholder((size * size,), "int32", name="A"), ps.reduce_axis((0, size * size), name="r")
    s = ps.Schedule(ps.compute((1,), lambda i: ps.max(A[r], axis=r), name="largest"))
    _, inner = s["largest"].split("r", 4 * target.vector_bits // 8)
    s["largest"].vectorize(inner)
    reading, flat, largest = s.build(target), x.view(np.int32).reshape(-1), np.empty(1, np.int32)
    contenders: Contenders = {
        "polysched": lambda: kernel(x, out=out),
        "reading": lambda: reading(flat, out=largest),
        "numpy": lambda: np.add.reduce(x, axis=1),
    }
    measured = interleaved("row sums", contenders, rounds=21, work=x.nbytes * 1e-9, unit="GB")
    print(f"sums of the rows of {size} x {size} float32, one thread\n{table(measured, 'reading')}")
    report.measurements += measured.values()
    ratio = measured["reading"].median / measured["polysched"].median
    report.claims.append(Claim("row sums: share of the read bandwidth", ratio, 0.9))
