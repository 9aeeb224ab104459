"""Intervals hold what they say: seeded simulation for every estimand, and each constant of the interval by hand.

Simulation with `ridge`, which takes milliseconds; benchmarks/coverage.py runs the default surrogate over many more
cells. A limit of 91-99% lies some three standard errors of these cells outside of 95%.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from whygen import lab
from whygen.models.planted.games import FAMILIES, Game
from whygen.prompt import designs, intervals
from whygen.prompt.crossfit import FEWEST_GROUPS, CrossFit, Unshown, cross_fit
from whygen.prompt.effects import Effects, law_of_number
from whygen.prompt.intervals import Estimate
from whygen.prompt.surrogates import Ridge
from whygen.stats.intervals import Error, moderated, satterthwaite, simultaneous, student_half_width, tail_degrees
from whygen.stats.signs import sign_flip_p

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator], designs.Design]
SEEDS = st.integers(0, 2**31)

LOW, HIGH = 0.91, 0.99
ENDS = np.array([[True], [False]])


def observe(game: Game, design: designs.Design, *, shapley: bool, noise: float, rng: np.random.Generator) -> Effects:
    """Masks with effects whose noise has the standard deviation ``noise``; the total too."""
    effects = game.values(design.masks) + noise * rng.normal(size=len(design.masks))
    ends = game.values(np.repeat(ENDS, game.n, axis=1)) + noise * rng.normal(size=2)
    effects[design.masks.all(axis=1)] = ends[0]
    return design.observed(effects, total=float(ends[0] - ends[1]) if shapley else None)


def estimated(seen: Effects, rng: np.random.Generator, *, noise: float = 0.0, level: float = 0.95) -> Estimate:
    """What is printed, with ridge; ``noise`` is the standard deviation of one effect."""
    fit = cross_fit(seen, Ridge(), rng)
    if seen.total is not None:
        shared = 2.0 * noise**2
        return intervals.shapley_estimate(fit, seen, rng, noise=noise**2, shared=shared, level=level)
    span = float(np.ptp(seen.values))
    return intervals.sampled_estimate(fit, rng, noise=noise**2, span=span, level=level)


def covered(
    draw: Draw, family: str, n: int, *, seed: int, shapley: bool = False, noise: float = 0.0, games: int = 120
) -> tuple[float, float, float, float]:
    """Shares: of intervals that hold, of the largest units', of bands that hold whole, of idle units at p <= .05."""
    rng = np.random.default_rng(seed)
    hits, largest, bands, idle = [], [], [], []
    for _ in range(games):
        game = Game(n, family, rng)
        spread = game.spread()
        design = draw(rng)
        found = estimated(
            observe(game, design, shapley=shapley, noise=noise * spread, rng=rng), rng, noise=noise * spread
        )
        truth, slack = game.shapley() if shapley else game.banzhaf(design.keep), 1e-9 * spread
        assert found.interval is not None
        assert found.band is not None
        assert found.p_values is not None
        hits.append((found.interval.low - slack <= truth) & (truth <= found.interval.high + slack))
        largest.append(hits[-1][np.abs(truth).argmax()])
        bands.append(((found.band.low - slack <= truth) & (truth <= found.band.high + slack)).all())
        idle.extend(found.p_values[game.dummies] <= 0.05)
    return tuple(float(np.mean(each)) for each in (hits, largest, bands, idle))  # type: ignore[return-value]


PAIRS: Draw = lambda rng: designs.complement_pairs(12, 32, rng)  # noqa: E731
HALF_OF_ALL: Draw = lambda rng: designs.complement_pairs(8, 64, rng)  # noqa: E731
LAYERS: Draw = lambda rng: designs.by_layers(12, 64, rng)  # noqa: E731
FEW_LAYERS: Draw = lambda rng: designs.by_layers(8, 48, rng)  # noqa: E731
SIZES: Draw = lambda rng: designs.by_size(24, 64, rng, repeats="fresh", halves="complement")  # noqa: E731
KEEP: Draw = lambda rng: designs.by_number(12, 64, rng, keep=0.8)  # noqa: E731
KEEP_MOST: Draw = lambda rng: designs.by_number(12, 64, rng, keep=0.95)  # noqa: E731


