"""Products by torch give the picks and distances of those by numpy; the processor stands in for an accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whygen.anchors.selection.device import OnDevice, accelerator, chosen_device
from whygen.anchors.selection.points import farthest_first, neighbour_distances
from whygen.anchors.streaming.passes import spread_in_passes

torch = pytest.importorskip("torch")
CLOUD = st.tuples(st.integers(0, 2**31), st.integers(8, 300), st.integers(2, 12), st.sampled_from([0.0, 100.0]))


def cloud(drawn: tuple[int, int, int, float]) -> Any:
    seed, n, dim, offset = drawn
    return (np.random.default_rng(seed).normal(size=(n, dim)) + offset).astype(np.float32)


@settings(max_examples=25)
@given(CLOUD, st.integers(2, 7))
def test_walks_are_the_same_on_a_device(drawn: Any, k: int) -> None:
    points = cloud(drawn)
    there, here = farthest_first(points, k, first=1, device="cpu"), farthest_first(points, k, first=1)
    assert there.picks.tolist() == here.picks.tolist()
    assert there.radii.tolist() == here.radii.tolist()


@settings(max_examples=15)
@given(CLOUD, st.integers(2, 5))
def test_passes_are_the_same_on_a_device(tmp_path_factory: pytest.TempPathFactory, drawn: Any, k: int) -> None:
    points, folder = cloud(drawn), tmp_path_factory.mktemp("passes")
    groups = np.arange(len(points), dtype=np.int8) % 3
    parts, labels = np.array_split(points, 2), np.array_split(groups, 2)
    opens = [lambda part=part: part for part in parts]
    walks = [
        spread_in_passes(opens, labels, k, {0: 0, 1: 1, 2: 2}, folder=folder, device=device).walks
        for device in ("cpu", None)
    ]
    for code in range(3):
        assert walks[0][code].picks.tolist() == walks[1][code].picks.tolist()


@settings(max_examples=25)
@given(CLOUD, st.integers(1, 4), st.booleans())
def test_neighbours_are_the_same_on_a_device(drawn: Any, neighbours: int, asks_others: bool) -> None:
    points = cloud(drawn)
    queries = points[::2] + np.float32(0.25) if asks_others else None
    there = neighbour_distances(points, queries, neighbours=neighbours, device="cpu")
    assert there == pytest.approx(neighbour_distances(points, queries, neighbours=neighbours), rel=1e-3, abs=1e-3)


def test_points_that_are_mapped_into_memory_are_read_and_not_written(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", cloud((0, 20, 4, 0.0)))
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    assert OnDevice(mapped, "cpu").times(np.ones(4, np.float32)) == pytest.approx(mapped.sum(axis=1), abs=1e-5)


def test_a_device_is_chosen_where_there_is_one_and_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whygen.anchors.selection.device.accelerator", lambda: "cuda")
    assert chosen_device(None, 1e12) == "cuda"
    assert chosen_device(None, 1e3) is None
    assert chosen_device("cpu", 1e3) == "cpu"
    assert accelerator() == ("cuda" if torch.cuda.is_available() else None)
