"""The sparse expansion: what trees and searches find, what they must not see, and where the default wins by them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whygen.models.planted.games import Game
from whygen.prompt import designs, fidelity, intervals
from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import SURROGATES, Adaptive, folded
from whygen.prompt.surrogates.base import Terms, merged, normalised
from whygen.prompt.surrogates.products import Leftover, pursue, pursue_in_step, triples
from whygen.prompt.surrogates.trees import fourier_of, grow_forests

SEEDS = st.integers(0, 2**32 - 1)


def conjunction(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    return 2.0 * (masks[:, 0] & masks[:, 1] & ~masks[:, 2]) - 1.0 * (masks[:, 2] & masks[:, 3])


def in_folds(m: int, folds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of the rows that each fit sees, and of those it leaves out; the last fit sees all."""
    fold_of = np.arange(m) % folds
    seen = np.array([*(fold_of != k for k in range(folds)), np.ones(m)], dtype=float)
    return seen, 1.0 - seen


# ---- trees ----


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 7), st.floats(0.1, 0.9))
def test_the_expansion_of_a_forest_is_the_forest_at_every_centre(seed: int, n: int, centre: float) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((60, n)) < 0.5
    seen, held = in_folds(60, 3)
    grown = grow_forests(masks, np.tile(masks @ rng.normal(size=n), (4, 1)), seen, held)
    if grown is None:
        return
    for fit in range(4):
        support, coefficients, level = fourier_of(grown.units[fit], grown.values[fit], n, centre)
        terms = Terms(support, coefficients, centre, level + float(grown.level[fit]), n)
        assert terms.predict(masks) == pytest.approx(grown.predicted[fit], abs=1e-5)


def test_a_forest_does_not_see_the_rows_it_leaves_out() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((80, 6)) < 0.5
    seen, held = in_folds(80, 4)
    effects = np.tile(conjunction(masks), (5, 1))
    changed = effects + np.where(held > 0.0, rng.normal(size=effects.shape), 0.0)
    one, two = grow_forests(masks, effects, seen, held), grow_forests(masks, changed, seen, held)
    assert one is not None
    assert two is not None
    rounds = min(one.units.shape[1], two.units.shape[1])  # when to stop is what left-out rows say
    both = one.values[:, :rounds].any(axis=2) & two.values[:, :rounds].any(axis=2)
    assert both.mean() > 0.2
    assert np.array_equal(one.units[:, :rounds], two.units[:, :rounds])
    assert np.array_equal(one.values[:, :rounds][both], two.values[:, :rounds][both])


def test_forests_in_step_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(1)
    masks = rng.random((80, 6)) < 0.5
    seen, held = in_folds(80, 4)
    together = grow_forests(masks, np.tile(conjunction(masks), (5, 1)), seen, held)
    assert together is not None
    for fit in range(4):
        alone = grow_forests(masks, conjunction(masks)[None], seen[fit : fit + 1], held[fit : fit + 1])
        assert alone is not None
        rounds = min(alone.units.shape[1], together.units.shape[1])
        assert np.array_equal(alone.units[0, :rounds], together.units[fit, :rounds])


def test_no_forest_goes_by_the_rows_that_it_leaves_out_itself() -> None:
    """When to stop is said by the others: a forest whose own left-out rows are garbage is the same forest."""
    rng = np.random.default_rng(5)
    masks = rng.random((80, 6)) < 0.5
    seen, held = in_folds(80, 4)
    effects = np.tile(conjunction(masks) + 0.5 * rng.normal(size=80), (5, 1))
    wild = effects.copy()
    wild[0] += 50.0 * held[0] * rng.normal(size=80)
    one, two = grow_forests(masks, effects, seen, held), grow_forests(masks, wild, seen, held)
    assert one is not None
    assert two is not None
    rounds = min(one.units.shape[1], two.units.shape[1])
    assert np.array_equal(one.values[0, :rounds], two.values[0, :rounds])
    assert not one.values[0, rounds:].any()
    assert not two.values[0, rounds:].any()
    assert not np.array_equal(one.values[1, :rounds], two.values[1, :rounds])  # the others do go by them


def test_noise_grows_no_forest() -> None:
    rng = np.random.default_rng(2)
    seen, held = in_folds(120, 5)
    empty = []
    for _ in range(20):
        grown = grow_forests(rng.random((120, 10)) < 0.5, np.tile(rng.normal(size=120), (6, 1)), seen, held)
        empty.append(1.0 if grown is None else float(np.mean(~grown.values.any(axis=(1, 2)))))
    assert np.mean(empty) >= 0.9


