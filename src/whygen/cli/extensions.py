"""Commands that other packages add: entry points of the group ``whygen.commands``.

Each is a function that Typer can read, or a `typer.Typer` with commands of its own. It is loaded when it is called or
listed, so that an installed package costs a run nothing, and one that cannot be loaded costs nobody else anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import Any, cast

import typer

from whygen.errors import MissingError

GROUP = "whygen.commands"
KEPT_APART = {"reproduce": "whygen-experiments", "ratings": "whygen-experiments"}
"""Commands of this project that a distribution of its own brings."""


@cache
def _entries() -> dict[str, metadata.EntryPoint]:
    """The first by value of each name, so that the order of installation changes nothing."""
    found = sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.value, reverse=True)
    return {entry.name: entry for entry in found}


def names() -> list[str]:
    """All commands of other packages."""
    return sorted(_entries())


def command(name: str) -> Any:
    """The command of a name, as the parser takes it; None where no package has one.

    A command that cannot be loaded is one that says why: the list of commands shows it, and the others work.
    """
    entry = _entries().get(name)
    if entry is None:
        return _told(name, f"`whygen {name}` comes with the package {KEPT_APART[name]}, which is not installed. Run: "
                     f"pip install {KEPT_APART[name]}") if name in KEPT_APART else None  # fmt: skip
    try:
        return _read(name, entry.load())
    except (Exception, SystemExit) as error:  # a package of others, which may do anything
        why = f"{type(error).__name__}: {error}"
        return _told(name, f"The command {name!r} is installed ({entry.value}) and cannot be loaded: {why}.")


def _read(name: str, made: object) -> Any:
    app = made if isinstance(made, typer.Typer) else _holding(name, made)
    found = typer.main.get_command(app)
    found.name = name
    return found


def _holding(name: str, function: object) -> typer.Typer:
    if not callable(function):
        raise TypeError(f"it is a {type(function).__name__}, not a function or a typer.Typer")
    app = typer.Typer(add_completion=False)
    app.command(name)(cast(Callable[..., Any], function))
    return app


def _told(name: str, why: str) -> Any:
    """A command that takes whatever it is given, and says why it cannot run."""
    app = typer.Typer(add_completion=False)

    @app.command(
        name,
        help="Cannot be loaded: call it to see why.",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def tell() -> None:  # pyright: ignore[reportUnusedFunction] - Typer holds it
        raise MissingError(why)

    return typer.main.get_command(app)
