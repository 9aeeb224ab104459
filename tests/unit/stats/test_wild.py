"""The restricted wild bootstrap: level, power, and exact cases."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.stats.wild import FLIPS, Contrasts, wild_p


def design(rng: np.random.Generator, rows: int, k: int) -> np.ndarray:
    return rng.choice([-0.5, 0.5], size=(rows, k))


@pytest.mark.parametrize("kind", ["signs", "few large", "uneven"])
def test_idle_columns_have_small_p_values_as_often_as_they_say(kind: str) -> None:
    """Thirty rows for ten columns, with the errors that a t-test takes for effects: equal in size, rare, or uneven."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = design(rng, 30, 10)
        errors = {
            "signs": rng.choice([-1.0, 1.0], 30),
            "few large": rng.normal(size=30) * (rng.random(30) < 0.25),
            "uneven": rng.normal(size=30) * np.abs(x[:, 0] + x[:, 1]),
        }[kind]
        found.append(wild_p(x, x[:, 0] * 2.0 + errors, Contrasts(np.eye(10)), rng)[1:])
    p_values = np.concatenate(found)
    assert (p_values <= 0.05).mean() <= 0.08
    assert (p_values <= 0.005).mean() <= 0.012
    assert (p_values <= 0.5).mean() >= 0.35


def test_a_column_that_matters_is_found() -> None:
    rng = np.random.default_rng(1)
    x = design(rng, 40, 6)
    p_values = wild_p(x, x[:, 2] * 2.0 + 0.3 * rng.normal(size=40), Contrasts(np.eye(6)), rng)
    assert p_values[2] <= 2.0 / (FLIPS[1] + 1)
    assert p_values.argmin() == 2


def test_a_regression_that_is_met_exactly_decides_at_once() -> None:
    rng = np.random.default_rng(2)
    x = design(rng, 20, 5)
    p_values = wild_p(x, x @ np.array([1.0, 0.0, -2.0, 0.0, 1e-3]), Contrasts(np.eye(5)), rng)
    assert p_values.tolist() == pytest.approx([1 / (FLIPS[1] + 1), 1.0, 1 / (FLIPS[1] + 1), 1.0, 1 / (FLIPS[1] + 1)])


def test_the_error_of_a_shift_makes_values_less_sure() -> None:
    rng = np.random.default_rng(3)
    x = design(rng, 24, 4)
    deviation = x - x.mean(axis=1, keepdims=True)
    y = deviation @ np.array([0.3, -0.1, -0.1, -0.1]) + 0.05 * rng.normal(size=24)
    rows = np.eye(4) - 0.25
    sure = wild_p(deviation, y, Contrasts(rows, 0.2), np.random.default_rng(0))
    unsure = wild_p(deviation, y, Contrasts(rows, 0.2, 0.2), np.random.default_rng(0))
    assert sure[0] < 0.01
    assert unsure[0] > 10.0 * sure[0]
    assert (unsure[1:] > 0.1).all()  # what is sure is the deviation from the share, and 0.2 +- 0.2 may be anything


def test_nothing_at_all_is_nothing() -> None:
    x = design(np.random.default_rng(4), 12, 3)
    assert wild_p(x, np.zeros(12), Contrasts(np.eye(3)), np.random.default_rng(0)).tolist() == [1.0, 1.0, 1.0]
