"""Results are compared bit for bit, or within a tolerance that special values do not slip through."""

from __future__ import annotations

import numpy as np
import pytest

from polysched.target.bench.check import compare_outputs

ONE = np.array([1.0, 2.0, np.nan, np.inf], np.float32)


def changed(position: int, value: float) -> np.ndarray:
    other = ONE.copy()
    other[position] = value
    return other


def test_bits() -> None:
    assert compare_outputs((ONE,), (ONE.copy(),), 0.0, "default").words == "same bits"
    found = compare_outputs((changed(0, np.nextafter(np.float32(1), np.float32(2))),), (ONE,), 0.0, "default")
    assert not found.right and found.words == "1 elements differ from default"
    zeros = np.zeros(2, np.float32)
    assert not compare_outputs((-zeros,), (zeros,), 0.0, "default").right
    assert not compare_outputs((zeros.astype(np.float64),), (zeros,), 0.0, "default").right


@pytest.mark.parametrize(("position", "value"), [(0, 1.1), (0, np.nan), (2, 1.0), (3, -np.inf), (3, 1e30)])
def test_wrong_within_a_tolerance(position: int, value: float) -> None:
    assert not compare_outputs((changed(position, value),), (ONE,), 1e-3, "reference").right


def test_close_and_shapes() -> None:
    assert compare_outputs((changed(0, 1.0001),), (ONE,), 1e-3, "reference").right
    assert compare_outputs((changed(0, 1.0001),), (ONE,), None, "reference").right
    assert not compare_outputs((ONE[:2],), (ONE,), 1e-3, "reference").right
    assert not compare_outputs((ONE, ONE), (ONE,), 1e-3, "reference").right
    assert not compare_outputs((np.array([1, 2]),), (np.array([1, 3]),), None, "reference").right
    assert compare_outputs((np.zeros(0, np.float32),), (np.zeros(0, np.float32),), None, "reference").right
    assert not compare_outputs((np.ones(2, np.float32),), (np.zeros(2, np.float32),), None, "reference").right
    assert compare_outputs((ONE,), None, None, "reference").right
