# pyright: basic
"""Planted copies: images repeated 1, 5, 20 and 50 times in training. Does the lower tail find them?

Each family is trained on 1,500 zeros of MNIST (14 x 14) that occur once and 400 planted ones, 100 a level. All 400 are
then asked about as training anchors beside 400 zeros never seen (held-out: they set the 5%) and 400 more that are in
neither (fresh: what the rate of false positives really is). Rivals read the model's own samples: the distance to the
nearest of them, and that distance over the one to the nearest other training image, by which AuthPct (Alaa et al. 2022,
arXiv 2102.08921) calls a sample copied; beside them stand AuthPct itself and the C_T test (Meehan et al. 2020,
arXiv 2004.05675), which say one number of a model.

A GAN and a diffusion model that are trained for half a minute know none of so many images by heart, and nothing can be
found in them. So both are trained on few images as well ("..., few images"): 300 that occur once and 50 a level, for
10,000 steps.

``python -m benchmarks planted_copies --data FOLDER``, or ``python -m benchmarks.planted_copies FOLDER vae gan:2``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import whygen
from benchmarks import record
from benchmarks.vaes import Floats, Numbers
from whygen.anchors.options import AnchorOptions
from whygen.models.denoisers.loading import of_network
from whygen.models.latent import Generator
from whygen.stats.auroc import auroc
from whygen.stats.conformal import p_values
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen_experiments.mlp_vae import Schedule, Sizes, train_mlp_vae
from whygen_experiments.pxgen_mnist0 import load_mnist

SEEDS = (1, 2, 3)
LEVELS = (1, 5, 20, 50)
EACH, BASE, HELD, FRESH = 100, 1500, 400, 400
FEW = {"each": 50, "base": 300}
FEW_STEPS = 10_000
RATE = 0.05
GENERATED = 4000
SIDE = 14
STEPS = {"gan": 3000, "diffusion": 3000, "autoregressive": 3000}
QUICK = AnchorOptions(replicates=5, controls="none")


@dataclass(frozen=True, slots=True)
class Planted:
    """A training set with copies, and what is asked about; images are rows between 0 and 1."""

    training: Floats
    planted: Floats
    """``(400, 196)``: 100 of each level, or 50 where images are few."""
    held: Floats
    fresh: Floats
    reference: Floats

    @property
    def asked(self) -> Floats:
        return np.concatenate([self.planted, self.held, self.fresh])


@dataclass(frozen=True, slots=True)
class Trained:
    """A model as scores of samples by name (low: well known), and samples that it made."""

    scores: Callable[[Planted], Mapping[str, Numbers]]
    samples: Floats


def plant(images: np.ndarray, seed: int, *, each: int = EACH, base: int = BASE) -> Planted:
    """Zeros halved in size, split at random; copies follow each other nowhere."""
    halved = images.reshape(-1, SIDE, 2, SIDE, 2).mean(axis=(2, 4)).reshape(len(images), -1) / 255
    rows = generator(seed, "planted copies").permutation(halved.astype(np.float32))
    ends = np.cumsum([base, len(LEVELS) * each, HELD, FRESH])
    once, planted, held, fresh, reference = np.split(rows, ends)
    times = np.repeat(LEVELS, each)
    training = np.concatenate([once, np.repeat(planted, times, axis=0)])
    return Planted(generator(seed, "order").permutation(training), planted, held, fresh, reference[:300])


# --- families ------------------------------------------------------------------------------------------------------


def vae(planted: Planted, seed: int) -> Trained:
    module = train_mlp_vae(
        planted.training, seed=seed, sizes=Sizes(values=SIDE**2, hidden=256, latent=32), schedule=Schedule(epochs=30)
    )

    def scores(planted: Planted) -> Mapping[str, Numbers]:
        found = explained(module, planted, "kld,sse,iw-elbo")
        return {**found, "kld + sse": found["kld"] + found["sse"]}

    with torch.inference_mode():
        latents = torch.from_numpy(generator(seed, "samples").standard_normal((GENERATED, 32), dtype=np.float32))
        return Trained(scores, module.decode(latents).numpy())


def gan(planted: Planted, seed: int, steps: int = STEPS["gan"]) -> Trained:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        make = nn.Sequential(*_layers(32, 256, SIDE**2), nn.Sigmoid())
        judge = nn.Sequential(*_layers(SIDE**2, 256, 1))
        turns = [torch.optim.Adam(each.parameters(), lr=2e-4, betas=(0.5, 0.9)) for each in (make, judge)]
        data = torch.from_numpy(planted.training)
        for _ in range(steps):
            real = data[torch.randint(len(data), (128,))]
            made = make(torch.randn(128, 32))
            loss = (functional.softplus(-judge(real)) + functional.softplus(judge(made.detach()))).mean()
            _step(turns[1], loss)
            _step(turns[0], functional.softplus(-judge(made)).mean())
        with torch.inference_mode():
            samples = make(torch.randn(GENERATED, 32)).numpy()
    return Trained(lambda planted: by_samples(samples, planted), samples)


class Denoising(nn.Module):
    """Takes noise for what it is, by two hidden layers and the time as sines."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(*_layers(SIDE**2 + 32, 512, SIDE**2))

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        angles = time.reshape(-1, 1).float() * torch.exp(-0.5 * torch.arange(16))
        angles = angles.expand(len(x), -1)
        return self.net(torch.cat([x.flatten(1), angles.sin(), angles.cos()], dim=1)).reshape(x.shape)


