# pyright: basic
"""Small generators of other families than VAEs: a GAN and an autoregressive model of 14 x 14, a flow of any size.

This file needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

SIDE = 14
VALUES = SIDE * SIDE
T = TypeVar("T")
EDGE = 0.05
"""Pixels are squeezed by so much on both sides before the flow takes their logit."""
LATENT = 16
SLOPE = 0.2
SMOOTH = 0.9
"""What the discriminator is told of real pictures."""


def halved(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures of 28 x 28 as means over 2 x 2 pixels, between 0 and 1: ``(n, 14, 14)``."""
    n = len(images)
    return images.reshape(n, SIDE, 2, SIDE, 2).mean(axis=(2, 4), dtype=np.float32) / np.float32(255)


class GanGenerator(nn.Module):
    """16-96-192-196, a sigmoid at the end."""

    latent_dim = LATENT
    sample_shape = (1, SIDE, SIDE)
    value_range = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 96), nn.LeakyReLU(SLOPE), nn.Linear(96, 192), nn.LeakyReLU(SLOPE), nn.Linear(192, VALUES)
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents ``(n, 16)`` to pictures ``(n, 1, 14, 14)``."""
        return self.layers(latents).sigmoid().reshape(-1, 1, SIDE, SIDE)


class Made(nn.Module):
    """Each pixel by those before it, black or white: 196-160-196 with masked weights.

    Source: Germain et al. 2015 (arXiv 1502.03509).
    """

    sample_shape = (VALUES,)
    value_range = (0.0, 1.0)

    def __init__(self, hidden: int = 160) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(VALUES, hidden), nn.Linear(hidden, VALUES)
        order = torch.arange(VALUES)
        unit = torch.arange(hidden) * (VALUES - 1) // hidden
        self.register_buffer("sees", (unit[:, None] >= order).float(), persistent=False)
        self.register_buffer("says", (order[:, None] > unit).float(), persistent=False)

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Of each pixel being white, given those before it."""
        hidden = functional.relu(functional.linear(pixels, self.first.weight * self.sees, self.first.bias))
        return functional.linear(hidden, self.last.weight * self.says, self.last.bias)

    def log_prob(self, samples: torch.Tensor) -> torch.Tensor:
        """Of pictures ``(n, 196)``, cut at one half."""
        pixels = (samples > 0.5).float()
        return -functional.binary_cross_entropy_with_logits(self.logits(pixels), pixels, reduction="none").sum(dim=1)

    def sample(self, n: int) -> torch.Tensor:
        """Pixel by pixel."""
        pixels = torch.zeros(n, VALUES)
        for place in range(VALUES):
            pixels[:, place] = torch.bernoulli(self.logits(pixels)[:, place].sigmoid())
        return pixels


