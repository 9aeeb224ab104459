"""What brings Shapley values near with few calls: which masks are asked, or what is fitted to them?

    python -m benchmarks.smol.spread [--calls 32] [--seeds 3] [--names TASK ...]

A Gaussian process with a product kernel, a rate of decay for each unit by the marginal likelihood, is fitted to masks
that come about in four ways, and its Shapley values are held against the exact ones on the recorded games; whygen's own
stand beside it. Spread masks are chosen before anything is asked, each the one that lowers the variance of the Shapley
values most where all units count alike; chosen ones as answers come (ShaplEIG, Rundel et al. 2026, does so by
information). What came of it is written to ``spread.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from benchmarks.record import table
from benchmarks.rivals.protocol import Bools, Floats
from benchmarks.rivals.scores import shapley_error
from benchmarks.smol.record import FILE, all_subsets, recorded, rows_of
from benchmarks.smol.rivals import Told

RESULT = FILE.with_name("spread.json")
FLAT = 0.1
"""The rate of decay of every unit where nothing is known yet."""
NOISE = 1e-6
"""What is added to variances where nothing is known yet: of what no rate explains, in shares of the game's."""
EVERY = 4
"""Answers until the rates are fitted again."""
WAYS = ("its own masks", "masks by size", "spread masks", "chosen masks")
"""`whygen`'s own for Shapley values; complement pairs, all sizes alike; and the two that the module tells of."""


def main() -> None:
    """Play the recorded games, and write medians and means over games and seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--names", nargs="*", help="only these tasks")
    asked = parser.parse_args()
    rows = json.loads(RESULT.read_text("utf-8"))["rows"] if RESULT.exists() else []
    done = {(row["game"], row["calls"], row["seed"]) for row in rows}
    for name, values in recorded().items():
        for seed in range(asked.seeds):
            if (name, asked.calls, seed) not in done and name in (asked.names or [name]):
                found = played(np.array(values), asked.calls, seed)
                rows.append({"game": name, "units": len(values).bit_length() - 1, "calls": asked.calls, "seed": seed}
                            | {way: round(error, 5) for way, error in found.items()})  # fmt: skip
        RESULT.write_text('{"rows": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]}\n", "utf-8")
    sys.stdout.write(summary(rows) + "\n")


def summary(rows: list[dict[str, float]]) -> str:
    """Medians (and means) of the Shapley error, by calls and number of units."""
    places = sorted({(row["calls"], row["units"]) for row in rows})
    lines: list[dict[str, object]] = []
    for calls, units in places:
        some = [row for row in rows if (row["calls"], row["units"]) == (calls, units)]
        each = {way: np.array([row[way] for row in some]) for way in ("whygen", *WAYS)}
        told = {way: f"{np.median(errors):.4f} ({errors.mean():.4f})" for way, errors in each.items()}
        lines.append({"calls": calls, "units": units, "games": len({row["game"] for row in some})} | told)
    return table(lines)


def played(values: Floats, calls: int, seed: int) -> dict[str, float]:
    """Shapley errors on one game: whygen's, and the process's by where its masks come from."""
    game, seen, rng = Game.of(values), [], np.random.default_rng((seed, len(values)))

    def look(masks: Bools) -> Floats:
        seen.extend(rows_of(masks).tolist())
        return values[rows_of(masks)]

    explained = Told(look, game.n).explain("shapley", calls, seed)
    masks = {
        "its own masks": sorted(set(seen)),
        "masks by size": by_size(game.n, calls, rng),
        "spread masks": spread(game, by_size(game.n, 2, rng), calls, rng, lambda _: Law(np.full(game.n, FLAT), NOISE)),
        "chosen masks": spread(
            game, by_size(game.n, game.n + 2, rng), calls, rng, lambda rows: fitted(game.masks[rows], values[rows])
        ),
    }
    wanted = game.shapley @ values
    found = {way: game.estimate(rows, values[rows]) for way, rows in masks.items()}
    found["whygen"] = np.array([unit.attribution for unit in explained.units])
    return {way: shapley_error(each, wanted) for way, each in found.items()}


@dataclass(frozen=True)
class Game:
    """All masks ``(m, n)`` of a game, and the Shapley values as a product ``(n, m)`` with its values."""

    n: int
    masks: Bools
    shapley: Floats

    @classmethod
    def of(cls, values: Floats) -> Game:
        n = len(values).bit_length() - 1
        masks = all_subsets(n)
        sizes = masks.sum(axis=1, keepdims=True)
        weight = np.array([1.0 / (n * comb(n - 1, size)) for size in range(n)])
        return cls(n, masks, np.where(masks, weight[sizes - 1], -weight[np.minimum(sizes, n - 1)]).T)

    def estimate(self, rows: list[int], effects: Floats) -> Floats:
        """Shapley values of the process's mean, ``(n,)``."""
        rates, noise = fitted(self.masks[rows], effects)
        within = kernel(self.masks[rows], self.masks[rows], rates) + noise * np.eye(len(rows))
        level = np.linalg.solve(within, np.stack([np.ones(len(rows)), effects], axis=1)).sum(axis=0)
        left = np.linalg.solve(within, effects - level[1] / level[0])
        return self.shapley @ (kernel(self.masks, self.masks[rows], rates) @ left)


