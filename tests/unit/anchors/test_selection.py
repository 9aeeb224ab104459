import itertools
import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from whygen.anchors.selection import (
    SELECTIONS,
    bulk,
    diversity,
    facility_location,
    farthest_first,
    k_center,
    k_dispersion,
    k_medoids,
    nearest_pick,
    select,
)
from whygen.errors import DataError, MissingExtraError, UnknownNameError, UsageError


def points(n=60, dim=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim))


def by_hand(rows, k, first):
    rows, picks = rows.astype(np.float64), [first]
    nearest = np.full(len(rows), np.inf)
    while len(picks) < k:
        nearest = np.minimum(nearest, ((rows - rows[picks[-1]]) ** 2).sum(axis=1))
        picks.append(int(nearest.argmax()))
    return picks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
@pytest.mark.parametrize("dim", [1, 5, 64])
def test_farthest_first_picks_as_in_float64(dtype, offset, dim):
    rows = (points(3000, dim) + offset).astype(dtype)
    rows[1000:2000] = rows[:1000]  # every pick among these has a twin with a higher index
    assert farthest_first(rows, 10, first=7).picks.tolist() == by_hand(rows, 10, 7)


def test_farthest_first_with_an_outlier_and_with_tiny_and_huge_numbers():
    rows = points(500, 4).astype(np.float32)
    rows[3] = 1e6
    for scale in (1.0, 1e-30, 1e25):
        scaled = rows * np.float32(scale)
        assert farthest_first(scaled, 6, first=0).picks.tolist() == by_hand(scaled, 6, 0)


def test_farthest_first_where_only_products_overflow():
    rows = (points(200, 4) * 1e18 + 1e25).astype(np.float32)
    assert farthest_first(rows, 6, first=0).picks.tolist() == by_hand(rows, 6, 0)


def test_all_points_the_same():
    walk = farthest_first(np.ones((9000, 3), dtype=np.float32), 3)
    assert walk.picks.tolist() == [0, 0, 0]
    assert walk.radii[1:].tolist() == [0, 0]


def test_the_default_first_pick_is_the_point_nearest_to_the_mean():
    rows = (points(2000, 8) + 300).astype(np.float32)
    exact = rows.astype(np.float64)
    expected = int(((exact - exact.mean(axis=0)) ** 2).sum(axis=1).argmin())
    assert farthest_first(rows, 1).picks.tolist() == [expected]


def test_radii_are_covering_radii():
    rows = points()
    walk = farthest_first(rows, 8, first=2)
    for i in range(1, 8):
        assert walk.radii[i] == pytest.approx(cdist(rows, rows[walk.picks[:i]]).min(axis=1).max())


def test_dispersion_says_how_good_it_is():
    rows = points()
    chosen = k_dispersion(rows, 6)
    assert chosen.objective == pytest.approx(pdist(rows[chosen.indices]).min())
    assert chosen.bound == pytest.approx(2 * chosen.objective)
    assert chosen.gap == pytest.approx(2)


def test_center_says_how_good_it_is():
    rows = points()
    chosen = k_center(rows, 6)
    assert chosen.objective == pytest.approx(cdist(rows, rows[chosen.indices]).min(axis=1).max())
    assert chosen.bound == pytest.approx(chosen.objective / 2)


def test_one_pick_and_more_picks_than_points():
    assert k_dispersion(points(), 1).objective is None
    assert k_dispersion(points(), 1).gap is None
    assert sorted(k_dispersion(points(5), 9).indices.tolist()) == [0, 1, 2, 3, 4]
    assert k_center(points(5), 9).objective == 0
    assert k_dispersion(points(1), 3, solver="exact").indices.tolist() == [0]


def test_dropping_the_sparsest_keeps_outliers_out():
    rows = points(100)
    rows[42] = 50.0
    assert 42 in k_dispersion(rows, 5).indices
    robust = k_dispersion(rows, 5, drop_share=0.05)
    assert 42 in robust.dropped
    assert len(robust.dropped) == 5
    assert not set(robust.dropped) & set(robust.indices)
    assert robust.objective == pytest.approx(pdist(rows[robust.indices]).min())
    assert 42 in k_dispersion(rows, 5, drop_share=0.05, first=42).indices


def test_center_with_outliers_is_within_three_times_the_optimum():
    rows = np.concatenate([points(20, 2), [[60.0, 0.0], [0.0, 60.0]]])
    chosen = k_center(rows, 3, outliers=2)
    assert set(chosen.dropped) == {20, 21}
    optimum = min(
        np.sort(cdist(rows, rows[list(picks)]).min(axis=1))[-3] for picks in itertools.combinations(range(22), 3)
    )
    assert chosen.bound <= optimum + 1e-12
    assert optimum <= chosen.objective <= 3 * optimum


def test_the_voronoi_iteration_ends_where_no_cluster_moves_its_medoid():
    rows = points(80)
    chosen = k_medoids(rows, 4, rng=np.random.default_rng(0), solver="voronoi")
    distances, owners = nearest_pick(rows, chosen.indices, metric="cityblock")
    assert chosen.objective == pytest.approx(distances.sum())
    for cluster, medoid in enumerate(chosen.indices):
        members = np.flatnonzero(owners == cluster)
        sums = cdist(rows[members], rows[members], "cityblock").sum(axis=1)
        assert sums[members == medoid] == pytest.approx(sums.min())
    again = k_medoids(rows, 4, rng=np.random.default_rng(0), solver="voronoi")
    assert np.array_equal(chosen.indices, again.indices)
    assert chosen.bound is None


