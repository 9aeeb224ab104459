# pyright: basic
"""Selections against published code: the same objective at equal k, and the time of each.

apricot (facility location), kmedoids (the Voronoi iteration that the published PXGen calls "k-center", and
FasterPAM), submodlib (facility location, and the smallest distance) and fpsample (farthest-first). What is not
installed is left out and named: ``pip install apricot-select kmedoids submodlib-py fpsample``, then
``python -m benchmarks selection_rivals``. Data: random points, and the digits of scikit-learn in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.datasets import load_digits

from benchmarks import record
from benchmarks.vaes import Numbers, timed
from whygen.anchors.selection import facility_location, k_dispersion, k_medoids
from whygen.anchors.selection.points import nearest_pick
from whygen.stats.seeds import generator

COUNTS = (5, 10, 20)
STARTS = 5
SAME = 1e-5
PACKAGES = {"apricot": "apricot-select", "kmedoids": "kmedoids", "submodlib": "submodlib-py", "fpsample": "fpsample"}
Pick = Callable[[], Any]
"""Indices of the picks."""


def data_sets(*, n: int = 600, seed: int = 0) -> dict[str, Numbers]:
    rng = generator(seed, "points")
    clusters = rng.normal(size=(6, 10)) * 4
    digits = load_digits().data
    return {
        "uniform": rng.random((n, 10)),
        "clusters": clusters[rng.integers(6, size=n)] + rng.normal(size=(n, 10)),
        "digits": digits[rng.permutation(len(digits))[:n]] / 16,
    }


def _facility_location(points: Numbers, k: int, packages: Mapping[str, Any]) -> Iterator[tuple[str, Pick]]:
    yield "whygen", lambda: facility_location(points, k).indices
    if "apricot" in packages:
        kind = packages["apricot"].FacilityLocationSelection
        yield "apricot", lambda: kind(k, metric="precomputed", optimizer="lazy").fit(_near(points)).ranking
    if "submodlib" in packages:
        kind = packages["submodlib"].FacilityLocationFunction
        yield "submodlib", lambda: _maximised(kind(**_dense(points), separate_rep=False), k, "LazyGreedy")


def _k_dispersion(points: Numbers, k: int, packages: Mapping[str, Any]) -> Iterator[tuple[str, Pick]]:
    yield "whygen", lambda: k_dispersion(points, k, first=0).indices
    yield "farthest-first as published", lambda: _as_published(points, k, 0)
    if "fpsample" in packages:
        yield "fpsample", lambda: packages["fpsample"].fps_sampling(points.astype(np.float32), k, start_idx=0)
    if "submodlib" in packages:
        kind = packages["submodlib"].DisparityMinFunction
        yield "submodlib", lambda: _maximised(kind(**_dense(points)), k, "NaiveGreedy")


def _near(points: Numbers) -> Numbers:
    apart = cdist(points, points)
    return apart.max() - apart


def _dense(points: Numbers) -> dict[str, Any]:
    near = _near(points)
    return {"n": len(points), "mode": "dense", "sijs": near / near.max()}


def _maximised(function: Any, k: int, optimizer: str) -> list[int]:
    options = {"stopIfZeroGain": False, "stopIfNegativeGain": False, "show_progress": False}
    return [index for index, _ in function.maximize(budget=k, optimizer=optimizer, **options)]


def _as_published(points: Numbers, k: int, first: int) -> list[int]:
    """What PXGen's published code does: every round anew, squared distances to all picks (METHODS B4, B5)."""
    picks = [first]
    while len(picks) < k:
        smallest = np.min([np.square(points - points[pick]).sum(axis=1) for pick in picks], axis=0)
        smallest[picks] = -1
        picks.append(int(smallest.argmax()))
    return picks


def _k_medoids(points: Numbers, k: int, packages: Mapping[str, Any], start: int) -> Iterator[tuple[str, Pick]]:
    yield "whygen", lambda: k_medoids(points, k, rng=generator(start, "start"), solver="voronoi").indices
    if "kmedoids" in packages:
        module = packages["kmedoids"]
        first = generator(start, "start").choice(len(points), size=k, replace=False).astype(np.uint64)
        yield "kmedoids, alternating (as published)", lambda: module.alternating(_apart(points), first.copy()).medoids
        yield "kmedoids, FasterPAM", lambda: module.fasterpam(_apart(points), first.copy()).medoids


def _apart(points: Numbers) -> Numbers:
    return cdist(points, points, metric="cityblock")


def objective(name: str, points: Numbers, picks: Any) -> float:
    """What the selection of that name optimises, computed here for whoever picked."""
    chosen = np.asarray(picks, dtype=np.int64)
    if name == "k-dispersion":
        return float(pdist(points[chosen]).min())
    if name == "k-medoids":
        return float(nearest_pick(points, chosen, metric="cityblock")[0].sum())
    apart = cdist(points, points)
    return float((apart.max() - apart[:, chosen].min(axis=1)).sum())


def run() -> dict[str, Any]:
    packages, left_out = _installed()
    rows = []
    for data, points in data_sets().items():
        for k in COUNTS:
            for selection, start, ways in _games(points, k, packages):
                for way, pick in ways:
                    pick()  # what is compiled on the first call is not counted
                    picks, seconds = timed(pick)
                    rows.append({"selection": selection, "data": data, "k": k, "start": start, "by": way,
                                 "objective": objective(selection, points, picks), "seconds": seconds})  # fmt: skip
    versions = {name: metadata.version(PACKAGES[name]) for name in packages}
    return {"versions": versions, "left out": left_out, "rows": rows, "summary": summarised(rows)}


def _games(
    points: Numbers, k: int, packages: Mapping[str, Any]
) -> Iterator[tuple[str, int, Iterator[tuple[str, Pick]]]]:
    yield "facility-location", 0, _facility_location(points, k, packages)
    yield "k-dispersion", 0, _k_dispersion(points, k, packages)
    for start in range(STARTS):
        yield "k-medoids", start, _k_medoids(points, k, packages, start)


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each rival: in how many settings it reached what whygen reached, and the ratios of objective and time."""
    ours = {_setting(row): row for row in rows if row["by"] == "whygen"}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        mine = ours[_setting(row)]
        if row is not mine:
            ratio = (row["objective"] / mine["objective"], row["seconds"] / mine["seconds"])
            found.setdefault((row["selection"], row["by"]), []).append(ratio)
    return [
        {
            "selection": selection,
            "by": way,
            "settings": len(ratios),
            "same objective": sum(abs(ratio - 1) < SAME for ratio, _ in ratios),
            "objective over whygen's": float(np.mean([ratio for ratio, _ in ratios])),
            "seconds over whygen's": float(np.median([ratio for _, ratio in ratios])),
        }
        for (selection, way), ratios in found.items()
    ]


def _setting(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["selection"], row["data"], row["k"], row["start"]


def _installed() -> tuple[dict[str, Any], list[str]]:
    packages, missing = dict[str, Any](), list[str]()
    for name, package in PACKAGES.items():
        try:
            packages[name] = import_module(name)
        except ImportError:
            missing.append(f"{name} is not installed (pip install {package})")
    return packages, missing


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    record.write("selection_rivals", figures, seed=0)
    print("left out:", json.dumps(figures["left out"]))
    print(record.table(figures["summary"]) if figures["summary"] else "nothing to compare with")


if __name__ == "__main__":
    main()
