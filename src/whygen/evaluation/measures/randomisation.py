"""Sanity checks by randomisation: an explanation of nothing must not look like this one (Adebayo et al. 2018).

The black-box form makes no call: the recorded effects are dealt out to other masks and the surrogate is fitted again.
Where a model with random weights can be asked, its explanation of the same prompt is compared as well.
"""

from __future__ import annotations

import numpy as np

from whygen.evaluation.again import Again
from whygen.evaluation.compare import generalised_jaccard
from whygen.evaluation.measures.fidelity import dealt, observed_of, surrogate_of
from whygen.evaluation.measures.record import Found, Measure
from whygen.evaluation.measures.stability import beside
from whygen.results.prompt import PromptExplanation
from whygen.stats.seeds import generator

METRIC = "randomisation"
DEALS = 20
CHANCE = 500


def dealt_out(explanation: PromptExplanation, *, seed: int) -> Found:
    """Generalised Jaccard with explanations of the same effects dealt out to other masks; chance is what it must be.

    Raises:
        DataError: if the explanation has no recorded masks.
    """
    observed, surrogate = observed_of(explanation), surrogate_of(explanation)
    if np.ptp(observed.effects) == 0.0:
        return []
    rng = generator(seed, "randomisation")
    own = surrogate.fit(observed).attributions()
    fits = [surrogate.fit(dealt(observed, rng)).attributions() for _ in range(DEALS)]
    overlaps = np.array([generalised_jaccard(own, other) for other in fits])
    turned = np.array([_cosine(own, other) for other in fits])
    by_chance = [generalised_jaccard(own, rng.permutation(fits[i % DEALS])) for i in range(CHANCE)]
    low, high = np.quantile(overlaps, [0.025, 0.975])
    least, most = np.quantile(turned, [0.025, 0.975])
    what = f"{DEALS} refits to effects dealt out to other masks; limits: 95% of them"
    return [
        Measure(
            metric=METRIC, name="generalised Jaccard, answers dealt out", value=float(overlaps.mean()), low=float(low),
            high=float(high), chance=float(np.mean(by_chance)),
            how=f"must be at chance; {what}; chance: their values dealt out to other units",
        ),
        Measure(
            metric=METRIC, name="cosine, answers dealt out", value=float(turned.mean()), low=float(least),
            high=float(most), chance=0.0, how=f"must be near 0; {what}",
        ),
    ]  # fmt: skip


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0.0 else 0.0


def untrained(again: Again, model: object, *, seed: int) -> Found:
    """The explanation beside that of a model with random weights, of the same prompt.

    Raises:
        BudgetError: if the budget has no room for it.
    """
    other = again.explain(METRIC, model=model)
    return beside(again.explanation, other, METRIC, "a model with random weights", seed=seed)
