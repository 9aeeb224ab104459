import numpy as np
import pytest

from whygen.anchors.calibration import conformal, deviations, mean_max, percentile, round_maxima
from whygen.anchors.groups import assign, group
from whygen.errors import DataError, UsageError
from whygen.stats import conformal as split

NAMES = ("kld", "sse")


def codes(calibration):
    return {warning.code for warning in calibration.warnings}


def deviations_of(rows):
    return deviations(rows, names=NAMES)


def reference(n=400, seed=0):
    return np.random.default_rng(seed).normal(10, 1, size=(n, 2))


def test_conformal_threshold_is_the_order_statistic_of_the_level():
    values = np.column_stack([np.arange(1.0, 40.0), np.arange(1.0, 40.0)[::-1]])  # 39 samples: l = 1
    calibration = conformal(values, names=NAMES)
    assert [threshold.value for threshold in calibration.thresholds] == [39.0, 39.0]
    assert calibration.realised_level == pytest.approx(1 / 40)
    assert calibration.high([[39.0, 39.5]]).tolist() == [[True, False]]


def test_conformal_refuses_a_reference_too_small_for_the_level():
    with pytest.raises(UsageError, match="at least 39"):
        conformal(reference(38), names=NAMES)
    with pytest.raises(UsageError, match="at least 79"):
        conformal(reference(78), names=NAMES, level="joint")
    assert conformal(reference(79), names=NAMES, level="joint").alpha == 0.0125


def test_high_affinity_and_p_values_say_the_same():
    ties = np.round(reference(199), 1)
    calibration = conformal(ties, names=NAMES, alpha=0.05)
    values = np.round(reference(500, seed=1), 1)
    assert np.array_equal(calibration.high(values), calibration.p_values(values) > 0.05 + 1e-12)


def test_the_realised_level_stays_under_alpha_and_its_spread_holds_it():
    calibration = conformal(reference(199), names=NAMES, alpha=0.03)
    assert calibration.realised_level == pytest.approx(6 / 200)
    assert calibration.realised_low < calibration.realised_level < calibration.realised_high
    assert "199 held-out" in calibration.provenance


def test_the_levels_of_references_spread_as_the_beta_law_says():
    rng, levels = np.random.default_rng(3), []
    for _ in range(1000):
        threshold = conformal(rng.uniform(size=(199, 1)), names=["u"]).thresholds[0].value
        levels.append(1 - threshold)
    calibration = conformal(rng.uniform(size=(199, 1)), names=["u"])
    inside = np.mean((np.array(levels) > calibration.realised_low) & (np.array(levels) < calibration.realised_high))
    assert inside == pytest.approx(0.9, abs=0.03)
    assert np.mean(levels) == pytest.approx(calibration.realised_level, rel=0.03)


def test_training_data_are_warned_of_and_generated_data_refused():
    assert "training-reference" in codes(conformal(reference(), names=NAMES, role="training"))
    with pytest.raises(UsageError, match="mean_max"):
        conformal(reference(), names=NAMES, role="generated")


def test_benjamini_hochberg_calls_fewer_among_pure_reference_and_all_of_the_foreign():
    rng = np.random.default_rng(0)
    held = rng.normal(size=(4000, 1))
    calibration = conformal(held, names=["s"], alpha=0.05, multiplicity="benjamini-hochberg")
    anchors = np.concatenate([rng.normal(size=(900, 1)), rng.normal(20, 1, size=(100, 1))])
    low = ~calibration.high(anchors)[:, 0]
    assert low[900:].all()
    assert low[:900].sum() <= 15  # expected: a part .05 of all called ones


def test_mean_max_is_the_mean_of_maxima_and_strict():
    calibration = mean_max([[3.0, 1.0], [5.0, 1.0]], names=NAMES, per_round=60_000)
    assert [threshold.value for threshold in calibration.thresholds] == [4.0, 1.0]
    assert calibration.high([[4.0, 0.5]]).tolist() == [[False, True]]
    assert (calibration.rounds, calibration.per_round) == (2, 60_000)
    assert calibration.implied_quantile == pytest.approx(1 - 0.5615 / 60_000, abs=1e-9)
    assert calibration.p_values([[4.0, 0.5]]) is None


