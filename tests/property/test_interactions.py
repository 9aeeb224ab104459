"""Laws of the reported pairs: unbiased, covered, silent on additive games and on noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whygen.prompt import designs
from whygen.prompt.effects import Effects
from whygen.prompt.findings import FEWEST_GROUPS, strongest_pairs
from whygen.prompt.noise import measure
from whygen.prompt.surrogates import Boosting, Ridge

SEEDS = st.integers(0, 2**32 - 1)
N = 9


def game(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Interaction (0, 1) is 2, (2, 3) is -1.5, and a product of three adds 1.2 keep to each of its pairs."""
    z = masks.astype(float)
    return 2 * z[:, 0] * z[:, 1] - 1.5 * z[:, 2] * z[:, 3] + z[:, 4] + 1.2 * z[:, 5] * z[:, 6] * z[:, 7]


def truth(keep: float) -> dict[tuple[int, int], float]:
    three = dict.fromkeys([(5, 6), (5, 7), (6, 7)], 1.2 * keep)
    return {(0, 1): 2.0, (2, 3): -1.5} | three


def seen(rng: np.random.Generator, *, pairs: int = 100, keep: float = 0.5, noise: float = 0.0) -> Effects:
    if keep == 0.5:
        design = designs.complement_pairs(N, pairs, rng)
    else:
        uniform = rng.random((pairs, N))
        masks = np.stack([uniform < keep, (1 - uniform) < keep], axis=1).reshape(-1, N)
        design = designs.Design(name="with replacement", masks=masks, groups=np.repeat(np.arange(pairs), 2), keep=keep)
    effects = game(design.masks) + noise * rng.normal(size=2 * pairs)
    return Effects(design.masks, effects, design.groups, keep)


@settings(max_examples=15)
@given(SEEDS, st.sampled_from([Ridge(), Boosting()]))
def test_two_planted_pairs_are_found_measured_and_significant(seed: int, surrogate) -> None:
    found = strongest_pairs(seen(np.random.default_rng(seed)), surrogate, np.random.default_rng(seed), most=5)
    by_units = {(pair.first, pair.second): pair for pair in found}
    for units in [(0, 1), (2, 3)]:
        assert by_units[units].significant
        assert by_units[units].value == pytest.approx(truth(0.5)[units], abs=0.5)
    assert [abs(pair.value) for pair in found] == sorted((abs(pair.value) for pair in found), reverse=True)


@settings(max_examples=60)
@given(SEEDS, st.integers(FEWEST_GROUPS, 20))
def test_few_groups_are_enough_or_say_nothing(seed: int, pairs: int) -> None:
    rng = np.random.default_rng(seed)
    for pair in strongest_pairs(seen(rng, pairs=pairs, keep=0.8), Ridge(), rng):
        assert np.isfinite([pair.value, pair.low, pair.high, pair.p_value]).all()


@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_intervals_of_reported_pairs_hold_the_truth(keep: float) -> None:
    inside, estimates = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        for pair in strongest_pairs(seen(rng, keep=keep, noise=0.5), Ridge(), rng):
            value = truth(keep).get((pair.first, pair.second), 0.0)
            inside.append(pair.low <= value <= pair.high)
            estimates.append(pair.value - value)
    assert len(inside) > 200
    assert np.mean(inside) > 0.92
    assert abs(np.mean(estimates)) < 4.5 * np.std(estimates) / np.sqrt(len(estimates))


def test_noise_and_additive_games_report_next_to_nothing() -> None:
    reported = discovered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        plain = seen(rng, pairs=40)
        additive = plain.with_values(plain.masks @ rng.normal(size=N) + rng.normal(size=80))
        found = strongest_pairs(additive, Ridge(), rng)
        reported += bool(found)
        discovered += any(pair.significant for pair in found)
    assert reported <= 25
    assert discovered <= 11  # 5 expected of 100 where every report is a false one


