"""The page of an edit in a real browser, without scripts: before and after, enlarging, what a word did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whygen
from whygen.media import pictures
from whygen.results.summary import write_html
from whygen.types import Edit, Picture

pytestmark = pytest.mark.browser


def editor(edit: Edit) -> Picture:
    values = pictures.pixels(edit.picture)
    if "night" in edit.instruction:
        values[:12] //= 4
    return pictures.picture_of(values)


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    given = Edit(pictures.picture_of(np.full((24, 24, 3), 200, dtype=np.uint8)), "please make night now")
    found = whygen.explain_prompt(editor, given, target="pixel", budget=24, model_noise="none", cache=None)
    file: Path = write_html(found, tmp_path_factory.mktemp("edit") / "report.html")
    context = browser.new_context(viewport={"width": 1100, "height": 900}, java_script_enabled=False)
    shown = context.new_page()
    shown.goto(file.as_uri())
    yield shown
    context.close()


def edge(page: Any) -> str:
    return str(page.locator(".slide .after").evaluate("element => getComputedStyle(element).clipPath"))


def test_the_edge_between_before_and_after_follows_pointer_click_and_arrow_key(page: Any) -> None:
    box = page.locator(".slide .frame").bounding_box()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 30)
    assert edge(page).endswith("80%)")
    page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 30)
    page.mouse.move(2, 2)
    assert edge(page).endswith("20%)")
    page.keyboard.press("ArrowRight")
    assert edge(page).endswith("25%)")


def test_a_picture_is_enlarged_by_a_click_and_put_back_by_another(page: Any) -> None:
    picture = page.locator(".zoom summary .drawn").first
    before = picture.bounding_box()["width"]
    picture.click()
    assert picture.bounding_box()["width"] > 2 * before
    page.mouse.click(500, 450)
    assert picture.bounding_box()["width"] == before


def test_the_strongest_word_is_open_and_a_picture_can_be_kept(page: Any) -> None:
    assert page.locator(".picks input:checked + label").inner_text().strip() == "night"
    with page.expect_download() as kept:
        page.get_by_text("download").first.click()
    assert kept.value.suggested_filename == "given.png"
