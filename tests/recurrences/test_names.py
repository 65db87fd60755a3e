"""Names of recurrences and their axes are inert, as all names are (tests/compute/test_names.py)."""

from __future__ import annotations

import numpy as np
import pytest

import polysched as ps


@pytest.mark.parametrize(
    "name", ["mod", "exists", "floor", "infty", "S", "p0", "define", "i32", "ret", "größe", "变量"]
)
def test_names_that_mean_something_elsewhere(name: str) -> None:
    n = ps.size_var(f"{name}_n", min=1)
    first, second = ps.axes(f"{name} {name}_")
    u = ps.recurrence((n, n), "int64", name=f"{name}_u")
    u[0, second] = 1
    u[first + 1, second] = u[first, second] + ps.select(second > 0, u[first, second - 1], 0)
    s = ps.Schedule(u)
    assert s[u].loops == (name, f"{name}_")
    s[u].skew(f"{name}_", 1, by=name)
    s[u].tile(name, f"{name}_", 2, 3)
    assert np.array_equal(ps.build(s)(**{n.name: 6}), ps.evaluate(u, {n: 6}))
    assert isinstance(s[u].why_not("parallel", f"{name}_o"), ps.LegalityError)