class Law(NamedTuple):
    """Rates of decay ``(n,)``, and the share of what varies by itself."""

    rates: Floats
    noise: float


def kernel(masks: Bools, others: Bools, rates: Floats) -> Floats:
    """Products over units of ``exp(-rate)`` where two masks differ, ``(m, k)``."""
    a, b = masks.astype(np.float64), others.astype(np.float64)
    return np.exp(-(a @ ((1.0 - b) * rates).T + (1.0 - a) @ (b * rates).T))


def fitted(masks: Bools, effects: Floats) -> Law:
    """The law that makes the effects likeliest; a weak prior holds what nothing tells of."""
    m, scaled = len(effects), (effects - effects.mean()) / max(float(effects.std()), 1e-12)

    prior, apart = np.array([*[-1.5] * masks.shape[1], -6.0]), np.array([*[2.0] * masks.shape[1], 3.0])

    def unlikely(logs: Floats) -> float:
        root = np.linalg.cholesky(kernel(masks, masks, np.exp(logs[:-1])) + (np.exp(logs[-1]) + 1e-8) * np.eye(m))
        ones, white = np.linalg.solve(root, np.stack([np.ones(m), scaled], axis=1)).T
        left = white - ones * (ones @ white) / (ones @ ones)
        return (
            0.5 * m * np.log(left @ left / m + 1e-12)
            + np.log(np.diag(root)).sum()
            + (((logs - prior) / apart) ** 2).sum() / 2
        )

    bounds = [*[(-7, 2)] * masks.shape[1], (-14, 0)]
    found = minimize(unlikely, prior, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return Law(np.exp(found.x[:-1]), float(np.exp(found.x[-1])) + 1e-8)


def by_size(n: int, calls: int, rng: np.random.Generator) -> list[int]:
    """Rows of the empty and the full mask, and of complement pairs of which each size is as probable."""
    rows = [0, 2**n - 1]
    while len(rows) < calls:
        mask = np.isin(np.arange(n), rng.permutation(n)[: rng.integers(1, n)])
        rows += [row for row in rows_of(np.stack([mask, ~mask])).tolist() if row not in rows]
    return rows[:calls]


def spread(
    game: Game, rows: list[int], calls: int, rng: np.random.Generator, law: Callable[[list[int]], Law]
) -> list[int]:
    """More rows, each the one after which the Shapley values vary least; where several are, one of them by chance."""
    while len(rows) < calls:
        rates, noise = law(rows)
        all_to = game.shapley @ kernel(game.masks, game.masks, rates)
        for _ in range(min(EVERY, calls - len(rows))):
            to_rows = kernel(game.masks, game.masks[rows], rates)
            solved = np.linalg.solve(to_rows[rows] + noise * np.eye(len(rows)), to_rows.T)
            gain = ((all_to - (game.shapley @ to_rows) @ solved) ** 2).sum(axis=0)
            gain /= np.maximum(1.0 - (to_rows.T * solved).sum(axis=0), 0.0) + noise
            gain[rows] = -1.0
            rows.append(int(rng.choice(np.flatnonzero(gain >= gain.max() * (1 - 1e-6)))))
    return rows


if __name__ == "__main__":
    main()
