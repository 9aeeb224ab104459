"""A real server in a thread, and a real Chromium: what the tests of every room of the viewer share."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from viewers import TOKEN, Viewer
from whygen.web import serving
from whygen.web.app import application


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Viewer]]:
    """Start viewers on folders; all are stopped after the file's tests."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(folders: Path | Sequence[Path], *, live: Sequence[str] = (), targets: Sequence[str] = ()) -> Viewer:
        shown = [folders] if isinstance(folders, Path) else folders
        app = application(shown, token=TOKEN, live=live, targets=targets)
        listening = socket.create_server(("127.0.0.1", 0))
        server = serving.server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        running.append((server, thread))
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        return Viewer(f"http://127.0.0.1:{listening.getsockname()[1]}")

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of a viewer in a context of its own. Whatever it complains of fails the test at its end."""
    contexts: list[Any] = []
    said: list[str] = []

    def open_page(viewer: Viewer, path: str = "/", *, width: int = 1200, scheme: str = "light", **given: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **given)
        contexts.append(context)
        name, value = next(iter(viewer.cookie.items()))
        context.add_cookies([{"name": name, "value": value, "url": viewer.address}])
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((viewer.address, "data:", "blob:")) else said.append(request.url)
            ),
        )
        page.goto(viewer.address + path)
        return page

    open_page.said = said  # type: ignore[attr-defined]
    yield open_page
    for context in contexts:
        context.close()
    assert said == []
