"""First stage of the page of many explanations: a line for each, and the units that several of them share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from whygen.report.texts import counted, number, shorten, signed, visible
from whygen.results.prompt import PromptExplanation, UnitAttribution
from whygen.results.summary import words
from whygen.texts import has_word

if TYPE_CHECKING:
    from whygen.results.many import Explanations, OneOfMany

MOST_LINES = 2_000
"""Prompts that the page lists; the index holds all."""
MOST_SHARED = 20
"""Units that get a strip of dots."""
MOST_DOTS = 400
"""Dots of a strip: of more prompts, evenly spaced ones in the order of their values."""


def line_of(item: OneOfMany) -> dict[str, Any]:
    """What the index says of one prompt."""
    found = item.explanation
    line: dict[str, Any] = {"number": item.number, "name": item.name, "folder": item.folder, "error": item.error}
    if found is None:
        return line
    return {
        **line, "headline": words.drivers(found), "model": found.model, "target": found.target.name,
        "units": len(found.units), "significant": sum(unit.significant is True for unit in found.units),
        "r2_heldout": found.fidelity.r2_heldout, "calls": found.calls.asked, "made": found.calls.made,
        "warnings": [warning.code for warning in found.warnings], "ended": found.ended,
    }  # fmt: skip


def summarise_many(found: Explanations) -> dict[str, Any]:
    """Everything that the page shows, as JSON."""
    done = len(found.explanations)
    shared, note = _shared(found.explanations)
    return {
        "kind": "many",
        "title": f"{counted(done, 'explained prompt')}",
        "models": ", ".join(sorted({visible(shorten(each.model, 60)) for each in found.explanations})[:3]),
        "headline": _headline(found),
        "notes": [visible(found.ended)] if found.ended else [],
        "lines": [_line(each) for each in found.items[:MOST_LINES]],
        "left_out": max(0, len(found.items) - MOST_LINES),
        "everything": _everything(found.explanations),
        "shared": shared,
        "shared_note": note,
        "document": found.to_dict(),
    }


def _headline(found: Explanations) -> str:
    calls = sum(each.calls.made for each in found.explanations)
    return headline_of(len(found.explanations), len(found.failed), left=found.given - len(found.items), calls=calls)


def headline_of(done: int, failed: int, *, left: int, calls: int) -> str:
    """How many prompts were explained, in a sentence."""
    parts = [f"{counted(done, 'prompt')} explained"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{left} not reached"] if left else []
    return f"{', '.join(parts)}, with {counted(calls, 'call')}."


def _line(item: OneOfMany) -> dict[str, Any]:
    found = item.explanation
    line = {
        "number": item.number, "name": visible(shorten(item.name, 60)), "href": _href(item),
        "error": visible(shorten(item.error, 400)) if item.error else "",
    }  # fmt: skip
    if found is None:
        return {**line, "headline": "", "r2": "", "calls": "", "warnings": ""}
    codes = [warning.code for warning in found.warnings]
    return {
        **line, "headline": visible(words.drivers(found)), "r2": number(found.fidelity.r2_heldout, 2),
        "calls": f"{found.calls.asked:,}", "warnings": ", ".join(code.replace("-", " ") for code in codes),
    }  # fmt: skip


def _href(item: OneOfMany) -> str:
    """The page of an item; folders are named by `whygen.results.many.folder_of`, in characters that need no escape."""
    return f"{item.folder}/report.html" if item.folder else ""


def _everything(found: tuple[PromptExplanation, ...]) -> dict[str, Any] | None:
    """All units of all prompts that `_shared` puts side by side, as one row."""
    units = [unit for each in _alike(found) for unit in each.units]
    return _strip("every unit of every prompt", units) if units else None


def _alike(found: tuple[PromptExplanation, ...]) -> list[PromptExplanation]:
    """Those of the most frequent target and estimand."""
    kinds = Counter((each.target.name, each.estimand) for each in found)
    most = kinds.most_common(1)[0][0] if kinds else None
    return [each for each in found if (each.target.name, each.estimand) == most]


def _shared(found: tuple[PromptExplanation, ...]) -> tuple[list[dict[str, Any]], str]:
    """Units that stand in several prompts, the strongest first, and what their numbers rest on.

    Attributions are only put side by side where the target and the estimand are the same.
    """
    alike = _alike(found)
    if not alike:
        return [], ""
    target, estimand = alike[0].target.name, alike[0].estimand
    values: dict[str, list[UnitAttribution]] = {}
    for each in alike:
        for unit in {unit.text: unit for unit in words.strongest(each.units, significant=False)[::-1]}.values():
            values.setdefault(unit.text, []).append(unit)
    several = [
        (text, units) for text, units in values.items()
        if len(units) > 1 and (has_word(text) or any(unit.significant for unit in units))
    ]  # fmt: skip
    several.sort(key=lambda pair: -sum(abs(unit.attribution) for unit in pair[1]) / len(pair[1]))
    told = f"By target {visible(shorten(target, 60))}, estimand {estimand}. Each dot is a unit of a prompt; units that "
    told += "several prompts share have a row of their own. The line is their mean."
    if len(alike) < len(found):
        told += f" Left out, having another target or estimand: {len(found) - len(alike)} of {len(found)}."
    return [_strip(text, units) for text, units in several[:MOST_SHARED]], told


def _strip(text: str, units: list[UnitAttribution]) -> dict[str, Any]:
    ordered = sorted(unit.attribution for unit in units)
    step = max(1, -(-len(ordered) // MOST_DOTS))
    mean = sum(ordered) / len(ordered)
    return {
        "text": visible(shorten(text, 40)), "n": len(ordered), "mean": signed(mean), "at": mean,
        "values": ordered[::step],
        "significant": sum(unit.significant is True for unit in units),
    }  # fmt: skip
