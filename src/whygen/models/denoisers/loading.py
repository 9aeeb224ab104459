# pyright: basic
"""Making a `Denoiser` of a pipeline of diffusers, or of a network with its scheduler."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from whygen.errors import UsageError
from whygen.models.denoisers.denoiser import GRID, MOST_AT_ONCE, SAMPLING, VALUES_AT_ONCE, Denoiser, Floats
from whygen.models.denoisers.driven import UNGUIDED, DrivenNetwork, network_of
from whygen.models.denoisers.latents import coder_of, stride_of
from whygen.models.denoisers.networks import LatentSpace, PlainNetwork, classes_of
from whygen.models.denoisers.schedules import NoiseSchedule, read_schedule
from whygen.models.diffusers.pictures import quiet
from whygen.models.hf import moved
from whygen.models.latent import Generator
from whygen.models.latent.torch_modules import identity_of_module, reinitialised
from whygen.models.protocols import ModelOptions

NOT_GIVEN = ("image", "mask_image", "control_image", "video", "original_image", "audio", "spectrogram")
"""What some pipelines must be given beside a caption or a class: they change a picture, and make none."""


def of_pipeline(
    pipeline: Any,
    options: ModelOptions | None = None,
    *,
    uri: str,
    shape: tuple[int | None, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Denoiser:
    """A pipeline of diffusers as a `Denoiser`: unconditional, told a class, or told a caption.

    Args:
        pipeline: on the device and in the precision it shall work in; it is left as it is.
        options: batch_size.
        uri: what it is called in reports.
        shape: of a sample, (channels, height, width), where it shall be another than the network was trained on.
        value_range: lowest and highest value of a sample; by default those of the pipeline, -1 and 1.

    Raises:
        UsageError: if whygen cannot ask it about a sample, with what to give in its place.
    """
    made: Any = type(pipeline)
    call = inspect.signature(made.__call__).parameters
    needed = [name for name in NOT_GIVEN if name in call and call[name].default is inspect.Parameter.empty]
    if needed:
        raise UsageError(
            f"The pipeline {made.__name__} changes what it is given ({', '.join(needed)}): it is no model of samples. "
            "Give a pipeline that makes them from noise."
        )
    schedule = read_schedule(getattr(pipeline, "scheduler", None))
    name, network = network_of(pipeline)
    sizes = shape or _shape(pipeline, network)
    if "prompt" in call:
        asked: Any = DrivenNetwork(pipeline, schedule, uri=uri)
    else:
        asked = _plain(pipeline, network, schedule)
    low, high = value_range or ((0.0, 1.0) if schedule.prediction == "score" else (-1.0, 1.0))
    return Denoiser(
        network=asked, schedule=schedule, uri=uri, shape=sizes, value_range=(low, high),
        grid=_grid(schedule, low, high), batch_size=(options or ModelOptions()).batch_size or _at_once(sizes),
        notices=_notices(asked, uri), sampler=_sampler_of(pipeline, asked, sizes, (low, high)),
        identify=_identify(asked, schedule),
        untrained=lambda seed: _untrained(pipeline, (name, network), seed, uri=uri, shape=sizes, values=(low, high)),
    )  # fmt: skip


def of_network(
    network: Any,
    scheduler: Any,
    options: ModelOptions | None = None,
    *,
    uri: str | None = None,
    shape: tuple[int | None, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Denoiser:
    """A network ``f(x, time)`` and its scheduler as a `Denoiser`.

    Args:
        network: a module of diffusers or of torch, or any callable on tensors.
        scheduler: of diffusers, an object with ``alphas_cumprod``, or that array itself.
        options: device and batch_size.
        uri: what it is called in reports.
        shape: of a sample; taken from the network's configuration where it has one.
        value_range: lowest and highest value of a sample: -1 and 1 unless said.

    Raises:
        UsageError: if the network is no callable, must be told more than a class, or its scheduler is not read.
    """
    if not callable(network):
        raise UsageError(f"The network is a {type(network).__name__}; give a module or a function f(x, time).")
    options = options or ModelOptions()
    if isinstance(network, torch.nn.Module) and options.device is not None:
        network = moved(network, options.device)
    schedule = read_schedule(scheduler)
    asked = PlainNetwork(network, schedule, classes=classes_of(network))
    low, high = value_range or (-1.0, 1.0)
    called = uri or f"object/{getattr(network, '__name__', type(network).__name__)}"
    sizes = shape or _shape(None, network)
    is_picture = sizes is None or len(sizes) == 3
    untrained: Callable[[int], Denoiser] | None = None
    if isinstance(network, torch.nn.Module):
        untrained = lambda seed: of_network(  # noqa: E731 - its name would be its only use
            reinitialised(network, seed), scheduler, options, uri=uri, shape=sizes, value_range=(low, high)
        )
    return Denoiser(
        network=asked, schedule=schedule, uri=called, shape=sizes, layout="NCHW" if is_picture else None,
        value_range=(low, high), grid=_grid(schedule, low, high), batch_size=options.batch_size or _at_once(sizes),
        notices=_notices(asked, called), identify=_identify(asked, schedule), untrained=untrained,
    )  # fmt: skip


def _plain(pipeline: Any, network: Any, schedule: NoiseSchedule) -> PlainNetwork:
    coder = coder_of(pipeline)
    names: Mapping[str, int] = getattr(pipeline, "labels", None) or {}
    space = None
    if coder is not None:
        coder = coder.without_offset()  # the classes without captions decode by the factor alone
        space = LatentSpace(enter=coder.encode, leave=coder.decode, parts={"autoencoder": coder.module})
    return PlainNetwork(network, schedule, classes=classes_of(network, names), space=space)


def _shape(pipeline: Any, network: Any) -> tuple[int | None, ...] | None:
    """Channels, height and width of a sample, by the configurations of the network and of its autoencoder."""
    config = getattr(network, "config", None)
    side = getattr(config, "sample_size", None)
    channels = getattr(config, "in_channels", None)
    if channels is None:
        return None
    sides = (None, None) if side is None else (side, side) if isinstance(side, int) else tuple(side)
    coder = None if pipeline is None else coder_of(pipeline)
    if coder is None:
        return (int(channels), *sides)
    stride = int(getattr(pipeline, "vae_scale_factor", 0) or stride_of(coder))
    colours = int(getattr(coder.module.config, "in_channels", 3))
    return (colours, *(None if each is None else each * stride for each in sides))


def _grid(schedule: NoiseSchedule, low: float, high: float) -> Any:
    """The levels of the grid; noise is measured by half the range of values, which is 1 for those of -1 to 1."""
    half = (high - low) / 2 if np.isfinite(high - low) else 1.0
    return schedule.levels([ratio * half for ratio in GRID])


def _at_once(shape: tuple[int | None, ...] | None) -> int | None:
    """Samples of a batch; None where their size is not known."""
    sides = [side for side in shape or () if side is not None]
    if not sides or len(sides) < len(shape or ()):
        return None
    return min(max(VALUES_AT_ONCE // int(np.prod(sides)), 1), MOST_AT_ONCE)


def _notices(network: Any, uri: str) -> tuple[tuple[str, str], ...]:
    """What is said where samples have no condition and the model takes one."""
    if network.takes is None or not network.without:
        return ()
    text = (
        f"{uri} is told {network.takes}, and these samples have none: it is asked with {network.without}. What it "
        f"knows of a sample under its own condition may differ: give condition= with the {network.takes} of the "
        "anchors."
    )
    return (("unconditioned", text),)


def _identify(network: Any, schedule: NoiseSchedule) -> Callable[[], Mapping[str, Any] | None]:
    """The weights of all parts, and what the scheduler says.

    Told once for a model: transformers puts hooks into text encoders when they are first called.
    """

    @cache
    def identity() -> Mapping[str, Any] | None:
        parts = {name: identity_of_module(part) for name, part in sorted(network.parts.items())}
        if not parts or "" in parts or None in parts.values():
            return None
        known = [[level.alpha, level.sigma, level.time] for level in schedule.ladder(50)]
        said = json.dumps([schedule.prediction, schedule.clip, known])
        return {"parts": parts, "schedule": hashlib.sha256(said.encode()).hexdigest()}

    return identity


def _untrained(
    pipeline: Any, named: tuple[str, Any], seed: int, *, uri: str, shape: Any, values: tuple[float, float]
) -> Denoiser:
    """The pipeline with new weights in its network; its autoencoder and its text encoders stay."""
    name, network = named
    made = copy.copy(pipeline)
    object.__setattr__(made, name, reinitialised(network, seed))
    return of_pipeline(made, uri=uri, shape=shape, value_range=values)


# --- sampling ---------------------------------------------------------------------------------------------------------


class _Drawing:
    """In front of a scheduler's own class: its steps draw from given generators, whatever the pipeline says."""

    generators: list[torch.Generator]

    def step(self, *given: Any, **more: Any) -> Any:
        made: Any = super()
        if "generator" in inspect.signature(made.step).parameters:
            more["generator"] = self.generators
        return made.step(*given, **more)


