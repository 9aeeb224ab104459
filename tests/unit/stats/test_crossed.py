"""Scores crossed with inputs: closed forms, and the variance that random inputs add."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from whygen.stats.crossed import at_least, between_inputs, share_unseen, student_p, widened
from whygen.stats.intervals import Interval, score_error


def test_inputs_without_any_residual_add_the_variance_of_their_means() -> None:
    inputs, pairs = np.array([1.0, 2.0, 6.0])[:, None, None], np.arange(5.0)[None, :, None]
    added = between_inputs(inputs + pairs)
    np.testing.assert_allclose(added, [np.var([1, 2, 6], ddof=1) / 3])


def test_equal_inputs_add_nothing() -> None:
    scores = np.repeat(np.random.default_rng(0).normal(size=(1, 9, 4)), 5, axis=0)
    np.testing.assert_allclose(between_inputs(scores), 0.0, atol=1e-15)


def test_it_is_unbiased_where_inputs_truly_vary() -> None:
    rng = np.random.default_rng(1)
    alpha, beta = rng.normal(size=(2000, 12, 1)) * 2.0, rng.normal(size=(2000, 1, 16))
    found = [between_inputs(s[:, :, None])[0] for s in alpha + beta + rng.normal(size=(2000, 12, 16))]
    assert np.mean(found) == pytest.approx(4.0 / 12, rel=0.03)


def test_intervals_for_inputs_like_these_cover_the_mean_of_all_inputs() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        scores = rng.normal(size=(8, 1, 1)) + rng.normal(size=(1, 20, 1)) + rng.normal(size=(8, 20, 1))
        these = score_error(scores.mean(axis=0)).interval()
        like = widened(these, between_inputs(scores), 8)
        hits += bool(like.low[0] <= 0.0 <= like.high[0])
    assert 930 <= hits <= 980


def test_p_values_agree_with_students_t_and_with_the_interval() -> None:
    values = np.random.default_rng(3).normal(0.5, size=9)
    half = stats.t.ppf(0.975, 8) * values.std(ddof=1) / 3
    interval = Interval(np.array([values.mean()]), np.array([values.mean() - half]), np.array([values.mean() + half]))
    assert student_p(interval, 8.0)[0] == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)


def test_an_estimate_without_spread_is_certain_unless_it_is_zero() -> None:
    fixed = np.array([0.3, 0.0, 1e-15])
    assert student_p(Interval(fixed, fixed, fixed), 5.0).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("inputs", [2, 6, 30])
def test_inputs_that_agree_may_have_missed_a_share_of_all(inputs: int) -> None:
    share = share_unseen(inputs)
    assert (1.0 - share) ** inputs == pytest.approx(0.05)
    assert share_unseen(300) == pytest.approx(3.0 / 300, rel=0.01)


def test_an_interval_is_as_wide_as_it_has_to_be() -> None:
    value = np.array([1.0, 0.0])
    found = at_least(Interval(value, value - np.array([0.5, 0.0]), value + np.array([0.5, 0.0])), np.array([0.2, 0.3]))
    np.testing.assert_allclose(found.high, [1.5, 0.3])
    np.testing.assert_allclose(found.low, [0.5, -0.3])
