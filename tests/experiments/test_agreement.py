"""Krippendorff's alpha: published worked examples, the definition by pairs, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whygen.errors import UnknownNameError
from whygen_experiments.ratings.agreement import Scale, alpha_interval, krippendorff_alpha

RATINGS = arrays(np.float64, st.tuples(st.integers(2, 4), st.integers(2, 7)),
                 elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, np.nan]))  # fmt: skip


def table(*rows: str) -> np.ndarray:
    return np.array([[np.nan if cell == "." else float(cell) for cell in row.split()] for row in rows])


FOUR_OBSERVERS = table(
    "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."
)
"""Krippendorff (2011), section C."""
THREE_CODERS = table(". . . . . 3 4 1 2 1 1 3 3 . 3", "1 . 2 1 3 3 4 3 . . . . . . .", ". . 2 1 3 4 4 . 2 1 1 3 3 . 4")
"""Krippendorff (1980), as the encyclopaedias print it."""


@pytest.mark.parametrize(
    ("ratings", "scale", "published"),
    [
        (FOUR_OBSERVERS, "nominal", 0.743),
        (FOUR_OBSERVERS, "ordinal", 0.815),
        (FOUR_OBSERVERS, "interval", 0.849),
        (THREE_CODERS, "nominal", 0.691),
        (THREE_CODERS, "interval", 0.811),
    ],
)
def test_the_published_examples_are_met_to_the_last_digit(ratings: np.ndarray, scale: Scale, published: float) -> None:
    assert krippendorff_alpha(ratings, scale) == pytest.approx(published, abs=5e-4)


def by_definition(ratings: np.ndarray) -> float | None:
    """1 - observed over expected disagreement, summed over pairs of ratings one by one; ordinal."""
    items = [column[~np.isnan(column)] for column in ratings.T]
    items = [item for item in items if len(item) > 1]
    every = [value for item in items for value in item]

    def apart(c: float, k: float) -> float:
        low, high = min(c, k), max(c, k)
        between = sum(low <= value <= high for value in every)
        return (between - (every.count(c) + every.count(k)) / 2.0) ** 2

    observed = sum(apart(a, b) / (len(item) - 1) for item in items for a in item for b in item) / max(len(every), 1)
    pairs = sum(apart(a, b) for a in every for b in every)
    return None if pairs == 0 else 1.0 - observed / (pairs / (len(every) * (len(every) - 1)))


@given(RATINGS)
def test_coincidences_and_pairs_lead_to_one_number(ratings: np.ndarray) -> None:
    found, expected = krippendorff_alpha(ratings), by_definition(ratings)
    assert found == (None if expected is None else pytest.approx(expected))


@given(RATINGS, st.randoms(use_true_random=False))
def test_neither_the_names_of_raters_nor_an_ordinal_scale_s_labels_matter(ratings: np.ndarray, random: object) -> None:
    shuffled = np.random.default_rng(random.randrange(2**32)).permutation(ratings)  # type: ignore[attr-defined]
    for changed in (shuffled, ratings**3 + 7.0):
        found, expected = krippendorff_alpha(changed), krippendorff_alpha(ratings)
        assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("ratings", [table("1 2 3"), table("1 2 .", ". . 3"), table("3 3", "3 3")])
def test_where_nothing_could_disagree_there_is_no_alpha(ratings: np.ndarray) -> None:
    assert krippendorff_alpha(ratings) is None
    assert alpha_interval(ratings, np.random.default_rng(0)) is None


def test_full_agreement_is_one_and_chance_is_about_zero() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(1, 6, size=400).astype(float)
    assert krippendorff_alpha(np.stack([one, one, one])) == pytest.approx(1.0)
    chance = rng.integers(1, 6, size=(3, 400)).astype(float)
    limits = alpha_interval(chance, rng)
    assert limits is not None
    assert limits[0] < 0.0 < limits[1]


def test_the_interval_holds_the_estimate_and_shrinks_with_items() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 6, size=300)
    noisy = np.clip(truth + rng.integers(-1, 2, size=(3, 300)), 1, 5).astype(float)
    widths = []
    for many in (30, 300):
        limits, alpha = alpha_interval(noisy[:, :many], rng), krippendorff_alpha(noisy[:, :many])
        assert limits is not None
        assert alpha is not None
        assert limits[0] < alpha < limits[1]
        widths.append(limits[1] - limits[0])
    assert widths[1] < widths[0] / 2


def test_an_unknown_scale_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="ordinal"):
        krippendorff_alpha(FOUR_OBSERVERS, "ordinary")  # type: ignore[arg-type]
