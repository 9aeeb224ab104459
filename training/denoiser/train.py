"""Train a small diffusion model on one or more classes of MNIST, at 14 x 14.

    python -m training.denoiser.train --data mnist.npz --out build/denoiser

One core and about four minutes. The zeros that train it are those that train the demo's VAE, so the demo's reference
and anchors are unseen here too.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from training.digits.train import split
from whygen_experiments.pxgen_mnist0 import Mnist, load_mnist

SIDE = 14
CHANNELS = (12, 24)
STEPS = 3000
BATCH = 64
RATE = 2e-3
KEPT = 0.995
"""Of the running average of the weights, which is what is saved, at each step."""


def pooled(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digits of 28 x 28 at 14 x 14: means of 2 x 2 pixels."""
    blocks = digits.reshape(len(digits), SIDE, 2, SIDE, 2).astype(np.float32)
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)


def training_digits(mnist: Mnist, classes: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
    """What trains: of zeros those that train the demo's VAE, of other classes all of the training set."""
    parts = [mnist.train_images[split(mnist, seed=seed).training]] if 0 in classes else []
    others = [label for label in classes if label != 0]
    parts.append(mnist.train_images[np.isin(mnist.train_labels, others)])
    return pooled(np.concatenate(parts))


def new_network(seed: int) -> diffusers.UNet2DModel:
    """A U-Net of 86,000 weights, untrained."""
    torch.manual_seed(seed)
    return diffusers.UNet2DModel(
        sample_size=SIDE, in_channels=1, out_channels=1, block_out_channels=CHANNELS, layers_per_block=1,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, norm_num_groups=4,
        time_embedding_dim=32, add_attention=False,
    )  # fmt: skip


def train(digits: NDArray[np.uint8], *, seed: int, steps: int = STEPS, told: bool = False) -> diffusers.DDPMPipeline:
    """A pipeline that has learned digits ``(n, 14, 14)``: the loss of Ho et al. (2020), Adam, averaged weights."""
    network, scheduler = new_network(seed), diffusers.DDPMScheduler()
    averaged = copy.deepcopy(network)
    samples = torch.from_numpy(digits[:, None].astype(np.float32) / 127.5 - 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps, pct_start=0.05)
    rng = torch.Generator().manual_seed(seed)
    for step in range(steps):
        some = samples[torch.randint(len(samples), (BATCH,), generator=rng)]
        noise = torch.randn(some.shape, generator=rng)
        times = torch.randint(scheduler.config.num_train_timesteps, (BATCH,), generator=rng)
        answer: Any = network(scheduler.add_noise(some, noise, times), times)
        loss = (answer.sample - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        with torch.no_grad():
            for kept, new in zip(averaged.parameters(), network.parameters(), strict=True):
                kept.lerp_(new, 1 - min(KEPT, step / (step + 10)))
        if told and step % 500 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return diffusers.DDPMPipeline(averaged, scheduler)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small diffusion model on digits.")
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz, or a folder of idx files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--classes", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    digits = training_digits(load_mnist(given.data), given.classes, seed=given.seed)
    print(f"{len(digits):,} digits")
    train(digits, seed=given.seed, steps=given.steps, told=True).save_pretrained(given.out)
    print(f"{time.process_time() - started:.0f} s of the processor; saved in {given.out}")


if __name__ == "__main__":
    main()
