"""Values of the parts of one level, from masks that open one part or the prompt itself. METHODS A2, A3, A4.

The prompt's own parts, the first level, are read by the designs and estimators of short prompts. A part that is opened
has pairs of masks with the same surroundings, in which these cancel; its children share out what the part itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from whygen.prompt import designs, intervals
from whygen.prompt.designs import Design
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import Estimand
from whygen.prompt.long.parts import PromptPart, Skeleton, contexts, paired_children, put, size_law
from whygen.prompt.noise import MeasuredNoise, measure
from whygen.prompt.reading import mean_of_draws
from whygen.prompt.surrogates import Surrogate
from whygen.prompt.surrogates.linear import regression
from whygen.stats.intervals import moderated, student_half_width, tail_degrees
from whygen.stats.wild import Contrasts, wild_p
from whygen.types import Floats, Masks

Ask: TypeAlias = Callable[[Masks], Floats]
"""Effects of masks ``(m, n)`` over the finest units; NaN where the model gave no answer."""

MeasureNoise: TypeAlias = Callable[[Masks, Floats], Floats]
"""All draws ``(m, d)`` of masks, from their first effects ``(m,)`` (NaN: no answer)."""

PAIRS_PER_CHILD = 3

FEWEST_PAIRS = 16
"""Ten folds, and a sign-flip test that can pass a correction for many units."""

ROUNDING = 1e-9
"""A value below this share of the largest effect is zero, whatever sign its last digits have."""

TOTALS = 6
"""Pairs of masks with all children and with none, which the sum of the children is estimated from."""


@dataclass(frozen=True, slots=True)
class LevelRows:
    """What one level asked: word masks ``(m, n)``, effects and held-out predictions ``(m,)``, pairs, row numbers.

    ``predicted`` holds the part of the level's own parts alone, centred; `Search.predicted` adds what is around them.
    """

    masks: Masks
    effects: Floats
    predicted: Floats
    groups: NDArray[np.int64]
    asked: NDArray[np.int64]

    def with_more(self, rows: LevelRows) -> LevelRows:
        """These and others after them, whose groups are others too."""
        return LevelRows(
            np.concatenate([self.masks, rows.masks]),
            np.concatenate([self.effects, rows.effects]),
            np.concatenate([self.predicted, rows.predicted]),
            np.concatenate([self.groups, rows.groups + int(self.groups.max()) + 1]),
            np.concatenate([self.asked, rows.asked]),
        )


@dataclass(frozen=True, slots=True)
class Level:
    """Values of the children of a part, each ``(children,)``; ``spread`` is the standard deviation of the scores.

    ``total`` is what they sum to, ``(value, low, high)``: their parent's value seen again; None at the first level.
    """

    values: Floats
    low: Floats
    high: Floats
    p_values: Floats
    spread: Floats
    total: tuple[float, float, float] | None
    rows: LevelRows


def pairs_for(n: int) -> int:
    """Pairs of masks that a level of ``n`` parts is given."""
    return max(FEWEST_PAIRS, PAIRS_PER_CHILD * n)


def cost_of_opening(n: int) -> int:
    """Calls that opening a part of ``n`` children takes."""
    return 2 * (pairs_for(n) + TOTALS)


def cost_of_root(n: int) -> int:
    """Calls for a first level of ``n`` parts: all masks where these are no more than the pairs would be."""
    pairs = 2 * pairs_for(n)
    return 2**n - 1 if designs.fits_enumeration(n, pairs) else pairs


def first_level(
    skeleton: Skeleton,
    ask: Ask,
    rng: np.random.Generator,
    *,
    estimand: Estimand,
    surrogate: Surrogate,
    measure_noise: MeasureNoise,
    total: float | None,
    known: bool,
) -> tuple[Level, MeasuredNoise] | None:
    """Values of the first parts, and the model's noise as measured on their masks; None if too many calls failed.

    Args:
        skeleton: the parts.
        ask: the model.
        rng: draws the masks.
        estimand: one with a value for the parts of a hierarchy.
        surrogate: what is fitted.
        measure_noise: asks some masks again.
        known: whether equal questions are known to get equal answers.
        total: f(1) - f(0), for Shapley values.
    """
    children = skeleton.children(0)
    design = _design(len(children), rng, estimand=estimand)
    masks = np.zeros((len(design.masks), skeleton.n), dtype=bool)
    put(masks, children, design.masks)
    effects = ask(masks)
    # A pair with one answer says nothing of a difference: both masks go, and what is left is still a design of pairs.
    kept = np.repeat(answered_pairs(effects), 2)
    complete = design.enumerated and bool(kept.all())
    shared = estimand.shares_total and design.enumerated
    if shared and not kept[~design.masks.any(axis=1)].all():
        return None  # without f(0) there is no total
    if not complete and kept.sum() < 2 * intervals.FEWEST_GROUPS:
        return None
    drawn = measure_noise(masks, effects)
    effects = mean_of_draws(drawn)
    noise = measure(
        drawn[kept], known=known, speaks=masks[kept].sum(axis=1) < masks.shape[1], kept=masks[kept].mean(axis=1)
    )
    own, groups = design.masks[kept], design.groups[kept]
    observed = Effects(own, effects[kept], groups, sizes=design.sizes, total=None if complete else total)
    rows = LevelRows(masks[kept], effects[kept], np.full(len(own), np.nan), groups, np.flatnonzero(kept))
    if complete or shared:
        level = _from_all(observed, rows, surrogate, rng, estimand=estimand, noise=noise)
    else:
        level = _from_pairs(observed, rows, surrogate, rng, drawn_from=design.drawn_from, noise=noise)
    return level, noise


def _design(n: int, rng: np.random.Generator, *, estimand: Estimand) -> Design:
    pairs = pairs_for(n)
    if designs.fits_enumeration(n, 2 * pairs):
        return designs.enumerated(n)
    if estimand.shares_total:
        masks = paired_children(n, pairs, rng)
        return Design(name="complement pairs by size", masks=masks, groups=np.arange(2 * pairs) // 2, sizes=size_law(n))
    return designs.complement_pairs(n, pairs, rng)


def _from_all(
    observed: Effects,
    rows: LevelRows,
    surrogate: Surrogate,
    rng: np.random.Generator,
    *,
    estimand: Estimand,
    noise: MeasuredNoise,
) -> Level:
    """Exact over masks, but for those without an answer.

    An unmeasured noise leaves no interval, and a p-value of one: nothing can be significant.
    """
    if len(observed) == 2**observed.n:
        estimate = estimand.from_all(observed, noise)
    else:
        estimate = estimand.from_most(replace(observed, noise=noise), surrogate, rng)
    values = estimate.attributions
    nothing = np.full(len(values), np.nan)
    low, high = (nothing, nothing) if estimate.interval is None else (estimate.interval.low, estimate.interval.high)
    # Values need no surrogate where every mask was asked; it only says how well parts predict, and which may hide some.
    predicted, spread = rows.predicted, np.zeros(len(values))
    if len(rows.masks) >= 2 * intervals.FEWEST_GROUPS:
        fit = intervals.cross_fit(observed, surrogate, rng)
        predicted, spread = fit.predicted - observed.values.mean(), fit.scores.std(axis=0, ddof=1)
    rows = replace(rows, predicted=predicted)
    p_values = np.ones(len(values))
    if estimate.interval is not None:
        p_values = np.where(values == 0.0, 1.0, 0.0) if estimate.p_values is None else estimate.p_values
        p_values = settled(p_values, values, high - values, observed.values)
    return Level(values, low, high, p_values, spread, None, rows)


def _from_pairs(
    observed: Effects,
    rows: LevelRows,
    surrogate: Surrogate,
    rng: np.random.Generator,
    *,
    drawn_from: float,
    noise: MeasuredNoise,
) -> Level:
    if noise.variance is not None:  # else masks that are known would carry a noise that nobody knows
        observed = replace(observed, drawn_from=drawn_from)
    fit = intervals.cross_fit(observed, surrogate, rng)
    if observed.total is None:
        span = float(np.ptp(observed.values))
        estimate = intervals.sampled_estimate(fit, rng, noise=noise.variance or 0.0, span=span)
    else:
        noisy = noise.variance or 0.0
        estimate = intervals.shapley_estimate(fit, observed, rng, noise=noisy, shared=1.5 * noise.bound)
    interval = estimate.interval
    assert interval is not None  # noqa: S101 - sampled masks always give one
    rows = replace(rows, predicted=fit.predicted - observed.values.mean())
    spread = fit.scores.std(axis=0, ddof=1)
    # Scores that agree say little where few masks were asked: an odd answer may only not have shown itself yet.
    off = error_of_unseen(observed, float(np.ptp(observed.values)), unseen=weight_of_unseen(noise))
    half = np.hypot(interval.high - interval.estimate, student_half_width(off**2, len(fit.scores) - 1.0))
    p_values = np.maximum(t_test(interval.estimate, half, len(fit.scores) - 1), p_by_flips(observed, rng))
    p_values = settled(p_values, interval.estimate, half, observed.values)
    low, high = interval.estimate - half, interval.estimate + half
    return Level(interval.estimate, low, high, p_values, spread, None, rows)


def open_part(
    skeleton: Skeleton,
    part: PromptPart,
    ask: Ask,
    rng: np.random.Generator,
    *,
    estimand: Estimand,
    surrogate: Surrogate,
    unseen: float = 0.0,
    first_row: int = 0,
    before: LevelRows | None = None,
) -> Level | None:
    """Values of the children of a part; None if too many calls failed to say anything.

    Both masks of a pair have the same surroundings, so what these do on their own cancels.

    Args:
        skeleton: the parts.
        part: what is opened.
        ask: the model.
        rng: draws masks, folds and signs.
        estimand: one with a value for the parts of a hierarchy.
        surrogate: what is fitted.
        unseen: weight of an odd answer that may not have shown, see `weight_of_unseen`.
        first_row: number of the first row that is asked.
        before: what was asked when the part was opened before: the level then rests on all of it.
    """
    children = skeleton.children(part.index)
    drawn = pairs_for(len(children))
    own = np.vstack([paired_children(len(children), drawn, rng), np.tile([[True], [False]], (TOTALS, len(children)))])
    masks = np.repeat(contexts(skeleton, part, len(own) // 2, rng, estimand=estimand), 2, axis=0)
    put(masks, children, own)
    effects = ask(masks)
    kept = np.repeat(answered_pairs(effects), 2)
    nothing = np.full(int(kept.sum()), np.nan)
    rows = LevelRows(
        masks[kept], effects[kept], nothing, np.arange(len(nothing)) // 2, first_row + np.flatnonzero(kept)
    )
    # A level that was asked before rests on all its masks, old and new: chance has to deceive twice.
    rows = rows if before is None else before.with_more(rows)
    return level_of(rows, children, surrogate, rng, unseen=unseen)


def level_of(
    rows: LevelRows,
    children: Sequence[PromptPart],
    surrogate: Surrogate,
    rng: np.random.Generator,
    *,
    unseen: float = 0.0,
) -> Level | None:
    """Values of children from pairs of masks that open their parent, those with all of them or none included."""
    own = rows.masks[:, [child.first for child in children]]
    totals: NDArray[np.bool_] = np.asarray(own[0::2].all(axis=1) | own[1::2].all(axis=1), dtype=np.bool_)
    # Pairs of all children and none say what they sum to, and nothing of one child: they come last, out of the fit.
    order = np.argsort(np.repeat(totals, 2), kind="stable")
    count = int(np.count_nonzero(~totals))
    if count < intervals.FEWEST_GROUPS or len(totals) - count < 2:
        return None
    pairs = rows.effects[order].reshape(-1, 2)
    deltas: Floats = pairs[count:, 0] - pairs[count:, 1]
    observed = Effects(
        own[order][: 2 * count],
        (pairs - pairs.mean(axis=1, keepdims=True))[:count].ravel(),  # what surrounds both masks of a pair cancels
        np.arange(2 * count) // 2,
        sizes=size_law(len(children)),
        total=float(deltas.mean()),
    )
    fit = intervals.cross_fit(observed, surrogate, rng)
    predicted = np.empty(len(own))
    others = (deltas.sum() - deltas) / (len(deltas) - 1)  # of all children and of none: half the mean of the others
    predicted[order] = np.concatenate([fit.predicted, np.column_stack([others, -others]).ravel() / 2.0])
    return _level(fit, observed, deltas, replace(rows, predicted=predicted), rng, unseen=unseen)


def answered_pairs(effects: Floats) -> NDArray[np.bool_]:
    """Which pairs of neighbouring rows were both answered. Shape ``(m / 2,)``."""
    return np.asarray(~np.isnan(effects.reshape(-1, 2)).any(axis=1), dtype=np.bool_)


def weight_of_unseen(noise: MeasuredNoise) -> float:
    """Weight of an answer that is off as far as effects can be: one is added to each level, seen or not.

    Levels ask few masks. Where a model is odd once in fifty calls, most levels see nothing of it, and their scores have
    no spread at all: what was not seen in a few calls may still be there. The weight is the share of repeats that
    agreed, as in `noise`: it falls where noise shows itself in the scores.
    """
    if noise.source == "none":
        return 0.0
    return 1.0 if not noise.repeats else 1.0 - noise.odd / noise.repeats


def error_of_unseen(observed: Effects, span: float, *, unseen: float) -> Floats:
    """Standard error that one more pair with such an answer, ``span`` off, adds to the mean of the scores, ``(n,)``."""
    weights: Floats = np.sqrt((observed.weights() ** 2).mean(axis=0)) / 2.0
    return np.sqrt(unseen) * weights * span / (len(np.unique(observed.groups)) + 1.0)


def _level(
    fit: intervals.CrossFit,
    observed: Effects,
    deltas: Floats,
    rows: LevelRows,
    rng: np.random.Generator,
    *,
    unseen: float,
) -> Level:
    """Children share out the mean of ``deltas``; each carries an n-th of what is uncertain about it."""
    scores = fit.scores
    n = scores.shape[1]
    span = float(np.ptp(rows.effects))
    # No child has less than the mean variance of all: few pairs carry one child's, and chance may make it small.
    variance = moderated(scores.var(axis=0, ddof=1) / len(scores))
    degrees = np.maximum(tail_degrees(scores) * (fit.folds - 1) / fit.folds, 1.0)
    values = scores.mean(axis=0)
    high = values + student_half_width(variance, degrees)
    off = error_of_unseen(observed, span, unseen=unseen)
    error = float(np.hypot(deltas.std(ddof=1) / np.sqrt(len(deltas)), np.sqrt(unseen) * span / (len(deltas) + 1.0)))
    whole = float(student_half_width(np.array(error**2), len(deltas) - 1.0))
    # Three doubts that have nothing to do with each other: the scores, an odd answer that no mask of this level showed,
    # and what the children sum to.
    own = np.hypot(high - values, student_half_width(off**2, len(scores) - 1.0))
    half = np.hypot(own, whole / n)
    p_values = np.maximum(t_test(values, half, len(scores) - 1), p_by_flips(observed, rng, error=error))
    p_values = settled(p_values, values, half, rows.effects)
    total = float(deltas.mean())
    return Level(
        values=values,
        low=values - half,
        high=values + half,
        p_values=p_values,
        spread=scores.std(axis=0, ddof=1),
        total=(total, total - whole, total + whole),
        rows=rows,
    )


def p_by_flips(observed: Effects, rng: np.random.Generator, *, error: float = 0.0) -> Floats:
    """p-values of the least squares of a level by the wild bootstrap, ``(n,)``.

    The p-value of a part is the larger one of these and of a t-test at the scale of its interval: scores of few pairs
    with rare effects have tails that no t-distribution knows, and one level in eight then called an idle part
    (docs/decisions/0012-built-on-noise.md).

    Args:
        observed: complement pairs.
        rng: draws the signs.
        error: standard error of ``observed.total``.
    """
    rows, n = regression(observed), observed.n
    if observed.total is None:
        return wild_p(rows.x, rows.y, Contrasts(np.eye(n)), rng)
    # With a total only deviations from equal shares are fitted: a value is its deviation, and an n-th of the total.
    shares = Contrasts(np.eye(n) - 1.0 / n, observed.total / n, error / n)
    return wild_p(rows.x, rows.y, shares, rng)


def t_test(values: Floats, half: Floats, degrees: int) -> Floats:
    """Two-sided p-values of values with 95% half widths; 0 for an exact value that is not zero, 1 for zero."""
    # At the scale of the interval, whatever it was made of: value and interval then never contradict each other.
    scale = half / stdtrit(degrees, 0.975)
    ratio = np.divide(np.abs(values), scale, out=np.where(values == 0, 0.0, np.inf), where=scale > 0)
    return np.asarray(2.0 * stdtr(degrees, -ratio), dtype=np.float64)


def settled(p_values: Floats, values: Floats, half: Floats, effects: Floats) -> Floats:
    """The p-values, but 1 where value and interval are nothing but rounding."""
    rounding = ROUNDING * float(np.abs(effects).max(initial=0.0))
    return np.where(np.abs(values) + half <= rounding, 1.0, p_values)
