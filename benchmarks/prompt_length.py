"""Time and memory against the length of the prompt, beside LIME at equal calls.

Each run is a process of its own (`prompt_length_worker`), on a model that costs nothing. LIME is asked for as many
samples as whygen makes calls, four a unit; the hierarchy stops by itself and takes fewer. Seconds are of processor
time, on one thread, so that what else the machine does falls away. The exponent is the slope of
log seconds on log units, with its 95% interval by Student's t. The published preset is not in the table: it asks for 64
masks, and its regression needs as many as the prompt has words.

    python -m venv build/lime && build/lime/bin/pip install lime

Without that environment LIME is left out, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks import record
from benchmarks.prompt_length_worker import EXPLAINERS

UNITS = (10, 50, 100, 1000)
REPEATS = 3
LONG = 1000
"""From so many units on, one run instead of several."""
LIMIT = 900
WORKER = Path(__file__).parent / "prompt_length_worker.py"
LIME = Path("build/lime/bin/python")

Run = dict[str, float]


def run_one(explainer: str, units: int, *, seed: int, trace: str = "") -> Run | None:
    """None where it took longer than `LIMIT`, or failed."""
    python = str(LIME) if explainer == "LIME" else sys.executable
    command = [python, str(WORKER), explainer, str(units), "--seed", str(seed), *([trace] if trace else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, check=True)
    except subprocess.SubprocessError as error:
        print(f"{explainer}, {units} units: {error}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def row(explainer: str, units: int, runs: Sequence[Run], traced: Run | None) -> dict[str, object]:
    figures = {name: float(np.median([each[name] for each in runs])) for name in ("calls", "seconds", "MiB", "found")}
    return {
        "explainer": explainer, "units": units, **figures, "calls": int(figures["calls"]),
        "MiB traced": None if traced is None else traced["MiB traced"], "runs": len(runs),
    }  # fmt: skip


def exponent(points: Sequence[tuple[int, float]]) -> dict[str, float]:
    """Slope of log seconds on log units."""
    units, seconds = np.log(np.array(points, dtype=np.float64)).T
    line = stats.linregress(units, seconds)
    half = float(stats.t.ppf(0.975, len(points) - 2) * line.stderr)
    return {"mean": float(line.slope), "low": float(line.slope) - half, "high": float(line.slope) + half}


def measured(explainer: str, units: int) -> list[Run]:
    repeats = 1 if units >= LONG else REPEATS
    return [run for seed in range(repeats) if (run := run_one(explainer, units, seed=seed)) is not None]


def run(explainers: Sequence[str], units: Sequence[int] = UNITS) -> dict[str, object]:
    rows: list[dict[str, object]] = []
    fits: list[dict[str, object]] = []
    left_out = [] if LIME.exists() else ["LIME: no environment at build/lime"]
    for explainer in explainers:
        if explainer == "LIME" and left_out:
            continue
        points: list[tuple[int, float]] = []
        for length in units:
            runs = measured(explainer, length)
            if not runs:
                left_out.append(f"{explainer}, {length} units: over {LIMIT} seconds, or failed")
                continue
            short = runs[0]["seconds"] < LIMIT / 20
            traced = run_one(explainer, length, seed=0, trace="--trace") if short else None
            rows.append(row(explainer, length, runs, traced))
            points += [(length, each["seconds"]) for each in runs]
            print(rows[-1], flush=True)
        fits.append({"explainer": explainer, "exponent": exponent(points)})
    return {"rows": rows, "fits": fits, "left out": left_out}


def main(data: Path | None = None, explainers: Sequence[str] = tuple(EXPLAINERS)) -> None:
    del data
    figures = run(explainers)
    print(record.table(figures["rows"]), record.table(figures["fits"]), figures["left out"], sep="\n\n")  # type: ignore[arg-type]
    record.write("prompt_length", figures, seed=0)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