@pytest.mark.parametrize(
    ("draw", "family", "n", "shapley", "noise"),
    [
        (PAIRS, "conjunctions", 12, False, 0.0),
        (PAIRS, "redundant", 12, False, 0.5),
        (HALF_OF_ALL, "redundant", 8, False, 0.0),
        (HALF_OF_ALL, "conjunctions", 8, False, 0.5),
        (LAYERS, "conjunctions", 12, True, 0.0),
        (LAYERS, "redundant", 12, True, 0.5),
        (FEW_LAYERS, "votes", 8, True, 0.0),
        (FEW_LAYERS, "products", 8, True, 0.0),
        (KEEP, "conjunctions", 12, False, 0.0),
        (KEEP, "saturating", 12, False, 0.5),
        (KEEP_MOST, "products", 12, False, 0.0),
    ],
)
def test_intervals_hold_95_of_100(draw: Draw, family: str, n: int, shapley: bool, noise: float) -> None:
    hits, largest, band, idle = covered(draw, family, n, seed=5, shapley=shapley, noise=noise)
    assert LOW <= hits <= HIGH
    assert largest >= 0.88
    assert band >= 0.88
    assert idle <= 0.08


def test_a_band_holds_all_units_at_once_where_intervals_one_by_one_do_not() -> None:
    """Independent normal scores, so that the share of bands that hold is known to be 95%, of intervals .95^20."""
    rng = np.random.default_rng(0)
    held, one_by_one = [], []
    for _ in range(400):
        scores = rng.normal(size=(40, 20))
        ratio = np.abs(scores.mean(axis=0)) / (scores.std(axis=0, ddof=1) / math.sqrt(40.0) * stats.t.ppf(0.975, 39))
        one_by_one.append(ratio.max() <= 1.0)
        held.append(ratio.max() <= simultaneous(scores, rng, flips=499))
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(one_by_one) < 0.5


def test_a_run_that_a_rule_ended_is_held_by_the_wider_level() -> None:
    """Stops at 20 pairs where the widest interval is under its median, else at 60: intervals of 96% hold 95."""
    rng = np.random.default_rng(8)
    hits, widths = [], []
    for _ in range(300):
        game = Game(12, "conjunctions", rng)
        seen = observe(game, designs.complement_pairs(12, 60, rng), shapley=False, noise=0.0, rng=rng)
        first = estimated(seen.take(seen.groups < 20), rng, level=intervals.LEVEL_OF_LOOKS)
        assert first.interval is not None
        width = float((first.interval.high - first.interval.low).max() / game.spread())
        widths.append(width)
        ended = first if width <= np.median(widths) else estimated(seen, rng, level=intervals.LEVEL_OF_LOOKS)
        assert ended.interval is not None
        truth = game.banzhaf()
        hits.append((ended.interval.low <= truth) & (truth <= ended.interval.high))
    assert 0.93 <= np.mean(hits) <= 0.98


# ---- by hand: a second road to every number of an interval ----


def a_fit(rng: np.random.Generator, *, groups: int = 30, n: int = 5, **changes: object) -> CrossFit:
    """Scores of which everything but the spread is left out."""
    fit = CrossFit(
        scores=rng.standard_t(3.0, size=(groups, n)) * rng.uniform(0.5, 2.0, n) + rng.normal(size=n),
        predicted=np.zeros(2 * groups),
        fitted=np.zeros(2 * groups),
        folds=6,
        own=np.zeros((groups, n)),
        whole=np.zeros(n),
        unasked=np.ones(groups),
        noise=np.zeros(n),
        shown=np.zeros(n),
    )
    return replace(fit, **changes)  # type: ignore[arg-type]


@given(SEEDS)
def test_the_standard_error_is_that_of_a_mean_and_no_unit_has_less_than_the_average_variance(seed: int) -> None:
    fit = a_fit(np.random.default_rng(seed))
    own = fit.scores.var(axis=0, ddof=1) / len(fit.scores)
    expected = [max(one, sum(own.tolist()) / 5.0) for one in own.tolist()]
    assert fit.error().standard == pytest.approx(np.sqrt(expected))
    assert fit.error().estimate == pytest.approx(fit.scores.mean(axis=0))
    assert moderated(np.array([1.0, 3.0])) == pytest.approx([2.0, 3.0])


@given(SEEDS, st.floats(0.05, 1.0))
def test_what_was_asked_of_a_layer_takes_its_share_off_the_variance(seed: int, left: float) -> None:
    rng = np.random.default_rng(seed)
    fit = a_fit(rng)
    part = replace(fit, unasked=np.full(30, left))
    assert part.error().standard == pytest.approx(math.sqrt(left) * fit.error().standard)


