"""The page that raters see: prompts with their coloured units and answers, under codes that say nothing.

Only what every method has is shown: which units, how strong beside the strongest of the same item, and in which
direction. Figures, intervals, units of measure and names would tell methods apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whygen.report.colours import LEVELS, level_of, sign_of
from whygen.report.html import page
from whygen.report.texts import clip, counted, visible
from whygen.results.prompt import PromptExplanation
from whygen.results.summary.passages import MOST_PROMPT, turns
from whygen.results.summary.prompt import MARKS, MOST_REFERENCE

MARKED = LEVELS // 2
"""From this step on a unit carries a mark as well: a page printed without colours still says which way."""


def rating_sheet(items: Sequence[tuple[str, PromptExplanation]], questions: Mapping[str, str]) -> str:
    """One self-contained, printable page.

    Args:
        items: codes with explanations, in the order to show.
        questions: short names with the statements that are judged.
    """
    return page(
        "ratings.html.j2",
        {
            "title": "Rating sheet",
            "document": {},
            "count": counted(len(items), "explanation"),
            "questions": {visible(name): visible(text) for name, text in questions.items()},
            "items": [_item(code, explanation) for code, explanation in items],
        },
        package="whygen_experiments",
    )


def _item(code: str, explanation: PromptExplanation) -> dict[str, Any]:
    text, left_out = clip(visible(explanation.reference.text), MOST_REFERENCE)
    return {
        "code": code,
        "turns": turns(explanation),
        "prompt_left_out": max(0, len(explanation.prompt) - MOST_PROMPT),
        "units": _units(explanation),
        "answer": text,
        "answer_left_out": left_out,
    }


def _units(explanation: PromptExplanation) -> list[dict[str, Any]]:
    largest = max((abs(unit.attribution) for unit in explanation.units), default=0.0)
    found: list[dict[str, Any]] = []
    for unit in explanation.units:
        sign, step = sign_of(unit.attribution), level_of(unit.attribution, largest)
        found.append({"sign": sign, "step": step, "mark": MARKS[sign] if step >= MARKED else ""})
    return found