# ---- products that are looked for ----


@given(SEEDS, st.integers(3, 9))
def test_a_product_of_three_is_found_wherever_it_is(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((150, n)) < 0.5
    units = normalised(masks, 0.5)
    triple = sorted(rng.permutation(n)[:3].tolist())
    left = units[:, triple].prod(axis=1) + 0.3 * rng.normal(size=150)
    (found,) = triples(units, left[None], np.ones((1, 150)))
    place = found.support.tolist().index(triple)
    assert np.abs(found.coefficients).argmax() == place
    assert found.coefficients[place] == pytest.approx(1.0, abs=0.15)


def test_products_of_pure_noise_stand_out_rarely() -> None:
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(100):
        units = normalised(rng.random((64, 12)) < 0.5, 0.5)
        found += len(triples(units, rng.normal(size=(1, 64)), np.ones((1, 64)))[0].support) > 0
    assert found <= 15


@given(SEEDS, st.sampled_from([0.5, 0.7]))
def test_pursuits_in_step_are_those_of_each_alone(seed: int, keep: float) -> None:
    rng = np.random.default_rng(seed)
    units = normalised(rng.random((60, 7)) < keep, keep)
    left = units[:, 0] * units[:, 3] - 0.5 * units[:, 2] * units[:, 5] + 0.2 * rng.normal(size=60)
    seen, _ = in_folds(60, 3)
    for weights, found in zip(
        seen, pursue_in_step(units, np.tile(left, (4, 1)), seen, most=6, beside=units[:, :0]), strict=True
    ):
        rows = weights > 0.0
        alone = pursue(Leftover(units[rows], left[rows], weights[rows], np.arange(int(rows.sum()))), 6)
        assert found.support.tolist() == alone.support.tolist()
        x = np.hstack([np.ones((len(units), 1)), units[:, found.support[:, 0]] * units[:, found.support[:, 1]]])
        solved = np.linalg.lstsq(x[rows], left[rows], rcond=None)[0]
        assert found.coefficients[:, -1] == pytest.approx(solved[1:], abs=1e-8)
        assert found.levels[-1] == pytest.approx(solved[0], abs=1e-8)
        assert found.coefficients[:, 0] == pytest.approx(np.zeros(6))


def test_merged_terms_are_each_there_once_with_the_largest_coefficient() -> None:
    one = (np.array([[0, 1, 4], [2, 4, 4]]), np.array([-3.0, 1.0]))
    two = (np.array([[0, 1], [1, 4]]), np.array([2.0, 0.5]))
    support, largest = merged(4, one, two)
    found = {tuple(units): value for units, value in zip(support.tolist(), largest.tolist(), strict=True)}
    assert found == {(0, 1, 4): 3.0, (2, 4, 4): 1.0, (1, 4, 4): 0.5}


# ---- the default ----


def observed(game: Game, calls: int, rng: np.random.Generator, *, noise: float = 0.0) -> Effects:
    draw = {"complement": designs.complement_pairs, "independent": designs.independent}
    design = draw[designs.halves_for(game.n, calls)](game.n, calls // 2, rng)
    effects = game.values(design.masks) + noise * game.spread() * rng.normal(size=calls)
    return Effects(design.masks, effects, design.groups)


def r2(family: str, n: int, calls: int, seed: int, *, noise: float = 0.0) -> float:
    rng = np.random.default_rng((seed, n))
    game = Game(n, family, rng)
    seen = observed(game, calls, rng, noise=noise)
    new = rng.random((1000, n)) < 0.5
    found = fidelity.r_squared(game.values(new), Adaptive().fit(seen).predict(new))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("family", "n", "calls", "least"),
    [
        ("conjunctions", 33, 256, 0.97),
        ("conjunctions", 16, 256, 0.95),
        ("parities", 16, 256, 0.99),
        ("parities", 33, 256, 0.9),
        ("redundant", 24, 256, 0.99),
        ("pairwise", 24, 128, 0.999),
        ("additive", 24, 64, 0.999),
        ("saturating", 24, 128, 0.92),
    ],
)
def test_the_default_predicts_games_of_many_kinds(family: str, n: int, calls: int, least: float) -> None:
    assert np.mean([r2(family, n, calls, seed) for seed in range(3)]) > least


def test_no_number_of_units_is_a_cliff() -> None:
    """Few words of many matter: the lasso was off from 257 units on."""
    found = []
    for n in (256, 257, 300):
        rng = np.random.default_rng(7)
        worth = np.where(np.arange(n) < 12, 1.0 + rng.random(n), 0.0)
        design = designs.independent(n, 100, rng)
        new = rng.random((400, n)) < 0.5
        fitted = Adaptive().fit(Effects(design.masks, design.masks @ worth, design.groups))
        found.append(fidelity.r_squared(new @ worth, fitted.predict(new)))
    assert min(found) > 0.97  # type: ignore[type-var]


def test_shapley_values_of_redundant_games_are_nearly_exact() -> None:
    errors = []
    for seed in range(3):
        rng = np.random.default_rng((seed, 24))
        game = Game(24, "redundant", rng)
        design = designs.by_size(24, 254, rng)
        ends = game.values(np.array([np.zeros(24, bool), np.ones(24, bool)]))
        effects, total = game.values(design.masks), float(ends[1] - ends[0])
        seen = Effects(design.masks, effects, design.groups, sizes=design.sizes, total=total)
        fit = intervals.cross_fit(seen, SURROGATES["adaptive"], rng)
        found = intervals.shapley_estimate(fit, seen, rng).attributions
        errors.append(((found - game.shapley()) ** 2).sum() / (game.shapley() ** 2).sum())
    assert np.mean(errors) < 0.01


@pytest.mark.parametrize("family", ["conjunctions", "additive", "parities"])
def test_a_fold_is_fitted_without_itself(family: str) -> None:
    """Garbage in a fold reaches its own fit by the weights alone, which the other folds choose."""
    moved, whole = [], []
    for seed in range(4):
        rng = np.random.default_rng((seed, 9))
        game = Game(9, family, rng)
        seen = observed(game, 128, rng)
        fold_of = seen.groups % 4
        new = rng.random((300, 9)) < 0.5
        garbage = np.where(fold_of == 0, 3.0 * game.spread() * rng.normal(size=128), 0.0)
        first, other = (folded(Adaptive(), each, fold_of) for each in (seen, seen.with_values(seen.values + garbage)))
        for found, fit in ((moved, 0), (whole, -1)):
            gap = (first[fit].predict(new) - other[fit].predict(new)) / game.spread()
            found.append(float(np.sqrt(np.mean(gap**2))))
    assert np.mean(moved) < 0.8 * np.mean(whole)


def test_scores_of_the_default_are_unbiased() -> None:
    """Weights of a fold are chosen by the other folds, whose fits saw it: too little to bias its scores.

    Coverage beside that of nested fits: benchmarks/coverage_default.py.
    """
    rng = np.random.default_rng(0)
    game = Game(8, "conjunctions", rng)
    found = []
    for seed in range(60):
        drawn = np.random.default_rng(seed)
        masks = np.repeat(drawn.random((24, 8)) < 0.5, 2, axis=0)  # with replacement
        masks[1::2] = ~masks[1::2]
        effects = game.values(masks) + 0.3 * game.spread() * drawn.normal(size=48)
        scores = intervals.cross_fit(Effects(masks, effects, np.arange(48) // 2), Adaptive(), drawn).scores
        found.append(scores.mean(axis=0))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - game.banzhaf()) < 4.5 * error).all()


def test_the_cheap_chance_level_is_that_of_the_whole_fit() -> None:
    rng = np.random.default_rng(0)
    seen = observed(Game(14, "redundant", rng), 96, rng)
    cheap, whole = Adaptive().by_chance(seen), Adaptive().prepared(seen)
    gaps = []
    for _ in range(12):
        effects = rng.normal(size=96)
        one, two = (fidelity.r_squared(effects, fit(effects).predict(seen.masks)) for fit in (cheap, whole))
        assert one is not None
        assert two is not None
        gaps.append(one - two)
    assert abs(np.mean(gaps)) < 0.05


def test_effects_of_any_size_are_expanded_alike() -> None:
    rng = np.random.default_rng(4)
    seen = observed(Game(10, "conjunctions", rng), 96, rng)
    new = rng.random((200, 10)) < 0.5
    one = Adaptive().fit(seen).predict(new)
    for scale, shift in itertools.product((1e-13, 1e12), (0.0, 5.0)):
        other = Adaptive().fit(seen.with_values(scale * (seen.values + shift))).predict(new)
        assert other / scale - shift == pytest.approx(one, abs=1e-3)
