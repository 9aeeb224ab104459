import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from scipy.stats import false_discovery_control

from whygen.anchors.options import AnchorOptions
from whygen.anchors.representing import _pool
from whygen.anchors.selection import farthest_first, k_center, k_dispersion, k_medoids
from whygen.results.anchors_rows import UNSURE
from whygen.stats import conformal
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.wilson import wilson

SEEDS = st.integers(0, 2**32 - 1)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=40, unique=True))
def test_p_values_of_exchangeable_scores_are_uniform_on_their_grid(scores):
    # Leaving each of n + 1 scores out in turn goes through all equally likely cases: exact, not simulated.
    p = sorted(conformal.p_values(scores[:i] + scores[i + 1 :], [score])[0] for i, score in enumerate(scores))
    assert np.allclose(p, np.arange(1, len(scores) + 1) / len(scores))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40))
def test_p_values_with_ties_are_super_uniform(scores):
    p = np.array([conformal.p_values(scores[:i] + scores[i + 1 :], [score])[0] for i, score in enumerate(scores)])
    for u in np.arange(1, len(scores) + 1) / len(scores):
        assert np.mean(p <= u + 1e-12) <= u + 1e-12


@given(st.integers(1, 200), st.floats(0.001, 0.999), SEEDS)
def test_threshold_and_p_value_agree(n, alpha, seed):
    rng = np.random.default_rng(seed)
    reference, scores = rng.integers(0, 30, size=n), rng.integers(0, 30, size=50)
    if conformal.rank_at(n, alpha) == 0:
        assert n < conformal.smallest_reference(alpha)
        return
    assert n >= conformal.smallest_reference(alpha)
    low = scores > conformal.threshold(reference, alpha)
    assert np.array_equal(low, conformal.p_values(reference, scores) <= alpha + 1e-9)
    assert conformal.realised_level(n, alpha) <= alpha + 1e-9


@given(st.lists(st.floats(0, 1), max_size=50), st.floats(0.01, 0.99))
def test_benjamini_hochberg_is_the_adjusted_values_and_monotone(p, level):
    adjusted = false_discovery_control(p)
    called = benjamini_hochberg(p, level=level)
    clear = np.abs(adjusted - level) > 1e-9
    assert np.array_equal(called[clear], (adjusted <= level)[clear])
    assert (adjusted >= np.asarray(p)).all()
    assert (~called | benjamini_hochberg(p, level=min(0.995, level * 1.5))).all()


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_is_symmetric(successes, extra, level):
    trials = successes + extra
    low, high = wilson(successes, trials, level=level)
    assert 0 <= low <= successes / trials <= high <= 1
    mirrored = wilson(trials - successes, trials, level=level)
    assert np.allclose(mirrored, (1 - high, 1 - low))


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 11), st.integers(2, 4), st.integers(1, 4), SEEDS)
def test_dispersion_against_brute_force(n, k, dim, seed):
    points = np.random.default_rng(seed).normal(size=(n, dim))
    optimum = max(pdist(points[list(each)]).min() for each in itertools.combinations(range(n), k))
    greedy, exact = k_dispersion(points, k), k_dispersion(points, k, solver="exact")
    assert greedy.objective <= optimum + 1e-12 <= greedy.bound + 1e-9
    assert np.isclose(exact.objective, optimum)
    assert np.isclose(pdist(points[exact.indices]).min(), optimum)
    assert exact.exact
    assert exact.gap == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 11), st.integers(1, 4), st.integers(1, 4), SEEDS)
def test_center_against_brute_force(n, k, dim, seed):
    points = np.random.default_rng(seed).normal(size=(n, dim))
    distances = cdist(points, points)
    optimum = min(distances[:, list(each)].min(axis=1).max() for each in itertools.combinations(range(n), k))
    greedy, exact = k_center(points, k), k_center(points, k, solver="exact")
    assert greedy.bound - 1e-12 <= optimum <= greedy.objective + 1e-12
    assert greedy.objective <= 2 * optimum + 1e-12
    assert np.isclose(exact.objective, optimum)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 11), st.integers(1, 4), st.integers(1, 4), st.sampled_from(["cityblock", "euclidean"]), SEEDS)
