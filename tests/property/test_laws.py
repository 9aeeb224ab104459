"""What every attribution obeys, on random games: dummy, symmetry, linearity, efficiency, and no favourite unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from whygen.errors import DataError
from whygen.prompt import designs, intervals
from whygen.prompt.designs import Sizes
from whygen.prompt.effects import Effects
from whygen.prompt.kernels import Dropped
from whygen.prompt.surrogates import Ols, Ridge, Surrogate

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from(["kernel", "leverage"])
EXACT = ("banzhaf", "shapley", "loo")
ALL = (*EXACT, "local")
Floats = NDArray[np.float64]


def play(values: Floats, masks: NDArray[np.bool_]) -> Floats:
    return values[masks @ (1 << np.arange(masks.shape[1]))]


def attribute(estimand: str, values: Floats, n: int) -> Floats:
    """The estimand of a game ``(2^n,)`` from all the masks it needs; `local` from a fixed sample."""
    if estimand == "loo":
        design = designs.leave_one_out(n)
        seen = Effects(design.masks, play(values, design.masks), design.groups)
        return intervals.leave_one_out_estimate(seen, values[-1:]).attributions
    design = designs.enumerated(n)
    seen = Effects(design.masks, play(values, design.masks), design.groups)
    if estimand == "local":
        near = Dropped(0.5).weights(seen.masks, [], "")
        return intervals.local_estimate(replace(seen, nearness=near)).attributions
    all_masks_asked = {"banzhaf": intervals.enumerated_estimate, "shapley": intervals.enumerated_shapley}
    return all_masks_asked[estimand](seen).attributions


def all_masks(n: int) -> NDArray[np.bool_]:
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(bool)


@pytest.mark.parametrize("estimand", EXACT)
@given(n=st.integers(2, 6), seed=SEEDS)
def test_a_unit_that_changes_nothing_gets_nothing(estimand: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    unit = int(rng.integers(n))
    without = all_masks(n)
    without[:, unit] = False
    values = play(rng.normal(size=2**n), without)
    assert attribute(estimand, values, n)[unit] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("estimand", ALL)
@given(n=st.integers(2, 6), seed=SEEDS)
def test_units_that_can_be_exchanged_get_the_same(estimand: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    swapped = all_masks(n)
    swapped[:, [0, 1]] = swapped[:, [1, 0]]
    values = rng.normal(size=2**n)
    found = attribute(estimand, values + play(values, swapped), n)
    assert found[0] == pytest.approx(found[1], abs=1e-9)


@pytest.mark.parametrize("estimand", ALL)
@given(n=st.integers(1, 6), seed=SEEDS, factor=st.floats(-5, 5))
def test_attributions_of_a_sum_are_the_sum(estimand: str, n: int, seed: int, factor: float) -> None:
    one, two = np.random.default_rng(seed).normal(size=(2, 2**n))
    apart = attribute(estimand, one, n) + factor * attribute(estimand, two, n)
    assert attribute(estimand, one + factor * two, n) == pytest.approx(apart, abs=1e-9)


@pytest.mark.parametrize("estimand", ALL)
@given(n=st.integers(2, 6), seed=SEEDS)
def test_names_of_units_do_not_matter(estimand: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, order = rng.normal(size=2**n), rng.permutation(n)
    renamed = play(values, all_masks(n)[:, order])  # unit order[j] of the renamed game is unit j of the first
    found = attribute(estimand, renamed, n)
    assert found[order] == pytest.approx(attribute(estimand, values, n), abs=1e-9)


def by_size(n: int, values: Floats, rng: np.random.Generator, *, sizes: Sizes, noise: float = 0.0) -> Effects:
    design = designs.by_size(n, 8 * n + 16, rng, sizes=sizes)
    effects = play(values, design.masks) + noise * rng.normal(size=len(design.masks))
    return Effects(design.masks, effects, design.groups, sizes=design.sizes, total=float(values[-1] - values[0]))


@given(st.integers(2, 9), SEEDS, SIZES, st.sampled_from([Ridge(), Ols()]), st.floats(0, 3))
def test_shapley_values_sum_to_the_total_whatever_was_drawn(
    n: int, seed: int, sizes: Sizes, surrogate: Surrogate, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    seen = by_size(n, rng.normal(size=2**n), rng, sizes=sizes, noise=noise)
    if len(np.unique(seen.groups)) < intervals.FEWEST_GROUPS:
        return
    found = intervals.shapley_estimate(intervals.cross_fit(seen, surrogate, rng), seen, rng, noise=noise)
    assert seen.total is not None
    assert found.attributions.sum() == pytest.approx(seen.total, abs=1e-9)


@given(st.integers(1, 8), SEEDS)
def test_enumerated_shapley_values_sum_to_the_total(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=2**n)
    assert attribute("shapley", values, n).sum() == pytest.approx(values[-1] - values[0], abs=1e-9)


@given(st.integers(2, 8), SEEDS, SIZES)
def test_weights_by_size_make_the_shapley_value_out_of_any_game(n: int, seed: int, sizes: Sizes) -> None:
    values = np.random.default_rng(seed).normal(size=2**n)
    masks = all_masks(n)[1:-1]
    law = designs.size_law(n, sizes)
    seen = Effects(masks, play(values, masks), np.arange(len(masks)), sizes=law)
    size = masks.sum(axis=1)
    chance = law[size - 1] / np.array([np.sum(size == s) for s in size])
    # The full and the empty mask are their own stratum: they add an n-th of the total to every unit.
    found = (chance * seen.values) @ seen.weights() + (values[-1] - values[0]) / n
    assert chance.sum() == pytest.approx(1.0)
    assert found == pytest.approx(attribute("shapley", values, n), abs=1e-9)


@given(SEEDS, SIZES)
def test_sampled_shapley_values_are_linear_with_a_linear_surrogate(seed: int, sizes: Sizes) -> None:
    rng = np.random.default_rng(seed)
    n, (one, two) = 5, rng.normal(size=(2, 32))
    first = by_size(n, one, np.random.default_rng(seed), sizes=sizes)
    second = by_size(n, two, np.random.default_rng(seed), sizes=sizes)
    both = replace(
        first, values=first.values + 2 * second.values, total=float(one[-1] - one[0] + 2 * (two[-1] - two[0]))
    )

    def solve(seen: Effects) -> Floats:
        fold_rng = np.random.default_rng(0)
        return intervals.shapley_estimate(intervals.cross_fit(seen, Ols(), fold_rng), seen, fold_rng).attributions

    assert solve(both) == pytest.approx(solve(first) + 2 * solve(second), abs=1e-8)


@given(st.integers(1, 6), st.integers(2, 5), st.integers(2, 5), SEEDS)
def test_leave_one_out_is_between_welch_and_a_pooled_variance(n: int, draws: int, repeats: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    each, whole = rng.normal(size=(n, draws)), rng.normal(size=repeats)
    design = designs.leave_one_out(n)
    seen = Effects(design.masks, each.mean(axis=1), design.groups)
    found = intervals.leave_one_out_estimate(seen, whole, draws=each)
    assert found.interval is not None
    assert found.attributions == pytest.approx(whole.mean() - each.mean(axis=1))
    # Each variance of its own, drawn towards the mean of all that lack a unit by two degrees of freedom; that mean is
    # raised where the masks of a difference vary more.
    pool = each.var(axis=1, ddof=1).mean()
    samples = [*((row, draws) for row in each), (whole, repeats)]
    own = np.array([((k - 1) * x.var(ddof=1) + 2.0 * pool) / (k + 1) / k for x, k in samples])
    error = np.sqrt(own[:n] + own[n])
    ratio = (found.interval.high - found.attributions) / error
    assert (ratio >= stats.t.ppf(0.975, n * (draws - 1) + repeats + draws + 4) - 1e-9).all()
    assert (ratio <= np.sqrt(2.0 * (n + 1)) * stats.t.ppf(0.975, 1.0)).all()


def test_leave_one_out_that_agrees_is_bounded_and_only_a_known_model_has_no_width() -> None:
    design = designs.leave_one_out(2)
    seen, repeats = Effects(design.masks, np.array([1.0, 3.0]), design.groups), np.full(2, 3.0)
    draws = np.repeat(seen.values[:, None], 10, axis=1)
    found = intervals.leave_one_out_estimate(seen, repeats, draws=draws)
    assert found.interval is not None
    # No difference in 18 repeats: a flip rate of 6% (mid-p), times the range of effects, which is 2, of two prompts.
    assert found.interval.high - found.attributions == pytest.approx(4.0 * (1.0 - 0.1 ** (1 / 36)))
    assert found.p_values == pytest.approx([0.5**37, 1.0])
    known = intervals.leave_one_out_estimate(seen, repeats, known=True)
    assert known.interval is not None
    assert known.interval.low == pytest.approx([2.0, 0.0])
    assert known.interval.high == pytest.approx([2.0, 0.0])


def test_leave_one_out_with_one_draw_has_no_interval_and_wrong_rows_are_refused() -> None:
    design = designs.leave_one_out(2)
    seen = Effects(design.masks, np.zeros(2), design.groups)
    once = intervals.leave_one_out_estimate(seen, np.ones(2))
    assert once.interval is None
    assert once.p_values is None
    with pytest.raises(DataError, match="3 rows for 2 masks"):
        intervals.leave_one_out_estimate(seen, np.ones(2), draws=np.zeros((3, 2)))


@given(SEEDS, st.floats(0.2, 2.0))
def test_local_takes_the_weights_of_any_kernel(seed: int, width: float) -> None:
    rng = np.random.default_rng(seed)
    design = designs.bernoulli(4, 60, rng, keep=0.7, repeats="fresh")
    effects = rng.normal(size=len(design.masks))
    weights = np.exp(-((rng.uniform(0, 1, size=len(effects)) / width) ** 2))
    found = intervals.local_estimate(Effects(design.masks, effects, design.groups, 0.7, nearness=weights))
    root = np.sqrt(weights)
    x = np.hstack([np.ones((len(effects), 1)), design.masks])
    by_hand = np.linalg.lstsq(root[:, None] * x, root * effects, rcond=None)[0][1:]
    assert found.attributions == pytest.approx(by_hand, abs=1e-8)
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


@pytest.mark.parametrize("weights", [np.ones(3), np.zeros(60), np.full(60, np.nan), np.full(60, -1.0)])
def test_weights_that_are_no_weights_are_refused(weights: Floats) -> None:
    masks = np.random.default_rng(0).random((60, 3)) < 0.5
    with pytest.raises(DataError, match="not all zero"):
        intervals.local_estimate(Effects(masks, np.ones(60), np.arange(60), nearness=weights))


@given(SEEDS, st.floats(0, 2))
def test_what_a_stop_rule_looks_at_is_the_interval_that_is_printed(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    design = designs.complement_pairs(8, 30, rng)
    fit = intervals.cross_fit(Effects(design.masks, rng.normal(size=60), design.groups), Ridge(), rng)
    looked = intervals.sampled_error(fit, noise=noise).interval(intervals.LEVEL_OF_LOOKS)
    printed = intervals.sampled_estimate(fit, rng, noise=noise, level=intervals.LEVEL_OF_LOOKS).interval
    fixed = intervals.sampled_error(fit, noise=noise).interval()
    assert printed is not None
    assert np.array_equal(looked, printed)
    assert looked.estimate == pytest.approx(fixed.estimate)
    assert (looked.high - looked.low > fixed.high - fixed.low).all()


def test_noise_of_a_score_is_the_variance_that_noise_alone_gives() -> None:
    rng = np.random.default_rng(6)
    for keep in (0.5, 0.8):
        design = designs.bernoulli(5, 40_000, rng, keep=keep, repeats="fresh")
        seen = Effects(design.masks, 0.3 * rng.normal(size=len(design.masks)), design.groups, keep)
        scores = (seen.weights() * seen.values[:, None]).reshape(-1, 2, 5).mean(axis=1)
        assert scores.var(axis=0) == pytest.approx(intervals.noise_of_score(0.09, keep=keep), rel=0.08)
