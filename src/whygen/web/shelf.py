"""The shelf: every explanation below the folders, to search, to sort, and to lay side by side."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from whygen.report.texts import visible
from whygen.web.cards import NOT_SHOWN, Card, card_of
from whygen.web.drawing import page
from whygen.web.state import Shelved, State

LONGEST_READING = 2.5
"""Seconds that one page may spend on documents that were not read before; the others follow with the next."""
ORDERS: dict[str, tuple[str, Callable[[Card], Any], bool]] = {
    "date": ("newest first", lambda card: card.stamp[0], True),
    "oldest": ("oldest first", lambda card: card.stamp[0], False),
    "model": ("by model", lambda card: card.model.lower(), False),
    "headline": ("by headline", lambda card: card.headline.lower(), False),
    "calls": ("most calls", lambda card: -1 if card.calls is None else card.calls, True),
    "fidelity": ("best held-out R²", lambda card: -9.0 if card.fidelity is None else card.fidelity, True),
    "warnings": ("most warnings", lambda card: len(card.warnings), True),
    "path": ("by folder", lambda card: card.shown.lower(), False),
}
"""Orders by name: what a person reads, the key, and whether the largest comes first."""


def router(state: State) -> APIRouter:
    """The shelf's page."""
    room, cards = APIRouter(), Cards({})

    @room.get("/")
    def shelf(q: str = "", sort: str = "date", kind: str = "", first: str = "") -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI holds it
        found = state.look()
        read, waiting = cards.of(found.places)
        listed = [card for card in read if kind in ("", card.kind)]
        shown = {card.id for card in listed if _matches(card, q)}
        title, key, largest_first = ORDERS.get(sort, ORDERS["date"])
        return page(
            "shelf.html.j2",
            scripts=("shelf.js",),
            title=f"Explanations: {len(shown)} of {len(found.places)}",
            cards=sorted(sorted(listed, key=lambda card: card.shown), key=key, reverse=largest_first),
            matching=shown,  # the others are in the page, hidden: typing less brings them back
            total=len(found.places),
            lost=sum(card.kind == NOT_SHOWN for card in read),
            folder=visible(shlex.quote(str(state.folders[0]))),
            waiting=waiting,
            troubles=found.troubles,
            kinds=sorted({card.kind for card in read if card.kind}),
            orders={name: told for name, (told, _, _) in ORDERS.items()},
            asked={"q": q, "sort": sort if sort in ORDERS else "date", "kind": kind, "first": first},
            beside=next((card for card in read if card.id == first), None),
            ordered=title,
            live=state.live,
        )

    return room


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards that were read, by id. A thread that reads one twice does no harm: the dictionary holds the later one."""

    known: dict[str, Card]

    def of(self, places: Iterable[Shelved]) -> tuple[list[Card], int]:
        """The cards of the places, and how many there was no time for."""
        until = time.monotonic() + LONGEST_READING
        found: list[Card] = []
        waiting = 0
        for place in places:
            card = self.known.get(place.id)
            if card is None or not card.is_of(place):
                if time.monotonic() > until:
                    waiting += 1
                    continue
                card = self.known[place.id] = card_of(place)
            found.append(card)
        return found, waiting


def _matches(card: Card, asked: str) -> bool:
    """Whether every word stands somewhere in the card."""
    return all(word in card.searched for word in asked.lower().split())
