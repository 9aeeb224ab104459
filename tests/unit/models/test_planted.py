"""Planted truth is true: values against the definition, causes against the answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import UnknownNameError
from whygen.models.planted import FAMILIES, MODELS, Game, PlantedModel, causes
from whygen.types import Output, Request

SEEDS = st.integers(0, 2**32 - 1)


def corners(n: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=n)))


@given(st.integers(2, 7), st.sampled_from(FAMILIES), SEEDS)
def test_values_are_those_of_the_definition(n: int, family: str, seed: int) -> None:
    game = Game(n, family, np.random.default_rng(seed))
    masks = corners(n)
    effects = game.values(masks)
    banzhaf = [effects[masks[:, i]].mean() - effects[~masks[:, i]].mean() for i in range(n)]
    assert game.banzhaf() == pytest.approx(banzhaf, abs=1e-9)
    assert game.spread() == pytest.approx(effects.std(), abs=1e-9)
    assert game.shapley().sum() == pytest.approx(effects[-1] - effects[0], abs=1e-9)
    assert game.banzhaf()[game.dummies] == pytest.approx(0.0)
    assert game.shapley()[game.dummies] == pytest.approx(0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_shapley_is_the_mean_over_orders(family: str) -> None:
    game = Game(5, family, np.random.default_rng(4))
    found = np.zeros(5)
    for order in itertools.permutations(range(5)):
        mask = np.zeros((1, 5), dtype=bool)
        before = game.values(mask)[0]
        for unit in order:
            mask[0, unit] = True
            after = game.values(mask)[0]
            found[unit] += (after - before) / 120
            before = after
    assert game.shapley() == pytest.approx(found)


@given(
    st.lists(st.sampled_from(["fox", "piano", "not", "castle", "vixen", "the", "and", "runs"]), min_size=1, max_size=8)
)
def test_only_causes_change_the_answer(words: list[str]) -> None:
    for name in ("additive", "interacting", "redundant", "negated", "order"):
        model = PlantedModel(name)
        known = causes(name, words)
        whole = model.answer([Request(prompt=" ".join(words))])[0]
        for i, matters in enumerate(known):
            without = model.answer([Request(prompt=" ".join(words[:i] + words[i + 1 :]))])[0]
            assert isinstance(whole, Output)
            assert isinstance(without, Output)
            # "not" silences the word after it, so a filler between the two can matter to the negated model.
            if not matters and name != "negated":
                assert without.text == whole.text


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_answers_every_request_once(name: str) -> None:
    asked = [Request(prompt="the fox plays piano", draw=draw) for draw in range(3)]
    assert len(PlantedModel(name).answer(asked)) == 3


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="saturating"):
        Game(4, "saturated", np.random.default_rng(0))
