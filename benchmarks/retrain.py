# pyright: basic
"""Retrain without: which training samples, left out at equal number, change a VAE most, and which least?

A VAE (smaller than that of METHODS B5) is trained on MNIST digits of all classes; each order names the 10, 30 or 50%
to leave out; a new VAE is trained on the rest with the same seed and epochs. Its samples are compared with those of
the first and with digits that nobody trained on, in the features of a digit classifier trained here. Every figure
stands beside random removal of the same number, seed by seed. ``python -m benchmarks retrain --data FOLDER``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import record
from benchmarks.influence import nearest, suspicion
from benchmarks.vaes import Floats, Numbers, fit, flat, means, over_seeds, timed
from whygen.anchors.diagnostics import coverage
from whygen.anchors.selection import farthest_first
from whygen.anchors.set_metrics import fid
from whygen.stats.seeds import generator
from whygen_experiments.influence import Checkpoint, negative_elbo, self_influence
from whygen_experiments.mlp_vae import MlpVae, Sizes
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

SEEDS = (1, 2, 3)
FIGURES = ("frechet to the first model", "frechet to held-out digits", "coverage of held-out digits", "held-out loss")
NOTHING, RANDOM = "nothing, another seed", "random"
Features = Callable[[Floats], Numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    training: int = 2000
    reference: int = 1000
    held_out: int = 2000
    samples: int = 2000
    epochs: int = 30
    every: int = 6
    hidden: int = 200
    latent: int = 20
    reader: int = 20_000
    reader_epochs: int = 6
    removed: tuple[float, ...] = (0.1, 0.3, 0.5)

    @property
    def layers(self) -> Sizes:
        return Sizes(hidden=self.hidden, latent=self.latent)


def features(mnist: Mnist, size: Size) -> tuple[Features, float]:
    """The 32 features before the answer of a digit classifier 784-256-32-10, and its accuracy on test digits."""
    images, labels = torch.from_numpy(flat(mnist.train_images[-size.reader :])), mnist.train_labels[-size.reader :]
    targets = torch.from_numpy(labels.astype(np.int64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 32), nn.ReLU())
        head = nn.Linear(32, 10)
        optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-3)
        for _ in range(size.reader_epochs):
            for rows in torch.randperm(len(images)).split(128):
                optimizer.zero_grad()
                nn.functional.cross_entropy(head(body(images[rows])), targets[rows]).backward()
                optimizer.step()

    @torch.inference_mode()
    def encode(samples: Floats) -> Numbers:
        return body(torch.from_numpy(samples)).double().numpy()

    with torch.inference_mode():
        read = head(torch.from_numpy(encode(flat(mnist.test_images))).float()).argmax(dim=1).numpy()
    return encode, float((read == mnist.test_labels).mean())


@torch.inference_mode()
def draw(module: MlpVae, count: int, seed: int) -> Floats:
    """Samples of the VAE: means of the decoder at standard normal latents."""
    latents = generator(seed, "samples").standard_normal((count, module.latent_dim), dtype=np.float32)
    return module.decode(torch.from_numpy(latents)).numpy()


def orders(
    module: MlpVae, checkpoints: list[Checkpoint], training: Floats, reference: Floats, *, seed: int
) -> tuple[dict[str, Numbers], dict[str, float]]:
    """By name what each sample scores, the highest to be left out first, and the seconds it took."""

    def rng() -> np.random.Generator:
        return generator(seed, "influence")

    tasks: dict[str, Callable[[], Numbers]] = {
        "PXGen, lowest p-value": lambda: suspicion(module, training, reference, seed),
        "PXGen, all but representatives": lambda: _picked(training),
        "self-influence": lambda: self_influence(checkpoints, training, rng=rng()),
        "loss": lambda: negative_elbo(module, training, rng=rng()),
        "nearest neighbour": lambda: nearest(training),
        RANDOM: lambda: rng().random(len(training)),
    }
    found = {name: timed(task) for name, task in tasks.items()}
    scores = {name: score for name, (score, _) in found.items()}
    ended = {f"{name}, {end} first": sign * scores[name] for name in ("PXGen, lowest p-value", "self-influence", "loss",
             "nearest neighbour") for end, sign in (("high", 1), ("low", -1))}  # fmt: skip
    ended = {name.replace("lowest p-value, high", "least").replace("lowest p-value, low", "most known"): score
             for name, score in ended.items()}  # fmt: skip
    rest = {name: scores[name] for name in ("PXGen, all but representatives", RANDOM)}
    return ended | rest, {name: seconds for name, (_, seconds) in found.items()}


def _picked(samples: Floats) -> Numbers:
    """Place in the farthest-first order of k-dispersion (pixels, as published): the last come off first."""
    places = np.empty(len(samples))
    places[farthest_first(samples, len(samples)).picks] = np.arange(len(samples))
    return places


def one_seed(mnist: Mnist, encode: Features, seed: int, size: Size) -> tuple[list[dict[str, Any]], dict[str, float]]:
    rng = generator(seed, "retrain")
    images = flat(mnist.train_images[rng.permutation(len(mnist.train_images) - size.reader)])
    training, reference = images[: size.training], images[size.training : size.training + size.reference]
    held_out = flat(mnist.test_images[rng.permutation(len(mnist.test_images))[: size.held_out]])
    module, checkpoints = fit(training, seed, epochs=size.epochs, every=size.every, sizes=size.layers)
    first, known = encode(draw(module, size.samples, seed)), encode(held_out)

    def judged(name: str, removed: float, kept: Floats, *, trained: int = seed) -> dict[str, Any]:
        again = fit(kept, trained, epochs=size.epochs, sizes=size.layers)[0]
        made = encode(draw(again, size.samples, seed + 1000))
        loss = negative_elbo(again, held_out, rng=generator(seed, "held-out"), draws=4).mean()
        figures = (fid(first, made), fid(known, made), coverage(known, made).normalised, float(loss))
        return {"order": name, "removed": removed, "seed": seed, **dict(zip(FIGURES, figures, strict=True))}

    rows = [judged(NOTHING, 0.0, training, trained=seed + 100)]
    scores, seconds = orders(module, checkpoints, training, reference, seed=seed)
    for name, score in scores.items():
        ranking = np.argsort(-score, kind="stable")
        rows += [judged(name, share, training[np.sort(ranking[int(share * len(ranking)) :])]) for share in size.removed]
        print(f"seed {seed}: {name}", flush=True)
    return rows, seconds


def beside_random(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each figure minus that of random removal of as many with the same seed: mean and paired interval."""
    chance = {(row["removed"], row["seed"]): row for row in rows if row["order"] == RANDOM}
    paired = [
        {**row, **{name: row[name] - chance[row["removed"], row["seed"]][name] for name in FIGURES}}
        for row in rows
        if row["order"] not in (RANDOM, NOTHING)
    ]
    return over_seeds(paired, ("order", "removed"), FIGURES)


