"""Wrong definitions: the text of every refusal, and the line of the user's file in it."""

# ruff: noqa: E501 - a pinned text stands in its line as the user sees it

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polysched as ps

n, m, z = ps.size_var("n"), ps.size_var("m"), ps.size_var("z")
A = ps.placeholder((n,), "float32", name="A")
B = ps.placeholder((n, m), "float32", name="B")
F = ps.placeholder((n,), "bool", name="F")
I = ps.placeholder((n,), "int32", name="I")
U = ps.placeholder((n,), "uint8", name="U")
T = ps.placeholder((10,), "float32", name="T")
Z = ps.placeholder((z,), "float32", name="Z")
r, R = ps.reduce_axis((0, m), name="r"), ps.reduce_axis((0, m), name="r")
s = ps.reduce_axis((1, m), name="s")
outer = ps.reduce_axis((0, n), name="outer")
triangle = ps.reduce_axis((0, outer), name="t")


def long_chain(i: Any) -> Any:
    """As a loop in Python writes it."""
    value = A[i]
    for _ in range(300):
        value = value + 1.0
    return value


def check(wrong: Callable[[], Any], kind: type[ps.PolyschedError], text: str) -> None:
    """The exact text, ending in the line of this file where the definition is."""
    with pytest.raises(ps.PolyschedError) as error:
        wrong()
    assert type(error.value) is kind
    location = error.value.location
    assert error.value.reason == text and location is not None
    assert str(error.value) == f"{text} ({Path(__file__).name}:{location.line})"
    assert location.file == __file__
    assert location.line in LINES or location.line in {line for *_, line in wrong.__code__.co_lines()}


