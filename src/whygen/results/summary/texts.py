"""The summary of an explanation by texts."""

from __future__ import annotations

from typing import Any

from whygen.report.texts import counted, listed, number, percent, quoted, shorten, visible
from whygen.results.summary.memorised import by_role
from whygen.results.texts import (
    CANNOT_BE_TOLD,
    GROUPS,
    KNOWS_BY_HEART,
    ContrastRecord,
    TextAnchorExplanation,
    TextGroupRecord,
    TextRecord,
)

MOST_SHOWN = 200
"""Texts of a group that the page lists."""
MOST_LABELS = 60
LENGTH = 400
"""Characters of a text that it shows."""


def summarise_texts(explanation: TextAnchorExplanation) -> dict[str, Any]:
    """Everything that the report shows, as JSON."""
    return {
        "kind": "texts",
        "title": f"whygen: what {visible(explanation.model)} knows by heart",
        "headline": headline(explanation),
        "model": visible(explanation.model),
        "warnings": [{"code": each.code, "text": visible(each.text)} for each in explanation.warnings],
        "facts": facts(explanation),
        "groups": [_group(explanation, name) for name in explanation.groups],
        "contrasts": [_contrast(each) for each in explanation.contrasts],
        "memorised": by_role(explanation.roles, explanation.memorisation, GROUPS),
        "labels": _labels(explanation),
        "left_out": [_left_out(text) for text in explanation.texts if text.group is None][:MOST_SHOWN],
        "made": _made(explanation),
        "document": explanation.to_dict(),
    }


def headline(explanation: TextAnchorExplanation) -> str:
    """What was found, in a sentence."""
    model, n = shorten(explanation.model, 60), counted(explanation.counted, "text")
    if not explanation.counted:
        return f"{model}: none of {counted(explanation.n_texts, 'text')} could be scored."
    beside = _beside_held_out(explanation)
    if not explanation.contrasts:
        return f"{model}: {beside or f'whether it knows any of {n} by heart cannot be told'}."
    count = explanation.groups[KNOWS_BY_HEART].count
    said = f"{model} knows {count:,} of {n} by heart" if count else f"{model}: none of {n} is called known by heart"
    if beside and not count and explanation.memorisation is not None and explanation.memorisation.found:
        kinds = [each.kind for each in explanation.contrasts]
        if not any("reference" in kind for kind in kinds):  # which held-out texts are
            ways = listed([f"the {kind}" if kind == "baseline" else kind for kind in kinds])
            return f"{model}: {beside}. By {ways} alone, without held-out texts, none of {n} is called known by heart."
    untold = explanation.counted - sum(each.n for each in explanation.contrasts)
    said = f"{said}; of {untold:,} it cannot be told" if untold > 0 else said
    return f"{said}; {beside}." if beside else f"{said}."


def _beside_held_out(explanation: TextAnchorExplanation) -> str:
    """What training and held-out texts beside each other say, which needs no contrast; empty where there are none."""
    found = explanation.memorisation
    if found is None:
        return ""
    count, chance = f"{found.flagged:,} of {found.n_training:,}", f"{found.by_chance:.1f} would be by chance"
    if found.found:
        return f"{count} training texts are called memorised beside {found.n_held_out:,} held-out ones, where {chance}"
    return f"training texts are not found to be better known than held-out ones ({count} are called so, {chance})"


def facts(explanation: TextAnchorExplanation) -> list[dict[str, str]]:
    """The questions that a reader has first."""
    found = [_share(each, explanation) for each in explanation.contrasts]
    drawn = [text for text in explanation.texts if text.draws_half is not None]
    written = [text for text in explanation.texts if text.match is not None]
    if written:
        whole = sum(text.verbatim is True for text in written)
        found.append(
            {
                "question": "Does it write them out?",
                "figure": f"{whole:,} of {len(written):,}",
                "caption": "are continued word for word",
                "text": "Given the beginning of a text, the model went on greedily. What is known by heart need not be "
                "written out, and is told by the contrast all the same.",
            }
        )
    if drawn:
        least = min(drawn, key=lambda text: text.draws_half or 0)
        found.append(
            {
                "question": "Could it be drawn?",
                "figure": counted(round(least.draws_half or 0), "sample"),
                "caption": "for an even chance to hold the rest of the easiest text",
                "text": f"Number {least.index}: {quoted(least.text, 60)}, sampled at temperature 1 after its beginning "
                f"({least.drawn_tokens} tokens to be drawn).",
            }
        )
    return found


