"""Faults in what is fetched ahead, and in memory that is padded."""

from __future__ import annotations

from ..mutant import Mutant

FETCHED, PREFETCH = "tests/lower/test_prefetch_lines.py", "tests/schedule/test_prefetch.py"

PEEL = "tests/lower/test_peel_loops.py"
ALIGN = "tests/schedule/test_align_storage.py"

IN_STORAGE: tuple[Mutant, ...] = (
    Mutant(
        "peel-the-middle-too-far",
        "lower/passes/peel_loops.py",
        "ends = tuple(simplify(end - last) for end in minima(stmt.end))",
        "ends = tuple(simplify(end - last + 1) for end in minima(stmt.end))",
        (PEEL,),
        "an iteration between the middle and the last ones runs twice",
    ),
    Mutant(
        "peel-short-loops-twice",
        "lower/passes/peel_loops.py",
        'after = _extremum("max", tuple(dict.fromkeys((begin, end)))) if last else begin',
        "after = end",
        (PEEL,),
        "what is among the first and the last iterations of a short loop runs twice",
    ),
    Mutant(
        "peel-decides-too-much",
        "lower/passes/peel_loops.py",
        '{"lt": (b - a, a - b + 1), "ge"',
        '{"lt": (b - a + 1, a - b + 1), "ge"',
        (PEEL,),
        "a comparison that fails in one iteration is taken to hold",
    ),
    Mutant(
        "peel-one-too-few",
        "polyhedral/peeling.py",
        "min((a + 1 for a, _ in options if a is not None)",
        "min((a for a, _ in options if a is not None)",
        (PEEL,),
        "the last iteration in which a border matters is left in the middle",
    ),
    Mutant(
        "piece-cut-anyway",
        "lower/passes/separate_full_tiles.py",
        "if loop.peel == WHOLE:",
        "if loop.peel is WHOLE and known.more < 0:",
        (PEEL,),
        "a loop that is to stay in one piece is cut",
    ),
    Mutant(
        "bounds-dropped",
        "lower/passes/peel_loops.py",
        "if not certainly_positive(bound.slack + 1, ranges)]",
        "if not certainly_positive(bound.slack + 2, ranges)]",
        (PEEL,),
        "a tile that lacks one element is taken for full",
    ),
    Mutant(
        "pad-without-the-rest",
        "polyhedral/layout.py",
        "return simplify((extent + (multiple - 1 - offset)) // multiple * multiple + offset)",
        "return simplify((extent - offset) // multiple * multiple + offset)",
        (ALIGN,),
        "rows are cut to a multiple, and overlap",
    ),
    Mutant(
        "pad-more-than-needed",
        "polyhedral/layout.py",
        "(extent + (multiple - 1 - offset))",
        "(extent + (multiple - offset))",
        (ALIGN,),
        "rows that are aligned already get a multiple more",
    ),
    Mutant(
        "pad-of-another-layout",
        "schedule/primitives/reorder_storage.py",
        "for term in before.pads if term not in terms",
        "for term in before.pads if len(term.form) > len(terms)",
        (ALIGN,),
        "a new layout silently loses the padding",
    ),
    Mutant(
        "fetch-this-iteration",
        "polyhedral/prefetching.py",
        "later = {counters[by]: counters[by] + ahead.distance}",
        "later = {counters[by]: counters[by] + 0}",
        (FETCHED,),
        "what is fetched ahead is what is read now",
    ),
    Mutant(
        "fetch-of-the-last-read",
        "polyhedral/prefetching.py",
        "found = elements if found is None else found.union(elements)",
        "found = elements",
        (FETCHED,),
        "only what the last read of a statement needs is fetched",
    ),
    Mutant(
        "fetch-without-the-last-line",
        "lower/passes/prefetch_lines.py",
        "return length if step == 1 else (length + (step - 2)) // step + 1",
        "return length if step == 1 else (length + (step - 1)) // step",
        (FETCHED,),
        "a run that begins within a line is fetched without its last line",
    ),
    Mutant(
        "fetch-outside",
        "lower/passes/prefetch_lines.py",
        """Op("min", (origin + extent, whole), INDEX)""",
        "origin + extent",
        (FETCHED,),
        "addresses outside of the array are formed at its end",
    ),
    Mutant(
        "fetch-elements-of-the-tensor",
        "polyhedral/prefetching.py",
        "if placement is None or (not placement.kept and not layout.terms and not layout.folds):",
        "if placement is None or not placement.kept:",
        (FETCHED, PREFETCH),
        "what is fetched of a packed tensor is where it would be without the packing",
    ),
    Mutant(
        "fetch-beyond-the-last-iteration",
        "schedule/fetching.py",
        "if most is None or most >= ahead.distance:",
        "if most is None or most >= 0:",
        (PREFETCH,),
        "a prefetch of an iteration that there is never is accepted, and fetches nothing",
    ),
    Mutant(
        "fetch-without-loops-left-out",
        "polyhedral/prefetching.py",
        "    values = {loop.uid: _counters(tree, loop, statements) for loop in path}",
        "    values = {loop.uid: _counters(tree, loop, statements) for loop in known}",
        (FETCHED, PREFETCH),
        "cells of a copy that is made in a loop of one iteration are not known",
    ),
    Mutant(
        "fetch-when-vectorized",
        "schedule/fetching.py",
        'if loop.kind == "vectorize"]',
        'if loop.kind == "unroll"]',
        (PREFETCH,),
        "a prefetch may stand in a vectorized loop",
    ),
)
