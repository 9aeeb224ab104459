"""From what was observed to an estimate of the plan's estimand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from whygen.errors import BudgetError
from whygen.prompt import exact, intervals, relevance
from whygen.prompt.asking import Whole
from whygen.prompt.collapse import Collapse, collapsed, collapsed_estimate
from whygen.prompt.effects import Effects, Seen
from whygen.prompt.noise import resolution
from whygen.prompt.plan import Plan
from whygen.stats.intervals import Interval
from whygen.stats.seeds import generator


def estimate_from(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    """Attributions, intervals and p-values of the plan's estimand. What is rounding has a p-value of one."""
    estimate = _estimate(seen, whole, plan, seed)
    if estimate.p_values is None:
        return estimate
    rounding = 4.0 * resolution(seen.observed.values)
    return replace(estimate, p_values=np.where(np.abs(estimate.attributions) <= rounding, 1.0, estimate.p_values))


def _estimate(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    observed = seen.observed
    if seen.draws is not None and seen.strange is not None and seen.strange.any():
        return relevance.among_relevant(observed, seen.draws, seen.strange)
    if plan.options.estimand == "loo":
        return exact.leave_one_out_estimate(
            observed, whole.repeats, draws=seen.draws, known=whole.known, reach=seen.reach
        )
    groups = len(np.unique(observed.groups))
    local = plan.options.estimand == "local"
    if not local and _is_complete(observed):
        return exact.complete_estimate(observed, seen.noise, estimand=plan.options.estimand)
    if (collapse := _one_effect(observed, whole, seen.reach)) is not None:
        return collapsed_estimate(observed, collapse)
    observed, middle = _centred(observed)
    if local:
        return exact.local_estimate(observed, seen.noise if _is_complete(observed) else None)
    if groups < intervals.FEWEST_GROUPS:
        raise BudgetError(
            f"Only {groups} pairs of masks were answered: at least {intervals.FEWEST_GROUPS} are needed.",
            smallest=plan.options.budget,
        )
    rng = generator(seed, "folds")
    if seen.noise.variance is None:  # masks that are known would carry a noise that nobody knows: none counts as exact
        observed = replace(observed, drawn_from=math.inf)
    fit = intervals.cross_fit(observed, plan.surrogate, rng)
    noise = seen.noise.variance or 0.0
    if plan.options.estimand == "shapley":
        draws = plan.options.draws if plan.options.distribution is None else 1
        shared = seen.noise.bound * (1.0 + draws / len(whole.repeats))
        estimate = intervals.shapley_estimate(fit, observed, rng, noise=noise, shared=shared, level=plan.level)
    else:
        span = _span(observed, whole, middle, seen.reach)
        at_whole = whole.effect - middle
        estimate = intervals.sampled_estimate(fit, rng, noise=noise, span=span, whole=at_whole, level=plan.level)
    if estimate.predicted is None or estimate.fitted is None:
        return estimate
    return replace(estimate, predicted=estimate.predicted + middle, fitted=estimate.fitted + middle)


def _is_complete(observed: Effects) -> bool:
    """Whether the masks are all there are."""
    population = observed.population()
    everything = np.ones(len(observed), dtype=bool)
    return population is not None and bool((population.asked(everything) >= population.members).all())


def _span(observed: Effects, whole: Whole, middle: float, reach: float) -> float:
    """How far effects may be apart: as far as the target lets them, else as far as they were."""
    return max(reach, float(np.ptp(np.append(observed.values, whole.effect - middle))))


def _one_effect(observed: Effects, whole: Whole, reach: float) -> Collapse | None:
    """Whether all masks, the whole ones too, have one effect."""
    collapse = collapsed(observed, whole.repeats, reach)
    complete = bool((observed.masks.sum(axis=1) < observed.n).all())
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


def interval_from(observed: Effects, whole: Whole, plan: Plan, seed: int, *, reach: float = 0.0) -> Interval | None:
    """The interval alone, for looks of the stop rule: no band, and no mask counts as exact."""
    if (collapse := _one_effect(observed, whole, reach)) is not None:
        return collapsed_estimate(observed, collapse).interval
    observed, middle = _centred(replace(observed, drawn_from=math.inf))
    fit = intervals.cross_fit(observed, plan.surrogate, generator(seed, "folds"))
    if plan.options.estimand == "shapley":
        return intervals.shapley_error(fit, observed).interval(plan.level)
    span, at_whole = _span(observed, whole, middle, reach), whole.effect - middle
    return intervals.sampled_error(fit, span=span, whole=at_whole).interval(plan.level)
