# pyright: basic
"""Planted defects: does PXGen's conformal p-value find them, and VAE-TracIn's self-influence, and in what time?

A VAE (METHODS B5) is trained on MNIST zeros among which digits of other classes, noise and noisy zeros are hidden;
every method ranks the training set by suspicion. The reference of the p-values is clean, or holds 5% of the same
defects. Both sides are computed in batches on one thread; the published loop is timed on a few samples. Duplicates
are another matter, the memorisation gap's: two VAEs, each trained on a half, some zeros many times over.

``python -m benchmarks influence --data FOLDER`` on an otherwise idle machine.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks import record
from benchmarks.vaes import Floats, Numbers, auroc, chance, criteria, fit, flat, means, over_seeds, timed
from whygen.stats import conformal
from whygen.stats.seeds import generator
from whygen_experiments.influence import Checkpoint, looped_self_influence, negative_elbo, self_influence
from whygen_experiments.mlp_vae import MlpVae
from whygen_experiments.pxgen_mnist0 import TRAINED, Mnist, load_mnist

SEEDS = (1, 2, 3)
ALPHA = 0.025
KINDS = ("foreign class", "noise", "noisy zero")
CLEAN, CONTAMINATED = "clean", "5% contaminated"
Scorer = Callable[[], Numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is trained and planted; the figures are those of the defaults."""

    training: int = 4000
    planted: int = 80
    """Of each kind."""
    reference: int = 1900
    epochs: int = 35
    every: int = 7
    looped: int = 20
    copies: int = 10
    duplicated: int = 60
    unique: int = 2000


@dataclass(frozen=True, slots=True)
class Planted:
    """A training set and what each of its samples is: "" for a zero as it should be."""

    samples: Floats
    kind: np.ndarray
    references: dict[str, Floats]


