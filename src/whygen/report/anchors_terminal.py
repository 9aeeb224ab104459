"""The summary of an anchor explanation for a terminal, as rich renderables. Text of others is never read as markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

HUES = {"HIHE": "green", "HILE": "dark_orange", "LIHE": "dodger_blue1", "LILE": "bright_black", "BELOW": "magenta"}
MOST_LABELS = 20


def anchors_terminal(summary: Mapping[str, Any]) -> RenderableType:
    """What a terminal shows of the summary of an anchor explanation."""
    parts: list[RenderableType] = [Text(summary["headline"], style="bold")]
    parts += [
        Text.assemble(("! ", "bold yellow"), (f"{warning['code']}: ", "bold yellow"), warning["text"])
        for warning in (*summary["warnings"], *summary["remarks"])
    ]
    parts += [
        Text(f"{fact['question']} {fact['figure']} ({fact['caption']}). {fact['text']}") for fact in summary["facts"]
    ]
    parts += [Text(), _groups(summary), Text(), _thresholds(summary)]
    if summary["power"]:
        parts += [Text(), _power(summary["power"])]
    if summary["calibrations"]:
        parts += [Text(), _calibrations(summary["calibrations"])]
    if summary["labels"]:
        parts += [Text(), _labels(summary["labels"])]
    if summary["readings"]:
        parts += [Text(), Text(summary["readings"]["said"])]
    if summary["coverage"]:
        parts += [Text(), *(Text(sentence, style="dim") for sentence in summary["coverage"]["said"])]
    return Group(*parts)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right", no_wrap=place > 0)
    return table


def _groups(summary: Mapping[str, Any]) -> RenderableType:
    table = _table("group", "anchors", "share", "95% interval", *summary["controls"])
    for group in summary["groups"]:
        name = Text.assemble((group["name"], f"bold {HUES[group['name']]}"), (f"  {group['meaning']}", "dim"))
        figures = (f"{group['count']:,}", group["share"], group["interval"], *group["controls"])
        table.add_row(name, *(Text(figure) for figure in figures))
    picks = [
        Text.assemble((f"{group['name']} ", HUES[group["name"]]), ", ".join(str(index) for index in group["selected"]))
        for group in summary["groups"]
        if group["selected"]
    ]
    return Group(
        table, Text(), Text("Representatives (numbers of anchors)", style="dim"), Padding(Group(*picks), (0, 2))
    )


def _thresholds(summary: Mapping[str, Any]) -> RenderableType:
    table = _table("criterion", "kind", "high where", "spread")
    for row in summary["thresholds"]:
        table.add_row(*(Text(row[name]) for name in ("name", "kind", "value", "spread")))
    notes = [*summary["notes"], *filter(None, (summary["below"], summary["likeness"]))]
    return Group(table, *(Text(note, style="dim") for note in notes))


def _power(power: Mapping[str, Any]) -> RenderableType:
    """How many of each foil are called HIHE, and the AUROC of the reference against it by each criterion."""
    table = _table("what is not the reference", "n", "called HIHE", *power["criteria"], "size")
    for row in power["rows"]:
        cells = [Text(cell["text"] if cell["tells"] else f"{cell['text']} x") for cell in row["cells"]]
        table.add_row(Text(row["name"]), Text(row["n"]), Text(row["alike"]), *cells, Text(row["size"]))
    return Group(table, Text("AUROC under each criterion; x: does not tell them apart", style="dim"))


def _calibrations(found: Mapping[str, Any]) -> RenderableType:
    table = _table("thresholds by", *found["columns"])
    for row in found["rows"]:
        table.add_row(Text(row["name"]), *(Text(cell) for cell in row["cells"]))
    return Group(table, *(Text(sentence, style="dim") for sentence in found["said"]))


def _labels(labels: Mapping[str, Any]) -> RenderableType:
    table = _table("label", *labels["columns"])
    for name, cells in list(zip(labels["names"], labels["cells"], strict=True))[:MOST_LABELS]:
        table.add_row(Text(name), *(Text(cell["text"]) for cell in cells))
    return table
