# pyright: basic
"""What PXGen computes, measured on the paper's VAE of MNIST zeros (METHODS B5), for one seed.

``whygen reproduce pxgen-mnist0`` is the full size, N = 60,000 and R = 100, over three seeds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.vaes import Floats, Numbers, fit, flat, summary
from whygen.anchors.calibration import conformal, mean_max
from whygen.anchors.selection import k_center, k_medoids
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen_experiments.mlp_vae import MlpVae
from whygen_experiments.pxgen_mnist0 import TRAINED, TRAINING, Mnist, load_mnist

Row = dict[str, Any]
SEED = 1
STARTS = 5
EPOCHS = 35
DRAWS = 8
PER_ROUND = (100, 1000, 10_000)
ROUNDS = 10
ALPHA = 0.025
PICKS = 10
GROUP = 400
NAMES = ("kld", "sse")


def findings(data: Path, *, seed: int = SEED, epochs: int = EPOCHS) -> dict[str, list[Row]]:
    """Every figure of the anchor side; shares with Wilson's 95% interval over the samples, for this one model."""
    mnist = load_mnist(data)
    zeros = flat(mnist.zeros)
    module, _ = fit(zeros[:TRAINING], seed, epochs=epochs)
    test = flat(mnist.test_images)
    is_zero = mnist.test_labels == TRAINED
    rng = generator(seed, "audit")
    anchors = [scored(module, test, rng) for _ in range(2)]
    made = scored(module, generated(module, ROUNDS * max(PER_ROUND), rng), rng)
    held = scored(module, zeros[TRAINING:], rng)
    limits, rows = thresholds(made, held, anchors[0][is_zero])
    for row, limit in zip(rows, limits, strict=True):
        high = _known(anchors[0], limit)
        row |= {"zeros HIHE, %": _percent(high[is_zero]), "other digits HIHE, %": _percent(high[~is_zero])}
    widest = limits[len(PER_ROUND) - 1]
    return {
        "thresholds": rows,
        "redraw": [
            _redraw("mean-max, one draw", anchors, widest),
            _redraw("conformal, one draw", anchors, limits[-1]),
            _averaged(module, test, held=zeros[TRAINING:], rng=rng),
        ],
        "loader": _loader(module, test, is_zero, anchors[0], widest, rng),
        "easy": [_median(name, values) for name, values in (
            ("generated, decoder means", made), ("zeros of the training set, not trained on", held),
            ("zeros of the test set", anchors[0][is_zero]))],
        "centers": centers(mnist),
    }  # fmt: skip


@torch.no_grad()
def generated(module: MlpVae, count: int, rng: np.random.Generator) -> Floats:
    """Decoder means of standard normal latents, ``(count, values)``, as the published rule takes them."""
    latents = rng.standard_normal((count, module.latent_dim), dtype=np.float32)
    return np.concatenate([module.decode(torch.from_numpy(part)).numpy() for part in np.array_split(latents, 20)])