def diffusion(planted: Planted, seed: int, steps: int = STEPS["diffusion"]) -> Trained:
    betas = torch.linspace(1e-4, 0.05, 200)
    kept = torch.cumprod(1 - betas, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Denoising()
        step, data = torch.optim.Adam(network.parameters(), lr=1e-3), 2 * torch.from_numpy(planted.training) - 1
        for at in range(steps):
            step.param_groups[0]["lr"] = 1e-3 * (1 - at / steps) + 1e-5
            clean, time_ = data[torch.randint(len(data), (128,))], torch.randint(200, (128,))
            noise, alpha = torch.randn_like(clean), kept[time_][:, None]
            _step(step, (network(alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, time_) - noise).square().mean())
    denoiser = of_network(network.eval(), kept.numpy(), uri="denoising", shape=(SIDE**2,))

    def scores(planted: Planted) -> Mapping[str, Numbers]:
        asked, rng = 2 * planted.asked - 1, generator(seed, "noise")
        noises = rng.standard_normal((8, 1, SIDE**2), dtype=np.float32)
        by_level = [
            np.mean([denoiser.loss(asked, level, each) for each in noises], axis=0) for level in denoiser.levels
        ]
        return {
            "denoising, all noise": np.mean(by_level, axis=0),
            "denoising, low noise": np.mean(by_level[:3], axis=0),
        }

    made = denoiser.sample(GENERATED // 2, generator(seed, "samples"))
    return Trained(scores, np.clip((made.reshape(len(made), -1) + 1) / 2, 0, 1).astype(np.float32))


class Masked(nn.Module):
    """A masked autoencoder for distribution estimation (Germain et al. 2015): each pixel from those before."""

    def __init__(self, hidden: int = 512) -> None:
        super().__init__()
        n = SIDE**2
        degree = torch.arange(hidden) % (n - 1)
        self.masks = ((degree[:, None] >= torch.arange(n)).float(), (degree[:, None] >= degree).float(),
                      (torch.arange(n)[:, None] > degree).float())  # fmt: skip
        self.layers = nn.ModuleList([nn.Linear(n, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, n)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for place, (layer, mask) in enumerate(zip(self.layers, self.masks, strict=True)):
            x = functional.linear(x, layer.weight * mask, layer.bias)
            x = torch.relu(x) if place < 2 else x
        return x


def autoregressive(planted: Planted, seed: int) -> Trained:
    def binary(images: Floats) -> torch.Tensor:
        return (torch.from_numpy(images) > 0.5).float()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Masked()
        step, data = torch.optim.Adam(network.parameters(), lr=1e-3), binary(planted.training)
        for _ in range(STEPS["autoregressive"]):
            some = data[torch.randint(len(data), (128,))]
            _step(step, functional.binary_cross_entropy_with_logits(network(some), some, reduction="sum") / 128)
        samples = torch.zeros(GENERATED, SIDE**2)
        with torch.inference_mode():
            for pixel in range(SIDE**2):
                samples[:, pixel] = torch.bernoulli(torch.sigmoid(network(samples)[:, pixel]))

    def log_prob(x: Floats) -> Numbers:
        with torch.inference_mode():
            known = binary(x)
            lost = functional.binary_cross_entropy_with_logits(network(known), known, reduction="none")
            return -lost.sum(dim=1).double().numpy()

    model = Generator(log_prob=log_prob, shape=(SIDE**2,), uri="masked")
    return Trained(lambda planted: explained(model, planted, "nll,nll-complexity"), samples.numpy())


FAMILIES: Mapping[str, Callable[[Planted, int], Trained]] = {
    "vae": vae, "gan": gan, "diffusion": diffusion, "autoregressive": autoregressive,
    "gan, few images": partial(gan, steps=FEW_STEPS), "diffusion, few images": partial(diffusion, steps=FEW_STEPS),
}  # fmt: skip


def _layers(inside: int, hidden: int, outside: int) -> list[nn.Module]:
    return [nn.Linear(inside, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outside)]


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def explained(model: object, planted: Planted, criteria: str) -> dict[str, Numbers]:
    """The criteria as `explain_anchors` has them."""
    found = whygen.explain_anchors(
        model, {"training": planted.planted, "held-out": planted.held, "foreign": planted.fresh},
        reference=planted.reference, criteria=criteria, cache=None, preset=QUICK,
    )  # fmt: skip
    return {each.name: found.evidence.values[:, place] for place, each in enumerate(found.criteria)}


def by_samples(samples: Floats, planted: Planted) -> dict[str, Numbers]:
    """The criteria of what is known by its samples alone."""
    return explained(samples.reshape(-1, SIDE**2), planted, "nearest-sample,realism")


# --- rivals --------------------------------------------------------------------------------------------------------


def rivals(samples: Floats, planted: Planted) -> dict[str, Numbers]:
    """What reads the model's samples alone: low means copied."""
    nearest = _distances(planted.asked, samples).min(axis=1)
    known = np.unique(planted.training, axis=0)
    own = np.sort(_distances(planted.asked, known), axis=1)
    is_known = np.arange(len(planted.asked)) < len(planted.planted)
    other = np.where(is_known, own[:, 1], own[:, 0])  # never to itself
    return {"nearest sample, plain": nearest, "AuthPct's ratio": nearest / other}


def of_model(samples: Floats, planted: Planted) -> dict[str, float]:
    """AuthPct and C_T: one number for a model each.

    AuthPct: share of samples that are not nearer to their nearest training image than that is to another one. C_T: z of
    the Mann-Whitney test that samples lie as far from the training set as held-out images do; below -1.64: copying.
    """
    known = np.unique(planted.training, axis=0)
    apart = _distances(samples, known)
    at = apart.argmin(axis=1)
    between = _distances(known, known)
    np.fill_diagonal(between, np.inf)
    authentic = float((apart.min(axis=1) >= between.min(axis=1)[at]).mean())
    fresh = np.concatenate([planted.held, planted.fresh])
    held = _distances(fresh, known).min(axis=1)
    n, m = len(samples), len(held)
    area = auroc(held, apart.min(axis=1))[0]
    return {"authpct": authentic, "c_t": float((area - 0.5) * n * m / np.sqrt(n * m * (n + m + 1) / 12))}


def _distances(one: Floats, other: Floats) -> Floats:
    squares = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))


# --- figures -------------------------------------------------------------------------------------------------------


def measured(family: str, name: str, seed: int, values: Numbers) -> list[dict[str, Any]]:
    """Recall of each level at 5% false positives, and how many fresh images are called so."""
    planted, held, fresh = np.split(values, [len(values) - HELD - FRESH, len(values) - FRESH])
    each = len(planted) // len(LEVELS)
    called = p_values(-held, -np.concatenate([planted, fresh])) <= RATE
    false = float(called[len(planted) :].mean())
    return [
        {
            "family": family, "criterion": name, "seed": seed, "copies": level, "found": int(part.sum()),
            "of": each, "auroc": auroc(planted[place * each : (place + 1) * each], held)[0], "false": false,
        }
        for place, (level, part) in enumerate(zip(LEVELS, np.split(called[: len(planted)], len(LEVELS)), strict=True))
    ]  # fmt: skip


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a criterion: recall over all seeds with Wilson's interval, which takes images as independent."""
    found: list[dict[str, Any]] = []
    for family, name in dict.fromkeys((row["family"], row["criterion"]) for row in rows):
        own = [row for row in rows if (row["family"], row["criterion"]) == (family, name)]
        line: dict[str, Any] = {"family": family, "criterion": name, "seeds": len({row["seed"] for row in own})}
        for level in LEVELS:
            here = [row for row in own if row["copies"] == level]
            hits, n = sum(row["found"] for row in here), sum(row.get("of", EACH) for row in here)
            low, high = wilson(hits, n)
            line[f"x{level}"] = {"mean": hits / n, "low": low, "high": high}
        line["auroc50"] = float(np.mean([row["auroc"] for row in own if row["copies"] == LEVELS[-1]]))
        line["false"] = float(np.mean([row["false"] for row in own]))
        found.append(line)
    return found


def run(data: Path | None, families: list[str]) -> None:
    """Families by name; what is kept is not run again. One seed of one, ``vae:2``, is, in the place of what is kept."""
    zeros = load_mnist(data).zeros
    kept = record.figures("planted_copies")
    rows, models = kept.get("rows", []), kept.get("models", [])
    for family, _, only in (each.partition(":") for each in families):
        for seed in (int(only),) if only else SEEDS:
            rest = [[row for row in each if (row["family"], row["seed"]) != (family, seed)] for each in (rows, models)]
            if not only and len(rest[1]) < len(models):
                continue
            rows, models = rest
            planted, began = plant(zeros, seed, **(FEW if "few" in family else {})), time.process_time()
            trained = FAMILIES[family](planted, seed)
            seconds = time.process_time() - began
            scores = {**trained.scores(planted), **rivals(trained.samples, planted)}
            if not family.startswith("gan"):
                scores |= by_samples(trained.samples, planted)
            for name, values in scores.items():
                rows += measured(family, name, seed, values)
            models.append({"family": family, "seed": seed, "seconds": seconds, **of_model(trained.samples, planted)})
            record.write("planted_copies", {"rows": rows, "models": models, "table": summarised(rows)}, seed=SEEDS[0])
            print(f"{family}, seed {seed}: trained in {seconds:.0f} s of processor time", flush=True)
    for line in summarised(rows):
        cells = "  ".join(f"x{level} {line[f'x{level}']['mean']:.2f}" for level in LEVELS)
        print(f"{line['family']:22} {line['criterion']:24} {cells}  AUROC x50 {line['auroc50']:.2f}  "
              f"fresh {line['false']:.3f}")  # fmt: skip


def main(data: Path | None = None) -> None:
    run(data, list(FAMILIES))


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:] or list(FAMILIES))
