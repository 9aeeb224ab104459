"""An explanation of anchors in rows: one an anchor, and those to look at first, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.results.anchors_words import meanings, returned

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorEvidence, AnchorExplanation

LOOK_FIRST = (4, 0, 3, 1, 2)
"""The rank of HIHE, HILE, LIHE, LILE and BELOW among the anchors to look at."""
UNSURE = 0.2
"""A flip rate above this part makes a verdict one to look at, whatever the group."""
MAX_ROWS = 500
_NO_NEARER = "{what} is no nearer to it than a mean sample, or than {others}"


def columns(explanation: AnchorExplanation) -> dict[str, list[Any]]:
    """The table of `AnchorExplanation.table`, column by column.

    Raises:
        UsageError: if only the JSON was loaded.
    """
    evidence = _evidence(explanation)
    n = len(evidence.codes)
    table: dict[str, list[Any]] = {"index": list(range(n))}
    for name, known in (("name", evidence.names or None), ("label", evidence.labels), ("role", evidence.roles)):
        if known is not None:
            table[name] = list(known)
    table["group"] = [explanation.group_names[code] for code in evidence.codes.tolist()]
    table["flip_rate"] = evidence.flip_rate.tolist()
    for place, criterion in enumerate(explanation.criteria):
        table[criterion.name] = evidence.values[:, place].tolist()
        for prefix, p in (("p", evidence.p_values), ("p_high", evidence.p_high), ("p_memorised", evidence.p_memorised)):
            if p is not None:
                table[f"{prefix}_{criterion.name}"] = p[:, place].tolist()
    for name, marks in (("memorised", evidence.memorised), ("comes_back", evidence.comes_back)):
        if marks is not None:
            table[name] = marks.tolist()
    for name in ("neighbour", "nearest_training"):
        found, distance = getattr(evidence, name), getattr(evidence, f"{name}_distance")
        if found is not None and distance is not None:
            table |= {name: _where(found >= 0, found), f"{name}_distance": _where(found >= 0, distance)}
    table |= _searches(explanation)
    picked = {index for indices in explanation.selected.values() for index in indices}
    table["selected"] = [index in picked for index in range(n)]
    table["reason"] = list(reasons(explanation))
    return table


def _searches(explanation: AnchorExplanation) -> dict[str, list[bool]]:
    """Which searches among latents failed, where some did."""
    failed = None if explanation.scores is None else explanation.scores.arrays.get("anchors/failed")
    return {} if failed is None or not failed.any() else {"search_failed": failed.tolist()}


def _where(known: NDArray[np.bool_], values: NDArray[Any]) -> list[Any]:
    return [value if sure else None for sure, value in zip(known.tolist(), values.tolist(), strict=True)]


def look_at(explanation: AnchorExplanation) -> list[dict[str, Any]]:
    """The rows of the table that `telling` names, in its order."""
    evidence = _evidence(explanation)
    table = columns(explanation)
    rows = telling(evidence.codes, evidence.flip_rate, _excess(explanation, evidence.values), evidence.shown)
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


def worst_first(explanation: AnchorExplanation, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those anchors, the one farthest above a threshold first."""
    values = _evidence(explanation).draws[:, rows].mean(axis=0)
    beyond = _excess(explanation, values).max(axis=1, initial=-np.inf)
    return rows[np.lexsort((rows, -beyond))].astype(np.int64)


def reasons(explanation: AnchorExplanation, rows: Sequence[int] | None = None) -> Iterator[str]:
    """For each anchor, or for those, in words: its group, which criteria failed by how much, and how sure that is."""
    evidence = _evidence(explanation)
    places = np.arange(len(evidence.codes)) if rows is None else np.asarray(rows, dtype=np.int64)
    values = evidence.draws[:, places].mean(axis=0)
    above, said = _excess(explanation, values), meanings(explanation)
    floors = {} if explanation.tails is None else explanation.tails.floors
    names = [criterion.name for criterion in explanation.criteria]
    known = explanation.group_names
    for at, row in enumerate(places.tolist()):
        code = int(evidence.codes[row])
        parts = [said[known[code]]]
        parts += [
            f"{name} {values[at, c]:.4g} against {explanation.thresholds[name]:.4g}"
            for c, name in enumerate(names)
            if above[at, c] > 0
        ]
        parts += [
            f"{name} {values[at, c]:.4g} below {floors[name]:.4g}"
            for c, name in enumerate(names)
            if name in floors and values[at, c] < floors[name]
        ]
        if evidence.comes_back is not None and code == 0 and not evidence.comes_back[row]:
            parts.append(_NO_NEARER.format(what=returned(explanation)[0], others=returned(explanation)[1]))
        if evidence.flip_rate[row] > UNSURE:
            parts.append(f"unsure: in another group in {evidence.flip_rate[row]:.0%} of other runs")
        yield "; ".join(parts)


LEAST_LIMIT = 1e-12
"""A threshold nearer to 0 is taken for this where values are compared with it: log-densities may have it at 0."""


def excess(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each criterion ``(n, c)`` lies above its threshold ``(c,)``, relative to it."""
    return (values - limits) / np.maximum(np.abs(limits), LEAST_LIMIT)


def _excess(explanation: AnchorExplanation, values: NDArray[np.float64]) -> NDArray[np.float64]:
    limits = np.array([explanation.thresholds[criterion.name] for criterion in explanation.criteria])
    return excess(values, limits)


def _evidence(explanation: AnchorExplanation) -> AnchorEvidence:
    if explanation.evidence is None:
        raise UsageError(
            "This explanation was loaded from its JSON alone. Load the folder that save wrote: it has the values too."
        )
    return explanation.evidence
