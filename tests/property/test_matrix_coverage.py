"""Cells of a matrix hold where each sentence of an answer comes by chance, or oddly at times."""

from __future__ import annotations

import pytest
from benchmarks.matrices_noise import row


@pytest.mark.parametrize(("odd", "sampling"), [(None, True), (0.05, False)])
def test_cells_of_sentences_hold(odd: float | None, sampling: bool) -> None:
    found = row(5, 64, odd, sampling=sampling, runs=20)
    assert found["that matter"] >= 0.9
    assert found["idle"] >= 0.94
    assert found["false discoveries"] <= 0.1
    assert found["found"] >= 0.8
