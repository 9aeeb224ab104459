"""Two explanations side by side: of two prompts or models word by word, or of two models by the same anchors."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from whygen.errors import UsageError
from whygen.evaluation.compare import Comparison, UnitPair, compare
from whygen.report.colours import sign_of
from whygen.report.svg import axis_over
from whygen.report.texts import counted, decimals_for, listed, number, quoted, shorten, signed, visible
from whygen.results import AnchorExplanation, Explanation, PromptExplanation
from whygen.results.summary.compared import summarise_compared
from whygen.results.summary.outcomes import differing
from whygen.results.summary.passages import pieces
from whygen.results.summary.prompt import summarise_prompt
from whygen.results.summary.words import headline
from whygen.web.drawing import page
from whygen.web.state import Place, State

MOST_ROWS = 400
MOST_NAMED = 5


def router(state: State) -> APIRouter:
    """The page of two explanations."""
    room = APIRouter()

    @room.get("/compare")
    def compared(pick: Annotated[list[str] | None, Query()] = None) -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI holds it
        picked = pick or []
        if len(picked) != 2:
            raise UsageError(f"Two explanations are compared, and {len(picked)} were chosen: tick two on the shelf.")
        places = (state.place(picked[0]), state.place(picked[1]))
        return _page(places, state.explanation(picked[0]), state.explanation(picked[1]))

    return room


def _page(places: tuple[Place, Place], first: Explanation, second: Explanation) -> Response:
    if isinstance(first, PromptExplanation) and isinstance(second, PromptExplanation):
        return page("compare.html.j2", **_prompts(places, first, second))
    if isinstance(first, AnchorExplanation) and isinstance(second, AnchorExplanation):
        summary = summarise_compared(compare(first, second))
        return page("compared_anchors.html.j2", **summary, places=places)
    raise UsageError("Two of one kind are compared: two prompts, or two models by the same anchors.")


def _prompts(places: tuple[Place, Place], first: PromptExplanation, second: PromptExplanation) -> dict[str, Any]:
    """Everything that the page of two prompts shows."""
    found = compare(first, second)
    changed = _changed(found, first, second)
    rows = sorted(found.units, key=lambda row: (not row.changed, -abs(row.second - row.first)))
    decimals = decimals_for(max((abs(value) for row in rows for value in (row.first, row.second)), default=0.0))
    said = differing(first.reference.text, second.reference.text)
    limits = [value for row in rows[:MOST_ROWS] for value in (row.low, row.high) if value is not None]
    return {
        "title": "Two explanations compared",
        "verdict": _verdict(found),
        "notes": [visible(note) for note in found.notes],
        "settings": [(visible(name), visible(one), visible(other)) for name, (one, other) in found.settings.items()],
        "sides": [
            _side(place, one, flags, stretches)
            for place, one, flags, stretches in zip(places, (first, second), changed, said, strict=True)
        ],
        "rows": [_row(row, decimals) for row in rows[:MOST_ROWS]],
        "left_out": max(0, len(rows) - MOST_ROWS),
        "scale": axis_over(limits, include=[0.0]) if limits else None,
        "figures": _figures(found),
    }


def _changed(found: Comparison, first: PromptExplanation, second: PromptExplanation) -> tuple[list[bool], list[bool]]:
    """Of each unit of both, whether it changed or is in one alone: the i-th of a text stands for the i-th."""
    one, other = _counted(first), _counted(second)
    rows = iter(found.units)  # those in both, in the order of the first
    changed = {key: key not in other or next(rows).changed for key in one}
    return [changed[key] for key in one], [changed.get(key, True) for key in other]


def _counted(explanation: PromptExplanation) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    keys: list[tuple[str, int]] = []
    for unit in explanation.units:
        seen[unit.text] += 1
        keys.append((unit.text, seen[unit.text]))
    return keys


def _side(
    place: Place, explanation: PromptExplanation, changed: list[bool], said: list[dict[str, Any]]
) -> dict[str, Any]:
    units = summarise_prompt(explanation, beside=0)["units"]
    return {
        "id": place.id,
        "shown": place.shown,
        "model": visible(explanation.model),
        "headline": headline(explanation),
        "units": units,
        "pieces": pieces(explanation),
        "changed": changed,
        "said": said,
    }


def _row(row: UnitPair, decimals: int) -> dict[str, Any]:
    known = row.low is not None and row.high is not None
    # The middle of the interval, which is of one yardstick; the printed values may be of two references.
    middle = (row.low + row.high) / 2.0 if row.low is not None and row.high is not None else row.second - row.first
    return {
        "text": shorten(row.text, 60),
        "first": signed(row.first, decimals),
        "second": signed(row.second, decimals),
        "difference": middle,
        "difference_text": signed(middle, decimals) if known else "–",
        "low": row.low,
        "high": row.high,
        "interval": f"{signed(row.low, decimals)} to {signed(row.high, decimals)}" if known else "–",
        "sign": sign_of(middle),
        "changed": row.changed,
    }


def _verdict(found: Comparison) -> str:
    """What changed, in a sentence or two; no change is claimed where none could be measured."""
    told: list[str] = []
    if all(row.low is None for row in found.units):
        told.append("Whether a word changed cannot be told: the two do not measure by one yardstick.")
    elif found.changed:
        names = [quoted(row.text) for row in sorted(found.units, key=lambda r: -abs(r.second - r.first)) if row.changed]
        rest = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        verb = "drives" if len(names) == 1 else "drive"
        told.append(f"{listed([*names[:MOST_NAMED], *rest])} {verb} the two outputs differently.")
    else:
        none = f"None of the {counted(len(found.units), 'word')} in both drives the two outputs differently"
        told.append(f"{none}, as far as these answers tell.")
    for which, only in (("first", found.only_first), ("second", found.only_second)):
        if only:
            rest = [f"{len(only) - MOST_NAMED} more"] if len(only) > MOST_NAMED else []
            names = listed([*(quoted(text) for text in only[:MOST_NAMED]), *rest])
            told.append(f"{names} {'is' if len(only) == 1 else 'are'} in the {which} alone.")
    return " ".join(told)


def _figures(found: Comparison) -> list[tuple[str, str]]:
    correlation = "too few words" if found.rank_correlation is None else number(found.rank_correlation, 2)
    return [
        ("Order of the words alike (rank correlation)", correlation),
        (
            "Strongest words in common (Jaccard)",
            f"{number(found.jaccard[0], 2)}, by chance {number(found.jaccard[1], 2)}",
        ),
        ("Overlap of all attributions", f"{number(found.overlap[0], 2)}, by chance {number(found.overlap[1], 2)}"),
        ("Words that changed (5% false discoveries)", f"{found.changed} of {len(found.units)}"),
    ]
