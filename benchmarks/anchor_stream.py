# pyright: basic
"""Anchors that do not fit in memory: peak memory against their number, and selection in passes against reading.

``python -m benchmarks.anchor_stream memory`` explains 10,000 and 1,000,000 anchors of 16 numbers from files, each in a
process of its own, and gives the highest anonymous memory of each (file pages that the system may drop not counted).
``python -m benchmarks.anchor_stream passes [--rows N]`` writes N x 64 float32, and times ten picks of each of four
groups against ten times reading the file. ``--folder`` needs 2.7 GB of room for the ten million of the figure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from whygen.anchors.streaming import stream_anchors
from whygen.anchors.streaming.passes import spread_in_passes

COLUMNS = 64
SEED = 0


class Linear:
    """A model in closed form: it keeps the first half of a sample, and forgets the rest."""

    shape = (16,)
    value_range = (-np.inf, np.inf)

    def encode(self, samples: Any) -> tuple[Any, Any]:
        return 0.8 * samples[:, :8], np.full((len(samples), 8), -3.0, np.float32)

    def decode(self, latents: Any) -> Any:
        return np.concatenate([latents / 0.8, np.zeros_like(latents)], axis=1)


def anonymous() -> float:
    """Megabytes of this process that no file holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


class Peak:
    """The highest anonymous memory while it runs."""

    def __enter__(self) -> Peak:
        self.peak, self._on = anonymous(), True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._on = False
        self._thread.join()

    def _watch(self) -> None:
        while self._on:
            self.peak = max(self.peak, anonymous())
            time.sleep(0.01)


def write(path: Path, rows: int, columns: int) -> Path:
    """Normal numbers, block by block."""
    rng = np.random.default_rng(SEED)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (rows, columns))
    for start in range(0, rows, 100_000):
        stop = min(start + 100_000, rows)
        out[start:stop] = rng.standard_normal((stop - start, columns), dtype=np.float32)
    out.flush()
    return path


def explained(rows: int, folder: Path) -> dict[str, float]:
    """One stream in this process."""
    path = write(folder / f"anchors-{rows}.npy", rows, 16)
    reference = np.random.default_rng(SEED + 1).standard_normal((1000, 16)).astype(np.float32)
    with Peak() as peak:
        found = stream_anchors(Linear(), path, folder / f"out-{rows}", reference=reference, cache=None, space="pixels")
    seconds = {name: round(each, 2) for name, each in found.seconds.items()}
    return {"rows": rows, "peak_mb": round(peak.peak, 1), **seconds}


def memory(folder: Path, sizes: list[int]) -> dict[str, Any]:
    """Peaks of each size, each in a process of its own."""
    rows = []
    for size in sizes:
        command = [
            sys.executable,
            "-m",
            "benchmarks.anchor_stream",
            "one",
            "--rows",
            str(size),
            "--folder",
            str(folder),
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows.append(json.loads(told.splitlines()[-1]))
        print(rows[-1], flush=True)
    return {"rows": rows, "ratio": round(rows[-1]["peak_mb"] / rows[0]["peak_mb"], 3)}


def passes(folder: Path, rows: int, device: str | None) -> dict[str, float]:
    """Ten picks of each of four groups, and ten times reading the file, in turn; the best of three of each.

    Beside seconds stands the time of processors: on a machine that others use, only that can be compared.
    """
    path = write(folder / "points.npy", rows, COLUMNS)
    groups = np.random.default_rng(SEED + 1).integers(0, 4, size=rows).astype(np.int8)
    firsts = {code: int(np.flatnonzero(groups == code)[0]) for code in range(4)}
    step, points = 2**17, np.load(path, mmap_mode="r")
    shards = [lambda start=start: points[start : start + step] for start in range(0, rows, step)]
    parts = [groups[start : start + step] for start in range(0, rows, step)]
    read, picked, read_by, picked_by, peak = [], [], [], [], 0.0
    for _ in range(3):
        used = time.process_time()
        read.append(_read(path))
        read_by.append(time.process_time() - used)
        began, used = time.perf_counter(), time.process_time()
        with Peak() as watched:
            spread_in_passes(shards, parts, 10, firsts, folder=folder, device=device)
        picked.append(time.perf_counter() - began)
        picked_by.append(time.process_time() - used)
        peak = max(peak, watched.peak)
    ten = 10 * min(read)
    return {
        "rows": rows, "read_ten_s": round(ten, 2), "passes_s": round(min(picked), 2),
        "ratio": round(min(picked) / ten, 2), "read_ten_processor_s": round(10 * min(read_by), 2),
        "passes_processor_s": round(min(picked_by), 2),
        "ratio_by_processor": round(min(picked_by) / (10 * min(read_by)), 2), "peak_mb": round(peak, 1),
    }  # fmt: skip


def _read(path: Path) -> float:
    began, buffer = time.perf_counter(), bytearray(2**23)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "passes", "one"])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument(
        "--device", help="cpu or cuda: products by torch there; by numpy, or an accelerator, without it"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.folder or Path(made)
        if chosen.what == "one":
            print(json.dumps(explained(chosen.rows, folder)))
            return
        found = (
            memory(folder, [10_000, 1_000_000])
            if chosen.what == "memory"
            else passes(folder, chosen.rows, chosen.device)
        )
        print(found)
        kept = {**record.figures("anchor_stream"), chosen.what: found}
        record.write("anchor_stream", kept, seed=SEED)


if __name__ == "__main__":
    main()
