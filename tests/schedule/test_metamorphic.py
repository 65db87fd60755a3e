"""Commands that undo each other, and commands that do nothing: the kernel's bits stay."""

from __future__ import annotations

import random

import numpy as np
import pytest

import polysched as ps

TO_ITSELF = {
    "split and fuse": lambda c: c.fuse(*c.split("i", 4)),
    "split by more than there is and fuse": lambda c: c.fuse(*c.split("j", 1000)),
    "split of the reduction and fuse": lambda c: c.fuse(*c.split("r", 3)),
    "fuse and split": lambda c: c.split(c.fuse("i", "j"), 11),
    "reorder and back": lambda c: (c.reorder("j", "r", "i"), c.reorder("i", "j", "r")),
    "reorder to what it is": lambda c: c.reorder("i", "j", "r"),
    "reverse twice": lambda c: (c.reverse("i"), c.reverse("i")),
    "split by 1": lambda c: c.split("r", 1),
    "tile by 1": lambda c: c.tile("i", "j", 1, 1),
    "compute_root": lambda c: c.compute_root(),
    "everything fused": lambda c: c.fuse("i", "j", "r"),
    "split, fused and split again": lambda c: c.split(c.fuse(*c.split("j", 3)), 5),
}


@pytest.mark.parametrize("what", TO_ITSELF)
def test_identities_keep_the_bits(samples, run, what):
    C = samples.matmul()
    s = ps.Schedule(C)
    TO_ITSELF[what](s["C"])
    (result,), (default,) = run(s), run(ps.Schedule(C))
    assert result.tobytes() == default.tobytes()


@pytest.mark.parametrize("what", ["reorder and back", "reverse twice", "reorder to what it is"])
def test_identities_print_alike(samples, what):
    s = ps.Schedule(samples.matmul())
    before = str(s)
    TO_ITSELF[what](s["C"])
    assert str(s) == before


@pytest.mark.parametrize("seed", range(12))
def test_print_parse_print_and_the_same_bits(samples, randomly, run, seed):
    rng = random.Random(seed)
    s = ps.Schedule(rng.choice(samples.all())())
    randomly(s, rng, 5)
    again = ps.Schedule.from_text(s.outputs, s.to_text())
    assert str(again) == str(s)
    for result, twin, default in zip(run(s), run(again), run(ps.Schedule(s.outputs)), strict=True):
        assert result.tobytes() == twin.tobytes()
        assert np.array_equal(result, default, equal_nan=True)


@pytest.mark.parametrize("seed", range(8))
def test_a_split_and_fuse_can_be_put_in_anywhere(samples, randomly, run, seed):
    rng = random.Random(100 + seed)
    s = ps.Schedule(samples.pipeline())
    randomly(s, rng, 3)
    t = s.copy()
    free = [(n.stage, one.name) for n in t.state.nests.values() for one in n.loops if one.kind == "serial"]
    tensor, loop = rng.choice(free)
    stage = t[tensor]
    stage.fuse(*stage.split(loop, rng.randint(1, 9)), name=f"again_{loop}")
    for result, other in zip(run(s), run(t), strict=True):
        assert result.tobytes() == other.tobytes()
