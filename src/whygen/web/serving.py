"""Serving the viewer: a port of its own on the loopback address, until it is stopped."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import uvicorn
from fastapi import FastAPI

from whygen.errors import MissingError, UsageError
from whygen.models import ModelOptions, load_model, providers
from whygen.prompt.targets import load_target
from whygen.web.app import application
from whygen.web.drawing import warm
from whygen.web.security import new_token

HOST = "127.0.0.1"
GRACE = 5
"""Seconds that connections are waited for when the viewer stops."""


def open_folders(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The folders, each once, by their whole path.

    Raises:
        MissingError: if one is not there.
        UsageError: if one is a file, or cannot be looked into.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.exists():
            raise MissingError(
                f"There is no folder {str(folder)!r}. Name one that holds explanations, or none for here."
            )
        if not folder.is_dir():
            raise UsageError(f"{str(folder)!r} is a file. Name the folder that -o wrote, or one above it.")
        try:
            next(folder.iterdir(), None)
        except OSError as error:
            raise UsageError(f"{str(folder)!r} cannot be looked into ({error.strerror}).") from None
        found[folder.resolve()] = None
    return tuple(found)


def usual_port(folder: Path) -> int:
    """The port of a folder: a browser keeps tags by port, and an address of yesterday leads to the same page."""
    return 20_000 + int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:4]) % 10_000


def listen(port: int) -> socket.socket:
    """A socket on the loopback address alone; 0 takes any free port.

    Raises:
        UsageError: if the port is taken or not allowed.
    """
    # By its protocol asyncio knows a socket that must not wait: without it, the body of every answer comes 40 ms after
    # its head (Nagle's algorithm and a delayed acknowledgement).
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere it would let two servers share a port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"Port {port} cannot be used ({why}). Leave out --port, and a free one is taken.") from None
    return listening


def listen_for(folder: Path) -> socket.socket:
    """A socket at the usual port of a folder, or where that is taken at any free one."""
    try:
        return listen(usual_port(folder))
    except UsageError:
        return listen(0)


def serve(
    folders: Sequence[Path],
    *,
    port: int = 0,
    live: Sequence[str] = (),
    targets: Sequence[str] = (),
    browser: bool = True,
    say: Callable[[str], None],
) -> None:
    """Show explanations in a browser until the process is interrupted.

    Args:
        folders: what is shown.
        port: 0 for that of the first folder, or where it is taken any free one.
        live: models that may be asked.
        targets: targets of one's own that answers may be read by.
        browser: whether to open the page.
        say: takes the address, which holds the token.

    Raises:
        MissingError: if a folder is not there.
        UsageError: if a folder or the port cannot be used, or a model or a target is unknown.
    """
    places = open_folders(folders)
    for uri in live:
        if uri.partition("/")[0] not in providers():  # a service of that name, or a mistake that is told now
            load_model(uri, ModelOptions(purpose="foresee"))
    for name in targets:
        load_target(name)  # a mistake is told now
    listening = listen(port) if port else listen_for(places[0])
    token = new_token()
    address = f"http://{HOST}:{listening.getsockname()[1]}/?token={token}"
    app = application(places, token=token, live=live, targets=targets)
    say(address)
    threading.Thread(target=warm, name="viewer-warm", daemon=True).start()
    if browser:
        webbrowser.open(address)
    with listening:
        server(app).run([listening])


class _Server(uvicorn.Server):
    """Stops what the rooms have under way before it waits for connections: a page that hears a run hangs on to its."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(cast(FastAPI, self.config.app).state.viewer.close)
        await super().shutdown(sockets)


def server(app: FastAPI) -> uvicorn.Server:
    """What serves the viewer; it says nothing of itself, and on the terminal only what went wrong."""
    return _Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=GRACE,
        )
    )  # fmt: skip
