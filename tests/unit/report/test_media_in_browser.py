"""Players in a real browser: they play what the page carries, within its policy, on a wide and on a narrow screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import whygen
from whygen.results.summary import write_html

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    ("model", "prompt"), [("planted/synth", "a high bell and a siren"), ("planted/film", "a red circle moves left")]
)
def test_what_came_back_can_be_played(browser: Any, tmp_path: Path, model: str, prompt: str, width: int) -> None:
    explanation = whygen.explain_prompt(model, prompt, budget=32, cache=None)
    file = write_html(explanation, tmp_path / "report.html")
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    page.wait_for_function("[...document.querySelectorAll('audio')].every(each => each.readyState > 0)")
    lengths = page.evaluate("[...document.querySelectorAll('audio')].map(each => each.duration)")
    sizes = page.evaluate("[...document.images].map(each => each.naturalWidth)")
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert lengths == ([pytest.approx(2.0)] * len(lengths) if "synth" in model else [])
    assert all(size > 0 for size in sizes)
    assert len(lengths) + len(sizes) > 1
    beyond = "each => each.getBoundingClientRect().right - each.closest('svg').getBoundingClientRect().right"
    assert max(page.evaluate(f"[...document.querySelectorAll('rect.cell')].map({beyond})")) < 1
    page.close()
