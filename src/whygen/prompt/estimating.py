"""From what was observed to an estimate of the plan's estimand."""

from __future__ import annotations

import numpy as np

from whygen.errors import BudgetError
from whygen.prompt import designs, exact, intervals
from whygen.prompt.asking import Whole
from whygen.prompt.observed import Observed, Seen
from whygen.prompt.plan import Plan
from whygen.stats.intervals import Interval
from whygen.stats.seeds import generator


def estimate_from(seen: Seen, whole: Whole, plan: Plan, seed: int) -> intervals.Estimate:
    """Attributions, intervals and p-values of the plan's estimand."""
    observed = seen.observed
    if plan.options.estimand == "loo":
        return exact.leave_one_out_estimate(observed, whole.repeats, draws=seen.draws, known=whole.known)
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
    if plan.options.estimand == "shapley":
        shared = seen.noise.bound * (1.0 + 1.0 / len(whole.repeats))
        return intervals.shapley_estimate(fit, observed, rng, noise=shared, level=plan.level)
    sampled = groups / population if population and _without_replacement(seen, plan) else 0.0
    return intervals.sampled_estimate(
        fit, rng, sampled=sampled, noise=seen.noise.variance or 0.0, keep=plan.options.keep, level=plan.level
    )


def _without_replacement(seen: Seen, plan: Plan) -> bool:
    return plan.options.keep == 0.5 and seen.noise.variance is not None


def interval_from(observed: Observed, whole: Whole, plan: Plan, seed: int) -> Interval:
    """The interval alone, for looks of the stop rule: no signs are flipped, and no share of masks is taken off."""
    fit = intervals.cross_fit(observed, plan.surrogate, generator(seed, "folds"))
    if plan.options.estimand == "shapley":
        return intervals.shapley_interval(fit, observed, level=plan.level)
    return intervals.sampled_interval(fit, keep=plan.options.keep, level=plan.level)


def _enumerated(seen: Seen, plan: Plan) -> intervals.Estimate:
    find = exact.enumerated_shapley if plan.options.estimand == "shapley" else exact.enumerated_estimate
    return find(seen.observed, seen.noise)