@torch.no_grad()
def scored(module: MlpVae, samples: Floats, rng: np.random.Generator) -> Numbers:
    """KLD and summed squared error under one posterior draw each, ``(n, 2)``: the published criteria."""
    parts = []
    for part in np.array_split(samples, max(1, len(samples) // 5000)):
        x = torch.from_numpy(part)
        mean, logvar = module.encode(x)
        noise = torch.from_numpy(rng.standard_normal(tuple(mean.shape), dtype=np.float32))
        again = module.decode(mean + torch.exp(logvar / 2) * noise)
        kld = -0.5 * (1 + logvar - mean**2 - torch.exp(logvar)).sum(dim=1)
        parts.append(torch.stack([kld, ((again - x) ** 2).sum(dim=1)], dim=1).numpy())
    return np.concatenate(parts).astype(np.float64)


def thresholds(made: Numbers, held: Numbers, zeros: Numbers) -> tuple[list[Numbers], list[Row]]:
    """Mean-max by N, and conformal on held-out zeros: limits ``(2,)``, and how many samples lie above them.

    The zeros set none of the limits.
    """
    rules = {}
    for size in PER_ROUND:
        rounds = made[: ROUNDS * size].reshape(ROUNDS, size, -1).max(axis=1)
        rules[f"mean-max, N = {size:,}, R = {ROUNDS}"] = mean_max(rounds, names=NAMES, per_round=size)
    rules[f"conformal, level {ALPHA} per criterion"] = conformal(held, names=NAMES, alpha=ALPHA)
    limits = [np.array([each.value for each in rule.thresholds]) for rule in rules.values()]
    rows: list[Row] = [
        {"rule": name, "kld": float(limit[0]), "sse": float(limit[1]),
         "generated above (sse), %": _percent(made[:, 1] >= limit[1]),
         "test zeros above (kld), %": _percent(zeros[:, 0] >= limit[0]),
         "test zeros above (sse), %": _percent(zeros[:, 1] >= limit[1])}
        for name, limit in zip(rules, limits, strict=True)
    ]  # fmt: skip
    return limits, rows


def _known(values: Numbers, limit: Numbers) -> NDArray[np.bool_]:
    """Which samples are HIHE: strictly below both limits, as published."""
    return np.asarray((values < limit).all(axis=1))


def _percent(which: NDArray[np.bool_]) -> Row:
    low, high = wilson(int(which.sum()), len(which))
    return {"mean": 100 * float(which.mean()), "low": 100 * low, "high": 100 * high}


def _redraw(name: str, draws: list[Numbers], limit: Numbers) -> Row:
    """How many of the anchors change group when the posterior is drawn again."""
    flips = np.any((draws[0] < limit) != (draws[1] < limit), axis=1)
    return {"thresholds": name, "anchors": len(flips), "change group, %": _percent(flips)}


def _averaged(module: MlpVae, test: Floats, *, held: Floats, rng: np.random.Generator) -> Row:
    """The same with criteria averaged over posterior draws, as the default takes them."""
    twice = [np.mean([scored(module, test, rng) for _ in range(DRAWS)], axis=0) for _ in range(2)]
    known = np.mean([scored(module, held, rng) for _ in range(DRAWS)], axis=0)
    rule = conformal(known, names=NAMES, alpha=ALPHA)
    limit = np.array([each.value for each in rule.thresholds])
    return _redraw(f"conformal, mean of {DRAWS} draws", twice, limit)


def _loader(
    module: MlpVae, test: Floats, is_zero: NDArray[np.bool_], as_is: Numbers, limit: Numbers, rng: np.random.Generator
) -> list[Row]:
    """Test zeros called HIHE by mean-max when grey is kept, and when every grey value becomes white."""
    white = scored(module, (test > 0).astype(np.float32), rng)
    return [
        {"anchors": name, "zeros HIHE, %": _percent(_known(values[is_zero], limit)),
         "other digits HIHE, %": _percent(_known(values[~is_zero], limit))}
        for name, values in (("grey as it is", as_is), ("every grey value white", white))
    ]  # fmt: skip


def _median(name: str, values: Numbers) -> Row:
    return {"samples": name, "median kld": float(np.median(values[:, 0])), "median sse": float(np.median(values[:, 1]))}


def centers(mnist: Mnist) -> list[Row]:
    """What k-medoids (the published "k-center") and k-center reach on the same pictures, on both objectives."""
    points = flat(mnist.test_images[mnist.test_labels == TRAINED])[:GROUP].astype(np.float64)
    picks = {
        "k-medoids by Voronoi iteration": [
            k_medoids(points, PICKS, rng=generator(start, "medoids"), solver="voronoi").indices
            for start in range(STARTS)
        ],
        "k-center, greedy": [k_center(points, PICKS).indices],
    }
    return [
        {"what runs": name, "points": len(points), "picks": PICKS, "starts": len(runs),
         "largest L2 distance to a pick": summary([_to_picks(points, run, 2).max() for run in runs]),
         "mean L1 distance to a pick": summary([_to_picks(points, run, 1).mean() for run in runs])}
        for name, runs in picks.items()
    ]  # fmt: skip


def _to_picks(points: Numbers, picks: NDArray[np.int64], order: int) -> Numbers:
    return np.stack([np.linalg.norm(points - points[pick], ord=order, axis=1) for pick in picks]).min(axis=0)
