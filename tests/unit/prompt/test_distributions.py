"""Distances between sets of draws: unbiased where they claim to be, and laws of the shift test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import whygen
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import distributions
from whygen.types import Settings


def _blocks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return cdist(x, y), cdist(x, x), cdist(y, y)


@pytest.mark.parametrize("name", ["energy", "mmd"])
def test_u_statistics_have_mean_zero_for_one_law_and_v_statistics_do_not(name: str) -> None:
    rng = np.random.default_rng(3)
    distance = distributions.DISTRIBUTIONS[name]
    values = np.array([distance(*_blocks(rng.normal(size=(4, 2)), rng.normal(size=(4, 2)))) for _ in range(4000)])
    standard_error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 4 * standard_error
    assert values.min() < 0  # not clipped
    with_itself = [cdist(x, x).mean() for x in (rng.normal(size=(4, 2)) for _ in range(500))]
    without = [distributions._within(cdist(x, x)) for x in (rng.normal(size=(4, 2)) for _ in range(500))]
    assert np.mean(without) / np.mean(with_itself) == pytest.approx(4 / 3, rel=0.1)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000))
def test_transport_between_sets_is_the_best_of_all_matchings(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.random((n, n))
    best = min(np.mean([cost[i, j] for i, j in enumerate(order)]) for order in itertools.permutations(range(n)))
    assert distributions.optimal_transport(cost, cost, cost) == pytest.approx(best, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_the_sinkhorn_divergence_is_zero_for_equal_sets_and_near_transport(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 3.0
    assert distributions.sinkhorn(*_blocks(x, x[::-1])) == pytest.approx(0.0, abs=1e-6)
    between, first, second = _blocks(x, y)
    exact = distributions.optimal_transport(between, first, second)
    assert distributions.sinkhorn(between, first, second) == pytest.approx(exact, rel=0.25)


def test_the_shift_test_keeps_its_level_and_finds_a_shift() -> None:
    rng = np.random.default_rng(11)
    pairs, found, false = 20, 0, []
    for _ in range(150):
        signs = rng.choice([-1, 1], size=(pairs, 4))
        place = np.column_stack([signs[:, 0], -signs[:, 0]]).ravel() * 0.8
        outputs = place[:, None] * np.array([1.0, 0.0]) + rng.normal(size=(2 * pairs, 2))
        p_values = distributions.shift_p_values(cdist(outputs, outputs), signs, rng, rounds=300)
        found += p_values[0] <= 0.05
        false.extend((p_values[1:] <= 0.05).tolist())
    assert found >= 120
    assert np.mean(false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(false))


def test_a_weak_unit_is_found_beside_a_strong_one_and_idle_ones_are_not() -> None:
    rng = np.random.default_rng(13)
    pairs, found, false = 40, 0, []
    for _ in range(60):
        signs = rng.choice([-1, 1], size=(pairs, 6))
        strong, weak = (np.column_stack([signs[:, i], -signs[:, i]]).ravel() for i in (0, 1))
        outputs = np.column_stack([3.0 * strong, 0.4 * weak]) + rng.normal(size=(2 * pairs, 2))
        p_values = distributions.shift_p_values(cdist(outputs, outputs), signs, rng, rounds=300)
        found += p_values[1] <= 0.05
        false.extend((p_values[2:] <= 0.05).tolist())
    assert found >= 30  # 5 of 60 where the strong unit counts as noise
    assert np.mean(false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(false))


def test_a_unit_that_changes_the_spread_alone_is_seen_by_the_shift_and_not_by_the_mean() -> None:
    rng = np.random.default_rng(12)
    signs = rng.choice([-1, 1], size=(30, 2))
    scale = np.column_stack([1 + signs[:, 0], 1 - signs[:, 0]]).ravel()
    outputs = scale[:, None] * rng.normal(size=(60, 3))
    p_values = distributions.shift_p_values(cdist(outputs, outputs), signs, rng)
    assert p_values[0] < 0.01


def test_the_whole_path_in_distributional_mode() -> None:
    explanation = whygen.explain_prompt(
        "planted/noisy", "red fox jumps over the lazy dog", target="token-set", distribution="energy",
        draws=3, references=4, budget=3 + 4 + 3 * 40, settings=Settings(temperature=1.0, seed=1), cache=None,
    )  # fmt: skip
    assert explanation.target.distance.startswith("energy between sets of 3 draws and 4 references")
    assert explanation.p_shift is not None
    assert len(explanation.p_shift) == len(explanation.units)
    assert explanation.noise.repeats == 3
    assert explanation.fidelity.noise_ceiling is not None
    assert explanation.calls.asked <= 127


def test_sets_of_one_and_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="draws=1 is no set"):
        whygen.explain_prompt("planted/noisy", "a fox", distribution="energy", references=2, cache=None)
    with pytest.raises(UnknownNameError, match="energy"):
        whygen.explain_prompt("planted/noisy", "a fox", distribution="enrgy", draws=2, references=2, cache=None)