def test_faster_pam_ends_where_no_swap_helps_and_is_seeded():
    rows = points(50)
    distances = cdist(rows, rows, "cityblock")
    chosen = k_medoids(rows, 4, rng=np.random.default_rng(0))
    assert chosen.objective == pytest.approx(distances[:, chosen.indices].min(axis=1).sum())
    for place in range(4):
        for other in range(50):
            swapped = chosen.indices.copy()
            swapped[place] = other
            assert distances[:, swapped].min(axis=1).sum() >= chosen.objective - 1e-9
    sizes = np.bincount(nearest_pick(rows, chosen.indices, metric="cityblock")[1])
    assert (np.diff(sizes) <= 0).all()
    assert np.array_equal(chosen.indices, k_medoids(rows, 4, rng=np.random.default_rng(0)).indices)


def test_faster_pam_of_many_points_draws_some_and_says_so(monkeypatch):
    monkeypatch.setattr(bulk, "HELD_MEDOIDS", 40)
    rows = points(90)
    chosen = k_medoids(rows, 3, rng=np.random.default_rng(0))
    assert chosen.objective == pytest.approx(cdist(rows, rows[chosen.indices], "cityblock").min(axis=1).sum())
    assert chosen.first == "best of 5 starts on 40 points drawn at random"
    assert chosen.bound is None


def test_without_the_package_the_message_names_extra_and_the_other_solver(monkeypatch):
    monkeypatch.setitem(sys.modules, "kmedoids", None)
    with pytest.raises(MissingExtraError, match=r"solver=voronoi.*whygen\[medoids\]"):
        k_medoids(points(9), 2, rng=np.random.default_rng(0))
    assert len(k_medoids(points(9), 2, rng=np.random.default_rng(0), solver="voronoi").indices) == 2


def test_facility_location_is_greedy_and_bounded():
    rows = points(14, 2)
    distances = cdist(rows, rows)

    def value(picks):
        return (distances.max() - distances[:, list(picks)].min(axis=1)).sum()

    chosen = facility_location(rows, 3)
    picks = []
    for _ in range(3):
        picks.append(max((i for i in range(14) if i not in picks), key=lambda i: value([*picks, i])))
    assert chosen.indices.tolist() == picks
    assert chosen.objective == pytest.approx(value(picks))
    optimum = max(value(each) for each in itertools.combinations(range(14), 3))
    assert (1 - 1 / np.e) * optimum <= chosen.objective <= optimum + 1e-9
    assert optimum <= chosen.bound + 1e-9


def test_distances_by_products_agree_with_differences():
    rows = points(2100, 6) + 50
    chosen = facility_location(rows, 2)
    distances = cdist(rows, rows)
    assert chosen.indices[0] == distances.sum(axis=1).argmin()
    assert chosen.objective == pytest.approx((distances.max() - distances[:, chosen.indices].min(axis=1)).sum())


@pytest.mark.parametrize("name", list(SELECTIONS))
def test_every_selection_by_name(name):
    chosen = select(name, points(), k=4, rng=np.random.default_rng(0))
    assert chosen.name == name
    assert len(set(chosen.indices.tolist())) == 4
    assert diversity(points(), chosen.indices) > 0


@pytest.mark.parametrize("name", list(SELECTIONS))
def test_points_that_are_no_numbers_are_named(name):
    rows = points().astype(np.float32)
    rows[11, 1] = np.nan
    with pytest.raises(DataError, match=r"points\[11\]"):
        select(name, rows, k=4, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match=r"points\[11\]"):
        select(name, rows, k=1, rng=np.random.default_rng(0), first=0)
    with pytest.raises(DataError, match="shape"):
        select(name, np.empty((0, 3)), k=4, rng=np.random.default_rng(0))


def test_arguments_that_cannot_work():
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownNameError, match="k-center"):
        select("k-centre", points(), k=3, rng=rng)
    with pytest.raises(UsageError, match="k=0"):
        k_center(points(), 0)
    with pytest.raises(UsageError, match="first=60"):
        k_center(points(), 3, first=60)
    with pytest.raises(UsageError, match="at most 200"):
        k_dispersion(points(201), 3, solver="exact")
    with pytest.raises(UsageError, match="at most 500"):
        k_center(points(501), 3, solver="exact")
    with pytest.raises(UsageError, match="drop_share"):
        k_dispersion(points(), 3, drop_share=1.0)
    with pytest.raises(UsageError, match="outliers=60"):
        k_center(points(), 3, outliers=60)
    with pytest.raises(UsageError, match="does not take outliers"):
        k_center(points(), 3, outliers=2, solver="exact")


def test_pictures_and_small_integers_are_points_too():
    rows = np.random.default_rng(0).integers(0, 256, size=(40, 8, 8), dtype=np.uint8)
    flat = rows.reshape(40, -1).astype(np.float64)
    assert np.array_equal(k_dispersion(rows, 5, first=0).indices, k_dispersion(flat, 5, first=0).indices)
