"""Laws of the stop rule and of the advice on the budget."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import UsageError
from whygen.prompt import stopping
from whygen.stats.intervals import Interval

PAIRS = st.integers(1, 5000)


UNITS = st.integers(1, 200)


@given(PAIRS, UNITS, st.integers(1, 40), st.floats(1.01, 4.0))
def test_looks_grow_and_end_with_the_whole_design(pairs: int, n: int, first: int, growth: float) -> None:
    looks = stopping.looks(pairs, n, first=first, growth=growth)
    assert looks[-1] == pairs
    assert looks[0] >= min(first, pairs)
    assert all(a < b for a, b in itertools.pairwise(looks))
    assert not [at for at in looks[:-1] if n <= at <= 2 * n]


@given(PAIRS, UNITS)
def test_looks_are_few_and_begin_as_those_of_a_larger_budget(pairs: int, n: int) -> None:
    looks, more = stopping.looks(pairs, n), stopping.looks(2 * pairs, n)
    assert looks[:-1] == more[: len(looks) - 1]
    assert len(looks) <= 2 + math.log(max(pairs / stopping.FIRST_LOOK, 1.0)) / math.log(stopping.GROWTH)


def test_the_looks_of_a_prompt_of_twenty_four_units() -> None:
    assert stopping.looks(128, 24) == (16, 54, 81, 121, 128)


@pytest.mark.parametrize("wrong", [{"pairs": 0}, {"pairs": 9, "first": 0}, {"pairs": 9, "growth": 1.0}])
def test_looks_that_would_not_grow_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError, match=r"such as 1\.5"):
        stopping.looks(wrong.pop("pairs"), 8, **wrong)


def test_the_widest_interval_decides_whether_it_is_sharp() -> None:
    middle = np.array([0.0, 1.0])
    interval = Interval(middle, middle - np.array([0.1, 0.4]), middle + np.array([0.1, 0.4]))
    assert stopping.widest(interval) == pytest.approx(0.8)
    assert stopping.is_sharp(interval, 0.81)
    assert not stopping.is_sharp(interval, 0.79)
    assert not stopping.is_sharp(None, 1e9)


def test_order_counts_as_stable_when_the_first_k_agree_look_after_look() -> None:
    looks = [np.array(x) for x in ([3.0, -2.0, 1.0], [3.0, 1.0, -2.0], [9.0, 1.0, -5.0])]
    assert not stopping.is_stable(looks[:1], 1)
    assert not stopping.is_stable(looks[:2], 2)
    assert stopping.is_stable(looks[:2], 1)
    assert stopping.is_stable(looks, 2)
    assert not stopping.is_stable(looks, 2, agreeing=3)
    with pytest.raises(UsageError, match="at least two looks"):
        stopping.is_stable(looks, 2, agreeing=1)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.integers(1, 12))
def test_the_top_order_is_by_size_whatever_the_sign(values: list[float], k: int) -> None:
    attributions = np.array(values)
    order = stopping.top_order(attributions, k)
    assert order == stopping.top_order(-attributions, k)
    sizes = np.abs(attributions)[list(order)]
    assert (np.diff(sizes) <= 0).all()
    assert len(order) == min(k, len(values))
    left = np.delete(np.abs(attributions), list(order))
    assert len(left) == 0 or left.max() <= sizes.min()


@given(PAIRS, st.integers(1, 5), st.floats(0.01, 10))
def test_many_masks_need_three_times_as_many_again(pairs: int, draws: int, half: float) -> None:
    advice = stopping.advice(np.array([half / 2, half]), pairs=pairs, draws=draws)
    assert advice.calls == 3 * pairs * 2 * draws
    assert advice.width == pytest.approx(2 * half)
    assert f"{advice.calls:,} more calls" in advice.sentence


@given(st.integers(4, 500), st.floats(1.01, 20), st.floats(0.0, 2.0), st.floats(0.01, 2.0))
def test_the_advised_pairs_halve_the_width_of_the_formula(pairs: int, more: float, noise: float, masks: float) -> None:
    population = math.ceil(pairs * more)

    def half(at: float) -> float:
        return 1.96 * math.sqrt(masks * (1 / at - 1 / population) + noise / at)

    if pairs == population:
        return
    advice = stopping.advice(np.array([half(pairs)]), pairs=pairs, population=population, noise=noise)
    assert advice.floor == pytest.approx(2 * half(population), abs=1e-6)
    if advice.calls is None:
        assert half(population) > half(pairs) / 2
        assert "own noise" in advice.sentence
        return
    needed = pairs + advice.calls // 2
    assert needed <= population
    assert half(needed) <= half(pairs) / 2 * (1 + 1e-9) < half(needed - 1) * (1 + 2e-9)


def test_when_every_mask_was_asked_only_noise_is_left_and_no_mask_helps() -> None:
    advice = stopping.advice(np.array([0.3]), pairs=64, population=64, noise=1.0)
    assert advice.calls is None
    assert advice.floor > 0


def test_intervals_without_width_need_nothing() -> None:
    assert stopping.advice(np.zeros(3), pairs=16).calls == 0


@pytest.mark.parametrize("wrong", [{"pairs": 0}, {"pairs": 9, "draws": 0}, {"pairs": 9, "population": 8}])
def test_advice_on_what_cannot_have_happened_is_refused(wrong: dict) -> None:
    with pytest.raises(UsageError, match="at least one pair"):
        stopping.advice(np.ones(2), **wrong)
