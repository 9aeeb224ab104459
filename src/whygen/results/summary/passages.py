"""The prompt as a report shows it, whole and perturbed: units, pinned text, turns of a chat, what a mask sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whygen.report.svg import axis_over
from whygen.report.texts import clip, counted, decimals_for, number, shorten, signed, visible
from whygen.results.evidence import Evidence, Sample
from whygen.results.prompt import PromptExplanation, Section
from whygen.results.summary import played
from whygen.results.summary.outcomes import differing

MOST_PROMPT = 40_000
"""Characters of a prompt that are shown; of a longer one, the beginning."""
MOST_PIECE = 2_000
"""Characters of one unit, or of a text between units, that are shown: its beginning and its end."""
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
    end = shown_to(explanation)
    passages = _passages(explanation, cuts=[edge for section in messages for edge in (section.start, section.end)])
    return [
        {
            "name": visible(section.name),
            "pieces": [_piece(explanation, p) for p in passages if section.start <= p.start and p.end <= section.end],
        }
        for section in messages
        if section.start < end
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
        if unit.start < place or unit.end <= unit.start:
            continue
        found += _between(place, unit.start, cuts)
        found.append(_Passage(unit.start, unit.end, i))
        place = unit.end
    found += _between(place, len(explanation.prompt), cuts)
    taken = np.cumsum([min(MOST_PIECE, passage.end - passage.start) for passage in found])
    return found[: max(1, int((taken <= MOST_PROMPT).sum()))]


def shown_to(explanation: PromptExplanation) -> int:
    """The character up to which the prompt is shown."""
    return max((passage.end for passage in _passages(explanation, cuts=())), default=0)


def _between(start: int, end: int, cuts: Sequence[int]) -> Iterator[_Passage]:
    for cut in sorted({cut for cut in cuts if start < cut < end} | {end}):
        if start < cut:
            yield _Passage(start, cut, None)
        start = cut


def _piece(explanation: PromptExplanation, passage: _Passage) -> dict[str, Any]:
    """Text that is in no unit was always sent: pinned, or white space."""
    text = explanation.prompt[passage.start : passage.end]
    if len(text) > MOST_PIECE:
        half = MOST_PIECE // 2
        text = f"{text[:half]} … {len(text) - 2 * half:,} more characters … {text[-half:]}"
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


MOST_ROWS = 200
MOST_OUTPUT = 600
FEWEST_ALIKE = 0.25
"""Answers that share less with the reference are not marked: nearly all of them would be."""
MOST_SENT = 2_000
KINDS = {
    "reference": "whole prompt: the reference",
    "repeat": "whole prompt, repeated",
    "empty": "nothing kept",
    "mask": "",
    "redraw": "asked again",
    "further": "asked beside the masks",
}


def rows(explanation: PromptExplanation, *, decimals: int) -> list[dict[str, Any]]:
    """The first samples, each as parts of a prompt (kept or gone), an output and an effect."""
    evidence = explanation.evidence
    if evidence is None:
        return []
    drawn = (None,) * len(evidence.samples) if evidence.pictures is None else evidence.pictures.samples
    return [
        {
            "picture": place,
            "mask": sample.mask,
            "kind": KINDS.get(sample.kind, sample.kind),
            "parts": _parts(explanation, evidence, sample),
            **_output(
                explanation, sample.said or played.described(explanation, index), reference=sample.kind == "reference"
            ),
            "finish": sample.finish,
            "effect": sample.effect,
            "effect_text": number(sample.effect, decimals),
        }
        for index, (sample, place) in enumerate(list(zip(evidence.samples, drawn, strict=True))[:MOST_ROWS])
    ]


def _output(explanation: PromptExplanation, text: str, *, reference: bool) -> dict[str, Any]:
    """What came back, and the same in stretches: what the reference did not say is marked, if they share anything.

    ``same`` where it is the reference's text again, word for word.
    """
    shown, wanted = _clipped("output", text, MOST_OUTPUT), explanation.reference.text
    same = not reference and bool(text.strip()) and text == wanted
    parts: list[dict[str, Any]] = [{"text": shown["output"], "differs": False}]
    if not reference and not same and wanted.strip() and text.strip():
        marked = differing(wanted, text[:MOST_OUTPUT])[1]
        alike = sum(len(part["text"]) for part in marked if not part["differs"])
        parts = marked if alike >= FEWEST_ALIKE * len(shown["output"]) else parts
    return {**shown, "output_parts": parts, "same": same}


def _clipped(name: str, text: str, most: int) -> dict[str, Any]:
    shown, left_out = clip(text, most)
    return {name: visible(shown), f"{name}_left_out": left_out}


def _parts(explanation: PromptExplanation, evidence: Evidence, sample: Sample) -> list[dict[str, Any]]:
    """The prompt with what is gone marked, where the mask is known to be the sample's; else what was sent, plain."""
    if evidence.pictures is not None and evidence.pictures.regions is not None and explanation.chat is None:
        return _regions(explanation, evidence, sample)
    kept = _mask(explanation, evidence, sample)
    if kept is None or len(explanation.prompt) > MOST_SENT:
        whole = evidence.pictures is not None and sample.kind in {"reference", "repeat"}  # its pictures are units
        return [{"state": "sent", **_clipped("text", explanation.prompt if whole else sample.prompt, MOST_SENT)}]
    parts: list[dict[str, Any]] = []
    place = 0
    for unit, stays in sorted(zip(explanation.units, kept, strict=True), key=lambda pair: pair[0].start):
        if unit.start < place:  # overlapping spans would show text twice
            continue
        _append(parts, explanation.prompt[place : unit.start], "kept")
        _append(parts, explanation.prompt[unit.start : unit.end], "kept" if stays else "gone")
        place = unit.end
    _append(parts, explanation.prompt[place:], "kept")
    return parts


