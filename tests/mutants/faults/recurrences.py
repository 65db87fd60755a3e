"""Faults in what recurrences alone have: cuts, operands apart, proofs that are kept, vectors that are carried."""

from __future__ import annotations

from ..mutant import NESTS, Mutant

CLOSURE = "tests/recurrences/test_closure.py"
CARRIED = "tests/lower/test_carry_vectors.py"
KEPT_PROOFS = "tests/recurrences/test_illegal.py"
OVERLAPPED = "tests/recurrences/test_overlapped.py"
IN_LOOPS_FOUND = "tests/schedule/test_compute_at_found.py"

IN_RECURRENCES: tuple[Mutant, ...] = (
    Mutant(
        "loops-shared-by-all-or-none",
        "schedule/system.py",
        "if joined is None and self._wants(circle, depth):",
        "if False:",
        ("tests/recurrences/test_sweep.py",),
        "what cannot share a loop keeps others from sharing it",
    ),
    Mutant(
        "cuts-of-earlier-blocks-alone",
        "polyhedral/equations.py",
        "apart = block.ne_set(other) if cut.later else block.lt_set(other)",
        "apart = block.lt_set(other)",
        (NESTS,),
        "cells in later blocks stay where they were",
    ),
    Mutant(
        "cuts-not-ahead",
        "polyhedral/equations.py",
        "axes[cut.other] + cut.ahead",
        "axes[cut.other] + 0",
        (NESTS,),
        "blocks of what is a step behind are those of the step itself",
    ),
    Mutant(
        "operands-all-alike",
        "polyhedral/definitions.py",
        "alike = all(map(same, read.indices, self.operand.indices))",
        "alike = True",
        (CLOSURE,),
        "every read of the tensor is of the operand that is kept",
    ),
    Mutant(
        "offset-of-counters-alone",
        "schedule/primitives/split.py",
        "begin, value = simplify(begin + offset), simplify(value + offset)",
        "begin, value = begin, simplify(value + offset)",
        (CLOSURE,),
        "the loops are shown as if no piece were moved",
    ),
    Mutant(
        "proofs-kept-for-other-kinds",
        "polyhedral/tree.py",
        "for x in (node.kind, node.values",
        'for x in ("", node.values',
        (KEPT_PROOFS,),
        "what was legal in a serial loop is taken to be in a parallel one",
    ),
    Mutant(
        "lives-kept-for-other-folds",
        "polyhedral/clobber.py",
        "(program.layout(stage), source, writer, *tree",
        "(source, writer, *tree",
        (KEPT_PROOFS,),
        "what a fold leaves alone is taken to be left alone by a smaller one",
    ),
    Mutant(
        "least-slack-of-the-wrong-end",
        "lower/separate_full_tiles.py",
        "begin if factor > 0 else",
        "begin if factor < 0 else",
        (CARRIED,),
        "a tile is taken for full that is so in one of the iterations around it",
    ),
    Mutant(
        "carried-from-the-wrong-side",
        "lower/carry_vectors.py",
        'Op("lanes_behind", (before, here), here.dtype)',
        'Op("lanes_behind", (here, before), here.dtype)',
        (CARRIED,),
        "the vector before is shifted, and this one's last lane comes in",
    ),
    Mutant(
        "carried-without-a-beginning",
        "lower/carry_vectors.py",
        "Const(width - 1, INDEX)",
        "Const(width, INDEX)",
        (CARRIED,),
        "the first iteration's lane from before is 0",
    ),
    Mutant(
        "one-init-an-equation",
        "lower/loops.py",
        "part = update.loops_of\n        while",
        "part = update.equation\n        while",
        ("tests/recurrences/test_found.py",),
        "updates of cells that are cut off run where those of the other cells are begun",
    ),
    Mutant(
        "others-for-what-was-cut",
        "polyhedral/statement.py",
        "and self.domain.is_equal(other.domain)",
        "",
        (NESTS, "tests/recurrences/test_factorization.py"),
        "what is left of a statement after a cut is taken for what it was before",
    ),
    Mutant(
        "steps-that-are-not-empty",
        "lower/lengthen_unrolled.py",
        "if least is not None and least >= 0:",
        "if least is not None and least >= -1:",
        ("tests/lower/test_lengthen_unrolled.py",),
        "bounds of unrolled loops go where vectors have one lane left",
    ),
    Mutant(
        "neighbourhoods-of-one-side",
        "polyhedral/needs.py",
        "<= {high}m",
        "<= 0",
        (OVERLAPPED,),
        "what steps need of cells further on is not computed in their tile",
    ),
    Mutant(
        "a-plane-too-early",
        "polyhedral/steps.py",
        "Const(factor - 2, INDEX)",
        "Const(max(factor - 3, 0), INDEX)",
        (OVERLAPPED,),
        "a block goes on with the last plane but one of the steps in it",
    ),
    Mutant(
        "no-copies-beyond-the-last-step",
        "polyhedral/steps.py",
        'conditions = (where, _compared("ge", beyond, 1))',
        'conditions = (where, _compared("ge", beyond, 2))',
        (OVERLAPPED,),
        "planes after the last step are not there",
    ),
    Mutant(
        "steps-of-any-plane-before",
        "schedule/primitives/block_steps.py",
        "if back != 1:",
        "if back is None or back < 1:",
        (OVERLAPPED,),
        "a step that reads two steps back is made of the one before",
    ),
    Mutant(
        "readers-anywhere",
        "schedule/system.py",
        "frozenset(own | readers)",
        "frozenset(own)",
        (OVERLAPPED,),
        "what reads a stage may be outside of the loops that it is computed in",
    ),
    Mutant(
        "commands-for-stages-elsewhere",
        "schedule/primitives/base.py",
        "return len({None if own is None else (own.host.uid, own.loop) for own in owns}) == 1",
        "return True",
        (OVERLAPPED,),
        "a command on a recurrence is one on the steps within its tiles, too",
    ),
    Mutant(
        "ends-of-threads-open",
        "polyhedral/schedule_tree.py",
        'shared = node.kind == "parallel" or any(',
        "shared = any(",
        (IN_LOOPS_FOUND,),
        "what one iteration on threads needs is computed outside of them",
    ),
)
