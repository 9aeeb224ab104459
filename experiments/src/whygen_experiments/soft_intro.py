# pyright: basic
"""A small Soft-IntroVAE for pictures of 32 x 32, and its training: for ``whygen reproduce pxgen-cifar10``.

An encoder and a decoder that judge each other: the encoder raises the ELBO of real samples and lowers, softly, that of
what the decoder makes; the decoder raises both. Source of the losses: Daniel and Tamar 2021 (arXiv 2012.13253), with
the weights that the authors chose for CIFAR-10. Written from the formulas. This file needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

SIDE = 32
COLOURS = 3
SLOPE = 0.2
GROUPS = 4
CORNER = 4
"""Height and width of the innermost layer."""
SHARPNESS = 2.0
"""The paper's alpha: how sharply a likely fake is punished."""
CHECKPOINT_STEPS = 100
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Sizes and schedule; weights of the terms are the paper's for CIFAR-10, the rest is scaled down.

    Attributes:
        introspective: False trains the same network as a plain VAE, which nothing teaches to doubt its own samples.
        width: channels of the outermost layer; the next two have 2 and 4 times as many (the authors: 64).
        latent: dimensions (the authors: 128).
        steps: of both optimisers (the authors: 250 epochs of 50,000 pictures, 390,000 steps).
        alone: the share of them that begins as a plain VAE, at a fourth of the cost of a step (the authors: none).
        alone_rate: of Adam in that share, and of a plain VAE throughout.
        batch: pictures a step.
        rate: of Adam afterwards, the authors'. Five times that, the encoder learned to give fakes back badly, too.
        negative: the paper's beta_neg, the weight of the KLD of fakes.
    """

    introspective: bool = True
    width: int = 16
    latent: int = 64
    steps: int = 1200
    alone: float = 0.5
    alone_rate: float = 1e-3
    batch: int = 64
    rate: float = 2e-4
    negative: float = 256.0


class SoftIntroVae(nn.Module):
    """Three convolutions of stride 2 and their mirror image; it says what whygen wants to know of a model."""

    value_range = (0.0, 1.0)
    sample_shape = (COLOURS, SIDE, SIDE)

    def __init__(self, recipe: Recipe, *, uri: str = "soft-intro-vae") -> None:
        super().__init__()
        width, self.latent_dim, self.uri = recipe.width, recipe.latent, uri
        inner = 4 * width * CORNER**2
        self.encoder = nn.Sequential(
            nn.Conv2d(COLOURS, width, 4, 2, 1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.GroupNorm(GROUPS, 2 * width), nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.GroupNorm(GROUPS, 4 * width), nn.LeakyReLU(SLOPE),
            nn.Flatten(), nn.Linear(inner, 2 * recipe.latent),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(recipe.latent, inner), nn.LeakyReLU(SLOPE), nn.Unflatten(1, (4 * width, CORNER, CORNER)),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1), nn.GroupNorm(GROUPS, 2 * width), nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.GroupNorm(GROUPS, width), nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(width, COLOURS, 4, 2, 1), nn.Sigmoid(),
        )  # fmt: skip

    def encode(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures ``(n, 3, 32, 32)`` to mean and log-variance, ``(n, latent)`` each."""
        mean, logvar = self.encoder(samples).chunk(2, dim=1)
        return mean, logvar

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents ``(n, latent)`` to pictures."""
        return self.decoder(latents)


@dataclass(slots=True)
class _Training:
    """All that changes while it runs, so that a checkpoint can hold it."""

    module: SoftIntroVae
    optimisers: dict[str, torch.optim.Adam]
    noise: torch.Generator
    step: int = 0

    @classmethod
    def begin(cls, recipe: Recipe, seed: int, uri: str) -> _Training:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = SoftIntroVae(recipe, uri=uri)
        optimisers = {
            part: torch.optim.Adam(getattr(module, part).parameters(), lr=recipe.rate)
            for part in ("encoder", "decoder")
        }
        return cls(module, optimisers, torch.Generator().manual_seed(seed))

    def set_rate(self, rate: float) -> None:
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def tensors(self) -> Tensors:
        kept = {f"module.{name}": each for name, each in self.module.state_dict().items()}
        for part, optimiser in self.optimisers.items():
            for place, state in optimiser.state_dict()["state"].items():
                kept |= {f"{part}.{place}.{name}": each for name, each in state.items()}
        return {name: each.contiguous() for name, each in (kept | {"noise": self.noise.get_state()}).items()}

    def restore(self, tensors: Tensors, step: int) -> None:
        self.module.load_state_dict(_below(tensors, "module"))
        for part, optimiser in self.optimisers.items():
            state: dict[int, dict[str, torch.Tensor]] = {}
            for name, each in _below(tensors, part).items():
                place, key = name.split(".")
                state.setdefault(int(place), {})[key] = each
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        self.noise.set_state(tensors["noise"])
        self.step = step


def train_soft_intro(
    pictures: NDArray[np.uint8],
    *,
    seed: int,
    recipe: Recipe,
    kept: Path | None = None,
    uri: str = "soft-intro-vae",
    after: Callable[[int], None] | None = None,
) -> SoftIntroVae:
    """A trained model; the caller's torch generator and threads are left as they were.

    Args:
        pictures: ``(n, 32, 32, 3)`` uint8.
        seed: of weights, batches and noise.
        recipe: sizes and schedule.
        kept: a ``.safetensors`` file that the weights and all else go to every 100 steps; a run that was killed goes on
            from there, and a finished one is read. A file of another recipe, seed or data is written anew.
        uri: what the model is called in reports.
        after: is told each step that is done.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # layers so small train no faster on two, and the sums are the same on any machine
    try:
        training = _Training.begin(recipe, seed, uri)
        identity = json.dumps({**asdict(recipe), "seed": seed, "data": _fingerprint(pictures)}, sort_keys=True)
        _resume(training, kept, identity)
        data = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
        alone = recipe.alone * recipe.steps if recipe.introspective else recipe.steps
        while training.step < recipe.steps:
            rows = torch.randint(len(data), (recipe.batch,), generator=training.noise)
            is_alone = training.step < alone
            training.set_rate(recipe.alone_rate if is_alone else recipe.rate)
            (_plain_step if is_alone else _introspective_step)(training, data[rows].float() / 255, recipe)
            training.step += 1
            if kept is not None and (training.step % CHECKPOINT_STEPS == 0 or training.step == recipe.steps):
                _keep(training, kept, identity)
            if after is not None:
                after(training.step)
    finally:
        torch.set_num_threads(threads)
    return training.module.eval()


