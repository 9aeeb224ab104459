"""The shelf and one explanation, as a browser shows them."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whygen
from example_explanations import prompt_explanation
from viewers import Viewer, teller, violations
from whygen.errors import MissingError
from whygen.results.prompt import Reference
from whygen.results.summary.outcomes import outcomes
from whygen.web import serving

PROMPT = "Tell a story about a curious fox in a foggy harbor. Let it end well."
EVIL = "</script><script>document.title='owned'</script><img src='http://example.invalid/x.png' onerror='alert(1)'>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("shown")
    whygen.explain_prompt(teller, PROMPT, budget=72, target="tfidf").save(top / "story")
    prompt_explanation(pairs=16).save(top / "runs" / "fox")
    evil = prompt_explanation(
        prompt=f"Say {EVIL} now", pinned=(), pairs=8, reference=Reference(text=f"{EVIL} \u202e Done.", n=1), model=EVIL
    )
    evil.save(top / "evil" / "<b>name")
    (top / "damaged").mkdir()
    (top / "damaged" / "explanation.json").write_text('{"units": [1,')
    (top / "newer").mkdir()
    (top / "newer" / "explanation.json").write_text('{"units": [], "schema": 99, "whygen": "9.0"}')
    (top / ".hidden").mkdir()
    shutil.copytree(top / "runs" / "fox", top / ".hidden" / "fox")
    return top


@pytest.fixture(scope="module")
def viewer(serve: Callable[..., Viewer], folder: Path) -> Viewer:
    return serve(folder)


def links(viewer: Viewer) -> dict[str, str]:
    """Addresses of the explanations by their folders, as the shelf has them."""
    text = viewer.ask("/")[2].decode()
    rows = re.findall(r'href="(/explanations/\w+)".*?class="where">([^ ]+?)(?: ·|</span>)', text, re.DOTALL)
    return {where.strip(): address for address, where in rows}


def test_the_shelf_lists_what_is_there_and_says_what_cannot_be_shown(viewer: Viewer) -> None:
    text = viewer.ask("/")[2].decode()
    assert text.count("<tr data-searched") == 5  # what is hidden is passed by
    assert re.search(r"<h1>3 explanations <span[^>]*>and 2 that cannot be shown", text)
    assert text.count("cannot be shown<") == 3
    assert "this whygen reads up to" in text
    assert "is damaged" in text
    assert "<script>document" not in text
    assert "&lt;b&gt;name" in text


def test_a_search_in_the_address_hides_the_others(viewer: Viewer) -> None:
    text = viewer.ask("/?q=FOGGY+story&sort=model")[2].decode()
    assert text.count(" hidden>") == 4
    assert "1 of 5 shown" in text


def test_a_unit_shows_the_nearest_answers_with_it_and_without_it(viewer: Viewer, folder: Path) -> None:
    found = whygen.load(folder / "story")
    number = next(i for i, unit in enumerate(found.units) if unit.text == "foggy")
    status, _, body = viewer.ask(f"{links(viewer)['story']}/units/{number}")
    assert status == 200
    told = json.loads(body)
    assert told["sure"]
    with_it, without = ("".join(part["text"] for part in told["beside"][side]) for side in ("with", "without"))
    assert "The fog was thick." in with_it
    assert "The sun shone." in without
    assert any(part["differs"] for part in told["beside"]["with"])


def test_the_pair_is_the_nearest_of_all(folder: Path) -> None:
    found = outcomes(whygen.load(folder / "story"))
    assert found is not None
    for unit in range(found.kept.shape[1]):
        with_it, without = found.kept[found.kept[:, unit]], found.kept[~found.kept[:, unit]]
        apart = (with_it[:, None, :] != without[None, :, :]).sum(axis=2) - 1
        told = found.beside(unit)
        assert told is not None
        assert told["others"] == apart.min()


def test_sentences_are_read_without_a_call(viewer: Viewer, folder: Path) -> None:
    told = json.loads(viewer.ask(f"{links(viewer)['story']}/sentences")[2])
    names = [unit.text for unit in whygen.load(folder / "story").units]
    assert len(told["sentences"]) == 3
    for sentence, word in zip(told["sentences"], ("fox", "foggy", "well"), strict=True):
        sure = [names[i] for i, cell in enumerate(sentence["units"]) if cell[3]]
        assert sure == [word]


def test_other_targets_and_estimands_are_read_without_a_call(viewer: Viewer, folder: Path) -> None:
    address = links(viewer)["story"]
    text = viewer.ask(f"{address}?target=contains:fog&estimand=")[2].decode()
    assert "“foggy” drove this output" in text
    expected = whygen.load(folder / "story").read(target="contains:fog")
    file = viewer.ask(f"{address}/report.html?target=contains:fog")
    assert file[1]["content-disposition"] == 'attachment; filename="story.html"'
    hostile = viewer.ask(f"{links(viewer)['evil/&lt;b&gt;name']}/report.html")
    assert hostile[1]["content-disposition"] == 'attachment; filename="b-name.html"'
    assert file[2].decode() == expected.to_html()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("target=py/os:system", "whygen&#39;s own targets"),
        ("target=nonsense", "is none: auto"),
        ("target=logprob:snow", "Shown as it was"),
        ("estimand=nonsense", "Unknown estimand"),
        ("target=regex:(", "Shown as it was"),
    ],
)
def test_what_cannot_be_read_so_is_said_beside_what_can(viewer: Viewer, query: str, says: str) -> None:
    status, _, body = viewer.ask(f"{links(viewer)['story']}?{query}")
    assert status == 200
    assert says in body.decode()
    assert "“foggy”" in body.decode()


def test_an_evaluation_beside_an_explanation_is_shown(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    found = whygen.explain_prompt(teller, PROMPT, budget=40, target="tfidf")
    found.save(tmp_path / "one")
    viewer = serve(tmp_path)
    address = links(viewer)["one"]
    assert "how good is it?" not in viewer.ask(address)[2].decode()
    assert viewer.ask(f"{address}/evaluation")[0] == 404
    whygen.evaluate(found, metrics="cost").save(tmp_path / "one")
    assert "evaluated</span>" in viewer.ask("/")[2].decode()
    assert "how good is it?" in viewer.ask(address)[2].decode()
    assert "calls per unit" in viewer.ask(f"{address}/evaluation")[2].decode()


def test_what_is_not_there_is_said(viewer: Viewer) -> None:
    assert viewer.ask("/explanations/0000000000000000")[0] == 404
    assert viewer.ask(f"{links(viewer)['story']}/units/999")[0] == 400
    assert viewer.ask(f"{links(viewer)['story']}/units/x")[0] == 422


def test_a_folder_that_changes_is_read_again(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    prompt_explanation(pairs=8, model="first/model").save(tmp_path / "one")
    viewer = serve(tmp_path)
    address = links(viewer)["one"]
    assert b"first/model" in viewer.ask(address)[2]
    prompt_explanation(pairs=8, model="second/model").save(tmp_path / "one")
    assert b"second/model" in viewer.ask(address)[2]
    assert b"second/model" in viewer.ask("/")[2]
    shutil.rmtree(tmp_path / "one")
    status, _, body = viewer.ask(address, headers={"Accept": "text/html"})
    assert status == 404
    assert b"gone since it was listed" in body
    assert b"no explanation below" in viewer.ask("/")[2]


def test_the_figures_of_a_page_are_those_of_the_explanation(viewer: Viewer, folder: Path) -> None:
    found = whygen.load(folder / "runs" / "fox")
    address = links(viewer)["runs/fox"]
    told = [json.loads(viewer.ask(f"{address}/units/{i}")[2]) for i in range(len(found.units))]
    shown = [float(each["attribution"].replace("\u2212", "-")) for each in told]
    assert np.allclose(shown, [unit.attribution for unit in found.units], atol=6e-4)


@pytest.mark.browser
@pytest.mark.parametrize("live", [(), ("planted/additive",)])
def test_an_empty_shelf_leads_to_the_bench_and_to_a_first_command(
    serve: Callable[..., Viewer], visit: Callable[..., Any], tmp_path: Path, live: tuple[str, ...]
) -> None:
    folder = tmp_path / "not yet"
    folder.mkdir()
    page = visit(serve(folder, live=live), width=400)
    command = shlex.split(page.locator("main code.line").inner_text())
    assert command[:2] == ["whygen", "prompt"]
    assert command[-2:] == ["-o", f"{folder}/fox"]
    assert violations(page) == []
    page.locator("main a", has_text="bench").click()
    page.get_by_role("heading", name="Which words made it answer that?").wait_for()


@pytest.mark.browser
def test_typing_searches_and_stays_in_the_address(viewer: Viewer, visit: Callable[..., Any]) -> None:
    page = visit(viewer, "/?q=foggy")
    rows = page.locator("table.cards tbody tr:visible")
    assert rows.count() == 1
    page.get_by_label("Search").fill("fox harbour")
    assert rows.count() == 1
    assert page.locator("#count").inner_text() == "1 of 5 shown, newest first."
    assert "runs/fox" in rows.inner_text()
    page.reload()
    assert "runs/fox" in rows.inner_text()
    page.get_by_label("Search").fill("")
    assert rows.count() == 5


@pytest.mark.browser
def test_a_click_on_a_word_shows_both_answers_and_a_reload_shows_them_again(
    viewer: Viewer, visit: Callable[..., Any]
) -> None:
    page = visit(viewer, links(viewer)["story"])
    page.get_by_role("button", name="foggy").click()
    sheet = page.get_by_label("With and without a word")
    sheet.get_by_text("The two prompts").wait_for()
    assert "fog" in sheet.locator(".side").nth(0).locator("mark").all_inner_texts()
    page.reload()
    sheet.get_by_text("The two prompts").wait_for()
    page.get_by_role("button", name="The word after").click()
    sheet.get_by_role("heading", name="harbor").wait_for()
    page.keyboard.press("Escape")
    assert not sheet.is_visible()
    assert page.url.endswith(links(viewer)["story"])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    sheet.get_by_role("heading", name="foggy").wait_for()


@pytest.mark.browser
def test_a_click_on_a_sentence_lights_up_its_words(viewer: Viewer, visit: Callable[..., Any]) -> None:
    page = visit(viewer, links(viewer)["story"])
    page.get_by_role("button", name="The fog was thick.").click()
    page.get_by_text("coloured by how they drove this sentence").wait_for()
    assert page.locator(".prompt .u.sure").all_inner_texts() == ["foggy▲"]
    signs = page.locator(".prompt .u sup")
    assert [each for each in signs.all_inner_texts() if each] == ["▲"]  # those of the whole answer are gone
    assert "to this sentence" in (page.locator(".prompt .u.sure").get_attribute("aria-label") or "")
    page.get_by_role("button", name="The fog was thick.").click()
    assert page.locator(".prompt .u.sure").count() > 1
    assert len(signs.all_inner_texts()) == page.locator(".prompt .u.sure").count()


@pytest.mark.browser
def test_hostile_text_stays_text(viewer: Viewer, visit: Callable[..., Any]) -> None:
    address = next(each for where, each in links(viewer).items() if where.startswith("evil"))
    page = visit(viewer, f"{address}?unit=1")
    page.get_by_label("With and without a word").get_by_text("An answer with it").first.wait_for()
    assert page.title().startswith("Why this output?")
    assert page.locator("main img").count() == 0
    assert "⟨U+202E⟩" in page.locator("blockquote.output").inner_text()


def long_answers(answer: str) -> float:
    """A target of one's own."""
    return float(len(answer))


