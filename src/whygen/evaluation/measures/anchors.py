"""Measures of an explanation by anchors: do its groups stay, are they right, do they cover? METHODS B2-B6."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError, UsageError
from whygen.evaluation.measures.ranking import adjusted_rand, auroc
from whygen.evaluation.measures.record import Found, Measure
from whygen.results.anchors import AnchorEvidence, AnchorExplanation
from whygen.stats.seeds import generator

ROUNDS = 500
_PAIRS = 20
"""Pairs of posterior draws compared."""

Floats = NDArray[np.float64]


def stability(explanation: AnchorExplanation, *, seed: int) -> Found:
    """How far posterior draws agree about the groups, by adjusted Rand index and share of anchors.

    Raises:
        DataError: if the arrays or the thresholds are missing, or there is one draw only.
    """
    evidence = _evidence(explanation)
    if len(evidence.draws) < 2:
        raise DataError("The explanation rests on one posterior draw: give draws=8, and the groups can be compared.")
    codes = codes_by_draw(explanation)
    rng = generator(seed, "anchor stability")
    pairs = [tuple(rng.choice(len(codes), size=2, replace=False).tolist()) for _ in range(_PAIRS)]
    rand = np.array([adjusted_rand(codes[a], codes[b]) for a, b in pairs])
    same = np.array([(codes[a] == codes[b]).mean() for a, b in pairs])
    shares = np.bincount(codes.ravel(), minlength=4) / codes.size
    how = f"over {_PAIRS} pairs of {len(codes)} posterior draws; limits: 95% of the pairs"
    return [
        _row("stability", "adjusted Rand index between draws", rand, 0.0, f"0 by construction at chance; {how}"),
        _row(
            "stability", "same group in two draws", same, float((shares**2).sum()),
            f"share of anchors; chance: groups of these sizes at random; {how}",
        ),
    ]  # fmt: skip


def accuracy(explanation: AnchorExplanation, labels: Sequence[bool | int], *, seed: int) -> Found:
    """Do the criteria tell samples that the model should know (label 1) from those it should not (0)?

    Raises:
        UsageError: if there are not as many labels as anchors, or they are not 0 and 1.
        DataError: if the arrays are missing, or all labels are alike.
    """
    evidence = _evidence(explanation)
    truth = _checked(labels, explanation)
    rng = generator(seed, "anchor accuracy")
    known = evidence.codes == 0
    found: list[Measure] = []
    for place, criterion in enumerate(explanation.criteria):
        scores = -evidence.values[:, place]
        drawn = _bootstrap(truth, scores, rng)
        found.append(
            Measure(
                metric="accuracy", name=f"AUROC, {criterion.name}", value=auroc(truth, scores),
                low=drawn[0], high=drawn[1], chance=0.5,
                how=f"low = known; interval: {ROUNDS} bootstrap samples of anchors",
            )
        )  # fmt: skip
    right = (known == truth).astype(float)
    shares = [float(right[rng.integers(len(right), size=len(right))].mean()) for _ in range(ROUNDS)]
    low, high = np.quantile(shares, [0.025, 0.975])
    by_chance = float(known.mean() * truth.mean() + (1 - known.mean()) * (1 - truth.mean()))
    found.append(
        Measure(
            metric="accuracy", name="share right, HIHE = known", value=float(right.mean()), low=float(low),
            high=float(high), chance=by_chance,
            how=f"chance: as many at random; interval: {ROUNDS} bootstrap samples of anchors",
        )
    )  # fmt: skip
    return found


def coverage(explanation: AnchorExplanation) -> Found:
    """What the anchors cover of the reference, beside what samples of one law would.

    Raises:
        DataError: if coverage was not measured.
    """
    details = explanation.details
    if details is None or details.coverage is None:
        raise DataError("The explanation has no coverage: it is measured against a reference= of real samples.")
    found = details.coverage
    return [
        Measure(
            metric="coverage", name="coverage of the reference", value=found.share, chance=found.expected,
            how="share of reference samples with an anchor among their nearest; chance: anchors and reference of one "
            "law (METHODS B6), which is the most to hope for",
        )
    ]  # fmt: skip


def cost(explanation: AnchorExplanation) -> Found:
    """Seconds of each phase, as recorded.

    Raises:
        DataError: if only the JSON was loaded.
    """
    if explanation.details is None:
        raise DataError("The explanation has no times: load the folder that -o wrote, not explanation.json alone.")
    return [
        Measure(metric="cost", name=f"seconds, {phase}", value=value, unit="s", how="as recorded when it was made")
        for phase, value in explanation.details.seconds.items()
    ]


def codes_by_draw(explanation: AnchorExplanation) -> NDArray[np.int64]:
    """Group of each anchor under each posterior draw alone, shape ``(S, n)``.

    Raises:
        DataError: if the arrays or thresholds are missing.
    """
    evidence, details = _evidence(explanation), explanation.details
    if details is None:
        raise DataError("The explanation has no thresholds: load the folder that -o wrote.")
    low = {"intrinsic": np.zeros(evidence.draws.shape[:2], bool), "extrinsic": np.zeros(evidence.draws.shape[:2], bool)}
    limits = {record.criterion: record for record in details.thresholds}
    for place, criterion in enumerate(explanation.criteria):
        if criterion.name not in limits:
            raise DataError(f"The explanation says no threshold of criterion {criterion.name!r}.")
        limit, values = limits[criterion.name], evidence.draws[:, :, place]
        low[criterion.kind] |= ~(values < limit.value if limit.comparison == "<" else values <= limit.value)
    return 2 * low["intrinsic"].astype(np.int64) + low["extrinsic"]


def _evidence(explanation: AnchorExplanation) -> AnchorEvidence:
    if explanation.evidence is None:
        raise DataError("The explanation has no arrays: load the folder that -o wrote, not explanation.json alone.")
    return explanation.evidence


def _checked(labels: Sequence[bool | int], explanation: AnchorExplanation) -> NDArray[np.bool_]:
    if len(labels) != explanation.n_anchors:
        raise UsageError(
            f"labels has {len(labels)} entries, and the explanation has {explanation.n_anchors} anchors. Give one for "
            "each, 1 where the model should know it."
        )
    odd = [label for label in labels if label not in (0, 1)]
    if odd:
        raise UsageError(f"labels holds {odd[0]!r}: 1 where the model should know the anchor, else 0.")
    truth = np.array([bool(label) for label in labels])
    if truth.all() or not truth.any():
        raise DataError(f"All labels are {int(truth[0])}: nothing can be told apart. Accuracy needs both kinds.")
    return truth


def _bootstrap(truth: NDArray[np.bool_], scores: Floats, rng: np.random.Generator) -> tuple[float, float]:
    values = list[float]()
    for _ in range(ROUNDS):
        rows = rng.integers(len(truth), size=len(truth))
        if 0 < truth[rows].sum() < len(rows):
            values.append(auroc(truth[rows], scores[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _row(metric: str, name: str, values: Floats, chance: float, how: str) -> Measure:
    low, high = np.quantile(values, [0.025, 0.975])
    return Measure(
        metric=metric, name=name, value=float(values.mean()), low=float(low), high=float(high), chance=chance, how=how
    )