def untrained(recipe: Recipe, *, seed: int, uri: str = "soft-intro-vae, untrained") -> SoftIntroVae:
    """The same network as it is before training."""
    nothing = np.zeros((1, SIDE, SIDE, COLOURS), np.uint8)
    return train_soft_intro(nothing, seed=seed, recipe=replace(recipe, steps=0), uri=uri)


def _plain_step(training: _Training, real: torch.Tensor, recipe: Recipe) -> None:
    mean, logvar = training.module.encode(real)
    made = training.module.decode(_drawn(mean, logvar, training.noise))
    loss = (_squares(made, real) + _divergence(mean, logvar)).mean() / real[0].numel()
    _descend(loss, training, "encoder", "decoder")


def _introspective_step(training: _Training, real: torch.Tensor, recipe: Recipe) -> None:
    """One step of the encoder, then one of the decoder, on the same real samples and the same latents of fakes."""
    module, noise = training.module, training.noise
    latents = torch.randn(len(real), recipe.latent, generator=noise)
    loss = _encoder_loss(module, real, latents, recipe, noise)
    _descend(loss, training, "encoder")
    loss = _decoder_loss(module, real, latents, noise)
    _descend(loss, training, "decoder")


def _encoder_loss(
    module: SoftIntroVae, real: torch.Tensor, latents: torch.Tensor, recipe: Recipe, noise: torch.Generator
) -> torch.Tensor:
    """The negative ELBO of real samples, and exp(alpha ELBO) / alpha of fakes and of reconstructions, half of each."""
    mean, logvar = module.encode(real)
    back = module.decode(_drawn(mean, logvar, noise))
    with torch.no_grad():
        made = torch.cat([module.decode(latents), back])
    of_made, spread = module.encode(made)
    again = module.decode(_drawn(of_made, spread, noise))
    # Summed errors of 3,072 values would make the exponential 0 from the start: the scale is part of the method.
    scale = 1 / real[0].numel()
    elbo = -scale * (_squares(again, made) + recipe.negative * _divergence(of_made, spread))
    doubt = torch.exp(SHARPNESS * elbo).mean() / SHARPNESS
    return scale * (_squares(back, real) + _divergence(mean, logvar)).mean() + doubt


def _decoder_loss(
    module: SoftIntroVae, real: torch.Tensor, latents: torch.Tensor, noise: torch.Generator
) -> torch.Tensor:
    """The error on real samples, and the KLD of fakes and reconstructions as the encoder sees them.

    The authors add the reconstruction of fakes at 1e-8 of its weight: no change, for a fifth of a step's time.
    """
    with torch.no_grad():
        drawn = _drawn(*module.encode(real), noise)
    made = module.decode(torch.cat([latents, drawn]))
    back = made[len(latents) :]
    return (_squares(back, real).mean() + _divergence(*module.encode(made)).mean()) / real[0].numel()


def _descend(loss: torch.Tensor, training: _Training, *parts: str) -> None:
    """A step of these parts alone; the others' gradients are thrown away."""
    for optimiser in training.optimisers.values():
        optimiser.zero_grad()
    loss.backward()
    for part in parts:
        training.optimisers[part].step()


def _drawn(mean: torch.Tensor, logvar: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    return mean + torch.exp(logvar / 2) * torch.randn(mean.shape, generator=noise)


def _squares(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return (made - real).square().sum(dim=(1, 2, 3))


def _divergence(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    return -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(dim=1)


def _fingerprint(pictures: NDArray[np.uint8]) -> str:
    import hashlib

    return hashlib.sha256(repr(pictures.shape).encode() + np.ascontiguousarray(pictures).tobytes()).hexdigest()


def _keep(training: _Training, kept: Path, identity: str) -> None:
    """Written beside and moved, so that a kill leaves the file before or the file after."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(kept.name + ".part")
    save_file(training.tensors(), str(beside), metadata={"identity": identity, "step": str(training.step)})
    beside.replace(kept)


def _resume(training: _Training, kept: Path | None, identity: str) -> None:
    if kept is None or not kept.is_file():
        return
    with suppress(SafetensorError, OSError, KeyError, ValueError, RuntimeError), safe_open(str(kept), "pt") as held:
        told: dict[str, Any] = held.metadata() or {}
        if told.get("identity") == identity:
            training.restore({name: held.get_tensor(name) for name in held.keys()}, int(told["step"]))  # noqa: SIM118


def _below(tensors: Tensors, head: str) -> Tensors:
    return {name[len(head) + 1 :]: each for name, each in tensors.items() if name.startswith(f"{head}.")}
