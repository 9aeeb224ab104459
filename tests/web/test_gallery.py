"""The gallery of anchors: two roads to one number, and what a person does with it in a browser."""

# pyright: basic
from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from sklearn.datasets import load_digits

import whygen
from viewers import Viewer, violations
from whygen.anchors.data import SampleSet
from whygen.anchors.moving import Movable
from whygen.anchors.options import AnchorOptions
from whygen.errors import MissingError, UnknownNameError, UsageError
from whygen.models.latent import Generator
from whygen.results.anchors import AnchorExplanation
from whygen.results.texts import GROUPS as TEXT_GROUPS
from whygen.results.texts import TextAnchorExplanation, TextGroupRecord, TextRecord
from whygen.stats.wilson import wilson
from whygen.web.gallery_data import MOST_ROWS, Gallery

QUICK = AnchorOptions(replicates=20, controls="trivial")
EVIL = "=cmd()<script>document.title='owned'</script>\u202e.png"
SCANS, LABELS = (load_digits().images / 16).astype(np.float32), load_digits().target


def projected(digits: tuple[int, ...], *, width: int = 6) -> Generator:
    """What a linear autoencoder that has seen some digits is: encode and decode by their principal components."""
    seen = SCANS[np.isin(LABELS, digits)][:150].reshape(-1, 64)
    middle = seen.mean(axis=0)
    axes = np.linalg.svd(seen - middle, full_matrices=False)[2][:width]
    return Generator(
        encode=lambda x: ((x.reshape(len(x), 64) - middle) @ axes.T, np.full((len(x), width), -4.0, np.float32)),
        decode=lambda z: np.clip(z @ axes + middle, 0, 1).astype(np.float32).reshape(-1, 8, 8),
        shape=(8, 8), value_range=(0.0, 1.0), scale="logvar", uri=f"test/{digits}", trained_on="a few scans",
    )  # fmt: skip


def explained(model: Generator | None = None, **options: Any) -> AnchorExplanation:
    rows = np.concatenate([np.arange(1000, 1120), [1000]])  # the last is a copy of the first
    names = (EVIL, *(f"scan{row}.png" for row in range(1, 121)))
    anchors = SampleSet(
        samples=SCANS[rows], layout="NHW", labels=tuple(int(each) for each in LABELS[rows]), names=names, source="scans"
    )
    reference = SCANS[np.isin(LABELS, (0, 1, 2))][150:350]
    return whygen.explain_anchors(
        model or projected((0, 1, 2)), anchors, reference=reference, cache=None, preset=replace(QUICK, **options)
    )


def by_texts() -> TextAnchorExplanation:
    """Four texts: one known by heart, one not, one that cannot be told, and a copy."""
    groups = ("knows by heart", "does not know", "cannot be told", None)
    texts = tuple(
        TextRecord(
            index=row, text=f"{EVIL} number {row}", state="copy" if group is None else "scored", group=group,
            reason="as it was measured", nll=None if group is None else 2.0 + row,
            contrast=1.0 - row if row < 2 else None, strength=1.0 - row if row < 2 else None,
            p=0.01 if row < 2 else None, role="training" if row else "held-out", label=row % 2 or None,
        )
        for row, group in enumerate(groups)
    )  # fmt: skip
    counted = {name: sum(text.group == name for text in texts) for name in TEXT_GROUPS}
    return TextAnchorExplanation(
        whygen="0", model="test/texts", baseline=None, n_texts=4, counted=3, contrasts=(), reference=None, alpha=0.05,
        fdr=0.05, twins="automatic", source="a list", texts=texts, seed=0, versions={},
        groups={
            name: TextGroupRecord(count=n, share=n / 3, low=0.0, high=1.0, measured=n > 0, meaning=name)
            for name, n in counted.items()
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> AnchorExplanation:
    return explained()


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], found: AnchorExplanation, tmp_path_factory: pytest.TempPathFactory) -> Viewer:
    top = tmp_path_factory.mktemp("galleries")
    found.save(top / "one")
    explained(projected((0, 1, 2, 7))).save(top / "two")
    by_texts().save(top / "texts")
    return serve(top)


def address(viewer: Viewer, name: str = "one") -> str:
    """Of the gallery whose explanation lies in that folder."""
    shelf = viewer.ask("/")[2].decode()
    before = shelf[: shelf.index(f'class="where">{name}')]
    return "/gallery/" + before[before.rindex("/explanations/") :].split("/")[2].split('"')[0]


# --- thresholds that are moved ---------------------------------------------------------------------------------------


