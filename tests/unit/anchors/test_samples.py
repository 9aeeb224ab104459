"""Samples made to fit a model: shapes, layouts, ranges, and what is said of those that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.anchors.loading import settle
from whygen.anchors.samples import prepare, saturated
from whygen.errors import DataError, UsageError
from whygen.models.latent import UNBOUNDED, LatentModel
from whygen.stats.seeds import generator


def model(**fields: object) -> LatentModel:
    return LatentModel(encode=lambda x: (x, x), decode=lambda z: z, **fields)


def images(*shape: int) -> np.ndarray:
    return generator(0, "images").integers(0, 256, size=shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "layout", "wanted", "of_model"),
    [
        ((5, 28, 28), None, (784,), None),
        ((5, 784), None, (1, 28, 28), None),
        ((5, 28, 28), None, (1, 28, 28), None),
        ((5, 28, 28, 1), None, (28, 28), None),
        ((5, 1, 28, 28), None, (784,), None),
        ((5, 32, 24, 3), None, (3, 32, 24), None),
        ((5, 3, 32, 24), None, (32, 24, 3), "NHWC"),
        ((5, 32, 24, 3), "NHWC", (3, None, None), "NCHW"),
        ((5, 4, 8, 6), "NCHW", (4, 8, 6), "NCHW"),
        ((5, 12, 8, 6), "NHWC", (6, 12, 8), "NCHW"),
        ((5, 2, 3, 4, 5), None, (2, 3, 4, 5), None),
    ],
)
def test_images_of_any_layout_and_channel_count_reach_the_model_as_it_takes_them(
    given: tuple[int, ...], layout: str | None, wanted: tuple[int, ...], of_model: str | None
) -> None:
    data = images(*given)
    prepared = prepare(data, model(shape=wanted, layout=of_model), layout=layout)
    rows = prepared.rows(slice(0, 2))
    assert all(want in (None, have) for want, have in zip(wanted, rows.shape[1:], strict=True))
    assert rows.dtype == np.float32
    if prepared.image is not None and prepared.image[2] > 1:
        expected = data if (layout or "NHWC") == "NHWC" and given[1] not in (3, 4) else data.transpose(0, 2, 3, 1)
        assert prepared.pictures(rows) == pytest.approx(expected[:2] / 255, abs=1e-6)
    else:
        assert rows.ravel() == pytest.approx(data[:2].ravel() / 255, abs=1e-6)


def test_uint8_is_scaled_to_the_range_of_the_model() -> None:
    data = np.array([[0, 255, 51]], np.uint8)
    assert prepare(data, model(shape=(3,))).rows(slice(None))[0] == pytest.approx([0, 1, 0.2])
    assert prepare(data, model(shape=(3,), value_range=(-1, 1))).rows(slice(None))[0] == pytest.approx([-1, 1, -0.6])


def test_bool_is_lowest_and_highest() -> None:
    rows = prepare(np.array([[True, False]]), model(shape=(2,), value_range=(-1, 1))).rows(slice(None))
    assert rows[0] == pytest.approx([1, -1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint16])
def test_an_array_of_0_to_255_given_to_a_model_of_0_to_1_says_so(dtype: type) -> None:
    with pytest.raises(DataError, match=r"look like 0\.\.255: divide them by 255"):
        prepare(images(3, 8, 8).astype(dtype), model(shape=(64,)))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0096), (-0.02, 1.0), (-0.1, 1.2)])
def test_values_that_overshoot_the_range_are_not_taken_for_0_to_255(low: float, high: float) -> None:
    samples = np.linspace(low, high, 60, dtype=np.float32).reshape(10, 6)
    with pytest.raises(DataError, match=r"clip them \(numpy.clip\(x, 0, 1\)\)") as said:
        prepare(samples, model(value_range=(0.0, 1.0)))
    assert "255" not in str(said.value)


def test_values_out_of_a_stated_range_are_an_error_and_unbounded_data_are_not() -> None:
    data = generator(0, "normal").standard_normal((6, 4))
    with pytest.raises(DataError, match="value_range"):
        prepare(data, model(shape=(4,)))
    assert prepare(data, model(shape=(4,), value_range=UNBOUNDED)).rows(slice(None)) == pytest.approx(data, abs=1e-6)


def test_uint8_masks_of_0_and_1_are_asked_about() -> None:
    with pytest.raises(DataError, match="0 and 1 only"):
        prepare(np.eye(4, dtype=np.uint8), model(shape=(4,)))


@pytest.mark.parametrize(
    ("data", "value_range", "words"),
    [
        (np.linspace(0, 1, 12).reshape(3, 4), (-1, 1), "map 0..1"),
        (np.linspace(0, 1 / 255, 12).reshape(3, 4), (0, 1), "twice"),
    ],
)
def test_ranges_that_look_wrong_are_warned_of(data: np.ndarray, value_range: tuple[float, float], words: str) -> None:
    (warning,) = prepare(data, model(shape=(4,), value_range=value_range)).warnings
    assert warning.code == "range-suspect"
    assert words in warning.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 4)), "no anchors"),
        (np.zeros(4), "4 single numbers"),
        (np.array([["a", "b"]]), "give numbers"),
        (np.array([[0.1, 0.2], [0.3, np.nan]]), "anchor 1 holds NaN"),
        (np.array([[0.1, np.inf], [0.3, 0.2]]), "anchor 0 holds NaN"),
        (np.zeros((2, 5)), r"shape \(5,\) each \(flat\).*takes \(2\)"),
        (np.zeros((2, 32, 32, 3)), "state its shape"),
    ],
)
def test_data_that_cannot_be_used(data: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(data, model(shape=(2,)))


def test_colours_are_not_flattened_by_guessing() -> None:
    with pytest.raises(DataError, match="takes"):
        prepare(images(2, 4, 4, 3), model(shape=(48,)))


def test_a_layout_that_cannot_be_is_an_error() -> None:
    with pytest.raises(DataError, match="cannot be NCHW"):
        prepare(images(2, 4, 4), model(), layout="NCHW")
    with pytest.raises(UsageError, match="one of"):
        prepare(images(2, 4, 4), model(), layout="CHW")


def test_saturation_turns_every_grey_value_white() -> None:
    data = np.array([[[0, 1], [128, 255]]], np.uint8)
    rows = saturated(prepare(data, model(shape=(4,)))).rows(slice(None))
    np.testing.assert_array_equal(rows, [[0, 1, 1, 1]])


def test_a_model_without_a_shape_is_asked_by_trying() -> None:
    weights = np.ones((64, 2), np.float32)
    flat = LatentModel(encode=lambda x: (x @ weights, x @ weights), decode=lambda z: z @ weights.T)
    assert settle(flat, images(3, 8, 8)).shape == (64,)
    assert settle(flat, images(3, 8, 8)).latent_dim == 2
    with pytest.raises(DataError, match="takes no anchors"):
        settle(flat, images(3, 9, 9))
