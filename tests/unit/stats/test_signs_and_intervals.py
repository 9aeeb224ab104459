"""Closed forms of the sign-flip test and of the score interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from whygen.stats.intervals import score_error, tail_degrees
from whygen.stats.signs import sign_flip_p


def test_all_signs_equal_give_the_smallest_p() -> None:
    scores = np.full((8, 1), 2.0)
    assert sign_flip_p(scores, np.random.default_rng(0))[0] == pytest.approx(2 / 2**8)


def test_a_column_of_zeros_has_p_one_also_beside_large_scores() -> None:
    scores = np.stack([np.full(20, 1e-17), np.ones(20)], axis=1)
    p = sign_flip_p(scores, np.random.default_rng(0))
    assert p[0] == 1.0
    assert p[1] == pytest.approx(1e-4)


@given(st.integers(2, 10), st.integers(0, 1000))
def test_enumerated_flips_agree_with_the_definition(groups: int, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(groups, 1))
    found = sign_flip_p(scores, np.random.default_rng(0))[0]
    result = stats.permutation_test(
        (scores[:, 0],),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="two-sided",
        vectorized=False,
    )
    assert found == pytest.approx(result.pvalue, abs=1e-12)


def test_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(4)
    p = sign_flip_p(rng.normal(size=(20, 2000)), rng, flips=999)
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_interval_of_normal_scores_is_close_to_the_textbook() -> None:
    scores = np.random.default_rng(0).normal(size=(2000, 1))
    interval = score_error(scores).interval()
    half = stats.t.ppf(0.975, 1999) * scores.std(ddof=1) / np.sqrt(2000)
    assert interval.high[0] - interval.estimate[0] == pytest.approx(half, rel=1e-3)


def test_drawing_everything_leaves_only_the_noise_of_the_model() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 3))
    assert np.ptp(score_error(scores, sampled=1.0).interval(), axis=0).max() == 0.0
    noisy = score_error(scores, sampled=1.0, noise=0.25).interval()
    whole = score_error(scores, sampled=0.0).interval()
    assert (noisy.high - noisy.low < whole.high - whole.low).all()
    assert (noisy.high > noisy.low).all()


def test_heavy_tails_cost_degrees_of_freedom() -> None:
    rng = np.random.default_rng(1)
    light, heavy = rng.choice([-1.0, 1.0], size=(200, 1)), rng.standard_t(2.5, size=(200, 1))
    assert tail_degrees(light)[0] == 199.0
    assert tail_degrees(heavy)[0] < 100.0
    assert tail_degrees(np.zeros((5, 1)))[0] == 4.0


@pytest.mark.parametrize("power", [-332, -299, 299, 332])
def test_degrees_know_no_scale(power: int) -> None:
    scores = np.random.default_rng(4).standard_t(4, size=(40, 3))
    assert tail_degrees(np.ldexp(scores, power)).tolist() == tail_degrees(scores).tolist()
