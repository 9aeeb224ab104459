"""Laws of the distances: metric axioms, symmetries, closed forms, and second roads to the same number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance, wasserstein_distance

from whygen import distances
from whygen.types import Vectors

coordinates = st.floats(-10, 10, allow_subnormal=False)
texts = st.text(alphabet="ab Ñ,字1", max_size=12) | st.text(max_size=12)


def points(*, most: int = 7, dim: int = 3) -> st.SearchStrategy[Vectors]:
    return hnp.arrays(np.float64, st.tuples(st.integers(1, most), st.just(dim)), elements=coordinates)


def vectors(dim: int = 4) -> st.SearchStrategy[Vectors]:
    return hnp.arrays(np.float64, dim, elements=coordinates)


def between(name: str, a: Vectors, b: Vectors) -> float:
    if name == "sinkhorn":  # its epsilon is meant for points about as far apart as on the unit sphere
        return float(distances.sinkhorn([a], b, epsilon=1.0)[0])
    return float(distances.SETS[name]([a], b)[0])


def apart(name: str, a: str, b: str) -> float:
    return float(distances.TEXTS[name]([a], b)[0])


# --- sets


@pytest.mark.parametrize("name", list(distances.SETS))
@given(a=points(), b=points())
def test_sets_are_at_zero_from_themselves_and_distances_are_symmetric(name: str, a: Vectors, b: Vectors) -> None:
    slack = 1e-5 if name == "sinkhorn" else 1e-9
    assert between(name, a, a) <= slack
    there, back = between(name, a, b), between(name, b, a)
    assert there >= 0
    assert there == pytest.approx(back, abs=slack)


@pytest.mark.parametrize("name", list(distances.SETS))
@given(a=points(), b=points(), data=st.data())
def test_order_of_points_does_not_count(name: str, a: Vectors, b: Vectors, data: st.DataObject) -> None:
    shuffled = a[np.array(data.draw(st.permutations(range(len(a)))))]
    assert between(name, shuffled, b) == pytest.approx(between(name, a, b), abs=1e-5 if name == "sinkhorn" else 1e-9)


@pytest.mark.parametrize("name", list(distances.SETS))
@given(a=points(most=3), b=points(most=3))
def test_only_shares_count(name: str, a: Vectors, b: Vectors) -> None:
    twice = np.concatenate([a, a])
    assert between(name, twice, b) == pytest.approx(between(name, a, b), abs=1e-5 if name == "sinkhorn" else 1e-9)


@given(a=points(), b=points(), c=points())
def test_optimal_transport_obeys_the_triangle(a: Vectors, b: Vectors, c: Vectors) -> None:
    ot = "optimal-transport"
    assert between(ot, a, c) <= between(ot, a, b) + between(ot, b, c) + 1e-9


@given(a=points(), b=points(), c=points())
def test_the_root_of_energy_obeys_the_triangle(a: Vectors, b: Vectors, c: Vectors) -> None:
    roots = [math.sqrt(between("energy", *pair)) for pair in [(a, c), (a, b), (b, c)]]
    assert roots[0] <= roots[1] + roots[2] + 1e-6


@given(size=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_optimal_transport_of_equal_sizes_is_the_best_matching(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(size, 5)), rng.normal(size=(size, 5))
    cost = cdist(a, b)
    assert between("optimal-transport", a, b) == pytest.approx(cost[linear_sum_assignment(cost)].mean(), abs=1e-12)


@given(a=points(dim=1), b=points(dim=1))
def test_on_a_line_transport_and_energy_are_known(a: Vectors, b: Vectors) -> None:
    known = wasserstein_distance(a[:, 0], b[:, 0])
    assert between("optimal-transport", a, b) == pytest.approx(known, abs=1e-9)
    # scipy's is the root of half the energy distance: it integrates 2 (F - G)^2.
    assert between("energy", a, b) == pytest.approx(energy_distance(a[:, 0], b[:, 0]) ** 2, abs=1e-6)


@given(a=vectors(), b=vectors())
def test_between_single_points_every_transport_is_their_distance(a: Vectors, b: Vectors) -> None:
    distance = float(np.linalg.norm(a - b))
    assert between("optimal-transport", a[None], b[None]) == pytest.approx(distance, abs=1e-9)
    assert between("sinkhorn", a[None], b[None]) == pytest.approx(distance, abs=1e-9)
    assert between("energy", a[None], b[None]) == pytest.approx(2 * distance, abs=1e-9)


@given(a=points(), shift=vectors(3))
def test_transport_of_a_shifted_set_is_the_shift(a: Vectors, shift: Vectors) -> None:
    assert between("optimal-transport", a + shift, a) == pytest.approx(float(np.linalg.norm(shift)), abs=1e-9)


@given(a=points(), b=points(), seed=st.integers(0, 1000))
def test_sliced_is_the_mean_over_lines_and_at_most_transport(a: Vectors, b: Vectors, seed: int) -> None:
    along = distances.directions(7, 3, np.random.default_rng(seed))
    value = float(distances.sliced([a], b, along=along)[0])
    known = np.mean([wasserstein_distance(a @ line, b @ line) for line in along])
    assert value == pytest.approx(known, abs=1e-9)
    assert value <= between("optimal-transport", a, b) + 1e-9


# --- vectors


@pytest.mark.parametrize("name", list(distances.VECTORS))
@given(a=vectors(), b=vectors())
def test_vectors_are_at_zero_from_themselves_and_distances_are_symmetric(name: str, a: Vectors, b: Vectors) -> None:
    distance = distances.VECTORS[name]
    assert distance(a[None], a)[0] == 0
    assert distance(a[None], b)[0] == pytest.approx(distance(b[None], a)[0], abs=1e-12)
    assert distance(a[None], b)[0] >= 0


@given(a=vectors(), b=vectors(), c=vectors())
def test_euclidean_obeys_the_triangle(a: Vectors, b: Vectors, c: Vectors) -> None:
    ab, ac = distances.euclidean(np.stack([b, c]), a)
    assert ac <= ab + distances.euclidean(b[None], c)[0] + 1e-9


@given(a=vectors(), b=vectors(), scale=st.floats(1e-150, 1e150))
def test_cosine_is_one_minus_the_cosine_at_any_length(a: Vectors, b: Vectors, scale: float) -> None:
    a, b = a + np.array([20.0, 0, 0, 0]), b + np.array([0, 20.0, 0, 0])
    known = 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert distances.cosine(scale * a[None], b)[0] == pytest.approx(known, abs=1e-12)


# --- texts


@pytest.mark.parametrize("name", list(distances.TEXTS))
@given(a=texts, b=texts)
def test_texts_are_at_zero_from_themselves_and_within_one_of_others(name: str, a: str, b: str) -> None:
    assert apart(name, a, a) == 0
    assert 0 <= apart(name, a, b) <= 1
    assert apart(name, a, b) == pytest.approx(apart(name, b, a), abs=1e-12)


@pytest.mark.parametrize("name", list(distances.TEXTS))
@given(a=texts, b=texts, beside=st.lists(texts, max_size=3))
def test_a_text_does_not_depend_on_the_texts_beside_it(name: str, a: str, b: str, beside: list[str]) -> None:
    assert distances.TEXTS[name]([*beside, a], b)[-1] == apart(name, a, b)


@pytest.mark.parametrize("name", [name for name in distances.TEXTS if distances.find(name).metric])
@given(a=texts, b=texts, c=texts)
def test_metrics_between_texts_obey_the_triangle(name: str, a: str, b: str, c: str) -> None:
    assert apart(name, a, c) <= apart(name, a, b) + apart(name, b, c) + 1e-12


@given(a=st.text(alphabet="abc", max_size=80), b=st.text(alphabet="abc", max_size=80))
def test_edit_is_levenshtein(a: str, b: str) -> None:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    assert apart("edit", a, b) == row[-1] / max(len(a), len(b), 1)


@given(a=st.text(alphabet="abc ", max_size=30), b=st.text(alphabet="abc ", max_size=30))
def test_tfidf_is_that_of_scikit_learn_fitted_on_the_pair(a: str, b: str) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not a.split() or not b.split():
        return
    x, y = TfidfVectorizer(ngram_range=(1, 2), tokenizer=str.split, token_pattern=None).fit_transform([a, b]).toarray()
    assert apart("tfidf", a, b) == pytest.approx(1 - x @ y, abs=1e-12)
