"""Runs of the bench without a browser: events, a stop, a fault in the middle, and going on without paying twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_models
import whygen
from unit.report.test_conversation_report import agent
from unit.report.test_conversation_report import explained as recorded_call
from viewers import Viewer
from whygen.errors import MissingError, UsageError, WhygenError
from whygen.media import films, pictures
from whygen.results import load
from whygen.types import Edit, Request
from whygen.web.bench_asked import Sources, askable
from whygen.web.bench_events import MOST, Events
from whygen.web.bench_forms import LONGEST_PROMPT, read_form
from whygen.web.bench_runs import MOST_AT_ONCE, LiveRun, Runs
from whygen.web.bench_shown import found as shown_of
from whygen.web.bench_shown import (
    prompt_without,
    recorded_without,
    rules_for,
    sentences,
    side_by_side,
    write_rule,
)
from whygen.web.state import State

PROMPT = "Tell a story about a fox in a harbor."
MODELS = tuple(f"py/bench_models:{name}" for name in ("steady", "gated", "fragile", "hostile"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runs, LiveRun]:
    """A run that is over, to be read. Its looks would be left out while the first one loads the estimators."""
    whygen.explain_prompt(bench_models.steady, PROMPT, target="tfidf", budget=24, cache=None)
    bench_models.reset()
    folder = tmp_path_factory.mktemp("done")
    runs = Runs(folder / "shelf", MODELS, store=folder / "calls.sqlite")
    return runs, finished(runs.begin(form(runs)))


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    bench_models.reset()
    found = Runs(tmp_path / "shelf", MODELS, store=tmp_path / "calls.sqlite")
    yield found
    bench_models.go.set()
    found.close()


def form(runs: Runs, name: str = "steady", **sent: Any) -> Any:
    return read_form(
        {"model": f"py/bench_models:{name}", "prompt": PROMPT, "target": "tfidf", "budget": 40, **sent}, runs.live
    )


def finished(run: LiveRun) -> LiveRun:
    assert run.thread is not None
    run.thread.join(180)
    assert run.over, run.status
    return run


def kinds(run: LiveRun) -> list[str]:
    return [event.kind for event in run.events.since(0)[0]]


def test_a_run_tells_what_happens_and_stands_on_the_shelf(done: tuple[Runs, LiveRun]) -> None:
    run = done[1]
    assert run.status == "done"
    told = kinds(run)
    assert told[0] == "asking"
    assert told[-1] == "over"
    assert told.count("calls") == 1  # only the newest is kept
    assert told.count("look") == 6
    events, over = run.events.since(0)
    assert over
    assert [event.number for event in events] == sorted({event.number for event in events})
    calls = next(event.data for event in events if event.kind == "calls")
    assert calls["made"] + calls["cached"] == run.found().calls.asked
    assert run.folder is not None
    assert load(run.folder).units == run.found().units
    assert (run.folder / "report.html").is_file()


def test_whoever_was_away_hears_the_rest_only(done: tuple[Runs, LiveRun]) -> None:
    run = done[1]
    events, _ = run.events.since(0)
    middle = events[len(events) // 2].number
    heard = asyncio.run(_heard(run.events, middle))
    assert [f"id: {event.number}\n" for event in events if event.number > middle] == [
        text[: text.index("\n") + 1] for text in heard
    ]
    assert asyncio.run(_heard(run.events, events[-1].number)) == []


async def _heard(events: Events, number: int) -> list[str]:
    return [text async for text in events.heard(number)]


def test_a_stop_keeps_what_was_answered_and_going_on_pays_for_the_rest_alone(runs: Runs) -> None:
    bench_models.go.clear()
    run = runs.begin(form(runs, "gated"))
    _until(lambda: "began" in kinds(run))
    run.watch.asked_to_stop.set()
    bench_models.go.set()
    finished(run)
    assert run.status == "stopped"
    before = sum(bench_models.asked.values())
    assert before < 20
    again = finished(runs.begin(form(runs, "gated")))
    assert again.status == "done"
    assert max(bench_models.asked[prompt] for prompt in bench_models.asked if prompt != PROMPT) == 1
    assert again.found().calls.cached >= before - 1
    assert again.found().calls.asked == 39


def test_a_fault_in_the_middle_is_told_without_the_key_and_mended_without_paying_twice(runs: Runs) -> None:
    bench_models.breaks_at.append(20)
    run = finished(runs.begin(form(runs, "fragile")))
    assert run.status in ("failed", "stopped")
    assert "the disk is full" in run.said
    assert "sk-aaaa" not in str(run.events.since(0))
    answered = sum(bench_models.asked.values())
    bench_models.breaks_at[:] = [10_000]
    again = finished(runs.begin(form(runs, "fragile")))
    assert again.status == "done"
    assert again.found().calls.cached >= 20
    assert max(count for prompt, count in bench_models.asked.items() if prompt != PROMPT) <= 2  # the one that failed
    assert sum(bench_models.asked.values()) - answered <= 39 - 20


def test_the_same_question_twice_at_once_is_one_run_and_too_many_are_refused(runs: Runs) -> None:
    bench_models.go.clear()
    first = runs.begin(form(runs, "gated", budget=16))
    assert runs.begin(form(runs, "gated", budget=16)) is first
    others = [runs.begin(form(runs, "gated", budget=16, seed=seed)) for seed in range(1, MOST_AT_ONCE)]
    with pytest.raises(UsageError, match="at once"):
        runs.begin(form(runs, "gated", seed=99))
    assert {run.status for run in others} == {"waiting"}  # one local model answers one run at a time
    bench_models.go.set()
    assert {finished(run).status for run in [first, *others]} == {"done"}


def test_a_run_stops_when_it_is_sure(runs: Runs) -> None:
    run = finished(runs.begin(form(runs, budget=120, width=0.4)))
    assert run.status == "done"
    assert run.found().stopped == "width"
    assert run.found().calls.asked < 119
    assert all((unit.high or 0.0) - (unit.low or 0.0) <= 0.4 for unit in run.found().units)


def test_an_unknown_run_and_one_under_way_say_so(runs: Runs) -> None:
    with pytest.raises(MissingError, match="does not know that run"):
        runs.get("nothing")
    bench_models.go.clear()
    run = runs.begin(form(runs, "gated"))
    with pytest.raises(MissingError, match="still under way"):
        run.found()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"model": "openai/gpt-4o"}, "asks only the models"),
        ({"prompt": "   "}, "no prompt yet"),
        ({"prompt": 7}, "must be a text"),
        ({"prompt": "x" * (LONGEST_PROMPT + 1)}, "at most"),
        ({"target": "py/os:getcwd"}, "target"),
        ({"units": "py/os:getcwd"}, "units"),
        ({"estimand": "none"}, "estimand"),
        ({"budget": 10**9}, "whole number from 1 to 2,000"),
        ({"budget": "many"}, "whole number"),
        ({"budget": True}, "whole number"),
        ({"temperature": float("nan")}, "a number"),
        ({"pin": "fox"}, "at most 20 texts"),
        ({"operator": "py/os:getcwd"}, "operator"),
        ({"target": "tfidf", "text": "fox"}, "takes no text"),
    ],
)
def test_a_form_out_of_bounds_is_refused_in_words(runs: Runs, sent: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        form(runs, **sent)


def test_a_budget_too_small_names_one_that_works(runs: Runs) -> None:
    with pytest.raises(UsageError, match="smallest budget that works is 11"):
        runs.begin(form(runs, budget=4))


def test_answers_without_a_word_are_beside_the_answer_and_asking_it_alone_is_recorded(
    done: tuple[Runs, LiveRun],
) -> None:
    runs, run = done
    found = run.found()
    fox = next(i for i, unit in enumerate(found.units) if unit.text == "fox")
    recorded = recorded_without(found, fox)
    assert recorded
    assert all("fox" not in each["prompt"] for each in recorded)
    own = [part["text"] for part in recorded[0]["with"] if part["own"]]
    assert any("fox" in text for text in own)
    prompt = prompt_without(found, fox, "")
    assert prompt == PROMPT.replace("fox ", "")
    answer, known = runs.ask(run, prompt)
    assert not known
    assert answer.text.startswith("A dog")
    assert runs.ask(run, prompt)[1]
    assert prompt_without(found, fox, "wolf") == PROMPT.replace("fox", "wolf")
    with pytest.raises(UsageError, match="no word number"):
        recorded_without(found, 99)


def test_each_sentence_has_its_own_words(done: tuple[Runs, LiveRun]) -> None:
    run = done[1]
    before = sum(bench_models.asked.values())
    matrix = sentences(run.found())
    assert sum(bench_models.asked.values()) == before
    shown = [piece["text"] for piece in matrix["pieces"] if piece["unit"] is not None]
    assert shown == ["A fox crept through the wet grass.", "The harbor was grey."]
    texts = [unit.text for unit in run.found().units]
    for column, cause in enumerate(("fox", "harbor")):
        values = [abs(row[column]) for row in matrix["values"]]
        assert texts[values.index(max(values))] == cause


def test_a_rule_is_written_once_and_holds(done: tuple[Runs, LiveRun]) -> None:
    run = done[1]
    found = run.found()
    fox = next(i for i, unit in enumerate(found.units) if unit.text == "fox")
    first, second = rules_for(found, fox)
    for rule in (first, second, first):
        assert write_rule(run, fox, rule)["verdict"] == "pass"
    assert run.folder is not None
    assert (run.folder / "rules.txt").read_text().splitlines() == [first, second]
    (run.folder / "rules.txt").write_text("# ours\n\nfidelity >= 0.0")  # by an editor that ends no last line
    write_rule(run, fox, first)
    assert (run.folder / "rules.txt").read_text() == f"# ours\n\nfidelity >= 0.0\n{first}\n"
    with pytest.raises(UsageError, match="none of the rules"):
        write_rule(run, fox, "drift from /etc <= 1")
    a = next(i for i, unit in enumerate(found.units) if unit.text == "a")
    assert rules_for(found, a)[0].startswith("unit 'a' #1")
    hidden = found.units[fox].model_copy(update={"text": "fo\u202ex"})  # it would turn the rule around on the page
    assert rules_for(found.model_copy(update={"units": (hidden,)}), 0) == []


def test_a_model_that_differs_from_itself_and_one_that_says_nothing_end_in_words(tmp_path: Path) -> None:
    live = ("planted/noisy", "planted/silent", "planted/broken")
    runs = Runs(tmp_path, live, store=None)
    sent = {"prompt": PROMPT, "target": "tfidf", "budget": 24, "temperature": 1.0}
    noisy, silent, broken = (finished(runs.begin(read_form(sent | {"model": uri}, live))) for uri in live)
    assert noisy.status == "done"
    assert silent.status == "done"
    assert broken.status == "failed"
    assert "broken on purpose" in broken.said


def test_events_are_bounded() -> None:
    events = Events()
    for number in range(10 * MOST):
        events.tell("look", number=number)
        events.tell("calls", instead=["calls"], made=number)
    kept, over = events.since(0)
    assert len(kept) == MOST
    assert not over
    assert kept[-1].data == {"made": 10 * MOST - 1}


def test_a_long_answer_is_cut_and_says_so() -> None:
    beside = side_by_side("word " * 5_000, "word " * 4_000)
    assert beside["cut"]
    assert not beside["same"]


def _until(held: Any) -> None:
    until = time.monotonic() + 20
    while not held():
        assert time.monotonic() < until
        time.sleep(0.01)


def finished_at(viewer: Viewer, known_as: str) -> dict[str, Any]:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        told = json.loads(viewer.ask(f"/bench/runs/{known_as}")[2])
        if told["status"] in ("done", "stopped", "failed"):
            return told
        time.sleep(0.05)
    raise AssertionError("the run is not over")


AGENT = "py/unit.report.test_conversation_report:agent"


def test_a_recorded_call_of_the_shelf_is_asked_again_part_by_part(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    chat = recorded_call().source()
    call = whygen.Call(chat=chat, answer=agent(Request(prompt=chat)), model="openai/gpt-x")
    whygen.explain_prompt(AGENT, call, budget=24, cache=None).save(tmp_path / "call")
    viewer = serve(tmp_path, live=[AGENT])
    (place,) = State((tmp_path,), "").look().places
    assert f"/bench?source={place.id}" in viewer.ask(f"/explanations/{place.id}")[2].decode()
    told = json.loads(viewer.ask(f"/bench/sources/{place.id}")[2])
    assert told["kind"] == "recorded call"
    assert "SEND it all" in told["text"]
    assert "\u202e" not in told["text"]
    form = {"model": AGENT, "source": place.id, "budget": 48}
    price = json.loads(viewer.ask("/bench/price", method="POST", body=form)[2])
    assert price["calls"] <= 48
    assert price["units"] == len(whygen.load(tmp_path / "call").units)
    begun = json.loads(viewer.ask("/bench/runs", method="POST", body=form)[2])
    assert begun["name"].startswith("tools: search")
    run = finished_at(viewer, begun["id"])
    assert run["status"] == "done", run["said"]
    assert run["found"]["headline"].startswith("The call of send_email comes from")
    accused = next(i for i, unit in enumerate(run["found"]["units"]) if unit["significant"])
    alone = json.loads(viewer.ask(f"/bench/runs/{begun['id']}/ask", method="POST", body={"unit": accused})[2])
    assert "SEND" not in alone["prompt"]
    assert not alone["same"]
    other = {"unit": accused, "put": '[{"text": "Nothing."}]'}
    assert (
        "Nothing." in json.loads(viewer.ask(f"/bench/runs/{begun['id']}/ask", method="POST", body=other)[2])["prompt"]
    )


@pytest.mark.parametrize("kind", ["chat", "template", "long text"])
def test_whatever_has_words_is_asked_again_from_the_shelf(runs: Runs, kind: str) -> None:
    sources = {
        "chat": whygen.Chat([whygen.Message("system", "A fox. Be kind."), whygen.Message("user", "In a harbor?")]),
        "template": whygen.Template("Tell of {what}. Be kind.", {"what": "a fox in a harbor"}),
        "long text": "A fox. A harbor. Be kind.",
    }
    found = whygen.explain_prompt(heard, sources[kind], target="tfidf", budget=24, cache=None)
    reads = Runs(runs.folder, (*MODELS, HEARD), Sources(lambda known_as: askable(found)), store=None)
    units = "sentence" if kind == "long text" else "part"
    asked = read_form({"model": HEARD, "source": "x", "target": "tfidf", "budget": 24, "units": units}, reads.live)
    run = finished(reads.begin(asked))
    assert run.status == "done", run.said
    assert [unit.text for unit in run.found().units]
    answer, _ = reads.ask(run, prompt_without(run.found(), 0, ""))
    assert answer.text
    with pytest.raises(MissingError, match="on this shelf"):
        runs.begin(asked.__class__(model=MODELS[0], prompt="", source="nowhere"))


def heard(request: Request) -> str:
    chat = request.prompt
    return bench_models.steady(chat if isinstance(chat, str) else " ".join(each.text for each in chat.messages))


HEARD = f"py/{__name__}:heard"


PAINTER = "py/bench_models:painter"
SCENE = pictures.picture_of(np.full((24, 24, 3), 200, dtype=np.uint8))


@pytest.mark.parametrize("units", ["word", "region"])
def test_an_edit_of_the_shelf_is_asked_again_with_its_picture(runs: Runs, units: str) -> None:
    given = Edit(SCENE, "make night now")
    found = whygen.explain_prompt(
        bench_models.painter, given, target="pixel", budget=12, model_noise="none", cache=None
    )
    reads = Runs(runs.folder, (PAINTER,), Sources(lambda known_as: askable(found)), store=None)
    asked = {"model": PAINTER, "kind": "edit", "picture": "x", "prompt": "make night now", "target": "pixel"}
    run = finished(reads.begin(read_form(asked | {"units": units, "budget": 24}, reads.live)))
    assert run.status == "done", run.said
    told = shown_of(run.found())
    assert told["picture"].startswith("data:image/png")
    (began,) = (event for event in run.events.since(0)[0] if event.kind == "began")
    assert began.data["picture"] == told["picture"]
    unit = 1 if units == "word" else 0
    beside = recorded_without(run.found(), unit)[0]
    assert beside["pictures"]["with"] == told["picture"]
    assert (beside["pictures"]["without"] == told["picture"]) == (units == "region")  # no night, or no change
    prompt = prompt_without(run.found(), unit, "")
    assert isinstance(prompt, Edit)
    assert (prompt.instruction == given.instruction) == (units == "region")
    answer, _ = reads.ask(run, prompt)
    assert answer.picture is not None
    with pytest.raises(UsageError, match="no sentences"):
        sentences(run.found())
    if units == "region":
        with pytest.raises(UsageError, match="no text in its place"):
            prompt_without(run.found(), unit, "a wall")
    else:
        assert prompt_without(run.found(), unit, "dawn").instruction == "make dawn now"  # type: ignore[union-attr]


def test_an_uploaded_picture_is_changed_and_what_is_none_is_refused(
    serve: Callable[..., Viewer], tmp_path: Path
) -> None:
    viewer = serve(tmp_path, live=[PAINTER])
    form = {"model": PAINTER, "kind": "edit", "prompt": "make night now", "target": "pixel", "budget": 24}
    assert "no picture yet" in json.loads(viewer.ask("/bench/price", method="POST", body=form)[2])["trouble"]
    status, _, said = viewer.ask("/bench/pictures", method="POST", body="no picture")
    assert (status, b"picture" in said) == (400, True)
    known_as = json.loads(viewer.ask("/bench/pictures", method="POST", body=SCENE.data)[2])["picture"]
    assert viewer.ask(f"/bench/pictures/{known_as}")[2] == SCENE.data
    begun = json.loads(viewer.ask("/bench/runs", method="POST", body=form | {"picture": known_as})[2])
    run = finished_at(viewer, begun["id"])
    assert run["found"]["headline"].startswith("\u201cnight\u201d")
    assert viewer.ask(run["shelf"])[0] == 200
    gone = json.loads(viewer.ask("/bench/price", method="POST", body=form | {"picture": "up-gone"})[2])
    assert "Choose it again" in gone["trouble"]


def test_a_template_is_asked_over_its_inputs_one_after_another(runs: Runs) -> None:
    asked = form(
        runs, kind="inputs", prompt="Tell of a fox. Be {mood} {where}.", budget=80,
        inputs='{"mood": "kind", "where": "in a harbor"}\n{"mood": "brief", "where": "at sea"}',
    )  # fmt: skip
    run = finished(runs.begin(asked))
    assert run.status == "done", run.said
    assert len(run.found().inputs) == 2
    assert not shown_of(run.found())["one"]
    (began,) = (event for event in run.events.since(0)[0] if event.kind == "began")
    assert (began.data["number"], began.data["of"]) == (2, 2)  # of earlier ones nothing is kept
    with pytest.raises(UsageError, match="many inputs"):
        prompt_without(run.found(), 0, "")
    assert rules_for(run.found(), 0)
    for wrong, said in (("", "no JSON|1 to 100"), ("[1, 2]", "list of texts"), ('{"mood": "kind"}', "where")):
        with pytest.raises(WhygenError, match=said):
            runs.begin(form(runs, kind="inputs", prompt="Be {mood} {where}.", inputs=wrong))


def test_many_prompts_have_a_line_each_and_a_page_of_all(serve: Callable[..., Viewer], tmp_path: Path) -> None:
    viewer = serve(tmp_path, live=MODELS)
    asked = {"model": MODELS[0], "kind": "each", "target": "tfidf", "budget": 24}
    prompts = "Tell of a fox in a wood.\n\nTell of a harbor at dawn.\n"
    price = json.loads(viewer.ask("/bench/price", method="POST", body=asked | {"prompt": prompts})[2])
    assert (price["units"], price["most"]) == (15, 48)  # the full stops are units
    begun = json.loads(viewer.ask("/bench/runs", method="POST", body=asked | {"prompt": prompts})[2])
    assert begun["name"].startswith("2 prompts: Tell of a fox")
    run = finished_at(viewer, begun["id"])
    assert run["found"] is None
    assert [line["prompt"] for line in run["many"]["lines"]] == prompts.split("\n")[::2]
    assert "fox" in run["many"]["lines"][0]["said"]
    for place in (run["shelf"], *(line["shelf"] for line in run["many"]["lines"])):
        assert viewer.ask(place)[0] == 200
    assert "on the shelf" in json.loads(viewer.ask(f"/bench/runs/{begun['id']}/sentences")[2])["error"]
    many = asked | {"prompt": "A fox.\n" * 101}
    assert "explain-many" in json.loads(viewer.ask("/bench/price", method="POST", body=many)[2])["trouble"]


def test_a_long_prompt_is_asked_level_by_level(runs: Runs) -> None:
    parts = [f"Paragraph {number} says nothing of note. It goes on." for number in range(450)]
    parts[300] = "Tell of a fox. It goes on."
    sent = {"prompt": "\n\n".join(parts), "budget": 150}
    with pytest.raises(UsageError, match="'levels'"):
        form(runs, **sent)
    run = finished(runs.begin(form(runs, units="levels", **sent)))
    assert run.status == "done", run.said
    assert run.found().tree is not None
    strongest = max(run.found().units, key=lambda unit: abs(unit.attribution))
    assert "fox" in strongest.text


def test_what_has_no_words_and_no_picture_is_not_asked_on_the_bench() -> None:
    given = Edit(films.video_of(np.zeros((4, 8, 8, 3), dtype=np.uint8), 4.0), "make night now")
    found = whygen.explain_prompt(lambda edit: edit.image, given, budget=12, model_noise="none", cache=None)
    with pytest.raises(UsageError, match="give the picture, sound or video again"):
        askable(found)
