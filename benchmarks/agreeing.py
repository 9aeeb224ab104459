"""How far explanations of one prompt agree, and how far they would by chance: what several studies share.

The generalised Jaccard index is ``sum min(|a|, |b|) / sum max(|a|, |b|)``; by chance, the values of one are dealt out
to other units. That of the k strongest units has k = the number of words that truly matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from whygen.evaluation.compare import chance_jaccard, generalised_jaccard, rank_correlation, top_jaccard
from whygen.results.prompt import PromptExplanation

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]

GENERALISED, TOP, RANKS = "generalised Jaccard", "top-k Jaccard", "rank correlation"
ROUNDS = 50


def attributions(explanation: PromptExplanation) -> Floats:
    return np.array([unit.attribution for unit in explanation.units])


def within(values: Sequence[Floats]) -> list[Pair]:
    """Every pair of several explanations."""
    return list(combinations(values, 2))


def between(ones: Sequence[Floats], others: Sequence[Floats]) -> list[Pair]:
    """Every pair of one of these and one of those that have other seeds: equal places mean equal masks."""
    return [(a, b) for (i, a), (j, b) in product(enumerate(ones), enumerate(others)) if i != j]


def measures(pairs: Iterable[Pair], k: int) -> dict[str, Floats]:
    """Each measure of each pair. Where one side says nothing, ranks correlate by 0."""
    found = [(generalised_jaccard(a, b), top_jaccard(a, b, k), rank_correlation(a, b) or 0.0) for a, b in pairs]
    return dict(zip((GENERALISED, TOP, RANKS), np.array(found).T, strict=True))


def chance(pairs: Sequence[Pair], k: int, rng: np.random.Generator) -> dict[str, float]:
    dealt = [generalised_jaccard(a, rng.permutation(b)) for a, b in pairs for _ in range(max(1, ROUNDS // len(pairs)))]
    return {GENERALISED: float(np.mean(dealt)), TOP: chance_jaccard(len(pairs[0][0]), k), RANKS: 0.0}


def with_interval(values: Iterable[float]) -> dict[str, float]:
    """Mean over prompts with its 95% interval by Student's t; one prompt has none."""
    array = np.array(list(values), dtype=np.float64)
    if len(array) < 2:
        return {"mean": float(array.mean()), "low": float("nan"), "high": float("nan")}
    half = float(stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return {"mean": float(array.mean()), "low": float(array.mean()) - half, "high": float(array.mean()) + half}
