# pyright: basic
"""Pipelines that are told a caption: whygen lets the pipeline itself ask its network, at the levels of noise it wants.

How a caption reaches a network (which encoders, which masks, which time and sign) differs from class to class, and
only the class knows. So the pipeline draws as ever, from latents that are given, with a scheduler in the place of its
own that takes down what the network answered and says where the next step begins. What cannot be taken for granted of
a class is tried once: that it begins from the latents it is given, and that it decodes them as they were encoded.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
import torch

from whygen.errors import UsageError, WhygenError
from whygen.models.denoisers.latents import Coder, coder_of
from whygen.models.denoisers.networks import Condition, Follow, answered, evaluating
from whygen.models.denoisers.schedules import NoiseLevel, NoiseSchedule
from whygen.models.diffusers.pictures import quiet
from whygen.models.latent.torch_modules import OUT_OF_MEMORY
from whygen.safe import says

NETWORKS = ("unet", "transformer", "prior")
"""Names of the network in a pipeline."""
UNGUIDED = {"guidance_scale": 1.0, "true_cfg_scale": 1.0, "pag_scale": 0.0, "use_resolution_binning": False}
"""Settings under which a pipeline hands on what its network says of the caption, in the size that is given."""
DECODES_ALIKE = 0.02
"""Most by which a picture may differ that is decoded by the pipeline and by its autoencoder, of values of -1 to 1."""
SAME = 1e-2
"""Part of the latents given by which those may differ that a pipeline begins with: rounding in half precision."""


class _WalkedError(Exception):
    """The walk is over, and nothing need be decoded."""


class _Leading:
    """In front of a scheduler's own class: steps where the walk leads.

    The settings of the walk are kept in ``walk``; everything else is the scheduler's own.
    """

    order = 1
    walk: _Walk

    @property
    def init_noise_sigma(self) -> float:
        return 1.0

    def set_timesteps(  # the names that pipelines look for
        self, num_inference_steps: Any = None, device: Any = None, timesteps: Any = None, sigmas: Any = None,
        mu: Any = None, **_: Any,
    ) -> None:  # fmt: skip
        del num_inference_steps, timesteps, sigmas, mu
        self.num_inference_steps = len(self.walk.levels)
        self.timesteps = self.walk.times.to(device)
        self.sigmas = torch.tensor([*(level.sigma for level in self.walk.levels), 0.0], device=device)

    def scale_model_input(self, sample: Any, *_: Any, **__: Any) -> Any:
        return self.walk.scaled(sample)

    def step(self, model_output: Any, timestep: Any = None, sample: Any = None, *_: Any, **more: Any) -> Any:
        del timestep
        following = self.walk.step(model_output, sample)
        # Some classes (LCM) take a second part, the sample as it is without noise: it is decoded after the last step.
        return _Stepped((following, following)) if more.get("return_dict", True) else (following, following)


class _Stepped(tuple[Any, ...]):
    """What `step` gives, by place or by name."""

    @property
    def prev_sample(self) -> Any:
        return self[0]


class _Walk:
    """Levels in turn, where each begins, and what is done with each answer."""

    def __init__(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, *, schedule: NoiseSchedule,
        packing: Packing, stops: bool,
    ) -> None:  # fmt: skip
        self.x, self.levels, self.place = start, levels, 0
        self._follow, self._schedule, self._packing, self._stops = follow, schedule, packing, stops
        dtype = torch.int64 if schedule.known is not None else torch.float32
        self.times = torch.tensor([level.time for level in levels], dtype=dtype)

    def scaled(self, sample: torch.Tensor) -> torch.Tensor:
        return self._schedule.scale(sample, self.levels[min(self.place, len(self.levels) - 1)]).to(sample.dtype)

    def step(self, answer: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        x = self.x
        if self.place == 0:
            self._require_start(sample)
        found = answered(self._packing.unpacked(answer, x), x)
        self.x = self._follow(self.place, found, x)
        self.place += 1
        if self._stops and self.place == len(self.levels):
            raise _WalkedError
        return self._packing.packed(self.x).to(sample.dtype)

    def _require_start(self, sample: torch.Tensor) -> None:
        """Refuse a class that begins from something else than the latents it was given."""
        given = self._packing.packed(self.x)
        if sample.shape == given.shape and (sample - given).abs().max() <= SAME * given.abs().max():
            return
        raise UsageError(
            "The pipeline does not begin from the latents that it is given, so its network cannot be asked about a "
            "sample. Give its network with the scheduler: (pipeline.unet, pipeline.scheduler)."
        )


class Packing:
    """Latents in rows of patches where the class packs them so (Flux and its like); as they are elsewhere."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        names = "batch_size", "num_channels_latents", "height", "width"
        packs = getattr(pipeline, "_pack_latents", None)
        known = packs is not None and all(name in inspect.signature(packs).parameters for name in names)
        self._packs = packs if known else None

    def packed(self, latents: torch.Tensor) -> torch.Tensor:
        if self._packs is None:
            return latents
        return cast("torch.Tensor", self._packs(latents, *latents.shape))

    def unpacked(self, answer: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        if self._packs is None or answer.ndim == like.ndim:
            return answer
        scale = int(self._pipeline.vae_scale_factor)
        height, width = (side * scale for side in like.shape[-2:])
        return cast("torch.Tensor", self._pipeline._unpack_latents(answer, height, width, scale))


class DrivenNetwork:
    """A pipeline of captions, asked through itself."""

    takes = "captions"
    without = "an empty caption"

    def __init__(self, pipeline: Any, schedule: NoiseSchedule, *, uri: str) -> None:
        self._schedule = schedule
        self._uri = uri
        self._pipeline = _own(pipeline)
        self._call = inspect.signature(type(pipeline).__call__).parameters
        self._coder = coder_of(pipeline)
        self._tried: Coder | None = None
        self._stride = int(getattr(pipeline, "vae_scale_factor", 0) or 1)
        if "latents" not in self._call:
            raise UsageError(
                f"The pipeline {type(pipeline).__name__} takes no latents to begin from, so its network cannot be "
                "asked about a sample. Give its network with the scheduler, as a function f(x, time): (f, scheduler)."
            )

    @property
    def parts(self) -> Mapping[str, torch.nn.Module]:
        found = self._pipeline.components.items()
        return {name: part for name, part in found if isinstance(part, torch.nn.Module) and name != "safety_checker"}

    def replaced(self, network: torch.nn.Module) -> DrivenNetwork:
        """The same with another network."""
        pipeline = copy.copy(self._pipeline)
        object.__setattr__(pipeline, network_of(pipeline)[0], network)
        return DrivenNetwork(pipeline, self._schedule, uri=self._uri)

    def require(self, conditions: Sequence[Condition] | None) -> None:
        """Any text is a caption."""

    def enter(self, samples: torch.Tensor) -> torch.Tensor:
        if self._coder is None:
            return samples
        if self._tried is None:
            self._tried = self._coder_that_fits(self._coder, samples[:1])
        return self._tried.encode(samples)

    def walk(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, conditions: Sequence[Condition] | None
    ) -> torch.Tensor:
        walk = self._walk(start, levels, follow, stops=True)
        with suppress(_WalkedError):
            self._run(walk, start, conditions)
        return walk.x

    def paint(
        self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, conditions: Sequence[Condition] | None
    ) -> torch.Tensor:
        return self._run(self._walk(start, levels, follow, stops=False), start, conditions)

    def _walk(self, start: torch.Tensor, levels: Sequence[NoiseLevel], follow: Follow, *, stops: bool) -> _Walk:
        packing = Packing(self._pipeline)
        return _Walk(start, levels, follow, schedule=self._schedule, packing=packing, stops=stops)

    def _run(self, walk: _Walk, start: torch.Tensor, conditions: Sequence[Condition] | None) -> torch.Tensor:
        """Let the pipeline draw along a walk; its pictures, between -1 and 1."""
        pipeline = copy.copy(self._pipeline)
        scheduler = copy.copy(pipeline.scheduler)
        scheduler.__class__ = type("LeadingScheduler", (_Leading, type(scheduler)), {})
        scheduler.walk = walk
        object.__setattr__(pipeline, "scheduler", scheduler)
        weights = next(network_of(pipeline)[1].parameters())
        height, width = (side * self._stride for side in start.shape[-2:])
        asked: dict[str, Any] = {
            "prompt": [""] * len(start) if conditions is None else [str(each) for each in conditions],
            "latents": walk._packing.packed(start).to(device=weights.device, dtype=weights.dtype),
            "num_inference_steps": len(walk.levels), "output_type": "np", "height": height, "width": width, **UNGUIDED,
        }  # fmt: skip
        try:
            with quiet(), evaluating(self.parts.values()):
                found = pipeline(**{name: each for name, each in asked.items() if name in self._call})
        except Exception as error:  # of the pipeline and its parts, which may do anything
            if isinstance(error, WhygenError | _WalkedError) or is_out_of_memory(error):
                raise
            raise UsageError(
                f"The pipeline {type(self._pipeline).__name__} cannot be asked about latents of shape "
                f"{tuple(start.shape[1:])} of the anchors ({says(error)}). If anchors of the size that it was trained "
                "on change nothing, give its network with the scheduler, as a function f(x, time): (f, scheduler)."
            ) from error
        pictures = np.asarray(found.images, dtype=np.float32).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(pictures * 2 - 1))

    def _coder_that_fits(self, coder: Coder, samples: torch.Tensor) -> Coder:
        """The scale of latents that the pipeline itself decodes by; its configuration may state one it does not use.

        Raises:
            UsageError: if it decodes by another.
        """
        raw = coder.raw(samples)
        if not hasattr(self._pipeline, "vae_scale_factor"):
            self._stride = samples.shape[-1] // raw.shape[-1]
        wanted = coder.decoded(raw).cpu()
        lowest = self._schedule.ladder(2)[:1]
        for each in (coder, coder.without_offset()):
            latents = each.encode(samples)
            made = self.paint(latents, lowest, lambda *_, latents=latents: latents, None)
            if made.shape == wanted.shape and float((made - wanted).abs().max()) <= DECODES_ALIKE:
                return each
        raise UsageError(
            f"The pipeline of {self._uri} decodes latents otherwise than its autoencoder encodes them, as far as "
            "whygen can tell: it would ask the network about something else than your anchors. Give its network with "
            "the scheduler, and latents as anchors: ((network, scheduler), value_range=(-inf, inf))."
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether the memory does not hold what was asked for, which is no fault of the pipeline."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in OUT_OF_MEMORY)


def network_of(pipeline: Any) -> tuple[str, Any]:
    """The network that removes noise, and its name in the pipeline.

    Raises:
        UsageError: if there is none, or more than one.
    """
    found = [(name, getattr(pipeline, name)) for name in NETWORKS if getattr(pipeline, name, None) is not None]
    if len(found) != 1:
        raise UsageError(
            f"The pipeline {type(pipeline).__name__} has {'several networks' if found else 'no network'} that whygen "
            "could ask. Give one network with its scheduler: (network, scheduler)."
        )
    return found[0]


def _own(pipeline: Any) -> Any:
    """The pipeline without what takes pictures away, and silent; the person's own stays as it is."""
    made = copy.copy(pipeline)
    if getattr(made, "safety_checker", None) is not None:
        object.__setattr__(made, "safety_checker", None)
    made.set_progress_bar_config(disable=True)
    return made
