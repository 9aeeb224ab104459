"""From records to rows: means, and how far whygen is ahead, paired by question, with 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.rivals.registry import OURS

SCORES = {"R2": 1.0, "AUROC": 1.0, "deletion": 1.0, "Shapley error": -1.0}
"""Scores, and whether more (1) or less (-1) of them is better."""

Record = dict[str, Any]


def rows(records: Sequence[Record]) -> list[Record]:
    """One row for each part, budget and method, in the order of the records."""
    cells: dict[tuple[str, int], dict[str, list[Record]]] = {}
    for record in records:
        cell = cells.setdefault((record["part"], record["budget"]), {})
        cell.setdefault(record["method"], []).append(record)
    return [
        {"part": part, "budget": budget, "method": method, **_row(some, cell)}
        for (part, budget), cell in cells.items()
        for method, some in cell.items()
    ]


def counts(records: Sequence[Record]) -> dict[str, int]:
    """How many questions each part has."""
    asked: dict[str, set[str]] = {}
    for record in records:
        asked.setdefault(record["part"], set()).add(record["question"])
    return {part: len(names) for part, names in asked.items()}


def _row(records: list[Record], cell: dict[str, list[Record]]) -> Record:
    played = [record for record in records if "calls" in record]
    row: Record = {
        "questions": len({record["question"] for record in played}),
        "refused": sum("cannot" in record for record in records),
        "failed": sum("failed" in record for record in records),
        "why": next(
            (record.get("cannot") or record.get("failed") for record in records if "calls" not in record), None
        ),
    }
    if not played:
        return row
    row["calls"] = float(np.mean([record["calls"] for record in played]))
    row["seconds"] = float(np.median([record["seconds"] for record in played]))
    row["mean"] = {score: _mean(by_question(played, score)) for score in SCORES}
    row["ahead"] = {
        score: ahead(by_question(cell.get(_ours(score), []), score), by_question(played, score), sign)
        for score, sign in SCORES.items()
        if records[0]["method"] not in OURS.values()
    }
    return row


def _ours(score: str) -> str:
    return OURS["shapley" if score == "Shapley error" else "banzhaf"]


def by_question(records: Sequence[Record], score: str) -> dict[str, float]:
    """The mean over seeds of a score, for each question that has one."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record.get(score) is not None:
            found.setdefault(record["question"], []).append(record[score])
    return {question: float(np.mean(values)) for question, values in found.items()}


def _mean(values: dict[str, float]) -> float | None:
    return float(np.mean(list(values.values()))) if values else None


def ahead(ours: dict[str, float], theirs: dict[str, float], sign: float = 1.0) -> Record | None:
    """How much better ours is on the questions that both have: mean and half width of the 95% Student interval."""
    both = sorted(ours.keys() & theirs.keys())
    if len(both) < 2:
        return None
    difference = sign * np.array([ours[question] - theirs[question] for question in both])
    error = float(difference.std(ddof=1) / np.sqrt(len(both)))
    half = float(stats.t.ppf(0.975, len(both) - 1)) * error
    return {"mean": float(difference.mean()), "half": half, "questions": len(both)}


def behind(row: Record) -> list[str]:
    """The scores in which a rival is ahead of whygen by more than the interval."""
    found = row.get("ahead") or {}
    return [score for score, some in found.items() if some is not None and some["mean"] + some["half"] < 0.0]
