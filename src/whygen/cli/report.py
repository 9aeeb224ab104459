"""`whygen report DIR`: draw a saved explanation again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whygen.cli import common
from whygen.results import load
from whygen.results.summary import print_terminal, write_html


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The HTML file; DIR/report.html by default.")] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Write the HTML report of a saved explanation and print its summary."""
    del debug
    explanation = load(directory)
    target = out or (directory if directory.is_dir() else directory.parent) / "report.html"
    write_html(explanation, target)
    if as_json:
        common.print_json(explanation.to_dict())
    elif not quiet:
        print_terminal(explanation, common.console_for_output())
        common.say(f"Report: {target}")
