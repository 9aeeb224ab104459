"""The gallery of an explanation by anchors: each anchor a dot, thresholds to move, any of them with its pictures."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from whygen.errors import UsageError, WhygenError
from whygen.evaluation.compare import compare
from whygen.report.texts import shorten, visible
from whygen.results import AnchorExplanation, TextAnchorExplanation
from whygen.results.anchors_files import table_csv
from whygen.results.anchors_words import headline
from whygen.results.files import read_document
from whygen.results.summary.texts import headline as texts_headline
from whygen.web.drawing import page
from whygen.web.gallery_data import Gallery
from whygen.web.gallery_texts import TextGallery
from whygen.web.state import Shelved, State, require_same

MOST_OPEN = 4
"""Galleries that are kept open."""
MOST_LISTED = 1_000_000
"""Anchors in a list that is saved."""
MOST_LOOKED_AT = 500
"""Explanations that are looked at for others by as many anchors."""


class ListWanted(BaseModel):
    """Anchors to write into a list, and what each is tagged with."""

    rows: list[int] = Field(max_length=MOST_LISTED)
    tags: dict[int, Annotated[str, Field(max_length=200)]] = Field(
        default_factory=dict[int, str], max_length=MOST_LISTED
    )


def router(state: State) -> APIRouter:
    """The pages and the data of the gallery."""
    room, opened = APIRouter(prefix="/gallery/{known_as}"), Opened(state)

    @room.get("")
    def gallery(known_as: str) -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI holds them
        found, place = opened.explanation(known_as), state.place(known_as)
        return page(
            "gallery.html.j2",
            title=f"Gallery: {found.model}",
            scripts=("gallery.js",),
            place=place,
            model=found.model,
            headline=texts_headline(found) if isinstance(found, TextAnchorExplanation) else headline(found),
            others=_others(state, place, found),
        )

    @room.get("/points")
    def points(known_as: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(opened.gallery(known_as).points(), media_type="application/octet-stream")

    @room.get("/shares")
    def shares(known_as: str, at: Annotated[list[str], Query()] = [], of: str = "") -> Response:  # noqa: B006  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(opened.gallery(known_as, of).shares(dict(map(_threshold, at))))

    @room.get("/anchors")
    def anchors(known_as: str, rows: str, near: bool = False, of: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            wanted = [int(row) for row in rows.split(",")]
        except ValueError:
            raise UsageError("rows= takes numbers of anchors with commas between them.") from None
        return JSONResponse(opened.gallery(known_as, of).items(wanted, near=near))

    @room.get("/beside/{other}")
    def beside(known_as: str, other: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(changes(opened.explanation(known_as), opened.explanation(other)))

    @room.post("/list")
    def listed(known_as: str, wanted: ListWanted, of: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        table = opened.gallery(known_as, of).listed(wanted.rows, wanted.tags)
        return Response(table_csv(table), media_type="text/csv; charset=utf-8")

    return room


def _others(
    state: State, place: Shelved, explanation: AnchorExplanation | TextAnchorExplanation
) -> list[Shelved]:  # fmt: skip
    """Explanations of as many anchors, which may be of the same ones: what the first could be laid beside."""
    of_texts = isinstance(explanation, TextAnchorExplanation)
    name, n = ("n_texts", explanation.n_texts) if of_texts else ("n_anchors", explanation.n_anchors)
    found: list[Shelved] = []
    for each in state.look().places[:MOST_LOOKED_AT]:
        with suppress(WhygenError, OSError):
            if each.id != place.id and read_document(each.file).get(name) == n:
                found.append(each)
    return found


def changes(
    first: AnchorExplanation | TextAnchorExplanation, second: AnchorExplanation | TextAnchorExplanation
) -> dict[str, Any]:
    """What changed from one model to another by the same anchors: the headline, and each anchor that changed.

    Raises:
        UsageError: if they are by different anchors, criteria or calibrations.
        MissingError: if one holds no scores.
    """
    found = compare(cast("AnchorExplanation", first), cast("AnchorExplanation", second))  # of one kind, or it says so
    return {
        "headline": visible(found.headline),
        "notes": [visible(note) for note in found.notes],
        "model": shorten(second.model, 60),
        "changed": [[each.index, each.change, each.p_value] for each in found.changed],
    }


def _threshold(text: str) -> tuple[str, float]:
    """``kld:22.5``; the name of a criterion may hold colons itself."""
    name, _, value = text.rpartition(":")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError("at= takes the name of a criterion and its threshold, such as kld:22.5.") from None


class Opened:
    """Galleries that were opened, the latest ones; one is opened again when its explanation has changed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._held: dict[str, Gallery | TextGallery] = {}
        self._lock = threading.Lock()

    def explanation(self, known_as: str) -> AnchorExplanation | TextAnchorExplanation:
        """The explanation with that id.

        Raises:
            UsageError: if it is not by anchors.
        """
        found = self._state.explanation(known_as)
        if not isinstance(found, AnchorExplanation | TextAnchorExplanation):
            raise UsageError("The gallery shows anchors, and this explanation has none. See its own page.")
        return found

    def gallery(self, known_as: str, of: str = "") -> Gallery | TextGallery:
        """The gallery of that explanation.

        Args:
            known_as: its id.
            of: of which anchors a page that is open shows numbers; any, unless given.

        Raises:
            UsageError: if others have been saved there since.
        """
        found = self.explanation(known_as)
        with self._lock:
            held = self._held.pop(known_as, None)
            if held is None or held.explanation is not found:
                held = TextGallery(found) if isinstance(found, TextAnchorExplanation) else Gallery.of(found)
            self._held[known_as] = held
            while len(self._held) > MOST_OPEN:
                del self._held[next(iter(self._held))]
        require_same(of, held.mark)
        return held
