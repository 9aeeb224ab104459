"""Laws of the surrogates: what each says of itself is what enumeration finds, and what each must recover."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whygen import lab
from whygen.prompt import designs, intervals
from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import SURROGATES, Adaptive, Boosting, KernelRidge, Pairs, Ridge, Surrogate, fitter
from whygen.prompt.surrogates import kernel as kernels_of
from whygen.prompt.surrogates.base import Linear, Sum, Summand, Terms, shapley
from whygen.prompt.surrogates.kernel import KernelFit, Kernels, Problem, Width
from whygen.prompt.surrogates.linear import errors_by, lasso_along, left_out_error, regression, spared_by, weights_of
from whygen.prompt.surrogates.products import Products, pursue
from whygen.prompt.surrogates.products import leftover as leftover_of
from whygen.prompt.surrogates.trees import Leaves

SEEDS = st.integers(0, 2**32 - 1)
ALL = pytest.mark.parametrize("surrogate", list(SURROGATES.values()), ids=lambda s: s.name)
Predict = Callable[[NDArray[np.bool_]], NDArray[np.float64]]


def corners(n: int) -> NDArray[np.bool_]:
    return np.array(list(itertools.product([False, True], repeat=n)), dtype=bool)


def values_by_enumeration(predict: Predict, n: int, weight: Callable[[int], float]) -> NDArray[np.float64]:
    """Marginal contributions over all sets of others; ``weight`` is the chance of one set of that size."""
    found = np.zeros(n)
    for i in range(n):
        rest = corners(n)[~corners(n)[:, i]]
        beside = rest.copy()
        beside[:, i] = True
        chance = np.array([weight(int(size)) for size in rest.sum(axis=1)])
        found[i] = chance @ (predict(beside) - predict(rest))
    return found


def banzhaf(predict: Predict, n: int, keep: float) -> NDArray[np.float64]:
    return values_by_enumeration(predict, n, lambda s: keep**s * (1 - keep) ** (n - 1 - s))


def shapley_by_size(predict: Predict, n: int) -> NDArray[np.float64]:
    return values_by_enumeration(predict, n, lambda s: 1 / (n * math.comb(n - 1, s)))


@st.composite
def parts(draw: st.DrawFn) -> Summand:
    n = draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(SEEDS))
    kind = draw(st.sampled_from(["linear", "products", "kernels", "leaves", "terms"]))
    if kind == "linear":
        return Linear(rng.normal(), rng.normal(size=n), 0.3)
    if kind == "products":
        support = np.array(list(itertools.combinations(range(n), 2)), dtype=np.int64).reshape(-1, 2)
        return Products(support, rng.normal(size=len(support)), float(rng.uniform(0.1, 0.9)), rng.normal(), n)
    if kind == "kernels":
        return Kernels(rng.random((5, n)) < 0.5, rng.normal(size=5), float(rng.uniform(0.05, 0.95)))
    if kind == "terms":
        sets = [sorted(rng.permutation(n)[: rng.integers(0, n + 1)].tolist()) for _ in range(6)]
        support = np.array([units + [n] * (n - len(units)) for units in sets], dtype=np.int64)
        return Terms(support, rng.normal(size=6), float(rng.uniform(0.1, 0.9)), rng.normal(), n)
    return Leaves(rng.integers(-1, 2, size=(6, n)).astype(np.int8), rng.normal(size=6))


def units_of(part: Summand) -> int:
    return len(part.banzhaf(0.5))


@given(parts(), st.floats(0.05, 0.95))
def test_closed_form_banzhaf_values_are_the_enumerated_ones(part: Summand, keep: float) -> None:
    found = part.banzhaf(keep)
    assert found == pytest.approx(banzhaf(part.predict, len(found), keep), abs=1e-10)


@given(parts())
def test_integrated_banzhaf_values_are_the_shapley_values_by_size(part: Summand) -> None:
    found = shapley(part.banzhaf, part.degree)
    assert found == pytest.approx(shapley_by_size(part.predict, units_of(part)), abs=1e-10)
    ends = np.array([np.zeros(len(found), bool), np.ones(len(found), bool)])
    assert found.sum() == pytest.approx(np.diff(part.predict(ends))[0], abs=1e-9)  # efficiency


@given(st.integers(0, 6), st.integers(0, 6), SEEDS)
def test_shapley_values_of_a_leaf_count_orders(present: int, absent: int, seed: int) -> None:
    """A needed unit completes a leaf in (present - 1)! absent! / (present + absent)! of all orders."""
    rng = np.random.default_rng(seed)
    needs = np.concatenate([np.ones(present), -np.ones(absent), np.zeros(2)]).astype(np.int8)[None]
    leaf = Leaves(needs, rng.normal(size=1))
    whole = math.factorial(present + absent)
    with_unit = math.factorial(max(present - 1, 0)) * math.factorial(absent) / whole
    without = math.factorial(present) * math.factorial(max(absent - 1, 0)) / whole
    expected = leaf.values[0] * np.concatenate([np.full(present, with_unit), np.full(absent, -without), np.zeros(2)])
    assert shapley(leaf.banzhaf, leaf.degree) == pytest.approx(expected, abs=1e-12)


@given(parts())
def test_banzhaf_at_one_half_is_twice_the_degree_one_fourier_coefficient(part: Summand) -> None:
    signs = 2.0 * corners(units_of(part)) - 1.0
    fourier = signs.T @ part.predict(corners(units_of(part))) / len(signs)
    assert part.banzhaf(0.5) == pytest.approx(2.0 * fourier, abs=1e-10)


def redundant(masks: NDArray[np.bool_], n: int) -> NDArray[np.float64]:
    """Not additive, nor pairwise: any of three, and a product of three."""
    z = masks.astype(float)
    return 2.0 * z[:, :3].max(axis=1) + 1.5 * z[:, 1 : min(4, n)].prod(axis=1) - z[:, -1]


def drawn(n: int, calls: int, rng: np.random.Generator, *, how: str) -> Effects:
    if how == "shapley":
        design = designs.by_size(n, calls, rng)
        ends = redundant(np.array([np.zeros(n, bool), np.ones(n, bool)]), n)
        total = float(ends[1] - ends[0])
        return Effects(design.masks, redundant(design.masks, n), design.groups, sizes=design.sizes, total=total)
    keep = 0.5 if how == "pairs" else 0.8
    design = (
        designs.bernoulli(n, calls, rng, keep=keep) if keep != 0.5 else designs.complement_pairs(n, calls // 2, rng)
    )
    return Effects(design.masks, redundant(design.masks, n), design.groups, keep)


@ALL
@settings(max_examples=8)
@given(st.integers(5, 8), SEEDS, st.sampled_from(["pairs", "bernoulli", "shapley"]))
def test_attributions_of_a_fit_are_those_of_its_predictions(surrogate, n: int, seed: int, how: str) -> None:
    seen = drawn(n, 60, np.random.default_rng(seed), how=how)
    if surrogate.name == "ols" and len(np.unique(seen.groups)) < surrogate.smallest_pairs(n):
        return
    fitted = surrogate.fit(seen)
    if how != "shapley":
        assert fitted.attributions() == pytest.approx(banzhaf(fitted.predict, n, seen.keep), abs=1e-8)
        return
    own = shapley_by_size(fitted.predict, n)
    assert fitted.attributions() == pytest.approx(own + (seen.total - own.sum()) / n, abs=1e-8)


@ALL
@settings(max_examples=6)
@given(SEEDS, st.sampled_from(["pairs", "bernoulli", "shapley"]))
def test_the_same_data_give_the_same_fit(surrogate, seed: int, how: str) -> None:
    seen = drawn(8, 80, np.random.default_rng(seed), how=how)
    first, second = surrogate.fit(seen), surrogate.fit(seen)
    assert np.array_equal(first.attributions(), second.attributions())
    assert np.array_equal(first.predict(seen.masks), second.predict(seen.masks))


@ALL
@settings(max_examples=6)
@given(SEEDS, st.sampled_from(["pairs", "bernoulli", "shapley"]))
def test_fits_of_many_effects_are_those_of_each_alone(surrogate, seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    seen = drawn(6, 60, rng, how=how)
    if surrogate.name == "ols" and len(np.unique(seen.groups)) < surrogate.smallest_pairs(6):
        return
    fit = fitter(surrogate, seen)
    for effects in (seen.values, rng.normal(size=len(seen))):
        alone = surrogate.fit(seen.with_values(effects))
        assert np.array_equal(fit(effects).predict(corners(6)), alone.predict(corners(6)))


@given(st.integers(1, 9), st.integers(2, 10), st.sampled_from([1, 2]), SEEDS)
def test_left_out_errors_of_all_penalties_are_those_of_each(columns: int, blocks: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = blocks * block
    left = np.linalg.qr(rng.normal(size=(rows, min(columns, rows))))[0]
    shrink = rng.uniform(0.01, 1.0, size=(left.shape[1], 4))
    y = rng.normal(size=rows)
    along = left.T @ y
    outside = y - left @ along if rows > left.shape[1] else np.zeros(rows)
    found = errors_by(left @ (shrink * along[:, None]) + outside[:, None], spared_by(left, shrink, block))
    each = [left_out_error(left, one, along, outside, block) for one in shrink.T]
    assert found == pytest.approx(each, rel=1e-6)


@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["pairs", "bernoulli"]))
def test_a_kernel_takes_a_mask_that_was_drawn_again_for_one_fact(seed: int, how: str) -> None:
    """Twice the same rows under other group numbers: what is predicted does not change."""
    seen = drawn(6, 40, np.random.default_rng(seed), how=how)
    rest, whole = seen.groups.max() + 1, np.concatenate
    twice = Effects(
        whole([seen.masks, seen.masks]), whole([seen.values, seen.values]), whole([seen.groups, seen.groups + rest]),
        seen.keep,
    )  # fmt: skip
    one, two = KernelRidge().fit(seen), KernelRidge().fit(twice)
    assert two.predict(corners(6)) == pytest.approx(one.predict(corners(6)), abs=0.05 * np.ptp(seen.values))


@ALL
@settings(max_examples=6)
@given(SEEDS, st.floats(-50, 50), st.floats(0.01, 100), st.sampled_from(["pairs", "bernoulli", "shapley"]))
def test_a_fit_follows_the_unit_and_the_level_of_the_effects(
    surrogate, seed: int, shift: float, scale: float, how: str
) -> None:
    seen = drawn(6, 60, np.random.default_rng(seed), how=how)
    if surrogate.name == "ols" and len(np.unique(seen.groups)) < surrogate.smallest_pairs(6):
        return
    other = Effects(
        seen.masks, scale * seen.values + shift, seen.groups, seen.keep, seen.sizes,
        None if seen.total is None else scale * seen.total,
    )  # fmt: skip
    found, same = surrogate.fit(other).predict(seen.masks), surrogate.fit(seen).predict(seen.masks)
    size = np.abs(seen.values).max()
    assert (found - shift) / scale == pytest.approx(same, abs=2e-3 * size * max(1.0, abs(shift) / scale))


@ALL
@pytest.mark.parametrize("how", ["pairs", "bernoulli", "shapley"])
def test_effects_that_do_not_vary_give_zeros_and_no_warning(surrogate, how: str) -> None:
    flat = drawn(5, 60, np.random.default_rng(0), how=how)
    flat = Effects(
        flat.masks, np.full(len(flat), 3.7), flat.groups, flat.keep, flat.sizes, None if how != "shapley" else 0.0
    )
    fitted = surrogate.fit(flat)
    assert fitted.attributions() == pytest.approx(np.zeros(5), abs=1e-9)
    assert fitted.predict(flat.masks) == pytest.approx(flat.values, abs=1e-6)


@pytest.mark.parametrize("name", ["ridge", "ols", "bayesian-ridge", "pairs", "adaptive", "boosting"])
@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["pairs", "bernoulli"]))
def test_an_additive_game_without_noise_is_recovered(name: str, seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    seen = drawn(7, 90, rng, how=how)
    truth = rng.normal(size=7)
    fitted = SURROGATES[name].fit(seen.with_values(seen.masks @ truth - 2.0))
    assert fitted.attributions() == pytest.approx(truth, abs=1e-4)
    assert fitted.predict(corners(7)) == pytest.approx(corners(7) @ truth - 2.0, abs=1e-3)


@pytest.mark.parametrize("name", ["lasso", "kernel-ridge"])
@settings(max_examples=10)
@given(SEEDS)
def test_an_additive_game_without_noise_is_nearly_recovered_by_the_others(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = drawn(7, 90, rng, how="pairs")
    truth = rng.normal(size=7)
    found = SURROGATES[name].fit(seen.with_values(seen.masks @ truth - 2.0)).attributions()
    assert found == pytest.approx(truth, abs=0.05 * np.abs(truth).max())


@pytest.mark.parametrize("surrogate", [Pairs(), Adaptive(), Boosting()], ids=lambda s: s.name)
@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["pairs", "bernoulli", "shapley"]))
def test_a_sparse_pairwise_game_without_noise_is_predicted_everywhere(surrogate, seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    n = 10
    linear = rng.normal(size=n)
    one, two, three, four = rng.permutation(n)[:4]

    def play(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        return masks @ linear + 2.0 * (masks[:, one] & masks[:, two]) - 3.0 * (masks[:, three] & masks[:, four])

    seen = drawn(n, 160, rng, how=how)
    ends = play(np.array([np.zeros(n, bool), np.ones(n, bool)]))
    seen = Effects(
        seen.masks, play(seen.masks), seen.groups, seen.keep, seen.sizes,
        float(ends[1] - ends[0]) if how == "shapley" else None,
    )  # fmt: skip
    assert surrogate.fit(seen).predict(corners(n)) == pytest.approx(play(corners(n)), abs=1e-3)


@given(SEEDS)
def test_a_pursuit_is_least_squares_on_what_it_chose(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = drawn(9, 80, rng, how="pairs")
    left = leftover_of(seen, Ridge().fit(seen))
    support, basis = pursue(left, 5)
    assert basis.T @ basis == pytest.approx(np.eye(basis.shape[1]), abs=1e-9)
    columns = np.hstack([np.ones((40, 1)), left.centred[:, support[:, 0]] * left.centred[:, support[:, 1]]])
    fit = columns @ np.linalg.lstsq(columns, left.residual, rcond=None)[0]
    assert basis @ (basis.T @ left.residual) == pytest.approx(fit, abs=1e-8)
    assert len({tuple(pair) for pair in support.tolist()}) == len(support)


@pytest.mark.parametrize("surrogate", [Pairs(), Boosting(), KernelRidge(), Adaptive()], ids=lambda s: s.name)
@settings(max_examples=10)
@given(SEEDS)
def test_on_complement_pairs_a_dummy_and_twins_are_seen_as_such_after_the_correction(surrogate, seed: int) -> None:
    """An enumerated design has every symmetry, so that only the folds can break one; the truth is 0 and equal."""
    rng = np.random.default_rng(seed)
    design = designs.enumerated(6)
    effects = 2.0 * (design.masks[:, 0] | design.masks[:, 1]) + design.masks[:, 2]
    seen = Effects(design.masks, effects, design.groups)
    found = intervals.cross_fit(seen, surrogate, rng).scores.mean(axis=0)
    assert found[3:] == pytest.approx(np.zeros(3), abs=0.15)
    assert found[0] == pytest.approx(found[1], abs=0.15)
    assert found[:3] == pytest.approx([1.0, 1.0, 1.0], abs=0.15)


class Wrong:
    """A surrogate that is wrong on purpose: a fixed forest, whatever was observed."""

    name = "wrong"

    def smallest_pairs(self, n: int) -> int:
        return 1

    def fit(self, observed: Effects) -> Sum:
        rng = np.random.default_rng(len(observed))
        leaves = Leaves(rng.integers(-1, 2, size=(4, observed.n)).astype(np.int8), 3.0 * rng.normal(size=4))
        return Sum((leaves,), observed.keep if observed.sizes is None else None, observed.total)


@pytest.mark.parametrize("how", ["bernoulli", "shapley"])
def test_corrected_estimates_are_unbiased_for_a_surrogate_that_is_wrong_on_purpose(how: str) -> None:
    n, found = 5, []
    for seed in range(500):
        rng = np.random.default_rng(seed)
        if how == "shapley":
            seen = drawn(n, 20, rng, how=how)
        else:  # with replacement throughout, so that this is about the estimator
            uniform = rng.random((12, n))
            masks = np.stack([uniform < 0.8, (1 - uniform) < 0.8], axis=1).reshape(-1, n)
            seen = Effects(masks, redundant(masks, n), np.repeat(np.arange(12), 2), 0.8)
        found.append(intervals.cross_fit(seen, Wrong(), rng).scores.mean(axis=0))

    def game(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        return redundant(masks, n)

    truth = shapley_by_size(game, n) if how == "shapley" else banzhaf(game, n, 0.8)
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - truth) < 4.5 * error).all()
    assert (np.abs(Wrong().fit(seen).attributions() - truth) > 0.3).any()  # uncorrected it is far off


def test_few_units_that_matter_are_found_in_few_independent_masks() -> None:
    rng = np.random.default_rng(5)
    ahead = []
    for _ in range(8):
        worth = np.where(np.arange(30) < 5, rng.normal(size=30) + 3.0, 0.05 * rng.normal(size=30))
        design = designs.independent(30, 22, rng)
        observed = Effects(design.masks, design.masks @ worth + 0.3 * rng.normal(size=44), design.groups)
        new = rng.random((400, 30)) < 0.5
        missed = {
            name: np.mean((SURROGATES[name].fit(observed).predict(new) - new @ worth) ** 2)
            for name in ("ridge", "adaptive")
        }
        ahead.append(missed["adaptive"] < 0.5 * missed["ridge"])
    assert np.mean(ahead) >= 0.75


FIRST_HALVES = (
    "00010111110",
    "10000010000",
    "11111111100",
    "00010011010",
    "11111010000",
    "01101011110",
    "11100011110",
    "00110101100",
    "01100000110",
    "01001111110",
)
"""The first mask of each of ten pairs."""


def test_coefficients_that_reach_zero_together_do_not_break_the_lasso() -> None:
    """Equal effects make ties, which scikit-learn's path cannot follow: this game stopped with an error of shapes."""
    first = np.array([list(row) for row in FIRST_HALVES]) == "1"
    masks = np.stack([first, ~first], axis=1).reshape(-1, 11)
    effects = np.array([int(digit) for digit in "22202020122101210222"], dtype=float)
    seen = Effects(masks, effects, np.arange(20) // 2)
    rows = regression(seen)
    assert np.isfinite(lasso_along(rows.x, rows.y, np.logspace(0, -3, 20))).all()
    assert np.isfinite(SURROGATES["adaptive"].fit(seen).attributions()).all()


def of_noise(surrogate: Surrogate, n: int, calls: int, games: int) -> NDArray[np.float64]:
    """Expected R2, on masks that were not asked, of fits to noise alone, beside that of the mean, ``(games,)``."""
    found: list[float] = []
    for game in range(games):
        rng = np.random.default_rng((game, n, calls))
        design = lab.draw(n, calls, rng)
        noise = rng.normal(size=len(design.masks))
        said = surrogate.fit(design.observed(noise)).predict(rng.random((300, n)) < 0.5)
        found.append(float(noise.mean() ** 2 - np.mean(said**2)))
    return np.array(found)


def by_left_out_errors(problem: Problem, widths: list[Width], y: NDArray[np.float64]) -> KernelFit:
    """The odd or even part of complement pairs as left-out errors alone would have it."""
    found: list[tuple[float, NDArray[np.float64], float]] = []
    for each in widths:
        along = each.vectors.T @ (problem.root * y)
        spared = spared_by(each.vectors, each.shrink, 1)
        errors = errors_by(each.vectors @ (each.shrink * along[:, None]), spared)
        weights = weights_of(errors, len(y))
        inverse = (1.0 / (each.values[:, None] + each.penalties)) @ weights
        found.append((float(weights @ errors), problem.root * (each.vectors @ (along * inverse)), each.t))
    error, solved, t = min(found, key=lambda fit: fit[0])
    both = np.concatenate([solved, problem.sign * solved]) / 2.0
    return KernelFit(Kernels(np.concatenate([problem.centres, ~problem.centres]), both, t), error)


def test_little_is_predicted_of_noise_where_calls_are_about_as_many_as_numbers_to_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = ((12, 24), (24, 32), (30, 60))
    now = np.concatenate([of_noise(KernelRidge(), *cell, games=25) for cell in cells])
    mixed = of_noise(Adaptive(), 12, 24, games=8)
    monkeypatch.setattr(kernels_of, "best_of", by_left_out_errors)
    unguarded = np.concatenate([of_noise(KernelRidge(), *cell, games=25) for cell in cells])
    assert now.mean() > -0.05
    assert now.min() > -0.5
    assert mixed.min() > -0.5
    assert unguarded.mean() < -0.2  # by left-out errors as they are
    assert unguarded.min() < -2.0
