"""Two explanations side by side: of two prompts or models word by word, or of two models by the same anchors."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query
from starlette.responses import Response

from whygen.errors import UsageError
from whygen.evaluation.compare import Comparison, compare
from whygen.report.texts import visible
from whygen.results import AnchorExplanation, Explanation, PromptExplanation
from whygen.results.summary.compared import summarise_compared
from whygen.results.summary.evaluated import summarise_changes
from whygen.results.summary.outcomes import differing
from whygen.results.summary.passages import pieces
from whygen.results.summary.prompt import summarise_prompt
from whygen.results.summary.words import headline
from whygen.web.drawing import page
from whygen.web.state import Shelved, State


def router(state: State) -> APIRouter:
    """The page of two explanations."""
    room = APIRouter()

    @room.get("/compare")
    def compared(  # pyright: ignore[reportUnusedFunction] - FastAPI holds it
        pick: Annotated[list[str] | None, Query()] = None, order: Literal["saved", "given"] = "given"
    ) -> Response:
        picked = pick or []
        if len(picked) != 2:
            raise UsageError(f"Two explanations are compared, and {len(picked)} were chosen: tick two on the shelf.")
        one, other = state.place(picked[0]), state.place(picked[1])
        # What was ticked on the shelf has no order of its own: what changed is said from the older to the newer.
        places = (other, one) if order == "saved" and other.stamp() < one.stamp() else (one, other)
        return _page(places, _readable(state, places[0].id), _readable(state, places[1].id))

    return room


def _readable(state: State, known_as: str) -> Explanation:
    """The explanation; without its answers where only code that nobody named could read them: orders are left."""
    found = state.explanation(known_as)
    if isinstance(found, PromptExplanation) and found.recipe is not None:
        try:
            state.check_code(found)
        except UsageError:
            return found.model_copy(update={"evidence": None})
    return found


def _page(places: tuple[Shelved, Shelved], first: Explanation, second: Explanation) -> Response:
    if isinstance(first, PromptExplanation) and isinstance(second, PromptExplanation):
        found = compare(first, second)
        summary = summarise_changes(found.to_dict(), names=(places[0].shown, places[1].shown))
        return page("compare.html.j2", **summary, sides=_sides(places, (first, second), found))
    # By samples or by texts: of one kind, or it says so.
    summary = summarise_compared(compare(cast("AnchorExplanation", first), cast("AnchorExplanation", second)))
    first_of, second_of = places
    links = [
        ("/", "← shelf"),
        (f"/explanations/{first_of.id}", f"first: {first_of.shown}"),
        (f"/explanations/{second_of.id}", f"second: {second_of.shown}"),
        (f"?pick={second_of.id}&pick={first_of.id}", "swap"),
    ]
    return page("inside.html.j2", **summary, report="compared.html.j2", links=links, path="")


def _sides(
    places: tuple[Shelved, Shelved], pair: tuple[PromptExplanation, PromptExplanation], found: Comparison
) -> list[dict[str, Any]]:
    """Both prompts with their colours, and both answers with what only one of them says."""
    said = differing(pair[0].reference.text, pair[1].reference.text)
    return [
        {
            "id": place.id,
            "shown": place.shown,
            "model": visible(one.model),
            "headline": headline(one),
            "units": summarise_prompt(one, beside=0)["units"],
            "pieces": pieces(one),
            "changed": changed,
            "said": stretches,
        }
        for place, one, changed, stretches in zip(places, pair, changed_units(found, *pair), said, strict=True)
    ]


def changed_units(
    found: Comparison, first: PromptExplanation, second: PromptExplanation
) -> tuple[list[bool], list[bool]]:
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