def test_thresholds_where_they_were_say_what_the_report_says(found: AnchorExplanation) -> None:
    moved = Movable(found).move({})
    assert moved.thresholds == pytest.approx(found.thresholds)
    np.testing.assert_array_equal(moved.codes, found.evidence.codes)
    for name, record in found.groups.items():
        assert (moved.groups[name].count, moved.groups[name].share) == (record.count, record.share)
        assert moved.groups[name].low == pytest.approx(record.low, abs=0.03)
        assert moved.groups[name].high == pytest.approx(record.high, abs=0.03)
    for control in found.controls:
        if control.groups:
            assert moved.controls[control.name] == pytest.approx(
                {name: each.share for name, each in control.groups.items()}
            )


def test_a_threshold_moved_to_another_level_says_what_a_reading_at_that_level_says(found: AnchorExplanation) -> None:
    read = found.read(alpha=0.1)
    moved = Movable(found).move(read.thresholds)
    assert moved.thresholds == pytest.approx(read.thresholds)
    assert moved.levels == pytest.approx(dict.fromkeys(read.thresholds, 20 / 201))
    for name in ("LILE", "HILE"):  # the floors, which read moves too, concern the other groups
        assert moved.groups[name].count == read.groups[name].count
        assert moved.groups[name].low == pytest.approx(read.groups[name].low, abs=0.03)
        assert moved.groups[name].high == pytest.approx(read.groups[name].high, abs=0.03)
    assert found.shares_at(read.thresholds) == moved.groups


def test_a_threshold_goes_to_the_reference_value_below(found: AnchorExplanation) -> None:
    opened = Movable(found)
    steps = opened.steps[:, 0]
    name = found.criteria[0].name
    between = (steps[150] + steps[151]) / 2
    assert opened.move({name: between}).thresholds[name] == steps[150]
    assert opened.move({name: between}).levels[name] == pytest.approx(50 / 201)
    assert opened.move({name: -1e9}).thresholds[name] == steps[0]
    assert opened.move({name: 1e9}).thresholds[name] == steps[-1]
    with pytest.raises(UnknownNameError, match="criterion of this explanation"):
        opened.move({"nothing": 1.0})
    with pytest.raises(UsageError, match="finite number"):
        opened.move({name: float("nan")})


def test_thresholds_without_a_law_are_held_and_have_the_error_of_the_anchors_alone() -> None:
    other = explained(calibration="mean-max", rounds=2, per_round=50)
    moved = Movable(other).move({"kld": 3.0})
    assert moved.levels is None
    assert moved.thresholds["kld"] == 3.0
    for record in moved.groups.values():
        assert (record.low, record.high) == pytest.approx(wilson(record.count, 120))


def test_without_scores_nothing_moves_and_that_is_said(found: AnchorExplanation) -> None:
    bare = Gallery.of(found.model_copy(update={"scores": None}))
    assert "Explain the anchors again" in bare.missing()[0]
    with pytest.raises(MissingError, match="thresholds cannot be moved"):
        bare.shares({"kld": 1.0})
    kept = bare.shares({})["groups"]  # those of the report need no scores
    assert {name: each["count"] for name, each in kept.items()} == {
        name: each.count for name, each in found.groups.items()
    }
    assert bare.items([0], near=True)[0]["name"].startswith("=cmd()")
    with pytest.raises(MissingError, match=r"arrays\.safetensors"):
        Gallery.of(AnchorExplanation.model_validate(found.to_dict()))


# --- what is served --------------------------------------------------------------------------------------------------


