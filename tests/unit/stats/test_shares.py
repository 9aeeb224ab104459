import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from whygen.errors import DataError, UsageError
from whygen.stats import conformal
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.wilson import wilson


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1), (500, 10_000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_agrees_with_scipy(successes, trials, level):
    expected = binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert wilson(successes, trials, level=level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_closed_form():
    z2 = 1.959963984540054**2
    assert wilson(0, 20) == pytest.approx((0, z2 / (20 + z2)))
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_refuses_what_is_no_share():
    with pytest.raises(UsageError, match="successes=3 of trials=2"):
        wilson(3, 2)
    with pytest.raises(UsageError, match="level=95"):
        wilson(1, 2, level=95)


TEXTBOOK = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
TEXTBOOK += [0.7590, 1.000]
"""The fifteen p-values of Benjamini and Hochberg 1995, section 4: four are called at .05."""


def test_benjamini_hochberg_on_the_example_of_the_paper():
    assert benjamini_hochberg(TEXTBOOK, level=0.05).tolist() == [True] * 4 + [False] * 11


def test_benjamini_hochberg_agrees_with_scipy():
    p = np.random.default_rng(0).beta(0.4, 1, size=200)
    for level in (0.01, 0.1, 0.3):
        assert np.array_equal(benjamini_hochberg(p, level=level), false_discovery_control(p) <= level)


def test_benjamini_hochberg_of_nothing_and_of_nonsense():
    assert benjamini_hochberg([], level=0.05).size == 0
    with pytest.raises(DataError, match=r"p_values\[1\] is 1.5"):
        benjamini_hochberg([0.5, 1.5], level=0.05)
    with pytest.raises(DataError, match="one dimension"):
        benjamini_hochberg([[0.5]], level=0.05)
    with pytest.raises(UsageError, match="level=0"):
        benjamini_hochberg([0.5], level=0)


def test_conformal_p_values_by_hand():
    assert conformal.p_values([1.0, 2.0, 3.0], [0.0, 2.0, 2.5, 4.0]).tolist() == [1.0, 0.75, 0.5, 0.25]


def test_smallest_reference():
    assert [conformal.smallest_reference(alpha) for alpha in (0.025, 0.05, 0.1, 0.3)] == [39, 19, 9, 3]
    with pytest.raises(UsageError, match="at least 39"):
        conformal.threshold(np.zeros(38), 0.025)
    with pytest.raises(UsageError, match="alpha=0"):
        conformal.smallest_reference(0)


def test_realised_level_survives_rounding():
    assert conformal.realised_level(99, 0.29) == pytest.approx(0.29)  # .29 * 100 is 28.999999999999996
    assert conformal.realised_level(10, 0.05) == 0
    assert conformal.level_spread(10, 0.05) == (0.0, 0.0)
