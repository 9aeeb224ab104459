"""Intervals over many inputs hold where answers are 0 or 1: by chance, or odd once in a while."""

from __future__ import annotations

import pytest
from benchmarks.templates_noise import row


@pytest.mark.parametrize("over", ["like-these", "these"])
@pytest.mark.parametrize("odd", [None, 0.05])
def test_intervals_over_inputs_hold(odd: float | None, over: str) -> None:
    found = row(4, odd, over, runs=20)
    assert found["coverage"] >= 0.9
    assert found["false discoveries"] <= 0.1
    assert 0.05 < found["width"] < 0.6