LINES = {long_chain.__code__.co_firstlineno + k for k in range(6)}
NOT_A_DEFINITION: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: ps.compute((n,), lambda i: 1.0 if A[i] > 0 else 0.0, name="C"),
        "`A[i] > 0.0` has no truth value while a computation is being defined; combine conditions with & | ~ and choose between values with ps.select(condition, if_true, if_false)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(A[i] > 0 and i > 0, 1, 0), name="C"),
        "`A[i] > 0.0` has no truth value while a computation is being defined; combine conditions with & | ~ and choose between values with ps.select(condition, if_true, if_false)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(A[i] > 0 or i > 0, 1, 0), name="C"),
        "`A[i] > 0.0` has no truth value while a computation is being defined; combine conditions with & | ~ and choose between values with ps.select(condition, if_true, if_false)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(not A[i], 1, 0), name="C"),
        "`A[i]` has no truth value while a computation is being defined; combine conditions with & | ~ and choose between values with ps.select(condition, if_true, if_false)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(0 < i < 5, 1, 0), name="C"),
        "`i > 0` has no truth value while a computation is being defined; combine conditions with & | ~ and choose between values with ps.select(condition, if_true, if_false)",
    ),
    (
        lambda: ps.compute((n,), lambda i: max(A[i], 0.0), name="C"),
        "`A[i] < 0.0` has no truth value while a computation is being defined; combine conditions with & | ~ and choose between values with ps.select(condition, if_true, if_false)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(A[i], 1, 0), name="C"),
        "the condition `A[i]` of ps.select is a float32; a condition is a bool, as in x != 0",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[A[i]], name="C"),
        'A is indexed with `A[i]`, a float32; an index is an integer: divide with // and convert data with ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i / 2], name="C"),
        'A is indexed with `float64(i) / 2.0`, a float64; an index is an integer: divide with // and convert data with ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i > 0], name="C"),
        'A is indexed with `i > 0`, a bool; an index is an integer: divide with // and convert data with ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[1:2], name="C"),
        "A is indexed one element at a time; a slice is not an index",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[...], name="C"),
        "A is indexed with Ellipsis; an index is an integer expression",
    ),
    (lambda: ps.compute((n,), lambda i: A["i"], name="C"), "A is indexed with 'i'; an index is an integer expression"),
    (
        lambda: ps.compute((n,), lambda i: A[None], name="C"),
        "A is indexed with None; an index is an integer expression",
    ),
    (
        lambda: ps.compute((n, m), lambda i, j: B[i, ps.axes("i")], name="C"),
        'B is indexed with (i,); an index is an integer expression; ps.axes gives a tuple for one name, too: (i,) = ps.axes("i")',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[B], name="C"),
        "A is indexed with B: float32[n, m]; an index is an integer expression",
    ),
    (lambda: ps.compute((n,), lambda i: B[i], name="C"), "B has 2 dimensions and was indexed with 1; write B[i0, i1]"),
    (
        lambda: ps.compute((n,), lambda i: B[i][0], name="C"),
        "B has 2 dimensions and was indexed with 1; write B[i0, i1]",
    ),
    (lambda: ps.compute((n,), lambda i: A[i, 0], name="C"), "A has 1 dimension and was indexed with 2; write A[i0]"),
    (
        lambda: ps.compute((n,), lambda i: A[i][0], name="C"),
        "`A[i]` is one element and cannot be indexed; all indices go into one A[i, j]",
    ),
    (
        lambda: ps.compute((n,), lambda i: A, name="C"),
        "an expression cannot hold a whole Tensor; index it to get an element, as in A[i, j]",
    ),
    (
        lambda: ps.compute((n,), lambda i: A + 1, name="C"),
        "A is a whole tensor, and expressions are made of elements: index it, as in A[i]",
    ),
    (
        lambda: ps.compute((n,), lambda i: 2 * A, name="C"),
        "A is a whole tensor, and expressions are made of elements: index it, as in A[i]",
    ),
    (
        lambda: ps.compute((n,), lambda i: np.float32(2) * A, name="C"),
        "A is a whole tensor, and expressions are made of elements: index it, as in A[i]",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i] + B, name="C"),
        "an expression cannot hold a whole Tensor; index it to get an element, as in A[i, j]",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sqrt(A), name="C"),
        "an expression cannot hold a whole Tensor; index it to get an element, as in A[i, j]",
    ),
    (
        lambda: ps.compute((n,), lambda i: np.spacing(A[i]), name="C"),
        "np.spacing is not defined on expressions; the functions of elements are ps.sqrt, ps.exp, ps.select, ...",
    ),
    (
        lambda: ps.compute((n,), lambda i: np.add.reduce(A[i]), name="C"),
        "np.add.reduce is not defined on expressions; the functions of elements are ps.sqrt, ps.exp, ps.select, ...",
    ),
    (
        lambda: ps.compute((n,), lambda i: math.sqrt(A[i]), name="C"),
        "`A[i]` has no value while a computation is being defined, so it is no Python number: reduce over a range with ps.sum(..., axis=ps.reduce_axis((0, n))), convert with ps.cast, use ps.sqrt for math.sqrt, and read tables through a ps.placeholder",
    ),
    (
        lambda: ps.compute((n,), lambda i: float(A[i]), name="C"),
        "`A[i]` has no value while a computation is being defined, so it is no Python number: reduce over a range with ps.sum(..., axis=ps.reduce_axis((0, n))), convert with ps.cast, use ps.sqrt for math.sqrt, and read tables through a ps.placeholder",
    ),
    (
        lambda: ps.compute((n,), lambda i: sum(B[i, k] for k in range(m)), name="C"),
        "`m` has no value while a computation is being defined, so it is no Python number: reduce over a range with ps.sum(..., axis=ps.reduce_axis((0, n))), convert with ps.cast, use ps.sqrt for math.sqrt, and read tables through a ps.placeholder",
    ),
    (
        lambda: ps.compute((n,), lambda i: [1, 2, 3][i], name="C"),
        "`i` has no value while a computation is being defined, so it is no Python number: reduce over a range with ps.sum(..., axis=ps.reduce_axis((0, n))), convert with ps.cast, use ps.sqrt for math.sqrt, and read tables through a ps.placeholder",
    ),
    (lambda: ps.compute((n,), lambda i: sum(A), name="C"), "A cannot be iterated over; index it, as in A[i]"),
    (lambda: ps.compute((n,), lambda i: sum(A[i]), name="C"), "`A[i]` is one element and cannot be iterated over"),
    (
        lambda: ps.compute((n,), lambda i: None, name="C"),
        "an expression cannot hold None; does the function return its value?",
    ),
    (
        lambda: ps.compute((n,), lambda i: (A[i], A[i]), name="C"),
        "the function of C returns several values; declare one ps.compute for each",
    ),
    (lambda: ps.compute((n,), lambda i: "text", name="C"), "an expression cannot hold a str"),
    (
        lambda: ps.compute((n,), lambda i: 1j * A[i], name="C"),
        "an expression cannot hold a complex; compute with its real and imaginary parts",
    ),
    (
        lambda: ps.compute((n,), lambda i: np.ones(3) * A[i], name="C"),
        "an expression cannot hold an array of NumPy; declare a ps.placeholder for it and pass the array to the kernel",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i] << 1, name="C"),
        '<< is not defined on float32 and int64 (NumPy refuses it too); convert with ps.cast, as in ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i] & 1, name="C"),
        '& is not defined on float32 and int64 (NumPy refuses it too); convert with ps.cast, as in ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: -F[i], name="C"),
        '- is not defined on bool (NumPy refuses it too); convert with ps.cast, as in ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: F[i] - True, name="C"),
        '- is not defined on bool and bool (NumPy refuses it too); convert with ps.cast, as in ps.cast("int64", x)',
    ),
    (
        lambda: ps.compute((n,), lambda i: U[i] + 256, name="C"),
        "the integer 256 does not fit into uint8 (NumPy raises OverflowError)",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i] + 2**64, name="C"),
        "the integer 18446744073709551616 does not fit into 64 bits",
    ),
    (
        lambda: ps.compute((n,), lambda i: U[i] ** -1, name="C"),
        "an integer to the power -1 is not defined: the exponent must be a literal from 0 to 63; cast the base to a float for a general power",
    ),
    (
        lambda: ps.compute((n,), lambda i: 2**i, name="C"),
        "an integer to the power i is not defined: the exponent must be a literal from 0 to 63; cast the base to a float for a general power",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.checked(i) + 0, name="C"),
        "ps.checked in C is not an index; it wraps a whole index, as in A[ps.checked(i)]",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[ps.checked(I[i]) + 1], name="C"),
        "ps.checked in C is not an index; it wraps a whole index, as in A[ps.checked(i)]",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[ps.checked(A[i])], name="C"),
        "ps.checked takes an integer index, not a float32",
    ),
    (lambda: ps.compute((n,), lambda i, j: A[i], name="C"), "C has 1 dimension, and its function takes 2: i, j"),
    (lambda: ps.compute((n, m), lambda i: A[i], name="C"), "C has 2 dimensions, and its function takes 1: i"),
    (lambda: ps.compute((n,), lambda: 1, name="C"), "C has 1 dimension, and its function takes none"),
    (lambda: ps.compute((n,), A, name="C"), "C is defined by a function of its axes, not by a Tensor"),
    (
        lambda: ps.compute((n,), max, name="C"),
        "the parameters of <built-in function max> are not known, so the loops of C have no names; wrap it in a lambda",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[r], name="C"),
        "the axis r is not in scope in the expression of C (i); axis= lists a reduction's axes, outer ones first, as in axis=(r, s)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.max(B[i, r], r), name="C"),
        "the axis r is not in scope in the expression of C (i); axis= lists a reduction's axes, outer ones first, as in axis=(r, s)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.max(A[i]), name="C"),
        "ps.max takes two elements, ps.max(a, b), or one and its axes, ps.max(a, axis=r)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.min(A[i], 0, axis=r), name="C"),
        "ps.min takes two elements, ps.min(a, b), or one and its axes, ps.min(a, axis=r)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(A[i], axis=i), name="C"),
        "ps.sum reduces over axis=, made by ps.reduce_axis((lower, upper), name=...)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(A[i], axis="r"), name="C"),
        "ps.sum reduces over axis=, made by ps.reduce_axis((lower, upper), name=...)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(A[i], axis=()), name="C"),
        "ps.sum reduces over axis=, made by ps.reduce_axis((lower, upper), name=...)",
    ),
    (lambda: ps.compute((n,), lambda i: ps.sum(B[i, r], axis=(r, r)), name="C"), "ps.sum names an axis twice"),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(ps.sum(B[i, r], axis=r), axis=r), name="C"),
        "a reduction inside ps.sum: declare the inner one as a ps.compute of its own and read it",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(B[i, r], axis=r) + 1, name="C"),
        "C does something with the result of ps.sum; a reduction is the whole of a definition: declare it as a ps.compute of its own and read it in C",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(i > 0, ps.sum(B[i, r], axis=r), 0), name="C"),
        "C does something with the result of ps.sum; a reduction is the whole of a definition: declare it as a ps.compute of its own and read it in C",
    ),
    (lambda: ps.compute((n,), lambda r: ps.sum(B[r, R], axis=R), name="C"), "two loops of C have the same name: r, r"),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(B[i, r], axis=r), name="C", dtype="float64"),
        "C is a reduction of float32, not float64; give the type to the reduction: ps.sum(..., dtype=...), or cast its operand",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(A[triangle], axis=triangle), name="C"),
        "the axis outer is not in scope in the bounds of t of C (i); axis= lists a reduction's axes, outer ones first, as in axis=(r, s)",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.argmin(A[r + s], axis=(r, s)), name="C"),
        "ps.argmin over several axes in C gives a position in a box, so every axis must run from 0 to a size; s runs from 1 to m",
    ),
    (lambda: ps.reduce_axis(n), "reduce_axis 'r' takes its bounds as (lower, upper)"),
    (lambda: ps.reduce_axis((0, n, 2)), "reduce_axis 'r' takes its bounds as (lower, upper)"),
    (lambda: ps.reduce_axis((0, 2.5)), "the bound 2.5 of reduce_axis 'r' is not an integer affine in axes and sizes"),
    (lambda: ps.reduce_axis((0, A[0])), "the bound A[0] of reduce_axis 'r' is not an integer affine in axes and sizes"),
    (lambda: ps.reduce_axis((0, "n")), "an expression cannot hold a str"),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(A[0], axis=ps.reduce_axis((0, i * i))), name="C"),
        "the bound i * i of axis r is not affine: bounds are sums of sizes and outer axes times integers, with // and % by integers",
    ),
    (lambda: ps.placeholder((n, -1), name="P"), "the shape of P has the extent -1; an extent is an integer >= 0"),
    (lambda: ps.placeholder((n, 2.5), name="P"), "the shape of P has the extent 2.5; an extent is an integer >= 0"),
    (lambda: ps.placeholder((n, True), name="P"), "the shape of P has the extent True; an extent is an integer >= 0"),
    (
        lambda: ps.placeholder((n, "m"), name="P"),
        "the shape of P is a tuple of integers and sizes, and 'm' is neither: size variables are made with ps.size_var(\"n\")",
    ),
    (lambda: ps.placeholder("nm", name="P"), "the shape of P is a tuple of integers and sizes, not a str"),
    (lambda: ps.placeholder(None, name="P"), "the shape of P is a tuple of integers and sizes, not a NoneType"),
    (
        lambda: ps.placeholder((n, (3,)), name="P"),
        'the shape of P is a tuple of integers and sizes, and (3,) is neither: size variables are made with ps.size_var("n")',
    ),
    (
        lambda: ps.placeholder((n / 2,), name="P"),
        "the shape of P has the extent float64(n) / 2.0; extents are made of integers and size variables with + - * // %",
    ),
    (
        lambda: ps.placeholder((A[0],), name="P"),
        "the shape of P has the extent A[0]; extents are made of integers and size variables with + - * // %",
    ),
    (
        lambda: ps.placeholder((r,), name="P"),
        "the shape of P has the extent r; extents are made of integers and size variables with + - * // %",
    ),
    (
        lambda: ps.placeholder((A,), name="P"),
        'the shape of P is a tuple of integers and sizes, and A: float32[n] is neither: size variables are made with ps.size_var("n")',
    ),
    (
        lambda: ps.compute((n * m,), lambda i: 0, name="C"),
        "the extent n * m of C is not affine: extents are sums of sizes times integers, with // and % by integers",
    ),
    (
        lambda: ps.compute((n // 0,), lambda i: 0, name="C"),
        "the extent n // 0 of C is not affine: extents are sums of sizes times integers, with // and % by integers",
    ),
    (
        lambda: ps.placeholder((n,), "complex64", name="P"),
        "dtype 'complex64' is not supported; supported are float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool, bfloat16",
    ),
    (
        lambda: ps.placeholder((n,), None, name="P"),
        "dtype 'None' is not supported; supported are float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool, bfloat16",
    ),
    (
        lambda: ps.placeholder((n,), ">f4", name="P"),
        "dtype '>f4' is not supported in this byte order; supported are float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool, bfloat16",
    ),
    (
        lambda: ps.placeholder((n,), name="P", strides="column-major"),
        'strides of P is \'column-major\'; accepted are "row-major" and "any"',
    ),
    (
        lambda: ps.cast("string", n),
        "dtype 'string' is not supported; supported are float16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool, bfloat16",
    ),
    (lambda: ps.size_var("n", min=-1), "size_var 'n': min is an integer >= 0 and multiple_of an integer >= 1"),
    (lambda: ps.size_var("n", multiple_of=0), "size_var 'n': min is an integer >= 0 and multiple_of an integer >= 1"),
    (lambda: ps.size_var(""), "'' cannot name a size: a name is a Python identifier of at most 200 characters"),
    (lambda: ps.scalar("1x"), "'1x' cannot name a scalar: a name is a Python identifier of at most 200 characters"),
    (
        lambda: ps.placeholder((n,), name="a b"),
        "'a b' cannot name a tensor: a name is a Python identifier of at most 200 characters",
    ),
    (
        lambda: ps.placeholder((n,), name="A] -> { [i] : false }"),
        "'A] -> { [i] : false }' cannot name a tensor: a name is a Python identifier of at most 200 characters",
    ),
    (
        lambda: ps.placeholder((n,), name="x\0y"),
        "'x\\x00y' cannot name a tensor: a name is a Python identifier of at most 200 characters",
    ),
    (
        lambda: ps.placeholder((n,), name="x" * 10_000),
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' cannot name a tensor: a name is a Python identifier of at most 200 characters",
    ),
    (
        lambda: ps.placeholder((n,), name=3),
        "3 cannot name a tensor: a name is a Python identifier of at most 200 characters",
    ),
    (
        lambda: ps.compute((n,), lambda i: 0, name="%C"),
        "'%C' cannot name a tensor: a name is a Python identifier of at most 200 characters",
    ),
    (
        lambda: ps.compute((n,), long_chain, name="C"),
        "the expression of C is 302 operations deep, and at most 250 are accepted; write a long sum as ps.sum over a reduce_axis, and declare parts as a ps.compute of their own",
    ),
]
OUT_OF_BOUNDS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: ps.compute((n,), lambda i: A[i + 1], name="C"),
        "C reads A[i + 1] outside A: float32[n]: at n=1, the instance C[i=0] has the index i + 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i - 1], name="C"),
        "C reads A[i - 1] outside A: float32[n]: at n=1, the instance C[i=0] has the index i - 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n + 1,), lambda i: A[i], name="C"),
        'C reads A[i] outside A: float32[n]: at n=0, the instance C[i=0] has the index i in dimension 0 of extent n; A is empty there: promise that it is not, as in ps.size_var("n", min=1), or guard the access with ps.select(condition, ..., ...)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[n - i], name="C"),
        "C reads A[n - i] outside A: float32[n]: at n=1, the instance C[i=0] has the index n - i in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[-1], name="C"),
        "C reads A[-1] outside A: float32[n]: at n=1, the instance C[i=0] has the index -1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((), lambda: A[0], name="C"),
        'C reads A[0] outside A: float32[n]: at n=0, the instance C[] has the index 0 in dimension 0 of extent n; A is empty there: promise that it is not, as in ps.size_var("n", min=1), or guard the access with ps.select(condition, ..., ...)',
    ),
    (
        lambda: ps.compute((n, m), lambda i, j: B[j, i], name="C"),
        "C reads B[j, i] outside B: float32[n, m]: at n=1, m=2, the instance C[i=0, j=1] has the index j in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((10,), lambda i: T[2 * i], name="C"),
        "C reads T[2 * i] outside T: float32[10]: the instance C[i=5] has the index 2 * i in dimension 0 of extent 10; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(i > 0, A[i + 1], 0.0), name="C"),
        "C reads A[i + 1] outside A: float32[n]: at n=2, the instance C[i=1] has the index i + 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(i >= 0, A[i - 1], 0.0), name="C"),
        "C reads A[i - 1] outside A: float32[n]: at n=1, the instance C[i=0] has the index i - 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(i < n - 1, 0.0, A[i + 1]), name="C"),
        "C reads A[i + 1] outside A: float32[n]: at n=1, the instance C[i=0] has the index i + 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select((i > 0) | (i < n - 1), A[i - 1], 0.0), name="C"),
        "C reads A[i - 1] outside A: float32[n]: at n=2, the instance C[i=0] has the index i - 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(A[i] > 0, A[i + 1], 0.0), name="C"),
        "C reads A[i + 1] outside A: float32[n]: at n=1, the instance C[i=0] has the index i + 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.select(A[i - 1] > 0, 1.0, 0.0), name="C"),
        "C reads A[i - 1] outside A: float32[n]: at n=1, the instance C[i=0] has the index i - 1 in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[ps.clamp(i + 1, 0, n)], name="C"),
        "C reads A[min(max(i + 1, 0), n)] outside A: float32[n]: at n=1, the instance C[i=0] has the index min(max(i + 1, 0), n) in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((m,), lambda i: A[ps.clamp(i, 0, n - 1)], name="C"),
        'C reads A[min(max(i, 0), n - 1)] outside A: float32[n]: at m=1, n=0, the instance C[i=0] has the index min(max(i, 0), n - 1) in dimension 0 of extent n; A is empty there: promise that it is not, as in ps.size_var("n", min=1), or guard the access with ps.select(condition, ..., ...)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[ps.minimum(i + 1, n)], name="C"),
        "C reads A[min(i + 1, n)] outside A: float32[n]: at n=1, the instance C[i=0] has the index min(i + 1, n) in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i * i], name="C"),
        "C reads A[i * i], and the index i * i is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; limit it with ps.clamp or ps.checked",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i * n], name="C"),
        "C reads A[i * n], and the index i * n is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; limit it with ps.clamp or ps.checked",
    ),
    (
        lambda: ps.compute((n, n), lambda i, j: A[i * j], name="C"),
        "C reads A[i * j], and the index i * j is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; limit it with ps.clamp or ps.checked",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[i % m], name="C"),
        "C reads A[i % m], and the index i % m is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; limit it with ps.clamp or ps.checked",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[(i + 1) % n], name="C"),
        "C reads A[(i + 1) % n], and the index (i + 1) % n is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; write ps.select(i + 1 < n, i + 1, i + 1 - n), which is the same here",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[(i - 1) % n] + A[i], name="C"),
        "C reads A[(i - 1) % n], and the index (i - 1) % n is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; write ps.select(i - 1 < 0, i - 1 + n, i - 1), which is the same here",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[(2 * i - 1) % n], name="C"),
        "C reads A[(2 * i - 1) % n], and the index (2 * i - 1) % n is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; write ps.select(2 * i - 1 < 0, 2 * i - 1 + n, ps.select(2 * i - 1 < n, 2 * i - 1, 2 * i - 1 - n)), which is the same here",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[(3 * i) % n], name="C"),
        "C reads A[3 * i % n], and the index 3 * i % n is not affine in axes and sizes, so it cannot be proven to stay inside dimension 0 of A: float32[n]; limit it with ps.clamp or ps.checked",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[I[i]], name="C"),
        "C reads A[I[i]], and the index I[i] of dimension 0 comes from data: limit it with ps.clamp(I[i], 0, n - 1), or have it checked at run time with ps.checked(I[i])",
    ),
    (
        lambda: ps.compute((n,), lambda i: Z[ps.clamp(I[i], 0, z - 1)], name="C"),
        'C reads Z[min(int64(max(I[i], 0)), z - 1)], but at n=1, z=0 dimension 0 of Z: float32[z] has no element; Z is empty there: promise that it is not, as in ps.size_var("z", min=1), or guard the access with ps.select(condition, ..., ...)',
    ),
    (
        lambda: ps.compute((n,), lambda i: A[I[i] % n], name="C"),
        "C reads A[int64(I[i]) % n], and the index int64(I[i]) % n of dimension 0 comes from data: limit it with ps.clamp(int64(I[i]) % n, 0, n - 1), or have it checked at run time with ps.checked(int64(I[i]) % n)",
    ),
    (
        lambda: ps.compute((n,), lambda i: T[I[i] % 11], name="C"),
        "C reads T[I[i] % 11], and the index I[i] % 11 of dimension 0 comes from data: limit it with ps.clamp(I[i] % 11, 0, 10 - 1), or have it checked at run time with ps.checked(I[i] % 11)",
    ),
    (
        lambda: ps.compute((n,), lambda i: T[U[i]], name="C"),
        "C reads T[U[i]], and the index U[i] of dimension 0 comes from data: limit it with ps.clamp(U[i], 0, 10 - 1), or have it checked at run time with ps.checked(U[i])",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[ps.select(I[i] > 0, I[i], 0)], name="C"),
        "C reads A[select(I[i] > 0, I[i], 0)], and the index select(I[i] > 0, I[i], 0) of dimension 0 comes from data: limit it with ps.clamp(select(I[i] > 0, I[i], 0), 0, n - 1), or have it checked at run time with ps.checked(select(I[i] > 0, I[i], 0))",
    ),
    (
        lambda: ps.compute((n,), lambda i: A[ps.cast("int64", A[i])], name="C"),
        "C reads A[int64(A[i])], and the index int64(A[i]) of dimension 0 comes from data: limit it with ps.clamp(int64(A[i]), 0, n - 1), or have it checked at run time with ps.checked(int64(A[i]))",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(B[i, R + 1], axis=R), name="C"),
        "C reads B[i, r + 1] outside B: float32[n, m]: at n=1, m=1, the instance C[i=0, r=0] has the index r + 1 in dimension 1 of extent m; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
    (
        lambda: ps.compute((n,), lambda i: ps.sum(A[i + R], axis=R), name="C"),
        "C reads A[i + r] outside A: float32[n]: at n=1, m=2, the instance C[i=0, r=1] has the index i + r in dimension 0 of extent n; guard it with ps.select(condition, ..., ...), limit it with ps.clamp, or change the shape",
    ),
]


