"""The bench in a browser: a run that forms, a fault in the middle, a stop, going on, words, sentences, two runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_models
import whygen
from viewers import Viewer, violations
from whygen.media import pictures
from whygen.report.colours import level_of, sign_of
from whygen.report.texts import decimals_for, signed
from whygen.web.state import State

pytestmark = pytest.mark.browser
PROMPT = "Tell a story about a fox in a harbor."
LIVE = tuple(f"py/bench_models:{name}" for name in ("steady", "gated", "fragile", "hostile", "homeless", "painter"))


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    """One viewer for the file, with a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHYGEN_CACHE_DIR", str(tmp_path_factory.mktemp("calls")))
        yield serve(tmp_path_factory.mktemp("shelf"), live=LIVE)


@pytest.fixture(autouse=True)
def models() -> Iterator[None]:
    bench_models.reset()
    yield
    bench_models.go.set()


def address(name: str, prompt: str = PROMPT, **more: object) -> str:
    from urllib.parse import urlencode

    return "/bench?" + urlencode(
        {"model": f"py/bench_models:{name}", "target": "tfidf", "prompt": prompt, "budget": 40, **more}
    )


def why(page: Any, button: str = "#why") -> None:
    page.wait_for_selector(f"{button}:not([disabled])")
    page.click(button)


def finished(page: Any, place: int = 0) -> Any:
    """The section of a run, once it is over."""
    section = page.locator(".run").nth(place)
    section.locator(".sentence").first.wait_for(timeout=90_000)
    return section


