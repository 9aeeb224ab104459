"""The shelf: every explanation below the folders, to search, to sort, and to lay side by side."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from whygen.web.drawing import page
from whygen.web.state import State


def router(state: State) -> APIRouter:
    """The shelf's pages."""
    room = APIRouter()

    @room.get("/")
    def shelf() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI holds it
        found = state.look()
        return page("shelf.html.j2", title="Shelf", found=found, live=state.live)

    return room
