# pyright: basic
"""Shares of anchors: whether their intervals cover, whether flip rates are what another reference does, and what the
first sentence of a report says of models that have learned nothing.

Targets: (a) the 95% interval of each group's share covers the population's share in 92-98% of repeats, for 1,000
anchors and a reference of 39, 100, 400 and 1,000 (shares that are 0 or 1 and criteria of few values may be covered
more often); (b) the mean flip rate is within a quarter of what another reference does; (c) no headline says "knows" of
a model that has learned nothing. ``python -m benchmarks shares``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from whygen.anchors.calibration import conformal
from whygen.anchors.groups import GROUPS, assign, group
from whygen.stats.seeds import generator

ALPHA, ANCHORS, REPEATS = 0.025, 1_000, 60
REFERENCES = (39, 100, 400, 1_000)
NAMES, KINDS = ("a", "b"), ("intrinsic", "extrinsic")
LAWS = {
    "like the reference": ("normal", 0.0, 1.0),
    "somewhat foreign": ("normal", 1.5, 1.0),
    "far": ("normal", 4.0, 1.0),
    "heavy tails": ("heavy", 1.0, 1.0),
    "few values": ("discrete", 0.0, 1.0),
}
LARGE = 400_000


def drawn(rng: np.random.Generator, n: int, law: str, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """Two criteria with a correlation of one half, ``(n, 2)``."""
    z = (np.sqrt(0.5) * (rng.normal(size=(n, 1)) + rng.normal(size=(n, 2)))) * scale + shift
    return {"normal": z, "heavy": np.sinh(1.5 * z), "discrete": np.round(1.2 * z)}[law]


def truth(rng: np.random.Generator, law: str, shift: float, scale: float) -> np.ndarray:
    """Shares of the groups by the population's thresholds: high where at least so much of the population is as high."""
    reference, anchors = drawn(rng, LARGE, law), drawn(rng, LARGE, law, shift, scale)
    rank = int(ALPHA * LARGE)
    ordered = np.sort(reference, axis=0)
    codes = assign(anchors <= ordered[-1 - rank], kinds=KINDS, below=anchors < ordered[rank])
    return np.bincount(codes, minlength=len(GROUPS)) / len(anchors)


def cell(name: str, n: int) -> dict[str, Any]:
    """Coverage by group, and the flip rate said and seen, over `REPEATS` references and sets of anchors."""
    rng, (law, shift, scale) = generator(0, "shares", name, n), LAWS[name]
    true, inside, said, seen = truth(rng, law, shift, scale), [], [], []
    for _ in range(REPEATS):
        one, two = (conformal(drawn(rng, n, law), names=NAMES, alpha=ALPHA) for _ in range(2))
        values = drawn(rng, ANCHORS, law, shift, scale)
        found = group(values, kinds=KINDS, calibration=one, rng=rng, replicates=10)
        inside.append([each.low <= share <= each.high for each, share in zip(found.shares, true, strict=True)])
        said.append(found.mean_flip_rate)
        seen.append(float((assign(two.high(values), kinds=KINDS, below=two.below(values)) != found.codes).mean()))
    row = {"anchors are": name, "reference": n}
    row |= {group_name: float(part) for group_name, part in zip(GROUPS, np.mean(inside, axis=0), strict=True)}
    return {**row, "flip rate": float(np.mean(said)), "seen": float(np.mean(seen))}


def main(data: Path | None = None) -> None:
    del data
    rows = [cell(name, n) for name in LAWS for n in REFERENCES]
    record.write("shares", {"repeats": REPEATS, "anchors": ANCHORS, "rows": rows}, seed=0)
    print(record.table(rows))
    print(json.dumps({"lowest": min(row[name] for row in rows for name in GROUPS)}))


if __name__ == "__main__":
    main()
