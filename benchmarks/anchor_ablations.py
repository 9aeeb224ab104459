# pyright: basic
"""What the groups of anchors depend on: the threshold rule, the criteria, and which anchors were chosen.

On the paper's VAE of MNIST zeros (METHODS B5), three training seeds. Stability is measured over repeats that redraw
everything a second run would: posterior noise, generated samples, and which half of the held-out zeros calibrates.

- rules: mean-max, percentile and std, by generations (rounds of 1,000 generated samples), one independent draw each
  as in the paper; mean-max by samples a round too, at equal samples in all; conformal so, and with 8 shared draws.
- criteria: one by one and together, conformal.
- anchors: how many, and chosen how; against what all 10,000 test digits show.

``python -m benchmarks anchor_ablations --data FOLDER``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks import record
from benchmarks.vaes import Floats, Numbers, auroc, fit, flat, means, over_seeds
from whygen import lab
from whygen.anchors.calibration import Calibration, conformal, deviations, mean_max, percentile
from whygen.anchors.diagnostics import coverage
from whygen.anchors.groups import GROUPS, assign
from whygen.anchors.loading import settle
from whygen.anchors.scoring import NoiseKind
from whygen.anchors.selection import k_dispersion, nearest_pick
from whygen.models import LatentModel, load_latent
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen_experiments.pxgen_mnist0 import TRAINED, TRAINING, Mnist, load_mnist

SEEDS = (1, 2, 3)
GENERATIONS = (5, 10, 20, 50, 100)
PER_ROUND = 1000
ALPHA = 0.025
RULES = ("mean-max", "percentile 95", "percentile 99", "std 2")
CONFORMAL: tuple[tuple[str, int, NoiseKind], ...] = (
    ("conformal, 1 independent draw", 1, "independent"),
    ("conformal, 1 shared draw", 1, "shared"),
    ("conformal, 8 shared draws", 8, "shared"),
)
CRITERIA = ("kld", "sse", "dssim")
KINDS = {"kld": "intrinsic", "sse": "extrinsic", "dssim": "extrinsic"}
PICKS = 8
Verdict = tuple[NDArray[Any], Numbers]
"""Group of each anchor, and the thresholds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    training: int = TRAINING
    epochs: int = 35
    anchors: int = 2000
    repeats: int = 5
    subsets: int = 20
    generations: tuple[int, ...] = GENERATIONS
    counts: tuple[int, ...] = (50, 100, 300, 1000, 3000)
    biased: int = 1000


def scored(
    model: LatentModel, samples: Floats, what: str, *, names: str, draws: int, seed: int, kind: NoiseKind = "shared"
) -> Numbers:
    """Criteria under every draw, ``(S, n, c)``; ``what`` tells independent noise of two sets apart."""
    return lab.scores(model, samples, criteria=names, draws=draws, seed=seed, kind=kind, stream=what)


def rounds_of(model: LatentModel, like: Floats, *, rounds: int, seed: int) -> Numbers:
    """Criteria of generated samples, one independent draw each as in the paper, ``(rounds, PER_ROUND, 2)``."""
    made = lab.generated(model, like, rounds=rounds, per_round=PER_ROUND, seed=seed)
    return np.stack([np.concatenate(list(each)) for each in made])


def calibrated(rule: str, made: Numbers) -> Calibration:
    """The rule on generated values ``(rounds, n, 2)``."""
    names, pool = ("kld", "sse"), made.reshape(-1, made.shape[2])
    if rule == "mean-max":
        return mean_max(made.max(axis=1), names=names, per_round=made.shape[1])
    kind, number = rule.split()
    return (
        percentile(pool, names=names, q=float(number))
        if kind == "percentile"
        else deviations(pool, names=names, count=float(number))
    )


def stability(verdicts: Sequence[Verdict], zeros: NDArray[np.bool_]) -> dict[str, float]:
    """How much repeats agree, what they say of zeros and others, and how far thresholds move."""
    codes = [codes for codes, _ in verdicts]
    limits = np.stack([limits for _, limits in verdicts])
    pairs = list(combinations(codes, 2))
    return {
        "flip rate": float(np.mean([(one != other).mean() for one, other in pairs])),
        "adjusted Rand": float(np.mean([adjusted_rand_score(one, other) for one, other in pairs])),
        "threshold spread": float((limits.std(axis=0, ddof=1) / np.abs(limits.mean(axis=0))).mean()),
        "zeros high": float(np.mean([(each[zeros] == 0).mean() for each in codes])),
        "others high": float(np.mean([(each[~zeros] == 0).mean() for each in codes])),
    }