def holds(asked: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not asked():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_run_forms_survives_a_reload_and_ends_with_words_and_sentences(
    viewer: Viewer, visit: Callable[..., Any]
) -> None:
    bench_models.go.clear()
    page = visit(viewer, address("gated"))
    assert "units: 39 calls" in page.locator("#price:not(:empty)").inner_text()
    why(page)
    page.wait_for_selector(".run .u")
    assert re.search(r"run=[0-9a-f]{12}", page.url)
    page.reload()  # the run belongs to the server
    page.wait_for_selector(".run .u")
    assert page.locator(".run .prompt").inner_text() == PROMPT
    other = visit(viewer, page.url.removeprefix(viewer.address))  # and a second tab hears all of it
    bench_models.go.set()
    for each in (page, other):
        section = finished(each)
        assert "“fox” and “harbor” drove this output." in section.locator("h2").inner_text()
        assert section.locator(".u.sure").all_inner_texts() == ["fox▲", "harbor▲"]
    section.locator(".sentence", has_text="harbor").press("Enter")
    assert section.locator(".u.sure").all_inner_texts() == ["harbor▲"]
    assert "sentence=1" in other.url
    assert violations(other) == []


def test_looks_come_while_it_runs_and_a_stop_leaves_what_there_is(viewer: Viewer, visit: Callable[..., Any]) -> None:
    bench_models.go.clear()
    page = visit(viewer, address("gated", PROMPT + " Again.", budget=400))
    why(page)
    page.wait_for_selector(".run .u")
    bench_models.slow.set()
    bench_models.go.set()
    page.locator(".looking", has_text="whenever you stop").wait_for(timeout=30_000)
    assert page.locator(".bars tbody tr").count() > 3
    page.click("text=Stop: this is enough")
    bench_models.slow.clear()
    section = finished(page)
    assert section.locator("[role=alert]").inner_text().count("ended early") == 1
    assert "moment chosen beforehand" in section.locator(".looking").inner_text()
    sent = sum(bench_models.asked.values())
    section.locator("text=Go on").click()
    section = finished(page)
    section.locator(".cost", has_text="were recorded").wait_for(timeout=30_000)
    page.locator(".run h2", has_text="drove this output").wait_for(timeout=30_000)
    assert sent < 300
    assert sum(bench_models.asked.values()) <= 400  # nothing was paid twice


def test_a_fault_in_the_middle_is_told_and_mended_without_paying_twice(
    viewer: Viewer, visit: Callable[..., Any]
) -> None:
    bench_models.breaks_at.append(20)
    page = visit(viewer, address("fragile"))
    why(page)
    alert = page.locator(".run [role=alert]", has_text="the disk is full")
    alert.wait_for(timeout=30_000)
    assert "sk-aaaa" not in page.content()
    bench_models.breaks_at[:] = [10_000]
    page.click("text=Go on")
    section = page.locator(".run")
    section.locator(".cost", has_text="were recorded and cost nothing").wait_for(timeout=30_000)
    finished(page)
    assert section.locator("[role=alert]").is_hidden()


def test_a_word_shows_the_answers_with_and_without_it_and_makes_a_rule(
    viewer: Viewer, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(viewer, address("steady"))
    why(page)
    section = finished(page)
    section.locator(".u").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    word = section.locator(".word")
    word.locator(".answers").first.wait_for()
    assert "word=5" in page.url
    assert "“fox”" in word.locator("h3").inner_text()
    assert "fox" in " ".join(word.locator(".with mark").all_inner_texts())
    assert "dog" in " ".join(word.locator(".without mark").all_inner_texts())
    alone = word.locator("button", has_text="Leave out this word alone (1 call")
    alone.click()
    word.locator("figcaption", has_text=re.compile("^Without it$")).wait_for()
    word.locator("button", has_text="Write this rule").first.click()
    word.locator("text=It holds now: pass").wait_for()
    assert "whygen check" in word.locator("code.line").inner_text()
    word.locator("[aria-label='Another text in its place']").fill("wolf")
    word.locator("button", has_text="Put it into the prompt").click()
    holds(lambda: page.input_value("[name=prompt]") == PROMPT.replace("fox", "wolf"))
    word.locator("button", has_text="pin").click()
    page.locator(".chip", has_text="fox").wait_for()
    assert "pin=" in page.url
    assert violations(page) == []


def test_two_prompts_beside_each_other_flag_the_words_that_changed(viewer: Viewer, visit: Callable[..., Any]) -> None:
    page = visit(viewer, address("steady"))
    why(page)
    finished(page)
    page.fill("[name=prompt]", PROMPT.replace("fox", "dog"))
    page.wait_for_timeout(300)
    why(page, "#why-beside")
    finished(page, 1)
    page.locator("#compared tbody tr").first.wait_for()
    assert "Only in the first: fox" in page.locator("#compared").inner_text()
    assert "beside=" in page.url
    assert page.locator("#compared tbody tr", has_text="harbor").locator("td").nth(3).inner_text() != "–"
    page.select_option("[name=model]", LIVE[4])  # another model beside the first, which does not care where it is
    page.fill("[name=prompt]", PROMPT)
    page.wait_for_timeout(300)
    why(page, "#why-beside")
    page.locator("#compared tr.changed", has_text="harbor").wait_for(timeout=30_000)
    flagged = [page.locator(".run").nth(i).locator(".u[data-changed]").all_inner_texts() for i in (0, 1)]
    assert "harbor▲" in flagged[0]
    assert "harbor" in flagged[1]  # where it does nothing
    assert violations(page) == []
    page.reload()
    page.locator("#compared tbody tr").first.wait_for(timeout=30_000)


def test_a_picture_is_chosen_and_a_word_shows_the_pictures_with_and_without_it(
    viewer: Viewer, visit: Callable[..., Any]
) -> None:
    page = visit(viewer, address("painter", "", target="pixel", budget=24), width=400, scheme="dark")
    page.select_option("[name=kind]", "edit")
    page.locator("#price", has_text="Choose a picture").wait_for()
    page.fill("[name=prompt]", "make night now")
    page.locator("#price.wrong", has_text="no picture yet").wait_for()
    page.set_input_files("#picture-file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.locator("#price.wrong", has_text="picture").wait_for()
    sky = pictures.picture_of(np.full((24, 24, 3), 200, dtype=np.uint8))
    page.set_input_files("#picture-file", {"name": "sky.png", "mimeType": "image/png", "buffer": sky.data})
    page.locator("#picture-shown img").wait_for()
    assert "picture=up-" in page.url
    why(page)
    page.locator(".run h2", has_text="“night” drove this output").wait_for(timeout=60_000)
    page.reload()
    page.locator(".run h2", has_text="“night” drove this output").wait_for(timeout=30_000)
    page.locator(".run .u", has_text="night").click()
    drawn = page.locator(".run .word .answers img")
    drawn.nth(1).wait_for()
    assert drawn.nth(0).get_attribute("src") != drawn.nth(1).get_attribute("src")
    assert drawn.evaluate_all("all => all.every(one => one.naturalWidth === 24)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert violations(page) == []
    page.get_by_text("All of it, on the shelf").click()
    page.get_by_text("ask again on the bench").click()
    page.locator("#picture-shown img").wait_for()
    assert page.input_value("[name=prompt]") == "make night now"
    said = visit.said  # type: ignore[attr-defined]
    assert all("400" in each or "500" in each or "422" in each for each in said)  # the browser tells of the refusal
    said.clear()


def test_inputs_of_a_template_and_many_prompts_are_asked_from_the_page(
    viewer: Viewer, visit: Callable[..., Any]
) -> None:
    page = visit(viewer, address("steady", "Tell of a fox. Be kind {input}.", kind="inputs", budget=80), width=400)
    page.fill("[name=inputs]", "in a harbor\nat sea\nin a wood")
    why(page)
    section = page.locator(".run")
    section.get_by_text("All of it, on the shelf").wait_for(timeout=60_000)
    assert section.locator(".prompt").inner_text().startswith("Tell of a fox. Be kind {input}.")
    section.locator(".u").first.click()
    section.locator(".word", has_text="asked of many inputs").wait_for()
    assert section.locator(".word button", has_text="Leave out").count() == 0
    assert violations(page) == []
    page.select_option("[name=kind]", "each")
    assert page.input_value("[name=units]") == "word"
    page.fill("[name=prompt]", "Tell of a fox in a wood.\nTell of a harbor at dawn.")
    page.fill("[name=budget]", "24")
    page.locator("#price", has_text="15 units").wait_for()
    why(page)
    page.locator(".many li a").nth(1).wait_for(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert violations(page) == []
    page.locator(".many li a").first.click()
    page.locator("h1", has_text="fox").wait_for()
    page.go_back()  # the run is in the address
    page.locator(".many li a").nth(1).wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (400, "light")])
def test_a_phone_needs_no_sideways_scrolling(
    viewer: Viewer, visit: Callable[..., Any], width: int, scheme: str
) -> None:
    page = visit(viewer, address("steady"), width=width, scheme=scheme)
    why(page)
    section = finished(page)
    section.locator(".u", has_text="harbor").click()
    section.locator(".word .answers").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


def test_hostile_answers_are_text_and_a_bad_question_is_refused_in_words(
    viewer: Viewer, visit: Callable[..., Any]
) -> None:
    page = visit(viewer, address("hostile", "Say <b>fox</b> \u202e now and then, would you?"))
    why(page)
    section = finished(page)
    assert "<script>alert(1)</script>" in section.locator(".output").first.inner_text()
    page.locator("#past-list li", has_text="U+202E").first.wait_for()
    assert "\u202e" not in page.inner_text("#runs") + page.inner_text("#past")
    assert page.locator("img").count() == 0
    page.fill("[name=prompt]", PROMPT)
    page.evaluate("document.querySelector('details').open = true")
    page.fill("[name=budget]", "4")
    page.locator("#price.wrong", has_text="smallest budget that works is 11").wait_for()
    assert page.locator("#why").is_disabled()
    page.fill("[name=prompt]", "")
    page.locator("#price", has_text="Type a prompt").wait_for()


def test_a_run_that_this_viewer_does_not_know_says_so(viewer: Viewer, visit: Callable[..., Any]) -> None:
    page = visit(viewer, address("steady", run="0123456789ab"))
    page.locator(".run [role=alert]", has_text="does not know that run").wait_for()
    assert page.input_value("[name=prompt]") == PROMPT
    visit.said.clear()  # type: ignore[attr-defined]  # the browser tells of the 404


def test_a_viewer_that_may_ask_nothing_says_how(
    serve: Callable[..., Viewer], visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(serve(tmp_path), "/bench")
    assert "--live" in page.inner_text("main")
    assert violations(page) == []


def test_a_page_that_goes_away_harms_no_run(viewer: Viewer, visit: Callable[..., Any]) -> None:
    bench_models.go.clear()
    page = visit(viewer, address("gated", PROMPT + " Once more."))
    why(page)
    page.wait_for_selector(".run .u")
    known_as = re.search(r"run=([0-9a-f]{12})", page.url)
    page.close()
    bench_models.go.set()
    assert known_as is not None
    holds(lambda: b'"status":"done"' in viewer.ask(f"/bench/runs/{known_as[1]}")[2])


def test_a_chat_of_the_shelf_is_asked_again_and_a_prompt_can_be_typed_instead(
    serve: Callable[..., Viewer], visit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYGEN_CACHE_DIR", str(tmp_path / "calls"))
    model = "py/bench_models:talked"
    chat = whygen.Chat([whygen.Message("system", "You know a fox.\u202e"), whygen.Message("user", "In a harbor?")])
    whygen.explain_prompt(model, chat, target="tfidf", budget=16, cache=None).save(tmp_path / "shelf" / "chat")
    viewer = serve(tmp_path / "shelf", live=[model])
    (place,) = State((tmp_path / "shelf",), "").look().places
    page = visit(viewer, f"/explanations/{place.id}", width=400)
    page.get_by_text("ask again on the bench").click()
    page.get_by_text("In a harbor?").wait_for()
    page.wait_for_timeout(300)
    assert "source=" in page.url  # a reload asks the same
    assert not page.locator("[name=prompt]").is_visible()
    assert page.locator("select[name=units]").input_value() == "part"
    assert "\u202e" not in page.locator("#asked").inner_text()
    page.locator("select[name=target]").select_option("tfidf")
    why(page)
    finished(page)
    page.locator(".run .u").first.click()
    page.get_by_text("Leave out this word alone (1 call").wait_for()
    assert page.get_by_text("Delete it in the prompt").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.get_by_text("Type a prompt instead").click()
    assert page.locator("[name=prompt]").is_visible()
    assert "source=" not in page.url


def test_figures_and_tints_of_a_run_are_those_of_its_report(viewer: Viewer, visit: Callable[..., Any]) -> None:
    page = visit(viewer, "/bench")
    cases = [
        (value * scale, scale)
        for scale in (437.0, 43.7, 4.37, 0.437, 0.0437, 4.37e-5, 4.37e-9, 4.37e-13)
        for value in (1.0, -0.43, 0.0, 0.004, -1e-9)
    ]
    shown = page.evaluate(
        "async (cases) => { const { figure, look } = await import('/static/bench_marks.js');"
        "  return cases.map(([value, largest]) => [figure(value, largest), look(value, largest, true).classes]); }",
        cases,
    )
    assert [text for text, _ in shown] == [signed(value, decimals_for(largest)) for value, largest in cases]
    tints = [f"u {sign_of(value)} s{level_of(value, largest)} sure" for value, largest in cases]
    assert [classes for _, classes in shown] == tints


def test_a_page_that_a_new_viewer_does_not_let_in_says_so(viewer: Viewer, visit: Callable[..., Any]) -> None:
    bench_models.go.set()
    page = visit(viewer, address("gated", PROMPT + " Once more."))
    page.route("**/events*", lambda route: route.fulfill(status=403))
    why(page)
    page.locator(".cost", has_text="it was started anew. Open the address").wait_for(timeout=30_000)
    assert not page.is_visible("text=Stop: this is enough")
    visit.said[:] = [each for each in visit.said if "403" not in each]  # type: ignore[attr-defined]
