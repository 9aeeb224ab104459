"""`whygen compare DIR DIR`: what two saved explanations share, of a prompt or by the same anchors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer
from rich.table import Table
from rich.text import Text

from whygen.cli import common
from whygen.cli.options import option
from whygen.cli.outermost import say
from whygen.errors import UsageError
from whygen.evaluation.compare import Comparison, UnitPair
from whygen.evaluation.compare import compare as compare_two
from whygen.report import html
from whygen.report.texts import number, shorten, visible
from whygen.results import AnchorExplanation, PromptExplanation, TextAnchorExplanation, load
from whygen.results.anchors_compared import DOCUMENT, AnchorComparison, ChangedAnchor
from whygen.results.anchors_words import percent
from whygen.results.files import REPORT, document_bytes, make_folder, write_together
from whygen.results.summary.compared import points
from whygen.results.summary.evaluated import changes_verdict, summarise_changes
from whygen.texts import counted

MOST_ROWS = 20
"""So many changed anchors are listed; all are in the JSON."""


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that -o wrote.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="Another one.")],
    *,
    strongest: Annotated[int | None, typer.Option(help="How many strongest units are compared as sets.")] = None,
    out: Annotated[
        Path | None,
        option("Where to write", "--out", "-o", help="Folder for the comparison and its page."),
    ] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
) -> None:
    """Compare two saved explanations: of a prompt unit by unit, or of two models by the same samples."""
    del debug
    one, other = load(first), load(second)
    if not isinstance(one, PromptExplanation) and not isinstance(other, PromptExplanation):
        if strongest is not None:
            raise UsageError("--strongest counts units of prompts; a comparison of anchors has none. Leave it out.")
        if type(one) is type(other):
            _anchors(compare_two(cast("AnchorExplanation", one), cast("AnchorExplanation", other)),
                     out=out, as_json=as_json, quiet=quiet)  # fmt: skip
            return
    if isinstance(one, PromptExplanation) and isinstance(other, PromptExplanation):
        comparison = compare_two(one, other, strongest=strongest)
        if out is not None:
            _save(comparison, out, names=(str(first), str(second)))
        if as_json:
            common.print_json(comparison.to_dict())
        elif not quiet:
            _show(comparison)
            if out is not None:
                say(f"Report: {out / REPORT}")
        return
    said = [
        "a prompt" if isinstance(each, PromptExplanation)
        else "a model by texts" if isinstance(each, TextAnchorExplanation) else "a model by samples"
        for each in (one, other)
    ]  # fmt: skip
    raise UsageError(
        f"{str(first)!r} explains {said[0]}, and {str(second)!r} {said[1]}: compare two explanations of one kind."
    )


def _save(comparison: Comparison, out: Path, *, names: tuple[str, str]) -> None:
    """Write comparison.json and its page into a folder.

    Raises:
        StoreError: if it cannot be written.
    """
    document = comparison.to_dict() | {"names": list(names)}
    page = html(summarise_changes(document, names=names))
    parts = {REPORT: page.encode("utf-8", "replace"), DOCUMENT: document_bytes(document)}
    write_together(make_folder(out), parts, stale=(DOCUMENT, REPORT))


def _anchors(comparison: AnchorComparison, *, out: Path | None, as_json: bool, quiet: bool) -> None:
    if out is not None:
        comparison.save(out)
    if as_json:
        common.print_json(comparison.to_dict())
    elif not quiet:
        _show_anchors(comparison)
        if out is not None:
            say(f"Report: {out / REPORT}")


def _show_anchors(comparison: AnchorComparison) -> None:
    console = common.console_for_output()
    console.print(Text(visible(comparison.headline), style="bold"))
    for note in comparison.notes:
        console.print(Text(visible(note), style="yellow"))
    table = Table("group", "first", "second", "difference (points)", "95% interval", box=None)
    for row in comparison.groups:
        interval = f"{points(row.low)} to {points(row.high)}"
        table.add_row(row.group, percent(row.first), percent(row.second), points(row.difference), interval)
    console.print(table)
    table = Table("criterion", "first", "second", "difference", "95% interval", box=None)
    for each in comparison.criteria:
        figures = [number(value) for value in (each.first, each.second, each.difference)]
        table.add_row(Text(visible(each.criterion)), *figures, f"{number(each.low)} to {number(each.high)}")
    console.print(table)
    if comparison.changed:
        table = Table("anchor", "change", "groups", "p", box=None)
        for changed in comparison.changed[:MOST_ROWS]:
            groups = f"{changed.before} > {changed.after}"
            table.add_row(Text(visible(_named(changed))), changed.change, groups, f"{changed.p_value:.2g}")
        console.print(table)
    if (left := comparison.learned + comparison.forgotten + comparison.moved - MOST_ROWS) > 0:
        console.print(Text(f"{left:,} more changed; --json lists them, -o DIR shows them.", style="dim"))
    for name, (one, other) in comparison.settings.items():
        console.print(Text(f"{name}: {visible(one)} | {visible(other)}"))


def _named(changed: ChangedAnchor) -> str:
    name = f"anchor {changed.index}" if changed.name is None else shorten(changed.name, 40)
    return name if changed.label is None else f"{name}, label {changed.label}"


def _show(comparison: Comparison) -> None:
    console = common.console_for_output()
    console.print(Text(changes_verdict(comparison.to_dict()), style="bold"))
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
            f"{overlap[0]:.2f} (by chance {overlap[1]:.2f}); {counted(comparison.changed, 'unit')} changed (5% "
            "false discoveries)"
        )
    )
    for note in comparison.notes:
        console.print(Text(note, style="yellow"))


def _difference(row: UnitPair) -> str:
    if row.low is None or row.high is None:
        return ""
    return f"[{row.low:+.4f}, {row.high:+.4f}]" + (" *" if row.changed else "")
