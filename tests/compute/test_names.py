"""Names are inert: whatever they look like, they change neither a proof nor a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import polysched as ps

CRAFTED = [
    "for",
    "lambda",
    "None",
    "mod",
    "exists",
    "floor",
    "infty",
    "S",
    "p0",
    "define",
    "i32",
    "ret",
    "entry",
    "kernel",
    "größe",
    "变量",
    "x" * 200,
]


@pytest.mark.parametrize("name", CRAFTED)
def test_names_that_mean_something_elsewhere(name: str) -> None:
    """One name for the loop and the size, and its likes for the tensors: kinds of names do not meet."""
    n = ps.size_var(f"{name[:190]}_n" if len(name) > 190 else name)
    A = ps.placeholder((n,), "int32", name=f"{name[:190]}_A")
    function: Any = eval(
        f"lambda {name}: A[{name}] * 2" if name.isidentifier() and not _is_keyword(name) else "lambda i: A[i] * 2",
        {"A": A},
    )
    stage = ps.compute((n,), function, name=f"{name[:190]}_B")
    r = ps.reduce_axis((0, n), name=f"{name[:190]}_r")
    total = ps.compute((), lambda: ps.sum(stage[r], axis=r), name=f"{name[:190]}_C")
    array = np.arange(7, dtype=np.int32)
    kernel = ps.build(ps.Schedule([stage, total]))
    doubled, found = kernel(array)
    assert np.array_equal(doubled, array * 2) and found == 42 == ps.evaluate(total, {A: array})
    with pytest.raises(ps.BoundsError, match="outside"):
        ps.compute((n,), lambda i: A[i + 1], name=name)


def _is_keyword(name: str) -> bool:
    return name in ("for", "lambda", "None")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a-b",
        "1a",
        "a.b",
        "a]",
        "n] -> { [i] : false }",
        "x; ret",
        "%x",
        "@kernel",
        "x\ny",
        "x\0",
        "x" * 201,
        "y" * 10_000,
        None,
        7,
        b"a",
        ("a",),
    ],
    ids=lambda name: repr(name)[:12],
)
def test_what_is_no_name(name: Any) -> None:
    n = ps.size_var("n")
    for make in (
        lambda: ps.size_var(name),
        lambda: ps.scalar(name),
        lambda: ps.placeholder((n,), name=name),
        lambda: ps.reduce_axis((0, n), name=name),
        lambda: ps.compute((n,), lambda i: 0, name=name),
    ):
        with pytest.raises(ps.DefinitionError, match=r"cannot name a .*: a name is a Python identifier") as error:
            make()
        assert len(str(error.value)) < 250 and error.value.location is not None


def test_tensors_of_one_name_are_told_apart_in_proofs_and_not_in_calls() -> None:
    n = ps.size_var("n")
    A, B = (ps.placeholder((n,), "int32", name="A") for _ in range(2))
    stage = ps.compute((n,), lambda i: A[i] - B[i], name="C")
    assert list(ps.evaluate(stage, {A: np.array([5], np.int32), B: np.array([3], np.int32)})) == [2]
    with pytest.raises(ps.DefinitionError, match="two things that a caller may pass by name are both called A"):
        ps.Schedule(stage)


def test_sizes_of_one_name_are_one_size() -> None:
    A = ps.placeholder((ps.size_var("n"),), "int32", name="A")
    stage = ps.compute((ps.size_var("n"),), lambda i: A[i], name="C")
    assert list(ps.evaluate(stage, {A: np.ones(2, np.int32)})) == [1, 1]
    with pytest.raises(ps.DefinitionError, match="two size variables named n make different promises"):
        ps.compute((ps.size_var("n", min=1),), lambda i: A[i], name="C")


def test_loops_are_named_by_the_function() -> None:
    n = ps.size_var("n")
    A = ps.placeholder((n, n), name="A")

    def loops(function: Any) -> list[str]:
        return [axis.name for axis in ps.compute((n, n), function, name="C").equations[0].axes]

    assert loops(lambda y, x: A[y, x]) == ["y", "x"]
    assert loops(lambda *at: A[at]) == ["at0", "at1"]
    assert loops(lambda y, *at: A[y, at[0]]) == ["y", "at1"]
    assert loops(lambda y, x, scale=2: A[y, x] * scale) == ["y", "x"]
    assert loops(lambda y, x=None, *, scale=2: A[y, x] * scale) == ["y", "x"]
