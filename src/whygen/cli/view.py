"""`whygen view [DIR ...]`: saved explanations in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from whygen.cli import common
from whygen.cli.names import complete_model
from whygen.errors import MissingExtraError


def view(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Folders to look through; this one unless given.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes the folder's usual one, or any free one.")] = 0,
    live: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="A model that the bench may ask.", autocompletion=complete_model),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET", help="A target of your own that answers may be read by: py/module:function."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")] = False,
    debug: common.Debug = False,
) -> None:
    """Show saved explanations in a browser: search, compare, look at the answers with and without a word."""
    del debug
    try:
        from whygen.web.serving import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("whygen"):
            raise
        raise MissingExtraError("whygen view", extra="view", package=error.name or "fastapi") from None
    serve(
        folders or [Path()], port=port, live=live or (), targets=target or (), browser=not no_browser, say=_printed
    )  # fmt: skip


def _printed(address: str) -> None:
    common.say("The viewer shows this computer's explanations to this computer alone. Stop it with Ctrl-C.")
    common.tell(address)
    sys.stdout.flush()  # whoever reads it through a pipe waits for it
