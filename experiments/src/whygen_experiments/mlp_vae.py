# pyright: basic
"""The paper's VAE of fully connected layers, and its training: for the demo and for `whygen reproduce` (METHODS B5).

This file needs torch; it is imported by whoever trains.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

SLOPE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Layers of the VAE: values of a sample, hidden units of each of the two layers, latent dimensions."""

    values: int = 784
    hidden: int = 400
    latent: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How it is trained; the defaults are the paper's. ``weight`` is that of the KLD."""

    epochs: int = 35
    batch: int = 50
    rate: float = 1e-3
    weight: float = 1.0


class MlpVae(nn.Module):
    """784-400-400-(200, 200)-400-400-784 by default, LeakyReLU .2 between, a sigmoid at the end.

    States what whygen wants to know of a model: the shape of a sample, its range, the size of the latent.
    """

    value_range = (0.0, 1.0)

    def __init__(self, sizes: Sizes | None = None, *, uri: str = "mlp-vae") -> None:
        super().__init__()
        sizes = sizes or Sizes()
        self.sample_shape = (sizes.values,)
        self.latent_dim = sizes.latent
        self.uri = uri
        self.trunk = _two_layers(sizes.values, sizes.hidden)
        self.mean = nn.Linear(sizes.hidden, sizes.latent)
        self.logvar = nn.Linear(sizes.hidden, sizes.latent)
        self.generator = nn.Sequential(*_two_layers(sizes.latent, sizes.hidden), nn.Linear(sizes.hidden, sizes.values))

    def encode(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.trunk(samples)
        return self.mean(hidden), self.logvar(hidden)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.generator(latents))


def train_mlp_vae(
    data: NDArray[np.float32],
    *,
    seed: int,
    sizes: Sizes | None = None,
    schedule: Schedule | None = None,
    uri: str = "mlp-vae",
    device: str | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
    watch: Callable[[int, MlpVae], None] | None = None,
) -> MlpVae:
    """A VAE trained on the sum of binary cross-entropy and KLD; the caller's torch generator is left as it was.

    Args:
        data: ``(n, values)`` between 0 and 1.
        seed: of weights, order and noise.
        sizes: of the layers.
        schedule: epochs, batch, rate, weight.
        uri: what the model is called in reports.
        device: where to train; None: the CPU.
        after_epoch: is told the epoch and its mean loss in nats.
        watch: is shown the epoch and the model as it is after it; a copy is a checkpoint.
    """
    schedule = schedule or Schedule()
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        module = MlpVae(sizes or Sizes(values=data.shape[1]), uri=uri).to(device or "cpu")
        samples = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32)).to(device or "cpu")
        optimizer = torch.optim.Adam(module.parameters(), lr=schedule.rate)
        for epoch in range(schedule.epochs):
            total = sum(
                _step(module, optimizer, samples[rows], schedule.weight)
                for rows in torch.randperm(len(samples)).split(schedule.batch)
            )
            if after_epoch is not None:
                after_epoch(epoch, total / len(samples))
            if watch is not None:
                watch(epoch, module)
    return module.eval()


def _step(module: MlpVae, optimizer: torch.optim.Optimizer, samples: torch.Tensor, weight: float) -> float:
    mean, logvar = module.encode(samples)
    noise = torch.randn(mean.shape).to(mean.device)
    logits = module.generator(mean + torch.exp(logvar / 2) * noise)
    reconstruction = functional.binary_cross_entropy_with_logits(logits, samples, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mean.square() - logvar.exp())
    loss = reconstruction + weight * divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@contextmanager
def _one_thread() -> Generator[None]:
    """Layers so small train faster on one thread, much faster on a busy machine; and cores do not change the result."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _two_layers(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, hidden), nn.LeakyReLU(SLOPE))