def test_mean_max_takes_rounds_one_by_one_and_batch_size_does_not_matter():
    samples = np.random.default_rng(0).exponential(size=(3, 1000, 2))

    def rounds(size):
        for sample in samples:
            yield round_maxima((sample[i : i + size] for i in range(0, 1000, size)), names=NAMES)

    by_ten, whole = (mean_max(rounds(size), names=NAMES, per_round=1000) for size in (10, 1000))
    assert by_ten.thresholds == whole.thresholds


def test_mean_max_warns_of_a_wide_spread_and_one_round_has_none():
    assert "threshold-spread" in codes(mean_max([[1.0], [9.0]], names=["kld"], per_round=10))
    assert mean_max([[1.0]], names=["kld"], per_round=10).thresholds[0].spread is None
    with pytest.raises(DataError, match="0 rounds"):
        mean_max([], names=["kld"], per_round=10)


def test_percentile_100_is_the_largest_and_generated_ones_are_warned_of():
    values = reference()
    calibration = percentile(values, names=NAMES, q=100.0)
    assert [threshold.value for threshold in calibration.thresholds] == values.max(axis=0).tolist()
    assert "generated-percentile" in codes(calibration)
    assert codes(percentile(values, names=NAMES, role="held-out")) == set()
    with pytest.raises(UsageError, match="not a percentile"):
        percentile(values, names=NAMES, q=0)


@pytest.mark.parametrize("kind", [conformal, percentile, deviations])
def test_the_stated_spread_is_that_of_the_bootstrap(kind):
    calibration = kind(np.random.default_rng(0).gamma(2, size=(800, 2)), names=NAMES)
    drawn = calibration.bootstrap(np.random.default_rng(1), 2000)
    stated = [threshold.spread * threshold.value for threshold in calibration.thresholds]
    assert drawn.std(axis=0) == pytest.approx(stated, rel=0.08)


def test_draws_are_averaged_for_the_threshold_and_kept_for_redraws():
    draws = np.stack([reference(100, seed) for seed in range(3)])
    calibration = conformal(draws, names=NAMES)
    assert calibration.thresholds == conformal(draws.mean(axis=0), names=NAMES).thresholds
    assert calibration.basis.tolist() == draws.tolist()


def test_the_other_tail_begins_below_the_order_statistic_of_the_level():
    values = np.column_stack([np.arange(1.0, 80.0), -np.arange(1.0, 80.0)])  # 79 samples: l = 2
    calibration = conformal(values, names=NAMES)
    assert calibration.floors == (2.0, -78.0)
    some = [[1.5, -78.0], [2.0, -78.5]]
    assert calibration.below(some).tolist() == [[True, False], [False, True]]
    assert calibration.p_high(some)[0].tolist() == pytest.approx([2 / 80, 3 / 80])
    assert calibration.least_alike == pytest.approx(1 - 4 * 0.025)
    assert percentile(values, names=NAMES).below(some) is None
    assert mean_max([[1.0, 1.0]], names=NAMES, per_round=9).least_alike is None


def test_below_and_the_p_value_of_the_other_tail_say_the_same():
    ties = np.round(reference(199), 1)
    calibration = conformal(ties, names=NAMES, alpha=0.05)
    values = np.round(reference(500, seed=1), 1)
    assert np.array_equal(calibration.below(values), calibration.p_high(values) <= 0.05 + 1e-12)


@pytest.mark.parametrize("kind", [conformal, percentile])
def test_drawn_thresholds_leave_as_much_of_the_population_above_as_they_should(kind):
    rng, options = np.random.default_rng(4), {"alpha": 0.05} if kind is conformal else {"q": 95}
    above, below = [], []
    for _ in range(300):
        calibration = kind(rng.uniform(size=(60, 2)), names=NAMES, **options)
        limits, floors = calibration.limits_drawn(calibration.basis[0], rng, replicates=200, another=False)
        above.append((limits[:, 0] <= 0.95).mean())  # the true threshold's place among its draws
        if floors is not None:
            below.append((floors[:, 1] <= 0.05).mean())
    for places in filter(None, (above, below)):
        assert np.mean(np.abs(np.array(places) - 0.5) < 0.45) == pytest.approx(0.9, abs=0.05)


