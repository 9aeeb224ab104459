"""Of large sets only what differs is moved: the same transport by two roads, and metric laws that hold exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.distances import sets
from whygen.distances.sets import ground

pytest.importorskip("ot")

few = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=14)


@given(few, few)
def test_shared_and_repeated_points_change_no_value(ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> None:
    a, b = np.array(ours, float), np.array(theirs, float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "MOST_ASSIGNED", 1)
        [found] = sets.optimal_transport([a], b)
        [back] = sets.optimal_transport([b], a)
        [nothing] = sets.optimal_transport([a[::-1]], a)
    assert found == pytest.approx(sets.least_cost(ground(a, b)), abs=1e-12)
    assert back == pytest.approx(found, abs=1e-12)
    assert nothing == 0.0


def test_long_sets_that_share_their_first_half_are_moved_by_the_second_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    start, one, other = (rng.standard_normal((600, 8)) for _ in range(3))
    shapes: list[tuple[int, ...]] = []
    plain = sets.least_cost
    monkeypatch.setattr(sets, "least_cost", lambda cost, **more: (shapes.append(cost.shape), plain(cost, **more))[1])
    [found] = sets.optimal_transport([np.concatenate([start, one])], np.concatenate([start, other]))
    assert shapes == [(600, 600)]
    assert found == pytest.approx(plain(ground(one, other)) / 2, rel=1e-12)
