"""Planted truth is true: values against the definition, causes against the answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.errors import UnknownNameError
from whygen.models.planted import FAMILIES, MODELS, Game, PlantedModel, causes
from whygen.models.planted.texts import SENTENCES
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


@given(st.integers(2, 6), st.sampled_from(FAMILIES), st.floats(0.05, 0.95), SEEDS)
def test_the_weighted_banzhaf_value_is_a_mean_over_masks_kept_with_that_probability(
    n: int, family: str, keep: float, seed: int
) -> None:
    game = Game(n, family, np.random.default_rng(seed))
    masks = corners(n)
    chance = np.where(masks, keep, 1 - keep).prod(axis=1)
    effects = game.values(masks)
    for i, value in enumerate(game.banzhaf(keep)):
        with_, without = masks[:, i], ~masks[:, i]
        mean_with = np.average(effects[with_], weights=chance[with_])
        assert value == pytest.approx(mean_with - np.average(effects[without], weights=chance[without]), abs=1e-9)


def test_noise_is_drawn_from_the_generator_alone_and_has_the_stated_size() -> None:
    game = Game(6, "pairwise", np.random.default_rng(1), noise=0.3)
    masks = np.tile(corners(6), (100, 1))
    one, two, other = (game.observe(masks, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert (one - game.values(masks)).std() == pytest.approx(0.3, rel=0.05)
    quiet = Game(6, "pairwise", np.random.default_rng(1))
    assert np.array_equal(quiet.observe(masks, np.random.default_rng(5)), quiet.values(masks))


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


def fourier(game: Game) -> dict[tuple[int, ...], float]:
    """Coefficients of products of signs that are not zero, by enumeration."""
    masks = corners(game.n)
    signs, effects = np.where(masks, 1.0, -1.0), game.values(masks)
    sets = [tuple(np.flatnonzero(mask).tolist()) for mask in masks]
    found = {units: float(signs[:, list(units)].prod(axis=1) @ effects) / len(masks) for units in sets}
    return {units: value for units, value in found.items() if abs(value) > 1e-9}


@given(st.integers(6, 9), SEEDS)
def test_parities_have_products_of_three_and_conjunctions_all_sets_of_four_and_fewer(n: int, seed: int) -> None:
    parities = fourier(Game(n, "parities", np.random.default_rng(seed)))
    assert {len(units) for units in parities} == {3}
    conjunctions = fourier(Game(n, "conjunctions", np.random.default_rng(seed)))
    assert 3 <= max(len(units) for units in conjunctions) <= 4


@given(st.integers(6, 9), SEEDS)
def test_a_heavy_tailed_game_is_additive_and_a_vote_is_of_the_odd_sizes(n: int, seed: int) -> None:
    assert max(len(units) for units in fourier(Game(n, "heavy-tailed", np.random.default_rng(seed)))) == 1
    votes = Game(7, "votes", np.random.default_rng(seed))  # one group of five, and one unit alone
    assert {len(units) for units in fourier(votes)} == {0, 1, 3, 5}
    assert len({round(abs(value), 9) for value in votes.banzhaf()[votes.parts[0].units]}) == 1


def test_parts_that_share_units_are_among_the_families() -> None:
    for family in ("conjunctions", "parities"):
        game = Game(24, family, np.random.default_rng(0))
        units = np.concatenate([part.units for part in game.parts])
        assert len(set(units.tolist())) < len(units)
        assert len(game.dummies) >= 6


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


def scores(name: str, prompt: str, text: str) -> dict[str, float]:
    (answer,) = PlantedModel(name).score([Request(prompt=prompt, continuation=text)])
    assert isinstance(answer, Output)
    assert answer.scores is not None
    assert "".join(text[score.start : score.end] for score in answer.scores) == text
    return {text[score.start : score.end].strip(): score.logprob for score in answer.scores}


def test_a_sentence_is_probable_when_its_word_is_in_the_prompt() -> None:
    """The log-probability of a sentence answers to its own word and to no other: an additive truth."""
    (answer,) = PlantedModel("additive").answer([Request(prompt="a fox and a castle")])
    assert isinstance(answer, Output)
    whole = scores("additive", "a fox and a castle", answer.text)
    less = scores("additive", "a castle", answer.text)
    assert [sentence for sentence in whole if whole[sentence] != less[sentence]] == [SENTENCES["fox"]]
    assert less[SENTENCES["fox"]] < whole[SENTENCES["fox"]]


@given(st.text(max_size=40))
def test_scores_cover_any_text(text: str) -> None:
    scores("additive", "fox", text)


@pytest.mark.parametrize(
    ("name", "prompt", "told"),
    [
        ("interacting", "fox", ""),
        ("interacting", "castle fox", "fox"),
        ("redundant", "vixen", "fox"),
        ("redundant", "fox vixen", "fox"),
        ("negated", "not fox but piano", "piano"),
        ("order", "piano fox", "piano"),
        ("order", "fox piano", "fox"),
        ("noisy", "soup", None),
    ],
)
def test_rules_are_as_stated(name: str, prompt: str, told: str | None) -> None:
    texts = set()
    for draw in range(20):
        (answer,) = PlantedModel(name).answer([Request(prompt=prompt, draw=draw)])
        assert isinstance(answer, Output)
        texts.add(" ".join(word for word in SENTENCES if SENTENCES[word] in answer.text))
    assert texts == ({"soup", ""} if told is None else {told})
