"""Results name what they measured, and pages show what the results hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from benchmarks import record, stale, tables

DOCS = Path(__file__).parents[3] / "docs"
PAGES = [
    page
    for page in [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]
    if "<!-- table " in page.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_the_results_hold(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.filled(text) == text, f"run: python -m benchmarks.tables {page.relative_to(DOCS.parent)}"


def _room(package: Path, code: str) -> None:
    (package / "prompt").mkdir(parents=True, exist_ok=True)
    (package / "prompt" / "sums.py").write_text(code, encoding="utf-8")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "whygen"
    _room(package, '"""A sum."""\nLEVEL = 0.95\n"""Coverage."""\ndef add(a, b):\n    return a + b\n')
    monkeypatch.setattr(stale, "PACKAGE", package)
    return package


def test_words_about_the_code_do_not_make_a_result_stale(package: Path) -> None:
    before = stale.digests(["prompt"])
    _room(package, 'LEVEL = 0.95\ndef add(a, b):\n    """Two numbers."""\n    # why\n    return (a + b)\n')
    assert stale.digests(["prompt"]) == before


@pytest.mark.parametrize("code", ["LEVEL = 0.9\ndef add(a, b):\n    return a + b\n", "LEVEL = 0.95\n"])
def test_a_change_of_the_code_does(package: Path, code: str) -> None:
    before = stale.digests(["prompt"])
    _room(package, code)
    assert stale.digests(["prompt"]) != before


def test_a_room_that_is_no_more_is_a_change(package: Path, tmp_path: Path) -> None:
    result = tmp_path / "sums.json"
    found = {"code": stale.digests(["prompt"]) | {"gone": "0" * 16}, "figures": {}, "commit": "a"}
    result.write_text(json.dumps(found), encoding="utf-8")
    assert stale.why_stale(result) == "measured before changes in gone"


def test_the_experiments_count_among_the_rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "EXPERIMENTS", tmp_path / "whygen_experiments")
    (tmp_path / "whygen_experiments").mkdir()
    (tmp_path / "whygen_experiments" / "life.py").write_text("YEARS = 3\n", encoding="utf-8")
    [room] = stale.loaded_rooms(["whygen_experiments", "whygen_experiments.life", "whygen.cli.app"])
    before = stale.digests([room])[room]
    assert before is not None
    (tmp_path / "whygen_experiments" / "life.py").write_text("YEARS = 4\n", encoding="utf-8")
    assert stale.digests([room])[room] not in {before, None}


@pytest.mark.usefixtures("package")
def test_rows_of_an_earlier_commit_are_said(tmp_path: Path) -> None:
    result = tmp_path / "sums.json"
    found = {"code": stale.digests(["prompt"]), "commit": "b", "figures": {"rows": [{"commit": "a"}, {"commit": "b"}]}}
    result.write_text(json.dumps(found), encoding="utf-8")
    assert stale.why_stale(result) == "holds rows of an earlier commit"
    found["figures"] = {"rows": [{"commit": "b"}]}
    result.write_text(json.dumps(found), encoding="utf-8")
    assert stale.why_stale(result) is None


def test_a_result_names_its_commit_its_code_and_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import whygen.prompt  # noqa: F401 - a benchmark loads what it measures

    monkeypatch.setattr(record, "RESULTS", tmp_path)
    found = json.loads(record.write("sums", {"rows": [1]}, seed=3).read_text(encoding="utf-8"))
    assert found["code"]["prompt"] == stale.digests(["prompt"])["prompt"]
    assert found["options"]["prompt"]["budget"] == 64
    assert stale.why_stale(tmp_path / "sums.json") is None
    assert "cli" not in found["code"]


INSIDES = re.compile(
    r"(?m)^\s*(?:from|import) whygen\.prompt(?:\.| import )"
    r"(?:answers|asker|collapse|designs|effects|exact|fidelity|findings|gsmile|intervals|kernels|noise|plan|stopping|"
    r"surrogates|weighted)\b"
)
"""What only `whygen.lab` touches."""


def test_benchmarks_measure_estimators_through_the_laboratory() -> None:
    files = sorted(Path(record.__file__).parent.rglob("*.py"))
    assert len(files) > 50
    deep = {file.name for file in files if INSIDES.search(file.read_text(encoding="utf-8"))}
    assert not deep
    assert INSIDES.search("from whygen.prompt import designs, exact")
    assert INSIDES.search("from whygen.prompt.effects import Effects")
