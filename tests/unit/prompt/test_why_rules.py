"""The test of whether a part had a say: exact under the null, strong where one or two parts decide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import fisher_exact

from whygen.prompt import designs
from whygen.prompt.why import rules
from whygen.prompt.why.rules import Answered, beside_others, p_values
from whygen.types import Floats, Masks


def _answered(design: designs.Design, taken: Floats, drawn: Floats | None = None) -> Answered:
    ones = np.ones(len(design.masks)) if drawn is None else drawn
    return Answered(design.masks, design.groups, taken.astype(float), ones)


def _design(n: int, pairs: int, rng: np.random.Generator) -> designs.Design:
    half = designs.halves_for(n, 2 * pairs)
    return (designs.complement_pairs if half == "complement" else designs.independent)(n, pairs, rng)


@pytest.mark.parametrize(("n", "pairs"), [(6, 26), (10, 20), (16, 12)])
def test_parts_without_a_say_get_small_p_values_as_seldom_as_they_say(n: int, pairs: int) -> None:
    # The answers hang on the first part, with noise; the others have no say whatever they are mixed with.
    found: list[float] = []
    for seed in range(16):
        rng = np.random.default_rng([n, seed])
        design = _design(n, pairs, rng)
        taken = design.masks[:, 0] ^ (rng.random(len(design.masks)) < 0.15)
        found += p_values(_answered(design, taken), rng)[1:].tolist()
    p = np.array(found)
    assert np.mean(p <= 0.05) <= 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / len(p))
    assert np.mean(p <= 0.2) <= 0.2 + 3.0 * np.sqrt(0.2 * 0.8 / len(p))


@pytest.mark.parametrize("rule", ["alone", "either", "both"])
def test_parts_that_decide_stand_out(rule: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        design = _design(25, 26, rng)
        one, other = design.masks[:, 3], design.masks[:, 17]
        taken = {"alone": one, "either": one | other, "both": one & other}[rule]
        p = p_values(_answered(design, taken), rng)
        decide = [3] if rule == "alone" else [3, 17]
        assert (p[decide] < 0.002).all()
        assert np.delete(p, decide).min() > p[decide].max()


@pytest.mark.parametrize("rule", ["either", "both"])
def test_of_named_parts_those_go_that_say_nothing_beside_the_others(rule: str) -> None:
    kept: list[list[int]] = []
    for seed in range(10):
        rng = np.random.default_rng([5, seed])
        design = _design(20, 26, rng)
        one, other = design.masks[:, 3], design.masks[:, 11]
        taken = (one | other if rule == "either" else one & other) ^ (rng.random(len(one)) < 0.1)
        answered = _answered(design, taken)
        chance = int(np.argmin(np.delete(p_values(answered, rng), [3, 11])))  # the surest of those without a say
        named = [3, 11, chance + (chance >= 3) + (chance >= 10)]
        kept.append(beside_others(answered, named, rng))
    assert np.mean([{3, 11} <= set(each) for each in kept]) >= 0.9
    assert np.mean([set(each) == {3, 11} for each in kept]) >= 0.6  # each rest is the luckiest of 18
    assert beside_others(answered, [3], rng) == [3]


def test_a_part_that_keeps_the_action_away_is_not_accused_of_it() -> None:
    rng = np.random.default_rng(0)
    design = _design(10, 26, rng)
    p = p_values(_answered(design, ~design.masks[:, 2]), rng)
    assert p[2] > 0.2


def test_of_one_part_it_is_fishers_exact_test() -> None:
    # All answers to the two masks are dealt out among both: the law is the hypergeometric of Fisher's test.
    masks: Masks = np.array([[True], [False]])
    taken, drawn = np.array([7.0, 2.0]), np.array([9.0, 9.0])
    answered = Answered(masks, np.array([0, 0]), taken, drawn)
    exact = fisher_exact([[7, 2], [2, 7]], alternative="greater").pvalue
    found = np.mean([p_values(answered, np.random.default_rng(seed))[0] for seed in range(6)])
    assert found == pytest.approx(exact, abs=0.006)


def test_where_all_masks_were_asked_answers_are_dealt_between_twins_alone() -> None:
    # 3 parts, every mask once: 4 pairs of twins, so that 2^-4 is the least that any answers can give.
    design = designs.enumerated(3)
    least = min(
        p_values(_answered(design, np.array(bits, dtype=float)), np.random.default_rng(1)).min()
        for bits in itertools.product([0, 1], repeat=8)
    )
    assert least == pytest.approx(1 / 16, abs=0.02)


def test_more_draws_of_few_masks_tell_more() -> None:
    design = designs.enumerated(2)
    once = design.masks[:, 0].astype(float)
    few = p_values(_answered(design, once), np.random.default_rng(0))
    many = p_values(_answered(design, 10 * once, np.full(4, 10.0)), np.random.default_rng(0))
    assert few[0] > 0.2
    assert many[0] < 0.001


def test_where_nothing_or_everything_acted_there_is_nothing_to_tell() -> None:
    design = designs.enumerated(3)
    for taken in (np.zeros(8), np.ones(8)):
        assert (p_values(_answered(design, taken), np.random.default_rng(0)) == 1.0).all()


def test_a_seed_gives_the_same_p_values() -> None:
    rng = np.random.default_rng(5)
    design = _design(12, 20, rng)
    answered = _answered(design, design.masks[:, 1] | (rng.random(40) < 0.1))
    assert np.array_equal(*(p_values(answered, np.random.default_rng(3)) for _ in range(2)))


@pytest.mark.parametrize("draws", [1.0, 3.0])
def test_values_that_are_kept_are_those_that_are_worked_out(draws: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    design = _design(9, 14, rng)
    drawn = np.full(28, draws)
    answered = _answered(design, rng.binomial(drawn.astype(int), np.where(design.masks[:, 4], 0.95, 0.05)), drawn)
    kept = p_values(answered, np.random.default_rng(3))
    monkeypatch.setattr(rules, "MOST_KEPT", 0)
    assert np.array_equal(kept, p_values(answered, np.random.default_rng(3)))
    assert kept.argmin() == 4
