"""Whether what a person gave removes noise, and if so, as a `Generator`: torch and diffusers are not imported to tell.

Understood: a pipeline of diffusers, by path or as an object; a network with its scheduler, as a tuple or a mapping; an
object that fulfils `Denoises`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from whygen.errors import UsageError
from whygen.models.latent import Generator, Layout, Sampler, stated
from whygen.models.protocols import Denoises, ModelOptions, Samples
from whygen.plugins import already_imported

if TYPE_CHECKING:
    from whygen.models.denoisers.denoiser import Denoiser

DIFFUSERS = "diffusers/"


def denoising(
    model: object,
    options: ModelOptions,
    *,
    uri: str | None = None,
    shape: tuple[int | None, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Generator | None:
    """The model as a `Generator` with a denoiser; None where it is something else.

    Args:
        model: whatever a person gave.
        options: device, dtype and batch_size.
        uri: what it was given as.
        shape: of a sample, where it was said.
        value_range: lowest and highest value of a sample, where it was said.

    Raises:
        UsageError: if it removes noise, and whygen cannot ask it about a sample.
    """
    if isinstance(model, str) and model.startswith(DIFFUSERS):
        return _by_path(model, options, shape, value_range)
    if is_pipeline(model):
        return _of_pipeline(model, options, uri, shape, value_range)
    pair = network_and_scheduler(model)
    if pair is not None:
        from whygen.models.denoisers.loading import of_network

        made = of_network(*pair, options, uri=uri, shape=shape, value_range=value_range)
        return _generator(made)
    if isinstance(model, type) or not isinstance(model, Denoises):
        return None
    draws: Any = model.sample if isinstance(model, Samples) else None
    return Generator(denoiser=model, sampler=cast("Sampler | None", draws), **stated(model, uri=uri))


def is_pipeline(thing: object) -> bool:
    """Whether it is a pipeline of diffusers."""
    library = already_imported("diffusers")
    return library is not None and isinstance(thing, library.DiffusionPipeline)


def network_and_scheduler(thing: Any) -> tuple[Any, Any] | None:
    """A network and its scheduler, as ``(network, scheduler)`` or a mapping of the two; None where it is no such thing.

    Raises:
        UsageError: if they stand the wrong way round.
    """
    if isinstance(thing, Mapping):
        named = cast("Mapping[str, Any]", thing)
        if len(named) != 2 or "scheduler" not in named:
            return None
        return next(value for key, value in named.items() if key != "scheduler"), named["scheduler"]
    if not isinstance(thing, tuple | list):
        return None
    parts = cast("tuple[Any, ...] | list[Any]", thing)
    if len(parts) != 2:
        return None
    first, second = parts
    if _schedules(first) and callable(second):
        raise UsageError("The scheduler stands before the network; give (network, scheduler).")
    return (first, second) if callable(first) and (_schedules(second) or _is_array(second)) else None


def _schedules(thing: Any) -> bool:
    own = any(callable(getattr(thing, name, None)) for name in ("add_noise", "set_timesteps"))  # under any name
    return (own and not callable(thing)) or "Scheduler" in type(thing).__name__ or hasattr(thing, "alphas_cumprod")


def _is_array(thing: Any) -> bool:
    return len(getattr(thing, "shape", ())) == 1 and not callable(thing)


def _by_path(
    uri: str, options: ModelOptions, shape: tuple[int | None, ...] | None, value_range: tuple[float, float] | None
) -> Generator | None:
    """The pipeline in a folder or on the hub; None for an autoencoder, which encodes and decodes."""
    from whygen.models.diffusers import configured_class, load_pipeline

    name = uri.removeprefix(DIFFUSERS)
    kind = configured_class(name)
    if kind is None or not kind.endswith("Pipeline"):
        return None
    pipeline, identity = load_pipeline(name, options)
    made = _of_pipeline(pipeline, options, uri, shape, value_range)
    return replace(made, identify=lambda: identity)


def _of_pipeline(
    pipeline: Any, options: ModelOptions, uri: str | None, shape: Any, value_range: tuple[float, float] | None
) -> Generator:
    from whygen.models.denoisers.loading import of_jumps, of_pipeline
    from whygen.models.denoisers.schedules import jumps

    name = str(getattr(pipeline.config, "_name_or_path", None) or type(pipeline).__name__)
    uri = uri or f"{DIFFUSERS}{name}"
    if jumps(getattr(pipeline, "scheduler", None)):
        return of_jumps(pipeline, uri=uri, shape=shape, value_range=value_range)
    made = of_pipeline(pipeline, options, uri=uri, shape=shape, value_range=value_range)
    return _generator(made)


def _generator(denoiser: Denoiser) -> Generator:
    """What the anchor wing talks to."""
    make = denoiser.untrained

    def untrained(seed: int) -> Generator:
        assert make is not None  # noqa: S101 - or this is not asked for
        return _generator(make(seed))

    return Generator(
        denoiser=denoiser,
        sampler=denoiser.sample if denoiser.generates else None,
        uri=denoiser.uri,
        shape=denoiser.shape,
        layout=cast("Layout | None", denoiser.layout),
        value_range=denoiser.value_range,
        batch_size=denoiser.batch_size,
        identify=denoiser.identify,
        untrained=None if make is None else untrained,
        notices=denoiser.notices,
    )
