"""Accuracy: do the attributions point at the units that people (or a rule) marked? METHODS A7."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError, UsageError
from whygen.evaluation.measures import ranking
from whygen.evaluation.measures.record import Found, Measure
from whygen.results.prompt import PromptExplanation
from whygen.stats.seeds import generator

METRIC = "accuracy"
ROUNDS = 1000

Bools = NDArray[np.bool_]


def accuracy(explanation: PromptExplanation, labels: Sequence[bool | int], *, seed: int) -> Found:
    """AUROC of the signed attributions, ATT ACC and F1 of the units marked by them, against labels.

    The thesis's threshold is in no code that was published. Here a unit counts as marked when it is among the k
    strongest, k the number of labelled units, and in a second pair of figures when it is significant and positive.

    Args:
        explanation: the explanation.
        labels: for each unit whether it matters, 1 or 0.
        seed: of the bootstrap over units.

    Raises:
        UsageError: if there are not as many labels as units, or they are not 0 and 1.
        DataError: if all labels are alike.
    """
    truth = checked(labels, explanation)
    values = np.array([unit.attribution for unit in explanation.units])
    k, n, rng = int(truth.sum()), len(truth), generator(seed, "accuracy")
    strongest = np.zeros(n, dtype=bool)
    strongest[np.argsort(-values, kind="stable")[:k]] = True
    significant = np.array([unit.significant and unit.attribution > 0 for unit in explanation.units])

    def auroc(rows: NDArray[np.int64]) -> float:
        return ranking.auroc(truth[rows], values[rows])

    found = [_measure("AUROC", auroc, n, rng, chance=0.5, how="of the signed attributions against the labels")]
    for marked, rule in ((strongest, f"the {k} strongest units"), (significant, "significant positive units")):
        chance = by_chance(n, k, int(marked.sum()))

        def share(rows: NDArray[np.int64], marked: Bools = marked) -> float:
            return float((marked[rows] == truth[rows]).mean())

        def f1(rows: NDArray[np.int64], marked: Bools = marked) -> float:
            return f1_score(truth[rows], marked[rows])

        how = f"marked: {rule}; chance: as many units at random, in closed form"
        found.append(_measure(f"ATT ACC, {_short(rule)}", share, n, rng, chance=chance[0], how=how))
        found.append(_measure(f"F1, {_short(rule)}", f1, n, rng, chance=chance[1], how=how))
    return found


def checked(labels: Sequence[bool | int], explanation: PromptExplanation) -> Bools:
    """Labels as booleans, shape ``(n,)``.

    Raises:
        UsageError: if there are not as many as units, or they are not 0 and 1.
        DataError: if all are alike.
    """
    units = explanation.units
    if len(labels) != len(units):
        texts = ", ".join(repr(unit.text) for unit in units[:8])
        raise UsageError(
            f"labels has {len(labels)} entries, and the explanation has {len(units)} units ({texts}"
            f"{' ...' if len(units) > 8 else ''}). Give one label for each unit, in this order."
        )
    odd = [label for label in labels if label not in (0, 1)]
    if odd:
        raise UsageError(f"labels holds {odd[0]!r}: a label is 1 (or true) where the unit matters, else 0 (or false).")
    truth = np.array([bool(label) for label in labels])
    if truth.all() or not truth.any():
        raise DataError(f"All labels are {int(truth[0])}: nothing can be told apart. Accuracy needs both kinds.")
    return truth


def f1_score(truth: Bools, marked: Bools) -> float:
    """``2 TP / (2 TP + FP + FN)``; 0 where nothing is marked nor labelled."""
    both, sides = int((truth & marked).sum()), int(truth.sum()) + int(marked.sum())
    return 2.0 * both / sides if sides else 0.0


def by_chance(n: int, labelled: int, marked: int) -> tuple[float, float]:
    """Expected share right and F1 when ``marked`` of n units are marked at random; the overlap is hypergeometric."""
    both = labelled * marked / n
    right = (both + (n - labelled - marked + both)) / n
    return right, 2.0 * both / (labelled + marked)


def _short(rule: str) -> str:
    return "k strongest" if "strongest" in rule else "significant"


def _measure(
    name: str,
    of: Callable[[NDArray[np.int64]], float],
    n: int,
    rng: np.random.Generator,
    *,
    chance: float,
    how: str,
) -> Measure:
    drawn = np.array([of(rng.integers(n, size=n)) for _ in range(ROUNDS)])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measure(
        metric=METRIC,
        name=name,
        value=of(np.arange(n)),
        low=float(low),
        high=float(high),
        chance=chance,
        how=f"{how}; interval: {ROUNDS} bootstrap samples of units",
    )
