import numpy as np
import pytest

from whygen.anchors import groups
from whygen.anchors.calibration import conformal, mean_max
from whygen.anchors.groups import _counts, _counts_redrawn, assign, codes_redrawn, group
from whygen.anchors.labelled import delusion, label_table
from whygen.errors import DataError, UsageError
from whygen.results.anchors import GROUPS, group_names
from whygen.stats.seeds import generator

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


def test_criteria_of_one_kind_make_two_groups_and_what_is_below():
    high = np.array([[True, True], [True, False], [True, True]])
    below = np.array([[False, False], [True, False], [False, True]])
    for kind in ("intrinsic", "extrinsic"):
        codes = assign(high, kinds=(kind, kind), below=below)
        assert [group_names((kind, kind))[code] for code in codes.tolist()] == ["HIGH", "LOW", "BELOW"]
    assert list(group_names(KINDS).values()) == list(GROUPS)


def test_a_kind_for_each_criterion_is_asked_for():
    with pytest.raises(UsageError, match="one kind for each"):
        assign(np.ones((3, 2), dtype=bool), kinds=("intrinsic",))


def test_anchors_far_from_a_threshold_never_flip_and_those_on_it_do():
    on_it = conformal(np.random.default_rng(0).normal(size=(400, 2)), names=["kld", "sse"]).thresholds[0].value
    grouping = grouped([[-5.0, -5.0], [9.0, 9.0], [on_it, 0.0]])
    assert grouping.flip_rate[:2].tolist() == [0.0, 0.0]
    assert grouping.flip_rate[2] > 0.05
    assert grouping.mean_flip_rate == pytest.approx(grouping.flip_rate.mean())
    assert grouping.members("LILE").tolist() == [1]


@pytest.fixture
def flips_alone(monkeypatch):
    """Shares by fewer draws: flip rates do not rest on them."""
    monkeypatch.setattr(groups, "SHARE_DRAWS", 10)


@pytest.mark.usefixtures("flips_alone")
def test_posterior_draws_that_differ_make_an_anchor_flip():
    # The verdict takes the mean over draws, 2.25 here: another eight draws would mean something else.
    draws = np.zeros((8, 1, 2))
    draws[:2, 0, 1] = 9.0
    grouping = grouped(draws, replicates=2000)
    assert GROUPS[grouping.codes[0]] == "HILE"
    rng = np.random.default_rng(0)
    means = rng.choice([9.0, 0.0], p=[0.25, 0.75], size=(20_000, 8)).mean(axis=1)
    assert grouping.flip_rate[0] == pytest.approx((means < 2).mean(), abs=0.12)


def test_what_is_lower_than_the_reference_is_a_group_of_its_own():
    values = [[-9.0, 0.0], [0.0, -9.0], [-9.0, 9.0], [9.0, -9.0], [9.0, 0.0], [0.0, 0.0]]
    grouping = grouped(values)
    assert [GROUPS[code] for code in grouping.codes] == ["BELOW", "BELOW", "HILE", "BELOW", "LIHE", "HIHE"]
    assert (grouping.p_high[:2].min(axis=1) == 1 / 401).all()
    assert [share.group for share in grouping.shares] == list(GROUPS)


def test_samples_like_the_reference_are_alike_as_often_as_the_tails_say():
    rng, alike = np.random.default_rng(8), []
    for _ in range(200):
        calibration = conformal(rng.normal(size=(159, 2)), names=["kld", "sse"])
        values = rng.normal(size=(100, 2))
        alike.append((assign(calibration.high(values), kinds=KINDS, below=calibration.below(values)) == 0).mean())
    assert calibration.least_alike == pytest.approx(0.9)
    assert 0.9 <= np.mean(alike) < 0.92  # independent criteria: .95 squared


@pytest.mark.parametrize(("n", "law"), [(39, "normal"), (39, "heavy"), (100, "far"), (400, "normal"), (39, "binary")])
def test_intervals_of_shares_cover_with_few_reference_samples(n, law):
    rng, inside, replicates = np.random.default_rng(n), [], 120
    cut = {"normal": 1.959964, "far": 1.959964, "heavy": np.sinh(1.5 * 1.959964), "binary": 1.0}[law]

    def drawn(size, shift=0.0):
        z = rng.normal(shift, 1, size=(size, 2))
        return np.sinh(1.5 * z) if law == "heavy" else (z > 1.7).astype(float) if law == "binary" else z

    shift = {"normal": 0.0, "far": 1.5, "heavy": 0.5, "binary": 0.0}[law]
    big = drawn(400_000, shift)
    floor = -cut if law != "binary" else 0.0
    true = np.bincount(assign(big <= cut, kinds=KINDS, below=big < floor), minlength=5) / len(big)
    for _ in range(replicates):
        calibration = conformal(drawn(n), names=["kld", "sse"])
        found = group(drawn(500, shift), kinds=KINDS, calibration=calibration, rng=rng, replicates=1).shares
        inside.append([share.low <= part <= share.high for share, part in zip(found, true, strict=True)])
    covered = np.mean(inside, axis=0)
    assert (covered >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / replicates)).all()  # three standard errors of a simulation


@pytest.mark.usefixtures("flips_alone")
@pytest.mark.parametrize("n", [39, 400])
def test_the_flip_rate_is_what_another_reference_does(n):
    rng, said, seen = np.random.default_rng(n), [], []
    for _ in range(60):
        one, two = (conformal(rng.gamma(2, size=(n, 2)), names=["kld", "sse"]) for _ in range(2))
        values = rng.gamma(2, 1.2, size=(300, 2))
        grouping = group(values, kinds=KINDS, calibration=one, rng=rng, replicates=40)
        said.append(grouping.mean_flip_rate)
        seen.append((assign(two.high(values), kinds=KINDS, below=two.below(values)) != grouping.codes).mean())
    assert np.mean(said) == pytest.approx(np.mean(seen), rel=0.25)


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
    assert table.counts.tolist() == [[0, 2, 0, 0, 0], [1, 0, 0, 1, 0]]
    assert table.shares.tolist() == [[0, 1, 0, 0, 0], [0.5, 0, 0, 0.5, 0]]
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


@pytest.mark.parametrize("kinds", [("intrinsic", "extrinsic"), ("extrinsic", "extrinsic")])
@pytest.mark.parametrize("steps", [0.0, 0.5])
def test_counts_of_what_thresholds_pass_are_those_of_every_anchor(kinds, steps):
    rng = generator(5, "counts")
    reference, values = rng.normal(size=(120, 2)), rng.normal(size=(500, 2)) * 1.4
    if steps:  # criteria of few values, whose thresholds jump
        reference, values = np.round(reference / steps) * steps, np.round(values / steps) * steps
    for calibration in (
        conformal(reference, names=("a", "b"), alpha=0.05),
        mean_max(reference[:4] + 2, names=("a", "b"), per_round=30),
    ):
        quick = _counts_redrawn(values, calibration, kinds, generator(6, "draws"))
        blocks = codes_redrawn(values, calibration, kinds, generator(6, "draws"))
        np.testing.assert_array_equal(quick, np.concatenate([_counts(codes) for codes in blocks]))
