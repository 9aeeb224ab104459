"""What a page and a terminal show of training against held-out anchors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whygen.report.texts import number, shorten, visible
from whygen.results.anchors import AnchorEvidence, AnchorExplanation
from whygen.results.anchors_memorised import AreaRecord, GapRecord, MemorisationRecord, RoleRecord
from whygen.results.anchors_scores import ShareRecord
from whygen.results.anchors_words import percent, returned
from whygen.results.summary.anchors_pictures import picture, steps
from whygen.texts import counted

HALVES = 20


def memorised(explanation: AnchorExplanation) -> dict[str, Any] | None:
    """The memorisation gap and the groups by role; None where anchors have no roles."""
    return by_role(explanation.roles, explanation.memorisation, list(explanation.group_names.values()))


def by_role(
    roles: Sequence[RoleRecord], record: MemorisationRecord | None, names: Sequence[str]
) -> dict[str, Any] | None:
    """The memorisation gap, and the groups of those names by role; None where anchors have no roles."""
    if not roles:
        return None
    rows = [
        {"name": each.role, "n": f"{each.n:,}", "cells": [_part(each.groups.get(name, 0), each.n) for name in names]}
        for each in roles
    ]
    return {
        "said": [] if record is None else [visible(sentence) for sentence in said(record)],
        "columns": list(names),
        "roles": rows,
        "gaps": [] if record is None else [_gap(each) for each in record.criteria],
    }


def metrics(explanation: AnchorExplanation) -> dict[str, Any] | None:
    """Generated against reference samples as sets, beside halves of the reference."""
    found = explanation.metrics
    if found is None:
        return None
    rows = [
        {
            "name": each.name,
            "value": number(each.value),
            "interval": f"{number(each.low)} to {number(each.high)}",
            "floor": number(each.floor),
            "halves": f"{number(each.floor_low)} to {number(each.floor_high)}",
            "better": "lower" if each.better == "low" else "higher",
        }
        for each in found.rows
    ]
    note = (
        f"Sets of {found.size:,}, drawn {HALVES} times from {found.real:,} reference and {found.generated:,} generated "
        f"samples, by {found.space}; real against real: two halves of the reference at that size. All depend on the "
        "size, so compare only with figures at the same one."
    )
    return {"rows": rows, "note": visible(note)}


def said(record: MemorisationRecord) -> list[str]:
    """What the gap says, and no more."""
    best = max(record.criteria, key=lambda each: each.auroc.area)
    where = "held-out anchors" if record.held_by == "anchors" else "samples of the held-out reference"
    against = f"{record.n_training:,} training anchors against {record.n_held_out:,} {where}"
    rest = (
        f"{counted(record.flagged, 'training anchor')} called memorised, where {number(record.by_chance)} would be by "
        f"chance (at most {percent(record.false_positives)} of held-out samples are)."
    )
    if record.found:
        seen = (
            f"The model knows its training samples better than others of their kind: a training anchor has the lower "
            f"{best.criterion} in {percent(best.auroc.area)} of pairs ({_area(best.auroc)}; 50% by chance)."
        )
    elif any(each.auroc.low > 0.5 and each.p_value <= 0.05 for each in record.criteria):
        seen = (
            "Training anchors score lower than held-out ones, but so they may without this model, or by one criterion "
            "of several: no gap is claimed."
        )
    else:
        seen = "No gap was found: training anchors score as held-out ones do, as far as so many samples tell."
    return [seen, f"{against}. {rest}"]


def _gap(each: GapRecord) -> dict[str, str]:
    return {
        "name": visible(each.criterion),
        "training": number(each.training),
        "held_out": number(each.held_out),
        "gap": f"{number(each.gap)} ({number(each.low)} to {number(each.high)})",
        "auroc": f"{each.auroc.area:.2f} ({_area(each.auroc)})",
        "p": f"{each.p_value:.2g}",
        "untrained": "–" if each.untrained is None else f"{each.untrained.area:.2f}",
        "foreign": "–" if each.foreign is None else f"{each.foreign.area:.2f}",
        "flagged": f"{each.flagged:,}",
        "memorised": _share(each.memorised),
        "recall": "–" if each.recall is None else _share(each.recall),
    }


def _area(of: AreaRecord) -> str:
    return f"{of.low:.2f} to {of.high:.2f}"


def _share(of: ShareRecord) -> str:
    return f"{percent(of.share)} ({percent(of.low)} to {percent(of.high)})"


def _part(count: int, n: int) -> str:
    return percent(count / n) if n else "–"


def traced(explanation: AnchorExplanation, evidence: AnchorEvidence) -> list[dict[str, Any]]:
    """Anchors called memorised: what the model makes of them, and the nearest other training anchor."""
    if evidence.traced is None or evidence.traced_pictures is None or evidence.p_memorised is None:
        return []
    found: list[dict[str, Any]] = []
    names = ("anchor", returned(explanation)[2], "nearest other training anchor")
    distances = evidence.nearest_training_distance
    for place, shown in zip(evidence.traced, evidence.traced_pictures, strict=True):
        row = int(place)
        name = shorten(evidence.names[row], 40) if evidence.names else f"anchor {row}"
        distance = "" if distances is None else number(float(distances[row]))
        p = ", ".join(
            f"{criterion.name} p {value:.2g}"
            for criterion, value in zip(explanation.criteria, evidence.p_memorised[row], strict=True)
        )
        found.append(
            {
                "name": visible(name),
                "caption": p,
                "images": [{"name": name, **picture(steps(one))} for name, one in zip(names, shown, strict=True)],
                "why": f"nearest other training anchor at {distance}",
            }
        )
    return found
