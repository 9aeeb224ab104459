"""The bench's page, and what its scripts ask: prices, runs, what is found, words, sentences, comparisons, rules."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from whygen.errors import UsageError, WhygenError
from whygen.evaluation.compare import compare
from whygen.prompt.units import Sent
from whygen.prompt.units import shown as shown_text
from whygen.records import Call
from whygen.report.texts import visible
from whygen.results import Explanation, PromptExplanation
from whygen.types import Chat, Edit, Source, Template
from whygen.web import bench_shown as shown
from whygen.web.bench_forms import ESTIMANDS_TOLD, LONGEST_PROMPT, TAKES_TEXT, TARGETS_TOLD, UNITS_TOLD, read_form
from whygen.web.bench_prices import quote, quote_one
from whygen.web.bench_runs import LiveRun, Runs, text_of
from whygen.web.drawing import page
from whygen.web.state import State, place_id

LONGEST_SOURCE: Final = 100_000
"""Characters of what is asked again from the shelf."""
LARGEST_BODY: Final = 256 * 1024
"""Bytes of a request."""


def router(state: State) -> APIRouter:
    """The bench's page and its answers."""
    room = APIRouter()
    runs = Runs(folder=state.folders[0], live=state.live, shelf=lambda known_as: askable(state.explanation(known_as)))
    state.on_close(runs.close)

    def show() -> Response:
        runs.warm()
        return page(
            "bench.html.j2",
            title="Bench",
            live=state.live,
            targets=TARGETS_TOLD,
            takes_text=TAKES_TEXT,
            units=UNITS_TOLD,
            estimands=ESTIMANDS_TOLD,
            longest=LONGEST_PROMPT,
            scripts=["bench.js"],
        )

    room.add_api_route("/bench", show, methods=["GET"])
    for path, answer in _posts(runs).items():
        room.add_api_route(path, answer, methods=["POST"])
    for path, found in _gets(runs).items():
        room.add_api_route(path, found, methods=["GET"])
    room.add_api_route("/bench/runs/{known_as}/events", _events(runs), methods=["GET"])
    return room


def askable(found: Explanation) -> Source | Call:
    """What an explanation of the shelf explained, if the bench can ask it again.

    Raises:
        UsageError: if it cannot; the message says what can.
    """
    source = found.source() if isinstance(found, PromptExplanation) else None
    if source is None or isinstance(source, Edit):
        raise UsageError(
            "The bench asks texts, chats, templates and recorded calls again. What changes a picture is explained by "
            "`whygen edit`, and a model's anchors by `whygen anchors`."
        )
    if len(text_of(source)) > LONGEST_SOURCE:
        raise UsageError(
            f"It has over {LONGEST_SOURCE:,} characters. Long prompts have levels: `whygen prompt --hierarchy`."
        )
    return source


