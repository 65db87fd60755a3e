"""Faults in the proof that integers fit into fewer bits."""

from __future__ import annotations

from ..mutant import Mutant

VALUES, NARROW = "tests/polyhedral/test_value_bounds.py", "tests/schedule/test_narrow.py"

IN_NARROW = (
    Mutant(
        "what-is-compared-may-not-fit",
        "polyhedral/narrowing.py",
        "            self.exact += expr.operands\n",
        "",
        (NARROW, VALUES),
        "the sides of a comparison in fewer bits need not fit",
    ),
    Mutant(
        "operands-of-quotients-may-not-fit",
        "polyhedral/narrowing.py",
        "                self.exact += operands\n",
        "",
        (NARROW, VALUES),
        "what a minimum or a quotient in fewer bits is made of need not fit",
    ),
    Mutant(
        "types-of-as-many-values-hold-all",
        "polyhedral/narrowing.py",
        "return to.lowest <= dtype.lowest and dtype.highest <= to.highest",
        "return to.highest - to.lowest >= dtype.highest - dtype.lowest",
        (NARROW,),
        "a type of as many bits is taken to have all values of another one",
    ),
    Mutant(
        "differences-of-unsigned-below-zero",
        "polyhedral/value_ranges.py",
        "        if not holds(expr.dtype, to):\n",
        "        if False:\n",
        (NARROW,),
        "what has to fit may wrap in the type that it had",
    ),
    Mutant(
        "what-wraps-is-what-it-would-be",
        "polyhedral/value_ranges.py",
        "        if points.is_empty():\n            return own\n        every",
        "        if True:\n            return own\n        every",
        (NARROW,),
        "values have the range that they had if they did not wrap",
    ),
    Mutant(
        "products-of-what-is-negative",
        "polyhedral/value_ranges.py",
        "return Range(low.lower.min(high.lower), low.upper.max(high.upper))",
        "return Range(low.lower, high.upper)",
        (NARROW, VALUES),
        "a product is taken to be least where its factors are",
    ),
    Mutant(
        "what-is-multiplied-is-not-asked",
        "polyhedral/value_ranges.py",
        "if not isinstance(update, Op) or not stage.dtype.is_int:",
        'if not isinstance(update, Op) or combine not in ("min", "max", "add"):',
        (NARROW,),
        "what has to fit in a product over axes is not looked at, so that no sizes are found for it",
    ),
    Mutant(
        "parts-of-what-is-affine-are-not-asked",
        "polyhedral/value_ranges.py",
        "if expr.dtype == BOOL or exact is not None:  # parts of it may have to fit",
        "if expr.dtype == BOOL:  # parts of it may have to fit",
        (NARROW,),
        "what has to fit in an affine value is not looked at",
    ),
    Mutant(
        "bounds-of-either-side",
        "polyhedral/invariants.py",
        'return _both(*sides) if (name == "max") == (side == "upper") else _few([*sides[0], *sides[1]])',
        "return _few([*sides[0], *sides[1]])",
        (VALUES,),
        "the largest of two is bounded by what bounds one of them, which is no invariant",
    ),
    Mutant(
        "outputs-in-fewer-bits",
        "schedule/primitives/narrow.py",
        "members = [s for s in circle if not any(s is other for other in given)]",
        "members = list(circle)",
        (NARROW,),
        "an output that a recurrence needs is stored in fewer bits than its caller gives",
    ),
)
