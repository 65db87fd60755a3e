"""The text form: every primitive goes there and back, what is malformed is named with its line, nothing is executed."""

from __future__ import annotations

import random

import numpy as np
import pytest

import polysched as ps
from polysched.schedule.primitives import REGISTRY
from polysched.schedule.text import HEADER, MAX_COMMANDS, MAX_TEXT

EVERY_PRIMITIVE = """\
# polysched schedule, version 1
scaled.inline()
scaled.compute_root()
out.skew("j", 2, by="i")
out.shift("i", -3)
out.partition("2*i-j", 8, name="d")
out.tile("i", "j", 4, 8, outers=("io", "jo"), inners=("ii", "ji"))
out.reorder("io", "jo", "ji", "ii")
out.unroll("ii")
out.reverse("ji")
out.parallel("io", "jo", name="tile")
most.split("r", 16, outer="ro", inner="ri")
most.vectorize("ri")
most.fuse("i", "ro", name="all")
scaled.parallel("i")
"""


def test_every_primitive_round_trips(samples):
    s = ps.Schedule.from_text(samples.pipeline(), EVERY_PRIMITIVE)
    elsewhere = {
        "align_storage",
        "block_steps",
        "cache_operand",
        "cache_read",
        "cache_write",
        "compute_at",
        "compute_with",
        "fold_storage",
        "narrow",
        "peel",
        "prefetch",
        "reorder_storage",
        "rfactor",
        "separate",
        "specialize",
        "store_at",
        "store_streaming",
    }  # test_compute_at.py, test_storage.py, test_align_storage.py, test_prefetch.py, test_narrow.py, ...
    assert {command.word for _, command in s.log} | elsewhere == set(REGISTRY)
    assert s.to_text() == EVERY_PRIMITIVE
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert (again, hash(again), str(again)) == (s, hash(s), str(s))


def test_commands_are_python(samples):
    s = ps.Schedule.from_text(samples.pipeline(), EVERY_PRIMITIVE)
    t = ps.Schedule(s.outputs)
    for command in s.commands:
        exec(command, {stage.name: t[stage.name] for stage in t.stages})
    assert t == s


@pytest.mark.parametrize("seed", range(30))
def test_random_logs_round_trip(samples, randomly, seed):
    rng = random.Random(seed)
    s = ps.Schedule(rng.choice(samples.all())())
    randomly(s, rng, 12)
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert again == s
    assert again.to_text() == s.to_text()
    assert str(again) == str(s)


def test_layout_is_free_where_it_means_nothing(samples):
    text = f'{HEADER}\r\n\r\n   # a remark\r\n  C.split( "i" ,6 , inner="b",outer = "a")  \r\n\tC.reorder("j","r")\r\n'
    s = ps.Schedule.from_text(samples.matmul(), text)
    assert s.commands == ('C.split("i", 6, outer="a", inner="b")', 'C.reorder("j", "r")')


@pytest.mark.parametrize("name", ["größe", "行", "a·b", "℘", "lambda", "x" * 200])
def test_names_of_all_kinds(name):
    A = ps.placeholder((20,), "float32", name="A")
    s = ps.Schedule(ps.compute((20,), lambda i: A[i] + 1, name=name))
    s[name].split("i", 4, outer=name[:199], inner="rest")
    assert ps.Schedule.from_text(s.outputs, s.to_text()) == s


MALFORMED = [
    "",
    "C",
    "C.split",
    "C.split(",
    'C.split("i", 4',
    'C.split("i", 4, outer="a", inner="b") and more',
    'split("i", 4)',
    'C .split("i", 4)',
    '.split("i", 4)',
    '1C.unroll("i")',
    'C.unrol("i")',
    'C.__class__("i")',
    'C._apply("i")',
    'C.apply("i")',
    'C.tensor.name("i")',
    "C.unroll(i)",
    "C.unroll('i')",
    'C.unroll("i',
    'C.unroll("i"")',
    'C.unroll("i" "j")',
    'C.unroll("i",)',
    'C.unroll(,"i")',
    'C.unroll("i",,"j")',
    'C.unroll("i"; "j")',
    'C.unroll("i", "j")',
    "C.unroll()",
    "C.unroll(3)",
    'C.unroll("")',
    'C.unroll("not a name")',
    'C.unroll("' + "x" * 300 + '")',
    'C.unroll("\\x69")',
    "C.unroll(loop=)",
    "C.unroll(loop)",
    'C.unroll(loop="i", loop="i")',
    'C.unroll(lop="i")',
    'C.unroll(*"i")',
    'C.unroll(f"i")',
    'C.unroll("i".upper())',
    'C.unroll(("i"))',
    "C.inline(1)",
    "C.inline(x",
    "C.inline(x)",
    "C.inline(,)",
    'C.split("i", "4", outer="a", inner="b")',
    'C.split("i", -4, outer="a", inner="b")',
    'C.split("i", 4.5, outer="a", inner="b")',
    'C.split("i", 4, "a", "b")',
    'C.split("i", 4)',
    'C.split("i", 4, outer="a", inner=("b", "c"))',
    'C.split("i", 4, outer="a", inner=())',
    'C.split("i", 4, outer="a", inner=("b"',
    'C.split("i", 4, outer="a", inner="b", 5)',
    'C.split("i", 1234567890123456789, outer="a", inner="b")',
    'C.split("i", \u0664, outer="a", inner="b")',
    'C.tile("i", "j", 4, 4, outers=("a", "b", inners=("c", "d"))',
    'C.split(__import__("os").system("true"), 4)',
    "C.reorder()",
    "C.parallel()",
    'C.fuse("i", "j")',
]


