"""The fewest units that change an answer, and that keep it: against brute force, and with calls counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.models.planted.texts import PlantedModel
from whygen.prompt.operators import Delete
from whygen.prompt.sets import ODD_REPEATS, ROUNDING, SetCall, answer_sets, changed_below, decided, evidence
from whygen.prompt.targets import load_target
from whygen.prompt.units import split
from whygen.types import Masks, Output, Request

Game = Callable[[np.ndarray], float]


def every_mask(n: int) -> Masks:
    return np.array(list(itertools.product([False, True], repeat=n)), dtype=bool)


def calls_of(game: Game, masks: Masks) -> list[list[SetCall]]:
    return [[SetCall(game(mask), f"prompt {row}", "", row)] for row, mask in enumerate(masks)]


def found(game: Game, masks: Masks, **options: object):
    n = masks.shape[1]
    whole = np.array([game(np.ones(n, dtype=bool))] * 2)
    return answer_sets(masks, calls_of(game, masks), whole, texts=[f"u{i}" for i in range(n)], **options)  # type: ignore[arg-type]


def test_planted_causes_are_the_sets() -> None:
    def either(mask: np.ndarray) -> float:
        return float((mask[0] or mask[1]) and mask[2])

    sets = found(either, every_mask(5))
    assert [one.units for one in sets.changing] == [(2,), (0, 1)]
    assert [one.units for one in sets.keeping] == [(0, 2), (1, 2)]
    assert all(one.minimal for one in (*sets.changing, *sets.keeping))
    assert [one.fewest for one in sets.changing] == [True, False]  # two units where one does it
    assert all(one.fewest for one in sets.keeping)
    assert sets.changing[0].texts == ("u2",)
    assert sets.calls == 0
    assert sets.threshold == pytest.approx(0.5)


@given(st.integers(1, 5), st.data())
def test_with_every_mask_the_fewest_are_those_of_brute_force(n: int, data: st.DataObject) -> None:
    masks = every_mask(n)
    table = data.draw(st.lists(st.floats(-5, 0), min_size=len(masks), max_size=len(masks)))
    values = {mask.tobytes(): value for mask, value in zip(masks, table, strict=True)}
    sets = found(lambda mask: values[mask.tobytes()], masks)
    changed = [mask for mask in masks if values[mask.tobytes()] < sets.threshold]
    kept = [mask for mask in masks[:-1] if values[mask.tobytes()] >= sets.threshold]
    assert bool(sets.changing) == bool(changed)
    assert bool(sets.keeping) == bool(kept)
    if changed:
        assert len(sets.changing[0].units) == min(int((~mask).sum()) for mask in changed)
    if kept:
        assert len(sets.keeping[0].units) == min(int(mask.sum()) for mask in kept)
    for one, other in itertools.permutations(sets.changing, 2):
        assert not set(one.units) <= set(other.units)
    for one in sets.changing:
        assert one.effect < sets.threshold
        assert set(range(n)) - set(one.units) == set(np.flatnonzero(masks[one.row]).tolist())


@given(st.integers(2, 24), st.integers(0, 2**31), st.integers(0, 60))
def test_further_calls_shrink_and_stay_within_their_budget(n: int, seed: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    causes = rng.random(n) < 0.3
    causes[0] = True

    def game(mask: np.ndarray) -> float:
        return float(mask[causes].all())

    asked: list[np.ndarray] = []

    def ask(masks: Masks) -> list[SetCall]:
        asked.extend(masks)
        return [SetCall(game(mask), "more", "") for mask in masks]

    half = rng.random((6, n)) < 0.5
    masks = np.vstack([half, ~half])
    sets = found(game, masks, ask=ask, budget=budget, strength=rng.normal(size=n))
    assert len(asked) == sets.calls <= budget
    assert len({mask.tobytes() for mask in [*asked, *masks]}) == len(asked) + len({mask.tobytes() for mask in masks})
    if budget >= 3 * n + 20:
        assert len(sets.changing[0].units) == 1
        assert sets.changing[0].minimal
    if sets.keeping and sets.keeping[0].minimal:
        assert set(sets.keeping[0].units) == set(np.flatnonzero(causes).tolist())


def test_attributions_say_what_is_tried_first() -> None:
    n = 40
    causes = np.zeros(n, dtype=bool)
    causes[[7, 31]] = True

    def game(mask: np.ndarray) -> float:
        return float(mask[causes].any())  # either keeps the answer: both must go

    rng = np.random.default_rng(0)
    half = rng.random((20, n)) < 0.5

    def ask(masks: Masks) -> list[SetCall]:
        return [SetCall(game(mask), "", "") for mask in masks]

    sets = found(game, np.vstack([half, ~half]), ask=ask, budget=16, strength=causes + rng.normal(0, 0.01, n))
    assert sets.changing[0].units == (7, 31)
    assert sets.changing[0].minimal
    assert len(sets.keeping[0].units) == 1


def test_a_failed_call_shows_nothing() -> None:
    masks = every_mask(2)
    calls = [[SetCall(effect, "", "")] for effect in (math.nan, 0.0, 1.0, 1.0)]
    sets = answer_sets(masks, calls, np.array([1.0, 1.0]), texts=["a", "b"])
    assert [one.units for one in sets.changing] == [(0,)]
    assert [one.units for one in sets.keeping] == [(0,)]
    assert sets.keeping[0].minimal is None  # nobody knows of the empty prompt


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9), st.lists(st.floats(-10, 10), min_size=2, max_size=4))
def test_what_repeats_do_is_no_change(effects: list[float], repeats: list[float]) -> None:
    threshold = changed_below(np.array(effects), np.array(repeats))
    assert np.mean(np.array(repeats) > threshold) >= 1.0 - ODD_REPEATS
    assert threshold <= np.mean(repeats)
    assert threshold >= min((np.mean(repeats) + np.median(effects)) / 2, min(repeats) - 11 * ROUNDING) - 1e-9


def test_a_given_threshold_is_used_and_said() -> None:
    sets = found(lambda mask: float(mask.sum()), every_mask(3), threshold=1.5)
    assert sets.rule == "given"
    assert {len(one.units) for one in sets.changing} == {2}
    assert {len(one.units) for one in sets.keeping} == {2}


@pytest.mark.parametrize(
    ("name", "prompt", "changing", "keeping"),
    [
        ("redundant", "a fox or vixen", [("fox", "vixen")], [("vixen",), ("fox",)]),
        ("interacting", "a fox near castle", [("castle",), ("fox",)], [("fox", "castle")]),
        ("negated", "not fox here", [("not",)], [()]),
    ],
)
def test_sets_of_planted_models(
    name: str, prompt: str, changing: list[tuple[str, ...]], keeping: list[tuple[str, ...]]
) -> None:
    model, units, target = PlantedModel(name), split(prompt), load_target("exact")
    masks = every_mask(len(units))
    prompts = [Delete().render(units, mask) for mask in masks]
    answers = model.answer([Request(prompt=text) for text in prompts])
    outputs = [answer for answer in answers if isinstance(answer, Output)]
    effects = target.effects(outputs, outputs[-1:])
    calls = [
        [SetCall(effect, text, output.text, row)]
        for row, (effect, text, output) in enumerate(zip(effects.tolist(), prompts, outputs, strict=True))
    ]
    sets = answer_sets(masks, calls, np.zeros(2), texts=units.texts)
    assert sorted(one.texts for one in sets.changing) == sorted(changing)
    assert all(one.output != outputs[-1].text for one in sets.changing)
    assert sorted(one.texts for one in sets.keeping) == sorted(keeping)
    assert {one.output for one in sets.keeping} == {outputs[-1].text}


def test_votes_have_minimal_sets_that_are_not_the_fewest_of_their_kind() -> None:
    """The first unit counts twice of five votes: it and one other are enough, and so are the three others."""

    def vote(mask: np.ndarray) -> float:
        return float(2 * mask[0] + mask[1] + mask[2] + mask[3] >= 3)

    sets = found(vote, every_mask(4))
    by_units = {one.units: one for one in sets.keeping}
    assert all(one.minimal for one in sets.keeping)
    assert by_units[0, 1].fewest
    assert not any(one.fewest for one in found(vote, every_mask(4)[3:]).keeping)  # nobody asked of three smaller sets


def test_likelihood_ratios_are_fair_bets_against_one_half() -> None:
    """Their mean under a share of one half is at most one, whatever the number of draws: any stopping rule is fair."""
    for draws in range(1, 40):
        bets = [math.comb(draws, yes) * 0.5**draws * evidence(yes, draws) for yes in range(draws + 1)]
        assert sum(bets) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.45])
def test_a_sequential_decision_is_wrong_as_seldom_as_it_says(share: float) -> None:
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(1000):
        does = (rng.random(60) < share).tolist()
        said = next(
            (s for k in range(1, 61) if (s := decided(does[:k], steady="differs", error=0.05)) is not None), None
        )
        wrong += said is True
    assert wrong <= 50 + 3 * math.sqrt(50)


def test_the_call_that_chose_a_set_is_no_evidence_for_it() -> None:
    assert decided([True], steady="known", error=0.05) is True
    assert decided([True] * 2, steady="so far", error=0.05) is None
    assert decided([False] * 3, steady="so far", error=0.05) is False
    needed = next(k for k in range(1, 30) if decided([True] * k, steady="differs", error=0.05))
    assert needed > 5
    assert decided([False] + [True] * (needed - 1), steady="differs", error=0.05) is True


def both(units: tuple[int, int], mask: np.ndarray) -> float:
    return float(mask[units[0]] and mask[units[1]])


def either(units: tuple[int, int], mask: np.ndarray) -> float:
    return float(mask[units[0]] or mask[units[1]])


Chance = Callable[[bool, np.ndarray], float]
"""The chance of an answer that agrees, of a mask that keeps it by rule or does not."""

ODD = {
    "odd in one of twenty": lambda keeps, mask: 0.95 if keeps else 0.05,
    "odd in one of five": lambda keeps, mask: 0.8 if keeps else 0.2,
    "sure of the whole prompt alone": lambda keeps, mask: 1.0 if mask.all() else 0.8 if keeps else 0.2,
    "near a coin": lambda keeps, mask: 1.0 if mask.all() else 0.62 if keeps else 0.4,
}


@pytest.mark.parametrize("kind", ODD)
def test_minimal_is_said_of_sets_that_are_where_the_model_samples(kind: str) -> None:
    said = true = 0
    for seed in range(40):
        n, rng = 6, np.random.default_rng(seed)
        rule = partial(both if seed % 2 else either, tuple(rng.permutation(n)[:2]))
        sets = sampled(rule, ODD[kind], n, rng, budget=150)
        for changing, one in [*((True, s) for s in sets.changing), *((False, s) for s in sets.keeping)]:
            if one.minimal:
                said += 1
                true += is_minimal(rule, ODD[kind], one.units, n, changing=changing)
            assert one.minimal or not one.fewest
            assert one.did * 2 > one.asked
    assert true >= 0.95 * said
    assert said >= (40 if "twenty" in kind else 0)


def sampled(rule: Game, chance: Chance, n: int, rng: np.random.Generator, *, budget: int):
    def ask(masks: Masks) -> list[SetCall]:
        return [SetCall(float(rng.random() < chance(bool(rule(mask)), mask)), "", "") for mask in masks]

    half = rng.random((16, n)) < 0.5
    masks = np.unique(np.vstack([half, ~half]), axis=0)
    masks = masks[~masks.all(axis=1)]
    whole = np.ones((4, n), dtype=bool)
    repeats = np.array([call.effect for call in ask(whole)])
    return answer_sets(
        masks, [[call] for call in ask(masks)], repeats, texts=[f"u{i}" for i in range(n)], threshold=0.5,
        steady="differs", ask=ask, budget=budget,
    )  # fmt: skip


def is_minimal(rule: Game, chance: Chance, units: tuple[int, ...], n: int, *, changing: bool) -> bool:
    """By the chances themselves: whether more than half of the answers change (or stay), and of no set of one less."""

    def does(members: set[int]) -> bool:
        mask = np.array([(unit in members) != changing for unit in range(n)])
        kept = chance(bool(rule(mask)), mask)
        return kept < 0.5 if changing else kept > 0.5

    return does(set(units)) and not any(does(set(units) - {unit}) for unit in units)
