"""Values of the parts that a prompt is cut into first: the usual designs and estimators, over parts. METHODS A2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from whygen.prompt import designs, intervals
from whygen.prompt.designs import Design
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import Estimand
from whygen.prompt.hierarchy.laws import paired_children, put, size_law
from whygen.prompt.hierarchy.levels import (
    Ask,
    Level,
    Rows,
    answered_pairs,
    error_of_unseen,
    p_by_flips,
    pairs_for,
    settled,
    t_test,
    weight_of_unseen,
)
from whygen.prompt.hierarchy.skeleton import Skeleton
from whygen.prompt.noise import MeasuredNoise, measure
from whygen.prompt.reading import mean_of_draws
from whygen.prompt.surrogates import Surrogate
from whygen.stats.intervals import student_half_width
from whygen.types import Floats, Masks

MeasureNoise: TypeAlias = Callable[[Masks, Floats], Floats]
"""All draws ``(m, d)`` of masks, from their first effects ``(m,)`` (NaN: no answer)."""


@dataclass(frozen=True, slots=True)
class First:
    """The first level, and the model's noise as measured on its masks."""

    level: Level
    noise: MeasuredNoise


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
) -> First | None:
    """Values of the first parts; None if too many calls failed.

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
    kept = np.repeat(answered_pairs(effects), 2)
    complete = design.enumerated and bool(kept.all())
    if not complete and kept.sum() < 2 * intervals.FEWEST_GROUPS:
        return None
    drawn = measure_noise(masks, effects)
    effects = mean_of_draws(drawn)
    noise = measure(
        drawn[kept], known=known, speaks=masks[kept].sum(axis=1) < masks.shape[1], kept=masks[kept].mean(axis=1)
    )
    own, groups = design.masks[kept], design.groups[kept]
    observed = Effects(own, effects[kept], groups, sizes=design.sizes, total=None if complete else total)
    rows = Rows(masks[kept], effects[kept], np.full(len(own), np.nan), groups, np.flatnonzero(kept))
    if complete:
        level = _from_all(observed, rows, surrogate, rng, estimand=estimand, noise=noise)
    else:
        level = _from_pairs(observed, rows, surrogate, rng, drawn_from=design.drawn_from, noise=noise)
    return First(level, noise)


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
    rows: Rows,
    surrogate: Surrogate,
    rng: np.random.Generator,
    *,
    estimand: Estimand,
    noise: MeasuredNoise,
) -> Level:
    """Exact over masks. An unmeasured noise leaves no interval, and a p-value of one: nothing can be significant."""
    estimate = estimand.from_all(observed, noise)
    values = estimate.attributions
    nothing = np.full(len(values), np.nan)
    low, high = (nothing, nothing) if estimate.interval is None else (estimate.interval.low, estimate.interval.high)
    predicted, spread = rows.predicted, np.zeros(len(values))
    if len(rows.masks) >= 2 * intervals.FEWEST_GROUPS:
        fit = intervals.cross_fit(observed, surrogate, rng)
        predicted, spread = fit.predicted - observed.values.mean(), fit.scores.std(axis=0, ddof=1)
    rows = Rows(rows.masks, rows.effects, predicted, rows.groups, rows.asked)
    p_values = np.ones(len(values))
    if estimate.interval is not None:
        p_values = np.where(values == 0.0, 1.0, 0.0) if estimate.p_values is None else estimate.p_values
        p_values = settled(p_values, values, high - values, observed.values)
    return Level(values, low, high, p_values, spread, None, rows)


def _from_pairs(
    observed: Effects,
    rows: Rows,
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
    rows = Rows(rows.masks, rows.effects, fit.predicted - observed.values.mean(), rows.groups, rows.asked)
    spread = fit.scores.std(axis=0, ddof=1)
    off = error_of_unseen(observed, float(np.ptp(observed.values)), unseen=weight_of_unseen(noise))
    half = np.hypot(interval.high - interval.estimate, student_half_width(off**2, len(fit.scores) - 1.0))
    p_values = np.maximum(t_test(interval.estimate, half, len(fit.scores) - 1), p_by_flips(observed, rng))
    p_values = settled(p_values, interval.estimate, half, observed.values)
    low, high = interval.estimate - half, interval.estimate + half
    return Level(interval.estimate, low, high, p_values, spread, None, rows)
