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
from whygen.media.pictures import picture_of, pixels
from whygen.prompt.units import Sent
from whygen.prompt.units import shown as shown_text
from whygen.records import Call
from whygen.report.texts import visible
from whygen.results.files import DOCUMENT
from whygen.results.many import INDEX
from whygen.types import Chat, Edit, Template
from whygen.web import bench_shown as shown
from whygen.web.bench_asked import LARGEST_PICTURE, Sources, askable, text_of
from whygen.web.bench_forms import (
    ESTIMANDS_TOLD,
    KINDS_TOLD,
    LONGEST_PROMPT,
    LONGEST_SOURCE,
    TAKES_TEXT,
    TARGETS_TOLD,
    UNITS_TOLD,
    read_form,
)
from whygen.web.bench_prices import quote, quote_one
from whygen.web.bench_runs import LiveRun, Runs
from whygen.web.drawing import page
from whygen.web.state import State, place_id

LARGEST_BODY: Final = 2**20
"""Bytes of a request that is no picture."""


def router(state: State) -> APIRouter:
    """The bench's page and its answers."""
    room = APIRouter()
    sources = Sources(lambda known_as: askable(state.explanation(known_as)))
    runs = Runs(folder=state.folders[0], live=state.live, sources=sources)
    state.on_close(runs.close)

    def show() -> Response:
        runs.warm()
        return page(
            "bench.html.j2",
            title="Bench",
            live=state.live,
            kinds=KINDS_TOLD,
            targets=TARGETS_TOLD,
            takes_text=TAKES_TEXT,
            units=UNITS_TOLD,
            estimands=ESTIMANDS_TOLD,
            longest=LONGEST_SOURCE,
            scripts=["bench.js"],
        )

    room.add_api_route("/bench", show, methods=["GET"])
    for path, answer in _posts(runs).items():
        room.add_api_route(path, answer, methods=["POST"])
    for path, found in _gets(runs).items():
        room.add_api_route(path, found, methods=["GET"])
    room.add_api_route("/bench/runs/{known_as}/events", _events(runs), methods=["GET"])
    room.add_api_route("/bench/pictures", _upload(sources), methods=["POST"])
    return room


def _posts(runs: Runs) -> dict[str, Callable[[Request], Awaitable[dict[str, Any]]]]:
    """What costs something or changes something, by its path."""
    sources = runs.sources

    def price(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        try:
            form = read_form(sent, runs.live)
            return quote(form, runs.model(form, foresee=True), sources.asked(form)).to_json()
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
        drawn = {"with": shown.reference_picture(run.found()), "without": shown.picture_of(answer)}
        return beside | {"pictures": drawn, "prompt": visible(shown_text(prompt)), "recorded": recorded}

    def ask_price(known_as: str, sent: dict[str, Any]) -> dict[str, Any]:
        run = runs.get(known_as)
        model, prompt = runs.model(run.form, foresee=True), _changed(run, sent)
        # A text goes back into the form, hidden characters included; a chat is only read.
        typed = prompt.instruction if isinstance(prompt, Edit) else prompt
        text = typed if isinstance(typed, str) else visible(shown_text(typed))
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


def _gets(runs: Runs) -> dict[str, Callable[..., dict[str, Any] | Response]]:
    """What is read, by its path; FastAPI runs each in a thread, and reads the arguments from the address."""

    def listed() -> dict[str, Any]:
        return {"runs": [run.to_json() for run in runs.newest()]}

    def one(known_as: str) -> dict[str, Any]:
        run = runs.get(known_as)
        found = None if run.explanation is None else shown.found(run.explanation)
        document = DOCUMENT if run.listed is None else INDEX
        shelf = None if run.folder is None else f"/explanations/{place_id(run.folder, document)}"
        many = None if run.listed is None or run.folder is None else shown.many(run.listed, run.folder)
        return run.to_json() | {"found": found, "many": many, "shelf": shelf}

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
        asked = runs.sources.shelf(known_as)
        kinds: dict[type, str] = {Call: "recorded call", Chat: "chat", Template: "template"}
        return {
            "kind": kinds.get(type(asked), "prompt"),
            "text": visible(text_of(asked)),
            "shelf": f"/explanations/{known_as}",
        }

    def picture(known_as: str) -> Response:
        # Written anew: a folder could come from anybody, and call any file a picture.
        given = picture_of(pixels(runs.sources.picture(known_as)))
        return Response(given.data, media_type=given.media_type)

    run = "/bench/runs/{known_as}"
    return {
        "/bench/sources/{known_as}": source,
        "/bench/pictures/{known_as}": picture,
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
    data = await _bytes(request, LARGEST_BODY)
    try:
        sent = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise UsageError("The bench takes a JSON object.")
    return cast("dict[str, Any]", sent)


async def _bytes(request: Request, most: int) -> bytes:
    """What was sent.

    Raises:
        UsageError: if it is too large.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise UsageError(f"The request is over {most // 1024:,} KiB, more than the bench takes.")
    return bytes(data)


def _upload(sources: Sources) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    async def upload(request: Request) -> dict[str, Any]:
        data = await _bytes(request, LARGEST_PICTURE)
        known_as, _ = await run_in_threadpool(sources.upload, data)
        return {"picture": known_as}

    return upload


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
