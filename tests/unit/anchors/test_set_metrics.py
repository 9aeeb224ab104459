"""FID and KID against other roads to the same number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from benchmarks.set_metrics import SET_METRICS, fid, kid

from whygen.errors import DataError
from whygen.stats.seeds import generator


def clouds(n: int = 60, m: int = 45, dim: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(0, "clouds")
    return rng.normal(size=(n, dim)) @ rng.normal(size=(dim, dim)), rng.normal(1, 2, size=(m, dim))


def test_fid_is_the_squared_bures_wasserstein_distance_of_pot() -> None:
    ot = pytest.importorskip("ot")
    one, other = clouds()
    covariances = [np.cov(cloud, rowvar=False) for cloud in (one, other)]
    expected = ot.gaussian.bures_wasserstein_distance(one.mean(axis=0), other.mean(axis=0), *covariances) ** 2
    assert fid(one, other) == pytest.approx(float(expected), rel=1e-8)


def test_fid_of_normals_with_diagonal_covariances_is_its_closed_form() -> None:
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
    factor = np.sqrt(8 / 7)  # these eight corners have variance 8 / 7 with n - 1
    one, other = signs * [1, 2, 3] / factor, signs * [2, 2, 1] / factor + [1, 0, -2]
    assert fid(one, other) == pytest.approx(1 + 4 + (1 - 2) ** 2 + (3 - 1) ** 2)


def test_fid_of_one_set_with_itself_is_nothing_and_of_one_dimension_works() -> None:
    one, other = clouds()
    assert fid(one, one) == pytest.approx(0, abs=1e-8)
    assert fid(one, other) == pytest.approx(fid(other, one))
    assert fid(one[:, :1], other[:, :1]) >= 0


def test_kid_is_the_average_over_distinct_pairs() -> None:
    one, other = clouds(9, 7, 3)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = np.mean([kernel(a, b) for i, a in enumerate(one) for j, b in enumerate(one) if i != j])
    among = np.mean([kernel(a, b) for i, a in enumerate(other) for j, b in enumerate(other) if i != j])
    between = np.mean([kernel(a, b) for a in one for b in other])
    assert kid(one, other) == pytest.approx(within + among - 2 * between)


def test_kid_of_equal_distributions_is_zero_on_average() -> None:
    rng = generator(0, "null")
    values = [kid(rng.normal(size=(30, 4)), rng.normal(size=(20, 4))) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20
    assert min(values) < 0


@pytest.mark.parametrize("metric", SET_METRICS)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3))),
        (np.zeros((5, 3)), np.zeros((5, 2))),
        (np.zeros(5), np.zeros(5)),
        (np.full((5, 3), np.nan), np.zeros((5, 3))),
    ],
)
def test_features_that_do_not_fit(metric: str, one: np.ndarray, other: np.ndarray) -> None:
    with pytest.raises(DataError):
        SET_METRICS[metric](one, other)
