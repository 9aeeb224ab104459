"""Making a `Generator` of a URI, a torch module, an object that encodes, samples or tells densities, or a ready one."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from typing import Any, cast

from whygen._arguments import typed
from whygen.errors import ModelError, UsageError, WhygenError
from whygen.models.latent import UNIT_RANGE, Decode, Encode, Generator, Layout, Scale, stated
from whygen.models.latent.denoising import denoising
from whygen.models.latent.refusals import codes, is_condition, refusal, taken, weights_file
from whygen.models.latent.sampling import density_of, drawing_of, generator_of, one_condition
from whygen.models.protocols import Decodes, Encodes, ModelOptions
from whygen.models.python import CallableModel
from whygen.models.registry import open_uri
from whygen.plugins import PYTHON, already_imported, source_of
from whygen.safe import says


@typed()
def load_latent(
    model: str | object,
    options: ModelOptions | None = None,
    *,
    shape: tuple[int | None, ...] | None = None,
    layout: Layout | None = None,
    value_range: tuple[float, float] | None = None,
    scale: Scale | None = None,
) -> Generator:
    """A `Generator` from a URI, a torch module, or an object.

    A torch module encodes and decodes, makes samples of latents, or tells how likely a sample is; an object has
    ``encode`` and ``decode``, ``sample``, ``log_prob`` or ``score_samples``, or is a `Generator`; a function makes n
    samples.

    What the model expects is taken from the arguments, else from what it says of itself (the attributes
    ``sample_shape``, ``layout``, ``value_range``, ``latent_dim``, ``posterior_scale``), else values between 0 and 1 are
    assumed; an autoencoder of diffusers takes -1 to 1, as an object as by its path. What ``scale`` is: see
    `Generator`.

    Raises:
        UsageError: if the model can do none of these.
    """
    options = options or ModelOptions()
    opened: object = model
    latent = denoising(model, options, shape=shape, value_range=value_range)
    if latent is None:
        opened = _open(model, options) if isinstance(model, str) else model
        uri = model if isinstance(model, str) else None
        latent = denoising(opened, options, uri=uri, shape=shape, value_range=value_range)
        latent = latent or _adapt(opened, options, uri=uri)
    given = {
        "shape": shape,
        "layout": layout,
        "value_range": value_range,
        "scale": scale,
        "batch_size": options.batch_size,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if value_range is not None:
        changes["range_found"] = False
    else:
        changes["range_assumed"] = _assumes_range(latent, opened)
    if latent.identify is None and isinstance(model, str) and model.startswith(PYTHON):
        changes["identify"] = partial(source_of, model)
    return replace(latent, **changes)


def _assumes_range(latent: Generator, opened: object) -> bool:
    """Whether 0 to 1 is our guess: an autoencoder that does not say what its samples range over."""
    silent = not isinstance(opened, Generator) and getattr(_unwrapped(opened), "value_range", None) is None
    return silent and latent.encode is not None and latent.value_range == UNIT_RANGE and not latent.range_found


def is_torch_module(thing: object) -> bool:
    """Whether this is a torch module; torch is not imported to find out."""
    torch = already_imported("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _is_autoencoder(thing: object) -> bool:
    """Whether this is an autoencoder of diffusers, or of a class made from one; diffusers is not imported."""
    library = already_imported("diffusers")
    return library is not None and isinstance(thing, library.AutoencoderKL)


def _unwrapped(thing: Any) -> Any:
    """The module inside what torch puts around one: DataParallel and its like (``module``), compile (``_orig_mod``).

    The wrapper hides which class the module is, and with it the range of values that it takes.
    """
    inside = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
    while is_torch_module(thing) and type(thing).__name__ in inside:
        thing = getattr(thing, inside[type(thing).__name__])
    return thing


def _open(uri: str, options: ModelOptions) -> object:
    """What the URI names. A class or a function behind ``py/`` is called for the model, without arguments."""
    if (told := weights_file(uri)) is not None:
        raise UsageError(told)
    opened = open_uri(uri, options)
    if not isinstance(opened, type) and (isinstance(opened, Encodes) or not uri.startswith("py/")):
        return opened
    if not uri.startswith("py/"):
        return cast("type[object]", opened)()
    module, _, attribute = uri.removeprefix("py/").partition(":")
    factory = reduce(getattr, attribute.split("."), cast("object", sys.modules[module]))
    if not isinstance(factory, type | partial) and not inspect.isroutine(factory):
        return factory  # a model that can be called, as modules and pipelines are
    needed = _needed(cast("Callable[..., Any]", factory))
    if needed and isinstance(factory, type):
        raise UsageError(
            f"{uri} is a class that needs {', '.join(needed)}. Name an object of it, or a function that makes one."
        )
    if needed:
        return opened
    try:
        return cast("Callable[[], object]", factory)()
    except WhygenError:
        raise
    except Exception as error:  # foreign code
        raise ModelError(
            f"{uri}, called for the model, raised {says(error).rstrip('.')}. Mend it, or name the model itself."
        ) from error


def _needed(factory: Callable[..., Any]) -> list[str]:
    """Arguments without which it cannot be called."""
    try:
        taken = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # compiled code has no signature
        return []
    return [each.name for each in taken if each.default is each.empty and each.kind not in _OPEN]


_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _adapt(opened: object, options: ModelOptions, *, uri: str | None) -> Generator:
    if isinstance(opened, Generator):
        return opened
    if isinstance(opened, type):
        raise UsageError(refusal(opened, uri=uri))
    opened = _unwrapped(opened)
    if _is_autoencoder(opened):
        from whygen.models.diffusers import autoencoder_latent

        return autoencoder_latent(opened, options, uri=uri)
    if is_torch_module(opened):
        return _of_torch(opened, options, uri=uri)
    if isinstance(opened, Encodes) and isinstance(opened, Decodes):
        return _from_object(opened, uri=uri)
    if isinstance(opened, CallableModel):  # what py/ makes of any function
        opened = opened.function
    made = generator_of(opened, uri=uri)
    if made is None:
        raise UsageError(refusal(opened, uri=uri))
    return made


def _of_torch(module: Any, options: ModelOptions, *, uri: str | None) -> Generator:
    """A module that encodes and decodes, tells densities, or makes samples of latents; the first that it does."""
    from whygen.models.latent.torch_generators import torch_generator, why_not
    from whygen.models.latent.torch_modules import (
        gives_posterior,
        identity_of_module,
        placed,
        reinitialised,
        torch_latent,
    )

    module = placed(module, options)
    if codes(module) or gives_posterior(module):
        return torch_latent(module, uri=uri)
    law = _law(module)
    try:
        made = generator_of(law, uri=uri or f"object/{type(module).__name__}")
    except ModelError as error:
        told = [name for name in taken(module) if is_condition(name)]
        if law is module or not told:
            raise
        raise ModelError(f"{error}{one_condition(told)}") from error
    if made is None:
        made = torch_generator(module, uri=uri)
        if made is None:
            raise UsageError(f"{refusal(module, uri=uri)}{why_not(module)}")
        return made

    def untrained(seed: int) -> Generator:
        return replace(_of_torch(reinitialised(module, seed), ModelOptions(), uri=uri), **stays)

    stays: dict[str, Any] = {"shape": made.shape, "value_range": made.value_range}
    return replace(made, identify=lambda: identity_of_module(module), untrained=untrained)


def _law(module: Any) -> Any:
    """What a flow gives when it is called without anything, as zuko's do: its law. Else the module itself."""
    if _takes_anything(module):
        return module
    try:
        law = module()
    except Exception:  # foreign code: nflows raises what says that it is not to be called
        return module
    return module if density_of(law) is None and drawing_of(law) is None else law


def _takes_anything(module: Any) -> bool:
    """Whether ``forward`` needs an argument; a module without one, too, cannot be called without."""
    torch: Any = sys.modules["torch"]
    if "forward" not in {
        name for kind in type(module).__mro__[:-1] if kind is not torch.nn.Module for name in vars(kind)
    }:
        return True
    try:
        inspect.signature(module.forward).bind()
    except (TypeError, ValueError):  # TorchScript has no signature
        return True
    return False


def _from_object(model: Any, *, uri: str | None) -> Generator:
    return Generator(
        encode=cast("Encode", model.encode),
        decode=cast("Decode", model.decode),
        sampler=getattr(model, "sample", None),
        **stated(model, uri=uri),
    )
