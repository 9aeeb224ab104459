"""Faithfulness: what happens to the output when units go in the order of their attributions. METHODS A7.

Deletion takes the strongest units away first, insertion brings them back first (Petsiuk et al. 2018). AOPC averages the
fall over the deletion curve (Samek et al. 2017), here divided by f(1) - f(0) so that prompts can be compared;
comprehensiveness is the fall without the k strongest units, sufficiency that with them alone (DeYoung et al. 2020).
The chance level is the mean over random orders: their insertion curve is the deletion curve of the reversed order, so
one set of calls serves both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError
from whygen.evaluation.again import Again
from whygen.evaluation.measures.record import Found, Measure
from whygen.stats.seeds import generator
from whygen.types import Masks

METRIC = "faithfulness"
STEPS = 10
"""Points of a curve, at most."""
ORDERS = 5
"""Random orders."""
DRAWS = 4
"""Answers to each mask where the model's repeats differ."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """What was seen along the orders.

    Attributes:
        counts: units taken away (or brought back) at each point, shape ``(steps,)``.
        deletion: effects of the order and of the random ones, shape ``(1 + orders, steps, draws)``.
        insertion: likewise.
        whole: f(1).
        empty: f(0).
    """

    counts: NDArray[np.int64]
    deletion: Floats
    insertion: Floats
    whole: float
    empty: float


def points(n: int) -> NDArray[np.int64]:
    """How many units are gone at each point of a curve: every number, or ten spread evenly; the last is n."""
    return np.unique(np.round(np.linspace(1, n, min(n, STEPS))).astype(np.int64))


def along(order: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[Masks, Masks]:
    """Masks without, and with only, the first units of an order; two of shape ``(steps, n)``."""
    without = np.ones((len(counts), len(order)), dtype=bool)
    for row, count in enumerate(counts.tolist()):
        without[row, order[:count]] = False
    return without, ~without


def faithfulness(again: Again, *, seed: int) -> Found:
    """Deletion, insertion, normalised AOPC, comprehensiveness and sufficiency, each beside random orders.

    Raises:
        BudgetError: if the budget has no room for the curves.
        DataError: if the output does not change when every unit is gone.
    """
    curves = _curves(again, generator(seed, "faithfulness"))
    fall = curves.whole - curves.empty
    if abs(fall) <= 1e-9 * max(abs(curves.whole), abs(curves.empty), 1e-300):
        raise DataError("The output does not change when every unit is gone: there is nothing to be faithful to.")
    unit, how = again.explanation.target.unit, _how(curves)
    k = _strongest(again)
    near = int(np.argmin(np.abs(curves.counts - k)))
    rows = {
        "deletion": (_area(curves.deletion, curves.counts, curves.whole), unit, "mean effect over the curve; lower"),
        "insertion": (_area(curves.insertion, curves.counts, curves.empty), unit, "mean effect over the curve; higher"),
        "normalised AOPC": (
            (curves.whole - curves.deletion).mean(axis=1) / fall, "share of f(1) - f(0)", "mean fall; higher",
        ),
        "comprehensiveness": (
            (curves.whole - curves.deletion[:, near]) / fall, "share of f(1) - f(0)",
            f"fall without the {curves.counts[near]} strongest units; higher",
        ),
        "sufficiency": (
            (curves.whole - curves.insertion[:, near]) / fall, "share of f(1) - f(0)",
            f"fall with the {curves.counts[near]} strongest units alone; lower",
        ),
    }  # fmt: skip
    return [_measure(name, values, unit, f"{what} is better; {how}") for name, (values, unit, what) in rows.items()]


def _strongest(again: Again) -> int:
    return max(1, sum(unit.significant for unit in again.explanation.units))


def _curves(again: Again, rng: np.random.Generator) -> Curves:
    values = np.array([unit.attribution for unit in again.explanation.units])
    n = len(values)
    counts = points(n)
    orders = [np.argsort(-values, kind="stable"), *(rng.permutation(n) for _ in range(ORDERS))]
    pairs = [along(order, counts) for order in orders]
    blocks = [block for pair in pairs for block in pair]
    masks, place = np.unique(np.concatenate([*blocks, np.zeros((1, n), bool)]), axis=0, return_inverse=True)
    draws = DRAWS if again.explanation.noise.differs else 1
    effects, repeats = again.effects(masks, METRIC, draws=draws)
    seen = effects[place.ravel()]
    both = seen[:-1].reshape(len(orders), 2, len(counts), draws)
    return Curves(counts, both[:, 0], both[:, 1], float(repeats.mean()), float(seen[-1].mean()))


def _area(curves: Floats, counts: NDArray[np.int64], start: float) -> Floats:
    """Area under each curve by the trapezoid rule, its first point included, over the number of units: ``(1 + orders,
    draws)``.
    """
    first = np.full((len(curves), 1, curves.shape[2]), start)
    whole = np.concatenate([first, curves], axis=1)
    at = np.concatenate([[0], counts]).astype(np.float64)
    return np.asarray(np.trapezoid(whole, at, axis=1) / at[-1])


def _measure(name: str, values: Floats, unit: str, how: str) -> Measure:
    """``values`` ``(1 + orders, draws)``: of the order of the attributions first, then of the random ones."""
    own, random = values[0], values[1:].mean(axis=1)
    half = 0.0 if len(own) == 1 else float(3.182 * own.std(ddof=1) / np.sqrt(len(own)))  # Student t, three degrees
    mean = float(own.mean())
    return Measure(
        metric=METRIC, name=name, value=mean, low=mean - half, high=mean + half,
        chance=float(random.mean()), unit=unit, how=f"{how} ({random.min():.3g} to {random.max():.3g})",
    )  # fmt: skip


def _how(curves: Curves) -> str:
    draws = curves.deletion.shape[2]
    sure = (
        "interval: none wider, the model repeats itself"
        if draws == 1
        else f"interval: Student t over {draws} answers to each mask"
    )
    return f"{len(curves.counts)} points; {sure}; chance: {ORDERS} random orders"
