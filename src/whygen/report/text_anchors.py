"""What a terminal shows of an explanation by texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from whygen.report.texts import shorten

HUES = {
    "knows by heart": "magenta", "knows the kind": "green", "invents": "dark_orange", "does not know": "dodger_blue1",
    "cannot be told": "bright_black",
}  # fmt: skip
MOST_LABELS = 12
MOST_LISTED = 8
"""Texts of a group that are listed."""
ROOM = 60


def texts_terminal(summary: Mapping[str, Any]) -> RenderableType:
    """Headline, warnings, facts, groups, and the first texts of each group."""
    parts: list[RenderableType] = [Text(summary["headline"], style="bold")]
    parts += [
        Text.assemble(("! ", "bold yellow"), (f"{warning['code']}: ", "bold yellow"), warning["text"])
        for warning in summary["warnings"]
    ]
    parts += [
        Text(f"{fact['question']} {fact['figure']} {fact['caption']}. {fact['text']}") for fact in summary["facts"]
    ]
    parts += [Text(), _groups(summary)]
    if summary["memorised"]:
        parts += [Text(), roles_shown(summary["memorised"], untrained="baseline")]
    if labels := summary["labels"]:
        table = table_of("label", *labels["columns"])
        for row in labels["rows"][:MOST_LABELS]:
            table.add_row(Text(row["name"]), *(Text(cell) for cell in row["cells"]))
        parts += [Text(), table]
    for group in summary["groups"]:
        if group["texts"]:
            parts += [Text(), _listed(group)]
    return Group(*parts)


def roles_shown(found: Mapping[str, Any], untrained: str = "untrained") -> RenderableType:
    """Training against held-out anchors by each criterion, and the groups by role."""
    gaps = table_of("by", "gap (95%)", "AUROC (95%)", "p", untrained, "memorised, at least", "found")
    gaps.columns[0].no_wrap = True
    for column in gaps.columns[1:]:  # seven columns of intervals are wider than many a terminal
        column.no_wrap, column.overflow = False, "fold"
    for row in found["gaps"]:
        gaps.add_row(*(Text(row[name]) for name in ("name", "gap", "auroc", "p", "untrained", "memorised", "recall")))
    roles = table_of("role", "anchors", *found["columns"])
    for row in found["roles"]:
        roles.add_row(Text(row["name"]), Text(row["n"]), *(Text(cell) for cell in row["cells"]))
    return Group(*(Text(sentence) for sentence in found["said"]), *([gaps] if found["gaps"] else []), Text(), roles)


def table_of(*heads: str) -> Table:
    """A table without lines: names to the left, figures to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right", no_wrap=place > 0)
    return table


def _groups(summary: Mapping[str, Any]) -> RenderableType:
    table = table_of("the model ...", "texts", "share", "95% interval")
    for group in summary["groups"]:
        name = Text.assemble((group["name"], f"bold {HUES[group['name']]}"), (f"  {group['meaning']}", "dim"))
        table.add_row(name, Text(f"{group['count']:,}"), Text(group["share"]), Text(group["interval"]))
    return table


def _listed(group: Mapping[str, Any]) -> RenderableType:
    shown = group["texts"][:MOST_LISTED]
    table = table_of(group["name"], "nats a token", "contrast", "p", "q", "comes back")
    for text in shown:
        name = Text.assemble((f"{text['index']} ", "dim"), shorten(text["text"], ROOM))
        table.add_row(name, *(Text(text[each]) for each in ("nll", "contrast", "p", "q", "match")))
    more = group["count"] - len(shown)
    return Group(table, *([Text(f"{more:,} more", style="dim")] if more > 0 else []))
