"""The perturbed prompts: what was kept, what was taken away, and what the model answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whygen.report.texts import clip, number, visible
from whygen.results.prompt import Evidence, PromptExplanation, Sample
from whygen.results.summary import played

MOST_ROWS = 200
MOST_OUTPUT = 600
MOST_PROMPT = 2_000
KINDS = {
    "reference": "whole prompt: the reference",
    "repeat": "whole prompt, repeated",
    "empty": "nothing kept",
    "mask": "",
    "redraw": "asked again",
    "further": "asked for the sets",
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
            **_clipped("output", sample.output or played.described(explanation, index), MOST_OUTPUT),
            "finish": sample.finish,
            "effect": sample.effect,
            "effect_text": number(sample.effect, decimals),
        }
        for index, (sample, place) in enumerate(list(zip(evidence.samples, drawn, strict=True))[:MOST_ROWS])
    ]


def _clipped(name: str, text: str, most: int) -> dict[str, Any]:
    shown, left_out = clip(text, most)
    return {name: visible(shown), f"{name}_left_out": left_out}


def _parts(explanation: PromptExplanation, evidence: Evidence, sample: Sample) -> list[dict[str, Any]]:
    """The prompt with what is gone marked, where the mask is known to be the sample's; else what was sent, plain."""
    if evidence.pictures is not None and evidence.pictures.regions is not None:
        return _regions(explanation, evidence, sample)
    kept = _mask(explanation, evidence, sample)
    if kept is None or len(explanation.prompt) > MOST_PROMPT:
        return [{"state": "sent", **_clipped("text", sample.prompt, MOST_PROMPT)}]
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
        return [{"state": "gone", **_clipped("text", gone, MOST_PROMPT)}]
    return [{"state": "sent", **_clipped("text", sample.prompt, MOST_PROMPT)}]


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


def _fits(explanation: PromptExplanation, mask: Sequence[bool], sent: str) -> bool:
    """Whether the kept units stand in the sent prompt, in order: rows of failed calls may be gone from the masks."""
    place = 0
    for unit, stays in zip(explanation.units, mask, strict=True):
        if not stays:
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
