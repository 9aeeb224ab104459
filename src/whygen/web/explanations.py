"""One explanation: its report in the viewer's frame, and what a click on a word or a sentence shows.

Everything is read from the saved answers; nothing here asks a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse, Response

from whygen.errors import FormatError, UsageError, WhygenError
from whygen.evaluation.result import DOCUMENT as EVALUATION
from whygen.evaluation.result import Evaluation
from whygen.prompt.edits import REGION
from whygen.prompt.estimands import ESTIMANDS
from whygen.prompt.targets import TARGETS, TIMED_TARGETS
from whygen.prompt.targets.media import PICTURE_TARGETS
from whygen.prompt.units import sentences
from whygen.report import html
from whygen.report.colours import FAINT, LEVELS, level_of, sign_of
from whygen.report.texts import clip, decimals_for, shorten, signed, visible
from whygen.results import Explanation, PromptExplanation
from whygen.results.files import DOCUMENT
from whygen.results.records import SentenceMatrix
from whygen.results.summary import summarise
from whygen.results.summary.evaluated import summarise_evaluation
from whygen.results.summary.outcomes import outcomes
from whygen.results.summary.prompt import MOST_REFERENCE, summarise_prompt
from whygen.types import Edit, Picture
from whygen.web.copying import Again, again, again_by_anchors
from whygen.web.documents import summary_of
from whygen.web.drawing import page
from whygen.web.state import ReadAs, Shelved, State, require_same

SHORT = 1_500
"""Characters of a prompt that an address holds."""
SENTENCES = "sentence"
PLAIN = "tfidf"
"""Reads sentences where the explanation's own target compares no texts: it needs no model."""


