"""Fixed cases: known values, edges, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from whygen import distances
from whygen.distances.sets import least_cost
from whygen.distances.texts import words
from whygen.errors import DataError, MissingExtraError, UnknownNameError, UsageError


def unit(rng: np.random.Generator, size: int, dim: int = 16) -> np.ndarray:
    rows = rng.normal(size=(size, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_every_distance_is_listed_once_with_its_unit() -> None:
    by_kind = {"vectors": distances.VECTORS, "sets": distances.SETS, "texts": distances.TEXTS}
    assert {name for names in by_kind.values() for name in names} == set(distances.DISTANCES)
    for name, distance in distances.DISTANCES.items():
        assert distance.name == name
        assert by_kind[distance.needs][name] is distance.function
        assert distance.title
        assert distance.unit


def test_an_unknown_name_lists_the_nearest() -> None:
    assert distances.find("cosine").function is distances.cosine
    with pytest.raises(UnknownNameError, match="Did you mean 'token-set'"):
        distances.find("tokenset")


def test_no_items_give_no_numbers() -> None:
    point = np.ones((1, 3))
    assert all(f(np.empty((0, 3)), point[0]).shape == (0,) for f in distances.VECTORS.values())
    assert all(f([], point).shape == (0,) for f in distances.SETS.values())
    assert all(f([], "a").shape == (0,) for f in distances.TEXTS.values())


def test_importing_the_room_loads_no_torch() -> None:
    code = "import sys, whygen.distances; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- vectors


def test_cosine_of_known_angles() -> None:
    rows = np.array([[2.0, 0], [0, 3], [-1, 0], [1, 1]])
    assert distances.cosine(rows, np.array([5.0, 0])) == pytest.approx([0, 1, 2, 1 - np.sqrt(0.5)], abs=1e-15)


def test_a_zero_vector_is_at_one_from_all_but_itself() -> None:
    rows = np.array([[0.0, 0], [1, 0]])
    assert distances.cosine(rows, np.zeros(2)).tolist() == [0, 1]
    assert distances.cosine(rows, np.array([0.0, 2])).tolist() == [1, 1]


@pytest.mark.parametrize("distance", [distances.cosine, distances.euclidean])
def test_vectors_that_do_not_fit_are_refused(distance: Callable[..., object]) -> None:
    with pytest.raises(DataError, match="same encoder"):
        distance(np.ones((2, 3)), np.ones(4))
    with pytest.raises(DataError, match="reference holds NaN"):
        distance(np.ones((2, 3)), np.array([1, np.nan, 1]))
    with pytest.raises(DataError, match="items holds NaN"):
        distance(np.full((2, 3), np.inf), np.ones(3))


# --- sets


@pytest.mark.parametrize("distance", distances.SETS.values())
def test_sets_that_do_not_fit_are_refused(distance: distances.SetDistance) -> None:
    with pytest.raises(DataError, match=r"sets\[1\] has 4 dimensions"):
        distance([np.ones((2, 3)), np.ones((2, 4))], np.ones((1, 3)))
    with pytest.raises(DataError, match="at least one point"):
        distance([np.empty((0, 3))], np.ones((1, 3)))
    with pytest.raises(DataError, match="reference holds NaN"):
        distance([np.ones((2, 3))], np.full((1, 3), np.nan))
    with pytest.raises(DataError, match="overflow"):
        distance([np.full((2, 3), 1e200)], np.full((2, 3), -1e200))


def test_a_set_is_exactly_at_zero_from_itself_whatever_its_order() -> None:
    points = unit(np.random.default_rng(3), 60, 384)
    assert distances.optimal_transport([points, points[::-1].copy()], points).tolist() == [0, 0]
    assert distances.energy([points], points)[0] == pytest.approx(0, abs=1e-12)


def test_near_points_keep_their_digits() -> None:
    points = unit(np.random.default_rng(3), 5, 384)
    moved = points + 1e-9 * points[::-1]
    known = 1e-9 * np.linalg.norm(points[::-1], axis=1).mean()
    assert distances.optimal_transport([moved], points)[0] == pytest.approx(known, rel=1e-5)


def test_opposite_points_are_at_the_ends_of_the_range() -> None:
    point = np.array([[1.0, 0, 0]])
    values = {name: f([-point], point)[0] for name, f in distances.SETS.items()}
    assert values == pytest.approx({"optimal-transport": 2, "sinkhorn": 2, "energy": 4})


def test_transport_on_a_line_is_the_sorted_matching() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, (40, 1)), rng.normal(3, 2, (40, 1))
    known = np.abs(np.sort(a[:, 0]) - np.sort(b[:, 0])).mean()
    assert distances.optimal_transport([a], b)[0] == pytest.approx(known, abs=1e-12)


def test_large_sets_are_solved_to_the_end() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(900, 1)), rng.normal(size=(700, 1))
    from scipy.stats import wasserstein_distance

    assert distances.optimal_transport([a], b)[0] == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]), abs=1e-10)


def test_sinkhorn_lies_between_its_two_limits() -> None:
    rng = np.random.default_rng(11)
    a, b = unit(rng, 9), unit(rng, 12) + 0.3
    exact, energy = distances.optimal_transport([a], b)[0], distances.energy([a], b)[0]
    assert distances.sinkhorn([a], b, epsilon=0.01)[0] == pytest.approx(exact, abs=0.01)
    assert distances.sinkhorn([a], b, epsilon=1e4)[0] == pytest.approx(energy / 2, rel=1e-3)


def test_sinkhorn_agrees_with_an_independent_solver() -> None:
    import ot

    rng = np.random.default_rng(13)
    a, b = unit(rng, 8), unit(rng, 11)

    def entropic(x: np.ndarray, y: np.ndarray) -> float:
        cost = np.linalg.norm(x[:, None] - y, axis=2)
        weights = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
        plan = ot.sinkhorn(*weights, cost, 0.3, stopThr=1e-12, numItermax=20_000)
        return float((plan * cost).sum() + 0.3 * (plan * np.log(plan / np.outer(*weights))).sum())

    known = entropic(a, b) - 0.5 * (entropic(a, a) + entropic(b, b))
    assert distances.sinkhorn([a], b, epsilon=0.3)[0] == pytest.approx(known, abs=1e-9)


def test_sinkhorn_refuses_an_epsilon_it_cannot_keep() -> None:
    points = unit(np.random.default_rng(17), 24)
    with pytest.raises(UsageError, match="optimal_transport"):
        distances.sinkhorn([points[:20]], 50 * points[4:], epsilon=1e-4)
    with pytest.raises(UsageError, match="above 0"):
        distances.sinkhorn([points], points, epsilon=0)


def test_sliced_needs_directions_of_the_same_dimension() -> None:
    points = np.ones((2, 3))
    with pytest.raises(DataError, match="dimensions"):
        distances.sliced([points], points, along=np.ones((1, 2)))
    lines = distances.directions(5, 3, np.random.default_rng(0))
    assert np.linalg.norm(lines, axis=1) == pytest.approx(np.ones(5))
    assert distances.sliced([points], points, along=lines).tolist() == [0]


# --- texts


@pytest.mark.parametrize("distance", distances.TEXTS.values())
def test_an_empty_text_is_at_one_from_any_other_and_at_zero_from_itself(distance: distances.TextDistance) -> None:
    assert distance(["", "a word"], "").tolist() == [0, 1]
    assert distance([""], "a word").tolist() == [1]


def test_words_of_many_scripts() -> None:
    assert words("Don't STOP, 7 times!") == ["don't", "stop", ",", "7", "times", "!"]
    assert words("東京へ行く") == ["東", "京", "へ", "行", "く"]
    assert words("안녕 세상") == ["안녕", "세상"]
    assert words("e\u0301te\u0301") == words("été")
    assert words("👍") == ["👍"]
    assert words(" \n") == []


def test_distances_of_known_texts() -> None:
    assert distances.token_set(["a b c", "A a", "d"], "a b").tolist() == pytest.approx([1 / 3, 1 / 2, 1])
    assert distances.edit(["kitten", "sitting", ""], "sitting").tolist() == pytest.approx([3 / 7, 0, 1])
    assert distances.exact(["a", "A", "b"], "a").tolist() == [0, 1, 1]
    assert distances.tfidf(["yes", "Yes", "no"], "Yes").tolist() == [0, 0, 1]


def test_tfidf_sees_the_order_of_words() -> None:
    swapped, same = distances.tfidf(["man bites dog", "dog bites man"], "dog bites man")
    assert swapped > same == 0


def test_edit_is_no_metric_and_says_so() -> None:
    d = distances.edit(["ab", "ba"], "aba")
    assert distances.edit(["ab"], "ba")[0] > d.sum()
    assert not distances.find("edit").metric


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (5, 2), (13, 17), (40, 31)])
def test_without_pot_a_linear_program_gives_the_same(rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(rows)
    cost = rng.random((rows, columns))
    cost[rng.random(cost.shape) < 0.3] = 0.25  # ties
    solved = least_cost(cost)
    monkeypatch.setitem(sys.modules, "ot", None)
    assert least_cost(cost) == pytest.approx(solved, abs=1e-9)


def test_without_pot_very_large_sets_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtraError, match=r"whygen\[transport\]"):
        least_cost(np.ones((400, 300)))
