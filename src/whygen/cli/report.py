"""`whygen report DIR`: draw a saved explanation again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whygen.cli import common
from whygen.errors import UsageError
from whygen.results import AnchorExplanation, load
from whygen.results.summary import print_terminal, write_html


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The HTML file; DIR/report.html by default.")] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Of anchors that are pictures: a folder for FiftyOne, Spotlight or a spreadsheet, no report."
        ),
    ] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Write the HTML report of a saved explanation and print its summary."""
    del debug
    explanation = load(directory)
    if export is not None:
        if not isinstance(explanation, AnchorExplanation):
            raise UsageError(
                f"--export is for anchors that are pictures, and {str(directory)!r} explains something else."
            )
        explanation.to_fiftyone(export)
        if not quiet:
            common.say(f"Pictures and table: {export}")
        return
    target = out or (directory if directory.is_dir() else directory.parent) / "report.html"
    write_html(explanation, target)
    if as_json:
        common.print_json(explanation.to_dict())
    elif not quiet:
        print_terminal(explanation, common.console_for_output())
        common.say(f"Report: {target}")
