"""Train the VAE of the demo on MNIST zeros, and pick the digits that it is tried by.

    python -m training.digits.train --data mnist.npz --out build/digits

One core and a few minutes. The zeros of the training set are shuffled and cut in two: 1,000 are the reference, the
others train the network. Anchors are test digits, 150 of each class; zeros of the test set that are none choose the
network (`training.digits.evaluate`).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn import functional

from whygen.demo.digits import IMAGES, LATENT, TRAINED_CLASS, WEIGHTS, WIDTH
from whygen.demo.digits.vae import DigitsVae
from whygen.stats.seeds import generator
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

REFERENCE = 1000
"""With 600 the thresholds moved so much from one reference to another that 6% of the verdicts did, too."""
EACH = 150
"""Anchors of each class."""
BATCH = 64
RATE = 2e-3
WARMUP = 0.1
"""Share of the training in which the rate rises; afterwards it falls to nothing as a cosine does."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of MNIST's training set that train and are held out; test digits that are anchors, zeros that are not."""

    training: Rows
    reference: Rows
    anchors: Rows
    spare: Rows


def split(mnist: Mnist, *, seed: int) -> Split:
    """The parts, without a sample in common."""
    zeros = generator(seed, "digits", "split").permutation(np.flatnonzero(mnist.train_labels == TRAINED_CLASS))
    reference, training = np.split(zeros, [REFERENCE])
    rng = generator(seed, "digits", "anchors")
    each = [rng.permutation(np.flatnonzero(mnist.test_labels == label))[:EACH] for label in range(10)]
    anchors = rng.permutation(np.concatenate(each)).astype(np.int64)
    spare = np.setdiff1d(np.flatnonzero(mnist.test_labels == TRAINED_CLASS), anchors)
    return Split(training, reference, anchors, spare)


def loss(module: DigitsVae, samples: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    """Cross-entropy summed over the pixels plus the KLD, averaged over the samples, in nats."""
    mean, logvar = module.encode(samples)
    draw = torch.randn(mean.shape, generator=noise)
    logits = module.logits(mean + torch.exp(logvar / 2) * draw)
    reconstruction = functional.binary_cross_entropy_with_logits(logits, samples, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mean.square() - logvar.exp())
    return (reconstruction + divergence) / len(samples)


def train(images: NDArray[np.uint8], held: NDArray[np.uint8], *, epochs: int, seed: int) -> DigitsVae:
    """The VAE after that many epochs, by Adam with one cycle of the rate; one thread, so that cores change nothing."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    module = DigitsVae(width=WIDTH, latent=LATENT)
    samples, unseen = tensor(images), tensor(held)
    noise = torch.Generator().manual_seed(seed)
    steps = epochs * (len(samples) // BATCH)
    optimiser = torch.optim.Adam(module.parameters(), lr=RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1, pct_start=WARMUP)
    start = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(samples))[: steps // epochs * BATCH].split(BATCH):
            error = loss(module, samples[rows], noise)
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            rate.step()
            total += error.item()
        if epoch % 10 == 9 or epoch == epochs - 1:
            with torch.no_grad():
                validated = loss(module, unseen, torch.Generator().manual_seed(seed)).item()
            mean = total / (steps // epochs)
            print(
                f"epoch {epoch + 1}: {mean:.2f} nats, {validated:.2f} unseen, {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return module.eval()


def tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images[:, None].astype(np.float32) / 255)


def save(module: DigitsVae, mnist: Mnist, parts: Split, out: Path) -> None:
    """Weights in half precision and images as they are, without pickle."""
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in module.state_dict().items()}, out / WEIGHTS)
    np.savez_compressed(
        out / IMAGES,
        reference=mnist.train_images[parts.reference],
        reference_rows=parts.reference.astype(np.uint16),
        anchors=mnist.test_images[parts.anchors],
        anchor_rows=parts.anchors.astype(np.uint16),
        labels=mnist.test_labels[parts.anchors].astype(np.uint8),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz, or a folder of MNIST's idx files")
    parser.add_argument("--out", type=Path, default=Path("build/digits"))
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    mnist = load_mnist(given.data)
    parts = split(mnist, seed=given.seed)
    module = train(
        mnist.train_images[parts.training], mnist.test_images[parts.spare], epochs=given.epochs, seed=given.seed
    )
    save(module, mnist, parts, given.out)
    for file in (WEIGHTS, IMAGES):
        print(f"{given.out / file}: {(given.out / file).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
