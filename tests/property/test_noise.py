"""The model's own noise: what repeats measure, what their agreement bounds, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from whygen.prompt import designs
from whygen.prompt.noise import measure

SEEDS = st.integers(0, 2**32 - 1)


def contrasts(n: int) -> np.ndarray:
    return np.where(designs.enumerated(n).masks, 1.0, -1.0) / 2 ** (n - 1)


def test_one_draw_of_each_mask_measures_nothing() -> None:
    noise = measure(np.arange(8.0)[:, None])
    assert noise.source == "unknown"
    assert noise.variance is None
    assert noise.limits(contrasts(3), np.ones(3)) is None


def test_the_whole_prompt_speaks_for_no_other() -> None:
    draws = np.full((8, 2), np.nan)
    draws[:, 0] = np.arange(8.0)
    draws[7, 1] = 7.0
    assert measure(draws, speaks=np.arange(8) < 7).source == "unknown"


def test_a_model_known_to_answer_alike_leaves_no_doubt() -> None:
    noise = measure(np.arange(8.0)[:, None], known=True)
    limits = noise.limits(contrasts(3), np.array([0.0, 1e-12, 4.0]))
    assert limits is not None
    assert limits.half.tolist() == [0.0, 0.0, 0.0]
    assert limits.p_values.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(("repeats", "rate"), [(1, 0.776), (8, 0.171), (30, 0.0487), (150, 0.00994)])
def test_agreement_of_repeats_is_the_rule_of_three(repeats: int, rate: float) -> None:
    draws = np.full((256, 2), np.nan)
    draws[:, 0] = np.linspace(-1.0, 1.0, 256)
    draws[:repeats, 1] = draws[:repeats, 0]
    noise = measure(draws)
    assert (noise.source, noise.repeats, noise.odd) == ("steady", repeats, 0)
    assert noise.flip_rate == pytest.approx(rate, rel=0.01)
    # So rare an answer hides in 2R agreeing draws one time in twenty.
    assert (1.0 - noise.flip_rate) ** (2 * repeats) == pytest.approx(0.05)
    values = np.array([0.0, 2.0 * noise.likely_rate * noise.span, 1.0])
    limits = noise.limits(np.repeat(contrasts(8)[:, :1], 3, axis=1), values)
    assert limits is not None
    assert limits.half == pytest.approx(noise.likely_rate * 2.0 * noise.span)  # half of the chance of what was seen
    assert limits.p_values[:2] == pytest.approx([1.0, 0.05])


@given(SEEDS, st.integers(2, 6))
def test_noise_on_every_call_is_the_mean_variance(seed: int, draws: int) -> None:
    effects = np.random.default_rng(seed).normal(size=(64, draws))
    noise = measure(effects)
    assert noise.odd == noise.repeats == 64 * (draws - 1)
    assert noise.pool == pytest.approx(effects.var(axis=1, ddof=1).mean())
    limits = noise.limits(contrasts(6), np.zeros(6))
    assert limits is not None
    # All masks weigh the same: the variances of single masks and their mean give one answer.
    width = stats.t.ppf(0.975, 64.0 * (draws - 1)) * np.sqrt(noise.pool / draws * 4.0 / 64.0)
    assert limits.half == pytest.approx(np.full(6, width), rel=0.06)


@given(SEEDS, st.floats(0.01, 100.0), st.floats(-1e6, 1e6))
def test_units_and_zero_of_the_score_do_not_matter(seed: int, unit: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    effects = (rng.random((32, 2)) < 0.8).astype(float)
    values = contrasts(5).T @ effects.mean(axis=1)
    first, second = measure(effects), measure(unit * effects + shift)
    assert (first.repeats, first.odd) == (second.repeats, second.odd)
    one, other = first.limits(contrasts(5), values), second.limits(contrasts(5), unit * values)
    assert one is not None
    assert other is not None
    assert other.half == pytest.approx(unit * one.half, rel=1e-6)
    assert other.p_values == pytest.approx(one.p_values, rel=1e-3)
