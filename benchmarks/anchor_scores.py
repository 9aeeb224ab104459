# pyright: basic
"""What recording the scores of anchors costs, what going on saves, and how much of the package one explanation walks.

The demo's VAE with its 1,500 anchors and its reference, each way `REPEATS` times, the least processor time kept:
without a store, into an empty one, and over again when all is recorded. Files and functions are counted by
``sys.setprofile``, for 30 anchors of a model that is no torch module. ``python -m benchmarks anchor_scores``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import numpy as np

import whygen
from benchmarks import record
from whygen.demo.digits import URI, digits
from whygen.models.latent import LatentModel
from whygen.stats.seeds import generator

REPEATS = 3


def seconds(cache: Path | None) -> float:
    """Of processor time, which others on the machine do not lengthen."""
    began = time.process_time()
    whygen.explain_anchors(URI, digits("anchors"), cache=cache)
    return round(time.process_time() - began, 2)


def walked(files: str = "/whygen/") -> dict[str, int]:
    """How many files and functions of the package one explanation enters, and how many of these are the wing's."""
    weights = generator(0, "weights").normal(scale=0.2, size=(16, 3)).astype(np.float32)
    model = LatentModel(
        encode=lambda x: (x @ weights, np.full((len(x), 3), -1.0, np.float32)),
        decode=lambda z: (1 / (1 + np.exp(-z @ weights.T))).astype(np.float32),
        shape=(16,),
    )
    anchors, reference = (generator(seed, "blobs").random((n, 16)).astype(np.float32) for seed, n in ((0, 30), (1, 60)))
    whygen.explain_anchors(model, anchors, reference=reference, cache=None)  # whatever is imported is imported now
    seen: set[tuple[str, str]] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and files in frame.f_code.co_filename and "benchmarks" not in frame.f_code.co_filename:
            seen.add((frame.f_code.co_filename.rpartition(files)[2], frame.f_code.co_qualname))

    sys.setprofile(look)
    try:
        whygen.explain_anchors(model, anchors, reference=reference, cache=None)
    finally:
        sys.setprofile(None)
    entered = {file for file, _ in seen}
    return {
        "files": len(entered),
        "of the wing": sum(file.startswith("anchors/") for file in entered),
        "functions": len(seen),
    }


def main(data: Path | None = None) -> None:
    """Measure all of it."""
    del data
    seconds(None)  # whatever is imported is imported now
    without = min(seconds(None) for _ in range(REPEATS))
    into, again, size = list[float](), list[float](), 0
    for _ in range(REPEATS):
        with TemporaryDirectory() as folder:
            store = Path(folder) / "calls.sqlite"
            into.append(seconds(store))
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            again.append(seconds(store))
    figures = {
        "processor seconds": {"without a store": without, "into a store": min(into), "all recorded": min(again)},
        "bytes of the store": size,
        "walk": walked(),
    }
    record.write("anchor_scores", figures, seed=0)
