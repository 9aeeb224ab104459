"""The viewer put together: its rooms, its files, what it answers when something goes wrong, and who may ask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from whygen.errors import FormatError, MissingError, UsageError, WhygenError
from whygen.report.html import style_sheet
from whygen.report.texts import shorten
from whygen.web import bench, comparing, explanations, gallery, shelf
from whygen.web.drawing import trouble
from whygen.web.security import Guard
from whygen.web.state import State

STATIC = Path(__file__).parent / "static"
ROOMS = (shelf, explanations, comparing, bench, gallery)
"""Modules with ``router(state)``; each serves the pages of a room."""
_STATUS = {MissingError: 404, FormatError: 422, UsageError: 400}


def application(
    folders: Sequence[Path], *, token: str, live: Sequence[str] = (), targets: Sequence[str] = ()
) -> FastAPI:
    """The viewer as an ASGI application.

    Args:
        folders: every explanation below them is shown, and nothing else of this computer.
        token: who shows it is let in; `whygen.web.security.new_token` makes one.
        live: URIs of the models that may be asked; none unless named.
        targets: targets that may be read by beside whygen's own, such as ``py/module:callable``.
    """
    state = State(folders=tuple(folders), token=token, live=tuple(live), targets=tuple(targets))
    # The pages that FastAPI makes of an interface load scripts from elsewhere; and nothing is told to anybody, whatever
    # the environment says of telemetry.
    app = FastAPI(
        title="whygen view",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.viewer = state
    for room in ROOMS:
        app.include_router(room.router(state))
    app.add_api_route("/static/report.css", _style, methods=["GET"])
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(WhygenError, _refused)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(RequestValidationError, _unread)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, token=token)
    # FastAPI puts the routes of a room together when first asked, and silences pydantic meanwhile, which does not hold
    # beside another thread that sets warnings. So that is done before anything runs.
    app.openapi()
    return app


def _style() -> Response:
    return Response(style_sheet(), media_type="text/css")


async def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return trouble(request, str(error), status=status)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it was registered for
    text = "There is no such page in this viewer." if error.status_code == 404 else error.detail
    return trouble(request, text, status=error.status_code)


async def _unread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it was registered for
    wrong = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return trouble(request, f"This address, or what was sent to it, cannot be read: {shorten(wrong, 300)}.", status=422)


async def _failed(request: Request, error: Exception) -> Response:
    text = f"This page failed in a way that whygen did not foresee ({type(error).__name__}). The terminal shows where."
    return trouble(request, text, status=500)
