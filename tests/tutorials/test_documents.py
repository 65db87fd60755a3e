"""What the documents say is so: examples run, generated parts are up to date, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_has_examples_with_output() -> None:
    examples = EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(examples) >= 4 and sum("ps." in code for code, _ in examples) >= 2
    assert all(output.strip() for _, output in examples)


def test_generated_pages_are_up_to_date(generate: ModuleType) -> None:
    """The python blocks of README.md, kernels.md and errors.md are run, and print or raise what the pages say."""
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run python docs/generate.py: {path.name} is out of date"


def test_every_primitive_is_in_the_reference(generate: ModuleType) -> None:
    page = generate.schedule_page()
    assert "\n## Others\n" not in page  # give a new primitive its place in docs/generate.py
    for word, record in generate.REGISTRY.items():
        assert f"\n### {word}\n" in page
        assert all(part in (record.__doc__ or "") for part in ("Legal when:", "Also called:", "Before", "After ")), word


def test_every_error_class_has_a_section(generate: ModuleType) -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    errors = generate.ps.errors
    classes = [name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")]
    assert "LegalityError" in classes
    for name in set(classes) - {"PolyschedError"}:
        assert re.search(rf"^## {name}$.*?^{name}: ", page, re.DOTALL | re.MULTILINE), name


def test_every_numbered_note_has_a_section() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "sched").rglob("*.py"))
    numbers = sorted(set(re.findall(r'"(P\d{3}): ', sources)))
    assert len(numbers) >= 13 and re.findall(r"^### (P\d{3})$", page, re.MULTILINE) == numbers


def test_every_error_comes_with_what_is_accepted() -> None:
    """`errors_page` runs the pairs: an example that is told something, and one instead that is not."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    told, instead = page.count("\n```text\n"), len(re.findall(r"^Instead.*:$", page, re.MULTILINE))
    assert told == instead and page.count("\n```python\n") == 1 + 2 * told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        assert not target or (page.parent / target).exists(), target