def rules(model: LatentModel, anchors: Floats, zeros: NDArray[np.bool_], held_out: Floats, size: Size) -> list[Any]:
    """One row a rule and number of generations."""
    verdicts: dict[tuple[str, int, int], list[Verdict]] = {}
    for repeat in range(size.repeats):
        values = scored(model, anchors, "anchors", names="kld,sse", draws=1, seed=repeat, kind="independent")
        made = rounds_of(model, anchors[:1], rounds=max(size.generations), seed=repeat)
        for rule, generations, shaped in _settings(made, size):
            verdicts.setdefault((rule, generations, shaped.shape[1]), []).append(
                _judge(values, calibrated(rule, shaped))
            )
        for name, draws, kind in CONFORMAL:
            found = _judge(
                *_conformal(model, anchors, held_out, names="kld,sse", draws=draws, repeat=repeat, kind=kind)
            )
            verdicts.setdefault((name, 0, 0), []).append(found)
    return [
        {"rule": rule, "generations": generations, "samples each": each, **stability(found, zeros)}
        for (rule, generations, each), found in verdicts.items()
    ]


def _settings(made: Numbers, size: Size) -> Iterator[tuple[str, int, Numbers]]:
    for rule in RULES:
        for generations in size.generations:
            yield rule, generations, made[:generations]
    for each in (100, 10 * PER_ROUND):  # as many samples in all, in smaller and larger rounds
        if made.shape[0] * PER_ROUND >= 2 * each:
            yield "mean-max", made.shape[0] * PER_ROUND // each, made.reshape(-1, each, made.shape[2])


def _judge(values: Numbers, calibration: Calibration) -> Verdict:
    codes = assign(calibration.high(values), kinds=("intrinsic", "extrinsic"))
    return codes, np.array([each.value for each in calibration.thresholds])