def unpacked(block: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    size = struct.unpack("<I", block[:4])[0]
    head = json.loads(block[4 : 4 + size])
    return head, {
        each["name"]: np.frombuffer(block, each["type"], each["length"], 4 + size + each["start"])
        for each in head["arrays"]
    }


def test_the_numbers_of_all_anchors_arrive_as_they_are(viewer: Viewer, found: AnchorExplanation) -> None:
    head, arrays = unpacked(viewer.ask(f"{address(viewer)}/points")[2])
    for place, criterion in enumerate(found.criteria):
        np.testing.assert_array_equal(arrays[f"value {criterion.name}"], found.evidence.values[:, place])
        assert head["criteria"][place]["threshold"] == found.thresholds[criterion.name]
    np.testing.assert_array_equal(arrays["codes"], found.evidence.codes)
    np.testing.assert_array_equal(arrays["p"], found.evidence.p_values.min(axis=1))
    assert [head["labels"][place] for place in arrays["labels"]] == [str(each) for each in found.evidence.labels]
    assert arrays["copies"].sum() == 1
    assert arrays["copies"][120] == 1


def test_what_cannot_be_shown_is_refused_in_words(viewer: Viewer) -> None:
    here = address(viewer)
    for path, status, text in (
        (f"{here}/anchors?rows=0,999", 400, "There is no anchor 999"),
        (f"{here}/anchors?rows=a", 400, "numbers of anchors"),
        (f"{here}/anchors?rows={','.join(['0'] * (MOST_ROWS + 1))}", 400, "at most 120"),
        (f"{here}/shares?at=kld", 400, "such as kld:22.5"),
        (f"{here}/shares?at=nothing:1", 400, "criterion of this explanation"),
        ("/gallery/0000/points", 404, "no such explanation"),
    ):
        answered = viewer.ask(path, headers={"Accept": "application/json"})
        assert answered[0] == status
        assert text in json.loads(answered[2])["error"]


def test_the_nearest_sample_is_looked_for_where_nobody_had(viewer: Viewer, found: AnchorExplanation) -> None:
    opened = Gallery.of(found)
    kept = found.scores.arrays["reference/raw"].reshape(-1, 64)
    rows = np.arange(121)
    apart = np.square(kept[None] - found.scores.arrays["anchors/raw"].reshape(-1, 1, 64)).sum(axis=2)
    places = opened._nearest(rows)
    assert (found.evidence.neighbour < 0).any()
    best = apart.min(axis=1)
    np.testing.assert_allclose(apart[rows, places], best, rtol=0.05)  # pictures have 256 steps: near ties may swap
    item = json.loads(viewer.ask(f"{address(viewer)}/anchors?rows=0&near=true")[2])[0]
    assert [each["name"] for each in item["images"]] == [
        "anchor", "reconstruction", "difference", "nearest reference sample"
    ]  # fmt: skip


def test_a_list_has_rows_tags_and_no_formula(viewer: Viewer) -> None:
    body = {"rows": [5, 0], "tags": {"0": "=look"}}
    status, headers, text = viewer.ask(f"{address(viewer)}/list", method="POST", body=body)
    assert status == 200
    assert headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert [(row["index"], row["tag"]) for row in rows] == [("5", ""), ("0", "'=look")]
    assert rows[1]["name"].startswith("'=cmd()")


def test_texts_are_shown_as_texts_and_have_no_threshold(viewer: Viewer) -> None:
    here = address(viewer, "texts")
    head, arrays = unpacked(viewer.ask(f"{here}/points")[2])
    assert [each["name"] for each in head["groups"]] == [*TEXT_GROUPS, "not counted"]
    assert arrays["codes"].tolist() == [0, 3, 4, 5]
    np.testing.assert_array_equal(arrays["figure contrast (nats)"], [1.0, 0.0, np.nan, np.nan])
    assert [head["roles"][place] for place in arrays["roles"]] == ["held-out", "training", "training", "training"]
    assert [head["labels"][place] for place in arrays["labels"]] == ["none", "1", "none", "1"]
    item = json.loads(viewer.ask(f"{here}/anchors?rows=0&near=true")[2])[0]
    assert item["text"].startswith("=cmd()<script>")
    assert "\u202e" not in item["text"]
    assert viewer.ask(f"{here}/shares?at=p:1")[0] == 400
    assert viewer.ask(f"{address(viewer)}/beside/{here.rpartition('/')[2]}")[0] == 400


# --- in a browser ----------------------------------------------------------------------------------------------------


def opened(visit: Callable[..., Any], viewer: Viewer, query: str = "", **given: Any) -> Any:
    page = visit(viewer, address(viewer) + query, **given)
    page.wait_for_selector("[data-ready=yes]")
    return page


@pytest.mark.browser
def test_point_choose_by_a_lasso_and_enlarge(visit: Callable[..., Any], viewer: Viewer) -> None:
    page = opened(visit, viewer)
    canvas = page.locator("canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.locator("#tip img").first.wait_for()
    assert page.locator("#tip img").count() == 2
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 12)
    page.mouse.down()
    for x, y in ((0.98, 0.02), (0.98, 0.86), (0.12, 0.86)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    page.mouse.up()
    page.locator(".opener").first.wait_for()
    assert "chosen=" in page.url
    count = page.locator("#chosen-count").inner_text()
    assert page.locator(".opener").count() == 24
    assert page.locator(".opener").first.locator("img").count() == 4
    page.get_by_text("more", exact=False).last.click()
    page.locator(".opener").nth(40).wait_for()
    page.locator(".opener").first.click()
    page.locator("#zoom[open] img").nth(3).wait_for()
    first = page.locator("#zoom h2").inner_text()
    page.get_by_label("The anchor after").click()
    page.locator("#zoom h2").filter(has_not_text=first).wait_for()
    page.keyboard.press("Escape")
    again = opened(visit, viewer, page.url[page.url.index("?") :])
    assert again.locator("#chosen-count").inner_text() == count


@pytest.mark.browser
def test_a_dragged_threshold_moves_groups_and_both_roads_agree(
    visit: Callable[..., Any], viewer: Viewer, found: AnchorExplanation
) -> None:
    page = opened(visit, viewer)
    grip = page.locator(".grip.x").bounding_box()
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + 150
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y, steps=5)
    page.mouse.up()
    page.locator("#law", has_text="is above").wait_for()
    name, _, value = page.evaluate("new URLSearchParams(location.search).get('at')").rpartition(":")
    moved = Movable(found).move({name: float(value)})
    assert moved.thresholds[name] == float(value) < found.thresholds[name]
    for group, record in moved.groups.items():
        row = page.locator(f"#shares [data-group={group}]")
        assert row.locator(".count").inner_text() == f"{record.count:,}"
        assert f"{100 * record.low:.1f}" in row.locator(".interval").inner_text()
    slider = page.locator("#thresholds input").nth(1)
    slider.focus()
    before = page.locator("#thresholds output").nth(1).inner_text()
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    page.locator("#thresholds output").nth(1).filter(has_not_text=before).wait_for()
    page.get_by_text("As in the report").click()
    page.locator("#law", has_text="By the report's thresholds.").wait_for()
    assert "at=" not in page.url


@pytest.mark.browser
def test_filter_tag_and_save(visit: Callable[..., Any], viewer: Viewer, found: AnchorExplanation) -> None:
    page = opened(visit, viewer, "?label=7&copies=none")
    sevens = [row for row in range(120) if found.evidence.labels[row] == 7]
    assert page.locator("#shown-count").inner_text() == f"{len(sevens)} of 121 shown"
    page.get_by_text("Choose all shown").click()
    page.get_by_label("Tag for all chosen").fill("look again")
    page.get_by_text("Tag all chosen").click()
    page.locator(".mine").first.wait_for()
    with page.expect_download() as saved:
        page.get_by_text("Save tagged as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))
    assert [int(row["index"]) for row in rows] == sevens
    assert {row["tag"] for row in rows} == {"look again"}
    page.reload()
    page.wait_for_selector("[data-ready=yes]")
    assert page.get_by_label("Label").input_value() == "7"
    assert page.get_by_text("Save tagged as CSV").is_enabled()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (400, "dark")])
