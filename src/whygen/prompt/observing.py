"""Observing: masks are asked for, at the looks of the stop rule or all at once, and their effects come back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.asking import REDRAWS, Asker, Whole
from whygen.prompt.designs import Design
from whygen.prompt.estimating import estimate_from
from whygen.prompt.observed import Observed, Seen
from whygen.prompt.plan import Plan

FIRST_LOOK = 16
"""Pairs before the stop rule looks for the first time; later looks come at one and a half times as many each."""

LOOK_GROWTH = 1.5


def observe(asker: Asker, design: Design, whole: Whole, plan: Plan, seed: int) -> Seen:
    """Ask for the masks, at the looks of the stop rule or all at once; groups with a failed call are left out."""
    total = _total(asker, design, whole, plan)
    effects = np.full((len(design.masks), plan.draws), np.nan)
    asked = 0
    for rows in _looks(design, plan):
        effects[asked:rows] = asker.masks(design.masks[asked:rows], whole, draws=plan.draws, first_row=asked)
        asked = rows
        if asked < len(design.masks) and _is_sharp(effects[:asked], design, whole, plan, total=total, seed=seed):
            break
    alive = _alive(effects, design.groups)
    noise, degrees = _noise(asker, design, effects, alive, whole, plan)
    means = effects[alive].mean(axis=1)
    observed = Observed(design.masks[alive], means, design.groups[alive], design.keep, design.sizes, total)
    return Seen(observed, noise, degrees, tuple(np.flatnonzero(alive).tolist()))


def _total(asker: Asker, design: Design, whole: Whole, plan: Plan) -> float | None:
    """f(1) - f(0), which sampled Shapley values share out; None where it is not needed."""
    if plan.estimand != "shapley" or design.enumerated:
        return None
    return whole.effect - asker.empty(whole)


def _looks(design: Design, plan: Plan) -> list[int]:
    """Row counts at which the stop rule looks; the last is the whole design."""
    rows = len(design.masks)
    if plan.tolerance is None or design.enumerated or plan.estimand == "loo":
        return [rows]
    looks: list[int] = []
    pairs = float(FIRST_LOOK)
    while 2 * int(pairs) < rows:
        looks.append(2 * int(pairs))
        pairs *= LOOK_GROWTH
    return [*looks, rows]


def _is_sharp(
    effects: NDArray[np.float64], design: Design, whole: Whole, plan: Plan, *, total: float | None, seed: int
) -> bool:
    """Whether the widest interval is already under the tolerance. Noise is in the spread of the scores already."""
    rows = len(effects)
    alive = _alive(effects, design.groups[:rows])
    means = effects[alive].mean(axis=1)
    everything = Observed(design.masks[:rows], np.zeros(rows), design.groups[:rows], design.keep, design.sizes, total)
    observed = everything.take(alive).with_effects(means)
    interval = estimate_from(Seen(observed, 0.0, 0), whole, plan, seed).interval
    widest = np.inf if interval is None else float((interval.high - interval.low).max())
    return plan.tolerance is not None and widest <= plan.tolerance


def _alive(effects: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows of groups in which every call was answered, shape ``(m,)``."""
    failed = np.isnan(effects).any(axis=1)
    dead = set(groups[: len(effects)][failed].tolist())
    alive = np.zeros(len(groups), dtype=bool)
    alive[: len(effects)] = [group not in dead for group in groups[: len(effects)].tolist()]
    return alive


def _noise(
    asker: Asker,
    design: Design,
    effects: NDArray[np.float64],
    alive: NDArray[np.bool_],
    whole: Whole,
    plan: Plan,
) -> tuple[float | None, int]:
    """Variance of one (mean) effect under repetition, and its degrees of freedom. METHODS A3.

    From the draws of each mask when there are several, else from redrawn masked prompts; 0 when repeats agreed, None
    when the budget has no call for redraws.
    """
    asked = alive & ~design.masks.all(axis=1)
    if plan.draws > 1:
        spread = effects[asked].var(axis=1, ddof=1)
        return float(spread.mean()) / plan.draws, len(spread) * (plan.draws - 1)
    if not whole.differs:
        return 0.0, 0
    if not plan.affords_redraws(design.masks.shape[1]):
        return None, 0
    rows = np.flatnonzero(asked)[:REDRAWS]
    again = asker.redraws(design.masks, rows.tolist(), whole)
    differences = (again - effects[rows, 0])[~np.isnan(again)]
    return (float((differences**2).mean() / 2.0), len(differences)) if len(differences) else (None, 0)