def plant(mnist: Mnist, seed: int, size: Size) -> Planted:
    """Zeros with defects among them, shuffled, and references that share no sample with them."""
    rng = generator(seed, "plant")
    zeros = rng.permutation(flat(mnist.zeros))
    contaminating = int(0.05 * size.reference)
    needed = size.planted + -(-contaminating // len(KINDS))
    parts = _defects(mnist, zeros[: 2 * needed], rng, needed)
    zeros = zeros[needed:]
    clean = size.training - len(KINDS) * size.planted
    samples = np.concatenate([zeros[:clean], *(part[: size.planted] for part in parts.values())])
    kind = np.repeat(["", *parts], [clean, *([size.planted] * len(parts))])
    order = rng.permutation(len(samples))
    reference = zeros[clean : clean + size.reference]
    fresh = np.concatenate([part[size.planted :] for part in parts.values()])[:contaminating]
    references = {CLEAN: reference, CONTAMINATED: np.concatenate([fresh, reference[len(fresh) :]])}
    return Planted(samples[order], kind[order], references)


def _defects(mnist: Mnist, zeros: Floats, rng: np.random.Generator, count: int) -> dict[str, Floats]:
    others = flat(mnist.train_images[rng.permutation(np.flatnonzero(mnist.train_labels != TRAINED))[:count]])
    noise = rng.random((count, others.shape[1]), dtype=np.float32)
    noisy = np.clip(zeros[:count] + 0.2 * rng.standard_normal(others.shape, dtype=np.float32), 0, 1)
    return dict(zip(KINDS, (others, noise, noisy), strict=True))


def defects(mnist: Mnist, seed: int, size: Size) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One row a method and reference for one seed, and how the loop compares."""
    planted = plant(mnist, seed, size)
    module, checkpoints = fit(planted.samples, seed, epochs=size.epochs, every=size.every)
    rows = []
    for method, reference, scorer in _methods(planted, module, checkpoints, seed):
        found, seconds = timed(scorer)
        row = {"method": method, "reference": reference, "seed": seed, "seconds": seconds}
        row |= {kind: _against_clean(found, planted.kind, [kind]) for kind in KINDS}
        row["all"] = _against_clean(found, planted.kind, KINDS)
        if method.startswith("conformal"):
            low = np.exp(-found) <= ALPHA
            row |= {"caught": float(low[planted.kind != ""].mean()), "false": float(low[planted.kind == ""].mean())}
        rows.append(row)
    return rows, _loop(planted, checkpoints[-1:], seed, size.looped)


def _against_clean(scores: Numbers, kind: np.ndarray, kinds: Sequence[str]) -> float:
    among = (kind == "") | np.isin(kind, kinds)
    return auroc(scores[among], kind[among] != "")


def _methods(
    planted: Planted, module: MlpVae, checkpoints: list[Checkpoint], seed: int
) -> list[tuple[str, str, Scorer]]:
    """Name, reference and a call that ranks by suspicion; everything a method needs is computed in its call."""
    samples = planted.samples

    def rng() -> np.random.Generator:
        return generator(seed, "influence")

    methods: list[tuple[str, str, Scorer]] = [
        ("conformal (smaller p-value)", name, lambda reference=reference: suspicion(module, samples, reference, seed))
        for name, reference in planted.references.items()
    ]
    return [
        *methods,
        ("self-influence, last checkpoint", "none", lambda: self_influence(checkpoints[-1:], samples, rng=rng())),
        (f"self-influence, {len(checkpoints)} checkpoints", "none",
         lambda: self_influence(checkpoints, samples, rng=rng())),
        ("self-influence, last checkpoint, squared error", "none",
         lambda: self_influence(checkpoints[-1:], samples, rng=rng(), loss="squared-error")),
        ("loss only", "none", lambda: negative_elbo(module, samples, rng=rng())),
        ("nearest neighbour", "none", lambda: nearest(samples)),
        ("random", "none", lambda: rng().random(len(samples))),
    ]  # fmt: skip


def suspicion(module: MlpVae, samples: Floats, reference: Floats, seed: int) -> Numbers:
    """-log of the smaller of the two conformal p-values: below alpha by one criterion is low affinity."""
    values, known = (criteria(module, part, seed=seed).mean(axis=0) for part in (samples, reference))
    each = [conformal.p_values(known[:, c], values[:, c]) for c in range(values.shape[1])]
    return -np.log(np.min(each, axis=0))


def nearest(samples: Floats) -> Numbers:
    """Distance in pixels to the nearest other sample."""
    search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(samples)
    return search.kneighbors(samples)[0][:, 1].astype(np.float64)


def _loop(planted: Planted, checkpoints: list[Checkpoint], seed: int, count: int) -> dict[str, Any]:
    """Time and agreement; in single precision a hidden unit at a kink of its activation may fall on either side."""
    samples = planted.samples[:count]

    def rng() -> np.random.Generator:
        return generator(seed, "influence")

    looped, slow = timed(lambda: looped_self_influence(checkpoints, samples, rng=rng()))
    batched, fast = timed(lambda: self_influence(checkpoints, planted.samples, rng=rng()))
    double = [replace(each, module=copy.deepcopy(each.module).double()) for each in checkpoints]
    exact = self_influence(double, samples, rng=rng()) / looped_self_influence(double, samples, rng=rng())
    return {
        "seed": seed,
        "milliseconds a sample, looped": 1000 * slow / count,
        "milliseconds a sample, vectorised": 1000 * fast / len(planted.samples),
        "ratio": (slow / count) / (fast / len(planted.samples)),
        "largest relative difference": float(np.abs(batched[:count] / looped - 1).max()),
        "largest relative difference, double precision": float(np.abs(exact - 1).max()),
    }


def duplicates(mnist: Mnist, seed: int, size: Size) -> list[dict[str, Any]]:
    """AUROC for zeros that were trained on many times over, ranked once each.

    The gap of a sample is its loss by the VAE that was trained without it minus that by the one trained with it:
    a cross-validated estimate in two folds (van den Burg and Williams 2021, arXiv 2106.03216).
    """
    zeros = generator(seed, "duplicates").permutation(flat(mnist.zeros))[: size.unique]
    duplicated = np.arange(len(zeros)) < size.duplicated
    first = np.arange(len(zeros)) % 2 == 0
    times = np.where(duplicated, size.copies, 1)
    modules = [
        fit(np.repeat(zeros[half], times[half], axis=0), seed, epochs=size.epochs)[0] for half in (first, ~first)
    ]
    loss = np.stack([negative_elbo(module, zeros, rng=generator(seed, "influence")) for module in modules])
    within, without = np.where(first, loss[0], loss[1]), np.where(first, loss[1], loss[0])
    own = np.empty(len(zeros))
    for module, half in zip(modules, (first, ~first), strict=True):
        own[half] = suspicion(module, zeros[half], zeros[~half], seed)
    scores = {
        "memorisation gap": without - within,
        "low loss by the model trained with it": -within,
        "conformal, against the other half": own,
        "nearest neighbour among the samples, once each": -nearest(zeros),
        "random": generator(seed, "random").random(len(zeros)),
    }
    return [{"method": name, "seed": seed, "duplicates": auroc(found, duplicated)} for name, found in scores.items()]


def run(data: Path, *, seeds: Sequence[int] = SEEDS, size: Size | None = None) -> dict[str, Any]:
    size, mnist = size or Size(), load_mnist(data)
    rows, loops, copied = [], [], []
    for seed in seeds:
        print(f"seed {seed}", flush=True)
        found, loop = defects(mnist, seed, size)
        rows += found
        loops.append(loop)
        copied += duplicates(mnist, seed, size)
    return {
        "size": {name: getattr(size, name) for name in size.__slots__},
        "seeds": list(seeds),
        "defects": over_seeds(rows, ("method", "reference"), (*KINDS, "all", "seconds")),
        "conformal at alpha": over_seeds(
            [row for row in rows if "caught" in row], ("method", "reference"), ("caught", "false")
        ),
        "loop": loops,
        "duplicates": over_seeds(copied, ("method",), ("duplicates",)),
        "chance": chances(size),
        "rows": rows,
        "met": _met(rows, loops),
    }


def chances(size: Size) -> list[dict[str, Any]]:
    planted = len(KINDS) * size.planted
    tasks = {"defects, all": (planted, size.training - planted)}
    tasks["duplicates"] = (size.duplicated, size.unique - size.duplicated)
    return [
        {"task": task, **dict(zip(("low", "high"), chance(*counts), strict=True))} for task, counts in tasks.items()
    ]


def _met(rows: list[dict[str, Any]], loops: list[dict[str, Any]]) -> dict[str, bool]:
    def mean(method: str, figure: str, reference: str | None = None) -> float:
        return float(np.mean([
            row[figure] for row in rows
            if row["method"].startswith(method) and reference in (None, row["reference"])
        ]))  # fmt: skip

    ours, theirs = "conformal", "self-influence, last checkpoint"
    best = max(mean(name, "all") for name in {row["method"] for row in rows} if name.startswith("self-influence"))
    return {
        "finds at least as much, clean reference": mean(ours, "all", CLEAN) >= best,
        "finds at least as much, contaminated reference": mean(ours, "all", CONTAMINATED) >= best,
        "in less time": mean(ours, "seconds") < mean(theirs, "seconds"),
        "vectorised is exact": max(each["largest relative difference"] for each in loops) < 1e-4,
    }


def main(data: Path | None = None) -> None:
    if data is None:
        raise SystemExit("Give the folder of mnist.npz with --data.")
    import torch

    torch.set_num_threads(1)
    figures = run(data)
    record.write("influence", figures, seed=SEEDS[0])
    for table in ("defects", "conformal at alpha", "duplicates"):
        print(record.table(means(figures[table])), "\n")
    print(figures["loop"], figures["met"])


if __name__ == "__main__":
    main()
