"""Faults in sched/target: the ways into a kernel."""

from __future__ import annotations

from ..mutant import Mutant

IN_TARGET: tuple[Mutant, ...] = (
    Mutant(
        "overlap-unchecked",
        "target/arguments.py",
        "            if shared:\n",
        "            if shared and memory is others:\n",
        ("tests/target/test_arguments.py", "tests/target/test_entry.py"),
        "an output may share memory with an input",
    ),
    Mutant(
        "dtype-by-its-size",
        "target/arguments.py",
        "if array.dtype != expected.numpy:",
        "if array.dtype.itemsize != expected.numpy.itemsize:",
        ("tests/target/test_arguments.py", "tests/target/test_entry.py"),
        "an int32 array is taken for a float32 one",
    ),
    Mutant(
        "fortran-order-accepted",
        "target/arguments.py",
        "if not array.flags.c_contiguous:",
        "if not array.flags.forc:",
        ("tests/target/test_arguments.py", "tests/target/test_entry.py"),
        "an array in Fortran order is read as if it were in C order",
    ),
    Mutant(
        "read-only-written",
        "target/arguments.py",
        "if parameter.output and not memory.writable:",
        "if parameter.output and memory is None:",
        ("tests/target/test_arguments.py", "tests/target/test_entry.py"),
        "a read-only array is written",
    ),
    Mutant(
        "scalar-below-its-type",
        "target/arguments.py",
        "return not dtype.lowest <= number <= dtype.highest",
        "return not number <= dtype.highest",
        ("tests/target/test_arguments.py", "tests/target/test_entry.py"),
        "an int8 of -1000 wraps",
    ),
    Mutant(
        "fast-extents-at-least",
        "target/entry.py",
        'out.require(out.compare("eq", extent, out.extent(check.extent, values)))',
        'out.require(out.compare("sge", extent, out.extent(check.extent, values)))',
        ("tests/target/test_entry.py", "tests/target/test_sizes.py"),
        "the fast way in takes arrays that are too long",
    ),
    Mutant(
        "fast-type-by-size",
        "target/entry.py",
        'out.require(out.any_of([out.compare("eq", letter, str(ord(one)), "i8") for one in known]))',
        "assert known and letter",
        ("tests/target/test_entry.py",),
        "the fast way in takes any type of the right size",
    ),
)