def of_jumps(
    pipeline: Any,
    *,
    uri: str,
    shape: tuple[int | None, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Generator:
    """A pipeline whose network jumps from noise to a sample, as consistency models do: known by its samples alone.

    Args:
        pipeline: with a scheduler that `jumps`.
        uri: what it is called in reports.
        shape: of a sample, where it shall be another than the network was trained on.
        value_range: lowest and highest value of a sample, -1 and 1 unless said.

    Raises:
        UsageError: if it makes no samples from noise alone.
    """
    call = inspect.signature(type(pipeline).__call__).parameters
    if "prompt" in call or any(name in call for name in NOT_GIVEN):
        read_schedule(pipeline.scheduler)  # raises, and says what to give
    name, network = network_of(pipeline)
    sizes, (low, high) = shape or _shape(pipeline, network), value_range or (-1.0, 1.0)
    known = classes_of(network) if "class_labels" in call else None
    classes = 0 if known is None else known.count

    def asked(seeds: Sequence[int]) -> dict[str, Any]:
        return {"batch_size": len(seeds)} | ({"class_labels": [seed % classes for seed in seeds]} if classes else {})

    make = _sampler(pipeline, asked, sizes, (low, high))
    at_once = _at_once(sizes) or MOST_AT_ONCE

    def sample(n: int, rng: np.random.Generator) -> Floats:
        seeds = [int(seed) for seed in rng.integers(2**62, size=n)]
        return np.concatenate([make(seeds[at : at + at_once]) for at in range(0, n, at_once)])

    def untrained(seed: int) -> Generator:
        made = copy.copy(pipeline)
        object.__setattr__(made, name, reinitialised(network, seed))
        return of_jumps(made, uri=uri, shape=sizes, value_range=(low, high))

    return Generator(
        sampler=sample, uri=uri, shape=sizes, layout="NCHW", value_range=(low, high), untrained=untrained,
        identify=lambda: identity_of_module(network), notices=(("samples-alone", _alone(classes)),),
    )  # fmt: skip


def _alone(classes: int) -> str:
    mixed = f" Its samples are of all {classes} classes, drawn at random." if classes else ""
    return (
        "Its network jumps from noise to a sample and finds no noise in one, so no criterion can ask it about an "
        f"anchor itself: anchors are compared with samples that it made.{mixed}"
    )


def _sampler_of(
    pipeline: Any, network: Any, shape: tuple[int | None, ...] | None, value_range: tuple[float, float]
) -> Callable[[Sequence[int]], Floats] | None:
    """The pipeline's own way to samples; None where it does not hand on what its network must be told."""
    if network.takes == "classes" and "class_labels" not in inspect.signature(type(pipeline).__call__).parameters:
        return None
    return _sampler(
        pipeline, lambda seeds: {"num_inference_steps": SAMPLING, **_asked(network, len(seeds))}, shape, value_range
    )


def _sampler(
    pipeline: Any, told: Callable[[Sequence[int]], dict[str, Any]], shape: Any, value_range: tuple[float, float]
) -> Callable[[Sequence[int]], Floats]:
    """The pipeline called for samples, each from a seed of its own; ``told`` is what it takes besides."""
    call = inspect.signature(type(pipeline).__call__).parameters
    low, high = value_range

    def sample(seeds: Sequence[int]) -> Floats:
        device = next(network_of(pipeline)[1].parameters()).device
        generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        made, scheduler = copy.copy(pipeline), copy.deepcopy(pipeline.scheduler)
        scheduler.__class__ = type("DrawingScheduler", (_Drawing, type(scheduler)), {"generators": generators})
        object.__setattr__(made, "scheduler", scheduler)
        made.set_progress_bar_config(disable=True)
        asked: dict[str, Any] = {"generator": generators, "output_type": "np", **told(seeds)}
        if shape is not None and None not in shape:
            asked |= {"height": shape[-2], "width": shape[-1]}
        with quiet(), torch.no_grad():
            found = made(**{name: each for name, each in asked.items() if name in call})
        pictures = np.asarray(found.images, dtype=np.float32).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(pictures * np.float32(high - low) + np.float32(low))

    return sample


def _asked(network: Any, n: int) -> dict[str, Any]:
    """What the pipeline is asked for: so many samples, under what stands for no condition, so without guidance."""
    if network.takes is None:
        return {"batch_size": n}
    if network.takes == "classes":
        return {"class_labels": network.numbers(None, n), **UNGUIDED}
    return {"prompt": [""] * n, **UNGUIDED}
