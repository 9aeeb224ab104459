"""What else was read from the answers: units by sentences, small sets of units, the levels of a long prompt."""

from __future__ import annotations

from typing import Any

import numpy as np

from whygen.report.colours import FAINT, LEVELS, level_of, sign_of
from whygen.report.texts import clip, counted, decimals_for, listed, number, p_value, quoted, shorten, signed, visible
from whygen.results.prompt import PromptExplanation
from whygen.results.records import Node, SentenceMatrix, Tree, UnitSet

MOST_ROWS = 60
"""Units that a page shows, those with the largest figures."""
MOST_OUTPUT = 400


def interactions(explanation: PromptExplanation) -> dict[str, Any] | None:
    """Pairs of units that act together; None where none raised the fidelity."""
    found = explanation.interactions
    if not found:
        return None
    decimals = decimals_for(max(abs(one.value) for one in found))
    return {
        "rows": [
            {
                "pair": f"{quoted(explanation.units[one.first].text)} and {quoted(explanation.units[one.second].text)}",
                "value": signed(one.value, decimals),
                "interval": ""
                if one.low is None or one.high is None
                else f"{signed(one.low, decimals)} to {signed(one.high, decimals)}",
                "together": "more together" if one.value > 0 else "less together",
                "significant": one.significant,
            }
            for one in found
        ]
    }


def matrix(explanation: PromptExplanation) -> dict[str, Any] | None:
    """The heat table of units by sentences; None where there is none."""
    found = explanation.matrix
    if found is None or not found.sentences or len(found.attributions) != len(explanation.units):
        return None
    values = found.array()
    largest = float(np.abs(values).max(initial=0.0))
    rows = _strongest(values)
    return {
        "sentences": [
            {"name": f"S{place}", "text": shorten(one.text, 200)} for place, one in enumerate(found.sentences, start=1)
        ],
        "columns": [f"S{place}" for place in range(1, len(found.sentences) + 1)],
        "names": [shorten(explanation.units[row].text, 48) for row in rows],
        "cells": [_cells(found, row, largest) for row in rows],
        "units_left_out": len(values) - len(rows),
        "sentences_left_out": found.left_out,
        "tested": found.low is not None,
        "unit": visible(found.target.unit),
        "distance": visible(found.target.distance),
    }