def test_a_target_of_ones_own_is_read_where_it_was_named_and_nowhere_else(
    serve: Callable[..., Viewer], tmp_path: Path
) -> None:
    name = f"py/{__name__}:long_answers"
    found = whygen.explain_prompt(teller, PROMPT, budget=40, target="tfidf", cache=None)
    found.save(tmp_path / "one")
    found.read(target=name).save(tmp_path / "strange")  # whose recipe names code: a folder could come from anybody
    refusing, reading = serve(tmp_path), serve(tmp_path, targets=[name])
    one, strange = links(refusing)["one"], links(refusing)["strange"]
    for path in (f"{one}?target={name}", f"{strange}?estimand=shapley"):
        assert "named when the viewer is started" in refusing.ask(path)[2].decode()
    text = reading.ask(f"{one}?target={name}")[2].decode()
    assert "named when the viewer" not in text
    assert f'<option value="{name}">' in text
    assert reading.ask(f"{one}/report.html?target={name}")[2].decode() == found.read(target=name).to_html()
    pair = f"/compare?pick={one.split('/')[-1]}&pick={strange.split('/')[-1]}"
    assert "only orders are compared" in refusing.ask(pair)[2].decode()


def never(texts: object) -> float:
    """Code that a folder of somebody else's names."""
    raise AssertionError("it was run")


