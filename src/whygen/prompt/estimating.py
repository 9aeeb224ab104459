"""From what was observed to an estimate of the plan's estimand."""

from __future__ import annotations

import numpy as np

from whygen.errors import BudgetError
from whygen.prompt import designs, exact, intervals
from whygen.prompt.asking import Whole
from whygen.prompt.observed import Seen
from whygen.prompt.plan import Plan
from whygen.stats.intervals import Interval
from whygen.stats.seeds import generator


def estimate_from(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    """Attributions, intervals and p-values of the plan's estimand."""
    observed = seen.observed
    if plan.options.estimand == "loo":
        return exact.leave_one_out_estimate(observed, whole.effect, draws=seen.draws, repeats=whole.repeats)
    if plan.options.estimand == "local":
        return intervals.local_estimate(observed)
    groups = len(np.unique(observed.groups))
    population = (
        2 ** (observed.n - 1) - (plan.options.empty == "exclude") if observed.n <= designs.MAX_ENUMERATED else None
    )
    if plan.options.keep == 0.5 and observed.sizes is None and groups == population:
        return _enumerated(seen, plan)
    if groups < intervals.FEWEST_GROUPS:
        raise BudgetError(
            f"Only {groups} pairs of masks were answered: at least {intervals.FEWEST_GROUPS} are needed.",
            smallest=plan.options.budget,
        )
    rng = generator(seed, "folds")
    fit = intervals.cross_fit(observed, plan.surrogate, rng)
    noise = seen.noise or 0.0
    if plan.options.estimand == "shapley":
        shared = noise * (1.0 + 1.0 / len(whole.repeats))
        return intervals.shapley_estimate(fit, observed, rng, noise=shared, level=plan.level)
    sampled = groups / population if population and _without_replacement(seen, plan) else 0.0
    return intervals.sampled_estimate(fit, rng, sampled=sampled, noise=noise, keep=plan.options.keep, level=plan.level)


def _without_replacement(seen: Seen, plan: Plan) -> bool:
    return plan.options.keep == 0.5 and seen.noise is not None


def interval_from(seen: Seen, whole: Whole, plan: Plan, seed: int) -> Interval:
    """The interval alone, for looks of the stop rule: no signs are flipped, and no share of masks is taken off."""
    fit = intervals.cross_fit(seen.observed, plan.surrogate, generator(seed, "folds"))
    if plan.options.estimand == "shapley":
        return intervals.shapley_interval(fit, seen.observed, level=plan.level)
    return intervals.sampled_interval(fit, keep=plan.options.keep, level=plan.level)


def _enumerated(seen: Seen, plan: Plan) -> intervals.Estimate:
    if plan.options.estimand == "shapley":
        return exact.enumerated_shapley(seen.observed, noise=seen.noise, degrees=seen.degrees)
    return exact.enumerated_estimate(seen.observed, noise=seen.noise, degrees=seen.degrees)
