import numpy as np
import pytest

from whygen.anchors.calibration import conformal, mean_max
from whygen.anchors.groups import GROUPS, assign, delusion, group, label_table
from whygen.errors import DataError, UsageError

KINDS = ("intrinsic", "extrinsic")


def grouped(values, **options):
    calibration = conformal(np.random.default_rng(0).normal(size=(400, 2)), names=["kld", "sse"])
    return group(values, kinds=KINDS, calibration=calibration, rng=np.random.default_rng(1), **options)


def test_each_corner_has_its_name():
    high = np.array([[True, True], [True, False], [False, True], [False, False]])
    assert [GROUPS[code] for code in assign(high, kinds=KINDS)] == ["HIHE", "HILE", "LIHE", "LILE"]


def test_all_criteria_of_a_kind_must_hold():
    high = np.array([[True, True, False], [True, True, True]])
    assert [GROUPS[code] for code in assign(high, kinds=("intrinsic", "extrinsic", "extrinsic"))] == ["HILE", "HIHE"]


def test_a_missing_kind_is_refused():
    with pytest.raises(UsageError, match="No criterion is extrinsic"):
        assign(np.ones((3, 2), dtype=bool), kinds=("intrinsic", "intrinsic"))
    with pytest.raises(UsageError, match="one kind for each"):
        assign(np.ones((3, 2), dtype=bool), kinds=("intrinsic",))


def test_anchors_far_from_a_threshold_never_flip_and_those_on_it_do():
    on_it = conformal(np.random.default_rng(0).normal(size=(400, 2)), names=["kld", "sse"]).thresholds[0].value
    grouping = grouped([[-5.0, -5.0], [9.0, 9.0], [on_it, -5.0]])
    assert grouping.flip_rate[:2].tolist() == [0.0, 0.0]
    assert grouping.flip_rate[2] > 0.05
    assert grouping.mean_flip_rate == pytest.approx(grouping.flip_rate.mean())
    assert grouping.members("LILE").tolist() == [1]


def test_posterior_draws_that_differ_make_an_anchor_flip():
    draws = np.zeros((8, 1, 2))
    draws[:2, 0, 1] = 9.0  # the mean, 2.25, lies above the threshold of about 2
    grouping = grouped(draws)
    assert GROUPS[grouping.codes[0]] == "HILE"
    assert grouping.flip_rate[0] == pytest.approx(0.75)


def test_shares_add_up_and_hold_the_count():
    values = np.random.default_rng(2).normal(1, 1.5, size=(300, 2))
    grouping = grouped(values)
    assert sum(share.count for share in grouping.shares) == 300
    for share in grouping.shares:
        assert share.low <= share.share <= share.high
        assert share.bootstrap_low <= share.bootstrap_high
    assert grouping.p_values.shape == (300, 2)


def test_the_same_seed_gives_the_same_answer_and_anchors_do_not_see_each_other():
    values = np.random.default_rng(2).normal(1, 1.5, size=(60, 2))
    order = np.random.default_rng(3).permutation(60)
    straight, shuffled = grouped(values), grouped(values[order])
    assert np.array_equal(straight.codes[order], shuffled.codes)
    assert np.array_equal(straight.flip_rate[order], shuffled.flip_rate)
    assert straight.shares == shuffled.shares


def test_one_round_of_mean_max_still_groups():
    calibration = mean_max([[1.0, 1.0]], names=["kld", "sse"], per_round=10)
    grouping = group([[0.5, 2.0]], kinds=KINDS, calibration=calibration, rng=np.random.default_rng(0))
    assert GROUPS[grouping.codes[0]] == "HILE"
    assert grouping.p_values is None
    assert grouping.flip_rate.tolist() == [0.0]


def test_label_table_counts():
    table = label_table(np.array([0, 1, 1, 3], dtype=np.int8), ["b", "a", "a", "b"])
    assert table.labels == ("a", "b")
    assert table.counts.tolist() == [[0, 2, 0, 0], [1, 0, 0, 1]]
    assert table.shares.tolist() == [[0, 1, 0, 0], [0.5, 0, 0, 0.5]]
    with pytest.raises(DataError, match="4 anchors"):
        label_table(np.zeros(4, dtype=np.int8), ["a"])


def test_delusion_leaves_the_trained_class_out_where_labels_are_known():
    codes = np.array([1, 1, 1, 1, 0], dtype=np.int8)
    readings, labels = [0, 0, 7, 0, 0], [4, 9, 7, 0, 0]
    found = delusion(codes, readings, trained=[0], labels=labels)
    assert (found.of_hile.read, found.of_hile.count) == (2, 3)
    assert found.of_hile.low < 2 / 3 < found.of_hile.high
    assert [(row.group, row.read, row.count) for row in found.rows if row.label == 0] == [
        ("HIHE", 1, 1),
        ("HILE", 1, 1),
    ]
    assert delusion(codes, readings, trained=[0]).of_hile.count == 4


def test_without_hile_anchors_there_is_nothing_to_test():
    assert delusion(np.zeros(3, dtype=np.int8), [0, 0, 0], trained=[0]).of_hile is None


def test_replicates_must_be_positive():
    with pytest.raises(UsageError, match="replicates=0"):
        grouped([[0.0, 0.0]], replicates=0)