def test_another_calibration_lies_as_far_again_from_this_one():
    rng = np.random.default_rng(5)
    this, other, said = [], [], []
    for _ in range(300):
        one, two = (conformal(rng.normal(size=(199, 1)), names=["s"]) for _ in range(2))
        limits, _ = one.limits_drawn(one.basis[0], rng, replicates=50, another=True)
        this.append(one.thresholds[0].value)
        other.append(two.thresholds[0].value)
        said += (limits[:, 0] - this[-1]).tolist()
    middle = [25, 75]
    seen, own = np.percentile(np.array(other) - np.array(this), middle), np.percentile(this, middle)
    assert np.ptp(np.percentile(said, middle)) == pytest.approx(np.ptp(seen), rel=0.15)
    assert np.ptp(seen) == pytest.approx(np.sqrt(2) * np.ptp(own), rel=0.15)


@pytest.mark.parametrize("kind", [lambda rows: mean_max(rows, names=NAMES, per_round=100), deviations_of])
def test_other_rules_are_redrawn_by_a_bootstrap_of_a_bootstrap(kind):
    rng = np.random.default_rng(6)
    rows = rng.normal(10, 1, size=(80, 2))
    calibration = kind(rows)
    once, floors = calibration.limits_drawn(rows, rng, replicates=1500, another=False)
    twice, _ = calibration.limits_drawn(rows, rng, replicates=1500, another=True)
    assert floors is None
    assert twice.std(axis=0) == pytest.approx(np.sqrt(2) * once.std(axis=0), rel=0.12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named(wrong):
    values = reference(50)
    values[17, 1] = wrong
    with pytest.raises(DataError, match="'sse' of reference sample 17"):
        conformal(values, names=NAMES)
    calibration = conformal(reference(50), names=NAMES)
    with pytest.raises(DataError, match="'sse' of anchor 17"):
        calibration.high(values)
    with pytest.raises(DataError, match="'sse' of generated sample 17"):
        round_maxima([values], names=NAMES)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="kld, sse"):
        conformal(np.zeros((50, 3)), names=NAMES)
    with pytest.raises(DataError, match="no reference samples"):
        conformal(np.zeros((0, 2)), names=NAMES)


@pytest.mark.parametrize(("alike", "low", "high"), [(True, 0.75, 1.0), (False, 0.0, 0.25)])
def test_what_lies_beyond_the_reference_is_one_for_criteria_that_go_together(alike, low, high):
    rng = np.random.default_rng(0)
    one = rng.normal(size=100)
    tails = split.beyond(np.column_stack([one, one if alike else -one]), 2000, rng)
    for name in ("mass", "scale", "index", "unseen", "rest"):
        assert low <= (getattr(tails[0], name) == getattr(tails[1], name)).mean() <= high


def test_intervals_hold_where_one_sample_is_high_by_all_criteria():
    # Three criteria, two of which mostly are the third: drawn apart beyond the reference, .90 were covered.
    rng, inside = np.random.default_rng(1), []

    def drawn(n, stretch=1.0):
        return stretch * np.maximum(rng.exponential(size=(n, 1)), rng.exponential(size=(n, 3)))

    kinds = ("intrinsic", "extrinsic", "extrinsic")
    reference, anchors = np.sort(drawn(400_000), axis=0), drawn(400_000, 1.6)
    high, below = anchors <= reference[-10_001], anchors < reference[10_000]
    true = (assign(high, kinds=kinds, below=below) == 0).mean()
    for _ in range(200):
        calibration = conformal(drawn(100), names=["a", "b", "c"])
        found = group(drawn(1000, 1.6), kinds=kinds, calibration=calibration, rng=rng, replicates=1).shares[0]
        inside.append(found.low <= true <= found.high)
    assert np.mean(inside) >= 0.92
