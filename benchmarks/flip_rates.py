# pyright: basic
"""Mean flip rates against what another reference of real samples does, on models of MNIST.

Two VAEs (METHODS B5) are trained on a part of their class, so that thousands of samples are left for references that
do not overlap: one knows zeros and is asked of all digits (most anchors are foreign, as in the demo), one knows all
digits and is asked of the same (anchors are like the reference). For each size of reference pairs of disjoint ones are
drawn; the first calibrates and says a flip rate, the second, with posterior draws of its own, says what really changes.
``same draws`` keeps the draws, and ``counted`` is the closed form beside it: of an anchor that k of n reach, how many
of another n do is beta-binomial, whatever the law.
Target: said within a quarter of seen. ``python -m benchmarks flip_rates --data FOLDER``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import betabinom

from benchmarks import record
from benchmarks.vaes import NAMES, criteria, flat
from whygen.anchors.calibration import Calibration, conformal
from whygen.anchors.groups import assign, group
from whygen.stats.conformal import rank_at
from whygen.stats.seeds import generator
from whygen_experiments.mlp_vae import Schedule, Sizes, train_mlp_vae
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

ALPHA, KINDS = 0.025, ("intrinsic", "extrinsic")
REFERENCES = (39, 100, 400, 600, 1_000)
PAIRS, REPLICATES, ANCHORS = 100, 20, 1_500
SIZES = Sizes(hidden=200, latent=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Criteria ``(S, n, 2)`` of held-out samples and of anchors, each by two sets of posterior draws."""

    held: tuple[np.ndarray, np.ndarray]
    anchors: tuple[np.ndarray, np.ndarray]


def scored(mnist: Mnist, *, zeros: bool) -> Scored:
    """Held-out samples of the trained class, and test digits as anchors."""
    own = mnist.zeros if zeros else mnist.train_images
    seen, held = (own[:2_000], own[2_000:]) if zeros else (own[:8_000], own[8_000:14_000])
    model = train_mlp_vae(flat(seen), seed=1, sizes=SIZES, schedule=Schedule(epochs=20))
    parts = flat(held), flat(mnist.test_images[:ANCHORS])
    once, again = ([criteria(model, part, seed=seed) for part in parts] for seed in (0, 1))
    return Scored(held=(once[0], again[0]), anchors=(once[1], again[1]))


def counted(one: Calibration, values: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> float:
    """The flip rate by counts alone: how many of another reference reach each anchor, criteria drawn apart."""
    basis, n = one.basis.mean(axis=0), one.n
    rank, flips = rank_at(n, ALPHA), 0.0
    reach = np.stack([(basis[:, None, c] >= values[None, :, c]).sum(axis=0) for c in range(values.shape[1])], axis=1)
    under = np.stack([(basis[:, None, c] <= values[None, :, c]).sum(axis=0) for c in range(values.shape[1])], axis=1)
    high, low = (1 - betabinom.cdf(rank - 1, n, k + 0.5, n - k + 0.5) for k in (reach, under))
    for _ in range(REPLICATES):
        drawn = rng.random((2, *values.shape))
        flips += float((assign(drawn[0] < high, kinds=KINDS, below=drawn[1] > low) != codes).mean())
    return flips / REPLICATES


def cell(name: str, scores: Scored, n: int) -> dict[str, Any]:
    rng, rows = generator(0, "flips", name, n), list[tuple[float, ...]]()
    first, second = scores.anchors
    for _ in range(PAIRS):
        order = rng.permutation(scores.held[0].shape[1])
        one, same, two = (
            conformal(scores.held[draws][:, part], names=NAMES, alpha=ALPHA)
            for draws, part in ((0, order[:n]), (0, order[n : 2 * n]), (1, order[n : 2 * n]))
        )
        found = group(first, kinds=KINDS, calibration=one, rng=rng, replicates=REPLICATES)
        changed = [
            float((assign(other.high(values), kinds=KINDS, below=other.below(values)) != found.codes).mean())
            for other, values in ((two, second), (same, first))
        ]
        rows.append((found.mean_flip_rate, *changed, counted(one, first.mean(axis=0), found.codes, rng)))
    said, seen, same_draws, by_counts = np.mean(rows, axis=0).tolist()
    error = float(np.std([row[1] for row in rows], ddof=1) / np.sqrt(PAIRS))
    return {
        "model": name, "reference": n, "said": said, "seen": seen, "standard error": error,
        "same draws": same_draws, "counted": by_counts,
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    if data is None:
        raise SystemExit("Give the folder of mnist.npz with --data.")
    torch.set_num_threads(1)
    mnist, rows = load_mnist(data), list[dict[str, Any]]()
    for name, zeros in (("zeros, asked of all digits", True), ("all digits, asked of the same", False)):
        scores = scored(mnist, zeros=zeros)
        rows += [cell(name, scores, n) for n in REFERENCES]
    record.write("flip_rates", {"pairs": PAIRS, "rows": rows}, seed=0)
    print(record.table(rows))


if __name__ == "__main__":
    main()