class Coupling(nn.Module):
    """One half of the values moves and scales the other half, by two hidden layers."""

    def __init__(self, moved: torch.Tensor, hidden: int) -> None:
        super().__init__()
        self.register_buffer("moved", moved)
        n = len(moved)
        self.net = nn.Sequential(
            nn.Linear(n, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2 * n)
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def parts(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log of the scale, and the shift, both 0 where nothing moves."""
        scale, shift = self.net(values * (1 - self.moved)).chunk(2, dim=1)
        return 2 * torch.tanh(scale / 2) * self.moved, shift * self.moved


class Flow(nn.Module):
    """RealNVP (Dinh et al. 2017, arXiv 1605.08803) of logits of pixels, by random halves.

    Densities are of bytes as parts of 256: each picture stands at the middle of its bins.
    """

    value_range = (0.0, 1.0)

    def __init__(self, couplings: int = 6, hidden: int = 96, *, values: int = VALUES) -> None:
        super().__init__()
        self.sample_shape = (values,)
        halves = [(torch.randperm(values) < values // 2).float() for _ in range(couplings // 2)]
        self.couplings = nn.ModuleList([Coupling(each, hidden) for half in halves for each in (half, 1 - half)])
        self.register_buffer("middle", torch.zeros(values))
        self.register_buffer("spread", torch.ones(values))

    def start(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of pixels between 0 and 1."""
        return torch.logit(EDGE + (1 - 2 * EDGE) * pixels)

    def log_prob(self, samples: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Of pictures ``(n, values)`` between 0 and 1; ``noise`` in training spreads each byte over its bin."""
        pixels = (samples * 255 + (0.5 if noise is None else noise)) / 256
        values = self.start(pixels)
        squeezed = EDGE + (1 - 2 * EDGE) * pixels
        change = (np.log(1 - 2 * EDGE) - torch.log(squeezed) - torch.log1p(-squeezed)).sum(dim=1)
        values = (values - self.middle) / self.spread
        change = change - torch.log(self.spread).sum()
        for coupling in self.couplings:
            scale, shift = coupling.parts(values)
            values = values * torch.exp(scale) + shift
            change = change + scale.sum(dim=1)
        return change - 0.5 * (values.square() + np.log(2 * np.pi)).sum(dim=1) - len(self.middle) * np.log(256)

    def sample(self, n: int) -> torch.Tensor:
        """Normal latents back through the couplings."""
        values = torch.randn(n, len(self.middle))
        for coupling in reversed(self.couplings):
            scale, shift = coupling.parts(values)
            values = (values - shift) * torch.exp(-scale)
        values = values * self.spread + self.middle
        return ((torch.sigmoid(values) - EDGE) / (1 - 2 * EDGE)).clamp(0, 1)


def train_flow(images: NDArray[np.float32], *, seed: int, epochs: int = 40, batch: int = 64) -> Flow:
    """The likelihood of pixels with noise over their bins, Adam 1e-3 falling to 0, gradients cut at norm 50."""
    data = torch.from_numpy(images.reshape(len(images), -1))
    noise = torch.Generator().manual_seed(seed)
    module = _seeded(partial(Flow, values=data.shape[1]), seed)
    seen = module.start((data * 255 + torch.rand(data.shape, generator=noise)) / 256)
    module.middle.copy_(seen.mean(dim=0))
    module.spread.copy_(seen.std(dim=0).clamp(min=0.3))  # borders that are always black would weigh without end
    steps = epochs * -(-len(data) // batch)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        some = data[torch.randint(len(data), (batch,), generator=noise)]
        loss = -module.log_prob(some, torch.rand(some.shape, generator=noise)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 50.0)
        optimiser.step()
        schedule.step()
    return module.eval()


def train_gan(images: NDArray[np.float32], *, seed: int, steps: int = 4000, batch: int = 64) -> GanGenerator:
    """Non-saturating losses, Adam 2e-4 with momentum .5, noise on what the discriminator sees."""
    noise, made = torch.Generator().manual_seed(seed), _seeded(GanGenerator, seed)
    judge = _seeded(_judge, seed + 1)
    data = torch.from_numpy(images.reshape(len(images), VALUES))
    of_made, of_judge = (torch.optim.Adam(each.parameters(), lr=2e-4, betas=(0.5, 0.999)) for each in (made, judge))
    for step in range(steps):
        blur = 0.1 * (1 - step / steps)
        real = data[torch.randint(len(data), (batch,), generator=noise)]
        fake = made(torch.randn(batch, LATENT, generator=noise)).reshape(batch, VALUES)
        seen = [each + blur * torch.randn(batch, VALUES, generator=noise) for each in (real, fake.detach())]
        on_real, on_fake = (judge(each) for each in seen)
        loss = _entropy(on_real, SMOOTH) + _entropy(on_fake, 0.0)
        of_judge.zero_grad()
        loss.backward()
        of_judge.step()
        loss = _entropy(judge(fake + blur * torch.randn(batch, VALUES, generator=noise)), 1.0)
        of_made.zero_grad()
        loss.backward()
        of_made.step()
    return made.eval()


def train_made(images: NDArray[np.float32], *, seed: int, epochs: int = 40, batch: int = 64) -> Made:
    """The likelihood of pictures cut at one half, Adam 2e-3 falling to 0."""
    noise, module = torch.Generator().manual_seed(seed), _seeded(Made, seed)
    data = torch.from_numpy(images.reshape(len(images), VALUES))
    steps = epochs * -(-len(data) // batch)
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        loss = -module.log_prob(data[torch.randint(len(data), (batch,), generator=noise)]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return module.eval()


def _judge() -> nn.Module:
    return nn.Sequential(
        nn.Linear(VALUES, 256), nn.LeakyReLU(SLOPE), nn.Linear(256, 128), nn.LeakyReLU(SLOPE), nn.Linear(128, 1)
    )


def _seeded(make: Callable[[], T], seed: int) -> T:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
