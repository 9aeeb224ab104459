"""Pictures that an explanation keeps: the same as the model took them for, and never above the bound."""

# pyright: basic
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.anchors.samples import Prepared
from whygen.results.anchors_pictures import LEAST_SIDE, pixels_of, shrinking, shrunk
from whygen.results.anchors_scores import SamplesRecord, ScoresRecord
from whygen.stats.seeds import generator


def facts(**given: Any) -> ScoresRecord:
    """What is known of scores, as far as pictures need it."""
    samples = SamplesRecord(n=5, digest="", order=given.pop("order"), scale=0.5, offset=-0.25, source="")
    base: dict[str, Any] = {
        "model": "m", "versions": {}, "seed": 0, "role": "held-out", "plan": {}, "criteria": (), "reason": "",
        "warned": {}, "anchors": samples, "reference": None,
    }  # fmt: skip
    return ScoresRecord(**{**base, **given})


@pytest.mark.parametrize(
    ("layout", "raw", "order", "shape"),
    [("NHW", (5, 4, 6), (0, 1, 2), (4, 6)), ("NHWC", (5, 4, 6, 3), (0, 1, 2, 3), (4, 6, 3)),
     ("NCHW", (5, 4, 6, 3), (0, 3, 1, 2), (3, 4, 6)), ("flat", (5, 24), (0, 1), (24,))],
)  # fmt: skip
def test_a_picture_is_what_the_model_was_given(layout: Any, raw: Any, order: Any, shape: Any) -> None:
    values = generator(0, "pictures").random(raw).astype(np.float32) * 2
    image = (4, 6, 3 if 3 in raw else 1)
    known = facts(order=order, shape=shape, layout=layout, image=image, value_range=(-0.25, 0.75))
    other_road = Prepared(
        raw=values, shape=shape, order=order, scale=0.5, offset=-0.25, layout=layout, image=image,
        value_range=(-0.25, 0.75),
    )  # fmt: skip
    expected = other_road.pictures(other_road.rows(slice(None)))
    found = pixels_of(values, known, known.anchors)
    np.testing.assert_allclose(found / 255, expected, atol=0.5 / 255 + 1e-6)
    assert pixels_of(values, known.model_copy(update={"image": None}), known.anchors) is None


@given(
    n=st.integers(1, 10**6), height=st.integers(1, 2000), width=st.integers(1, 2000), channels=st.sampled_from([1, 3]),
    most=st.sampled_from([10_000, 64 * 2**20]),
)  # fmt: skip
def test_pictures_are_made_smaller_no_further_than_they_must(
    n: int, height: int, width: int, channels: int, most: int
) -> None:
    factor = shrinking(n, (height, width, channels), most=most)

    def size(by: int) -> int:
        return n * (height // by) * (width // by) * channels

    if factor:
        assert size(factor) <= most
        assert factor == 1 or size(factor - 1) > most
        assert factor == 1 or min(height, width) // factor >= LEAST_SIDE
    else:
        least = max(1, min(height, width) // LEAST_SIDE)
        assert size(least) > most


def test_a_smaller_picture_has_the_mean_of_each_block() -> None:
    pictures = np.arange(2 * 5 * 7, dtype=np.uint8).reshape(2, 5, 7, 1)
    small = shrunk(pictures, 2)
    assert small.shape == (2, 2, 3, 1)
    assert small[1, 1, 2, 0] == round(float(pictures[1, 2:4, 4:6, 0].mean()))
    assert shrunk(pictures, 1) is pictures
