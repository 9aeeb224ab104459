"""Rules: what the pursuit of conjunctions finds, that it is least squares, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whygen.models.planted.games import Game
from whygen.prompt.surrogates.base import Terms
from whygen.prompt.surrogates.rules import SIZE, Rules, conjoin

SEEDS = st.integers(0, 2**32 - 1)


def in_folds(m: int, folds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights of the rows that each fit sees, and of those it leaves out; the last fit sees all."""
    fold_of = np.arange(m) % folds
    seen = np.array([*(fold_of != k for k in range(folds)), np.ones(m)], dtype=float)
    return seen, 1.0 - seen


def columns(rules: Rules, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One where a rule holds, shape ``(m, k)``: read literal by literal."""
    n = masks.shape[1]
    found = np.ones((len(masks), len(rules.literals)))
    for rule, literals in enumerate(rules.literals):
        for literal in literals[literals < 2 * n]:
            found[:, rule] *= masks[:, literal] if literal < n else ~masks[:, literal - n]
    return found


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 7), st.floats(0.2, 0.8))
def test_rules_are_the_terms_they_say_and_hold_no_unit_twice(seed: int, n: int, keep: float) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((50, n)) < keep
    seen, held = in_folds(50, 3)
    for rules in conjoin(masks, np.tile(rng.normal(size=50), (4, 1)), seen, held):
        support, coefficients, levels = rules.terms(n)
        units = np.sort(np.where(rules.literals < 2 * n, rules.literals % n, n + np.arange(SIZE)), axis=1)
        assert (np.diff(units, axis=1) > 0).all()
        for step in (0, len(levels) // 2, len(levels) - 1):
            terms = Terms(support, coefficients[:, step], 0.5, float(levels[step]), n)
            told = columns(rules, masks) @ rules.coefficients[:, step] + rules.levels[step]
            assert terms.predict(masks) == pytest.approx(told, abs=1e-7 * (1.0 + float(np.abs(told).max())))


@settings(max_examples=20)
@given(SEEDS, st.integers(2, 9))
def test_every_step_is_least_squares_on_the_rules_so_far(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((60, n)) < 0.5
    effects, (seen, held) = rng.normal(size=60), in_folds(60, 3)
    for fit, rules in enumerate(conjoin(masks, np.tile(effects, (4, 1)), seen, held)):
        rows = seen[fit] > 0.0
        x = np.column_stack([np.ones(60), columns(rules, masks)])
        for step in (0, len(rules.levels) - 1):
            own = x[rows, : step + 1]
            best = own @ np.linalg.lstsq(own, effects[rows], rcond=None)[0]
            found = columns(rules, masks)[rows] @ rules.coefficients[:, step] + rules.levels[step]
            assert found == pytest.approx(best, abs=1e-7)


@settings(max_examples=20)
@given(SEEDS, st.integers(4, 40))
def test_a_rule_of_four_is_found_wherever_it_is(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((200, n)) < 0.5
    units, absent = np.sort(rng.permutation(n)[:4]), rng.random(4) < 0.5
    holds = (masks[:, units] != absent).all(axis=1)
    (rules,) = conjoin(masks, (2.0 * holds + 0.1 * rng.normal(size=200))[None], np.ones((1, 200)), np.zeros((1, 200)))
    assert sorted(rules.literals[0].tolist()) == sorted((units + n * absent).tolist())


def test_no_fit_sees_the_rows_it_leaves_out() -> None:
    rng = np.random.default_rng(0)
    game = Game(9, "conjunctions", rng)
    masks = rng.random((96, 9)) < 0.5
    seen, held = in_folds(96, 4)
    effects = np.tile(game.values(masks) + 0.3 * game.spread() * rng.normal(size=96), (5, 1))
    wild = effects + 9.0 * np.where(held > 0.0, rng.normal(size=effects.shape), 0.0)
    for one, two in zip(conjoin(masks, effects, seen, held), conjoin(masks, wild, seen, held), strict=True):
        steps = min(len(one.literals), len(two.literals))  # when to stop is what left-out rows say
        assert steps >= 6
        assert np.array_equal(one.literals[:steps], two.literals[:steps])
        assert one.coefficients[:steps, steps] == pytest.approx(two.coefficients[:steps, steps])


def test_no_fit_stops_by_the_rows_that_it_leaves_out_itself() -> None:
    rng = np.random.default_rng(5)
    masks = rng.random((80, 6)) < 0.5
    seen, held = in_folds(80, 4)
    effects = np.tile(masks[:, 0] & ~masks[:, 1] & masks[:, 2], (5, 1)) + 0.5 * rng.normal(size=80)
    wild = effects.copy()
    wild[0] += 50.0 * held[0] * rng.normal(size=80)
    one, two = conjoin(masks, effects, seen, held), conjoin(masks, wild, seen, held)
    assert np.array_equal(one[0].literals, two[0].literals)
    assert any(len(a.literals) != len(b.literals) for a, b in zip(one[1:], two[1:], strict=True))


def test_fits_in_step_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(1)
    masks = rng.random((80, 7)) < 0.5
    seen, held = in_folds(80, 4)
    effects = rng.normal(size=80)
    for fit, rules in enumerate(conjoin(masks, np.tile(effects, (5, 1)), seen, held)):
        (alone,) = conjoin(masks, effects[None], seen[fit : fit + 1], held[fit : fit + 1])
        steps = min(len(alone.literals), len(rules.literals))
        assert np.array_equal(alone.literals[:steps], rules.literals[:steps])
