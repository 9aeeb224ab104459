"""Shapley values where all masks were asked and some have no answer: they share out the total, and are covered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from whygen.errors import BudgetError
from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import Fitting, load_estimand
from whygen.prompt.long.levels import first_level
from whygen.prompt.long.parts import PromptPart, Skeleton
from whygen.prompt.noise import measure
from whygen.prompt.surrogates import load_surrogate
from whygen.types import Floats, Masks

SHAPLEY = load_estimand("shapley")
FITTING = Fitting(surrogate=load_surrogate("ridge"), seed=0)
GAMES = 200


def asked(n: int, values: Floats) -> Effects:
    """Every mask of a game ``(2^n,)``."""
    design = designs.enumerated(n)
    effects = values[design.masks @ (1 << np.arange(n))]
    noise = measure(effects[:, None], known=True)
    return replace(design.observed(effects), whole=values[-1:], known=True, noise=noise)


def without(effects: Effects, groups: list[int]) -> Effects:
    return effects.take(~np.isin(effects.groups, groups))


@pytest.mark.parametrize("n", [4, 5, 7])
def test_what_is_additive_is_found_without_a_pair(n: int) -> None:
    rng = np.random.default_rng(n)
    weights = rng.normal(size=n)
    every = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(bool)
    lost = 1 + int(rng.integers(2 ** (n - 1) - 1))
    fitting = replace(FITTING, surrogate=load_surrogate("ols"))
    found = SHAPLEY.estimate(without(asked(n, every @ weights + 3.0), [lost]), fitting)
    assert found.attributions == pytest.approx(weights, abs=1e-8)


@pytest.mark.parametrize(("n", "lost", "least"), [(4, 1, 0.93), (5, 3, 0.93), (7, 16, 0.92)])
def test_intervals_hold_without_some_masks(n: int, lost: int, least: float) -> None:
    rng, inside = np.random.default_rng(n), []
    pairs = 2 ** (n - 1)
    for seed in range(GAMES):
        every = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(bool)
        values = every @ rng.normal(size=n) + 0.5 * rng.normal(size=2**n)
        seen = asked(n, values)
        truth = SHAPLEY.from_all(seen).attributions
        dropped = [1 + int(group) for group in rng.permutation(pairs - 1)[:lost]]
        found = SHAPLEY.estimate(without(seen, dropped), replace(FITTING, seed=seed))
        assert found.interval is not None
        assert found.attributions.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)
        inside.append((found.interval.low <= truth) & (truth <= found.interval.high))
    assert np.mean(inside) >= least


def test_without_the_empty_prompt_there_is_nothing_to_share_out() -> None:
    seen = asked(5, np.random.default_rng(0).normal(size=32))
    empty = int(seen.groups[~seen.masks.any(axis=1)][0])
    with pytest.raises(BudgetError, match="without any unit was not answered"):
        SHAPLEY.estimate(without(seen, [empty]), FITTING)


def test_a_first_level_shares_out_the_total_without_some_masks() -> None:
    inside: list[NDArray[np.bool_]] = []
    parts = tuple(PromptPart(place + 1, 0, "word", place, place + 1, ()) for place in range(4))
    skeleton = Skeleton((PromptPart(0, None, "prompt", 0, 4, (1, 2, 3, 4)), *parts))
    for seed in range(GAMES):
        rng = np.random.default_rng(seed)
        values, lost = rng.normal(size=16), 1 + int(rng.integers(14))

        def ask(masks: Masks, values: Floats = values, lost: int = lost) -> Floats:
            codes = masks @ (1 << np.arange(4))
            return np.where(codes == lost, np.nan, values[codes])

        found = first_level(
            skeleton, ask, rng, estimand=SHAPLEY, surrogate=FITTING.surrogate,
            measure_noise=lambda _, effects: effects[:, None], total=None, known=True,
        )  # fmt: skip
        assert found is not None
        level = found[0]
        assert level.values.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)
        truth = SHAPLEY.from_all(asked(4, values)).attributions
        inside.append((level.low <= truth) & (truth <= level.high))
    assert np.mean(inside) >= 0.93
