"""The workloads of functions.py in other systems.

Each maker returns a call that fills `out`, or None where the system is not installed or has no such function.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Runner = Callable[[], object]
Maker = Callable[[str, tuple[Array, ...], Array], "Runner | None"]

ROOT = 0.7978845608028654  # sqrt(2 / pi)
CUBE = 0.044715


def numexpr(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    try:
        import numexpr as ne
    except ImportError:
        return None
    ne.set_num_threads(1)
    ne.set_vml_num_threads(1) if ne.use_vml else None
    expression = {
        "exp": "exp(a)",
        "gelu": "h * a * (o + tanh(r * (a + k * a * a * a)))",
        "fused": "sqrt(a * a + b * b) / (o + exp(-c))",
    }[name]
    constants = {key: np.float32(value) for key, value in (("h", 0.5), ("o", 1.0), ("r", ROOT), ("k", CUBE))}
    values = {**dict(zip("abc", arrays, strict=False)), **constants}
    return lambda: ne.evaluate(expression, local_dict=values, out=out)


def torch(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    try:
        import torch as pt
    except ImportError:
        return None
    pt.set_num_threads(1)
    tensors, result = [pt.from_numpy(array) for array in arrays], pt.from_numpy(out)
    if name == "exp":
        return lambda: pt.exp(tensors[0], out=result)
    if name == "gelu":
        return lambda: pt.ops.aten.gelu.out(tensors[0], approximate="tanh", out=result)
    a, b, c = tensors
    other = pt.empty_like(result)

    def fused() -> None:
        pt.mul(a, a, out=result)
        result.addcmul_(b, b).sqrt_()
        pt.sigmoid(c, out=other)
        result.mul_(other)

    return fused


def onnxruntime(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    try:
        import onnx
        import onnxruntime as ort
    except ImportError:
        return None
    node = onnx.helper.make_node
    nodes = {
        "exp": [node("Exp", ["a"], ["out"])],
        "gelu": [node("Gelu", ["a"], ["out"], approximate="tanh")],
        "fused": [
            *(node("Mul", [x, x], [x * 2]) for x in "ab"),
            *(node("Add", ["aa", "bb"], ["s"]), node("Sqrt", ["s"], ["h"]), node("Sigmoid", ["c"], ["q"])),
            node("Mul", ["h", "q"], ["out"]),
        ],
    }[name]
    info = lambda key: onnx.helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, out.shape)  # noqa: E731
    graph = onnx.helper.make_graph(nodes, name, [info(key) for key in "abc"[: len(arrays)]], [info("out")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for key, array in zip("abc", arrays, strict=False):
        binding.bind_cpu_input(key, array)
    binding.bind_output("out", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    return lambda: session.run_with_iobinding(binding)


def opencv(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    try:
        import cv2
    except ImportError:
        return None
    if name != "exp":
        return None
    cv2.setNumThreads(1)
    return lambda: cv2.exp(arrays[0], out)


def halide(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    """Four vectors at once, which is faster than one; gelu by exp, which is faster than tanh and as exact."""
    try:
        import halide as hl
    except ImportError:
        return None
    x, y = hl.Var("x"), hl.Var("y")
    buffers = [hl.Buffer(array) for array in arrays]
    values = [buffer[x, y] for buffer in buffers]
    one = hl.f32(1)
    func = hl.Func(name)
    a = values[0]
    if name == "exp":
        func[x, y] = hl.exp(a)
    elif name == "gelu":
        func[x, y] = a / (one + hl.exp(hl.f32(-2 * ROOT) * (a + hl.f32(CUBE) * a * a * a)))
    else:
        func[x, y] = hl.sqrt(a * a + values[1] * values[1]) / (one + hl.exp(-values[2]))
    target = hl.get_host_target()
    func.vectorize(x, 4 * target.natural_vector_size(hl.Float(32)))
    func.compile_jit(target)
    result = hl.Buffer(out)
    return lambda: func.realize(result)


def numba(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    try:
        import numba as nb
    except ImportError:
        return None
    one, half, root, cube = (np.float32(value) for value in (1.0, 0.5, ROOT, CUBE))

    @nb.njit(fastmath=True)
    def exp(a, o):  # type: ignore[no-untyped-def]
        for i in range(a.size):
            o[i] = np.exp(a[i])

    @nb.njit(fastmath=True)
    def gelu(a, o):  # type: ignore[no-untyped-def]
        for i in range(a.size):
            o[i] = half * a[i] * (one + np.tanh(root * (a[i] + cube * a[i] * a[i] * a[i])))

    @nb.njit(fastmath=True)
    def fused(a, b, c, o):  # type: ignore[no-untyped-def]
        for i in range(a.size):
            o[i] = np.sqrt(a[i] * a[i] + b[i] * b[i]) / (one + np.exp(-c[i]))

    function = {"exp": exp, "gelu": gelu, "fused": fused}[name]
    flat = [array.ravel() for array in (*arrays, out)]
    return lambda: function(*flat)


C_SOURCE = f"""
#include <math.h>
void exp_(const float *restrict a, float *restrict o, long n) {{
  for (long i = 0; i < n; i++) o[i] = expf(a[i]);
}}
void gelu_(const float *restrict a, float *restrict o, long n) {{
  for (long i = 0; i < n; i++)
    o[i] = a[i] / (1.0f + expf({-2 * ROOT}f * (a[i] + {CUBE}f * a[i] * a[i] * a[i])));
}}
void fused_(const float *restrict a, const float *restrict b, const float *restrict c, float *restrict o, long n) {{
  for (long i = 0; i < n; i++) o[i] = sqrtf(a[i] * a[i] + b[i] * b[i]) / (1.0f + expf(-c[i]));
}}
"""


def c(name: str, arrays: tuple[Array, ...], out: Array) -> Runner | None:
    """gcc with all it may do, and the vector functions of its library."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        source, library = Path(directory, "c.c"), Path(directory, "c.so")
        source.write_text(C_SOURCE, encoding="utf-8")
        options = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fPIC"]
        # Linked without -ffast-math, whose start-up code would flush subnormal numbers to zero in the whole process.
        steps = (
            [*options, "-c", source, "-o", f"{source}.o"],
            ["-shared", f"{source}.o", "-o", library, "-lmvec", "-lm"],
        )
        if any(subprocess.run([compiler, *step], check=False).returncode for step in steps):
            return None
        loaded = ctypes.CDLL(str(library))
    function = getattr(loaded, f"{name}_")
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*arrays, out)]
    return lambda: function(*pointers, ctypes.c_long(out.size))


PEERS: dict[str, Maker] = {
    "numexpr": numexpr,
    "torch": torch,
    "onnxruntime": onnxruntime,
    "opencv": opencv,
    "halide": halide,
    "numba fastmath": numba,
    "gcc -Ofast, libmvec": c,
}
