"""A set that is called minimal is, whatever the run was told of a model that samples."""

from __future__ import annotations

import pytest
from benchmarks.minimal import row


@pytest.mark.parametrize(
    ("odd", "told", "further"),
    [("none", "nothing", 120), ("one in 5, none at the whole prompt", "nothing", 300), ("one in 5", "samples", 300)],
)
def test_sets_that_are_called_minimal_are(odd: str, told: str, further: int) -> None:
    found = row(odd, told=told, further=further, runs=5)
    assert found["runs with one"] >= 0.6
    assert found["true"]["mean"] >= 0.95
