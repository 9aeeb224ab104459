"""First stage of the page of two models on the same anchors: a plain dict that holds all it shows."""

from __future__ import annotations

from typing import Any

from whygen.report import anchors_svg
from whygen.report.texts import number, shorten, visible
from whygen.results.anchors_compared import AnchorComparison, ChangedAnchor
from whygen.results.anchors_words import percent
from whygen.results.summary.anchors_pictures import picture, steps

MOST_ROWS = 60
CHANGES = {
    "learned": "looks like the reference to the second model, and did not to the first",
    "forgotten": "looked like the reference to the first model, and does not to the second",
    "moved": "moved between other groups",
}


def summarise_compared(comparison: AnchorComparison) -> dict[str, Any]:
    """Everything that the page of a comparison shows, as JSON."""
    first, second = (visible(shorten(model, 60)) for model in comparison.models)
    return {
        "kind": "compared",
        "title": f"What changed? {first} and {second}",
        "models": [first, second],
        "headline": visible(comparison.headline),
        "notes": [visible(note) for note in comparison.notes],
        "groups": [
            {"name": row.group, "key": anchors_svg.key(row.group),
             "plain": visible(comparison.plain.get(row.group, "")), "first": percent(row.first),
             "second": percent(row.second), "difference": points(row.difference),
             "interval": f"{points(row.low)} to {points(row.high)}"}
            for row in comparison.groups
        ],
        "criteria": [
            {"name": visible(row.criterion), "first": number(row.first), "second": number(row.second),
             "difference": number(row.difference), "interval": f"{number(row.low)} to {number(row.high)}"}
            for row in comparison.criteria
        ],
        "columns": list(comparison.table),
        "table": [{"name": name, "cells": [f"{count:,}" for count in row.values()]}
                  for name, row in comparison.table.items()],
        "labels": [
            {"name": visible(str(row.label)), "n": f"{row.n:,}", "learned": f"{row.learned:,}",
             "forgotten": f"{row.forgotten:,}", "moved": f"{row.moved:,}"}
            for row in comparison.labels
        ][:MOST_ROWS],
        "galleries": _galleries(comparison),
        "changed": [_row(each) for each in comparison.changed[:MOST_ROWS]],
        "left_out": max(0, len(comparison.changed) - MOST_ROWS),
        "settings": [[visible(name), f"{visible(one)} | {visible(other)}"]
                     for name, (one, other) in comparison.settings.items()],
        "document": comparison.to_dict(),
    }  # fmt: skip


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed."""
    return f"{100 * difference:+.1f}"


def _row(each: ChangedAnchor) -> dict[str, str]:
    return {
        "name": visible(_name(each)),
        "change": each.change,
        "groups": f"{each.before} → {each.after}",
        "criteria": "; ".join(
            f"{visible(name)} {number(each.first[name])} → {number(each.second[name])}" for name in each.first
        ),
        "p": f"{each.p_value:.2g}",
    }


def _name(each: ChangedAnchor) -> str:
    name = f"anchor {each.index}" if each.name is None else shorten(each.name, 40)
    return name if each.label is None else f"{name}, label {each.label}"


def _galleries(comparison: AnchorComparison) -> list[dict[str, Any]]:
    """For each kind of change the anchors: original, by the first model, by the second."""
    if comparison.pictures is None:
        return []
    names = ("anchor", "by the first model", "by the second model")
    galleries: list[dict[str, Any]] = []
    for change, meaning in CHANGES.items():
        pictures = [
            {
                "name": visible(_name(each)),
                "caption": f"{each.before} → {each.after}, p {each.p_value:.2g}",
                "images": [{"name": name, **picture(steps(one))} for name, one in zip(names, shown, strict=True)],
                "why": _row(each)["criteria"],
            }
            for each, *shown in zip(comparison.changed, *comparison.pictures, strict=False)
            if each.change == change
        ]
        if pictures:
            galleries.append({"change": change, "meaning": meaning, "pictures": pictures})
    return galleries