def _share(each: ContrastRecord, explanation: TextAnchorExplanation) -> dict[str, str]:
    by = f"{each.measured_by:,} {'held-out texts' if 'reference' in each.kind else 'of each'}"
    return {
        "question": "How many does it know by heart?",
        "figure": percent(each.estimate),
        "caption": f"of {counted(each.n, 'text')}, estimated (95% interval {_between(each)})",
        "text": f"Told by {each.kind} ({by}). {each.called:,} of them are called, of which "
        f"{percent(explanation.fdr)} may be false. The lower end holds whatever these texts look like, the upper if "
        "nearly all of them stand out.",
    }


def _between(each: ContrastRecord | TextGroupRecord) -> str:
    return f"{percent(each.low)} to {percent(each.high)}"


def _contrast(each: ContrastRecord) -> dict[str, str]:
    return {
        "kind": each.kind, "n": f"{each.n:,}", "called": f"{each.called:,}", "estimate": percent(each.estimate),
        "interval": _between(each), "by": f"{each.measured_by:,}",
    }  # fmt: skip


def _group(explanation: TextAnchorExplanation, name: str) -> dict[str, Any]:
    record = explanation.groups[name]
    members = sorted(explanation.members(name), key=lambda text: -(text.strength or 0.0))
    told = record.measured or name == CANNOT_BE_TOLD
    return {
        "name": name,
        "meaning": record.meaning,
        "count": record.count,
        "share": percent(record.share) if told else "not measured",
        "interval": _between(record) if told else "",
        "texts": [_text(text) for text in members[:MOST_SHOWN]],
        "more": max(0, len(members) - MOST_SHOWN),
    }


def _text(text: TextRecord) -> dict[str, Any]:
    twin = None
    if text.nearest_twin is not None and text.nats is not None and text.nearest_twin_nats is not None:
        twin = shorten(text.nearest_twin, LENGTH)
    return {
        "index": text.index,
        "text": shorten(text.text, LENGTH),
        "prompt": shorten(text.prompt, LENGTH) if text.prompt else "",
        "nll": number(text.nll, 2),
        "contrast": number(text.contrast, 2),
        "p": "–" if text.p is None else f"{text.p:.3g}",
        "q": "–" if text.q is None else f"{text.q:.3g}",
        "unlike": number(text.p_unlike, 3),
        "match": "–" if text.match is None else percent(text.match),
        "draws": _draws(text),
        "twin": twin,
        "reason": visible(text.reason),
        "notes": [visible(note) for note in text.notes],
    }


def _draws(text: TextRecord) -> str:
    if text.drawn_nats is None:
        return "–"
    return (
        "over 1e15"
        if text.draws_half is None
        else f"{text.draws_half:,.0f}"
        if text.draws_half < 1e6
        else f"{text.draws_half:.1e}"
    )


def _labels(explanation: TextAnchorExplanation) -> dict[str, Any] | None:
    """How many texts of each label every group holds."""
    table = explanation.labels
    if table is None:
        return None
    rows = [
        {"name": visible(str(label)), "cells": [f"{sum(counts):,}", *(f"{count:,}" for count in counts)]}
        for label, counts in zip(table.labels, table.counts, strict=True)
    ]
    return {"columns": ["texts", *table.groups], "rows": rows[:MOST_LABELS], "left_out": len(rows[MOST_LABELS:])}


def _left_out(text: TextRecord) -> dict[str, Any]:
    why = f"a copy of number {text.copy_of}" if text.state == "copy" else f"{text.state}. {text.reason}"
    return {"index": text.index, "text": shorten(text.text, 80), "why": visible(why)}


def _made(explanation: TextAnchorExplanation) -> list[tuple[str, str]]:
    held, rows = explanation.reference, [("Model", visible(explanation.model))]
    rows.append(("Baseline", visible(explanation.baseline or "none")))
    rows.append(("Anchors", f"{counted(explanation.n_texts, 'text')} from {shorten(explanation.source, 80)}"))
    rows.append(("Twins", explanation.twins))
    known = "none" if held is None else f"{counted(held.n, 'text')}, {held.role}, {number(held.nll, 2)} nats a token"
    rows.append(("Reference", known))
    rows.append(
        ("Levels", f"kinds at {explanation.alpha:g}; known by heart at a false discovery rate of {explanation.fdr:g}")
    )
    rows.append(("Calls", explanation.calls))
    rows.append(("Seed", str(explanation.seed)))
    rows.append(("Made by", listed([f"{name} {version}" for name, version in explanation.versions.items()])))
    return rows