@pytest.mark.parametrize(("wrong", "text"), NOT_A_DEFINITION)
def test_what_is_no_definition(wrong: Callable[[], Any], text: str) -> None:
    check(wrong, ps.DefinitionError, text)


@pytest.mark.parametrize(("wrong", "text"), OUT_OF_BOUNDS)
def test_what_is_out_of_bounds(wrong: Callable[[], Any], text: str) -> None:
    check(wrong, ps.BoundsError, text)


@pytest.mark.parametrize("index", ["(i + 1) % n", "(i - 1) % n", "(2 * i - 1) % n"])
def test_what_is_advised_for_a_remainder_by_a_size_is_the_same(index: str) -> None:
    with pytest.raises(ps.BoundsError) as refusal:
        ps.compute((n,), lambda i: A[eval(index, {"n": n, "i": i})], name="C")
    advised = str(refusal.value).split("write ")[1].split(", which")[0]
    kernel = ps.Schedule(ps.compute((n,), lambda i: A[eval(advised, {"ps": ps, "n": n, "i": i})], name="C")).build()
    for size in (1, 2, 7):
        a = np.arange(size, dtype=np.float32)
        taken = [eval(index, {"n": size, "i": k}) for k in range(size)]
        np.testing.assert_array_equal(kernel(a), a[taken])
