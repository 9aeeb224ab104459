"""Exact transport between sets so large that the network simplex is quicker than an assignment."""

from __future__ import annotations

import numpy as np
import pytest

from whygen import distances
from whygen.distances import sets


def test_both_solvers_find_one_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(60, 5))
    others = [rng.normal(size=(60, 5)) + shift for shift in (0.0, 0.5)]
    assigned = distances.optimal_transport(others, reference)
    monkeypatch.setattr(sets, "MOST_ASSIGNED", 10)
    assert distances.optimal_transport(others, reference) == pytest.approx(assigned, rel=1e-12)
    assert distances.optimal_transport([reference], reference)[0] == pytest.approx(0.0, abs=1e-12)
