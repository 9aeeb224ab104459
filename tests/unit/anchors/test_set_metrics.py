"""Metrics of sets against other roads to the same number."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits  # pyright: ignore[reportUnknownVariableType]

from whygen import explain_anchors
from whygen.anchors.data import SampleSet
from whygen.anchors.diagnostics import expected_coverage
from whygen.anchors.set_metrics import (
    NEAREST,
    SET_METRICS,
    coverage,
    density,
    fid,
    kid,
    labels_made,
    precision,
    recall,
    survey_sets,
    wanted_metrics,
)
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_scores import ModeRecord
from whygen.results.anchors_words import headline
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


@pytest.mark.parametrize(("n", "m", "dim"), [(60, 45, 5), (12, 45, 30), (60, 9, 30), (12, 9, 30)])
def test_fid_by_singular_values_is_that_by_eigenvalues_of_the_product(n: int, m: int, dim: int) -> None:
    one, other = clouds(n, m, dim)
    first, second = (np.cov(cloud, rowvar=False) for cloud in (one, other))
    roots = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    shift = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    assert fid(one, other) == pytest.approx(float(shift + np.trace(first + second) - 2 * roots), rel=1e-6)


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


def test_neighbour_metrics_are_counts_over_all_pairs() -> None:
    one, other = clouds(14, 11, 3)

    def reach(points: np.ndarray) -> np.ndarray:
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        return np.sort(apart, axis=1)[:, NEAREST]  # the nearest of all is the point itself

    between = np.linalg.norm(one[:, None] - other[None], axis=2)
    inside, turned = between <= reach(one)[:, None], between <= reach(other)[None, :]
    assert precision(one, other) == inside.any(axis=0).mean()
    assert recall(one, other) == turned.any(axis=1).mean()
    assert density(one, other) == pytest.approx(inside.sum() / NEAREST / len(other))
    assert coverage(one, other) == inside.any(axis=1).mean()
    far = one + 1e6
    assert (precision(one, far), recall(one, far), density(one, far), coverage(one, far)) == (0, 0, 0, 0)
    assert precision(far, far) == coverage(far, far) == 1


def test_coverage_of_equal_sets_is_what_the_closed_form_says() -> None:
    rng = generator(2, "equal")
    found = [coverage(rng.normal(size=(40, 3)), rng.normal(size=(40, 3))) for _ in range(100)]
    assert np.mean(found) == pytest.approx(expected_coverage(40, 40, neighbours=NEAREST), abs=4 * np.std(found) / 10)


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_intervals_hold_the_mean_at_that_size_and_halves_hold_the_null(shift: float) -> None:
    names, n, rng = tuple(SET_METRICS), 80, generator(int(10 * shift), "intervals")

    def drawn(size: int, shift: float) -> np.ndarray:
        return rng.normal(size=(size, 2)) + shift

    pairs = [(drawn(n // 2, 0), drawn(n // 2, shift)) for _ in range(100)]
    truth = np.mean([[SET_METRICS[name](*pair) for name in names] for pair in pairs], axis=0)
    held, away = np.zeros(len(names)), np.zeros(len(names))
    for _ in range(24):
        record = survey_sets(drawn(n, 0), drawn(n, shift), rng, names=names, space="values")
        held += [row.low <= true <= row.high for row, true in zip(record.rows, truth, strict=True)]
        away += [not row.floor_low <= row.value <= row.floor_high for row in record.rows]
    assert (held >= 21).all(), dict(zip(names, held, strict=True))
    by_name = dict(zip(names, away, strict=True))
    assert by_name["kid"] <= 3 if shift == 0 else by_name["kid"] >= 21


def test_metrics_that_are_not_or_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="set metric"):
        wanted_metrics("fid,ssim")
    assert wanted_metrics("none") == ()
    assert wanted_metrics("kid, fid") == ("kid", "fid")
    with pytest.raises(UsageError, match="need 20 of each"):
        survey_sets(np.zeros((12, 2)), np.zeros((50, 2)), generator(0, "few"), names=("fid",), space="values")


def test_an_interval_stays_where_its_metric_can_be() -> None:
    real = generator(1, "near one").normal(size=(60, 2))
    record = survey_sets(real, real + 1e-3, generator(1, "sets"), names=tuple(SET_METRICS), space="plane")
    rows = {row.name: row for row in record.rows}
    assert all(row.low >= 0 for name, row in rows.items() if name != "kid")
    assert all(rows[name].high <= 1 for name in ("precision", "recall", "coverage"))
    assert rows["precision"].high == 1.0  # 1.96 deviations above the value would be more than all


def test_a_share_of_few_samples_that_is_one_in_every_half_has_a_width_and_holds_the_mean() -> None:
    """Twenty of each: a fourth of the intervals of recall had no width, and .73 held."""
    names, held = ("precision", "recall", "coverage"), []

    def made(rng: np.random.Generator, n: int = 10) -> np.ndarray:
        return 1.2 * rng.normal(size=(n, 3)) + 0.4

    rng = generator(1, "few")
    truth = np.mean([[SET_METRICS[k](rng.normal(size=(10, 3)), made(rng)) for k in names] for _ in range(300)], axis=0)
    for seed in range(40):
        rng = generator(seed, "few")
        rows = survey_sets(rng.normal(size=(20, 3)), made(rng, 20), rng, names=names, space="x").rows
        assert all(row.high > row.low for row in rows)
        held.append([row.low <= value <= row.high for row, value in zip(rows, truth.tolist(), strict=True)])
    assert (np.mean(held, axis=0) > 0.9).all()


SCANS: Any = load_digits()
IMAGES, LABELS = (SCANS.images / 16).astype(np.float32), SCANS.target


class Resampler:
    """Scans of a set, with a little noise."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        drawn = self.images[rng.integers(len(self.images), size=n)]
        return np.clip(drawn + rng.normal(0, 0.05, drawn.shape), 0, 1).astype(np.float32)


