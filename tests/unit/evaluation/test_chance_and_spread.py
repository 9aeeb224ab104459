"""Intervals and chance levels of an evaluation hold: by simulation, on games whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import whygen
from whygen.evaluation.evaluate import evaluate
from whygen.evaluation.measures.consistency import repeatability_limits, spread
from whygen.evaluation.measures.faithfulness import one_more
from whygen.evaluation.measures.fidelity import r2_spread
from whygen.evaluation.rebuilt import rebuild
from whygen.models.planted.games import Game
from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.fidelity import r_squared
from whygen.prompt.intervals import cross_fit
from whygen.prompt.surrogates import load_surrogate


@pytest.mark.parametrize(("family", "noise"), [("redundant", 0.3), ("pairwise", 0.5)])
def test_the_interval_of_r2_holds_that_of_fresh_masks(family: str, noise: float) -> None:
    surrogate, held, naive, runs = load_surrogate("ridge"), 0, 0, 500
    for seed in range(runs):
        rng = np.random.default_rng([seed, 5])
        game = Game(12, family, rng)
        design = designs.complement_pairs(12, 32, rng)
        sigma = noise * game.spread()
        effects = game.values(design.masks) + sigma * rng.normal(size=64)
        observed = Effects(design.masks, effects, design.groups)
        value = r_squared(effects, cross_fit(observed, surrogate, rng).predicted)
        known = r2_spread(observed, surrogate, rng)
        fresh = rng.random((2000, 12)) < 0.5
        told = game.values(fresh) + sigma * rng.normal(size=2000)
        truth = r_squared(told, surrogate.fit(observed).predict(fresh))
        assert value is not None
        assert truth is not None
        assert known is not None
        low, high = known.limits(value)
        held += low <= truth <= high
        naive += abs(value - truth) <= known.half / known.wider
    assert 0.92 <= held / runs <= 0.985  # 92-98%, within half a percent: 500 runs have a standard error of .007
    assert naive < held  # a bootstrap without a refit is too narrow


def test_too_few_groups_or_nothing_to_explain_give_no_interval() -> None:
    rng = np.random.default_rng(1)
    design = designs.complement_pairs(6, 7, rng)
    surrogate = load_surrogate("ridge")
    assert r2_spread(Effects(design.masks, rng.normal(size=14), design.groups), surrogate, rng) is None
    few = designs.complement_pairs(6, 17, rng)  # ten folds of 17 groups would leave one group in some
    assert r2_spread(Effects(few.masks, rng.normal(size=34), few.groups), surrogate, rng) is not None
    many = designs.complement_pairs(6, 20, rng)
    assert r2_spread(Effects(many.masks, np.full(40, 3.0), many.groups), surrogate, rng) is None


@pytest.mark.parametrize("runs", [3, 5])
def test_repeatability_of_pure_noise_excludes_chance_in_five_percent(runs: int) -> None:
    rng = np.random.default_rng(3)
    out = 0
    for _ in range(2000):
        low, high = repeatability_limits(rng.normal(size=(runs, 8)))
        assert low is not None
        assert high is not None
        out += not low <= 0.0 <= high
    assert out / 2000 == pytest.approx(0.05, abs=0.015)


def test_the_limits_of_repeatability_are_around_it() -> None:
    rng = np.random.default_rng(4)
    runs: NDArray[np.float64] = np.arange(8.0) + rng.normal(size=(4, 8))
    low, high = repeatability_limits(runs)
    assert low is not None
    assert high is not None
    assert low < spread(runs)[1] < high <= 1.0
    assert repeatability_limits(np.tile(np.arange(5.0), (3, 1))) == (1.0, 1.0)
    assert repeatability_limits(np.ones((3, 5))) == (None, None)


def test_one_more_order_lies_in_the_range_of_ten_in_95_of_100() -> None:
    rng = np.random.default_rng(5)
    draws = rng.gamma(4.0, size=(4000, 11))
    inside = [low <= row[10] <= high for row in draws for low, high in [one_more(row[:10])]]  # type: ignore[operator]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)
    assert one_more(np.array([1.0, np.nan])) == (None, None)


def test_answers_dealt_out_anew_keep_nothing_of_the_first_masks_of_pairs() -> None:
    """Where every first mask of a pair does better, whole pairs that are shuffled say what they said before."""
    explanation = whygen.explain_prompt(
        lambda text: text, "one two three four five six seven eight nine ten", target=lambda text: float(len(text)),
        budget=40, cache=None,
    )  # fmt: skip
    rebuilt = rebuild(explanation, "randomisation")
    groups = rebuilt.observed.groups
    first = np.array([place == 0 or groups[place - 1] != group for place, group in enumerate(groups)])
    assert first.sum() == len(first) / 2
    better = replace(rebuilt, observed=rebuilt.observed.with_values(first.astype(np.float64)))
    rng = np.random.default_rng(7)
    kept = [float(better.permuted(rng).values[first].mean()) for _ in range(400)]
    assert np.mean(kept) == pytest.approx(0.5, abs=0.03)


def test_an_explanation_dealt_out_at_random_scores_as_chance_says() -> None:
    """All units pull the same way, so that any explanation predicts fresh masks: chance is far from 0, and is said."""
    prompt = "one two three four five six seven eight nine ten"
    explanation = whygen.explain_prompt(
        lambda text: text, prompt, target=lambda text: float(len(text.split())), budget=40, cache=None
    )
    rng = np.random.default_rng(6)
    values = np.array([unit.attribution for unit in explanation.units]) * np.linspace(0.5, 1.5, 10)
    scored: list[float] = []
    chance: list[float] = []
    for _ in range(4):
        dealt = tuple(
            unit.model_copy(update={"attribution": float(value), "low": None, "high": None})
            for unit, value in zip(explanation.units, rng.permutation(values), strict=True)
        )
        made = evaluate(
            explanation.model_copy(update={"units": dealt}), metrics="faithfulness", cache=None, budget=600,
            model=lambda text: text, target=lambda text: float(len(text.split())),
        ).measure("lds_fresh")  # fmt: skip
        assert made.value is not None
        assert made.chance is not None
        scored.append(made.value)
        chance.append(made.chance)
    assert np.mean(chance) > 0.5
    assert abs(np.mean(scored) - np.mean(chance)) <= 0.1
