"""Faults in sched/compute: element types, expressions, reductions and sizes."""

from __future__ import annotations

from ..mutant import CORPUS, ERRORS, REDUCTIONS, Mutant

IN_COMPUTE: tuple[Mutant, ...] = (
    Mutant(
        "contract-loses-a-sign",
        "compute/contract.py",
        'right if node.name == "add" else _negated(right)',
        "right",
        ("tests/compute/test_contract.py",),
        "a * b - c is contracted to a * b + c",
    ),
    Mutant(
        "contract-halves",
        "compute/contract.py",
        '_CONTRACTED = ("float32", "float64")',
        '_CONTRACTED = ("float16", "float32", "float64")',
        ("tests/compute/test_contract.py",),
        "float16 is contracted, which the reference and the target round twice",
    ),
    Mutant(
        "dtype-byte-order",
        "compute/dtypes.py",
        "known is None or not known.isnative or known.name",
        "known is None or known.name",
        ("tests/compute/test_promotion.py", "tests/compute/test_wrong_definitions.py"),
        "a type of the other byte order is taken for the machine's",
    ),
    Mutant(
        "simplify-min-is-max",
        "compute/simplify.py",
        'return a if (apart <= 0) == (expr.name == "min") else b',
        'return a if (apart <= 0) != (expr.name == "min") else b',
        ("tests/compute/test_simplify.py",),
        "of a and a + 1 the greater is taken for the minimum",
    ),
    Mutant(
        "simplify-bound-of-a-negative",
        "compute/simplify.py",
        "return rebuild(expr, (_bound(a, upper=not upper),))",
        "return rebuild(expr, (_bound(a, upper=upper),))",
        ("tests/compute/test_simplify.py",),
        "the upper bound of -i is taken at the greatest i",
    ),
    Mutant(
        "simplify-less-or-equal",
        "compute/simplify.py",
        '"le": apart <= 0',
        '"le": apart < 0',
        ("tests/compute/test_simplify.py",),
        "i <= i folds to false",
    ),
    Mutant(
        "simplify-divides-what-wraps",
        "compute/simplify.py",
        "node.is_data or isinstance(node, Cast) or (",
        "isinstance(node, Cast) or (",
        ("tests/compute/test_simplify.py",),
        "integers from memory are simplified as if they never wrapped",
    ),
    Mutant(
        "simplify-rejoins-without-coefficient",
        "compute/simplify.py",
        "_summed(without, _scaled(linear(x), coefficient))",
        "_summed(without, linear(x))",
        ("tests/compute/test_simplify.py",),
        "2 * (x // m * m + x % m) becomes x",
    ),
    Mutant(
        "identity-of-max",
        "compute/reductions.py",
        'lambda t: False if t == BOOL else t.lowest, exact=True),\n        Reduction("any"',
        'lambda t: False if t == BOOL else t.numpy.type(0).item(), exact=True),\n        Reduction("any"',
        (REDUCTIONS,),
        "a maximum begins with 0",
    ),
    Mutant(
        "float-sums-in-any-order",
        "compute/reductions.py",
        'Reduction("sum", "add", lambda t: 0.0 if t.is_float else 0, exact=False)',
        'Reduction("sum", "add", lambda t: 0.0 if t.is_float else 0, exact=True)',
        (ERRORS, CORPUS),
        "the order of a float sum is taken for free",
    ),
    Mutant(
        "sizes-unchecked-extents",
        "compute/sizes.py",
        "checks = tuple(extent for extent in extents if extent not in taken)",
        "checks = ()",
        ("tests/target/test_sizes.py", "tests/target/test_arguments.py"),
        "extents that determine no size are not compared with the others",
    ),
    Mutant(
        "sizes-promised-multiple",
        "compute/sizes.py",
        "if value % size.multiple_of:",
        "if value % size.multiple_of < 0:",
        ("tests/target/test_sizes.py", "tests/target/test_arguments.py"),
        "multiple_of= is promised and never checked",
    ),
)