def test_a_folder_brings_no_code_as_encoder_or_distance(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    name = f"py/{__name__}:never"
    found = whygen.explain_prompt(teller, PROMPT, budget=40, target="tfidf", cache=None)
    assert found.recipe is not None
    target = found.recipe.target
    recipes = {
        "encoder": found.recipe.model_copy(
            update={"encoder": name, "target": target.model_copy(update={"name": "cosine"})}
        ),
        "distance": found.recipe.model_copy(
            update={"target": target.model_copy(update={"name": "contrastive", "distance": name, "alternative": "no"})}
        ),
    }
    for which, recipe in recipes.items():
        found.model_copy(update={"recipe": recipe}).save(tmp_path / which)
    viewer = serve(tmp_path)
    encoder, distance = (links(viewer)[which] for which in ("encoder", "distance"))
    for path in (f"{encoder}?estimand=loo", f"{encoder}?target=cosine", f"{encoder}?target=optimal-transport"):
        assert "code that this viewer does not run" in html.unescape(viewer.ask(path)[2].decode())
    assert "named when the viewer is started" in html.unescape(viewer.ask(f"{distance}?estimand=loo")[2].decode())
    assert "does not run" not in viewer.ask(f"{encoder}?target=exact")[2].decode()  # which compares by no encoder
    assert json.loads(viewer.ask(f"{encoder}/sentences")[2])["sentences"]
    pair = f"/compare?pick={encoder.split('/')[-1]}&pick={distance.split('/')[-1]}"
    assert viewer.ask(pair)[0] == 200


def test_a_target_that_is_not_there_ends_the_viewer_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot be imported"):
        serving.serve([tmp_path], targets=["py/no_such_module:f"], browser=False, say=print)