def run(
    data: Path, *, seeds: Sequence[int] = SEEDS, size: Size | None = None, keep: Callable[[dict[str, Any]], Any] = id
) -> dict[str, Any]:
    """All figures; ``keep`` is given what is known after each seed."""
    size, mnist = size or Size(), load_mnist(data)
    encode, accuracy = features(mnist, size)
    rows, seconds, figures = [], [], {}
    for seed in seeds:
        found, taken = one_seed(mnist, encode, seed, size)
        rows += found
        seconds.append(taken)
        figures = {
            "size": {name: getattr(size, name) for name in size.__slots__},
            "seeds": sorted({row["seed"] for row in rows}),
            "accuracy of the classifier": accuracy,
            "curves": over_seeds(rows, ("order", "removed"), FIGURES),
            "minus random": beside_random(rows),
            "seconds to order": {name: float(np.mean([each[name] for each in seconds])) for name in taken},
            "rows": rows,
        }
        keep(figures)
    return figures


def main(data: Path | None = None) -> None:
    if data is None:
        raise SystemExit("Give the folder of mnist.npz with --data.")
    torch.set_num_threads(1)
    figures = run(data, keep=lambda known: record.write("retrain", known, seed=SEEDS[0]))
    print(record.table(means(figures["curves"])))


if __name__ == "__main__":
    main()
