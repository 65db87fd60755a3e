"""Mutated schedule texts give a schedule or one of our own errors; nothing crashes, hangs or is executed.

POLYSCHED_FUZZ_CASES says how many, POLYSCHED_FUZZ_SEED which; a failure prints the text, which reproduces it.
"""

from __future__ import annotations

import os
import random
import sys
import time

import pytest

import polysched as ps
from polysched.schedule.text import HEADER

CASES = int(os.environ.get("POLYSCHED_FUZZ_CASES", "2000"))
FIRST = int(os.environ.get("POLYSCHED_FUZZ_SEED", "0"))
SHARDS = 20
TOO_LONG = 5.0  # seconds of this process, since machines are shared; ordinary texts take some milliseconds
PIECES = [
    '"', "(", ")", ",", "=", ".", "#", "\n", "\\", "'", "-", "0", "999999999", "18446744073709551616", '"i"', '"r"',
    "C.", "T.", "out.", "split", "inline()", "outer=", "name=", "\x00", "\u2028", "\ud800", "é", "__import__",
    'C.parallel("i")', "C.inline()", "scaled.inline()", "|", "[", "{", "lambda: 0", "\t", "\r", "٣",
]  # fmt: skip
EXECUTING = frozenset({"exec", "compile", "import", "open", "os.system", "subprocess.Popen", "marshal.loads"})
_watching: list[str] | None = None


def _audit(event: str, _args: object) -> None:
    if _watching is not None and event in EXECUTING:
        _watching.append(event)


sys.addaudithook(_audit)


def mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        lines = text.split("\n")
        match rng.randrange(8):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[min(to, at + rng.randint(1, 8)) :]
            case 2:
                text = text[:at] + chr(rng.randrange(1, 0x250)) + text[at + 1 :]
            case 3:
                rng.shuffle(lines)
                text = "\n".join([HEADER, *(line for line in lines if line != HEADER)])
            case 4:
                text = "\n".join([*lines, *(rng.choice(lines) for _ in range(rng.randint(1, 6)))])
            case 5:
                text = text.replace(rng.choice(lines), rng.choice(lines), 1)
            case 6:
                words = text.split('"')
                words[rng.randrange(len(words))] = rng.choice(words)
                text = '"'.join(words)
            case 7:
                text = text.replace(str(rng.randint(1, 9)), str(rng.choice((0, 1, 7, 10**9, 10**17, -1))), 1)
    return text


@pytest.mark.parametrize("shard", range(SHARDS))
def test_mutated_texts(samples, randomly, shard):
    global _watching  # noqa: PLW0603 - an audit hook cannot be taken away, only told to stop looking
    rng = random.Random(FIRST + shard)
    texts = []
    for make in samples.all():
        s = ps.Schedule(make())
        randomly(s, rng, 8)
        texts.append((s.outputs, s.to_text()))
    accepted = 0
    for _ in range(CASES // SHARDS):
        outputs, text = rng.choice(texts)
        text = mutated(text, rng)
        start = time.process_time()
        _watching = executed = []
        try:
            s = ps.Schedule.from_text(outputs, text)
        except ps.PolyschedError:
            pass
        except BaseException as error:
            pytest.fail(f"{type(error).__name__}: {error}\n{text!r}")
        else:
            accepted += 1
            assert ps.Schedule.from_text(outputs, s.to_text()) == s, text
            assert str(s), text
        finally:
            _watching = None
        assert not executed, f"{executed} while reading {text!r}"
        assert time.process_time() - start < TOO_LONG, text
    assert accepted or CASES < 1000, "mutations that leave nothing intact test the parser's first line alone"
