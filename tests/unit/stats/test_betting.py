"""A test of a mean by betting: its error, where one looks after every value; and its ends in closed form."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.stats.betting import evidence_below, fewest, smallest_margin, upper_bound


@pytest.mark.parametrize(("margin", "error"), [(0.1, 0.05), (0.05, 0.05), (0.2, 0.01), (0.1, 0.03)])
def test_as_many_zeros_as_are_needed_show_a_margin_and_one_less_does_not(margin, error):
    n = fewest(margin, error)
    assert evidence_below(np.zeros(n), margin) >= 1.0 / error
    assert evidence_below(np.zeros(n - 1), margin) < 1.3 / error  # the other stakes add little
    assert smallest_margin(n, error) <= margin < smallest_margin(n - 1, error)


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=40), st.floats(0.02, 0.5))
def test_evidence_grows_with_the_margin_and_the_bound_is_where_it_suffices(values, error):
    found = np.array(values)
    bound = upper_bound(found, error)
    assert found.mean() <= bound + 1e-12
    assert bound <= 1.0
    margins = np.linspace(0.05, 0.9, 6)
    evidence = [evidence_below(found, margin) for margin in margins]
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(evidence))
    if bound < 0.99:
        assert evidence_below(found, min(bound + 1e-6, 0.999)) >= 1.0 / error * (1 - 1e-3)


@pytest.mark.parametrize("kind", ["rare", "noisy", "one draw in five"])
def test_a_mean_at_the_margin_is_called_under_it_as_seldom_as_was_promised(kind):
    """Looking after every value, over 2,000 runs of 150 values whose mean is the margin itself."""
    rng, margin, error, runs, n = np.random.default_rng(5), 0.1, 0.05, 2_000, 150
    if kind == "rare":
        values = (rng.random((runs, n)) < margin).astype(float)
    elif kind == "noisy":
        values = np.clip(margin + rng.normal(0.0, 0.25, (runs, n)), -0.7, 0.9)
    else:
        values = rng.choice([-1.0, 0.0, 1.0], size=(runs, n), p=[0.15, 0.6, 0.25])
    stakes = np.array([1.0, 0.7, 0.4, 0.2, 0.1]) / (1.0 - margin)
    weights = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
    grown = np.maximum(1.0 + stakes[:, None, None] * (margin - values)[None], 1e-300)
    wealth = np.tensordot(weights, np.exp(np.cumsum(np.log(grown), axis=2)), axes=1)
    assert evidence_below(values[0], margin) == pytest.approx(wealth[0, -1])
    assert (wealth.max(axis=1) >= 1.0 / error).mean() <= error + 0.01


def test_rounds_of_unequal_means_keep_the_error_at_their_ends():
    """Inputs with means of their own, asked once a round: what counts is the average, at the end of a round."""
    rng, margin, error = np.random.default_rng(9), 0.1, 0.05
    shares = np.array([0.5, 0.0, 0.0, 0.0, 0.0])
    wrong = 0
    for _ in range(600):
        values = (rng.random((40, 5)) < shares).astype(float)
        wrong += any(evidence_below(values[: end + 1].ravel(), margin) >= 1.0 / error for end in range(0, 40, 5))
    assert wrong / 600 <= error + 0.02
