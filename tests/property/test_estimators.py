"""Laws of the estimators on games whose Banzhaf values are known."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from whygen.errors import BudgetError, UnknownNameError
from whygen.prompt import designs, fidelity, intervals, noise
from whygen.prompt.effects import Effects
from whygen.prompt.kernels import Dropped
from whygen.prompt.surrogates import Ols, Ridge, load_surrogate

SEEDS = st.integers(0, 2**32 - 1)


def table(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(size=2**n)


def play(values: NDArray[np.float64], masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    return values[masks @ (1 << np.arange(masks.shape[1]))]


def banzhaf(values: NDArray[np.float64], n: int, keep: float = 0.5) -> NDArray[np.float64]:
    """By definition: the mean change that unit i makes, the others kept with probability ``keep``."""
    out = np.zeros(n)
    for rest in itertools.product([0, 1], repeat=n - 1):
        chance = np.prod([keep if r else 1 - keep for r in rest])
        for i in range(n):
            low = np.insert(np.array(rest, dtype=bool), i, False)
            high = low.copy()
            high[i] = True
            out[i] += chance * (play(values, high[None])[0] - play(values, low[None])[0])
    return out


def observed(design: designs.Design, values: NDArray[np.float64]) -> Effects:
    return Effects(design.masks, play(values, design.masks), design.groups, design.keep)


@given(st.integers(1, 6), SEEDS)
def test_enumeration_is_the_definition(n: int, seed: int) -> None:
    values = table(n, np.random.default_rng(seed))
    found = intervals.enumerated_estimate(observed(designs.enumerated(n), values))
    assert found.attributions == pytest.approx(banzhaf(values, n), abs=1e-12)


@given(SEEDS)
def test_enumeration_without_the_empty_pair_is_over_the_remaining_masks(seed: int) -> None:
    values = table(4, np.random.default_rng(seed))
    seen = observed(designs.enumerated(4, empty=False), values)
    found = intervals.enumerated_estimate(seen).attributions
    line = np.linalg.lstsq(np.column_stack([np.ones(len(seen)), seen.masks]), seen.values, rcond=None)[0]
    assert found == pytest.approx(line[1:])


@given(SEEDS, st.integers(3, 6))
def test_a_unit_that_does_nothing_has_none_of_what_others_do_without_the_empty_pair(seed: int, n: int) -> None:
    weight = np.random.default_rng(seed).normal(size=n)
    weight[0] = 0.0
    design = designs.enumerated(n, empty=False)
    found = intervals.enumerated_estimate(design.observed(design.masks @ weight)).attributions
    assert found == pytest.approx(weight, abs=1e-9)


@pytest.mark.parametrize("keep", [0.5, 0.8])
@pytest.mark.parametrize("surrogate", [Ridge(), Ols()], ids=lambda s: s.name)
def test_the_mean_of_scores_is_unbiased_for_any_game(keep: float, surrogate) -> None:
    rng = np.random.default_rng(3)
    n, values = 5, table(5, rng)
    truth = banzhaf(values, n, keep)
    found = []
    for _ in range(300):
        # Drawn with replacement, so that this is about the estimator and not about exhausting 16 pairs.
        first = rng.random((14, n)) < keep
        uniform = rng.random((14, n))
        first, second = uniform < keep, (1 - uniform) < keep
        masks = np.stack([first, second], axis=1).reshape(-1, n)
        seen = Effects(masks, play(values, masks), np.repeat(np.arange(14), 2), keep)
        found.append(intervals.cross_fit(seen, surrogate, rng).scores.mean(axis=0))
    found = np.array(found)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - truth) < 4.5 * error).all()


@given(st.integers(6, 24), SEEDS, st.sampled_from([Ridge(), Ols()]))
def test_a_pairwise_game_without_noise_is_recovered_exactly(n: int, seed: int, surrogate) -> None:
    rng = np.random.default_rng(seed)
    design = designs.complement_pairs(n, 3 * n, rng) if 2 ** (n - 1) >= 3 * n else designs.enumerated(n)
    linear, pair = rng.normal(size=n), rng.normal(size=(n, n))
    effects = design.masks @ linear + np.einsum("mi,ij,mj->m", design.masks, np.triu(pair, 1), design.masks)
    truth = linear + 0.5 * (np.triu(pair, 1) + np.triu(pair, 1).T).sum(axis=1)
    fit = intervals.cross_fit(Effects(design.masks, effects, design.groups), surrogate, rng)
    estimate = intervals.sampled_estimate(fit, rng)
    assert estimate.attributions == pytest.approx(truth, abs=1e-6)
    assert estimate.interval is not None
    # Masks that nobody asked leave a doubt of one group more, see below.
    assert estimate.interval.low == pytest.approx(2 * truth - estimate.interval.high, abs=1e-6)


@pytest.mark.parametrize(("together", "keep"), [(4, 0.5), (5, 0.5), (6, 0.5), (2, 0.8)])
def test_words_that_acted_together_in_no_mask_stay_within_the_interval(together: int, keep: float) -> None:
    """A word that counts by itself is met exactly, and a conjunction (at .8 of absences) that no mask showed is not."""
    n, found = 12, []
    truth = np.zeros(n)
    truth[0], truth[1 : together + 1] = 0.9, 2.0 ** (1 - together) if keep == 0.5 else (1 - keep) ** (together - 1)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        design = designs.complement_pairs(n, 30, rng) if keep == 0.5 else designs.by_number(n, 60, rng, keep=keep)

        def game(z: NDArray[np.bool_]) -> NDArray[np.float64]:
            unit = z[:, 1 : together + 1]
            return 0.9 * z[:, 0] + (unit.all(axis=1) if keep == 0.5 else unit.any(axis=1))

        seen = design.observed(game(design.masks))
        whole = float(game(np.ones((1, n), dtype=bool))[0])
        estimate = intervals.sampled_estimate(intervals.cross_fit(seen, Ols(), rng), rng, whole=whole)
        assert estimate.interval is not None
        assert (estimate.interval.high - estimate.interval.low).min() > 0.01
        found.append((estimate.interval.low <= truth) & (truth <= estimate.interval.high))
    assert np.mean(found) >= 0.95
    assert np.mean([hits[1 : together + 1] for hits in found]) >= 0.85


def test_masks_that_were_all_asked_leave_no_doubt() -> None:
    rng = np.random.default_rng(0)
    design, weight = designs.complement_pairs(8, 127, rng), np.arange(8.0)
    widths = []
    for drawn_from in (128.0, math.inf):
        seen = replace(design.observed(design.masks @ weight), drawn_from=2 * drawn_from)
        interval = intervals.sampled_estimate(intervals.cross_fit(seen, Ols(), rng), rng).interval
        assert interval is not None
        widths.append(float((interval.high - interval.low).max()))
    assert widths[0] < 0.03 * widths[1]


@given(SEEDS)
def test_dummy_symmetry_and_linearity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design = designs.complement_pairs(8, 40, rng)
    z = design.masks.astype(float)
    one, two = z[:, 0] * z[:, 1] + z[:, 2], np.maximum(z[:, 3], z[:, 4]) - 2 * z[:, 2]

    def solve(effects: NDArray[np.float64]) -> NDArray[np.float64]:
        seen = Effects(design.masks, effects, design.groups)
        return intervals.cross_fit(seen, Ols(), np.random.default_rng(0)).scores.mean(axis=0)

    assert solve(one + 3 * two) == pytest.approx(solve(one) + 3 * solve(two), abs=1e-9)
    assert solve(z[:, 0] * z[:, 1])[5] == pytest.approx(0.0, abs=1e-9)
    assert solve(one)[0] == pytest.approx(solve(one)[1], abs=1e-9)


def test_ridge_agrees_with_leaving_pairs_out_and_with_the_likelihood_by_hand() -> None:
    rng = np.random.default_rng(5)
    design = designs.complement_pairs(6, 12, rng)
    effects = design.masks @ rng.normal(size=6) + 0.3 * rng.normal(size=24)
    fitted = Ridge().fit(Effects(design.masks, effects, design.groups))
    x, y = design.masks[0::2] - 0.5, (effects[0::2] - effects[1::2]) / 2
    scale = (x[:, -1] ** 2).sum()

    def solve(rows: NDArray[np.bool_], penalty: float) -> NDArray[np.float64]:
        return np.linalg.solve(x[rows].T @ x[rows] + penalty * np.eye(6), x[rows].T @ y[rows])

    def error(penalty: float) -> float:
        return float(np.mean([(y[i] - x[i] @ solve(np.arange(12) != i, penalty)) ** 2 for i in range(12)]))

    def likelihood(penalty: float) -> float:
        """Of ``y ~ N(0, v (I + x x' / penalty))`` at the best variance v, up to a constant factor."""
        covariance = np.eye(12) + x @ x.T / penalty
        return np.linalg.det(covariance) ** -0.5 * float(y @ np.linalg.solve(covariance, y)) ** -6.0

    penalties = np.concatenate([[1e-10], np.logspace(-4, 2, 25)]) * scale
    left_out = np.array([error(penalty) ** -6.0 * (penalty >= 0.999e-3 * scale) for penalty in penalties])
    evidence = np.array([likelihood(penalty) for penalty in penalties])
    weights = left_out / left_out.sum() / 2 + evidence / evidence.sum() / 2
    by_hand = weights @ np.array([solve(np.ones(12, bool), penalty) for penalty in penalties])
    assert fitted.coefficients == pytest.approx(by_hand, rel=1e-5)


@given(SEEDS, st.floats(0.3, 0.9))
def test_ridge_of_rows_leaves_out_whole_pairs(seed: int, keep: float) -> None:
    rng = np.random.default_rng(seed)
    design = designs.bernoulli(5, 40, rng, keep=keep)
    effects = design.masks @ rng.normal(size=5) + rng.normal(size=len(design.masks))
    fitted = Ridge().fit(Effects(design.masks, effects, design.groups, keep))
    assert np.isfinite(fitted.predict(design.masks)).all()
    assert fitted.attributions().shape == (5,)


def test_ols_refuses_rather_than_return_another_solution() -> None:
    rng = np.random.default_rng(0)
    design = designs.complement_pairs(12, 8, rng)
    with pytest.raises(BudgetError, match="surrogate='ols'"):
        Ols().fit(Effects(design.masks, rng.normal(size=16), design.groups))


def test_an_unknown_surrogate_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="ridge"):
        load_surrogate("rigde")


def test_held_out_r2_of_pure_noise_is_not_positive_and_in_sample_is_at_chance() -> None:
    rng = np.random.default_rng(2)
    held, inside, chance = [], [], []
    for _ in range(30):
        design = designs.complement_pairs(12, 30, rng)
        seen = Effects(design.masks, rng.normal(size=60), design.groups)
        held.append(fidelity.r_squared(seen.values, intervals.cross_fit(seen, Ridge(), rng).predicted))
        inside.append(fidelity.r_squared(seen.values, Ridge().fit(seen).predict(seen.masks)))
        level = fidelity.chance_level(seen, Ridge(), rng)
        assert level is not None
        chance.append(level.mean)
    assert np.mean(held) < 0.02
    assert np.mean(inside) == pytest.approx(np.mean(chance), abs=0.06)


def test_noise_ceiling_is_the_share_that_is_not_noise() -> None:
    effects = np.array([0.0, 2.0, 0.0, 2.0])
    own = noise.given(np.full(4, 1 / 3), degrees=8, effects=effects)
    ceiling = fidelity.noise_ceiling(effects, own)
    assert ceiling is not None
    assert ceiling.value == pytest.approx(0.75)
    assert ceiling.low < ceiling.value < ceiling.high
    assert fidelity.noise_ceiling(np.zeros(4), own) is None


def test_local_is_weighted_least_squares() -> None:
    rng = np.random.default_rng(8)
    design = designs.bernoulli(4, 60, rng, keep=0.7)
    effects = design.masks @ np.array([1.0, -2.0, 0.0, 0.5]) + 3.0
    near = Dropped(0.5).weights(design.masks, [], "")
    observed = Effects(design.masks, effects, design.groups, 0.7, nearness=near)
    estimate = intervals.local_estimate(observed)
    assert estimate.attributions == pytest.approx([1.0, -2.0, 0.0, 0.5], abs=1e-9)
    assert estimate.effective is not None
    assert 1 <= estimate.effective <= len(design.masks)


def test_leave_one_out_is_a_difference_and_has_no_interval() -> None:
    design = designs.leave_one_out(3)
    estimate = intervals.leave_one_out_estimate(
        Effects(design.masks, np.array([1.0, 2.0, 3.0]), design.groups), np.array([3.0])
    )
    assert estimate.attributions == pytest.approx([2.0, 1.0, 0.0])
    assert estimate.interval is None
    assert estimate.p_values is None


def shapley(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """By definition: the mean marginal contribution over all orders."""
    out = np.zeros(n)
    orders = list(itertools.permutations(range(n)))
    for order in orders:
        mask = np.zeros((1, n), dtype=bool)
        before = play(values, mask)[0]
        for unit in order:
            mask[0, unit] = True
            after = play(values, mask)[0]
            out[unit] += after - before
            before = after
    return out / len(orders)


def by_size(n: int, calls: int, values: NDArray[np.float64], rng: np.random.Generator) -> Effects:
    design = designs.by_size(n, calls, rng)
    total = float(values[-1] - values[0])
    return Effects(design.masks, play(values, design.masks), design.groups, sizes=design.sizes, total=total)


@given(st.integers(1, 6), SEEDS)
def test_enumerated_shapley_is_the_definition(n: int, seed: int) -> None:
    values = table(n, np.random.default_rng(seed))
    found = intervals.enumerated_shapley(observed(designs.enumerated(n), values)).attributions
    assert found == pytest.approx(shapley(values, n), abs=1e-12)


@given(st.integers(4, 9), SEEDS)
def test_shapley_values_share_out_the_total_whatever_was_sampled(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = by_size(n, 24, table(n, rng), rng)
    found = intervals.shapley_estimate(intervals.cross_fit(seen, Ridge(), rng), seen, rng)
    assert seen.total is not None
    assert found.attributions.sum() == pytest.approx(seen.total, abs=1e-9)


def test_shapley_scores_are_unbiased_for_any_game() -> None:
    rng = np.random.default_rng(11)
    n, values = 6, table(6, rng)
    found = []
    for _ in range(400):
        seen = by_size(n, 24, values, rng)
        found.append(intervals.cross_fit(seen, Ridge(), rng).scores.mean(axis=0))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - shapley(values, n)) < 5 * error).all()


@given(SEEDS)
def test_shapley_of_a_pairwise_game_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 8
    linear, pair = rng.normal(size=n), np.triu(rng.normal(size=(n, n)), 1)
    design = designs.by_size(n, 80, rng)
    effects = design.masks @ linear + np.einsum("mi,ij,mj->m", design.masks, pair, design.masks)
    seen = Effects(design.masks, effects, design.groups, sizes=design.sizes, total=float(linear.sum() + pair.sum()))
    found = intervals.shapley_estimate(intervals.cross_fit(seen, Ridge(), rng), seen, rng)
    assert found.attributions == pytest.approx(linear + 0.5 * (pair + pair.T).sum(axis=1), abs=1e-6)


@given(st.integers(4, 30), st.integers(16, 80), SEEDS)
def test_masks_by_size_are_paired_and_never_empty_or_full(n: int, calls: int, seed: int) -> None:
    design = designs.by_size(n, calls, np.random.default_rng(seed))
    assert np.array_equal(design.masks[0::2], ~design.masks[1::2])
    assert design.masks.any(axis=1).all()
    assert not design.masks.all(axis=1).any()
    assert distinct_masks(design.masks) <= calls


def distinct_masks(masks: NDArray[np.bool_]) -> int:
    return len(np.unique(masks, axis=0))


@given(st.integers(1, 80), st.integers(4, 400))
def test_folds_are_fewer_where_groups_are_few(n: int, groups: int) -> None:
    folds = intervals.folds_for(groups, n)
    assert intervals.FEWEST_GROUPS <= folds <= min(groups, 10)
    assert (folds == 10) == (groups >= max(40, 2 * n))
    assert (folds < 6) == (groups < 16)
    assert folds <= intervals.folds_for(groups + 1, n)


def test_a_game_that_is_exact_with_all_pairs_is_reported_nearly_exactly() -> None:
    """Twelve units, fifteen pairs: no fold determines the game, the whole does."""
    rng = np.random.default_rng(1)
    design = designs.complement_pairs(12, 15, rng)
    truth = rng.normal(size=12)
    fit = intervals.cross_fit(Effects(design.masks, design.masks @ truth, design.groups), Ridge(), rng)
    unbiased = fit.scores.mean(axis=0)
    told = intervals.sampled_estimate(fit, rng).attributions
    assert ((fit.whole - truth) ** 2).sum() < 1e-8 * (truth**2).sum()
    assert ((told - truth) ** 2).sum() < ((unbiased - truth) ** 2).sum()
    assert ((told - truth) ** 2).sum() < ((fit.own.mean(axis=0) - truth) ** 2).sum()


@given(SEEDS)
def test_a_sum_without_noise_is_reported_exactly_as_soon_as_pairs_outnumber_units(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design, truth = designs.complement_pairs(24, 27, rng), rng.normal(size=24)
    effects = design.masks @ truth

    fit = intervals.cross_fit(Effects(design.masks, effects, design.groups), load_surrogate("adaptive"), rng)
    assert fit.exact
    assert fit.whole == pytest.approx(truth, abs=1e-5)
    told = intervals.sampled_estimate(fit, rng)
    assert told.interval is not None
    assert told.attributions == pytest.approx(np.clip(fit.whole, told.interval.low, told.interval.high))

    noisy = effects + 0.2 * np.std(effects) * rng.normal(size=len(effects))
    fit = intervals.cross_fit(Effects(design.masks, noisy, design.groups), load_surrogate("adaptive"), rng)
    assert not fit.exact


@given(st.integers(4, 9), SEEDS)
def test_shapley_values_lie_in_their_intervals_and_sum_to_the_total(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = table(n, rng)
    design = designs.by_size(n, 16, rng)
    total = float(values[-1] - values[0])
    seen = Effects(design.masks, play(values, design.masks), design.groups, sizes=design.sizes, total=total)
    found = intervals.shapley_estimate(intervals.cross_fit(seen, load_surrogate("adaptive"), rng), seen, rng)
    assert found.interval is not None
    assert found.attributions.sum() == pytest.approx(total, abs=1e-9)
    assert (found.attributions >= found.interval.low - 1e-9).all()
    assert (found.attributions <= found.interval.high + 1e-9).all()
