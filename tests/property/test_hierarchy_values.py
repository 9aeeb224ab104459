"""Nested values on small games: the laws by enumeration, and the estimator against them."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.prompt.estimands import load_estimand
from whygen.prompt.long.levels import first_level, open_part
from whygen.prompt.long.parts import PromptPart, Skeleton, contexts, cuts_needed, halves, put
from whygen.prompt.surrogates import load_surrogate


def skeleton_of(sizes: tuple[int, ...]) -> Skeleton:
    """Two levels: parents of the given sizes, words below."""
    parts = [PromptPart(0, None, "prompt", 0, sum(sizes), ())]
    roots, first = [], 0
    for size in sizes:
        index = len(parts)
        roots.append(index)
        words = tuple(range(index + 1, index + 1 + size)) if size > 1 else ()
        parts.append(PromptPart(index, 0, "sentence", first, first + size, words))
        parts += [PromptPart(word, index, "word", first + i, first + i + 1, ()) for i, word in enumerate(words)]
        first += size
    parts[0] = PromptPart(0, None, "prompt", 0, first, tuple(roots))
    return Skeleton(tuple(parts))


def game_of(n: int, seed: int) -> np.ndarray:
    """Effect of each mask; its code is the sum of 2^i over the kept units."""
    return np.random.default_rng(seed).normal(size=2**n)


def values(game: np.ndarray, masks: np.ndarray) -> np.ndarray:
    return game[masks @ (1 << np.arange(masks.shape[1]))]


def weight(n: int, size: int) -> float:
    return math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)


def nested(game: np.ndarray, sizes: tuple[int, ...], parent: int, *, estimand: str) -> np.ndarray:
    """Owen or symmetric coalitional Banzhaf values of the words of one parent, by the sum over all coalitions."""
    edges = np.cumsum([0, *sizes])
    members = [list(range(a, b)) for a, b in itertools.pairwise(edges)]
    others = [j for j in range(len(sizes)) if j != parent]
    own = members[parent]
    found = np.zeros(len(own))
    for r in range(len(others) + 1):
        outer = weight(len(sizes), r) if estimand == "shapley" else 0.5 ** len(others)
        for chosen in itertools.combinations(others, r):
            around = sum(1 << unit for j in chosen for unit in members[j])
            for i, unit in enumerate(own):
                rest = [word for word in own if word != unit]
                for s in range(len(rest) + 1):
                    for inner in itertools.combinations(rest, s):
                        code = around + sum(1 << word for word in inner)
                        found[i] += outer * weight(len(own), s) * (game[code + (1 << unit)] - game[code])
    return found


def shapley(game: np.ndarray, n: int) -> np.ndarray:
    return nested(game, (n,), 0, estimand="shapley")


def parent_values(game: np.ndarray, sizes: tuple[int, ...], *, estimand: str) -> np.ndarray:
    """Values of the parents in the game between them, by enumeration."""
    count = len(sizes)
    corners = np.array(list(itertools.product([False, True], repeat=count)))
    masks = np.repeat(corners, sizes, axis=1)
    effects = values(game, masks)
    between = np.empty(2**count)
    between[corners @ (1 << np.arange(count))] = effects
    if estimand == "shapley":
        return shapley(between, count)
    return np.array([effects[corners[:, j]].mean() - effects[~corners[:, j]].mean() for j in range(count)])


def level(skeleton: Skeleton, game: np.ndarray, part: int, seed: int, *, estimand: str):
    found = open_part(
        skeleton, skeleton.parts[part], lambda masks: values(game, masks), np.random.default_rng(seed),
        estimand=load_estimand(estimand), surrogate=load_surrogate("ridge"),
    )  # fmt: skip
    assert found is not None
    return found


def root(skeleton: Skeleton, game: np.ndarray, seed: int, *, estimand: str):
    found = first_level(
        skeleton, lambda masks: values(game, masks), np.random.default_rng(seed), estimand=load_estimand(estimand),
        surrogate=load_surrogate("ridge"), measure_noise=lambda _, effects: effects[:, None],
        total=float(game[-1] - game[0]), known=True,
    )  # fmt: skip
    assert found is not None
    return found[0]


SIZES = st.lists(st.integers(1, 3), min_size=2, max_size=3).map(tuple).filter(lambda sizes: sum(sizes) <= 6)


@given(SIZES, st.integers(0, 2**16), st.sampled_from(["banzhaf", "shapley"]))
@settings(max_examples=40, deadline=None)
def test_children_sum_to_their_parent_at_its_own_level(sizes: tuple[int, ...], seed: int, estimand: str) -> None:
    game = game_of(sum(sizes), seed)
    parents = parent_values(game, sizes, estimand=estimand)
    for j, parent in enumerate(parents):
        assert nested(game, sizes, j, estimand=estimand).sum() == pytest.approx(parent, abs=1e-12)


def test_plain_banzhaf_values_do_not_add_up_and_the_nested_ones_do() -> None:
    conjunction = np.zeros(8)
    conjunction[-1] = 1.0
    corners = np.array(list(itertools.product([False, True], repeat=3)))
    effects = values(conjunction, corners)
    plain = [effects[corners[:, i]].mean() - effects[~corners[:, i]].mean() for i in range(3)]
    assert sum(plain) == pytest.approx(0.75)
    assert nested(conjunction, (3,), 0, estimand="banzhaf").sum() == pytest.approx(1.0)


@given(st.integers(2, 5), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_one_parent_gives_shapley_values_and_one_unit_a_parent_the_plain_ones(n: int, seed: int) -> None:
    game = game_of(n, seed)
    alone = tuple([1] * n)
    assert nested(game, (n,), 0, estimand="banzhaf") == pytest.approx(shapley(game, n))
    assert [nested(game, alone, j, estimand="shapley")[0] for j in range(n)] == pytest.approx(shapley(game, n))
    banzhaf = parent_values(game, alone, estimand="banzhaf")
    assert [nested(game, alone, j, estimand="banzhaf")[0] for j in range(n)] == pytest.approx(banzhaf)


@given(SIZES, st.integers(0, 2**16), st.sampled_from(["banzhaf", "shapley"]))
@settings(max_examples=20, deadline=None)
def test_a_small_first_level_is_exact(sizes: tuple[int, ...], seed: int, estimand: str) -> None:
    game = game_of(sum(sizes), seed)
    found = root(skeleton_of(sizes), game, seed, estimand=estimand)
    assert found.values == pytest.approx(parent_values(game, sizes, estimand=estimand), abs=1e-10)


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
@pytest.mark.parametrize("sizes", [(3, 2, 1), (2, 1, 2), (4, 2)])
def test_the_estimates_of_a_level_are_unbiased(sizes: tuple[int, ...], estimand: str) -> None:
    game, skeleton = game_of(sum(sizes), 11), skeleton_of(sizes)
    truth = nested(game, sizes, 0, estimand=estimand)
    levels = [level(skeleton, game, 1, seed, estimand=estimand) for seed in range(200)]
    drawn = np.array([[*found.values, found.total[0]] for found in levels if found.total is not None])
    error = drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - [*truth, truth.sum()]) <= 4.0 * error + 1e-12).all()
    assert drawn[:, :-1].sum(axis=1) == pytest.approx(drawn[:, -1])


@pytest.mark.parametrize("estimand", ["banzhaf", "shapley"])
def test_intervals_of_a_level_hold_the_truth(estimand: str) -> None:
    sizes = (5, 2, 2)
    game, skeleton = game_of(sum(sizes), 5), skeleton_of(sizes)
    truth = nested(game, sizes, 0, estimand=estimand)
    held = []
    for seed in range(150):
        found = level(skeleton, game, 1, seed, estimand=estimand)
        held.append((found.low <= truth) & (truth <= found.high))
    assert 0.91 <= np.mean(held) <= 0.995


@given(st.integers(0, 2**16), st.sampled_from(["banzhaf", "shapley"]))
@settings(max_examples=25, deadline=None)
def test_children_of_a_part_that_does_nothing_are_zero(seed: int, estimand: str) -> None:
    outside = game_of(3, seed)
    game = np.array([outside[code & 7] for code in range(2**6)])  # the last three units change nothing
    skeleton = skeleton_of((1, 2, 3))
    found = level(skeleton, game, skeleton.parts[0].children[2], seed, estimand=estimand)
    assert found.values == pytest.approx(np.zeros(3), abs=1e-9)
    assert (found.p_values == 1.0).all()


@pytest.mark.parametrize("n", [2, 4, 9, 16])
def test_values_of_additive_games_are_found_exactly_unless_a_fold_cannot_tell_two_children_apart(n: int) -> None:
    skeleton = skeleton_of((n, 2, 1))
    exact = 0
    for seed in range(60):
        weights = np.random.default_rng(seed).normal(size=n + 3)
        found = open_part(
            skeleton, skeleton.parts[1], partial(np.dot, b=weights), np.random.default_rng(seed),
            estimand=load_estimand("banzhaf"), surrogate=load_surrogate("ridge"),
        )  # fmt: skip
        assert found is not None
        exact += np.allclose(found.values, weights[:n], atol=1e-6)
    assert exact >= 57


def test_surroundings_follow_the_law_of_their_level() -> None:
    skeleton = skeleton_of((2, 1, 1, 1))
    part = skeleton.parts[1]
    rows = 40_000
    for estimand, law in (("banzhaf", [1 / 8, 3 / 8, 3 / 8, 1 / 8]), ("shapley", [1 / 4] * 4)):
        masks = contexts(skeleton, part, rows, np.random.default_rng(2), estimand=load_estimand(estimand))
        assert not masks[:, :2].any()
        share = np.bincount(masks.sum(axis=1), minlength=4) / rows
        assert share == pytest.approx(law, abs=4 * math.sqrt(0.25 / rows))


@given(st.integers(2, 300), st.integers(0, 2**16))
def test_any_two_units_are_apart_in_one_of_the_cuts(units: int, seed: int) -> None:
    cuts = halves(PromptPart(1, 0, "sentence", 0, units, ()), cuts_needed(units), np.random.default_rng(seed))
    assert len({tuple(column) for column in cuts.T.tolist()}) == units
    assert (cuts.any(axis=1) & ~cuts.all(axis=1)).all()


def test_parts_are_put_whole() -> None:
    skeleton = skeleton_of((2, 3))
    masks = np.zeros((2, 5), dtype=bool)
    put(masks, skeleton.children(0), np.array([[True, False], [False, True]]))
    assert masks.astype(int).tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]
