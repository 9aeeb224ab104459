"""Farthest-first traversal at size: time against bare matrix-vector passes, memory against the array, same picks.

The target: k = 10 on a million 64-dimensional float32 vectors within 2 times ten bare passes ``X @ v``, memory under
1.5 times the array, picks as in float64 on data with an offset of 100 times its spread and with duplicates.
Run it on an otherwise idle machine: ``python -m benchmarks anchors_selection``.
"""

from __future__ import annotations

import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from whygen.anchors.selection import k_dispersion

K = 10
OFFSET = 100.0


def run(*, n: int = 1_000_000, dim: int = 64, repeats: int = 7, seed: int = 0) -> dict[str, Any]:
    """All figures, by data set: ``plain``, and ``offset`` (100 times the spread, a tenth of the rows duplicated)."""
    rng = np.random.default_rng(seed)
    plain = rng.standard_normal((n, dim), dtype=np.float32)
    figures: dict[str, Any] = {"n": n, "dim": dim, "k": K, "repeats": repeats, "plain": _figures(plain, repeats)}
    plain[n // 2 : n // 2 + n // 10] = plain[: n // 10]
    plain += np.float32(OFFSET)
    figures["offset"] = _figures(plain, repeats)
    sets = (figures["plain"], figures["offset"])
    figures["time_ratio"] = max(each["time_ratio"] for each in sets)
    figures["memory_ratio"] = max(each["memory_ratio"] for each in sets)
    figures["same_picks"] = all(each["same_picks"] for each in sets)
    figures["met"] = figures["time_ratio"] <= 2 and figures["memory_ratio"] < 1.5 and figures["same_picks"]
    return figures


def _figures(points: NDArray[np.float32], repeats: int) -> dict[str, Any]:
    vector = points[0].copy()

    def passes() -> None:
        for _ in range(K):
            points @ vector

    bare, given, default = _paired(
        [passes, lambda: k_dispersion(points, K, first=0), lambda: k_dispersion(points, K)], repeats
    )
    tracemalloc.start()
    default_picks = k_dispersion(points, K).indices
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    picks = k_dispersion(points, K, first=0).indices.tolist()
    return {
        "ten_passes_s": statistics.median(bare),
        "farthest_first_s": statistics.median(given),
        "farthest_first_from_the_mean_s": statistics.median(default),
        "time_ratio": statistics.median(b / a for a, b in zip(bare, given, strict=True)),
        "time_ratio_from_the_mean": statistics.median(b / a for a, b in zip(bare, default, strict=True)),
        "memory_ratio": (points.nbytes + peak) / points.nbytes,
        "same_picks": picks == _in_float64(points, 0)
        and default_picks.tolist() == _in_float64(points, _nearest_to_mean(points)),
    }


def _paired(tasks: list[Callable[[], Any]], repeats: int) -> list[list[float]]:
    """Seconds of each task in each repeat; tasks take turns, so a slow spell of the machine meets them all."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for task in tasks:
        task()
    for _ in range(repeats):
        for task, taken in zip(tasks, seconds, strict=True):
            start = time.perf_counter()
            task()
            taken.append(time.perf_counter() - start)
    return seconds


def _squared(points: NDArray[np.float32], centre: NDArray[Any]) -> NDArray[np.float64]:
    return np.concatenate([((part - centre) ** 2).sum(axis=1) for part in np.array_split(points, 200)])


def _in_float64(points: NDArray[np.float32], first: int) -> list[int]:
    """The textbook traversal by differences in float64."""
    picks, nearest = [first], np.full(len(points), np.inf)
    while len(picks) < K:
        nearest = np.minimum(nearest, _squared(points, points[picks[-1]].astype(np.float64)))
        picks.append(int(nearest.argmax()))
    return picks


def _nearest_to_mean(points: NDArray[np.float32]) -> int:
    return int(_squared(points, points.mean(axis=0, dtype=np.float64)).argmin())


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    record.write("anchors_selection", figures, seed=0)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
