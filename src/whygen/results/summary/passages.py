"""The prompt as a report shows it: units, pinned text and white space, turns of a chat, fields and documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from whygen.report.axes import axis_over
from whygen.report.texts import counted, decimals_for, shorten, signed, visible
from whygen.results.prompt import PromptExplanation, Section

MOST_PROMPT = 40_000
MOST_STRIPS = 12
MOST_INPUTS = 200


@dataclass(frozen=True, slots=True)
class _Passage:
    """Characters ``[start, end)`` of the prompt, and the unit that they are; None for what was always sent."""

    start: int
    end: int
    unit: int | None


def pieces(explanation: PromptExplanation) -> list[dict[str, Any]]:
    """The prompt in order: units, pinned text, and the white space between."""
    return [_piece(explanation, passage) for passage in _passages(explanation, cuts=())]


def turns(explanation: PromptExplanation) -> list[dict[str, Any]]:
    """The messages of a chat, each with its role and pieces; any other prompt is one turn without a name.

    Fields and documents of a template are announced by pieces of the kind ``name``.
    """
    messages = [section for section in explanation.sections if section.kind == "message"]
    if not messages:
        named = {section.start: section.name for section in _named(explanation)}
        return [{"name": None, "pieces": _with_names(explanation, named)}]
    passages = _passages(explanation, cuts=[edge for section in messages for edge in (section.start, section.end)])
    return [
        {
            "name": visible(section.name),
            "pieces": [_piece(explanation, p) for p in passages if section.start <= p.start and p.end <= section.end],
        }
        for section in messages
        if section.start < MOST_PROMPT
    ]


def inputs(explanation: PromptExplanation) -> dict[str, Any] | None:
    """What each of many inputs showed: attributions of the strongest units, and each input's strongest unit."""
    records = explanation.inputs
    if not records or not explanation.units:
        return None
    by_size = sorted(range(len(explanation.units)), key=lambda i: -abs(explanation.units[i].attribution))[:MOST_STRIPS]
    columns = list(zip(*(record.attributions for record in records), strict=True))
    axis = axis_over([value for i in by_size for value in columns[i]], include=[0.0])
    decimals = decimals_for(max(abs(value) for column in columns for value in column))
    return {
        "count": counted(len(records), "input"),
        "axis": {"low": axis.low, "high": axis.high},
        "strips": [{"name": shorten(explanation.units[i].text, 48), "values": list(columns[i])} for i in by_size],
        "rows": [_input(explanation, r.text, r.attributions, decimals) for r in records[:MOST_INPUTS]],
        "left_out": max(0, len(records) - MOST_INPUTS),
    }


def _input(explanation: PromptExplanation, text: str, values: Sequence[float], decimals: int) -> dict[str, str]:
    strongest = max(range(len(values)), key=lambda i: abs(values[i]))
    unit = shorten(explanation.units[strongest].text, 48)
    return {"text": shorten(text, 200), "unit": unit, "value": signed(values[strongest], decimals)}


def _passages(explanation: PromptExplanation, *, cuts: Sequence[int]) -> list[_Passage]:
    """Units and what lies between them, that cut at ``cuts`` as well; spans that cannot be shown are left out."""
    found: list[_Passage] = []
    place = 0
    for i in sorted(range(len(explanation.units)), key=lambda i: explanation.units[i].start):
        unit = explanation.units[i]
        if unit.start < place or unit.end <= unit.start or unit.end > MOST_PROMPT:
            continue
        found += _between(place, unit.start, cuts)
        found.append(_Passage(unit.start, unit.end, i))
        place = unit.end
    found += _between(place, min(len(explanation.prompt), MOST_PROMPT), cuts)
    return found


def _between(start: int, end: int, cuts: Sequence[int]) -> Iterator[_Passage]:
    for cut in sorted({cut for cut in cuts if start < cut < end} | {end}):
        if start < cut:
            yield _Passage(start, cut, None)
        start = cut


def _piece(explanation: PromptExplanation, passage: _Passage) -> dict[str, Any]:
    """Text that is in no unit was always sent: pinned, or white space."""
    text = explanation.prompt[passage.start : passage.end]
    kind = "unit" if passage.unit is not None else ("pinned" if text.strip() else "space")
    return {"kind": kind, "text": visible(text), "unit": passage.unit}


def _named(explanation: PromptExplanation) -> list[Section]:
    """Documents that are told apart, and the fields that hold none; not where a field shows its own name."""
    shown = [s for s in explanation.sections if not any(u.start < s.start < u.end for u in explanation.units)]
    fields = [section for section in shown if section.kind == "field"]
    documents = [section for section in shown if section.kind == "document"]
    whole = [f for f in fields if any((u.start, u.end) == (f.start, f.end) for u in explanation.units)]
    documents = [d for d in documents if not any(f.start <= d.start and d.end <= f.end for f in whole)]
    fields = [f for f in fields if not any(f.start <= d.start and d.end <= f.end for d in documents)]
    return [s for s in (*fields, *documents) if explanation.prompt[s.start : s.end] not in ("", f"{{{s.name}}}")]


def _with_names(explanation: PromptExplanation, named: dict[int, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for passage in _passages(explanation, cuts=sorted(named)):
        if passage.start in named:
            found.append({"kind": "name", "text": visible(named[passage.start]), "unit": None})
        found.append(_piece(explanation, passage))
    return found
