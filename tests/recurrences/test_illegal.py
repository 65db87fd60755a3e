"""The classic mistakes, each refused with its smallest witness: what is said is pinned in expected/illegal.txt."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import polysched as ps

from .definitions import EXAMPLES
from .oracle import violations

# Commands of which the last is illegal, after those before a semicolon.
MISTAKES = {
    "jacobi_1d": ('u.reorder("i", "t")', 'u.tile("t", "i", 4, 8)', 'u.parallel("t")', 'u.fold_storage("t", 1)'),
    "jacobi_2d": ('u.tile("t", "i", 4, 8)', 'u.parallel("t")', 'u.reorder("j", "t")', 'u.fold_storage("t", 1)'),
    "heat_3d": ('u.tile("t", "k", 2, 8)', 'u.reorder("i", "t")', 'u.parallel("t")', 'u.fold_storage("t", 1)'),
    "seidel_2d": (
        'u.tile("i", "j", 4, 4)',
        'u.parallel("i")',
        'u.vectorize("j")',
        'u.reverse("j")',
        'u.reorder("i", "t")',
        'u.tile("t", "i", 4, 8)',
    ),
    "fdtd_2d": ('hz.tile("t", "i", 4, 8)', 'ex.parallel("t")', 'hz.shift("t", -1)', 'hz.reorder("i", "t")'),
    "lu": ('L.reverse("i")', 'L.parallel("i")', 'L.reorder("r", "i", "j")'),
    "cholesky": ('L.parallel("i")', 'L.parallel("j")', 'L.reorder("r", "j")'),
    "triangular_solve": (
        'x.parallel("i")',
        'x.reverse("i")',
        'x.reorder("r", "i")',
        'x.vectorize("i")',
        'x.split("i", 4, outer="io", inner="ii"); x.split("r", 4, outer="ro", inner="ri"); '
        'x.reorder("io", "ro", "ii", "ri")',
    ),
    "floyd_warshall": ('d.reorder("i", "k")', 'd.tile("k", "i", 4, 8)', 'd.parallel("k")', 'd.fold_storage("k", 1)'),
    "prefix_sum": ('p.parallel("i")', 'p.reverse("i")', 'p.vectorize("i")'),
    "deriche": ('f.parallel("j")', 'g.reverse("j")', 'f.vectorize("j")', 'f.fold_storage("j", 2)'),
    "adi": ('q.parallel("t")', 'v.parallel("j")', 'v.reverse("j")', 'q.fold_storage("j", 1)'),
    "smith_waterman": (
        'H.parallel("i")',
        'H.vectorize("j")',
        'H.reverse("i")',
        'H.skew("j", 1, by="i"); H.reorder("j", "i"); H.parallel("j")',
        'H.tile("i", "j", 4, 8, outers=("io", "jo"), inners=("ii", "ji")); H.parallel("io")',
    ),
    "nussinov": ('B.reverse("i")', 'B.parallel("j")', 'B.reorder("k", "i")', 'B.vectorize("j")'),
    "multigrid": ('u.tile("t", "i", 4, 8)', 'w.parallel("t")', 'u.reorder("i", "t")', 'e.fold_storage("t", 1)'),
}


def refusal(name: str, command: str) -> tuple[ps.Schedule, str, ps.LegalityError]:
    s = ps.Schedule(EXAMPLES[name].define())
    *before, command = command.split("; ")
    s.extend(before)
    stage, word = command.split(".", 1)
    if word.startswith("vectorize"):
        loop = s[stage].split(word.split('"')[1], 4)[1]
        word = f'vectorize("{loop}")'
    with pytest.raises(ps.LegalityError) as wrong:
        eval(f"s[{stage!r}].{word}", {"s": s})
    return s, f"{stage}.{word}", wrong.value


def test_mistakes(expect: Callable[[str, str], None]) -> None:
    parts = []
    for name, commands in MISTAKES.items():
        for command in commands:
            _, given, wrong = refusal(name, command)
            parts.append(f"{name}: {given}\n    {wrong.reason}")
    expect("illegal.txt", "\n\n".join(parts))


@pytest.mark.parametrize("name", MISTAKES)
def test_the_witness_is_a_violation(name: str) -> None:
    """By brute force, at the sizes of the message; and nothing is illegal with any size one smaller."""
    from polysched.schedule.text import HEADER, parse_schedule

    for command in MISTAKES[name]:
        s, given, wrong = refusal(name, command)
        if "tile" in given:
            given = f'{given[:-1]}, outers=("a", "b"), inners=("c", "d"))'
        ((_, stage, record),) = parse_schedule(f"{HEADER}\n{given}")
        state = s.state.after(record, s[stage].tensor)
        assert (wrong.source, wrong.sink) in [(a.name, b.name) for a, b in violations(state, wrong.sizes)]
        least = {size.name: size.min for size in s.program.sizes}
        for size, value in wrong.sizes.items():
            if value > least[size]:
                smaller = {**wrong.sizes, size: value - 1}
                assert next(violations(state, smaller), None) is None, f"{given}: already at {smaller}"


def test_what_was_proven_is_for_those_loops_alone() -> None:
    """Proofs are kept from command to command, as long as loops and storage are the same."""
    s = ps.Schedule(EXAMPLES["jacobi_1d"].define())
    s["u"].skew("i", by="t")
    assert isinstance(s["u"].why_not("parallel", "t"), ps.LegalityError)
    s["u"].fold_storage("t", 3)
    s["u"].fold_storage("t", 2)
    assert isinstance(s["u"].why_not("fold_storage", "t", 1), ps.LegalityError)
    s.undo()
    s["u"].parallel("i")
    assert isinstance(s["u"].why_not("reorder", "i", "t"), ps.ScheduleError)