@given(SEEDS)
def test_degrees_of_freedom_are_those_of_the_tails_times_the_share_that_a_fold_is_fitted_to(seed: int) -> None:
    fit = a_fit(np.random.default_rng(seed))
    for column, found in enumerate(fit.error().degrees):
        scores = fit.scores[:, column] - fit.scores[:, column].mean()
        kurtosis = (scores**4).mean() / (scores**2).mean() ** 2
        tails = min(max(2.0 * 30 / (kurtosis - 1.0), 2.0), 29.0)
        assert found == pytest.approx(max(tails * 5.0 / 6.0, 1.0))
    assert tail_degrees(np.array([[-1.0], [1.0]] * 10)) == pytest.approx([19.0])


@given(SEEDS, st.floats(0.0, 300.0))
def test_noise_of_masks_that_are_known_is_added_and_never_over_what_the_scores_show(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    fit = a_fit(rng, noise=np.full(5, 0.05), shown=np.full(5, 0.02))
    plain = a_fit(np.random.default_rng(seed)).error().standard ** 2
    bound = np.minimum(noise, plain / 0.02)
    assert fit.error(noise=noise).standard ** 2 == pytest.approx(plain + bound * 0.03)


@given(SEEDS, st.floats(0.01, 5.0))
def test_noise_of_known_masks_is_what_was_missed_of_them_as_far_as_repeats_allow(seed: int, most: float) -> None:
    rng = np.random.default_rng(seed)
    counts, missed = rng.random((40, 5)), rng.normal(size=40)
    unshown = Unshown.of(counts, missed)
    assert unshown is not None
    share = min(1.0, most / float((missed**2).mean()))
    plain = a_fit(rng)
    fit = replace(plain, unshown=unshown)
    expected = [share * float((counts[:, unit] * missed**2).sum()) for unit in range(5)]
    assert fit.error(most=most).standard ** 2 == pytest.approx(plain.error().standard ** 2 + expected)
    assert fit.error().standard == pytest.approx(plain.error().standard)
    for unit, degrees in enumerate(unshown.degrees):  # as many as there are masks, if all count and miss alike
        terms = counts[:, unit] * missed**2
        assert degrees == pytest.approx(max(1.0, 3.0 * terms.sum() ** 2 / (terms**2).sum()))
    one = (np.array([2.0]), np.array([7.0]))
    assert satterthwaite(one, (np.zeros(1), np.ones(1))) == pytest.approx([7.0])
    assert satterthwaite(one, one) == pytest.approx([14.0])
    assert satterthwaite((np.zeros(1), np.array([9.0])), (np.zeros(1), np.array([4.0]))) == pytest.approx([4.0])


@pytest.mark.parametrize(("kind", "keep", "shapley"), [("pair", 0.8, False), ("rare", 0.8, False), ("pair", 0.5, True)])
def test_intervals_hold_where_noise_is_that_of_the_masks_that_are_known(kind: str, keep: float, shapley: bool) -> None:
    """Near the whole prompt all masks are asked. Theirs was the mean noise of all: .76 and .84 of intervals held."""
    hits, idle = [], []
    estimand: Literal["shapley", "banzhaf"] = "shapley" if shapley else "banzhaf"
    for seed in range(70):
        rng = np.random.default_rng(seed)
        weights = np.where(np.arange(8) < 4, rng.normal(size=8), 0.0)
        game = _Loud(weights, kind, rng)
        found = lab.estimate(
            lab.play(game, 90, rng, estimand=estimand, keep=keep, answer=game.answer), rng, surrogate="ridge"
        )
        assert found.interval is not None
        assert found.p_values is not None
        hits.append((found.interval.low <= weights) & (weights <= found.interval.high))
        idle.extend(found.p_values[weights == 0.0] <= 0.05)
    assert np.mean(hits) > LOW
    assert np.mean(idle) < 0.09


class _Loud:
    """Units that add up, and noise in masks alone that hold the first two; or in one answer of twenty."""

    def __init__(self, weights: Floats, kind: str, rng: np.random.Generator) -> None:
        self.n, self.weights, self.kind, self.rng = len(weights), weights, kind, rng
        self.units = 1 << np.arange(self.n)
        every = (np.arange(2**self.n)[:, None] & self.units).astype(bool)
        self.loud = every[:, 0] & every[:, 1]
        self.effects = every @ weights

    def values(self, masks: NDArray[np.bool_]) -> Floats:
        return self.effects[masks @ self.units]

    def answer(self, clean: Floats) -> Floats:
        if self.kind == "rare":
            return clean + np.where(self.rng.random(len(clean)) < 0.05, 4.0, 0.0) - 0.2
        place = np.abs(self.effects[None, :] - clean[:, None]).argmin(axis=1)
        return clean + np.where(self.loud[place], 1.0, 0.05) * self.rng.normal(size=len(clean))


def test_where_no_mask_differed_the_rule_of_three_says_how_far_one_may() -> None:
    flat = a_fit(np.random.default_rng(0), scores=np.zeros((30, 5)), flat=True, reach=2.0)
    half = flat.error(span=0.5).half_width()
    assert half == pytest.approx(np.full(5, (1.0 - 0.05 ** (1.0 / 30.0)) * 2.0 * 0.5))
    assert flat.error(span=0.5).p_values() == pytest.approx(np.ones(5))


@given(SEEDS, st.sampled_from([0.9, 0.95, 0.96]))
def test_an_estimate_is_significant_exactly_where_its_interval_excludes_zero(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    error = Error(rng.normal(size=8), rng.uniform(0.1, 2.0, 8), rng.uniform(1.0, 40.0, 8))
    interval = error.interval(level)
    excluded = (interval.low > 0.0) | (interval.high < 0.0)
    assert np.array_equal(error.p_values(level) <= 0.05, excluded)
    assert error.half_width(level) == pytest.approx(error.standard * stats.t.ppf(0.5 + level / 2.0, error.degrees))
    wider = error.interval(level, wider=2.0)
    assert wider.high - wider.low == pytest.approx(2.0 * (interval.high - interval.low))
    assert student_half_width(np.array([4.0]), 1e9)[0] == pytest.approx(2.0 * 1.959964, abs=1e-4)


def test_an_estimate_without_error_is_certain() -> None:
    error = Error(np.array([0.0, 1.0]), np.zeros(2), np.full(2, 5.0))
    assert error.p_values().tolist() == [1.0, 0.0]


def test_levels_and_limits_are_those_that_were_measured() -> None:
    assert (intervals.LEVEL, intervals.LEVEL_OF_LOOKS) == (0.95, 0.96)
    assert FEWEST_GROUPS == 4


@settings(max_examples=12)
@given(st.integers(6, 8), SEEDS, st.sampled_from(["layers", "number", "pairs"]))
def test_scores_are_unbiased_over_what_chance_may_draw(n: int, seed: int, how: str) -> None:
    """The mean of the estimate over many designs is the value, for a game that no line meets."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2**n)
    play = lambda masks: values[masks @ (1 << np.arange(n))]  # noqa: E731
    masks = designs.enumerated(n).masks
    every = Effects(masks, play(masks), np.arange(len(masks)) // 2)
    found = []
    for _ in range(60):
        if how == "layers":
            design = designs.by_layers(n, 32, rng)
        elif how == "number":
            design = designs.by_number(n, 32, rng, keep=0.7)
        else:
            design = designs.complement_pairs(n, 16, rng)
        seen = design.observed(play(design.masks), total=float(values[-1] - values[0]) if how == "layers" else None)
        error = cross_fit(seen, Ridge(), rng).error()
        shift = 0.0 if seen.total is None else (seen.total - error.estimate.sum()) / n
        found.append(error.estimate + shift)
    truth = exact_value(every, how)
    spread = np.std(found, axis=0, ddof=1) / math.sqrt(60.0)
    assert (np.abs(np.mean(found, axis=0) - truth) <= 5.0 * spread + 1e-9).all()


def exact_value(every: Effects, how: str) -> Floats:
    """The value by its definition: weighted differences over all masks."""
    n, masks = every.n, every.masks
    others = masks.sum(axis=1)[:, None] - masks
    if how == "layers":
        weight = 1.0 / (n * np.array([math.comb(n - 1, s) for s in range(n)])[others])
    else:
        keep = 0.7 if how == "number" else 0.5
        weight = keep**others * (1.0 - keep) ** (n - 1 - others)
    return np.where(masks, weight, -weight).T @ every.values


@given(st.integers(4, 9), SEEDS, st.sampled_from([0.5, 0.8, "shapley"]), st.floats(0.0, 2.0))
@example(n=5, seed=536911, how=0.8, noise=0.0)  # chance completes layers until one group is left
def test_value_interval_and_verdict_never_contradict_each_other(
    n: int, seed: int, how: float | str, noise: float
) -> None:
    """Any game, any budget: the value is well inside, and what is significant has an interval without zero."""
    rng = np.random.default_rng(seed)
    game = Game(n, str(rng.choice(FAMILIES)), rng)
    calls = int(rng.integers(16, 2 ** (n - 1) + 12))
    if how == "shapley":
        design = designs.by_layers(n, min(calls, 2**n - 4), rng)
    elif how == 0.5:
        design = designs.complement_pairs(n, min(calls // 2, 2 ** (n - 1) - 1), rng)
    else:
        design = designs.by_number(n, min(calls, 2**n - 3), rng, keep=0.8)
    seen = observe(game, design, shapley=how == "shapley", noise=noise * game.spread(), rng=rng)
    drawn = len(np.unique(seen.groups)) - design.whole
    if drawn < FEWEST_GROUPS:
        return
    found = estimated(seen, rng)
    assert found.interval is not None
    assert found.p_values is not None
    assert found.band is not None
    half = (found.interval.high - found.interval.low) / 2.0
    slack = 1e-9 * (1.0 + np.abs(found.attributions))
    fit = cross_fit(seen, Ridge(), np.random.default_rng(0))
    share = 1.0 if fit.exact else 0.5
    assert (np.abs(found.attributions - found.interval.estimate) <= share * half + slack).all()
    excluded = (found.interval.low > 0.0) | (found.interval.high < 0.0)
    assert np.array_equal(found.p_values <= 0.05, excluded)
    assert (np.sign(found.attributions)[excluded] == np.sign(found.interval.estimate)[excluded]).all()
    assert (found.band.low <= found.interval.low + slack).all()
    assert (found.band.high >= found.interval.high - slack).all()


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e7])
@pytest.mark.parametrize("keep", [0.5, 0.8, "shapley"])
def test_a_constant_effect_is_never_significant(offset: float, keep: float | str) -> None:
    """A bot with one sentence for every partial prompt; the whole prompt has another effect."""
    n, rng = 16, np.random.default_rng(3)
    if keep == "shapley":
        design = designs.by_layers(n, 96, rng)
    elif keep == 0.5:
        design = designs.complement_pairs(n, 48, rng)
    else:
        design = designs.by_number(n, 96, rng, keep=0.8)
    effects = np.where(design.masks.all(axis=1), offset + 1.0, offset) * 0.1
    seen = design.observed(effects, total=0.1 if keep == "shapley" else None)
    fit = cross_fit(seen, Ridge(), rng)
    found = (
        intervals.shapley_estimate(fit, seen, rng)
        if keep == "shapley"
        else intervals.sampled_estimate(fit, rng, span=0.1)
    )
    truth = 0.1 / n if keep == "shapley" else 0.1 * float(0.5 if keep == 0.5 else 0.8) ** (n - 1)
    assert found.interval is not None
    assert found.p_values is not None
    assert (found.p_values > 0.05).all()
    assert (found.interval.low <= truth).all()
    assert (truth <= found.interval.high).all()


def test_rounding_has_no_sign_in_the_scale_of_the_effects() -> None:
    scores = np.full((20, 1), 1e-17)
    assert sign_flip_p(scores, np.random.default_rng(0), rounding=1e-15)[0] == 1.0
    assert sign_flip_p(scores, np.random.default_rng(0))[0] < 0.01


def test_masks_that_are_all_known_leave_nothing_to_chance() -> None:
    """Every layer is asked whole: the estimate is the value, at any keep."""
    rng, n = np.random.default_rng(0), 5
    game = Game(n, "redundant", rng)
    design = designs.by_number(n, 2**n, rng, keep=0.8)
    population = design.observed(game.values(design.masks)).population()
    assert population is not None
    assert (population.asked(np.ones(len(design.masks), dtype=bool)) == population.members).all()
    seen = design.observed(game.values(design.masks))
    assert (population.chance[:, None] * seen.weights()).T @ seen.values == pytest.approx(game.banzhaf(0.8))
    assert law_of_number(n, 0.8).sum() == pytest.approx(1.0)
