"""What can be said of an explanation of anchors from its own record. METHODS B4, B5, B6; no call is made.

``groups``: the share of each group with its interval over other calibrations, and how often a redraw of calibration and
posterior puts an anchor elsewhere, beside how often a group drawn by the shares alone would be another one.
``coverage``: of the reference, beside what equal distributions give. ``representatives``: their diversity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from whygen.errors import UsageError
from whygen.evaluation.case import percentiles
from whygen.evaluation.result import Measure
from whygen.results.anchors import AnchorExplanation, Details
from whygen.stats.seeds import generator

DRAWS = 2000


def _details(explanation: AnchorExplanation, metric: str) -> Details:
    if explanation.details is None:
        raise UsageError(
            f"{metric} needs details.json, and the explanation was loaded from its JSON file alone: load its folder."
        )
    return explanation.details


def groups(explanation: AnchorExplanation, seed: int) -> list[Measure]:
    """Shares of the groups, and the flip rate.

    Raises:
        UsageError: if details or evidence were not loaded.
    """
    _details(explanation, "groups")
    evidence = explanation.evidence
    if evidence is None:
        raise UsageError("groups needs the flip rate of each anchor (arrays.safetensors): load the whole folder.")
    rows: list[Measure] = []
    both = explanation.schema_version > 1
    how = f"share of anchors. Interval: {'other anchors and another reference' if both else 'other anchors (Wilson)'}"
    for name, group in explanation.groups.items():
        rows.append(
            Measure(
                metric="groups", name=f"share_{name}", value=group.share, low=group.low, high=group.high,
                n=explanation.n_anchors, better="neither", how=how,
            )
        )  # fmt: skip
    shares = np.array([group.share for group in explanation.groups.values()])
    rng = generator(seed, "flip rate")
    flips = evidence.flip_rate
    means = flips[rng.integers(len(flips), size=(DRAWS, len(flips)))].mean(axis=1)
    low, high = percentiles(means)
    rows.append(
        Measure(
            metric="groups", name="flip_rate", value=explanation.mean_flip_rate, low=low, high=high,
            chance=float(1.0 - (shares**2).sum()), n=len(flips), better="lower",
            how="how often a redraw of calibration and posterior puts an anchor in another group. Interval: bootstrap "
            "over anchors. Chance: two groups drawn by their shares differ, closed form",
        )
    )  # fmt: skip
    return rows


def coverage(explanation: AnchorExplanation, seed: int) -> list[Measure]:
    """Share of the reference that anchors cover.

    Raises:
        UsageError: if it was not measured.
    """
    del seed
    found = _details(explanation, "coverage").coverage
    if found is None:
        raise UsageError("coverage needs a reference: explain with reference=, real samples the model has not seen.")
    return [
        Measure(
            metric="coverage", name="coverage", value=found.share, chance=found.expected, n=explanation.n_anchors,
            better="higher",
            how="share of reference samples with an anchor nearer than their own neighbours; no interval. Chance: what "
            "equal distributions give, closed form",
        )
    ]  # fmt: skip


def representatives(explanation: AnchorExplanation, seed: int) -> list[Measure]:
    """Diversity of the representatives of each group, and how many times better the best may be.

    Raises:
        UsageError: if none were selected.
    """
    del seed
    selections = _details(explanation, "representatives").selections
    rows: list[Measure] = []
    for name, found in selections.items():
        n = len(explanation.selected.get(name, ()))
        for figure, value, better, how in (
            ("diversity", found.diversity, "higher", f"mean pairwise distance ({found.metric})"),
            ("covering_radius", found.covering_radius, "lower", "largest distance of a member to its representative"),
            ("gap", found.gap, "lower", "at most so many times better is the best selection"),
        ):  # fmt: skip
            if value is not None:
                rows.append(
                    Measure(
                        metric="representatives", name=f"{figure}_{name}", value=value, n=n,
                        better="higher" if better == "higher" else "lower",
                        how=f"{how}; {found.name}, one selection: no interval, and the record holds no chance level",
                    )
                )  # fmt: skip
    if not rows:
        raise UsageError("representatives: no group has any. Explain with select='k-dispersion:5', on more anchors.")
    return rows


METRICS: Mapping[str, Callable[[AnchorExplanation, int], list[Measure]]] = {
    "groups": groups,
    "coverage": coverage,
    "representatives": representatives,
}
