"""`whygen list`: the names that options take, whygen's own and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from whygen import plugins
from whygen.cli import common
from whygen.errors import UnknownNameError

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


def _targets() -> Iterable[str]:
    from whygen.prompt.targets import OWN

    return OWN


def _named(option: str) -> Iterable[str]:
    """The names that an option of a prompt declares."""
    from whygen._arguments import declared, names_of
    from whygen.prompt.options import PromptOptions

    return names_of(declared(PromptOptions)[option].hint)


def _criteria() -> Iterable[str]:
    from whygen.anchors.choosing import CRITERIA

    return ["auto", *CRITERIA]


def _encoders() -> Iterable[str]:
    from whygen.encoders import OWN

    return OWN


def _units_told() -> Mapping[str, str]:
    from whygen.prompt.units import UNIT_KINDS

    return UNIT_KINDS


KINDS: Mapping[str, Callable[[], Iterable[str]]] = {
    "targets": _targets, "units": partial(_named, "units"), "operators": partial(_named, "operator"),
    "estimands": partial(_named, "estimand"), "criteria": _criteria, "encoders": _encoders,
}  # fmt: skip
"""What can be listed, each with whygen's own names; other packages bring theirs by the entry point group."""

TOLD: Mapping[str, Callable[[], Mapping[str, str]]] = {"units": _units_told}
"""Kinds of names that say what each of them is."""


@app.command("list")
def names(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)}; all of them unless given.")] = None,
    as_json: common.AsJson = False,
    debug: common.Debug = False,
) -> None:
    """List the names that options take: targets, units, operators, estimands, criteria, encoders."""
    del debug
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    found = {each: _rows(each) for each in ([kind] if kind else KINDS)}
    if as_json:
        common.print_json({each: [_as_json(each, *row) for row in rows] for each, rows in found.items()})
        return
    told = TOLD[kind]() if kind is not None and kind in TOLD else None
    table = Table("Kind", "Name", "From", *(["What it is"] if told else []), box=None, header_style="bold")
    for each, rows in found.items():
        for name, whose in rows:
            table.add_row(each, escape(name), escape(whose), *([escape(told.get(name, ""))] if told else []))
    console = common.console_for_output()
    console.print(table)
    console.print("Your own code is py/package.module:callable, wherever one of these is taken.", style="dim")


def _as_json(kind: str, name: str, whose: str) -> dict[str, str]:
    says = TOLD[kind]().get(name) if kind in TOLD else None
    return {"name": name, "from": whose} | ({} if says is None else {"says": says})


def _rows(kind: str) -> list[tuple[str, str]]:
    """Names of a kind, and who brings each."""
    own = dict.fromkeys(KINDS[kind]())
    others = plugins.entries(f"whygen.{kind}", own)
    return [*((name, "whygen") for name in own), *((name, each.package or each.value) for name, each in others.items())]
