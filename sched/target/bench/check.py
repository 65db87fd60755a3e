"""Whether a contender gives the right result: the same bits, or within a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .results import Checked


def compare_outputs(
    outputs: Sequence[Any], expected: Sequence[Any] | None, tolerance: float | None, other: str
) -> Checked:
    """Compare arrays with those of `other`.

    tolerance  0.0: bit for bit; else errors relative to the largest element that is expected, the root of the type's
               epsilon for None
    """
    if expected is None:
        return Checked(True, "not compared with a reference")
    if len(outputs) != len(expected):
        return Checked(False, f"{len(outputs)} outputs, and {other} has {len(expected)}")
    worst = 0.0
    for output, wanted in zip(map(np.asarray, outputs), map(np.asarray, expected), strict=True):
        if output.shape != wanted.shape:
            return Checked(False, f"the shape {output.shape}, and {other} has {wanted.shape}")
        if tolerance == 0.0:
            if output.dtype != wanted.dtype or output.tobytes() != wanted.tobytes():
                return Checked(False, f"{_differing(output, wanted)} elements differ from {other}")
            continue
        error = _relative_error(output, wanted)
        limit = _limit(output, tolerance)
        if not error <= limit:
            return Checked(False, f"an error of {error:.2g} against {other}, and at most {limit:.2g} is accepted")
        worst = max(worst, error)
    return Checked(
        True, "same bits" if tolerance == 0.0 else f"within {worst:.1g} of {other}" if worst else f"= {other}"
    )


def _limit(output: np.ndarray[Any, Any], tolerance: float | None) -> float:
    if output.dtype.kind != "f":
        return 0.0
    return float(np.sqrt(np.finfo(output.dtype).eps)) if tolerance is None else tolerance


def _relative_error(output: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    """The largest error over the largest finite element; infinite where special values are not the same."""
    if output.dtype.kind != "f":
        return 0.0 if np.array_equal(output, wanted) else float("inf")
    a, b = (array.astype(np.float64) for array in (output, wanted))
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    largest = float(np.abs(b[finite]).max())
    error = float(np.abs(a[finite] - b[finite]).max())
    return (
        error if np.isnan(error) else error / largest if largest else float(error > 0) * float("inf") if error else 0.0
    )


def _differing(output: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> int:
    bits = [np.ascontiguousarray(a).reshape(-1).view(np.uint8).reshape(output.size, -1) for a in (output, wanted)]
    if bits[0].shape != bits[1].shape:
        return output.size
    return int((bits[0] != bits[1]).any(axis=1).sum())
