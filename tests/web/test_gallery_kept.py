"""What a person does in the gallery outlives a reload, a second page, and other anchors in the same folder."""

# pyright: basic
from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viewers import Viewer
from web.test_gallery import address, explained, opened, unpacked
from whygen.results.anchors import AnchorExplanation
from whygen.web.gallery_data import coded


@pytest.fixture(scope="module")
def found() -> AnchorExplanation:
    return explained()


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], found: AnchorExplanation, tmp_path_factory: pytest.TempPathFactory) -> Viewer:
    top = tmp_path_factory.mktemp("kept")
    found.save(top / "one")
    return serve(top)


def test_labels_that_read_alike_when_shortened_are_told_apart() -> None:
    river = "north and south of the long river that flows "
    names, places = coded((f"{river}east", f"{river}west", f"{river}east", "\u202e", ""))
    assert len(set(names)) == len(names) == 4
    assert names[places[0]] != names[places[1]]
    assert places[0] == places[2]


def test_a_page_of_other_anchors_than_lie_there_now_is_told_to_load_anew(viewer: Viewer) -> None:
    here = address(viewer)
    of = unpacked(viewer.ask(f"{here}/points")[2])[0]["of"]
    for path, body in (("anchors?rows=0", None), ("shares?", None), ("list?", {"rows": [0]})):
        method = "GET" if body is None else "POST"
        assert viewer.ask(f"{here}/{path}&of={of}", method=method, body=body)[0] == 200
        status, _, text = viewer.ask(f"{here}/{path}&of=another", method=method, body=body)
        assert status == 400
        assert "Load the page anew" in text.decode()


def chosen_of(page: Any) -> str:
    page.wait_for_selector("[data-ready=yes]")
    return page.locator("#chosen-count").inner_text()


@pytest.mark.browser
def test_whatever_was_chosen_outlives_a_reload(visit: Callable[..., Any], viewer: Viewer) -> None:
    page = opened(visit, viewer)
    box = page.locator("canvas").bounding_box()
    for left, shift in ((0.2, False), (0.5, True)):
        if shift:
            page.keyboard.down("Shift")
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 0.3 * box["height"])
        page.mouse.down()
        for x, y in ((0.25, 0.3), (0.25, 0.55), (0, 0.55)):
            page.mouse.move(box["x"] + (left + x) * box["width"], box["y"] + y * box["height"], steps=3)
        page.mouse.up()
    page.keyboard.up("Shift")
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_function("location.search.endsWith('%7C0')")  # both lassos, and the anchor that Space chose
    page.locator("#across").select_option(label="flip rate")
    before = chosen_of(page)
    page.reload()
    assert chosen_of(page) == before
    page.get_by_text("Choose all shown").click()
    page.reload()
    assert chosen_of(page).startswith("121 anchors")
    page.get_by_text("Choose none").click()
    page.reload()
    assert chosen_of(page).startswith("none yet")


@pytest.mark.browser
def test_an_enlarged_anchor_is_left_by_keys_again_and_again(visit: Callable[..., Any], viewer: Viewer) -> None:
    page = opened(visit, viewer, "?chosen=all")
    page.locator(".opener").nth(3).wait_for()
    order = page.locator(".opener").evaluate_all("found => found.map((each) => each.dataset.row)")
    page.locator(".opener").first.focus()
    page.keyboard.press("Enter")
    for step in (1, 2, 3):
        page.locator("#zoom[open] h2").wait_for()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"location.search.endsWith('open={order[step]}')")
    assert page.get_by_label("The anchor before").is_enabled()
    page.reload()
    page.locator("#zoom[open] h2").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("!location.search.includes('open=')")


@pytest.mark.browser
def test_two_pages_keep_the_tags_of_each_other(visit: Callable[..., Any], viewer: Viewer) -> None:
    page = opened(visit, viewer, "?label=4&copies=none&chosen=all")
    other = page.context.new_page()
    other.goto(page.url.replace("label=4", "label=7"))
    chosen_of(other)
    for each, tag in ((page, "four"), (other, "seven")):
        each.get_by_label("Tag for all chosen").fill(tag)
        each.get_by_text("Tag all chosen").click()
    with page.expect_download() as saved:
        page.get_by_text("Save tagged as CSV").click()
    rows = csv.DictReader(io.StringIO(Path(saved.value.path()).read_text()))
    assert {(row["label"], row["tag"]) for row in rows} == {("4", "four"), ("7", "seven")}


@pytest.mark.browser
@pytest.mark.parametrize(
    "query", ["label=nonsense", "flip=0.1", "p=abc", "copies=maybe", "groups=99,x", "change=learned", "chosen=1e9|x@y"]
)
def test_what_an_address_asks_for_and_no_page_offers_filters_nothing(
    visit: Callable[..., Any], viewer: Viewer, query: str
) -> None:
    page = opened(visit, viewer, f"?{query}")
    assert page.locator("#shown-count").inner_text() == "121"
    assert chosen_of(page).startswith("none yet")


@pytest.mark.browser
@pytest.mark.parametrize("other", [np.nextafter(3.0, 4.0), 3.0 + 1e-12, 3.0])
def test_values_that_differ_by_rounding_alone_have_a_map(
    visit: Callable[..., Any], serve: Callable[..., Viewer], found: AnchorExplanation, tmp_path: Path, other: float
) -> None:
    draws = np.full_like(found.evidence.draws, 3.0)
    draws[:, ::2] = other
    flat = replace(found.evidence, draws=draws)
    levels = dict.fromkeys(found.thresholds, 3.0)
    found.model_copy(update={"evidence": flat, "scores": None, "thresholds": levels}).save(tmp_path / "one")
    opened(visit, serve(tmp_path), "?x=value+kld&y=value+sse")
