"""SmolLM2 beside a coarser copy of itself: what `proxy=` makes of intervals, and whether they hold, on recorded games.

    python -m benchmarks.smol.record --copy bits:3 --out FILE [--names TASK ...]     # and layers:27
    python -m benchmarks.smol.cheaper [--calls 32 64] [--seeds 5]

Games of `benchmarks.smol.record` that the model and a copy of it were both played on; those of copies stand in
``coarse.json``, each under its name. `width` is the mean width of 95%
intervals beside those without the copy at equal calls of the model, `covered` the share that holds the exact values,
`error` the root mean squared error beside that without.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from typing import Any

import numpy as np

from benchmarks.record import table
from benchmarks.smol.record import FILE, all_subsets, recorded
from benchmarks.smol.rivals import Told, banzhaf, intervals_of, shapley

COARSE = FILE.with_name("coarse.json")
"""The games of each copy, by its name."""
RESULT = FILE.with_name("cheaper.json")


def main() -> None:
    """Play every game of every copy, keep the rows, print means by copy, estimand and calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    dear, rows = recorded(), []
    for copy, games in json.loads(COARSE.read_text("utf-8")).items():
        for name in sorted(games.keys() & dear.keys()):
            for estimand, calls, seed in product(("banzhaf", "shapley"), asked.calls, range(asked.seeds)):
                rows.append({"copy": copy, "game": name, **played(dear[name], games[name], estimand, calls, seed)})
            sys.stderr.write(f"{copy} {name}\n")
    RESULT.write_text(json.dumps(rows, indent=0) + "\n", "utf-8")
    sys.stdout.write(means(rows) + "\n")


def played(dear: list[float], cheap: list[float], estimand: str, calls: int, seed: int) -> dict[str, Any]:
    """One game with and without its copy."""
    values, others = np.array(dear), np.array(cheap)
    model, copy = Told.of(values, "py/whole"), Told.of(others, "py/copy")
    truth = {"banzhaf": banzhaf, "shapley": shapley}[estimand](all_subsets(model.n), values)
    row: dict[str, Any] = {"units": model.n, "estimand": estimand, "calls": calls, "seed": seed}
    row["correlation"] = float(np.corrcoef(values, others)[0, 1])
    for name, proxy in (("alone", None), ("beside", copy)):
        found = model.explain(estimand, calls, seed, proxy=proxy)
        low, high = intervals_of(found).T
        row[f"covered {name}"] = float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean())
        row[f"width {name}"] = float((high - low).mean())
        row[f"error {name}"] = float(np.sqrt(((np.array([u.attribution for u in found.units]) - truth) ** 2).mean()))
    return row


def means(rows: list[dict[str, Any]]) -> str:
    """A line for each copy, estimand and number of calls; ratios are medians over games and seeds."""
    lines: list[dict[str, object]] = []
    for copy, estimand, calls in sorted({(row["copy"], row["estimand"], row["calls"]) for row in rows}):
        mine = [row for row in rows if (row["copy"], row["estimand"], row["calls"]) == (copy, estimand, calls)]
        ratio = {
            name: float(np.median([row[f"{name} beside"] / row[f"{name} alone"] for row in mine]))
            for name in ("width", "error")
        }
        lines.append({
            "copy": copy, "values": estimand, "calls": calls, "games": len({row["game"] for row in mine}),
            "correlation": f"{min(r['correlation'] for r in mine):.2f} - {max(r['correlation'] for r in mine):.2f}",
            **ratio, "covered": float(np.mean([row["covered beside"] for row in mine])),
            "covered without": float(np.mean([row["covered alone"] for row in mine])),
        })  # fmt: skip
    return table(lines)


if __name__ == "__main__":
    main()
