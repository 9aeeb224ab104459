# pyright: basic
"""Diffusion models and flows as whygen asks them what they have learned: by how well they remove noise from a sample.

A `Denoiser` is made of a pipeline of diffusers, of a network with its scheduler, or of any ``f(x, time)`` with
``alphas_cumprod`` (`whygen.models.denoisers.loading`). It fulfils `Denoises` and `Samples`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from whygen.errors import DataError, UsageError
from whygen.models.denoisers.networks import Condition, Network, device_of
from whygen.models.denoisers.schedules import NoiseLevel, NoiseSchedule

Floats: TypeAlias = NDArray[np.float32]

GRID = (0.75, 0.9, 1.1, 1.4, 1.7, 2.0)
"""Noise over half the range of values at which a sample is asked about.

Below, what is left of the noise speaks of how simple a sample is (ones are better known to a model of zeros than zeros
are); above, little of the sample is left (decision 35).
"""
ROUND_TRIP = 20
"""Steps of a round trip, each way."""
SAMPLING = 50
"""Steps of the sampler of a bare network."""
VALUES_AT_ONCE = 2**17
"""Values of a batch by default: what a small network holds near the processor."""
MOST_AT_ONCE = 128
SAMPLED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoiser:
    """A model that removes noise, as numpy callables. Fulfils `Denoises` and `Samples`.

    Attributes:
        network: answers.
        schedule: what its answers mean.
        uri: what the model is called in reports.
        shape: of one sample; None in a place means "any size"; None alone means "not known".
        layout: how a sample is read as an image.
        value_range: lowest and highest value of a sample.
        grid: levels of noise that a sample is asked about, from little noise to much.
        batch_size: samples in one call; None: chosen by the size of a sample.
        sampler: n generated samples, each from its own seed; None: steps of DDIM from noise.
        notices: what a person should know of how the model is read: a code and a text each.
        identify: what makes the model answer as it does; None: nobody can know.
        untrained: from a seed to a copy with new random weights; None: it cannot be had.
    """

    network: Network
    schedule: NoiseSchedule
    uri: str
    shape: tuple[int | None, ...] | None
    layout: str | None = "NCHW"
    value_range: tuple[float, float] = (-1.0, 1.0)
    grid: tuple[NoiseLevel, ...] = field(default=())
    batch_size: int | None = None
    sampler: Callable[[Sequence[int]], Floats] | None = None
    notices: tuple[tuple[str, str], ...] = ()
    identify: Callable[[], Mapping[str, Any] | None] | None = None
    untrained: Callable[[int], Denoiser] | None = None

    @property
    def levels(self) -> tuple[float, ...]:
        """The share of noise at each level of the grid, see `NoiseLevel.share`."""
        return tuple(level.share for level in self.grid)

    @property
    def generates(self) -> bool:
        """Whether samples can be had of it: of a known size, and under no condition."""
        is_sized = self.sampler is not None or (self.shape is not None and None not in self.shape)
        return is_sized and (self.takes is None or bool(self.network.without))

    @property
    def takes(self) -> str | None:
        """What it is told of a sample beside the sample: "classes", "captions", or nothing."""
        return self.network.takes

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What tells this model's scores from those of any other; None where nobody can know."""
        return None if self.identify is None else self.identify()

    def loss(
        self, samples: Floats, level: float, noise: Floats, *, conditions: Sequence[Condition] | None = None
    ) -> NDArray[np.float64]:
        """Mean squared difference between the noise and what the network takes for it, over the values of a sample.

        The loss that Ho et al. (2020, eq. 14) train with, at one level; whatever the network predicts is read as noise.

        Args:
            samples: ``(n, *shape)``.
            level: one of ``levels``.
            noise: standard normal, ``(1, *shape)`` for all samples or ``(n, *shape)``.
            conditions: the class or caption of each sample; None: what stands for none.
        """
        at = self.grid[self._place(level)]
        clean = self._entered(samples)
        wanted = _noise_like(clean, noise)
        found: list[torch.Tensor] = []

        def follow(_: int, answer: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            removed = at.noise_of(x, self.schedule.clean(answer, x, at))
            found.append((removed - wanted).double().square().flatten(1).mean(dim=1))
            return x

        self.network.walk(at.noised(clean, wanted), [at], follow, self._known(conditions, len(samples)))
        return found[0].cpu().numpy()

    def redenoise(
        self, samples: Floats, level: float, noise: Floats, *, conditions: Sequence[Condition] | None = None
    ) -> Floats:
        """Samples with noise of that level, and back through the levels below it by steps of DDIM without noise."""
        levels = self.grid[self._place(level) :: -1]
        clean = self._entered(samples)
        start = levels[0].noised(clean, _noise_like(clean, noise))
        return self._painted(start, levels, self._down(levels), self._known(conditions, len(samples)))

    def round_trip(self, samples: Floats, *, conditions: Sequence[Condition] | None = None) -> Floats:
        """Samples up to pure noise by steps of DDIM turned round, and back (Song et al. 2021, section 4.3)."""
        up = self.schedule.ladder(ROUND_TRIP)
        down = up[::-1]
        known = self._known(conditions, len(samples))

        def follow(place: int, answer: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            clean = self.schedule.clean(answer, x, up[place])
            return up[place + 1].noised(clean, up[place].noise_of(x, clean))

        start = self._entered(samples)  # with hardly any noise, the sample is taken for what the lowest level holds
        far = self.network.walk(up[0].alpha * start, up[:-1], follow, known)
        return self._painted(far, down, self._down(down, clips=False), known)

    def require(self, conditions: Sequence[Condition] | None) -> None:
        """Look at conditions before anything is asked.

        Raises:
            DataError: if one is no class of the model.
            UsageError: if there are none, and it cannot do without.
        """
        self.network.require(conditions)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """``n`` generated samples, each from a seed of its own, so that the size of a batch changes nothing.

        A model that takes conditions is told what stands for none.
        """
        seeds = [int(seed) for seed in rng.integers(2**62, size=n)]
        size = self.batch_size or SAMPLED_AT_ONCE
        return np.concatenate([self._sampled(seeds[at : at + size]) for at in range(0, n, size)])

    def _sampled(self, seeds: Sequence[int]) -> Floats:
        if self.sampler is not None:
            return self.sampler(seeds)
        sides = [side for side in self.shape or () if side is not None]
        if len(sides) < len(self.shape or (0,)):
            raise UsageError("The size of a sample is not known: give shape= to sample from the model.")
        shape = self._entered(np.zeros((1, *sides), np.float32)).shape[1:]
        noise = np.stack([np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) for seed in seeds])
        levels = self.schedule.ladder(SAMPLING)[::-1]
        start = levels[0].noised(torch.zeros(1), torch.from_numpy(noise)).to(device_of(self.network.parts))
        return self._painted(start, levels, self._down(levels), None)

    def _place(self, level: float) -> int:
        """The place of a level in the grid.

        Raises:
            UsageError: if it is none of the grid.
        """
        place = int(np.abs(np.subtract(self.levels, level)).argmin())
        if not math.isclose(self.levels[place], level, rel_tol=1e-6):
            raise UsageError(f"level is {level!r}; give one of {', '.join(f'{each:.3f}' for each in self.levels)}.")
        return place

    def _known(self, conditions: Sequence[Condition] | None, n: int) -> Sequence[Condition] | None:
        if conditions is None:
            return None
        if self.takes is None:
            raise UsageError(f"The model {self.uri} is told nothing of a sample: leave the conditions out.")
        if len(conditions) != n:
            raise DataError(f"There are {len(conditions)} conditions for {n} samples; give one for each.")
        return conditions

    def _entered(self, samples: Floats) -> torch.Tensor:
        tensor = torch.from_numpy(np.require(samples, np.float32, ["C", "W"]))
        with torch.inference_mode():
            return self.network.enter(tensor.to(device_of(self.network.parts))).to(torch.float32)

    def _down(self, levels: Sequence[NoiseLevel], *, clips: bool = True) -> Callable[..., torch.Tensor]:
        """Steps of DDIM without noise of their own, the last to the sample itself."""

        def follow(place: int, answer: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            at = levels[place]
            clean = self.schedule.clean(answer, x, at)
            kept = self.schedule.clipped(clean) if clips else clean
            return kept if place + 1 == len(levels) else levels[place + 1].noised(kept, at.noise_of(x, clean))

        return follow

    def _painted(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Any, conditions: Sequence[Condition] | None
    ) -> Floats:
        with torch.inference_mode():
            made = self.network.paint(start, levels, follow, conditions)
        return made.to(device="cpu", dtype=torch.float32).numpy()


def _noise_like(clean: torch.Tensor, noise: Floats) -> torch.Tensor:
    """Noise of the shape of what the network sees: as it is, or the first of its values for latents.

    Latents with more values than the sample get them from a generator that is seeded by the noise.
    """
    rows = len(noise)
    flat, wanted = np.asarray(noise, np.float32).reshape(rows, -1), math.prod(clean.shape[1:])
    if flat.shape[1] < wanted:
        seeds = [int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:16]) for row in flat]
        flat = np.stack([np.random.default_rng(seed).standard_normal(wanted, dtype=np.float32) for seed in seeds])
    shaped = np.ascontiguousarray(flat[:, :wanted]).reshape(rows, *clean.shape[1:])
    return torch.from_numpy(shaped).to(clean.device)
