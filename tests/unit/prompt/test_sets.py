"""The fewest units that change an answer, and that keep it: against brute force, and with calls counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.models.planted.texts import PlantedModel
from whygen.prompt.operators import Delete
from whygen.prompt.sets import ROUNDING, Call, answer_sets, changed_below
from whygen.prompt.targets import load_target
from whygen.prompt.units import split
from whygen.types import Masks, Output, Request

Game = Callable[[np.ndarray], float]


def every_mask(n: int) -> Masks:
    return np.array(list(itertools.product([False, True], repeat=n)), dtype=bool)


def calls_of(game: Game, masks: Masks) -> list[Call]:
    return [Call(game(mask), f"prompt {row}", "", row) for row, mask in enumerate(masks)]


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

    def ask(masks: Masks) -> list[Call]:
        asked.extend(masks)
        return [Call(game(mask), "more", "") for mask in masks]

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

    def ask(masks: Masks) -> list[Call]:
        return [Call(game(mask), "", "") for mask in masks]

    sets = found(game, np.vstack([half, ~half]), ask=ask, budget=16, strength=causes + rng.normal(0, 0.01, n))
    assert sets.changing[0].units == (7, 31)
    assert sets.changing[0].minimal
    assert len(sets.keeping[0].units) == 1


def test_a_failed_call_shows_nothing() -> None:
    masks = every_mask(2)
    calls = [Call(math.nan, "", ""), Call(0.0, "", ""), Call(1.0, "", ""), Call(1.0, "", "")]
    sets = answer_sets(masks, calls, np.array([1.0, 1.0]), texts=["a", "b"])
    assert [one.units for one in sets.changing] == [(0,)]
    assert [one.units for one in sets.keeping] == [(0,)]
    assert not sets.keeping[0].minimal  # nobody knows of the empty prompt


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9), st.lists(st.floats(-10, 10), min_size=2, max_size=4))
def test_a_repeat_is_never_a_change(effects: list[float], repeats: list[float]) -> None:
    threshold = changed_below(np.array(effects), np.array(repeats))
    assert all(repeat > threshold for repeat in repeats)
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
        Call(effect, text, output.text, row)
        for row, (effect, text, output) in enumerate(zip(effects.tolist(), prompts, outputs, strict=True))
    ]
    sets = answer_sets(masks, calls, np.zeros(2), texts=units.texts)
    assert sorted(one.texts for one in sets.changing) == sorted(changing)
    assert all(one.output != outputs[-1].text for one in sets.changing)
    assert sorted(one.texts for one in sets.keeping) == sorted(keeping)
    assert {one.output for one in sets.keeping} == {outputs[-1].text}
