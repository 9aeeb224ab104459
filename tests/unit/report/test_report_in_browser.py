"""The page in a real browser: it loads nothing, complains of nothing, and works without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from example_explanations import prompt_explanation
from whygen.results.prompt import Reference
from whygen.results.summary import write_html

pytestmark = pytest.mark.browser


@pytest.fixture
def file(tmp_path: Path) -> Path:
    evil = "</script><script>document.title = 'owned'</script><img src='http://example.invalid/x.png'>"
    explanation = prompt_explanation(reference=Reference(text=evil, n=1))
    return write_html(explanation, tmp_path / "report.html")


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (400, "light"), (1100, "dark")])
@pytest.mark.parametrize("scripts", [True, False])
def test_nothing_is_loaded_and_nothing_complained_of(
    browser: Any, file: Path, width: int, scheme: str, scripts: bool
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert said == []
    assert page.title() == "Why this output? demo/storyteller"
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["width"] <= width
    context.close()


def test_it_fits_a_phone_without_scrolling_sideways(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.close()


def test_orders_switch_and_words_tell_their_figures(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.goto(file.as_uri())
    first = "table.bars:visible tbody th"
    assert page.locator(first).first.inner_text() == "Please"
    page.get_by_text("by size").click()
    assert page.locator(first).first.inner_text() == "fox"
    word = page.locator(".prompt .u.sure").first
    word.hover()
    tip = page.evaluate("element => getComputedStyle(element, '::after').content", word.element_handle())
    assert tip.startswith('"story  +0.')
    page.close()


def test_figures_of_a_word_are_in_sight_in_a_prompt_longer_than_the_window(browser: Any, tmp_path: Path) -> None:
    prompt = " ".join(f"word{i}" for i in range(600))
    path = write_html(prompt_explanation(prompt=prompt, pinned=(), pairs=8), tmp_path / "r.html")
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto(path.as_uri())
    word = page.locator(".prompt .u").nth(5)
    word.hover()
    style = "element => { const s = getComputedStyle(element, '::after'); return [s.position, s.bottom] }"
    assert page.evaluate(style, word.element_handle()) == ["fixed", "0px"]
    page.close()


def test_it_prints_with_everything_unfolded(browser: Any, tmp_path: Path) -> None:
    prompt = " ".join(f"word{i}" for i in range(60))
    path = write_html(prompt_explanation(prompt=prompt, pinned=(), pairs=8), tmp_path / "r.html")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.locator("table.bars:visible tbody tr").count() == 40
    page.emulate_media(media="print")
    assert page.locator("table.bars:visible tbody tr").count() == 60
    page.close()


def test_a_click_on_a_word_shows_answers_with_it_and_without_it(browser: Any, file: Path) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(".opened:visible").count() == 0
    page.locator(".prompt a.u", has_text="harbour").click()
    opened = page.locator(".opened:visible")
    assert opened.count() == 1
    assert "harbour" in opened.locator("mark").first.inner_text()
    assert page.url.endswith("#beside-13")  # a link to it shows the same
    opened.get_by_text("close").click()
    assert page.locator(".opened:visible").count() == 0
    context.close()
