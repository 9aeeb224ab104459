# pyright: basic
"""Shares of anchors: whether their intervals cover, and whether flip rates are what another reference does.

Targets: (a) the 95% interval of each group's share covers the population's share in 92-98% of repeats, for 1,000
anchors and a reference of 39, 100, 400 and 1,000, on laws that no constant was chosen by (groups that hold under one
anchor in a thousand, nearly all of them, and criteria of few values may be covered more often); (b) the mean flip rate
is within a quarter of what another reference does. ``python -m benchmarks shares``.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.share_laws import BUILT_ON, HELD_APART, MENDED_BY, Law
from whygen.anchors.calibration import conformal
from whygen.anchors.groups import GROUPS, assign, group
from whygen.stats.seeds import generator

ALPHA, ANCHORS, REPEATS = 0.025, 1_000, 300
REFERENCES = (39, 100, 400, 1_000)
REPLICATES = 5
LARGE = 1_000_000


def truth(rng: np.random.Generator, law: Law) -> np.ndarray:
    """Shares of the groups by the population's thresholds: high where at least so much of the population is as high."""
    reference, anchors = law.reference(rng, LARGE), law.anchors(rng, LARGE)
    rank = int(ALPHA * LARGE)
    ordered = np.sort(reference, axis=0)
    kinds = law.kinds(anchors.shape[1])
    codes = assign(anchors <= ordered[-1 - rank], kinds=kinds, below=anchors < ordered[rank])
    return np.bincount(codes, minlength=len(GROUPS)) / len(anchors)


def cell(name: str, n: int, *, repeats: int = REPEATS) -> dict[str, Any]:
    """Coverage and half width by group, and the flip rate said and seen, over references and sets of anchors."""
    rng, law = generator(0, "shares", name, n), {**BUILT_ON, **MENDED_BY, **HELD_APART}[name]
    true, inside, widths, said, seen = truth(rng, law), [], [], [], []
    for _ in range(repeats):
        values = law.anchors(rng, ANCHORS)
        names, kinds = [f"c{place}" for place in range(values.shape[1])], law.kinds(values.shape[1])
        one, two = (conformal(law.reference(rng, n), names=names, alpha=ALPHA) for _ in range(2))
        found = group(values, kinds=kinds, calibration=one, rng=rng, replicates=REPLICATES)
        inside.append([each.low <= share <= each.high for each, share in zip(found.shares, true, strict=True)])
        widths.append([(each.high - each.low) / 2 for each in found.shares])
        said.append(found.mean_flip_rate)
        seen.append(float((assign(two.high(values), kinds=kinds, below=two.below(values)) != found.codes).mean()))
    row = {"anchors are": name, "reference": n}
    row |= {each: float(part) for each, part in zip(GROUPS, np.mean(inside, axis=0), strict=True)}
    return {
        **row, "flip rate": float(np.mean(said)), "seen": float(np.mean(seen)),
        "true": true.tolist(), "half widths": np.mean(widths, axis=0).tolist(), "discrete": law.discrete,
    }  # fmt: skip


def judged(row: dict[str, Any]) -> list[tuple[float, str, str, int]]:
    """The coverage of the groups whose share can be missed on either side, with where it was found."""
    open_ends = [each for each, part in zip(GROUPS, row["true"], strict=True) if 0.001 <= part <= 0.999]
    return [(row[each], each, row["anchors are"], row["reference"]) for each in open_ends if not row["discrete"]]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Worst cells first: coverage, and flip rates against what was seen."""
    cells = sorted(each for row in rows for each in judged(row))
    ratios = sorted((row["flip rate"] / row["seen"], row["anchors are"], row["reference"]) for row in rows)
    return {
        "cells": len(cells),
        "under .92": [each for each in cells if each[0] < 0.92],
        "over .98": sum(each[0] > 0.98 for each in cells),
        "lowest": cells[0],
        "mean coverage": {
            str(n): float(np.mean([each[0] for each in cells if each[3] == n])) for n in REFERENCES
        },
        "flip rates off by over a quarter": [each for each in ratios if not 0.75 <= each[0] <= 1.25],
    }  # fmt: skip


def measured(laws: Mapping[str, Law]) -> list[dict[str, Any]]:
    """All cells of these laws, on all cores; each has random numbers of its own."""
    cells = [(name, n) for name in laws for n in REFERENCES]
    with ProcessPoolExecutor() as pool:
        return list(pool.map(cell, *zip(*cells, strict=True)))


def main(data: Path | None = None) -> None:
    del data
    families = {"built on": BUILT_ON, "mended by": MENDED_BY, "held apart": HELD_APART}
    rows = {family: measured(laws) for family, laws in families.items()}
    figures: dict[str, Any] = {"repeats": REPEATS, "anchors": ANCHORS}
    figures["summaries"] = {family: summary(found) for family, found in rows.items()}
    record.write("shares", {**figures, **rows}, seed=0)
    hidden = {"true", "half widths", "discrete"}
    for family, found in rows.items():
        print(f"\n{family}: {summary(found)}\n")
        print(record.table([{name: row[name] for name in row if name not in hidden} for row in found]))


if __name__ == "__main__":
    main()
