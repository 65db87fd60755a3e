"""Faults in sched/target/bench: what is counted, how it is measured, what is believed."""

from __future__ import annotations

from ..mutant import Mutant

COUNTING, MEASURING, RUN = (f"tests/bench/test_{name}.py" for name in ("counting", "measuring", "run"))
CHECK, FILES, REPORT, CLI = (f"tests/bench/test_{name}.py" for name in ("check", "files", "report", "cli"))

IN_BENCH: tuple[Mutant, ...] = (
    Mutant(
        "fma-is-one",
        "target/bench/counting.py",
        'yield 2 if node.name == "fma" else 1,',
        "yield 1,",
        (COUNTING,),
        "a multiply-add counts as one operation",
    ),
    Mutant(
        "guards-counted",
        "target/bench/counting.py",
        "(yes, domain.intersect(holds))",
        "(yes, domain)",
        (COUNTING,),
        "operations are counted where their guard fails",
    ),
    Mutant(
        "elements-of-one-read",
        "target/bench/counting.py",
        "points if known is None else known[1].union(points)",
        "points",
        (COUNTING,),
        "only the last read of a tensor counts",
    ),
    Mutant(
        "coupled-as-box",
        "polyhedral/cardinality.py",
        "if len(group) == rank or not free.intersect(lines).is_subset(flat):",
        "if len(group) == rank:",
        (COUNTING,),
        "triangles are counted as squares",
    ),
    Mutant(
        "rounds-in-order",
        "target/bench/measuring.py",
        "        rng.shuffle(order)\n",
        "",
        (MEASURING,),
        "contenders always take turns in the same order",
    ),
    Mutant(
        "warm-cold",
        "target/bench/measuring.py",
        "    if effort.evict is not None:\n        effort.evict()\n    if counters",
        "    if counters",
        (MEASURING,),
        "cold measurements empty the caches once, at the beginning",
    ),
    Mutant(
        "narrow-interval",
        "target/benchmark.py",
        "if tail > 0.025:",
        "if tail > 0.25:",
        (MEASURING,),
        "the interval covers the median half of the time",
    ),
    Mutant(
        "wrong-is-measured",
        "target/bench/run.py",
        "    group.add(row, call if checked.right else None)\n",
        "    group.add(row, call)\n",
        (RUN,),
        "a kernel with a wrong result is measured all the same",
    ),
    Mutant(
        "tolerant-of-bits",
        "target/bench/run.py",
        "group.expected, 0.0 if exact else run.workload.tolerance",
        "group.expected, run.workload.tolerance",
        (RUN,),
        "kernels are compared within a tolerance though they promise the same bits",
    ),
    Mutant(
        "special-values",
        "target/bench/check.py",
        "    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):\n        return float(\"inf\")\n",
        "",
        (CHECK,),
        "infinities and NaN are not compared",
    ),
    Mutant(
        "ratio-upside-down",
        "target/bench/compare.py",
        "medians[1] / medians[0]",
        "medians[0] / medians[1]",
        (FILES,),
        "a regression is an improvement",
    ),
    Mutant(
        "any-number",
        "target/bench/json_format.py",
        "isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e300",
        "not isinstance(value, (int, float))",
        (FILES,),
        "times below zero are read",
    ),
    Mutant(
        "unescaped",
        "target/bench/html_report.py",
        '<summary>{escape(name)}</summary>',
        "<summary>{name}</summary>",
        (REPORT,),
        "a schedule's name is HTML",
    ),
    Mutant(
        "lines-off-by-one",
        "target/bench/line_links.py",
        "numbered[place - 1] if 0 < place",
        "numbered[place] if 0 <= place",
        (REPORT,),
        "assembly is linked to the next line of loop IR",
    ),
    Mutant(
        "regressions-pass",
        "target/bench/commands.py",
        "return 1 if compared.regressions else 0",
        "return 0",
        (CLI,),
        "scripts do not hear of regressions",
    ),
    Mutant(
        "own-faults-are-the-users",
        "target/bench/faults.py",
        "if file.startswith(_PACKAGE):",
        "if not file:",
        (f"{CLI}::test_faults_of_polysched_are_not_hidden",),
        "a fault of polysched is reported as one of the workload, without its traceback",
    ),
)  # fmt: skip
