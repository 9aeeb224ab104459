"""From what was observed to an estimate of the plan's estimand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from whygen.errors import BudgetError
from whygen.prompt import exact, intervals, relevance
from whygen.prompt.collapse import Collapse, collapsed, collapsed_estimate
from whygen.prompt.effects import Effects
from whygen.prompt.noise import resolution
from whygen.prompt.plan import Plan
from whygen.stats.intervals import Interval
from whygen.stats.seeds import generator


def estimate_from(effects: Effects, plan: Plan, seed: int) -> intervals.Estimate:
    """Attributions, intervals and p-values of the plan's estimand. What is rounding has a p-value of one."""
    estimate = _estimate(effects, plan, seed)
    if estimate.p_values is None:
        return estimate
    rounding = 4.0 * resolution(effects.values)
    return replace(estimate, p_values=np.where(np.abs(estimate.attributions) <= rounding, 1.0, estimate.p_values))


def _estimate(effects: Effects, plan: Plan, seed: int) -> intervals.Estimate:
    estimand, noise = plan.options.estimand, effects.noise
    if effects.draws is not None and effects.strange is not None and effects.strange.any():
        return relevance.among_relevant(effects, effects.draws, effects.strange)
    if estimand == "loo":
        return exact.leave_one_out_estimate(
            effects, effects.whole, draws=effects.draws, known=effects.known, reach=effects.reach
        )
    groups = len(np.unique(effects.groups))
    local = estimand == "local"
    if not local and _is_complete(effects):
        return exact.complete_estimate(effects, noise, estimand=estimand)
    if (collapse := _one_effect(effects)) is not None:
        return collapsed_estimate(effects, collapse)
    effects, middle = _centred(effects)
    if local:
        return exact.local_estimate(effects, noise if _is_complete(effects) else None)
    if groups < intervals.FEWEST_GROUPS:
        raise BudgetError(
            f"Only {groups} pairs of masks were answered: at least {intervals.FEWEST_GROUPS} are needed.",
            smallest=plan.options.budget,
        )
    rng = generator(seed, "folds")
    if noise.variance is None:  # masks that are known would carry a noise that nobody knows: none counts as exact
        effects = replace(effects, drawn_from=math.inf)
    fit = intervals.cross_fit(effects, plan.surrogate, rng)
    variance = noise.variance or 0.0
    if estimand == "shapley":
        draws = plan.options.draws if plan.options.distribution is None else 1
        shared = noise.bound * (1.0 + draws / len(effects.whole))
        estimate = intervals.shapley_estimate(fit, effects, rng, noise=variance, shared=shared, level=plan.level)
    else:
        at_whole = effects.at_whole - middle
        span = _span(effects, at_whole)
        estimate = intervals.sampled_estimate(fit, rng, noise=variance, span=span, whole=at_whole, level=plan.level)
    if estimate.predicted is None or estimate.fitted is None:
        return estimate
    return replace(estimate, predicted=estimate.predicted + middle, fitted=estimate.fitted + middle)


def _is_complete(effects: Effects) -> bool:
    """Whether the masks are all there are."""
    population = effects.population()
    everything = np.ones(len(effects), dtype=bool)
    return population is not None and bool((population.asked(everything) >= population.members).all())


def _span(effects: Effects, at_whole: float) -> float:
    """How far effects may be apart: as far as the target lets them, else as far as they were."""
    return max(effects.reach, float(np.ptp(np.append(effects.values, at_whole))))


def _one_effect(effects: Effects) -> Collapse | None:
    """Whether all masks, the whole ones too, have one effect."""
    collapse = collapsed(effects, effects.whole, effects.reach)
    complete = bool((effects.masks.sum(axis=1) < effects.n).all())
    return collapse if collapse is not None and (complete or collapse.kind == "unchanged") else None


FAR = 1e3
"""Effects whose middle is so many times their range from zero are read from there: else their digits are lost."""


def _centred(observed: Effects) -> tuple[Effects, float]:
    """The same with the middle of effects that are far from zero taken off, which no estimand asks for."""
    effects = observed.values
    if not len(effects):  # nothing was answered: how many are needed is said where they are fitted
        return observed, 0.0
    middle = float(effects.max() + effects.min()) / 2.0
    if abs(middle) <= FAR * float(np.ptp(effects)):
        return observed, 0.0
    return observed.with_values(effects - middle), middle


def interval_from(effects: Effects, plan: Plan, seed: int) -> Interval | None:
    """The interval alone, for looks of the stop rule: no band, and no mask counts as exact."""
    if (collapse := _one_effect(effects)) is not None:
        return collapsed_estimate(effects, collapse).interval
    effects, middle = _centred(replace(effects, drawn_from=math.inf))
    fit = intervals.cross_fit(effects, plan.surrogate, generator(seed, "folds"))
    if plan.options.estimand == "shapley":
        return intervals.shapley_error(fit, effects).interval(plan.level)
    at_whole = effects.at_whole - middle
    return intervals.sampled_error(fit, span=_span(effects, at_whole), whole=at_whole).interval(plan.level)
