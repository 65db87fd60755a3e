"""Faults in what recurrences alone have: cuts, operands apart, proofs that are kept, vectors that are carried."""

from __future__ import annotations

from ..mutant import NESTS, Mutant

CLOSURE = "tests/recurrences/test_closure.py"
CARRIED = "tests/lower/test_carry_vectors.py"
KEPT_PROOFS = "tests/recurrences/test_illegal.py"

IN_RECURRENCES: tuple[Mutant, ...] = (
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
)