def _conformal(
    model: LatentModel,
    anchors: Floats,
    held_out: Floats,
    *,
    names: str,
    draws: int,
    repeat: int,
    kind: NoiseKind = "shared",
) -> tuple[Numbers, Calibration]:
    """Values of the anchors, and a calibration on half of the held-out zeros, another half each repeat."""
    half = held_out[generator(repeat, "half").permutation(len(held_out))[: len(held_out) // 2]]
    values, known = (
        scored(model, samples, what, names=names, draws=draws, seed=repeat, kind=kind)
        for samples, what in ((anchors, "anchors"), (half, "reference"))
    )
    return values, conformal(known, names=tuple(names.split(",")), alpha=ALPHA)


def criteria(model: LatentModel, anchors: Floats, zeros: NDArray[np.bool_], held_out: Floats, size: Size) -> list[Any]:
    """One row a set of criteria; a group is the pattern of criteria that are high, and "high" is all of them."""
    found = [
        _conformal(model, anchors, held_out, names=",".join(CRITERIA), draws=8, repeat=repeat)
        for repeat in range(size.repeats)
    ]
    rows = []
    for count in range(1, len(CRITERIA) + 1):
        for chosen in combinations(range(len(CRITERIA)), count):
            columns = list(chosen)
            verdicts, areas = [], []
            for values, calibration in found:
                low = ~calibration.high(values)[:, columns]
                limits = np.array([calibration.thresholds[c].value for c in columns])
                verdicts.append((low @ (2 ** np.arange(count)), limits))
                areas.append(auroc(-calibration.p_values(values)[:, columns].min(axis=1), ~zeros))
            name = " and ".join(CRITERIA[c] for c in columns)
            rows.append({"criteria": name, "AUROC": float(np.mean(areas)), **stability(verdicts, zeros)})
    return rows


def anchor_sets(model: LatentModel, mnist: Mnist, held_out: Floats, size: Size, *, seed: int) -> list[Any]:
    """How well a subset of the test digits tells what all of them tell, by its size and by how it was chosen."""
    everything, labels = flat(mnist.test_images), mnist.test_labels
    values, calibration = _conformal(model, everything, held_out, names="kld,sse", draws=8, repeat=seed)
    codes, _ = _judge(values, calibration)
    truth = _Truth(everything, codes, labels == TRAINED, held_out)
    rng = generator(seed, "subsets")
    return [
        {"anchors": name, "count": count, **_mean_of([truth.quality(choice(rng)) for _ in range(size.subsets)])}
        for name, count, choice in _choices(everything, labels, size)
    ]


def _choices(
    images: Floats, labels: NDArray[Any], size: Size
) -> Iterator[tuple[str, int, Callable[[np.random.Generator], NDArray[Any]]]]:
    """Name, size, and a draw of a subset. Biased ones: half zeros, heavy strokes, one foreign class, no zeros."""
    ink = images.sum(axis=1)
    pools = {
        "half zeros": None,
        "heavy strokes only": np.flatnonzero(ink > np.median(ink)),
        "zeros and ones only": np.flatnonzero(np.isin(labels, (TRAINED, 1))),
        "no zeros": np.flatnonzero(labels != TRAINED),
    }
    for count in size.counts:
        yield "random", count, lambda rng, count=count: rng.choice(len(images), count, replace=False)
    zeros, others, half = np.flatnonzero(labels == TRAINED), np.flatnonzero(labels != TRAINED), size.biased // 2
    for name, pool in pools.items():
        if pool is None:
            yield (
                name,
                2 * half,
                lambda rng: np.concatenate(
                    [rng.choice(zeros, half, replace=False), rng.choice(others, half, replace=False)]
                ),
            )
        else:
            yield name, size.biased, lambda rng, pool=pool: rng.choice(pool, min(size.biased, len(pool)), replace=False)


@dataclass(slots=True)
class _Truth:
    """What all anchors show."""

    images: Floats
    codes: NDArray[Any]
    zeros: NDArray[np.bool_]
    held_out: Floats

    def quality(self, rows: NDArray[Any]) -> dict[str, float]:
        """Of a subset: error of the shares, whether Wilson's intervals hold them, zeros high, coverage, picks."""
        shares, found = (np.bincount(codes, minlength=4) / len(codes) for codes in (self.codes, self.codes[rows]))
        held = [
            low <= share <= high
            for share, (low, high) in zip(
                shares, (wilson(round(each * len(rows)), len(rows)) for each in found), strict=True
            )
        ]
        inside = self.zeros[rows]
        return {
            "error of shares": float(np.abs(shares - found).sum() / 2),
            "intervals that hold": float(np.mean(held)),
            "zeros high, error": float(
                abs((self.codes[rows][inside] == 0).mean() - (self.codes[self.zeros] == 0).mean())
            )
            if inside.any()
            else float("nan"),
            "coverage of held-out zeros": coverage(self.held_out, self.images[rows]).share,
            "distance of HIHE to its picks": self._reach(rows),
        }

    def _reach(self, rows: NDArray[Any]) -> float:
        """Mean distance of all HIHE anchors to the nearest of the subset's picks in pixels."""
        members = rows[self.codes[rows] == GROUPS.index("HIHE")]
        if not len(members):
            return float("nan")
        picks = members[k_dispersion(self.images[members], PICKS).indices]
        known = self.images[self.codes == GROUPS.index("HIHE")]
        together = np.concatenate([known, self.images[picks]])
        return float(nearest_pick(together, np.arange(len(known), len(together)))[0][: len(known)].mean())


def _mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
            for name in rows[0] for values in [np.array([row[name] for row in rows])]}  # fmt: skip


def run(data: Path, *, seeds: Sequence[int] = SEEDS, size: Size | None = None) -> dict[str, Any]:
    size, mnist = size or Size(), load_mnist(data)
    held_out = flat(mnist.zeros[TRAINING:])
    tables: dict[str, list[Any]] = {"rules": [], "criteria": [], "anchors": []}
    for seed in seeds:
        print(f"seed {seed}", flush=True)
        module = fit(flat(mnist.zeros[: size.training]), seed, epochs=size.epochs)[0]
        anchors, zeros = _some_anchors(mnist, seed, size)
        model = settle(load_latent(module), anchors)
        tables["rules"] += rules(model, anchors, zeros, held_out, size)
        tables["criteria"] += criteria(model, anchors, zeros, held_out, size)
        tables["anchors"] += anchor_sets(model, mnist, held_out, size, seed=seed)
    by = {"rules": ("rule", "generations", "samples each"), "criteria": ("criteria",), "anchors": ("anchors", "count")}
    return {
        "size": {name: getattr(size, name) for name in size.__slots__},
        "seeds": list(seeds),
        **{
            name: over_seeds(rows, by[name], [each for each in rows[0] if each not in by[name]])
            for name, rows in tables.items()
        },
    }


def _some_anchors(mnist: Mnist, seed: int, size: Size) -> tuple[Floats, NDArray[np.bool_]]:
    """Test digits, half of them zeros as far as they go."""
    rng = generator(seed, "anchors")
    inside, outside = (rng.permutation(np.flatnonzero(kind)) for kind in (mnist.test_labels == TRAINED,
                       mnist.test_labels != TRAINED))  # fmt: skip
    inside = inside[: size.anchors // 2]
    rows = np.concatenate([inside, outside[: size.anchors - len(inside)]])
    return flat(mnist.test_images[rows]), mnist.test_labels[rows] == TRAINED


def main(data: Path | None = None) -> None:
    if data is None:
        raise SystemExit("Give the folder of mnist.npz with --data.")
    import torch

    torch.set_num_threads(1)
    figures = run(data)
    record.write("anchor_ablations", figures, seed=SEEDS[0])
    for table in ("rules", "criteria", "anchors"):
        print(record.table(means(figures[table])), "\n")


if __name__ == "__main__":
    main()
