"""A conversation for a terminal: a line for each part, with its name, its figure and what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from whygen.report.colours import LEVELS, LIGHT, Sign, step
from whygen.report.texts import shorten, visible

MOST_LINE = 160
MOST_CALL = 300


def talk_lines(summary: Mapping[str, Any]) -> RenderableType:
    """The conversation of a summary: roles as heads, parts below them, what significant ones changed under those."""
    talk, units = summary["talk"], summary["units"]
    lines: list[RenderableType] = []
    if talk["tools"]:
        lines.append(Text("tools", style="bold"))
        lines += [line for tool in talk["tools"] for line in _pieces(tool["pieces"], units)]
    for turn in talk["turns"]:
        lines.append(Text(visible(turn["name"]), style="bold"))
        lines += _pieces(turn["pieces"], units)
    answer = talk["answer"]
    lines.append(Text("answer", style="bold"))
    if answer["text"].strip() or not answer["calls"]:
        lines.append(_indented(Text(shorten(answer["text"], MOST_LINE) if answer["text"].strip() else "(nothing)")))
    lines += [_call(call) for call in answer["calls"]]
    return Group(*lines)


def _pieces(pieces: Sequence[Any], units: Sequence[Any]) -> Iterator[RenderableType]:
    for piece in pieces:
        if piece["kind"] == "part":
            yield from _part(piece, units[piece["unit"]])
        elif piece["kind"] == "call":
            yield _call(piece)
        elif piece["kind"] == "run":
            yield _indented(_run(piece["pieces"], units))
        else:
            yield _indented(Text(shorten(piece["text"], MOST_LINE), style="dim italic"))


def _run(pieces: Sequence[Any], units: Sequence[Any]) -> Text:
    words = Text()
    for piece in pieces:
        if piece["kind"] == "unit":
            unit = units[piece["unit"]]
            words.append(visible(piece["text"]) + (unit["mark"] if unit["significant"] else ""), style=style_of(unit))
        else:
            words.append(visible(piece["text"]), style="dim italic" if piece["kind"] == "text" else "")
    return words


def _part(piece: Mapping[str, Any], unit: Mapping[str, Any]) -> Iterator[RenderableType]:
    line = Text()
    if unit["significant"]:
        line.append(f"{unit['mark']} {unit['attribution_text']} ", style="bold")
    if piece["name"]:
        line.append(f"{visible(piece['name'])}: ", style="dim")
    line.append(shorten(piece["text"], MOST_LINE), style=style_of(unit))
    yield _indented(line)
    if unit["significant"] and piece["beside"]:
        yield _indented(Text(visible(piece["beside"]["sentence"]), style="italic"), by=4)


def _call(call: Mapping[str, Any]) -> RenderableType:
    line = Text("calls ", style="dim")
    line.append(visible(call["name"]), style="bold")
    line.append(f" {shorten(call['arguments'], MOST_CALL)}" if call["arguments"].strip() else "")
    return _indented(line)


def _indented(text: Text, by: int = 2) -> RenderableType:
    return Padding(text, (0, 0, 0, by))


def style_of(unit: Mapping[str, Any]) -> str:
    """Ink and ground are both set, so a step reads the same on dark and on light terminals."""
    if not unit["significant"]:
        return ""
    sign: Sign = unit["sign"]
    ground = step(LIGHT, sign, max(2, min(LEVELS, unit["step"])))
    return f"bold {'underline ' if sign == 'neg' else ''}{LIGHT.ink} on {ground}"