def _strongest(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[int]:
    """Rows with the largest figures, in the order of the prompt."""
    order = np.argsort(-np.abs(values).max(axis=1), kind="stable")[:MOST_ROWS]
    return sorted(order.tolist())


def _cells(found: SentenceMatrix, row: int, largest: float) -> list[dict[str, Any]]:
    sure = found.sure()[row]
    decimals = decimals_for(largest)
    values = np.round(np.array(found.attributions[row]), decimals).tolist()  # rounding errors have no colour
    return [
        {
            "text": signed(value, decimals),
            "sign": sign_of(value),
            "step": level_of(value, largest, most=LEVELS if certain else FAINT),
        }
        for value, certain in zip(values, sure.tolist(), strict=True)
    ]


def why(explanation: PromptExplanation) -> dict[str, Any] | None:
    """What made the model act, in sentences, and each part's p-value; None where nobody asked."""
    found = explanation.why
    if found is None:
        return None
    told = "" if explanation.call is None else explanation.call.reason
    return {
        "verdict": found.verdict,
        "action": visible(found.action),
        "reason": visible(told),
        "sentences": [visible(each) for each in found.sentences],
        "parts": [
            {
                "unit": part.unit,
                "name": visible(part.name),
                "suspect": part.suspect,
                "named": part.named,
                "p_text": p_value(part.p_value),
            }
            for part in found.parts
        ],
        "shown": list(found.shown),
    }


def sets(explanation: PromptExplanation) -> dict[str, Any] | None:
    """Few units that change the answer, and that keep it; None where they were not looked for."""
    found = explanation.sets
    if found is None:
        return None
    return {
        "changing": [_set(one) for one in found.changing],
        "keeping": [_set(one) for one in found.keeping],
        "threshold": number(found.threshold, 3),
        "rule": visible(found.rule),
        "calls": counted(found.calls, "further call") if found.calls else "",
    }


def _sureness(one: UnitSet) -> str:
    """What is decided of a set, and in how many of its calls it did what it is shown for."""
    if one.fewest:
        said = "no other with fewer does it"
    elif one.minimal:
        said = "minimal: none can be left out"
    else:
        said = "no smaller one was found"
    return said if one.asked == 1 else f"{said}; in {one.did} of {one.asked} calls"


def _set(one: UnitSet) -> dict[str, Any]:
    output = shorten(one.output, MOST_OUTPUT) if one.output.strip() else ""
    return {
        "names": listed([quoted(text, 48) for text in one.texts]) or "none at all",
        "size": len(one.units),
        "sure": _sureness(one),
        "effect": number(one.effect, 3),
        "prompt": shorten(one.prompt, MOST_OUTPUT),
        "output": output,
    }


MOST_TEXT = 4_000
"""Characters shown of one part that was not opened."""
MOST_LINE = 90
MARKS = {"pos": "▲", "neg": "▼", "zero": "·"}


def summarise_tree(explanation: PromptExplanation) -> dict[str, Any] | None:
    """The parts of a prompt that was explained level by level, nested; None for any other."""
    tree = explanation.tree
    if tree is None:
        return None
    largest = max((abs(node.value) for node in tree.nodes), default=0.0)
    shown = _Shown(explanation.prompt, tree, largest, decimals_for(largest))
    opened = sum(node.opened for node in tree.nodes)
    return {
        "levels": " > ".join(tree.levels),
        "opened": opened,
        "closed": sum(node.divisible and not node.opened for node in tree.nodes),
        "grouped": any(node.kind.startswith("group of ") for node in tree.nodes),
        "parts": [shown.part(place) for place in tree.roots],
    }


class _Shown:
    """Turns nodes into dicts, with one scale of colours and one number of decimals for all."""

    def __init__(self, prompt: str, tree: Tree, largest: float, decimals: int) -> None:
        self._prompt, self._tree, self._largest, self._decimals = prompt, tree, largest, decimals
        self._unfolded = frozenset(tree.strongest_branch)

    def part(self, place: int) -> dict[str, Any]:
        node = self._tree.nodes[place]
        text, left_out = clip(self._prompt[node.start : node.end], MOST_TEXT)
        sure = _stands_out(node)
        figure, between = signed(node.value, self._decimals), self._between(node.low, node.high)
        sign = sign_of(node.value) if abs(node.value) >= 0.5 * 10.0**-self._decimals else "zero"
        return {
            "kind": node.kind,
            "level": node.level,
            "short": shorten(text, MOST_LINE),
            "text": visible(text),
            "left_out": left_out,
            "value": node.value,
            "value_text": figure,
            "interval_text": between,
            "sign": sign,
            "step": 0 if sign == "zero" else level_of(node.value, self._largest, most=LEVELS if sure else FAINT),
            "sure": sure,
            "mark": MARKS[sign] if sure else MARKS["zero"],
            "tip": f"{shorten(text, 40)}  {figure}  interval {between}{'' if sure else '  not told apart from zero'}",
            "opened": node.opened,
            "divisible": node.divisible,
            "unfolded": place in self._unfolded,
            "total_text": None if node.total is None else signed(node.total, self._decimals),
            "total_interval": self._between(node.total_low, node.total_high),
            "hidden_text": signed(node.hidden, self._decimals).lstrip("+") if node.hidden else None,
            "children": [self.part(child) for child in node.children],
        }

    def _between(self, low: float | None, high: float | None) -> str:
        if low is None or high is None:
            return "–"
        return f"{signed(low, self._decimals)} to {signed(high, self._decimals)}"


def _stands_out(node: Node) -> bool:
    """Whether the interval keeps clear of zero and the test agrees."""
    if node.low is None or node.high is None:
        return False
    return (node.low > 0.0 or node.high < 0.0) and (node.p_value is None or node.p_value < 0.05)
