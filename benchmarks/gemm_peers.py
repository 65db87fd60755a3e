"""Peers of matrix products, where they are installed: torch, ONNX Runtime, and Halide with a schedule by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Contenders = dict[str, Callable[[], object]]


def products(a: Any, b: Any, out: Any, threads: int) -> Contenders:
    """C = A B in float32; OpenBLAS, whose threads the environment says, first."""
    found: Contenders = {"numpy (OpenBLAS)": lambda: np.matmul(a, b, out=out)}
    if a.dtype == np.float32:
        for name, peer in (("torch", _torch), ("onnxruntime", _onnxruntime), ("halide", _halide)):
            try:
                found[name] = peer(a, b, out, threads)
            except ImportError:
                continue
    return found


def _torch(a: Any, b: Any, out: Any, threads: int) -> Callable[[], object]:
    import torch

    torch.set_num_threads(threads)
    x, y, z = map(torch.from_numpy, (a, b, out))
    return lambda: torch.mm(x, y, out=z)


def _onnxruntime(a: Any, b: Any, out: Any, threads: int) -> Callable[[], object]:
    import onnxruntime
    from onnx import TensorProto, helper

    def info(name: str, array: Any) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)

    node = helper.make_node("MatMul", ["a", "b"], ["y"])
    graph = helper.make_graph([node], "g", [info("a", a), info("b", b)], [info("y", out)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("a", a)
    binding.bind_cpu_input("b", b)
    binding.bind_output("y", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    return lambda: session.run_with_iobinding(binding)


def _halide(a: Any, b: Any, out: Any, threads: int) -> Callable[[], object]:
    """Register tiles of two vectors and as many rows as there are registers for, over panels of both operands."""
    import halide as hl

    lanes = hl.get_host_target().natural_vector_size(hl.Float(32))
    width, height = 2 * lanes, 12 if lanes == 16 else 6
    i, j, p, q, i_o, j_o, i_i, j_i = (hl.Var(name) for name in ("i", "j", "p", "q", "i_o", "j_o", "i_i", "j_i"))
    x, y, z = hl.Buffer(a), hl.Buffer(b), hl.Buffer(out)
    rows, columns, product, result = hl.Func("rows"), hl.Func("columns"), hl.Func("product"), hl.Func("result")
    r, left, right = (
        hl.RDom([(0, a.shape[1])]),
        hl.BoundaryConditions.repeat_edge(x),
        hl.BoundaryConditions.repeat_edge(y),
    )
    rows[i, j, p] = left[j, p * height + i]
    columns[j, i, p] = right[p * width + j, i]
    product[j, i, p, q] = hl.f32(0)
    product[j, i, p, q] += rows[i, r.x, q] * columns[j, r.x, p]
    result[j, i] = product[j % width, i % height, j // width, i // height]
    result.tile(j, i, j_o, i_o, j_i, i_i, width, height, hl.TailStrategy.GuardWithIf)
    result.reorder(j_i, i_i, i_o, j_o).vectorize(j_i, lanes)
    product.compute_at(result, i_o).bound_extent(j, width).bound_extent(i, height)
    product.vectorize(j, lanes).unroll(j).unroll(i)
    product.update().reorder(j, i, r.x, p, q).vectorize(j, lanes).unroll(j).unroll(i)
    rows.compute_root().bound_extent(i, height).reorder(i, j, p).unroll(i)
    columns.compute_root().bound_extent(j, width).vectorize(j, lanes).unroll(j)
    if threads > 1:
        result.parallel(j_o)
        rows.parallel(p)
        columns.parallel(p)
    result.compile_jit()
    return lambda: result.realize(z)


def bytes_product(a: Any, b: Any, threads: int) -> Contenders:
    """int8 x int8 -> int32."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    return {"torch": lambda: torch._int_mm(x, y)}


def with_gelu(a: Any, b: Any, bias: Any, threads: int) -> Contenders:
    """gelu(A B + bias), in its approximation by tanh."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    x, y, shift = map(torch.from_numpy, (a, b, bias))
    return {"torch": lambda: torch.nn.functional.gelu(torch.addmm(shift, x, y), approximate="tanh")}
