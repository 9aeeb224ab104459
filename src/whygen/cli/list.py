"""`whygen list`: the names that options take, whygen's own and those of installed packages."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from whygen.cli import common
from whygen.cli.commands import OneCommand
from whygen.cli.names import KINDS, complete_kind, rows
from whygen.errors import UnknownNameError

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command("list", cls=OneCommand)
def names(
    kind: Annotated[
        str | None,
        typer.Argument(help=f"{', '.join(KINDS)}; all of them unless given.", autocompletion=complete_kind),
    ] = None,
    as_json: common.AsJson = False,
    debug: common.Debug = False,
) -> None:
    """List the names that options take: targets, units, operators, estimands, criteria, encoders."""
    del debug
    if kind is not None and kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    found = {each: list(rows(each)) for each in ([kind] if kind else KINDS)}
    if as_json:
        common.print_json({each: [_as_json(*row) for row in listed] for each, listed in found.items()})
        return
    table = Table("Kind", "Name", "What it is", box=None, header_style="bold")
    for each, listed in found.items():
        for name, whose, says in listed:
            table.add_row(each, escape(name), escape(says or f"from {whose}"))
    console = common.console_for_output()
    console.print(table)
    console.print("Your own code is py/package.module:callable, wherever one of these is taken.", style="dim")


def _as_json(name: str, whose: str, says: str) -> dict[str, str]:
    return {"name": name, "from": whose} | ({"says": says} if says else {})
