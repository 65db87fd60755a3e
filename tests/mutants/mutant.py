"""What a mutant is, and the tests that many of them are for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: `original`, which occurs exactly once in the file of sched/, becomes `mutated`."""

    name: str
    file: str
    original: str
    mutated: str
    tests: tuple[str, ...]
    fault: str

    def applied(self, text: str) -> str:
        """The text of the file with the fault in it."""
        assert text.count(self.original) == 1, f"{self.name}: the original is not there exactly once"
        return text.replace(self.original, self.mutated)


CORPUS, VERDICTS, FOUND = "tests/oracle/test_corpus.py", "tests/oracle/test_verdicts.py", "tests/oracle/test_found.py"
ERRORS, NESTS = "tests/errors/test_schedule_errors.py", "tests/golden/test_nests.py"
EVERY_COMMAND, EVERY_OPERATION = "tests/end_to_end/test_every_command.py", "tests/dtypes/test_every_operation.py"
PARALLEL_REDUCTIONS = "tests/end_to_end/test_parallel_reductions.py"
VECTOR_REDUCTIONS = "tests/end_to_end/test_vector_reductions.py"
REDUCTIONS, KEEP_MEANING = "tests/dtypes/test_reductions.py", "tests/lower/test_passes_keep_meaning.py"
PASSES = "tests/lower/test_passes.py"
ORDER, LEGALITY = "tests/polyhedral/test_order.py", "tests/polyhedral/test_legality.py"
VERIFIER = "tests/polyhedral/test_verify.py"
RECURRENCES_FOUND = "tests/recurrences/test_found.py"
POSITIONS = "tests/polyhedral/test_positions.py"
