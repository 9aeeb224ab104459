"""`whygen compare DIR DIR`: what two saved explanations of a prompt share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from whygen.cli import common
from whygen.errors import UsageError
from whygen.evaluation.compare import Comparison, UnitPair
from whygen.evaluation.compare import compare as compare_two
from whygen.report.texts import shorten, visible
from whygen.results import PromptExplanation, load


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="Another one.")],
    *,
    strongest: Annotated[int | None, typer.Option(help="How many strongest units are compared as sets.")] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Compare two saved explanations unit by unit."""
    del debug
    comparison = compare_two(_prompt_explanation(first), _prompt_explanation(second), strongest=strongest)
    if as_json:
        common.print_json(comparison.to_dict())
    elif not quiet:
        _show(comparison)


def _prompt_explanation(place: Path) -> PromptExplanation:
    explanation = load(place)
    if not isinstance(explanation, PromptExplanation):
        raise UsageError(f"{str(place)!r} explains anchors: compare takes two explanations of prompts.")
    return explanation


def _show(comparison: Comparison) -> None:
    console = common.console_for_output()
    table = Table("unit", "first", "second", "difference", box=None)
    for row in comparison.units:
        table.add_row(Text(visible(shorten(row.text, 40))), f"{row.first:+.4f}", f"{row.second:+.4f}", _difference(row))
    console.print(table)
    for name, (one, other) in comparison.settings.items():
        console.print(Text(f"{name}: {visible(one)} | {visible(other)}"))
    for label, units in (("first", comparison.only_first), ("second", comparison.only_second)):
        if units:
            console.print(Text(f"only in the {label}: {', '.join(visible(unit) for unit in units)}"))
    correlation = "none" if comparison.rank_correlation is None else f"{comparison.rank_correlation:.2f}"
    jaccard, overlap = comparison.jaccard, comparison.overlap
    console.print(
        Text(
            f"rank correlation {correlation}; strongest units {jaccard[0]:.2f} (by chance {jaccard[1]:.2f}); overlap "
            f"{overlap[0]:.2f} (by chance {overlap[1]:.2f}); {comparison.changed} units changed (5% false discoveries)"
        )
    )
    for note in comparison.notes:
        console.print(Text(note, style="yellow"))


def _difference(row: UnitPair) -> str:
    if row.low is None or row.high is None:
        return ""
    return f"[{row.low:+.4f}, {row.high:+.4f}]" + (" *" if row.changed else "")