def test_malformed_lines(samples, expect):
    shown = []
    for line in MALFORMED[1:]:
        with pytest.raises(ps.ScheduleError) as caught:
            ps.Schedule.from_text(samples.matmul(), f"{HEADER}\n# fine\n{line}\n")
        assert caught.value.reason.startswith("line 3"), caught.value.reason
        shown.append(f"{line[:80]}\n    {caught.value.reason}\n")
    expect("malformed_lines.txt", "\n".join(shown))


@pytest.mark.parametrize(
    "text", ["", "\n", "C.unroll('i')", "# polysched schedule, version 2\n", f" \n{HEADER}\n", f"\ufeff{HEADER}\n"]
)
def test_the_first_line_is_the_header(samples, text):
    with pytest.raises(ps.ScheduleError, match="line 1: a schedule's text begins with the line"):
        ps.Schedule.from_text(samples.matmul(), text)


@pytest.mark.parametrize("text", [None, b"# polysched schedule, version 1\n", 3, ["C"]])
def test_a_text_is_a_str(samples, text):
    with pytest.raises(ps.ScheduleError, match="a schedule's text is a str, not a"):
        ps.Schedule.from_text(samples.matmul(), text)


def test_sizes_are_limited(samples):
    C = samples.matmul()
    with pytest.raises(ps.ScheduleError, match=f"at most {MAX_TEXT} characters"):
        ps.Schedule.from_text(C, f"{HEADER}\n" + "#" * MAX_TEXT)
    with pytest.raises(ps.ScheduleError, match=f"line {MAX_COMMANDS + 2}: .* at most {MAX_COMMANDS} commands"):
        ps.Schedule.from_text(C, f"{HEADER}\n" + 'C.reverse("i")\n' * (MAX_COMMANDS + 1))
    long = ", ".join(['"i"'] * 100_000)
    with pytest.raises(ps.ScheduleError, match="line 2"):
        ps.Schedule.from_text(C, f"{HEADER}\nC.reorder({long})")


def test_a_malformed_end_is_found_before_anything_is_proven(samples):
    with pytest.raises(ps.ScheduleError, match="line 3"):
        ps.Schedule.from_text(samples.matmul(), f'{HEADER}\nC.parallel("r")\nnonsense\n')


@pytest.mark.parametrize(
    ("commands", "outputs", "reason"),
    [
        (('C.unroll("k")',), "matmul", r'line 2, C\.unroll\("k"\): C has no loop'),
        (
            ('C.tile("i", "j", 2, 2, outers="a", inners=("b", "c"))',),
            "matmul",
            "line 2, .* take two names each, not 1 and 2",
        ),
        (('T.unroll("i")',), "matmul", r"line 2, T\.unroll\(\"i\"\): 'T' is no stage of this schedule"),
        (('C.reverse("i")', 'C.parallel("r")', 'C.unroll("x")'), "matmul", r'line 3, C\.parallel\("r"\): at n=1'),
        (('T.fuse("i", "r", name="i")', 'T.fuse("i", "r", name="x")'), "triangle", "line 3, T.fuse"),
        (
            ("scaled.inline()", 'scaled.parallel("i")'),
            "pipeline",
            r'line 3, scaled\.parallel\("i"\): scaled is inlined',
        ),
        (
            ('C.parallel("i", "j")',),
            "matmul",
            r'line 2, C\.parallel\("i", "j"\): parallel over several loops needs name=',
        ),
    ],
)
def test_the_first_step_that_does_not_hold_is_named(samples, commands, outputs, reason):
    with pytest.raises(ps.ScheduleError, match=reason) as caught:
        ps.Schedule.from_text(getattr(samples, outputs)(), "\n".join([HEADER, *commands]))
    assert caught.value.location.file == __file__
    assert str(caught.value) == f"{caught.value.reason} ({caught.value.location})"


def test_replay_on_other_sizes(samples, run):
    s = ps.Schedule(samples.matmul())
    s["C"].tile("i", "j", 4, 8)
    s["C"].vectorize("j_i")
    text = s.to_text()
    for sizes in ((13, 11, 7), (4, 8, 1), (1, 1, 1)):
        fixed = ps.Schedule.from_text(samples.matmul(*sizes), text)
        assert fixed.commands == s.commands
        assert "n" not in str(fixed).replace("in ", "")
        default = run(ps.Schedule(fixed.outputs))
        assert np.array_equal(run(fixed)[0], default[0])


def test_replay_names_what_needs_a_literal_size(samples):
    s = ps.Schedule(samples.matmul(8, 8, 8))
    s["C"].parallel("i")
    s["C"].unroll("j")
    with pytest.raises(ps.ScheduleError, match=r'line 3, C\.unroll\("j"\): unroll needs a loop with a literal number'):
        ps.Schedule.from_text(samples.matmul(), s.to_text())


def test_replay_names_what_is_illegal_elsewhere(samples):
    s = ps.Schedule(samples.matmul(reassociate=True))
    s["C"].split("r", 8)
    s["C"].vectorize("r_i")
    with pytest.raises(ps.LegalityError, match=r'line 3, C\.vectorize\("r_i"\): at n=1') as caught:
        ps.Schedule.from_text(samples.matmul(), s.to_text())
    assert caught.value.sizes == {"n": 1, "k": 2, "m": 1}
