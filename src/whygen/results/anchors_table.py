"""One row an anchor, and the rows to look at first, with the reason in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorEvidence, AnchorExplanation

MEANINGS = {
    "HIHE": "known and reproduced",
    "HILE": "confident, and wrong: the model takes it for one of its own and makes something else of it",
    "LIHE": "unsure, yet reproduced",
    "LILE": "neither known nor reproduced",
}
LOOK_FIRST = {"HILE": 0, "LILE": 1, "LIHE": 2, "HIHE": 3}
UNSURE = 0.2
"""A flip rate above this part makes a verdict one to look at, whatever the group."""
MAX_ROWS = 500


def columns(explanation: AnchorExplanation) -> dict[str, list[Any]]:
    """The table of `AnchorExplanation.table`, column by column.

    Raises:
        UsageError: if only the JSON was loaded.
    """
    evidence = _evidence(explanation)
    n = len(evidence.codes)
    table: dict[str, list[Any]] = {"index": list(range(n))}
    if evidence.names:
        table["name"] = list(evidence.names)
    if evidence.labels is not None:
        table["label"] = list(evidence.labels)
    table["group"] = [_groups()[code] for code in evidence.codes]
    table["flip_rate"] = evidence.flip_rate.tolist()
    for place, criterion in enumerate(explanation.criteria):
        table[criterion.name] = evidence.values[:, place].tolist()
        if evidence.p_values is not None:
            table[f"p_{criterion.name}"] = evidence.p_values[:, place].tolist()
    if evidence.neighbour is not None and evidence.neighbour_distance is not None:
        table["neighbour"] = evidence.neighbour.tolist()
        table["neighbour_distance"] = evidence.neighbour_distance.tolist()
    picked = {index for indices in explanation.selected.values() for index in indices}
    table["selected"] = [index in picked for index in range(n)]
    table["reason"] = list(reasons(explanation))
    return table


def look_at(explanation: AnchorExplanation, *, most: int = MAX_ROWS) -> list[dict[str, Any]]:
    """Rows to look at: every representative, every anchor that is not HIHE, every unsure verdict; most telling first.

    Representatives come first, then the groups in the order HILE, LILE, LIHE, HIHE, each by how far its anchors are
    from their thresholds; at most ``most`` rows.
    """
    evidence = _evidence(explanation)
    table = columns(explanation)
    excess = _excess(explanation, evidence).max(axis=1)
    wanted = [
        row
        for row, group in enumerate(table["group"])
        if group != "HIHE" or table["selected"][row] or evidence.flip_rate[row] > UNSURE
    ]
    wanted.sort(key=lambda row: (not table["selected"][row], LOOK_FIRST[table["group"][row]], -excess[row], row))
    return [{name: column[row] for name, column in table.items()} for row in wanted[:most]]


def reasons(explanation: AnchorExplanation) -> Iterator[str]:
    """For each anchor, in words: its group, the criteria that failed and by how much, and how sure that is."""
    evidence = _evidence(explanation)
    excess = _excess(explanation, evidence)
    names = [criterion.name for criterion in explanation.criteria]
    for row, code in enumerate(evidence.codes):
        parts = [MEANINGS[_groups()[code]]]
        parts += [
            f"{name} {evidence.values[row, c]:.4g} against {explanation.thresholds[name]:.4g}"
            for c, name in enumerate(names)
            if excess[row, c] > 0
        ]
        if evidence.flip_rate[row] > UNSURE:
            parts.append(f"unsure: in another group in {evidence.flip_rate[row]:.0%} of redraws")
        yield "; ".join(parts)


def _excess(explanation: AnchorExplanation, evidence: AnchorEvidence) -> NDArray[np.float64]:
    """How far each criterion lies above its threshold, relative to it: ``(n, c)``."""
    limits = np.array([explanation.thresholds[criterion.name] for criterion in explanation.criteria])
    return (evidence.values - limits) / np.maximum(np.abs(limits), np.finfo(np.float64).tiny)


def _evidence(explanation: AnchorExplanation) -> AnchorEvidence:
    if explanation.evidence is None:
        raise UsageError(
            "This explanation was loaded from its JSON alone. Load the folder that save wrote: it has the values too."
        )
    return explanation.evidence


def _groups() -> tuple[str, ...]:
    from whygen.results.anchors import GROUPS

    return GROUPS