def test_medoids_against_brute_force(n, k, dim, metric, seed):
    points = np.random.default_rng(seed).normal(size=(n, dim))
    distances = cdist(points, points, metric)
    k = min(k, n)
    optimum = min(distances[:, list(each)].min(axis=1).sum() for each in itertools.combinations(range(n), k))
    found = k_medoids(points, k, rng=np.random.default_rng(seed), metric=metric)
    assert found.bound - 1e-9 <= optimum <= found.objective + 1e-9
    assert np.isclose(found.objective, distances[:, found.indices].min(axis=1).sum())
    assert not found.exact or np.isclose(found.objective, optimum)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 120), st.integers(1, 12), st.integers(1, 6), st.integers(1, 20), SEEDS)
def test_faster_pam_is_never_worse_than_the_voronoi_iteration(n, k, dim, rounds, seed):
    points = np.random.default_rng(seed).integers(-4, 5, size=(n, dim)).astype(float)  # ties and copies among them
    ours, published = (
        k_medoids(points, k, rng=np.random.default_rng(seed), max_rounds=rounds, solver=solver)
        for solver in ("faster-pam", "voronoi")
    )
    assert ours.objective <= published.objective + 1e-9
    assert ours.bound <= ours.objective
    assert len(set(ours.indices.tolist())) == min(k, n)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 10), st.floats(0, 1), SEEDS)
def test_representatives_are_never_mostly_unsure(n, k, share, seed):
    rng = np.random.default_rng(seed)
    flips = np.where(rng.random(n) < share, rng.uniform(UNSURE, 1, n), rng.uniform(0, UNSURE, n))
    pool, told = _pool(AnchorOptions(), flips, k, group="HIHE")
    sure, unsure = int((flips <= UNSURE).sum()), flips[pool] > UNSURE
    assert len(pool) == max(sure, min(n, k, 2 * sure))
    assert unsure.sum() <= len(pool) / 2
    assert bool(told) == (sure < min(n, k))
    if unsure.any():  # everybody in the pool is shown, and whoever is left out is no surer
        assert len(pool) <= k
        assert flips[pool].max() <= np.delete(flips, pool).min(initial=1.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 30), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), SEEDS)
def test_center_with_outliers_keeps_its_bound(n, k, dim, outliers, seed):
    n = min(n, 10)
    outliers = min(outliers, n - 1)
    points = np.random.default_rng(seed).normal(size=(n, dim))
    distances, k = cdist(points, points), min(k, n)
    optimum = min(
        np.sort(distances[:, list(each)].min(axis=1))[-outliers - 1] for each in itertools.combinations(range(n), k)
    )
    chosen = k_center(points, k, outliers=outliers)
    assert chosen.bound <= optimum + 1e-12
    assert optimum <= chosen.objective + 1e-12
    assert chosen.objective <= 3 * optimum + 1e-12


@settings(deadline=None)
@given(st.integers(2, 80), st.integers(1, 6), SEEDS)
def test_a_permutation_of_the_anchors_permutes_the_picks(n, dim, seed):
    rng = np.random.default_rng(seed)
    points, order = rng.normal(size=(n, dim)), rng.permutation(n)
    straight = farthest_first(points, min(5, n), first=0)
    shuffled = farthest_first(points[order], min(5, n), first=int(np.flatnonzero(order == 0)[0]))
    assert np.array_equal(order[shuffled.picks], straight.picks)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 5), st.sampled_from([0, 100, 10_000]), SEEDS)
def test_single_precision_picks_as_double_precision_does(n, dim, offset, seed):
    # Integers on a coarse grid: many exact ties, which must all go to the lowest index.
    points = (np.random.default_rng(seed).integers(0, 4, size=(n, dim)) / 8 + offset).astype(np.float32)
    k = min(6, n)
    single, double = farthest_first(points, k, first=0), farthest_first(points.astype(np.float64), k, first=0)
    assert np.array_equal(single.picks, double.picks)
    assert np.array_equal(single.radii, double.radii)
