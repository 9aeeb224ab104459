import math

import numpy as np
import pytest

from whygen.anchors import diagnostics
from whygen.anchors.calibration import conformal, mean_max
from whygen.anchors.groups import group
from whygen.anchors.representing import check_selection
from whygen.anchors.selection import k_dispersion
from whygen.errors import DataError, UsageError


def codes(warnings):
    return [warning.code for warning in warnings]


def test_expected_coverage_is_the_published_figure():
    assert diagnostics.expected_coverage(10_000, 10_000, neighbours=5) == pytest.approx(0.969, abs=5e-4)


def test_equal_distributions_have_normalised_coverage_one():
    rng = np.random.default_rng(0)
    found = [diagnostics.coverage(rng.normal(size=(300, 4)), rng.normal(size=(100, 4))) for _ in range(20)]
    assert np.mean([each.share for each in found]) == pytest.approx(found[0].expected, abs=0.02)
    assert np.mean([each.normalised for each in found]) == pytest.approx(1, abs=0.03)


def test_coverage_of_half_of_the_modes():
    rng = np.random.default_rng(0)
    reference = np.concatenate([rng.normal(size=(200, 2)), rng.normal(100, 1, size=(200, 2))])
    assert diagnostics.coverage(reference, rng.normal(size=(400, 2))).share == pytest.approx(0.5, abs=0.05)
    with pytest.raises(UsageError, match="neighbours=5 with 5"):
        diagnostics.coverage(reference[:5], reference)


def test_covering_curve_of_clusters_flattens_at_their_number():
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 100, size=(8, 64))
    points = (centers[:, None] + rng.normal(size=(8, 50, 64))).reshape(-1, 64)
    curve = diagnostics.covering_curve(points, counts=40)
    assert (np.diff(curve.radii) <= 1e-12).all()
    assert 8 <= curve.enough <= 10  # r(8) is measured from edges of clusters, where farthest-first arrives


def test_covering_curve_of_copies_and_of_one_point():
    copies = np.repeat(np.arange(5.0)[:, None], 10, axis=0)
    assert diagnostics.covering_curve(copies).enough == 5
    assert diagnostics.covering_curve([[1.0, 2.0]]).radii.tolist() == [0.0]


def test_a_line_never_has_enough():
    assert diagnostics.covering_curve(np.linspace(0, 1, 1000)[:, None]).enough is None


def test_missable_mode():
    assert diagnostics.missable_mode(300) == pytest.approx(math.log(20) / 300)
    assert (1 - diagnostics.missable_mode(300)) ** 300 <= 0.05
    assert diagnostics.missable_mode(1) == 1.0
    with pytest.raises(UsageError, match="n=0"):
        diagnostics.missable_mode(0)


def test_group_signatures():
    calibration = conformal(np.random.default_rng(0).normal(size=(100, 2)), names=["kld", "sse"])
    kinds, rng = ("intrinsic", "extrinsic"), np.random.default_rng(0)
    wrong = group(np.array([[0.0, 50.0]] * 9), kinds=kinds, calibration=calibration, rng=rng)
    assert codes(diagnostics.check_groups(wrong)) == ["empty-hihe", "hile-majority"]
    right = group(np.zeros((9, 2)), kinds=kinds, calibration=calibration, rng=rng)
    assert codes(diagnostics.check_groups(right)) == []


def test_calibration_signatures_are_passed_on():
    calibration = mean_max([[1.0], [9.0]], names=["kld"], per_round=10)
    assert codes(calibration.warnings) == ["threshold-spread"]


def test_selection_signatures():
    points = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.001], [0.0, 10.0]])
    found = check_selection(k_dispersion(points, 6), points, group="HIHE", k=6)
    assert codes(found) == ["small-group", "near-duplicates"]
    fine = k_dispersion(points, 3)
    assert codes(check_selection(fine, points, group="HIHE", k=3)) == []
    alone = k_dispersion(points[:1], 1)
    assert codes(check_selection(alone, points[:1], group="HIHE", k=1)) == []


def test_a_collapsed_encoder_is_named():
    means = np.random.default_rng(0).normal(0, 1e-3, size=(50, 8))
    assert codes(diagnostics.check_latents(means)) == ["encoder-collapse"]
    assert codes(diagnostics.check_latents(means, means)) == ["encoder-collapse"]
    assert codes(diagnostics.check_latents(means, np.eye(8))) == [
        "anchors-of-one-place"
    ]  # blank ones, to a sound encoder
    means[:, 0] += np.arange(50)
    assert codes(diagnostics.check_latents(means)) == []
    assert diagnostics.active_dimensions(means) == 1
    means[3, 3] = np.nan
    with pytest.raises(DataError, match=r"means\[3\]"):
        diagnostics.check_latents(means)


def test_constant_criteria_are_named():
    values = np.column_stack([np.arange(5.0), np.full(5, 3.0)])
    found = diagnostics.check_criteria(values, ["kld", "sse"])
    assert codes(found) == ["constant-criterion"]
    assert "'sse'" in found[0].text
