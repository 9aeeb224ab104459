"""The levels of a long prompt for a terminal: opened branches, indented, with what stands out in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from whygen.report.colours import LIGHT, Sign, step
from whygen.report.texts import counted, shorten

MOST_CHILDREN = 6
"""Children of one part that are listed, the largest ones in prompt order; the others are counted."""


def tree_lines(tree: Mapping[str, Any], width: int) -> Text:
    """The tree as lines no wider than ``width``."""
    text = Text(no_wrap=True, overflow="ellipsis")
    _list(text, tree["parts"], width, depth=0)
    text.rstrip()
    return text


def _list(text: Text, parts: Sequence[Mapping[str, Any]], width: int, *, depth: int) -> None:
    listed = sorted(range(len(parts)), key=lambda i: (not _matters(parts[i]), -abs(parts[i]["value"])))
    chosen = [i for i in sorted(listed[:MOST_CHILDREN]) if _matters(parts[i])]
    for i in chosen:
        _line(text, parts[i], width, depth)
        _list(text, parts[i]["children"], width, depth=depth + 1)
    if len(parts) > len(chosen):
        text.append(f"{'  ' * depth}· {counted(len(parts) - len(chosen), 'other part')}\n", style="dim")


def _matters(part: Mapping[str, Any]) -> bool:
    return part["sure"] or part["opened"]


def _line(text: Text, part: Mapping[str, Any], width: int, depth: int) -> None:
    sign: Sign = part["sign"]
    start = f"{'  ' * depth}{part['mark']} {part['value_text']}  "
    text.append(start, style="bold" if part["sure"] else "dim")
    room = max(12, width - len(start) - 2)
    ground = f"{LIGHT.ink} on {step(LIGHT, sign, max(2, part['step']))}" if part["sure"] else ""
    text.append(shorten(part["text"], room), style=ground)
    text.append("\n")
