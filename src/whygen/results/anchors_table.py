"""One row an anchor, and the rows to look at first, with the reason in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.results.anchors_words import meanings

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorEvidence, AnchorExplanation

LOOK_FIRST = (4, 0, 3, 1, 2)
"""The rank of HIHE, HILE, LIHE, LILE and BELOW among the anchors to look at."""
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
        if evidence.p_high is not None:
            table[f"p_high_{criterion.name}"] = evidence.p_high[:, place].tolist()
    if evidence.comes_back is not None:
        table["comes_back"] = evidence.comes_back.tolist()
    if evidence.neighbour is not None and evidence.neighbour_distance is not None:
        looked = evidence.neighbour >= 0
        table["neighbour"] = _where(looked, evidence.neighbour)
        table["neighbour_distance"] = _where(looked, evidence.neighbour_distance)
    picked = {index for indices in explanation.selected.values() for index in indices}
    table["selected"] = [index in picked for index in range(n)]
    table["reason"] = list(reasons(explanation))
    return table


def _where(known: NDArray[np.bool_], values: NDArray[Any]) -> list[Any]:
    return [value if sure else None for sure, value in zip(known.tolist(), values.tolist(), strict=True)]


def look_at(explanation: AnchorExplanation) -> list[dict[str, Any]]:
    """The rows of the table that `telling` names, in its order."""
    evidence = _evidence(explanation)
    table = columns(explanation)
    rows = telling(evidence.codes, evidence.flip_rate, _excess(explanation, evidence), evidence.shown)
    return [{name: column[row] for name, column in table.items()} for row in rows.tolist()]


def telling(
    codes: NDArray[np.int8],
    flip_rate: NDArray[np.float64],
    excess: NDArray[np.float64],
    shown: NDArray[np.int64],
    *,
    most: int = MAX_ROWS,
) -> NDArray[np.int64]:
    """Anchors to look at: every representative, every anchor that is not HIHE, every unsure verdict.

    Representatives come first, then the groups in the order HILE, LILE, LIHE, HIHE, each by how far its anchors are
    above their thresholds; at most ``most``.
    """
    selected = np.zeros(len(codes), np.bool_)
    selected[shown] = True
    order = np.array(LOOK_FIRST)[codes]
    wanted = np.flatnonzero((codes != 0) | selected | (flip_rate > UNSURE))
    ranked = np.lexsort((wanted, -excess[wanted].max(axis=1), order[wanted], ~selected[wanted]))
    return wanted[ranked][:most].astype(np.int64)


def reasons(explanation: AnchorExplanation) -> Iterator[str]:
    """For each anchor, in words: its group, the criteria that failed and by how much, and how sure that is."""
    evidence = _evidence(explanation)
    above, said = _excess(explanation, evidence), meanings(explanation)
    floors = {} if explanation.tails is None else explanation.tails.floors
    names = [criterion.name for criterion in explanation.criteria]
    for row, code in enumerate(evidence.codes):
        parts = [said[_groups()[code]]]
        parts += [
            f"{name} {evidence.values[row, c]:.4g} against {explanation.thresholds[name]:.4g}"
            for c, name in enumerate(names)
            if above[row, c] > 0
        ]
        parts += [
            f"{name} {evidence.values[row, c]:.4g} below {floors[name]:.4g}"
            for c, name in enumerate(names)
            if name in floors and evidence.values[row, c] < floors[name]
        ]
        if evidence.comes_back is not None and code == 0 and not evidence.comes_back[row]:
            parts.append(
                "what comes back is no nearer to it than a mean sample, or than other samples' reconstructions"
            )
        if evidence.flip_rate[row] > UNSURE:
            parts.append(f"unsure: in another group in {evidence.flip_rate[row]:.0%} of other runs")
        yield "; ".join(parts)


def excess(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each criterion ``(n, c)`` lies above its threshold ``(c,)``, relative to it."""
    return (values - limits) / np.maximum(np.abs(limits), np.finfo(np.float64).tiny)


def _excess(explanation: AnchorExplanation, evidence: AnchorEvidence) -> NDArray[np.float64]:
    limits = np.array([explanation.thresholds[criterion.name] for criterion in explanation.criteria])
    return excess(evidence.values, limits)


def _evidence(explanation: AnchorExplanation) -> AnchorEvidence:
    if explanation.evidence is None:
        raise UsageError(
            "This explanation was loaded from its JSON alone. Load the folder that save wrote: it has the values too."
        )
    return explanation.evidence


def _groups() -> tuple[str, ...]:
    from whygen.results.anchors import GROUPS

    return GROUPS