def _posts(runs: Runs) -> dict[str, Callable[[Request], Awaitable[dict[str, Any]]]]:
    """What costs something or changes something, by its path."""

    def price(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        try:
            form = read_form(sent, runs.live)
            return quote(form, runs.model(form.model, foresee=True), runs.asked(form)).to_json()
        except WhygenError as error:  # a form that is half typed is nothing that went wrong
            return {"trouble": visible(str(error))}

    def begin(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        return runs.begin(read_form(sent, runs.live)).to_json()

    def stop(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        run = runs.get(known_as)
        run.watch.asked_to_stop.set()
        return run.to_json()

    def ask(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        run = runs.get(known_as)
        prompt = _changed(run, sent)
        answer, recorded = runs.ask(run, prompt)
        beside = shown.side_by_side(run.found().reference.text, answer.said)
        return beside | {"prompt": visible(shown_text(prompt)), "recorded": recorded}

    def ask_price(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        run = runs.get(known_as)
        model, prompt = runs.model(run.form.model, foresee=True), _changed(run, sent)
        # A text goes back into the form, hidden characters included; a chat is only read.
        text = prompt if isinstance(prompt, str) else visible(shown_text(prompt))
        return quote_one(prompt, model, run.settings).to_json() | {"prompt": text}

    def rule(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        return shown.write_rule(runs.get(known_as), _unit(sent), str(sent.get("rule", "")))

    run = "/bench/runs/{known_as}"
    return {
        "/bench/price": _posted(price),
        "/bench/runs": _posted(begin),
        f"{run}/stop": _posted(stop),
        f"{run}/ask": _posted(ask),
        f"{run}/ask/price": _posted(ask_price),
        f"{run}/rule": _posted(rule),
    }


def _gets(runs: Runs) -> dict[str, Callable[..., dict[str, Any]]]:
    """What is read, by its path; FastAPI runs each in a thread, and reads the arguments from the address."""

    def listed() -> dict[str, Any]:
        return {"runs": [run.to_json() for run in runs.newest()]}

    def one(known_as: str) -> dict[str, Any]:
        run = runs.get(known_as)
        found = None if run.explanation is None else shown.found(run.explanation)
        shelf = None if run.folder is None else f"/explanations/{place_id(run.folder)}"
        return run.to_json() | {"found": found, "shelf": shelf}

    def word(known_as: str, unit: int) -> dict[str, Any]:
        found = runs.get(known_as).found()
        return {"recorded": shown.recorded_without(found, unit), "rules": shown.rules_for(found, unit)}

    def sentences(known_as: str) -> dict[str, Any]:
        found = runs.get(known_as).found()
        try:
            return shown.sentences(found)
        except WhygenError as error:  # such as an empty answer
            return {"trouble": visible(str(error))}

    def beside(first: str, second: str) -> dict[str, Any]:
        return shown.compared(compare(runs.get(first).found(), runs.get(second).found()))

    def source(known_as: str) -> dict[str, Any]:
        asked = runs.shelf(known_as)
        kinds: dict[type, str] = {Call: "recorded call", Chat: "chat", Template: "template"}
        return {
            "kind": kinds.get(type(asked), "prompt"),
            "text": visible(text_of(asked)),
            "shelf": f"/explanations/{known_as}",
        }

    run = "/bench/runs/{known_as}"
    return {
        "/bench/sources/{known_as}": source,
        "/bench/runs": listed,
        run: one,
        f"{run}/words/{{unit}}": word,
        f"{run}/sentences": sentences,
        "/bench/compare": beside,
    }


def _posted(answer: Callable[[str, dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    """A handler that reads JSON of bounded size, and answers in a thread."""

    async def handle(request: Request) -> dict[str, Any]:
        sent = await _body(request)
        return await run_in_threadpool(answer, request.path_params.get("known_as", ""), sent)

    return handle


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        UsageError: if it is none, or too large.
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_BODY:
            raise UsageError(f"The request is over {LARGEST_BODY // 1024} KiB, more than the bench takes.")
    try:
        sent = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise UsageError("The bench takes a JSON object.")
    return cast("dict[str, Any]", sent)


def _events(runs: Runs) -> Callable[[Request, str], Awaitable[Response]]:
    async def events(request: Request, known_as: str) -> Response:
        run = runs.get(known_as)
        heard = request.headers.get("last-event-id", "")
        number = int(heard) if heard.isascii() and heard.isdigit() and len(heard) < 12 else 0
        told, over = run.events.since(number)
        if over and not told:  # 204 tells a browser not to come again
            return Response(status_code=204)
        if run.events.crowded:
            raise UsageError("Too many pages watch this run. Close one of them.")
        return StreamingResponse(run.events.heard(number), media_type="text/event-stream")

    return events


def _unit(sent: dict[str, Any]) -> int:
    unit = sent.get("unit")
    if not isinstance(unit, int) or isinstance(unit, bool):
        raise UsageError("unit must be the number of a word, from 0.")
    return unit


def _changed(run: LiveRun, sent: dict[str, Any]) -> Sent:
    """The run's prompt without a word, or with another text in its place."""
    put = sent.get("put", "")
    if not isinstance(put, str) or len(put) > LONGEST_PROMPT:
        raise UsageError(f"put must be a text of at most {LONGEST_PROMPT:,} characters.")
    return shown.prompt_without(run.found(), _unit(sent), put)