def _regions(explanation: PromptExplanation, evidence: Evidence, sample: Sample) -> list[dict[str, Any]]:
    """The regions that were painted over; where none was, the instruction, which is always sent."""
    row = sample.mask
    known = row is not None and row < len(evidence.masks)
    kept = evidence.masks[row].tolist() if known else [True] * len(explanation.units)
    gone = ", ".join(unit.text for unit, stays in zip(explanation.units, kept, strict=True) if not stays)
    if gone:
        return [{"state": "gone", **_clipped("text", gone, MOST_SENT)}]
    return [{"state": "sent", **_clipped("text", sample.prompt, MOST_SENT)}]


def _append(parts: list[dict[str, Any]], text: str, state: str) -> None:
    """Neighbours of one state become one part; the space between two that are gone is gone with them."""
    if not text:
        return
    if parts and (parts[-1]["state"] == state):
        parts[-1]["text"] += visible(text)
    else:
        parts.append({"state": state, "text": visible(text), "text_left_out": 0})


def _mask(explanation: PromptExplanation, evidence: Evidence, sample: Sample) -> Sequence[bool] | None:
    row = sample.mask
    if row is None or not 0 <= row < len(evidence.masks):
        return None
    mask: list[bool] = evidence.masks[row].tolist()
    return mask if _fits(explanation, mask, sample.prompt) else None


_PICTURE = re.compile(r"image \d+(?:, region \d+)?")


def _fits(explanation: PromptExplanation, mask: Sequence[bool], sent: str) -> bool:
    """Whether the kept units stand in the sent prompt, in order: rows of failed calls may be gone from the masks."""
    place = 0
    seen = explanation.chat is not None
    for unit, stays in zip(explanation.units, mask, strict=True):
        if not stays or (seen and _PICTURE.fullmatch(unit.text)):  # a picture stands there by a note, not by its name
            continue
        place = sent.find(unit.text, place)
        if place < 0:
            return False
        place += len(unit.text)
    if explanation.operator != "delete":
        return True
    pinned = sum(end - start for start, end in explanation.pinned)
    kept = sum(len(unit.text) for unit, stays in zip(explanation.units, mask, strict=True) if stays)
    gaps = len(explanation.prompt) - sum(len(unit.text) for unit in explanation.units)
    return len(sent) <= kept + max(pinned, gaps)
