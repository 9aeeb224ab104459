"""Intervals of the levels of a long prompt: by a second road, and by simulation where answers are 0 or 1.

Coverage of 95% in some hundred levels does not tell a divisor of P from one of P - 1: the first tests do. The bounds of
the others are those of the issue (92-98%; more where odd answers are rare), with three standard errors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from whygen.prompt.effects import Effects
from whygen.prompt.estimands import load_estimand
from whygen.prompt.intervals import cross_fit
from whygen.prompt.long.levels import TOTALS, Level, LevelRows, first_level, level_of, open_part, t_test
from whygen.prompt.long.parts import PromptPart, Skeleton, paired_children, size_law
from whygen.prompt.surrogates import load_surrogate
from whygen.stats.intervals import tail_degrees

Floats = NDArray[np.float64]
RIDGE = load_surrogate("ridge")


def quantile(degrees: Floats | float) -> Floats:
    return np.asarray(stats.t.ppf(0.975, degrees))


class Asked(NamedTuple):
    rows: LevelRows
    children: list[PromptPart]


def asked(seed: int, *, n: int = 5, pairs: int = 16) -> Asked:
    """A level of n words whose answers are 0 or 1, most often with the first."""
    rng = np.random.default_rng(seed)
    masks = np.vstack([paired_children(n, pairs, rng), np.tile([[True], [False]], (TOTALS, n))])
    effects = (rng.random(len(masks)) < np.where(masks[:, 0], 0.8, 0.3)).astype(np.float64)
    numbers = np.arange(len(masks))
    nothing = np.full(len(masks), np.nan)
    children = [PromptPart(place + 1, 0, "word", place, place + 1, ()) for place in range(n)]
    return Asked(LevelRows(masks, effects, nothing, numbers // 2, numbers), children)


def told(level: Asked, seed: int, *, unseen: float) -> Level:
    found = level_of(level.rows, level.children, RIDGE, np.random.default_rng(seed), unseen=unseen)
    assert found is not None
    return found


class Hand(NamedTuple):
    """What the limits of a level are made of: half widths of the values, and of their sum."""

    half: Floats
    whole: float


def by_hand(level: Asked, seed: int, *, unseen: float) -> Hand:
    """The same from sums of squares: the scores alone are those of the package."""
    rows, n, last = level.rows, len(level.children), 2 * TOTALS
    masks, pairs = rows.masks[:-last], rows.effects[:-last].reshape(-1, 2)
    deltas = rows.effects[-last::2] - rows.effects[-last + 1 :: 2]
    total = deltas.sum() / TOTALS
    centred = (pairs - pairs.sum(axis=1, keepdims=True) / 2.0).ravel()
    observed = Effects(masks, centred, np.arange(len(masks)) // 2, sizes=size_law(n), total=float(total))
    fit = cross_fit(observed, RIDGE, np.random.default_rng(seed))
    groups = len(pairs)
    variance = ((fit.scores - fit.scores.sum(axis=0) / groups) ** 2).sum(axis=0) / (groups - 1) / groups
    variance = np.maximum(variance, variance.sum() / n)
    degrees = np.maximum(tail_degrees(fit.scores) * (fit.folds - 1) / fit.folds, 1.0)
    span = rows.effects.max() - rows.effects.min()
    weights = (observed.weights() ** 2).sum(axis=0) / len(masks)
    odd = unseen * weights / 4.0 * (span / (groups + 1.0)) ** 2
    whole = ((deltas - total) ** 2).sum() / (TOTALS - 1) / TOTALS + unseen * (span / (TOTALS + 1.0)) ** 2
    sum_of_all = float(quantile(TOTALS - 1) * np.sqrt(whole))
    half = np.sqrt(quantile(degrees) ** 2 * variance + quantile(groups - 1) ** 2 * odd + (sum_of_all / n) ** 2)
    return Hand(half, sum_of_all)


@pytest.mark.parametrize("unseen", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(6))
def test_limits_of_a_level_are_those_of_its_scores_its_sum_and_what_was_not_seen(seed: int, unseen: float) -> None:
    level = asked(seed)
    found, hand = told(level, seed, unseen=unseen), by_hand(level, seed, unseen=unseen)
    assert found.values - found.low == pytest.approx(hand.half)
    assert found.high - found.values == pytest.approx(hand.half)
    assert found.total is not None
    assert found.total[2] - found.total[1] == pytest.approx(2.0 * hand.whole)


@pytest.mark.parametrize("seed", range(4))
def test_no_value_of_a_level_is_surer_than_its_interval(seed: int) -> None:
    """A p-value under 5% needs an interval that leaves zero out; the other way round the bootstrap may object."""
    found = told(asked(seed), seed, unseen=0.3)
    outside = (found.low > 0.0) | (found.high < 0.0)
    assert outside[found.p_values < 0.05].all()
    half = np.array([0.1, 2.0])
    assert t_test(half, half, 15) == pytest.approx(0.05)


SIZES = (4, 2, 3, 2)


def prompt() -> Skeleton:
    """Four sentences with their words."""
    parts = [PromptPart(0, None, "prompt", 0, sum(SIZES), ())]
    roots, first = [], 0
    for size in SIZES:
        index = len(parts)
        roots.append(index)
        parts.append(PromptPart(index, 0, "sentence", first, first + size, tuple(range(index + 1, index + 1 + size))))
        parts += [PromptPart(index + 1 + i, index, "word", first + i, first + i + 1, ()) for i in range(size)]
        first += size
    parts[0] = PromptPart(0, None, "prompt", 0, first, tuple(roots))
    return Skeleton(tuple(parts))


class Model:
    """Says 1 with a chance of .85 with the first word and .3 without, or surely so but for an odd answer at times."""

    def __init__(self, odd: float | None, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 11])
        self.without, self.with_it = (0.3, 0.85) if odd is None else (odd, 1.0 - odd)

    def __call__(self, masks: NDArray[np.bool_]) -> Floats:
        chance = np.where(masks[:, 0], self.with_it, self.without)
        return (self.rng.random(len(masks)) < chance).astype(np.float64)

    def twice(self, masks: NDArray[np.bool_], effects: Floats) -> Floats:
        """Half of the masks drawn again."""
        again = self(masks)
        again[self.rng.permutation(len(masks))[len(masks) // 2 :]] = np.nan
        return np.column_stack([effects, again])


LEVELS = 150


@pytest.mark.parametrize(("odd", "low", "high"), [(None, 0.90, 0.985), (0.2, 0.90, 0.985), (0.05, 0.92, 1.0)])
def test_values_of_an_opened_part_are_covered(odd: float | None, low: float, high: float) -> None:
    skeleton, matters, idle, called = prompt(), [], [], []
    for seed in range(LEVELS):
        model = Model(odd, seed)
        found = open_part(
            skeleton, skeleton.parts[1], model, np.random.default_rng(seed),
            estimand=load_estimand("banzhaf"), surrogate=RIDGE, unseen={None: 0.45, 0.2: 0.65, 0.05: 0.9}[odd],
        )  # fmt: skip
        assert found is not None
        truth = np.array([model.with_it - model.without, 0.0, 0.0, 0.0])
        inside = (found.low <= truth) & (truth <= found.high)
        matters.append(inside[0])
        idle.append(inside[1:])
        called.append(found.p_values[1:] <= 0.05)
    assert low <= np.mean(matters) <= high
    assert low <= np.mean(idle) <= 1.0
    assert np.mean(called) <= 0.06


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
@pytest.mark.parametrize(("odd", "low", "high"), [(None, 0.90, 0.995), (0.05, 0.92, 1.0)])
def test_values_of_a_first_level_whose_masks_were_all_asked_are_covered(
    odd: float | None, low: float, high: float, estimand: str
) -> None:
    skeleton, matters, idle = prompt(), [], []
    for seed in range(LEVELS):
        model = Model(odd, seed)
        found = first_level(
            skeleton, model, np.random.default_rng(seed), estimand=load_estimand(estimand), surrogate=RIDGE,
            measure_noise=model.twice, total=None, known=False,
        )  # fmt: skip
        assert found is not None
        truth = np.array([model.with_it - model.without, 0.0, 0.0, 0.0])
        level, _ = found
        inside = (level.low <= truth) & (truth <= level.high)
        matters.append(inside[0])
        idle.append(inside[1:])
    assert low <= np.mean(matters) <= high
    assert low <= np.mean(idle) <= 1.0
