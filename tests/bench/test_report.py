"""Tables, the HTML report and plots show what is there, escaped, and a browser draws it."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import polysched as ps
from polysched.target.bench.files import load_workload
from polysched.target.bench.line_links import link_lines
from polysched.target.bench.results import Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "line", "rect", "br"}


class Checked(HTMLParser):
    """Fails on elements that do not nest; collects what a document refers to and runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href") or name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID or (self.open and self.open[-1] == tag):
            assert self.open.pop() == tag


def test_the_report_is_self_contained_and_escaped(results: Results) -> None:
    text = results.to_html()
    parsed = Checked(text)
    assert parsed.references == []
    assert {"table", "svg", "pre", "script"} <= set(parsed.tags)
    assert "<b>" not in text and "<i>" not in text and "<cpu>" not in text and "fast&lt;b&gt;" in text
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in text and "default-src 'none'" in text


def test_marks_of_noise_and_failure(results: Results) -> None:
    text = str(results)
    lines = text.splitlines()
    assert sum("~" in line for line in lines if not line.startswith("~")) == 1
    assert "torch, 2 threads: not installed: torch" in text and "P001: <i>" in text and "cycles" in text
    assert re.search(r"fast<b> +1 +1 ms +\S+ ns +2 +0\.1 +20% +2\.0% ?|", text)
    html = results._repr_html_()
    assert html.count('class="noisy"') == 1 and html.count('class="wrong"') == 1
    assert Checked(html)


def test_a_peer_that_is_held_back_is_noted(results: Results) -> None:
    assert "OPENBLAS" not in str(results)
    held = replace(results, context={**results.context, "environment": {"OPENBLAS_CORETYPE": "Haswell"}})
    assert "OPENBLAS_CORETYPE=Haswell holds NumPy's BLAS" in str(held)


def test_shares_and_levels(results: Results) -> None:
    default, _, fast, _, numpy, torch = results.rows
    assert results.speedup(fast) == pytest.approx(4.0, rel=1e-3)
    assert results.of_peak(fast) == pytest.approx(0.2, rel=1e-3)
    assert results.of_peak(numpy) == pytest.approx(0.1, rel=1e-3)
    roof, level = results.roof(fast)
    assert level == "memory" and roof == pytest.approx(min(10e9, 20 * 0.05e9))
    assert results.of_roof(torch) is None and results.speedup(torch) is None
    assert results.default_of(fast) is default


def test_lines_of_one_loop_are_linked(workload_file: Path) -> None:
    kernel = ps.build(load_workload(workload_file).make("tiled"))
    links = link_lines(*(kernel.source(kind) for kind in ("nest", "loops", "asm-lines")))
    nest = {text.strip().partition(" in ")[0]: number for text, number in links.nest}
    assert len({nest["for i_o"], nest["for j_o"], nest["for r"]} - {None}) == 3
    assert nest["unrolled for i_i"] == nest["vectorized for j_i"] == nest["for r"]
    updates = {number for text, number in links.loops if "fma(" in text}
    assert updates == {nest["for r"]}
    stores = {number for text, number in links.loops if text.strip().startswith("C[")}
    assert stores == {nest["for j_o"]}
    assert {number for _, number in links.asm} - {None} == set(nest.values()) - {None}
    multiplied = [number for text, number in links.asm if re.search(r"vfmadd|fmla|mulps", text)]
    assert multiplied and set(multiplied) == {nest["for r"]}


def test_marks_change_no_code(workload_file: Path) -> None:
    for schedule in ("tiled", "threads"):
        kernel = ps.build(load_workload(workload_file).make(schedule))
        plain, marked = (
            [t for t in kernel.source(kind).splitlines() if not re.match(r"\s+\.|\.L(tmp|func)\w+:|\s*$", t)]
            for kind in ("asm", "asm-lines")
        )
        assert plain == marked and plain


def test_stages_with_loops_of_one_name() -> None:
    nest = "A: f\n    for i in 0..n:\n        A[i] = 1\nB: f\n    for i in 0..n:\n        B[i] = 2"
    loops = "for i in 0..n:\n    B[i] = 2\nfor i in 0..n:\n    A[i] = 1"
    links = link_lines(nest, loops, "\t.loc\t1 2 0\n\tmov\n\t.loc\t1 0 0\n\tadd\nlabel:\n")
    assert [number for _, number in links.nest] == [None, 0, 0, None, 1, 1]
    assert [number for _, number in links.loops] == [1, 1, 0, 0]
    assert [number for _, number in links.asm] == [1, None, None]


def test_stages_that_are_computed_in_a_loop_of_another() -> None:
    nest = (
        "B: uint8[n]\n    for i in 0..n:\n        A: uint16[4] stored here\n            for i in 0..4:\n"
        "                A[i] = 1\n        for j in 0..3:\n            B[i] = 2"
    )
    loops = (
        "heap A: uint16[4]\nfor i in 0..n:\n    for i in 0..4:\n        A[i] = 1\n    for j in 0..3:\n        B[i] = 2"
    )
    links = link_lines(nest, loops, "")
    assert [number for _, number in links.nest] == [None, 0, 0, 1, 1, 2, 2]
    assert [number for _, number in links.loops] == [None, 0, 1, 1, 2, 2]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_draws_the_report(workload_file: Path, results: Results, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    measured = load_workload(workload_file).benchmark("default", "tiled", seconds=0.01, peaks=False)
    results = replace(measured, peaks=results.peaks)
    page, shot = tmp_path / "report.html", tmp_path / "shot.png"
    page.write_text(results.to_html(), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1600", f"--screenshot={shot}"]
    command = [CHROMIUM, *options, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    picture = image.open(shot).convert("RGB")
    colours = {colour: count for count, colour in picture.getcolors(1 << 24)}
    for wanted in ((0x4C, 0x78, 0xA8), (0xF5, 0x85, 0x18), (0x54, 0xA2, 0x4B)):  # loops in the panes, points
        assert colours.get(wanted, 0) > 100, wanted
    assert len(colours) > 50  # text
    drawn = sum(1 for pixel in picture.crop((0, 0, 1400, 500)).get_flattened_data() if pixel != (255, 255, 255))
    assert drawn > 3000


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_lines_light_up_together(workload_file: Path, tmp_path: Path) -> None:
    results = load_workload(workload_file).benchmark("tiled", seconds=0.01, peaks=False)
    click = """<script>
        const line = [...document.querySelectorAll("span[data-k]")].find((s) => s.textContent.includes("for r in"));
        line.dispatchEvent(new MouseEvent("click", { bubbles: true }));
        const lit = [...document.querySelectorAll("span.on")];
        document.title = [...document.querySelectorAll(".pane")].map((p) => lit.filter((s) => p.contains(s)).length);
    </script>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", results.to_html())
    page = tmp_path / "report.html"
    page.write_text(text.replace("</body>", f"{click}</body>"), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={tmp_path}/p"]
    done = subprocess.run([*command, page.as_uri()], check=True, capture_output=True, text=True, timeout=120)
    panes = re.search(r"<title>([\d,]+)</title>", done.stdout)[1].split(",")
    nest, loops, asm, schedule, explained = map(int, panes)
    assert nest == 6 and loops >= 4 and asm >= 4 and schedule == explained == 0


@pytest.mark.parametrize("kind", ["roofline", "sizes"])
def test_plots(results: Results, kind: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    axes = results.plot(kind)
    axes.figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("fast<b>" in label for label in labels)
    with pytest.raises(ps.ArgumentError, match="no plot 'pie'"):
        results.plot("pie")
