"""Every kind of page, in one browser: axe finds nothing, and nothing is cut. What is no explanation has a page too."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whygen
from example_explanations import prompt_explanation
from unit.anchors.test_text_anchors import Remembers
from unit.report.test_conversation_report import explained as recorded_call
from unit.report.test_pictures_in_browser import editor
from viewers import Viewer, teller, violations
from web.test_gallery import explained as anchors_of
from web.test_gallery import projected
from whygen.cli import main
from whygen.media import pictures
from whygen.web.state import State

PROMPT = "Tell a story about a curious fox in a foggy harbor. Let it end well."
EVIL = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m"
CHEAP: dict[str, Any] = {"target": "tfidf", "cache": None}
PAGES = ("prompt", "edit", "call", "inputs", "anchors", "texts", "many", "evaluation", "trimmed", "comparison",
         "comparison-of-anchors")  # fmt: skip
IN_THE_DARK = ("prompt", "call", "edit", "trimmed")
"""What axe reads on a dark phone, too: colours are those of one style sheet, and axe takes a second a page."""
OWN = {"comparison.json", "evaluation.json", "trimmed.json", "index.json"}


def reads(messages: Any) -> str:
    """`teller` for chats, templates and texts."""
    return teller(messages if isinstance(messages, str) else " ".join(str(each["content"]) for each in messages))


def seven(prompt: str) -> str:
    """Answers with a digit for as many words as it was given."""
    return f"<b>{len(prompt.split()) % 10}</b>{EVIL}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("every")
    story = whygen.explain_prompt(teller, PROMPT, budget=48, **CHEAP)
    story.save(top / "prompt")
    whygen.explain_prompt(teller, PROMPT.replace("curious", EVIL), budget=48, **CHEAP).save(top / "second")
    chat = whygen.Chat([whygen.Message("system", "You know a fox. Be brief."), whygen.Message("user", f"Well? {EVIL}")])
    whygen.explain_prompt(reads, chat, budget=32, **CHEAP).save(top / "chat")
    whygen.explain_prompt(
        reads,
        whygen.Chat([whygen.Message("system", "A fox. Be kind. End well.")]),
        inputs=["Who?", EVIL, "When?"],
        **CHEAP,
    ).save(top / "inputs")
    filled = whygen.Template("A {what} ran {where}. Tell all.", {"what": "fox", "where": f"into a foggy {EVIL}"})
    whygen.explain_prompt(reads, filled, budget=32, **CHEAP).save(top / "template")
    whygen.explain_prompt(seven, "ثعلب فضولي في ميناء ضبابي 狐は港にいた 🦊", budget=32, **CHEAP).save(top / "scripts")
    arabic = ("ثعلب", "ميناء", "ليل")
    whygen.explain_prompt(
        lambda prompt: " ".join(word * 2 if word in prompt else "x" for word in arabic),
        f"احك لي قصة عن {arabic[0]} فضولي في {arabic[1]} {arabic[2]}",
        budget=64,
        **CHEAP,
    ).save(top / "right-to-left")
    given = whygen.Edit(pictures.picture_of(np.full((24, 24, 3), 200, dtype=np.uint8)), "make night now")
    whygen.explain_prompt(editor, given, target="pixel", budget=12, model_noise="none", cache=None).save(top / "edit")
    recorded_call().save(top / "call")
    anchors_of().save(top / "anchors")
    anchors_of(projected((3, 4))).save(top / "anchors-of-another")
    texts = [f"Long ago {EVIL} a knight stayed at a castle of stone number {i}." for i in range(4)]
    whygen.explain_anchors(Remembers(texts[:2]), texts, cache=None).save(top / "texts")
    whygen.explain_anchors(Remembers(texts[2:]), texts, cache=None).save(top / "texts-of-another")
    whygen.explain_many(teller, {"one": PROMPT, EVIL: "A fox ran home."}, out=top / "many", budget=24, **CHEAP)
    whygen.evaluate(story, metrics="cost").save(top / "evaluation")
    whygen.trim(
        reads,
        f"Tell of a fox. Let it end well. Keep {EVIL} quiet.",
        inputs=[f"foggy {i}" for i in range(6)],
        over="these",
        **CHEAP,
    ).save(top / "trimmed")
    compare(top, "prompt", "second", "comparison")
    compare(top, "anchors", "anchors-of-another", "comparison-of-anchors")
    return top


def compare(top: Path, first: str, second: str, out: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", str(top / first), str(top / second), "-o", str(top / out), "--quiet"])
    assert end.value.code == 0


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], folder: Path) -> Viewer:
    return serve(folder)


def addresses(folder: Path) -> dict[str, str]:
    return {place.shown: f"/explanations/{place.id}" for place in State((folder,), "").look().places}


@pytest.mark.browser
def test_words_from_right_to_left_leave_an_english_headline_in_its_order(
    viewer: Viewer, folder: Path, visit: Callable[..., Any]
) -> None:
    page = visit(viewer)
    for address, where in (("/", "table.cards a:has(bdi)"), (addresses(folder)["right-to-left"], "h1")):
        page.goto(viewer.address + address)
        line = page.locator(where).first
        assert line.inner_text() == "“ميناء”, “ليل” and “ثعلب” drove this output."
        places = line.locator("bdi").evaluate_all("found => found.map((each) => each.getBoundingClientRect().left)")
        assert places == sorted(places)
        assert len(places) == 3


@pytest.mark.browser
def test_axe_finds_nothing_and_nothing_is_cut(viewer: Viewer, folder: Path, visit: Callable[..., Any]) -> None:
    wide, narrow = visit(viewer), visit(viewer, width=400, scheme="dark")
    found = addresses(folder)
    faults: list[str] = []
    open_ones = {"prompt": "?unit=7&sentence=1&target=nonsense"}
    for name in ("", *found):
        for page, width in ((wide, 1200), (narrow, 400)):
            page.goto(viewer.address + found.get(name, "/") + open_ones.get(name, ""))
            page.wait_for_load_state("networkidle" if name in open_ones else "load")
            if name in ("", *PAGES) and (page is wide or name in ("", *IN_THE_DARK)):
                faults += [f"{name} at {width} px: {fault}" for fault in violations(page)]
            if (taken := page.evaluate("document.documentElement.scrollWidth")) > width:
                faults.append(f"{name} at {width} px takes {taken} px")
            seen = page.evaluate("document.body.innerText")
            faults += [f"{name}: {hidden!r} is in it" for hidden in "\u202e\x1b" if hidden in seen]
    assert faults == []
    assert set(PAGES) < set(found)


def test_what_is_no_explanation_has_a_row_and_a_page(viewer: Viewer, folder: Path) -> None:
    shelf = viewer.ask("/")[2].decode()
    assert "cannot be shown" not in shelf
    rows = {
        "comparison": "comparison", "comparison-of-anchors": "comparison", "evaluation": "evaluation",
        "trimmed": "trimmed prompt", "many": "many prompts",
    }  # fmt: skip
    for name, kind in rows.items():
        rows_of = [each for each in shelf.split("<tr data-searched") if f'class="tag">{kind}<' in each]
        (row,) = [each for each in rows_of if re.search(rf'class="where">{name}[ <]', each)]
        assert 'name="pick"' not in row  # a comparison is not compared
        headline = re.search(r'<a href="/explanations/[^"]*">(.*?)</a>', row, re.DOTALL)
        assert headline is not None
        status, _, page = viewer.ask(addresses(folder)[name])
        assert status == 200
        assert f">{headline[1]}</h1>" in page.decode()
        status, headers, file = viewer.ask(f"{addresses(folder)[name]}/report.html")
        assert status == 200
        assert "attachment" in headers["content-disposition"]
        assert "whygen-explanation" in file.decode()
        assert viewer.ask(f"{addresses(folder)[name]}/units/0")[0] == 400


@pytest.mark.parametrize(
    ("first", "second", "status", "says"),
    [
        ("anchors", "anchors-of-another", 200, "What changed?"),
        ("texts", "texts-of-another", 200, "What changed?"),
        ("texts", "anchors", 400, "compare two of one kind"),
        ("anchors", "prompt", 400, "compare two of one kind"),
    ],
)
def test_two_models_are_compared_by_samples_or_by_texts(
    viewer: Viewer, folder: Path, first: str, second: str, status: int, says: str
) -> None:
    picked = "&".join(f"pick={addresses(folder)[name].split('/')[-1]}" for name in (first, second))
    answered, _, body = viewer.ask(f"/compare?{picked}")
    assert answered == status
    assert says in body.decode()


def test_a_list_of_many_leads_to_its_explanations_and_nowhere_else(viewer: Viewer, folder: Path) -> None:
    page = viewer.ask(addresses(folder)["many"])[2].decode()
    led = re.findall(r'href="(/explanations/\w+)"', page)
    assert set(led) >= {address for name, address in addresses(folder).items() if name.startswith("many/")}
    index = folder / "many" / "index.json"
    kept = index.read_text(encoding="utf-8")
    outside = folder.parent / "outside"
    prompt_explanation(pairs=8).save(outside)
    document = json.loads(kept)
    document["items"][0]["folder"] = "../../outside"
    try:
        index.write_text(json.dumps(document, indent=1), encoding="utf-8")
        page = viewer.ask(addresses(folder)["many"])[2].decode()
    finally:
        index.write_text(kept, encoding="utf-8")
    assert "It cannot be shown: There is no such explanation below the folders" in page
    assert "misty harbour" not in page


@pytest.mark.parametrize("name", sorted(OWN))
@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": 1, "models": 3}', '{"units": [1], "names": [[]]}', "\x00", "{" * 99]
)
def test_a_damaged_document_has_a_row_that_says_so(
    serve: Callable[..., Viewer], tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "index.html").write_text("x")
    (tmp_path / "one" / name).write_text('{"kind": "many",' * (name == "index.json") + text)
    viewer = serve(tmp_path)
    assert "cannot be shown" in viewer.ask("/")[2].decode()
    (place,) = State((tmp_path,), "").look().places
    assert viewer.ask(f"/explanations/{place.id}")[0] == 422


@pytest.mark.parametrize("field", ["rank_correlation", "units"])
def test_a_comparison_holds_no_number_that_is_none(
    serve: Callable[..., Viewer], folder: Path, tmp_path: Path, field: str
) -> None:
    document = json.loads((folder / "comparison" / "comparison.json").read_text(encoding="utf-8"))
    nan = float("nan")
    document[field] = nan if field != "units" else [{**document["units"][0], "first": nan}]
    (tmp_path / "comparison.json").write_text(json.dumps(document), encoding="utf-8")
    viewer = serve(tmp_path)
    (place,) = State((tmp_path,), "").look().places
    for path in ("", "/report.html"):
        status, _, page = viewer.ask(f"/explanations/{place.id}{path}")
        assert status == 422
        assert "finite number" in page.decode()


def test_indexes_of_others_are_no_lists_of_prompts(tmp_path: Path) -> None:
    for name, text in (("site", '{"pages": []}'), ("empty", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text("<p>")
        (tmp_path / name / "index.json").write_text(text)
    (tmp_path / "pipe").mkdir()
    (tmp_path / "pipe" / "index.html").write_text("<p>")
    os.mkfifo(tmp_path / "pipe" / "index.json")
    assert State((tmp_path,), "").look().places == ()