def router(state: State) -> APIRouter:
    """The pages and the data of one explanation."""
    room = APIRouter(prefix="/explanations/{known_as}")

    @room.get("")
    def shown(known_as: str, target: str = "", estimand: str = "") -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI holds them
        reading, place = ReadAs(target or None, estimand or None), state.place(known_as)
        if place.name != DOCUMENT:
            return HTMLResponse(_document(state, place))
        found, trouble = _read(state, known_as, reading)
        draw = partial(_page, found, trouble, place, reading, own=state.targets, live=bool(state.live))
        # Trouble may pass, with the document as it is: a page that tells of it is not kept.
        return HTMLResponse(draw() if trouble else state.kept("page", place, reading, draw))

    @room.get("/report.html")
    def report(known_as: str, target: str = "", estimand: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        reading, place = ReadAs(target or None, estimand or None), state.place(known_as)
        if place.name == DOCUMENT:
            # Damaged answers keep nobody from saving what the page shows.
            summary = summarise(state.read(known_as, reading) if reading else _read(state, known_as, reading)[0])
        else:
            summary = summary_of(place, state.place)
        file = HTMLResponse(html(summary).encode("utf-8", "replace"))
        file.headers["Content-Disposition"] = _saved_as(place.folder.name)
        return file

    @room.get("/evaluation")
    def evaluation(known_as: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        place = state.place(known_as)
        summary = summarise_evaluation(Evaluation.load(place.folder).to_dict())
        links = [("/", "← shelf"), (f"/explanations/{place.id}", "the explanation")]
        return page("inside.html.j2", **summary, report="evaluated.html.j2", links=links, path=place.shown)

    @room.get("/units/{number}")
    def unit(known_as: str, number: int, target: str = "", estimand: str = "", of: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        require_same(of, state.place(known_as).mark)
        found = state.read(known_as, ReadAs(target or None, estimand or None))
        return JSONResponse(beside(found, number))

    @room.get("/sentences")
    def of_sentences(known_as: str, target: str = "", estimand: str = "", of: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        require_same(of, state.place(known_as).mark)
        return JSONResponse(_sentences(state, known_as, target or None, estimand or None))

    return room


def _saved_as(folder: str) -> str:
    """A file named by its folder: letters of any script, and for browsers that know none but Latin ones, those."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", folder).strip(".-") or "report"  # what every system takes
    told = re.sub(r"[^\w.-]+", "-", folder.encode("utf-8", "replace").decode()).strip(".-") or "report"
    other = f"; filename*=UTF-8''{quote(told[:60])}.html" if told != plain else ""
    return f'attachment; filename="{plain[:80]}.html"{other}'


def _document(state: State, place: Shelved) -> bytes:
    """The page of what is no explanation. That of many prompts is drawn anew: any of them may have changed."""
    summary = summary_of(place, state.place)
    links = [("/", "← shelf"), (f"/explanations/{place.id}/report.html", "save as one file")]
    drawn = page("inside.html.j2", **summary, report=f"{summary['kind']}.html.j2", links=links, path=place.shown)
    return bytes(drawn.body)


def _page(
    found: Explanation, trouble: str, place: Shelved, reading: ReadAs, *, own: Sequence[str] = (), live: bool = False
) -> bytes:
    """The page of an explanation, as it is read."""
    # What a click shows is asked for when it is clicked.
    summary = summarise_prompt(found, beside=0) if isinstance(found, PromptExplanation) else summarise(found)
    told = {"target": reading.target or "", "estimand": reading.estimand or ""}
    drawn = page(
        "explanation.html.j2",
        **summary,
        report=f"{summary['kind']}.html.j2",
        scripts=("explanation.js", "copying.js") if isinstance(found, PromptExplanation) else ("copying.js",),
        place=place,
        evaluated=(place.folder / EVALUATION).is_file(),
        trouble=trouble,
        reading=reading,
        query="" if trouble or not reading else f"?{urlencode(told)}",
        choices=_choices(found, own),
        said=_said(found),
        clicks=isinstance(found, PromptExplanation) and outcomes(found) is not None,
        bench=_bench(found, place) if live else "",
        again=_again(found, place.folder),
    )
    return bytes(drawn.body)


def _again(found: Explanation, folder: Path) -> Again:
    return again(found, folder) if isinstance(found, PromptExplanation) else again_by_anchors(found)


def _bench(found: Explanation, place: Shelved) -> str:
    """Where it is asked again: a short text is put into the editor, anything else is looked up on the shelf."""
    if not isinstance(found, PromptExplanation) or found.inputs:
        return ""
    if found.recipe is not None and found.recipe.source == "edit":
        return _bench_of_edit(found, place)
    if found.chat is None and not found.sections and len(found.prompt) <= SHORT:
        return f"/bench?{urlencode({'prompt': found.prompt})}"
    return f"/bench?source={place.id}"


def _bench_of_edit(found: PromptExplanation, place: Shelved) -> str:
    """The same for an edit: its picture is named by the explanation, its instruction goes into the editor."""
    try:
        source = found.source()
    except UsageError:  # the picture was not kept
        return ""
    if not isinstance(source, Edit) or not isinstance(source.image, Picture):
        return ""
    units = {"units": REGION} if found.recipe is not None and found.recipe.units == REGION else {}
    return f"/bench?{urlencode({'kind': 'edit', 'picture': place.id, 'prompt': source.instruction, **units})}"


def _read(state: State, known_as: str, reading: ReadAs) -> tuple[Explanation, str]:
    """The explanation as it is to be read; where that cannot be, as much of it as can be shown, and why."""
    try:
        whole = state.explanation(known_as)
    except FormatError as error:
        return state.figures(known_as), f"The figures are shown without the answers. {error}"
    if not reading:
        return whole, ""
    try:
        return state.read(known_as, reading), ""
    except WhygenError as error:
        return whole, f"Shown as it was. {error}"


def _choices(found: Explanation, own: Sequence[str]) -> dict[str, list[str]] | None:
    """Names that the answers may be read by; None where nothing can be read again."""
    if not isinstance(found, PromptExplanation) or not _readable(found):
        return None
    evidence = found.evidence
    drawn = evidence is not None and evidence.pictures is not None and found.chat is None
    timed = evidence is not None and evidence.media is not None
    targets = TIMED_TARGETS if timed else PICTURE_TARGETS if drawn else TARGETS
    return {"targets": [*targets, *own], "estimands": list(ESTIMANDS)}


def _readable(found: PromptExplanation) -> bool:
    """Whether the answers were kept so that they can be read again: not over many inputs, nor level by level."""
    return found.evidence is not None and not found.inputs and found.tree is None


def _said(found: Explanation) -> list[dict[str, Any]]:
    """The reference in stretches, each with the number of its sentence; white space between them has None."""
    if not isinstance(found, PromptExplanation) or not (found.matrix or _readable(found)):
        return []
    text, _ = clip(found.reference.text, MOST_REFERENCE)
    parts: list[dict[str, Any]] = []
    place = 0
    for number, (start, end) in enumerate(sentences(found.reference.text)):
        if start >= len(text):
            break
        parts += [{"text": visible(text[place:start]), "sentence": None}] if place < start else []
        parts.append({"text": visible(text[start:end]), "sentence": number})
        place = end
    return [*parts, {"text": visible(text[place:]), "sentence": None}]


def beside(found: PromptExplanation, number: int) -> dict[str, Any]:
    """The figures of a unit, and an answer with it beside one without it.

    Raises:
        UsageError: if there is no such unit.
    """
    if not 0 <= number < len(found.units):
        raise UsageError(f"There is no unit {number}: the prompt has {len(found.units)}, numbered from 0.")
    unit = found.units[number]
    decimals = decimals_for(max(abs(each.attribution) for each in found.units))
    answers = outcomes(found)
    return {
        "unit": number,
        "name": shorten(unit.text, 200),
        "attribution": signed(unit.attribution, decimals),
        "interval": None
        if unit.low is None or unit.high is None
        else f"{signed(unit.low, decimals)} to {signed(unit.high, decimals)}",
        "sure": unit.significant is True,
        "beside": None if answers is None else answers.beside(number),
    }


def _sentences(state: State, known_as: str, target: str | None, estimand: str | None) -> dict[str, Any]:
    """How much each unit drove each sentence of the answer, by the explanation's own target where it compares texts."""
    try:
        found = state.read(known_as, ReadAs(target, estimand))
        if found.matrix is None:
            found = state.read(known_as, ReadAs(target, estimand, SENTENCES))
    except UsageError:
        if target == PLAIN:
            raise
        found = state.read(known_as, ReadAs(PLAIN, estimand, SENTENCES))
    if found.matrix is None:
        raise UsageError("The answers of this explanation cannot be read sentence by sentence.")
    return _cells(found.matrix)


def _cells(matrix: SentenceMatrix) -> dict[str, Any]:
    """Of each sentence, the sign, the step of colour, the figure and the surety of each unit."""
    values, sure = matrix.array(), matrix.sure()
    largest = float(abs(values).max(initial=0.0))
    decimals = decimals_for(largest)
    return {
        "by": visible(matrix.target.distance),
        "left_out": matrix.left_out,
        "sentences": [
            {
                "text": shorten(sentence.text, 120),
                "units": [
                    [
                        sign_of(value),
                        level_of(value, largest, most=LEVELS if certain else FAINT),
                        signed(value, decimals),
                        certain,
                    ]
                    for value, certain in zip(
                        values[:, column].round(decimals).tolist(), sure[:, column].tolist(), strict=True
                    )
                ],
            }
            for column, sentence in enumerate(matrix.sentences)
        ],
    }
