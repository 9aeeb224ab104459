"""From what was observed to an estimate of the plan's estimand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whygen.errors import BudgetError
from whygen.prompt import designs, exact, intervals, relevance
from whygen.prompt.asking import Whole
from whygen.prompt.collapse import Collapse, collapsed, collapsed_estimate
from whygen.prompt.noise import resolution
from whygen.prompt.observed import Observed, Seen
from whygen.prompt.plan import Plan
from whygen.stats.intervals import Interval
from whygen.stats.seeds import generator


def estimate_from(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    """Attributions, intervals and p-values of the plan's estimand. What is rounding has a p-value of one."""
    estimate = _estimate(seen, whole, plan, seed)
    if estimate.p_values is None:
        return estimate
    rounding = 4.0 * resolution(seen.observed.effects)
    return replace(estimate, p_values=np.where(np.abs(estimate.attributions) <= rounding, 1.0, estimate.p_values))


def _estimate(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    observed = seen.observed
    if seen.draws is not None and seen.strange is not None and seen.strange.any():
        return relevance.among_relevant(observed, seen.draws, seen.strange)
    if plan.options.estimand == "loo":
        return exact.leave_one_out_estimate(
            observed, whole.repeats, draws=seen.draws, known=whole.known, reach=seen.reach
        )
    population = (
        2 ** (observed.n - 1) - (plan.options.empty == "exclude") if observed.n <= designs.MAX_ENUMERATED else None
    )
    groups = len(np.unique(observed.groups))
    local = plan.options.estimand == "local"
    if not local and plan.options.keep == 0.5 and observed.sizes is None and groups == population:
        return _enumerated(seen, plan)
    if (collapse := _one_effect(observed, whole, seen.reach)) is not None:
        return collapsed_estimate(observed, collapse)
    observed, middle = _centred(observed)
    if local:
        return intervals.local_estimate(observed)
    if groups < intervals.FEWEST_GROUPS:
        raise BudgetError(
            f"Only {groups} pairs of masks were answered: at least {intervals.FEWEST_GROUPS} are needed.",
            smallest=plan.options.budget,
        )
    rng = generator(seed, "folds")
    fit = intervals.cross_fit(observed, plan.surrogate, rng)
    if plan.options.estimand == "shapley":
        draws = plan.options.draws if plan.options.distribution is None else 1
        shared = seen.noise.bound * (1.0 + draws / len(whole.repeats))
        estimate = intervals.shapley_estimate(fit, observed, rng, noise=shared, level=plan.level)
    else:
        sampled = groups / population if population and _without_replacement(seen, plan) else 0.0
        noise = seen.noise.variance or 0.0
        estimate = intervals.sampled_estimate(
            fit, rng, sampled=sampled, noise=noise, keep=plan.options.keep, level=plan.level
        )
    return estimate if estimate.predicted is None else replace(estimate, predicted=estimate.predicted + middle)


def _without_replacement(seen: Seen, plan: Plan) -> bool:
    return plan.options.keep == 0.5 and seen.noise.variance is not None


def _one_effect(observed: Observed, whole: Whole, reach: float) -> Collapse | None:
    """Whether all masks, the whole ones too, have one effect."""
    collapse = collapsed(observed, whole.repeats, reach)
    complete = bool((observed.masks.sum(axis=1) < observed.n).all())
    return collapse if collapse is not None and (complete or collapse.kind == "unchanged") else None


FAR = 1e3
"""Effects whose middle is so many times their range from zero are read from there: else their digits are lost."""


def _centred(observed: Observed) -> tuple[Observed, float]:
    """The same with the middle of effects that are far from zero taken off, which no estimand asks for."""
    effects = observed.effects
    if not len(effects):  # nothing was answered: how many are needed is said where they are fitted
        return observed, 0.0
    middle = float(effects.max() + effects.min()) / 2.0
    if abs(middle) <= FAR * float(np.ptp(effects)):
        return observed, 0.0
    return observed.with_effects(effects - middle), middle


def interval_from(observed: Observed, whole: Whole, plan: Plan, seed: int, *, reach: float = 0.0) -> Interval | None:
    """The interval alone, for looks of the stop rule: no signs are flipped, and no share of masks is taken off."""
    if (collapse := _one_effect(observed, whole, reach)) is not None:
        return collapsed_estimate(observed, collapse).interval
    observed, _ = _centred(observed)
    fit = intervals.cross_fit(observed, plan.surrogate, generator(seed, "folds"))
    if plan.options.estimand == "shapley":
        return intervals.shapley_interval(fit, observed, level=plan.level)
    return intervals.sampled_interval(fit, keep=plan.options.keep, level=plan.level)


def _enumerated(seen: Seen, plan: Plan) -> intervals.Estimate:
    find = exact.enumerated_shapley if plan.options.estimand == "shapley" else exact.enumerated_estimate
    return find(seen.observed, seen.noise)
