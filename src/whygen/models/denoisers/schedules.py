# pyright: basic
"""What a scheduler says of noise: how much there is at each of its times, and what the network tells of it.

A noised sample is ``x = alpha * sample + sigma * noise``, in the scale that the network is given it. Every scheduler
of diffusers that is read here differs in these alone: which pairs (alpha, sigma) there are, which time the network is
told, how ``x`` is scaled on its way in, and what its answer is (noise, sample, velocity, score). Schedulers that
differ only in how they sample (DDIM, PNDM, DPM-Solver, Euler, LCM ...) are one and the same here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch

from whygen.errors import UsageError

Prediction: TypeAlias = Literal["epsilon", "sample", "v_prediction", "flow", "score", "preconditioned"]

FARTHEST = 100.0
"""Noise beyond so many times the signal is left out: a sample is no part of it that single precision can hold."""
NEAR = 2.0
"""A level of noise that is wanted must be there up to this factor."""
_WORDS: dict[str, Prediction] = {
    "epsilon": "epsilon", "sample": "sample", "original_sample": "sample", "v_prediction": "v_prediction",
    "flow_prediction": "flow",
}  # fmt: skip
_TOKENS = "it hides tokens instead of adding noise, so there are no levels of noise"
_JUMPS = "its network jumps to a sample, and was not trained to remove noise, so its loss says nothing of a sample"
_VIDEOS = "it is one of videos, which are no anchors yet"
_SOUNDS = "it is one of sounds, which are no anchors yet"
_REFUSED = {
    "AmusedScheduler": _TOKENS, "BlockRefinementScheduler": _TOKENS, "VQDiffusionScheduler": _TOKENS,
    "DiscreteDDIMScheduler": _TOKENS, "EntropyBoundScheduler": _TOKENS,
    "CMStochasticIterativeScheduler": _JUMPS, "ConsistencyDecoderScheduler": _JUMPS, "SCMScheduler": _JUMPS,
    "FlowMapEulerDiscreteScheduler": _JUMPS, "PiflowScheduler": _JUMPS,
    "HeliosScheduler": _VIDEOS, "HeliosDMDScheduler": _VIDEOS, "CosineDPMSolverMultistepScheduler": _SOUNDS,
    "DDPMWuerstchenScheduler": "it works on the latents of a prior, which no encoder of pictures gives",
}  # fmt: skip
_FLOWS = {"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "FlowMatchLCMScheduler"}
_KINDS = "DDPM, DDIM and all that share their alphas_cumprod, Euler, EDM, ScoreSdeVe and FlowMatch schedulers"


def jumps(scheduler: Any) -> bool:
    """Whether a network with this scheduler was trained to jump from noise to a sample, as consistency models are."""
    return any(_REFUSED.get(kind.__name__) == _JUMPS for kind in type(scheduler).__mro__)


@dataclass(frozen=True, slots=True)
class NoiseLevel:
    """How much of a noised sample is signal, how much noise, and what the network is told."""

    alpha: float
    sigma: float
    time: float

    @property
    def ratio(self) -> float:
        """Standard deviation of the noise over the factor of the sample."""
        return self.sigma / self.alpha

    @property
    def share(self) -> float:
        """As sigma / (alpha + sigma): 0 is no noise, and 1 nothing else."""
        return self.sigma / (self.alpha + self.sigma)

    def noised(self, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The sample with so much noise."""
        return self.alpha * clean + self.sigma * noise

    def noise_of(self, x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """The noise in ``x``, where ``clean`` is the sample."""
        return (x - self.alpha * clean) / self.sigma


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSchedule:
    """A scheduler as far as it speaks of noise.

    Attributes:
        name: of its class.
        prediction: what the network answers with.
        known: the levels there are, from little noise to much; None: all within ``bounds``.
        bounds: lowest and highest ratio of noise to signal.
        make: from a ratio to a level; of the levels ``known`` the nearest.
        scale: from ``x`` and its level to what the network is given.
        precondition: from (x, answer, level) to the sample, where the network's answer is preconditioned.
        clip: samples that are estimated on the way are clipped to this (lowest, highest); None: they are not.
    """

    name: str
    prediction: Prediction
    make: Callable[[float], NoiseLevel]
    known: tuple[NoiseLevel, ...] | None
    bounds: tuple[float, float]
    scale: Callable[[torch.Tensor, NoiseLevel], torch.Tensor] = lambda x, _: x
    precondition: Callable[[torch.Tensor, torch.Tensor, NoiseLevel], torch.Tensor] | None = None
    clip: tuple[float, float] | None = None

    def levels(self, ratios: Sequence[float]) -> tuple[NoiseLevel, ...]:
        """The levels nearest to these ratios of noise to signal, each once, from little noise to much.

        Raises:
            UsageError: if the schedule has none near one of them.
        """
        found = {level.ratio: level for level in map(self.make, sorted(ratios))}
        lowest, highest = min(ratios), max(ratios)
        least, most = min(found), max(found)
        if not (lowest / NEAR <= least <= lowest * NEAR and highest / NEAR <= most <= highest * NEAR):
            raise UsageError(
                f"The scheduler {self.name} knows noise from {self.bounds[0]:.3g} to {self.bounds[1]:.3g} times the "
                f"signal, and whygen asks between {lowest:.3g} and {highest:.3g}, where most is told of a sample. Give "
                "the scheduler with the num_train_timesteps and betas of the training."
            )
        return tuple(found.values())

    def ladder(self, steps: int) -> tuple[NoiseLevel, ...]:
        """About ``steps`` levels over the whole schedule, from little noise to much, as samplers take them.

        Evenly spaced in the times of the training where these are steps, and in sigma / (alpha + sigma) elsewhere.
        """
        if self.known is not None:
            places = np.unique(np.linspace(0, len(self.known) - 1, min(steps, len(self.known))).round().astype(int))
            return tuple(self.known[place] for place in places)
        low, high = (each / (1 + each) for each in self.bounds)
        return tuple(self.make(share / (1 - share)) for share in np.linspace(low, high, steps))

    def clean(self, answer: torch.Tensor, x: torch.Tensor, level: NoiseLevel) -> torch.Tensor:
        """The sample that the network's answer tells, as its prediction is defined.

        epsilon: (x - sigma e) / alpha (Ho et al. 2020); v: alpha x - sigma v (Salimans and Ho 2022, appendix D);
        flow: x - sigma v with v = noise - sample (Lipman et al. 2023, as diffusers has it); score: x + sigma^2 s (Song
        et al. 2021).
        """
        if self.precondition is not None:
            return self.precondition(x, answer, level)
        if self.prediction == "sample":
            return answer
        if self.prediction == "epsilon":
            return (x - level.sigma * answer) / level.alpha
        if self.prediction == "v_prediction":
            return level.alpha * x - level.sigma * answer
        if self.prediction == "score":
            return x + level.sigma**2 * answer
        return x - level.sigma * answer

    def clipped(self, clean: torch.Tensor) -> torch.Tensor:
        """The estimate of a sample as the scheduler's own steps use it."""
        return clean if self.clip is None else clean.clamp(*self.clip)


def read_schedule(scheduler: Any) -> NoiseSchedule:
    """What a scheduler says of noise.

    Args:
        scheduler: of diffusers, an object with ``alphas_cumprod``, or that array itself (times count from 0, and the
            network tells the noise).

    Raises:
        UsageError: if it has no fixed levels of noise, or whygen does not know how its network answers.
    """
    if isinstance(scheduler, np.ndarray | list | tuple) or torch.is_tensor(scheduler):
        return _stepped(scheduler, "epsilon", name="alphas_cumprod")
    names = {made.__name__ for made in type(scheduler).__mro__}
    name = type(scheduler).__name__
    for refused, why in _REFUSED.items():
        if refused in names:
            raise UsageError(
                f"whygen cannot ask a network with the scheduler {name} how well it knows a sample: {why}. Samples "
                "that it made can be compared with: give samples/PATH of a folder, or an array."
            )
    if all(hasattr(scheduler, f"precondition_{part}") for part in ("inputs", "noise", "outputs")):
        return _preconditioned(scheduler, name)
    if _FLOWS & names or _setting(scheduler, "use_flow_sigmas"):
        return _flowing(scheduler, name)
    if "ScoreSdeVeScheduler" in names:
        return _exploding(scheduler, name)
    if getattr(scheduler, "alphas_cumprod", None) is None:
        raise UsageError(
            f"The scheduler {name} has no fixed levels of noise that whygen can read (it reads {_KINDS}). Give the "
            "scheduler of the training, such as DDPMScheduler.from_config(...), or the array alphas_cumprod itself."
        )
    made = _stepped(scheduler.alphas_cumprod, _predicts(scheduler, name), name=name)
    if _setting(scheduler, "timestep_type") == "continuous":
        return _continuous(made)
    return replace(made, clip=_clips(scheduler))


def _setting(scheduler: Any, name: str) -> Any:
    return getattr(getattr(scheduler, "config", scheduler), name, None)


def _predicts(scheduler: Any, name: str) -> Prediction:
    """What the network answers with; schedulers that do not say (RePaint, a person's own) mean the noise.

    Raises:
        UsageError: if whygen knows no such answer.
    """
    told = _setting(scheduler, "prediction_type")
    if told is None:
        return "epsilon"
    if told not in _WORDS or (told == "flow_prediction" and not _setting(scheduler, "use_flow_sigmas")):
        more = " without use_flow_sigmas" if told == "flow_prediction" else ""
        raise UsageError(
            f"The scheduler {name} has prediction_type={told!r}{more}, and whygen does not know how such a network "
            "answers. It reads 'epsilon', 'sample', 'v_prediction', and 'flow_prediction' with use_flow_sigmas=True."
        )
    return _WORDS[told]


def _clips(scheduler: Any) -> tuple[float, float] | None:
    """Where the scheduler's own steps clip; of a threshold that moves (Imagen) its lowest place is taken."""
    if _setting(scheduler, "clip_sample"):
        most = float(_setting(scheduler, "clip_sample_range") or 1.0)
        return -most, most
    return (-1.0, 1.0) if _setting(scheduler, "thresholding") else None


def _stepped(alphas_cumprod: Any, prediction: Prediction, *, name: str) -> NoiseSchedule:
    """Times that are steps of the training, with the share of the signal's variance at each."""
    kept = np.asarray(torch.as_tensor(alphas_cumprod, device="cpu"), dtype=np.float64)
    if kept.ndim != 1 or len(kept) < 2 or not np.isfinite(kept).all() or (np.diff(kept) > 0).any():
        raise UsageError(
            f"{name} must be an array that falls from nearly 1 to nearly 0, one value for each step of the training; "
            f"this one has shape {kept.shape}. Of betas it is numpy.cumprod(1 - betas)."
        )
    if kept[0] > 1 or kept[-1] < 0:
        raise UsageError(f"{name} must lie between 0 and 1, and goes from {kept[0]:.4g} to {kept[-1]:.4g}.")
    found = [
        NoiseLevel(math.sqrt(share), math.sqrt(1 - share), float(time))
        for time, share in enumerate(kept)
        if 0 < share < 1 and math.sqrt((1 - share) / share) <= FARTHEST
    ]
    if not found:
        raise UsageError(f"{name} goes from {kept[0]:.4g} to {kept[-1]:.4g}: no step leaves signal and noise.")
    ratios = np.log([level.ratio for level in found])

    def make(ratio: float) -> NoiseLevel:
        return found[int(np.abs(ratios - math.log(ratio)).argmin())]

    bounds = (found[0].ratio, found[-1].ratio)
    return NoiseSchedule(name=name, prediction=prediction, make=make, known=tuple(found), bounds=bounds)


def _continuous(stepped: NoiseSchedule) -> NoiseSchedule:
    """Of networks that are told log(sigma) / 4 in place of a step (Karras et al. 2022; Stable Video Diffusion)."""
    if stepped.prediction != "v_prediction":
        raise UsageError(
            f"The scheduler {stepped.name} has timestep_type='continuous' without prediction_type='v_prediction': "
            "whygen does not know which time its network is told."
        )

    def make(ratio: float) -> NoiseLevel:
        whole = math.hypot(1.0, ratio)
        return NoiseLevel(1 / whole, ratio / whole, 0.25 * math.log(ratio))

    return replace(stepped, make=make, known=None)


def _flowing(scheduler: Any, name: str) -> NoiseSchedule:
    """Straight lines from samples to noise: x = (1 - s) sample + s noise, told the time s * num_train_timesteps."""
    if _setting(scheduler, "invert_sigmas"):
        raise UsageError(
            f"The scheduler {name} has invert_sigmas=True, which whygen does not read. Give one without, if the "
            "network is told how much noise there is."
        )
    steps = float(_setting(scheduler, "num_train_timesteps") or 1000)
    told = _setting(scheduler, "prediction_type")
    prediction = "flow" if told is None else _predicts(scheduler, name)

    def make(ratio: float) -> NoiseLevel:
        share = ratio / (1 + ratio)
        return NoiseLevel(1 - share, share, share * steps)

    if prediction == "v_prediction":
        raise UsageError(
            f"The scheduler {name} has prediction_type='v_prediction' with use_flow_sigmas=True: a velocity of DDPM on "
            "the lines of a flow, which no network is trained for. Give prediction_type='flow_prediction'."
        )
    return NoiseSchedule(name=name, prediction=prediction, make=make, known=None, bounds=(1 / steps, FARTHEST))


def _preconditioned(scheduler: Any, name: str) -> NoiseSchedule:
    """Networks in the frame of EDM (Karras et al. 2022, table 1): the scheduler itself scales what goes in and out."""

    def make(ratio: float) -> NoiseLevel:
        return NoiseLevel(1.0, ratio, float(scheduler.precondition_noise(torch.tensor(ratio, dtype=torch.float64))))

    def precondition(x: torch.Tensor, answer: torch.Tensor, level: NoiseLevel) -> torch.Tensor:
        return cast("torch.Tensor", scheduler.precondition_outputs(x, answer, torch.tensor(level.sigma)))

    def scale(x: torch.Tensor, level: NoiseLevel) -> torch.Tensor:
        return cast("torch.Tensor", scheduler.precondition_inputs(x, torch.tensor(level.sigma)))

    told = _setting(scheduler, "prediction_type")
    if told not in ("epsilon", "v_prediction"):
        raise UsageError(f"The scheduler {name} has prediction_type={told!r}; whygen reads 'epsilon', 'v_prediction'.")
    return NoiseSchedule(
        name=name, prediction="preconditioned", make=make, known=None, bounds=_sigmas(scheduler), scale=scale,
        precondition=precondition,
    )  # fmt: skip


def _exploding(scheduler: Any, name: str) -> NoiseSchedule:
    """Noise on top of the whole sample; the network is told its standard deviation and answers with the score."""
    return NoiseSchedule(
        name=name, prediction="score", make=lambda ratio: NoiseLevel(1.0, ratio, ratio), known=None,
        bounds=_sigmas(scheduler),
    )  # fmt: skip


def _sigmas(scheduler: Any) -> tuple[float, float]:
    low, high = float(_setting(scheduler, "sigma_min")), float(_setting(scheduler, "sigma_max"))
    return low, min(high, FARTHEST)
