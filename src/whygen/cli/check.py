"""`whygen check DIR`: a gate for CI on a saved explanation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from whygen.cli import common
from whygen.evaluation.rules import FORMS, read_rules
from whygen.evaluation.rules import check as check_rules
from whygen.report.texts import shorten, visible
from whygen.results import load

FAILED = 1

_STYLES = {"pass": "green", "fail": "red", "unknown": "yellow"}


def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    *,
    rule: Annotated[list[str] | None, typer.Option(help=f"May be given again. One of: {'; '.join(FORMS)}.")] = None,
    rules: Annotated[Path | None, typer.Option(help="A file of rules: one a line, or TOML with rules = [...].")] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Hold a saved explanation against rules: exit code 0 if all pass, 1 if one fails or cannot be told, 2 for a rule
    that says nothing.
    """
    del debug
    wanted = [*(rule or []), *([] if rules is None else read_rules(rules))]
    checked = check_rules(load(directory), wanted)
    if as_json:
        common.print_json({"passed": all(one.verdict == "pass" for one in checked), "rules": [*map(asdict, checked)]})
    elif not quiet:
        table = Table("verdict", "rule", "seen", box=None)
        for one in checked:
            seen = Text(visible(shorten(one.observed, 80)))
            table.add_row(Text(one.verdict, style=_STYLES[one.verdict]), Text(visible(one.rule)), seen)
        common.console_for_output().print(table)
    if any(one.verdict != "pass" for one in checked):
        raise typer.Exit(FAILED)
