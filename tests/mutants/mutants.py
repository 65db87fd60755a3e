"""Faults made by hand, each of which the tests must notice: see run.py."""

from __future__ import annotations

from .faults.bench import IN_BENCH
from .faults.compute import IN_COMPUTE
from .faults.integers import IN_INTEGERS
from .faults.kept import KEPT
from .faults.llvm import IN_LLVM
from .faults.lower import IN_LOWER
from .faults.math import IN_MATH
from .faults.narrow import IN_NARROW
from .faults.places import IN_PLACES
from .faults.polyhedral import IN_POLYHEDRAL
from .faults.recurrences import IN_RECURRENCES
from .faults.schedule import IN_SCHEDULE
from .faults.storage import IN_STORAGE
from .faults.target import IN_TARGET

MUTANTS = (
    *(*IN_COMPUTE, *IN_POLYHEDRAL, *IN_SCHEDULE, *IN_PLACES, *IN_LOWER, *IN_LLVM, *IN_MATH, *IN_INTEGERS, *IN_TARGET),
    *(*KEPT, *IN_BENCH, *IN_STORAGE, *IN_RECURRENCES, *IN_NARROW),
)
