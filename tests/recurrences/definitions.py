"""Systems of recurrences that the tests share: each as it is defined, with a program in plain NumPy that was written
apart from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import polysched as ps

Array = Any


@dataclass(frozen=True)
class Example:
    """define() gives outputs; program(inputs, sizes) their arrays; inputs(generator, sizes) what goes in, by name."""

    name: str
    define: Callable[[], Sequence[ps.Tensor]]
    program: Callable[..., Any]
    inputs: Callable[..., dict[str, Array]]
    sizes: dict[str, int]
    exact: bool = True


def _normal(generator: Any, *shape: int) -> Array:
    return generator.standard_normal(shape)


# --- stencils over time


def jacobi_1d() -> list[ps.Tensor]:
    T, N = ps.size_var("T"), ps.size_var("N", min=1)
    A = ps.placeholder((N,), "float64", name="A")
    t, i = ps.axes("t i")
    u = ps.recurrence((T + 1, N), "float64", name="u")
    u[0, i] = A[i]
    inside = (i > 0) & (i < N - 1)
    u[t + 1, i] = ps.select(inside, (u[t, i - 1] + u[t, i] + u[t, i + 1]) / 3.0, u[t, i])
    return [u[T]]


def jacobi_1d_program(sizes: dict[str, int], A: Array) -> Array:
    u = A.copy()
    for _ in range(sizes["T"]):
        u[1:-1] = ((u[:-2] + u[1:-1]) + u[2:]) / 3.0
    return u


def jacobi_2d() -> list[ps.Tensor]:
    T, N = ps.size_var("T"), ps.size_var("N", min=1)
    A = ps.placeholder((N, N), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, N, N), "float64", name="u")
    u[0, i, j] = A[i, j]
    inside = (i > 0) & (i < N - 1) & (j > 0) & (j < N - 1)
    total = u[t, i, j] + u[t, i, j - 1] + u[t, i, j + 1] + u[t, i + 1, j] + u[t, i - 1, j]
    u[t + 1, i, j] = ps.select(inside, 0.2 * total, u[t, i, j])
    return [u[T]]


def jacobi_2d_program(sizes: dict[str, int], A: Array) -> Array:
    u = A.copy()
    for _ in range(sizes["T"]):
        u[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + u[2:, 1:-1] + u[:-2, 1:-1])
    return u


def heat_3d() -> list[ps.Tensor]:
    T, N = ps.size_var("T"), ps.size_var("N", min=1)
    A = ps.placeholder((N, N, N), "float64", name="A")
    t, i, j, k = ps.axes("t i j k")
    u = ps.recurrence((T + 1, N, N, N), "float64", name="u")
    u[0, i, j, k] = A[i, j, k]
    edge = (i == 0) | (i == N - 1) | (j == 0) | (j == N - 1) | (k == 0) | (k == N - 1)
    c = u[t, i, j, k]
    new = (
        0.125 * (u[t, i + 1, j, k] - 2.0 * c + u[t, i - 1, j, k])
        + 0.125 * (u[t, i, j + 1, k] - 2.0 * c + u[t, i, j - 1, k])
        + 0.125 * (u[t, i, j, k + 1] - 2.0 * c + u[t, i, j, k - 1])
        + c
    )
    u[t + 1, i, j, k] = ps.select(edge, c, new)
    return [u[T]]


def heat_3d_program(sizes: dict[str, int], A: Array) -> Array:
    u = A.copy()
    for _ in range(sizes["T"]):
        c = u[1:-1, 1:-1, 1:-1]
        u[1:-1, 1:-1, 1:-1] = (
            0.125 * (u[2:, 1:-1, 1:-1] - 2.0 * c + u[:-2, 1:-1, 1:-1])
            + 0.125 * (u[1:-1, 2:, 1:-1] - 2.0 * c + u[1:-1, :-2, 1:-1])
            + 0.125 * (u[1:-1, 1:-1, 2:] - 2.0 * c + u[1:-1, 1:-1, :-2])
            + c
        )
    return u


def seidel_2d() -> list[ps.Tensor]:
    """Nine points in place: above and left are new already. The boundary has equations of its own."""
    T, N = ps.size_var("T"), ps.size_var("N", min=3)
    A = ps.placeholder((N, N), "float64", name="A")
    t, i, j = ps.axes("t i j")
    u = ps.recurrence((T + 1, N, N), "float64", name="u")
    u[0, i, j] = A[i, j]
    inside = (i > 0) & (i < N - 1) & (j > 0) & (j < N - 1)
    u.define((t + 1, i, j), u[t, i, j], where=~inside)
    new = u[t + 1, i - 1, j - 1] + u[t + 1, i - 1, j] + u[t + 1, i - 1, j + 1] + u[t + 1, i, j - 1]
    old = u[t, i, j] + u[t, i, j + 1] + u[t, i + 1, j - 1] + u[t, i + 1, j] + u[t, i + 1, j + 1]
    u.define((t + 1, i, j), (new + old) / 9.0, where=inside)
    return [u[T]]


def seidel_2d_program(sizes: dict[str, int], A: Array) -> Array:
    u = A.copy()
    n = len(u)
    for _ in range(sizes["T"]):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                new = u[i - 1, j - 1] + u[i - 1, j] + u[i - 1, j + 1] + u[i, j - 1]
                u[i, j] = (new + (u[i, j] + u[i, j + 1] + u[i + 1, j - 1] + u[i + 1, j] + u[i + 1, j + 1])) / 9.0
    return u


def fdtd_2d() -> list[ps.Tensor]:
    """Three fields that need each other; a source drives one edge."""
    T, N, M = ps.size_var("T"), ps.size_var("N", min=2), ps.size_var("M", min=2)
    X = ps.placeholder((N, M), "float64", name="X")
    Y = ps.placeholder((N, M), "float64", name="Y")
    H = ps.placeholder((N, M), "float64", name="H")
    F = ps.placeholder((T,), "float64", name="F")
    t, i, j = ps.axes("t i j")
    ex = ps.recurrence((T + 1, N, M), "float64", name="ex")
    ey = ps.recurrence((T + 1, N, M), "float64", name="ey")
    hz = ps.recurrence((T + 1, N, M), "float64", name="hz")
    ey[0, i, j] = Y[i, j]
    ey[t + 1, 0, j] = F[t]
    ey[t + 1, i + 1, j] = ey[t, i + 1, j] - 0.5 * (hz[t, i + 1, j] - hz[t, i, j])
    ex[0, i, j] = X[i, j]
    ex[t + 1, i, 0] = ex[t, i, 0]
    ex[t + 1, i, j + 1] = ex[t, i, j + 1] - 0.5 * (hz[t, i, j + 1] - hz[t, i, j])
    hz[0, i, j] = H[i, j]
    inside = (i < N - 1) & (j < M - 1)
    curl = ex[t + 1, i, j + 1] - ex[t + 1, i, j] + ey[t + 1, i + 1, j] - ey[t + 1, i, j]
    hz[t + 1, i, j] = ps.select(inside, hz[t, i, j] - 0.7 * curl, hz[t, i, j])
    return [ex[T], ey[T], hz[T]]


def fdtd_2d_program(sizes: dict[str, int], X: Array, Y: Array, H: Array, F: Array) -> Any:
    ex, ey, hz = X.copy(), Y.copy(), H.copy()
    for t in range(sizes["T"]):
        ey[0, :] = F[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return ex, ey, hz


# --- factorizations and closures


def lu() -> list[ps.Tensor]:
    """L has a unit diagonal, U the rest; each needs the other."""
    N = ps.size_var("N", min=1)
    A = ps.placeholder((N, N), "float64", name="A")
    i, j = ps.axes("i j")
    L = ps.recurrence((N, N), "float64", name="L")
    U = ps.recurrence((N, N), "float64", name="U")
    r, q = ps.reduce_axis((0, j), name="r"), ps.reduce_axis((0, i), name="q")
    L.define((i, j), 0.0, where=j > i)
    L[i, i] = 1.0
    L.define((i, j), (A[i, j] - ps.sum(L[i, r] * U[r, j], axis=r)) / U[j, j], where=j < i)
    U.define((i, j), 0.0, where=j < i)
    U.define((i, j), A[i, j] - ps.sum(L[i, q] * U[q, j], axis=q), where=j >= i)
    return [L, U]


def lu_program(_: dict[str, int], A: Array) -> Any:
    U, n = A.copy(), len(A)
    L = np.eye(n)
    for k in range(n):
        L[k + 1 :, k] = U[k + 1 :, k] / U[k, k]
        U[k + 1 :, :] -= np.outer(L[k + 1 :, k], U[k, :])
    return L, np.triu(U)


def cholesky() -> list[ps.Tensor]:
    N = ps.size_var("N", min=1)
    A = ps.placeholder((N, N), "float64", name="A")
    i, j = ps.axes("i j")
    L = ps.recurrence((N, N), "float64", name="L")
    r = ps.reduce_axis((0, j), name="r")
    s = ps.reduce_axis((0, i), name="r")
    L.define((i, j), 0.0, where=j > i)
    L.define((i, j), (A[i, j] - ps.sum(L[i, r] * L[j, r], axis=r)) / L[j, j], where=j < i)
    L[i, i] = ps.sqrt(A[i, i] - ps.sum(L[i, s] * L[i, s], axis=s))
    return [L]


def triangular_solve() -> list[ps.Tensor]:
    N = ps.size_var("N", min=1)
    L = ps.placeholder((N, N), "float64", name="L")
    b = ps.placeholder((N,), "float64", name="b")
    (i,) = ps.axes("i")
    x = ps.recurrence((N,), "float64", name="x")
    r = ps.reduce_axis((0, i), name="r")
    x[i] = (b[i] - ps.sum(L[i, r] * x[r], axis=r)) / L[i, i]
    return [x]


def triangular_solve_program(_: dict[str, int], L: Array, b: Array) -> Array:
    x = b.copy()
    for i in range(len(b)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def floyd_warshall() -> list[ps.Tensor]:
    N = ps.size_var("N", min=1)
    W = ps.placeholder((N, N), "float32", name="W")
    k, i, j = ps.axes("k i j")
    d = ps.recurrence((N + 1, N, N), "float32", name="d")
    d[0, i, j] = W[i, j]
    d[k + 1, i, j] = ps.min(d[k, i, j], d[k, i, k] + d[k, k, j])
    return [d[N]]


def floyd_warshall_program(_: dict[str, int], W: Array) -> Array:
    d = W.copy()
    for k in range(len(d)):
        d = np.minimum(d, d[:, k : k + 1] + d[k : k + 1, :])
    return d


# --- filters and sweeps


def prefix_sum() -> list[ps.Tensor]:
    N = ps.size_var("N", min=1)
    a = ps.placeholder((N,), "int64", name="a")
    (i,) = ps.axes("i")
    p = ps.recurrence((N,), "int64", name="p")
    p[0] = a[0]
    p[i + 1] = p[i] + a[i + 1]
    return [p]


def deriche() -> list[ps.Tensor]:
    """A second-order filter along each row, forwards and backwards."""
    N, M = ps.size_var("N"), ps.size_var("M", min=2)
    x = ps.placeholder((N, M), "float64", name="x")
    i, j = ps.axes("i j")
    f = ps.recurrence((N, M), "float64", name="f")
    g = ps.recurrence((N, M), "float64", name="g")
    f[i, 0] = 0.5 * x[i, 0]
    f[i, 1] = 0.5 * x[i, 1] + 0.3 * x[i, 0] + 0.4 * f[i, 0]
    f[i, j + 2] = 0.5 * x[i, j + 2] + 0.3 * x[i, j + 1] + 0.4 * f[i, j + 1] - 0.2 * f[i, j]
    g[i, M - 1] = ps.cast("float64", 0.0)
    g[i, M - 2] = 0.3 * x[i, M - 1]
    g[i, M - 3 - j] = 0.3 * x[i, M - 2 - j] + 0.1 * x[i, M - 1 - j] + 0.4 * g[i, M - 2 - j] - 0.2 * g[i, M - 1 - j]
    y = ps.compute((N, M), lambda i, j: f[i, j] + g[i, j], name="y")
    return [y]


def deriche_program(_: dict[str, int], x: Array) -> Array:
    f, g = np.zeros_like(x), np.zeros_like(x)
    m = x.shape[1]
    f[:, 0] = 0.5 * x[:, 0]
    f[:, 1] = 0.5 * x[:, 1] + 0.3 * x[:, 0] + 0.4 * f[:, 0]
    for j in range(2, m):
        f[:, j] = 0.5 * x[:, j] + 0.3 * x[:, j - 1] + 0.4 * f[:, j - 1] - 0.2 * f[:, j - 2]
    g[:, m - 2] = 0.3 * x[:, m - 1]
    for j in range(m - 3, -1, -1):
        g[:, j] = 0.3 * x[:, j + 1] + 0.1 * x[:, j + 2] + 0.4 * g[:, j + 1] - 0.2 * g[:, j + 2]
    return f + g


def adi() -> list[ps.Tensor]:
    """Steps of an implicit scheme: in each, all rows are solved forwards and backwards, transposed each time."""
    T, N = ps.size_var("T"), ps.size_var("N", min=2)
    A = ps.placeholder((N, N), "float64", name="A")
    t, i, j = ps.axes("t i j")
    p = ps.recurrence((T, N, N), "float64", name="p")
    q = ps.recurrence((T, N, N), "float64", name="q")
    v = ps.recurrence((T + 1, N, N), "float64", name="v")
    p[t, i, 0] = ps.cast("float64", 0.0)
    p[t, i, j + 1] = 0.3 / (1.6 - 0.3 * p[t, i, j])
    q[t, i, 0] = v[t, 0, i]
    q[t, i, j + 1] = (v[t, j + 1, i] + 0.3 * q[t, i, j]) / (1.6 - 0.3 * p[t, i, j])
    v[0, i, j] = A[i, j]
    v[t + 1, i, N - 1] = ps.cast("float64", 1.0)
    v[t + 1, i, N - 2 - j] = p[t, i, N - 1 - j] * v[t + 1, i, N - 1 - j] + q[t, i, N - 1 - j]
    return [v[T]]


def adi_program(sizes: dict[str, int], A: Array) -> Array:
    v, n = A.copy(), len(A)
    for _ in range(sizes["T"]):
        p, q = np.zeros((n, n)), np.zeros((n, n))
        q[:, 0] = v[0, :]
        for j in range(1, n):
            d = 1.6 - 0.3 * p[:, j - 1]
            p[:, j], q[:, j] = 0.3 / d, (v[j, :] + 0.3 * q[:, j - 1]) / d
        v = np.ones((n, n))
        for j in range(n - 2, -1, -1):
            v[:, j] = p[:, j + 1] * v[:, j + 1] + q[:, j + 1]
    return v


# --- dynamic programming


def smith_waterman() -> list[ps.Tensor]:
    N, M = ps.size_var("N"), ps.size_var("M")
    a = ps.placeholder((N,), "int32", name="a")
    b = ps.placeholder((M,), "int32", name="b")
    i, j = ps.axes("i j")
    H = ps.recurrence((N + 1, M + 1), "int32", name="H")
    H[0, j] = 0
    H[i + 1, 0] = 0
    match = ps.select(a[i] == b[j], ps.cast("int32", 3), ps.cast("int32", -3))
    diagonal = ps.max(H[i, j] + match, 0)
    H[i + 1, j + 1] = ps.max(diagonal, ps.max(H[i, j + 1] - 2, H[i + 1, j] - 2))
    return [H]


def smith_waterman_program(_: dict[str, int], a: Array, b: Array) -> Array:
    H = np.zeros((len(a) + 1, len(b) + 1), np.int32)
    for i in range(len(a)):
        for j in range(len(b)):
            match = 3 if a[i] == b[j] else -3
            H[i + 1, j + 1] = max(H[i, j] + match, 0, H[i, j + 1] - 2, H[i + 1, j] - 2)
    return H


def nussinov() -> list[ps.Tensor]:
    """The most pairs of bases in each stretch i..j, from short stretches to long ones."""
    N = ps.size_var("N", min=1)
    s = ps.placeholder((N,), "int32", name="s")
    i, j = ps.axes("i j")
    B = ps.recurrence((N, N), "int32", name="B")
    B.define((i, j), 0, where=j <= i)
    k = ps.reduce_axis((i, j), name="k")
    pair = ps.cast("int32", s[i] + s[j] == 3)
    inner = ps.select(j > i + 1, B[i + 1, j - 1] + pair, 0)
    best = ps.max(inner, ps.max(B[i, k] + B[k + 1, j], axis=k))
    B.define((i, j), best, where=j > i)
    return [B]


def nussinov_program(_: dict[str, int], s: Array) -> Array:
    n = len(s)
    B = np.zeros((n, n), np.int32)
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            best = B[i + 1, j - 1] + int(s[i] + s[j] == 3) if j > i + 1 else 0
            B[i, j] = max(best, *(B[i, k] + B[k + 1, j] for k in range(i, j)))
    return B


# --- two levels of a multigrid solver


def multigrid() -> list[ps.Tensor]:
    """Damped Jacobi on the fine grid, the residual's coarse correction, and smoothing again; 2 n + 1 and n points."""
    T, n = ps.size_var("T", min=1), ps.size_var("n", min=1)
    f = ps.placeholder((2 * n + 1,), "float64", name="f")
    t, i = ps.axes("t i")

    def smoothed(name: str, start: ps.Tensor | None, right: ps.Tensor, extent: Any) -> ps.Tensor:
        u = ps.recurrence((T + 1, extent), "float64", name=name)
        u[0, i] = ps.cast("float64", 0.0) if start is None else start[i]
        left = ps.select(i > 0, u[t, i - 1], 0.0)
        other = ps.select(i < extent - 1, u[t, i + 1], 0.0)
        u[t + 1, i] = u[t, i] + 0.25 * (right[i] - 2.0 * u[t, i] + left + other)
        return u[T]

    fine = 2 * n + 1
    u = smoothed("u", None, f, fine)
    at = lambda v, k: ps.select((k >= 0) & (k < fine), v[k], 0.0)  # noqa: E731
    residual = ps.compute((fine,), lambda i: f[i] - 2.0 * u[i] + at(u, i - 1) + at(u, i + 1), name="residual")
    coarse = ps.compute(
        (n,), lambda i: residual[2 * i] + 2.0 * residual[2 * i + 1] + residual[2 * i + 2], name="coarse"
    )
    e = smoothed("e", None, coarse, n)
    to = lambda k: ps.select((k >= 0) & (k < n), e[k], 0.0)  # noqa: E731
    half = lambda i: ps.select(i % 2 == 1, to(i // 2), 0.5 * (to(i // 2 - 1) + to(i // 2)))  # noqa: E731
    corrected = ps.compute((fine,), lambda i: u[i] + half(i), name="corrected")
    return [smoothed("w", corrected, f, fine)]


def multigrid_program(sizes: dict[str, int], f: Array) -> Array:
    def smooth(u: Array, right: Array) -> Array:
        for _ in range(sizes["T"]):
            padded = np.concatenate([[0.0], u, [0.0]])
            u = u + 0.25 * (right - 2.0 * u + padded[:-2] + padded[2:])
        return u

    u = smooth(np.zeros_like(f), f)
    padded = np.concatenate([[0.0], u, [0.0]])
    r = f - 2.0 * u + padded[:-2] + padded[2:]
    e = smooth(np.zeros(len(f) // 2), r[0:-2:2] + 2.0 * r[1::2] + r[2::2])
    fine = np.zeros_like(f)
    fine[1::2] = e
    padded = np.concatenate([[0.0], e, [0.0]])
    fine[0::2] = 0.5 * (padded[:-1] + padded[1:])
    return smooth(u + fine, f)


def _dominant(generator: Any, n: int) -> Array:
    return generator.standard_normal((n, n)) + n * np.eye(n)


def _positive(generator: Any, n: int) -> Array:
    a = generator.standard_normal((n, n))
    return a @ a.T + n * np.eye(n)


EXAMPLES = {
    example.name: example
    for example in (
        Example("jacobi_1d", jacobi_1d, jacobi_1d_program, lambda g, s: {"A": _normal(g, s["N"])}, {"T": 5, "N": 19}),
        Example("jacobi_2d", jacobi_2d, jacobi_2d_program, lambda g, s: {"A": _normal(g, s["N"], s["N"])},
                {"T": 4, "N": 13}),
        Example("heat_3d", heat_3d, heat_3d_program, lambda g, s: {"A": _normal(g, s["N"], s["N"], s["N"])},
                {"T": 3, "N": 7}),
        Example("seidel_2d", seidel_2d, seidel_2d_program, lambda g, s: {"A": _normal(g, s["N"], s["N"])},
                {"T": 3, "N": 11}),
        Example("fdtd_2d", fdtd_2d, fdtd_2d_program,
                lambda g, s: {"X": _normal(g, s["N"], s["M"]), "Y": _normal(g, s["N"], s["M"]),
                              "H": _normal(g, s["N"], s["M"]), "F": _normal(g, s["T"])},
                {"T": 4, "N": 9, "M": 11}),
        Example("lu", lu, lu_program, lambda g, s: {"A": _dominant(g, s["N"])}, {"N": 12}),
        Example("cholesky", cholesky, lambda sizes, A: np.linalg.cholesky(A), lambda g, s: {"A": _positive(g, s["N"])},
                {"N": 11}),
        Example("triangular_solve", triangular_solve, triangular_solve_program,
                lambda g, s: {"L": _dominant(g, s["N"]), "b": _normal(g, s["N"])}, {"N": 15}),
        Example("floyd_warshall", floyd_warshall, floyd_warshall_program,
                lambda g, s: {"W": g.random((s["N"], s["N"]), np.float32)}, {"N": 9}),
        Example("prefix_sum", prefix_sum, lambda sizes, a: np.cumsum(a),
                lambda g, s: {"a": g.integers(-9, 9, s["N"])}, {"N": 23}),
        Example("deriche", deriche, deriche_program, lambda g, s: {"x": _normal(g, s["N"], s["M"])},
                {"N": 7, "M": 17}),
        Example("adi", adi, adi_program, lambda g, s: {"A": _normal(g, s["N"], s["N"])}, {"T": 3, "N": 9}),
        Example("smith_waterman", smith_waterman, smith_waterman_program,
                lambda g, s: {"a": g.integers(0, 4, s["N"], np.int32), "b": g.integers(0, 4, s["M"], np.int32)},
                {"N": 15, "M": 18}),
        Example("nussinov", nussinov, nussinov_program, lambda g, s: {"s": g.integers(0, 4, s["N"], np.int32)},
                {"N": 14}),
        Example("multigrid", multigrid, multigrid_program, lambda g, s: {"f": _normal(g, 2 * s["n"] + 1)},
                {"T": 3, "n": 9}),
    )
}  # fmt: skip
