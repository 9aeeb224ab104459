"""Contrasts against twins: exact ranks, a false discovery rate that holds, and shares within their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import DataError, UsageError
from whygen.stats.conformal import p_values
from whygen.stats.knockoffs import among_twins, conformal_share, standing_share


def test_an_original_below_all_twins_stands_alone() -> None:
    found = among_twins([[1.0, 2.0, 4.0, 6.0], [3.0, 2.0, 2.0, 2.0], [2.0, 2.0, 3.0, 4.0]])
    assert found.rank_p.tolist() == [0.25, 1.0, 0.5]
    assert found.lowest.tolist() == [True, False, False]  # a tie is not lower
    # Means of the others less the lowest: 3, 1/3, 1; standard deviations of the others 2, sqrt(1/3), 1; median 1.
    assert found.gap.tolist() == pytest.approx([3 / 5**0.5, (1 / 3) / (4 / 3) ** 0.5, 1 / 2**0.5])
    assert found.q.tolist() == pytest.approx([1 / 3, 1.0, 1.0])


def test_levels_are_those_of_the_filter_by_hand() -> None:
    values = np.array([[0.0, 10.0], [0.0, 8.0], [0.0, 6.0], [5.0, 0.0], [0.0, 3.0], [2.0, 0.0]])
    # Thresholds 10, 8, 6 and 5: (1 + 0)/1, 1/2, 1/3, (1 + 1)/3; at 3 it is 2/4, and at 2 (1 + 2)/4.
    assert among_twins(values).q.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0, 0.5, 1.0])


@given(st.integers(1, 6), st.integers(1, 30), st.integers(0, 2**32 - 1), st.integers(-3, 3), st.integers(-5, 5))
def test_units_and_the_order_of_twins_and_texts_change_nothing(
    m: int, n: int, seed: int, power: int, shift: int
) -> None:
    rng, scale = np.random.default_rng(seed), 2.0**power  # so that equal gaps stay equal
    values = rng.integers(0, 40, size=(n, 1 + m)).astype(float)
    order, twins = rng.permutation(n), 1 + rng.permutation(m)
    plain, other = among_twins(values), among_twins((values * scale + shift)[order][:, [0, *twins]])
    assert other.q == pytest.approx(plain.q[order])
    assert other.gap == pytest.approx(plain.gap[order] * (scale if m == 1 else 1))
    assert ((plain.q < 1) <= plain.lowest).all()


@pytest.mark.parametrize("m", [1, 4, 9])
def test_the_share_of_false_ones_is_kept_however_the_texts_differ(m: int) -> None:
    rng = np.random.default_rng(m)
    false, found = [], []
    for _ in range(400):
        values = rng.normal(size=(60, 1 + m)) * rng.exponential(3, size=(60, 1))
        values[:20, 0] -= 12
        called = among_twins(values).q <= 0.2
        false.append(called[20:].sum() / max(1, called.sum()))
        found.append(called[:20].mean())
    assert np.mean(false) <= 0.2 + 3 * np.std(false) / 20
    assert np.mean(found) > 0.6


@pytest.mark.parametrize(("m", "share"), [(1, 0.5), (9, 0.0), (9, 0.5), (19, 1.0)])
def test_the_share_lies_in_its_interval(m: int, share: float) -> None:
    rng = np.random.default_rng([m, int(10 * share)])
    hits = 0
    for _ in range(300):
        values = rng.normal(size=(40, 1 + m))
        values[rng.random(40) < share, 0] -= 50
        found = standing_share(values)
        assert found.low <= found.estimate <= found.high
        hits += found.low <= share <= found.high
    assert hits / 300 >= 0.93


@pytest.mark.parametrize(("share", "reference"), [(0.0, 39), (0.3, 100), (0.8, 39)])
def test_the_share_by_a_reference_has_the_error_of_both(share: float, reference: int) -> None:
    rng = np.random.default_rng([reference, int(10 * share)])
    hits = 0
    for _ in range(150):
        scores = rng.normal(size=60) + 50 * (rng.random(60) < share)
        found = conformal_share(p_values(rng.normal(size=reference), scores), reference=reference)
        hits += found.low <= share <= found.high
    assert hits / 150 >= 0.92


def test_nothing_is_known_of_no_tests() -> None:
    found = conformal_share([], reference=39)
    assert (found.low, found.high) == (0.0, 1.0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="m at least 1"):
        among_twins([[1.0]])
    with pytest.raises(DataError, match="finite"):
        among_twins([[1.0, float("nan")]])
    with pytest.raises(UsageError, match="not a level"):
        standing_share([[1.0, 2.0]], level=1.0)
