"""Items that hold two samples: none is dropped unsaid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from whygen.anchors.data import load_samples
from whygen.errors import DataError

A, B = np.zeros((8, 8), dtype=np.float32), np.ones((8, 8), dtype=np.float32)


@pytest.mark.parametrize(
    "item",
    [[A, B], (A, B), [A, B, A], (Image.new("L", (8, 8)), Image.new("L", (8, 8), 255)), (A, Image.new("L", (8, 8)))],
)
def test_two_samples_in_an_item_are_refused_with_the_line_to_type(item: Any) -> None:
    with pytest.raises(DataError, match=r"item\[0\] for item in data"):
        load_samples([item] * 4)


@pytest.mark.parametrize("label", [3, "cat", np.int64(3), np.array(3), None])
def test_a_sample_and_its_label_are_taken(label: Any) -> None:
    assert len(load_samples([(A, label)] * 4).samples) == 4
