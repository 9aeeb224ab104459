"""Two explanations on one page: what changed is flagged, and what cannot be compared is said."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import whygen
from example_explanations import prompt_explanation
from viewers import Viewer, teller, violations
from whygen.evaluation.compare import compare
from whygen.web.comparing import changed_units
from whygen.web.state import State

PROMPT = "Tell a story about a curious fox in a foggy harbor. Let it end well."


def colder(prompt: str) -> str:
    """As `teller`, but the fox matters no more and the fog doubly."""
    return teller(prompt + " fox") + (" It was cold and grey." if "foggy" in prompt else " It was warm and bright.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("pairs")
    whygen.explain_prompt(teller, PROMPT, budget=72, target="tfidf").save(top / "first")
    whygen.explain_prompt(colder, PROMPT.replace("curious", "small"), budget=72, target="tfidf").save(top / "second")
    whygen.explain_prompt(teller, PROMPT, budget=40, target="contains:fog").save(top / "other-target")
    prompt_explanation(prompt="Nothing shared here", pinned=(), pairs=8).save(top / "strange")
    return top


@pytest.fixture(scope="module")
def ids(folder: Path) -> dict[str, str]:
    return {place.shown: place.id for place in State((folder,), "").look().places}


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], folder: Path) -> Viewer:
    return serve(folder)


def test_what_changed_is_flagged_in_both_prompts(folder: Path) -> None:
    first, second = (whygen.PromptExplanation.load(folder / name) for name in ("first", "second"))
    found = compare(first, second)
    flags = changed_units(found, first, second)
    texts = [[unit.text for unit, flag in zip(one.units, each, strict=True) if flag]
             for one, each in zip((first, second), flags, strict=True)]  # fmt: skip
    changed = {row.text for row in found.units if row.changed}
    assert "fox" in changed
    assert set(texts[0]) == changed | {"curious"}
    assert set(texts[1]) == changed | {"small"}


def test_the_page_shows_both(viewer: Viewer, ids: dict[str, str]) -> None:
    status, _, body = viewer.ask(f"/compare?pick={ids['first']}&pick={ids['second']}")
    text = body.decode()
    assert status == 200
    assert "Only in the first: curious" in text
    assert "Only in the second: small" in text
    assert len(re.findall(r'class="u [^"]*changed"', text)) >= 4


def test_the_older_is_the_first_where_nobody_said_which(viewer: Viewer, ids: dict[str, str], folder: Path) -> None:
    for name, when in (("first", 2_000), ("second", 1_000)):
        os.utime(folder / name / "explanation.json", (when, when))
    ticked = f"/compare?pick={ids['first']}&pick={ids['second']}"
    for address, only in ((ticked, "curious"), (f"{ticked}&order=saved", "small")):
        assert f"Only in the first: {only}" in viewer.ask(address)[2].decode()


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("order=new", 422, "order"),
        ("", 400, "tick two on the shelf"),
        ("pick={first}", 400, "1 were chosen"),
        ("pick={first}&pick={first}&pick={first}", 400, "3 were chosen"),
        ("pick={first}&pick=0000", 404, "no such explanation"),
        ("pick={first}&pick={strange}", 400, "share no unit"),
    ],
)
def test_what_cannot_be_compared_is_said(
    viewer: Viewer, ids: dict[str, str], query: str, status: int, says: str
) -> None:
    answered, _, body = viewer.ask("/compare?" + query.format(**ids), headers={"Accept": "text/html"})
    assert answered == status
    assert says in body.decode()


@pytest.mark.browser
def test_two_are_ticked_on_the_shelf_and_compared(viewer: Viewer, visit: Callable[..., Any]) -> None:
    page = visit(viewer, "/?sort=path", width=400)
    compare_button = page.get_by_role("button", name="Compare", exact=True)
    assert compare_button.is_disabled()
    boxes = page.locator("input[name=pick]")
    for i in (0, 1, 2):  # the third takes the place of the first
        boxes.nth(i).check()
    assert [boxes.nth(i).is_checked() for i in (0, 1, 2)] == [False, True, True]
    compare_button.click()
    page.get_by_text("Unit by unit").wait_for()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.go_back()  # a browser ticks again what was ticked
    assert [boxes.nth(i).is_checked() for i in (0, 1, 2)] == [False, True, True]
    assert compare_button.is_enabled()
