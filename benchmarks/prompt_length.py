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
    medians = {
        name: float(np.median([each[name] for each in runs])) if runs else None
        for name in ("calls", "seconds", "MiB", "found")
    }
    calls = medians.pop("calls")
    return {
        "explainer": explainer, "units": units, "calls": None if calls is None else int(calls), **medians,
        "MiB traced": None if traced is None else traced["MiB traced"], "each": [each["seconds"] for each in runs],
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


def run(explainer: str, units: Sequence[int]) -> list[dict[str, object]]:
    """A row for each length; a length that took too long has a row without figures."""
    rows: list[dict[str, object]] = []
    for length in units:
        runs = measured(explainer, length)
        traced = run_one(explainer, length, seed=0, trace="--trace") if runs and quick(runs[0]) else None
        rows.append(row(explainer, length, runs, traced))
        print(rows[-1], flush=True)
    return rows


def quick(run: Run) -> bool:
    """Whether there is time to trace it too."""
    return run["seconds"] < LIMIT / 20


def fits(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    points: dict[object, list[tuple[int, float]]] = {}
    for each in rows:
        points.setdefault(each["explainer"], []).extend((each["units"], seconds) for seconds in each["each"])  # type: ignore[attr-defined]
    return [{"explainer": name, "exponent": exponent(found)} for name, found in points.items() if len(dict(found)) > 2]


def main(data: Path | None = None, explainers: Sequence[str] | None = None, units: Sequence[int] | None = None) -> None:
    del data
    left_out = [] if LIME.exists() else ["LIME: there is no environment at build/lime"]
    for explainer in explainers or EXPLAINERS:
        if explainer != "LIME" or not left_out:
            record.add_rows("prompt_length", run(explainer, units or UNITS), key=("explainer", "units"))
    rows = sorted(record.rows("prompt_length"), key=lambda each: list(EXPLAINERS).index(str(each["explainer"])))
    figures = {"rows": rows, "fits": fits(rows), "left out": left_out}
    print(record.table(rows), record.table(figures["fits"]), left_out, sep="\n\n")
    record.write("prompt_length", figures, seed=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--explainer", action="append", choices=EXPLAINERS, help="may be given again; all unless given")
    parser.add_argument("--units", action="append", type=int, help="likewise; the other rows are kept")
    given = parser.parse_args()
    main(explainers=given.explainer, units=given.units)
