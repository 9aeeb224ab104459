# pyright: basic
"""Shares of anchors: whether their intervals cover, and whether flip rates are what another reference does.

Targets: (a) the 95% interval of each group's share covers the population's share in 92-98% of repeats, for 1,000
anchors and a reference of 39, 100, 400 and 1,000, on laws that no constant was chosen by (groups that hold under one
anchor in a thousand, nearly all of them, and criteria of few values may be covered more often); (b) the mean flip rate
is within a quarter of what another reference does. ``oracles`` are half widths that nobody could have: those that hold
95% of the shares that other references and anchors give. What is kept is of `SEED`, on which nothing was chosen (the
method was chosen on seed 0). ``python -m benchmarks shares``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.partial import Rows, arguments
from benchmarks.share_laws import BUILT_ON, HELD_APART, MENDED_BY, Law
from whygen.anchors.calibration import conformal
from whygen.anchors.groups import GROUPS, assign, group
from whygen.stats.seeds import generator

ALPHA, ANCHORS, REPEATS = 0.025, 1_000, 250
REFERENCES = (39, 100, 400, 1_000)
REPLICATES = 3
LARGE = 1_000_000
SEED = 1


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
    rng, law = generator(SEED, "shares", name, n), {**BUILT_ON, **MENDED_BY, **HELD_APART}[name]
    true, inside, widths, said, seen, shares = truth(rng, law), [], [], [], [], []
    for _ in range(repeats):
        values = law.anchors(rng, ANCHORS)
        names, kinds = [f"c{place}" for place in range(values.shape[1])], law.kinds(values.shape[1])
        one, two = (conformal(law.reference(rng, n), names=names, alpha=ALPHA) for _ in range(2))
        found = group(values, kinds=kinds, calibration=one, rng=rng, replicates=REPLICATES)
        inside.append([each.low <= share <= each.high for each, share in zip(found.shares, true, strict=True)])
        widths.append([(each.high - each.low) / 2 for each in found.shares])
        shares.append([each.share for each in found.shares])
        said.append(found.mean_flip_rate)
        seen.append(float((assign(two.high(values), kinds=kinds, below=two.below(values)) != found.codes).mean()))
    row = {"anchors are": name, "reference": n}
    row |= {each: float(part) for each, part in zip(GROUPS, np.mean(inside, axis=0), strict=True)}
    return {
        **row, "flip rate": float(np.mean(said)), "seen": float(np.mean(seen)),
        "true": true.tolist(), "half widths": np.mean(widths, axis=0).tolist(), "discrete": law.discrete,
        "oracles": np.quantile(np.abs(np.array(shares) - true), 0.95, axis=0).tolist(),
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
            str(n): float(np.mean([each[0] for each in cells if each[3] == n]))
            for n in REFERENCES if any(each[3] == n for each in cells)
        },
        "flip rates off by over a quarter": [each for each in ratios if not 0.75 <= each[0] <= 1.25],
    }  # fmt: skip


def measured(families: Mapping[str, Mapping[str, Law]], kept: Rows) -> dict[str, list[dict[str, Any]]]:
    """The cells that there was time for, small references first; each has random numbers of its own."""
    found: dict[str, list[dict[str, Any]]] = {family: [] for family in families}
    for n in REFERENCES:
        for family, laws in families.items():
            rows = (kept.get(f"{name} {n}", lambda name=name, n=n: cell(name, n)) for name in laws)
            found[family] += [row for row in rows if row is not None]
    for family, laws in families.items():
        found[family].sort(key=lambda row: list(laws).index(row["anchors are"]))
    return found


def wider(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean over groups and laws of the half width over the oracle's, by the size of the reference."""
    return {
        str(n): float(np.mean([
            half / best
            for row in rows if row["reference"] == n and not row["discrete"]
            for half, best, part in zip(row["half widths"], row["oracles"], row["true"], strict=True)
            if 0.001 <= part <= 0.999
        ])) for n in REFERENCES if any(row["reference"] == n and not row["discrete"] for row in rows)
    }  # fmt: skip


def main(data: Path | None = None, *, minutes: float = 600.0, fresh: bool = False) -> None:
    del data
    kept = Rows("shares", minutes=minutes, fresh=fresh)
    families = {"held apart": HELD_APART, "mended by": MENDED_BY, "built on": BUILT_ON}
    rows = measured(families, kept)
    figures: dict[str, Any] = {"repeats": REPEATS, "anchors": ANCHORS}
    figures["summaries"] = {family: summary(found) for family, found in rows.items() if found}
    figures["wider than an oracle's"] = wider([row for found in rows.values() for row in found])
    record.write("shares", {**figures, **rows}, seed=SEED)
    hidden = {"true", "half widths", "discrete", "oracles"}
    for family, found in rows.items():
        if found:
            print(f"\n{family}: {summary(found)}\n")
            print(record.table([{name: row[name] for name in row if name not in hidden} for row in found]))


if __name__ == "__main__":
    main(**vars(arguments(__doc__).parse_args()))