def test_it_fits_can_be_read_and_runs_nothing_of_others(
    visit: Callable[..., Any], viewer: Viewer, width: int, scheme: str
) -> None:
    page = opened(visit, viewer, f"?groups={quote('0,1,2,3,4')}", width=width, scheme=scheme)
    page.get_by_text("Choose all shown").click()
    page.locator(".opener").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() != "owned"
    assert violations(page) == []
    page.locator(".opener").first.click()
    page.locator("#zoom[open] img").first.wait_for()
    assert violations(page) == []


@pytest.mark.browser
def test_two_checkpoints_stand_side_by_side(
    visit: Callable[..., Any], viewer: Viewer, found: AnchorExplanation
) -> None:
    other = address(viewer, "two").rpartition("/")[2]
    page = opened(visit, viewer, f"?with={other}")
    assert page.locator("canvas").count() == 2
    said = whygen.compare(found, explained(projected((0, 1, 2, 7))))
    assert said.headline in page.locator("#notices").inner_text()
    page.get_by_label("Changed").select_option("learned")
    assert page.locator("#shown-count").inner_text().startswith(f"{said.learned} of ")
    page.get_by_text("Choose all shown").click()
    page.locator(".opener").first.wait_for()
    assert page.locator(".opener").first.locator("img").count() == 5
    assert "learned; to the other" in page.locator(".opener").first.inner_text()
    assert violations(page) == []


@pytest.mark.browser
def test_texts_in_a_browser(visit: Callable[..., Any], viewer: Viewer) -> None:
    page = visit(viewer, address(viewer, "texts"))
    page.wait_for_selector("[data-ready=yes]")
    page.get_by_text("Choose all shown").click()
    page.locator(".opener").nth(3).wait_for()
    assert page.locator(".opener").first.inner_text().startswith("=cmd()<script>")
    page.locator(".opener").first.click()
    page.locator("#zoom[open] .anchor-text").wait_for()
    assert violations(page) == []


@pytest.mark.browser
def test_the_report_opens_pictures_in_place_without_a_script(
    browser: Any, found: AnchorExplanation, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(found.to_html())
    context = browser.new_context(viewport={"width": 400, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    picture = page.locator(".pic img").first
    before = picture.bounding_box()["width"]
    page.locator(".pic > summary").first.click()
    assert picture.bounding_box()["width"] > 1.5 * before
    group = page.locator(".members").first
    group.locator("> summary").click()
    assert group.locator("svg.cell").first.bounding_box()["width"] > 40
    context.close()
    page = browser.new_page(viewport={"width": 400, "height": 800}, bypass_csp=True)
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert violations(page) == []
    page.close()
