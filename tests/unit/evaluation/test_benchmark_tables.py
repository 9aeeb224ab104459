"""Tables of the documentation are made from the results, and say what they say."""

# pyright: basic
from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.tables import cell, filled

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "<!-- table " in page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_those_of_the_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, f"run: python -m benchmarks.tables {page.relative_to(DOCS.parent)}"


def test_a_table_is_filled_and_filled_again_the_same(tmp_path: Path) -> None:
    rows = [
        {"method": "ours", "k": 5, "score": {"mean": 0.98765, "low": 0.9, "high": 1.0}},
        {"method": "theirs", "k": 7, "score": {"mean": 12.345, "low": float("nan"), "high": float("nan")}},
    ]
    kept = {"benchmark": "trial", "date": "2026-11-29", "commit": "0123456789", "figures": {"all of it": rows}}
    (tmp_path / "trial.json").write_text(json.dumps(kept))
    mark = "<!-- table trial.all of it where k=5: method; score as a score -->"
    page = f"Before.\n\n{mark}\nold\n<!-- end of table -->\nAfter.\n"
    once = filled(page, results=tmp_path)
    assert "| method | a score |\n|---|---|\n| ours | 0.988 [0.900, 1.000] |\n" in once
    assert "theirs" not in once
    assert "old" not in once
    assert filled(once, results=tmp_path) == once
    assert "| theirs | 12.3 |" in filled(page.replace("k=5", "k=7"), results=tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00012, "1e-04"),
        (-0.0000021, "-2e-06"),
        ({"mean": 0.00012, "low": -0.1, "high": 0.2}, "0.000 [-0.100, 0.200]"),
        (0.5, "0.500"),
        (1234.5, "1234"),
        (3, "3"),
        (None, "-"),
        (-2.345, "-2.35"),
        ("a", "a"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text