def halves_of_scans(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which scans a model may resample, and which are the reference."""
    rows = generator(seed, "scans").permutation(len(IMAGES))
    return rows[:900], rows[900:]


def labels_of_samples(seed: int, *, without: int | None = None, of_reference: int = 897) -> tuple[ModeRecord, ...]:
    own, held = halves_of_scans(seed)
    held = held[:of_reference]
    own = own if without is None else own[LABELS[own] != without]
    made = Resampler(IMAGES[own]).sample(2000, generator(seed, "made"))
    points = [each.reshape(len(each), -1) for each in (IMAGES[held], made)]
    return labels_made(points[0], LABELS[held].tolist(), points[1], None, rng=generator(seed, "modes"))


@pytest.mark.parametrize("dropped", range(10))
def test_a_label_that_is_not_made_is_named_and_no_other(dropped: int) -> None:
    found = labels_of_samples(dropped, without=dropped)
    assert [each.label for each in found if each.is_dropped] == [dropped]


def test_of_all_labels_none_is_called_dropped_and_few_samples_say_nothing() -> None:
    for seed in range(10):
        assert not any(each.is_dropped for each in labels_of_samples(seed))
        assert not any(each.is_dropped for each in labels_of_samples(seed, without=3, of_reference=40))


def test_labels_that_cannot_be_read_are_not_called_dropped() -> None:
    own, held = halves_of_scans(0)
    names = generator(0, "names").permutation(LABELS[held]).tolist()
    points = [IMAGES[each].reshape(len(each), -1) for each in (held, own[LABELS[own] != 3])]
    assert not any(each.is_dropped for each in labels_made(points[0], names, points[1], None, rng=generator(0)))


@pytest.mark.parametrize("kinds", [(0,), (1,), (3, 8), (0, 4, 6), (2, 3, 5, 7)])
def test_what_the_reference_has_none_of_is_not_called_dropped(kinds: tuple[int, ...]) -> None:
    """The labels are those of the anchors, which are of all kinds, and model and reference know some kinds alone."""
    for seed in range(5):
        own, held = halves_of_scans(seed)
        anchors, known = held[:120], held[120:]
        known, learned = (rows[np.isin(LABELS[rows], kinds)] for rows in (known, own))
        made = Resampler(IMAGES[learned]).sample(2000, generator(seed, "made"))
        a, b, c = (each.reshape(len(each), -1) for each in (IMAGES[anchors], made, IMAGES[known]))
        found = labels_made(a, LABELS[anchors].tolist(), b, c, rng=generator(seed, "modes"))
        assert not any(each.is_dropped for each in found), kinds


@pytest.mark.parametrize("copies", [slice(0, 80), slice(100, 101), slice(-5, None)])
def test_labels_of_a_reference_with_copies_are_those_of_its_samples(copies: slice) -> None:
    own, held = halves_of_scans(3)
    rows = np.concatenate([held[:400][copies], held[:400], held[:400][copies]])
    given = {"criteria": "nearest-sample", "bank": 300, "cache": None, "controls": "none"}
    found = [
        explain_anchors(
            Resampler(IMAGES[own]), IMAGES[held[400:440]], reference=SampleSet(
                samples=IMAGES[each], layout="NHW", labels=tuple(LABELS[each].tolist())
            ), **given,
        ).modes
        for each in (rows, rows[np.sort(np.unique(rows, return_index=True)[1])])
    ]  # fmt: skip
    assert found[0] is not None
    assert found[0] == found[1]
    counts = {each.label: each.real for each in found[0].rows}
    assert counts == {label: int((LABELS[held[:400]] == label).sum()) for label in counts}


def test_a_model_that_makes_none_of_a_label_is_told_so() -> None:
    own, held = halves_of_scans(1)
    lacking, whole = (Resampler(IMAGES[rows]) for rows in (own[LABELS[own] != 6], own))
    anchors = SampleSet(samples=IMAGES[held[:60]], layout="NHW", labels=tuple(LABELS[held[:60]].tolist()))
    known = SampleSet(samples=IMAGES[held], layout="NHW", labels=tuple(LABELS[held].tolist()))
    bare = IMAGES[held]

    def asked(model: object, anchors: SampleSet, reference: object) -> AnchorExplanation:
        found = explain_anchors(
            model, anchors, reference=reference, criteria="nearest-sample", bank=1500, cache=None, controls="none"
        )
        assert isinstance(found, AnchorExplanation)
        return found

    for reference in (known, bare):  # by the labels of the reference, else by those of the anchors
        found = asked(
            lacking, replace(anchors, samples=IMAGES[held[:600]], labels=tuple(LABELS[held[:600]].tolist())), reference
        )
        assert "It has dropped 6: hardly any of 1,500 generated samples is one" in headline(found).replace(
            "none", "hardly any"
        )
        (told,) = [each.text for each in found.warnings if each.code == "modes-dropped"]
        assert "6: " in told
        assert f"samples of the {'reference' if reference is known else 'anchors'}" in told
    assert asked(lacking, replace(anchors, labels=None), bare).modes is None
    full = asked(whole, anchors, known)
    assert full.modes is not None
    assert not full.modes.dropped
    assert "dropped" not in headline(full)
