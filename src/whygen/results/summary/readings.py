"""What else was read from the answers: units by sentences, and few units that change or keep the answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from whygen.report.colours import FAINT, LEVELS, level_of, sign_of
from whygen.report.texts import counted, decimals_for, listed, number, quoted, shorten, signed, visible
from whygen.results.prompt import PromptExplanation
from whygen.results.records import SentenceMatrix, UnitSet

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