@given(SEEDS)
@settings(max_examples=10)
def test_the_same_generator_gives_the_same_pairs(seed: int) -> None:
    data = seen(np.random.default_rng(seed), noise=0.3)
    first, second = (strongest_pairs(data, Ridge(), np.random.default_rng(1)) for _ in range(2))
    assert first == second


def test_too_few_groups_one_unit_and_constant_effects_report_nothing() -> None:
    rng = np.random.default_rng(0)
    assert strongest_pairs(seen(rng, pairs=FEWEST_GROUPS - 1), Ridge(), rng) == ()
    flat = seen(rng).with_values(np.full(200, 2.5))
    assert strongest_pairs(flat, Ridge(), rng) == ()
    masks = rng.random((40, 1)) < 0.5
    assert strongest_pairs(Effects(masks, rng.normal(size=40), np.arange(40)), Ridge(), rng) == ()


def test_masks_by_size_are_refused() -> None:
    design = designs.by_size(6, 60, np.random.default_rng(0))
    data = Effects(design.masks, design.masks[:, 0] * 1.0, design.groups, sizes=design.sizes, total=1.0)
    with pytest.raises(ValueError, match="kept independently"):
        strongest_pairs(data, Ridge(), np.random.default_rng(0))


@pytest.mark.parametrize("pairs", [24, 100])
def test_no_interval_of_drawn_masks_is_without_width_and_p_values_go_with_it(pairs: int) -> None:
    """A game that the surrogate meets exactly: intervals were [2, 2]."""
    rng = np.random.default_rng(3)
    data = seen(rng, pairs=pairs)
    z = data.masks.astype(float)
    found = strongest_pairs(data.with_values(2 * z[:, 0] * z[:, 1] + 5 * z[:, 2]), Ridge(), rng)
    assert (found[0].first, found[0].second) == (0, 1)
    assert found[0].significant
    for pair in found:
        assert pair.high - pair.low > 0.5 * 2.0 / pairs
        assert pair.low <= (2.0 if (pair.first, pair.second) == (0, 1) else 0.0) <= pair.high
        assert (pair.p_value <= 0.05) <= (not pair.low <= 0.0 <= pair.high)


def every_mask(noise: float, rng: np.random.Generator, *, known: bool = False, draws: int = 2) -> Effects:
    """All masks of five units, each drawn so often: the interaction of the first two is 1, all others are 0."""
    design = designs.enumerated(5)
    z = design.masks.astype(float)
    clean = z[:, 0] * z[:, 1] + z @ np.array([0.0, 0.0, 1.0, -1.0, 0.5])
    drawn = clean[:, None] + noise * rng.normal(size=(32, draws))
    told = replace(design.observed(drawn.mean(axis=1)), noise=measure(drawn, known=known))
    assert told.is_complete()
    return told


def test_where_every_mask_was_asked_pairs_are_exact_and_their_noise_is_that_of_the_masks() -> None:
    rng = np.random.default_rng(0)
    [known] = strongest_pairs(every_mask(0.0, rng, known=True), Ridge(), rng)
    assert (known.first, known.second) == (0, 1)
    assert [known.low, known.value, known.high] == pytest.approx([1.0, 1.0, 1.0])
    [steady] = strongest_pairs(every_mask(0.0, rng), Ridge(), rng)  # 32 repeats agreed: that bounds the noise
    assert steady.low < 0.9
    assert steady.high > 1.1
    assert strongest_pairs(every_mask(0.0, rng, draws=1), Ridge(), rng) == ()  # nothing was asked twice


def test_of_the_pairs_of_all_masks_that_are_shown_a_twentieth_is_false_and_a_twentieth_not_covered() -> None:
    missed, false, shown = [], [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = strongest_pairs(every_mask(0.5, rng), Ridge(), rng)
        truths = [float((pair.first, pair.second) == (0, 1)) for pair in found]
        missed.append(np.mean([not p.low <= truth <= p.high for p, truth in zip(found, truths, strict=True)] or [0]))
        false.append(np.mean([truth == 0.0 for truth in truths] or [0]))
        shown += len(found)
    assert shown > 150
    assert np.mean(missed) < 0.09
    assert np.mean(false) < 0.09
