"""Generators with an encoder: one object that encodes, decodes and samples, however the user's model spells it.

`load_latent` takes a URI, a torch module, an object with ``encode`` and ``decode``, or a ready `LatentModel` (plain
numpy callables), and gives a `LatentModel`: the black box that the anchor wing talks to, with what it must know of it
(the shape, the layout and the value range of its samples).
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.models.protocols import Decodes, Encodes
from whygen.models.registry import ModelOptions, open_uri

Floats: TypeAlias = NDArray[np.float32]
Layout: TypeAlias = Literal["flat", "NHW", "NHWC", "NCHW"]
Encode: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
Decode: TypeAlias = Callable[[Floats], Floats]

LAYOUTS: tuple[Layout, ...] = ("flat", "NHW", "NHWC", "NCHW")
UNIT_RANGE = (0.0, 1.0)
UNBOUNDED = (-math.inf, math.inf)
"""The value range of samples that are not images: nothing is checked and nothing is scaled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentModel:
    """A generator with an encoder, as numpy callables. Fulfils `Encodes`, `Decodes` and `Samples`.

    Attributes:
        encode: samples ``(n, *shape)`` to mean and log-variance of the posterior, each ``(n, d)``.
        decode: latents ``(n, d)`` to samples ``(n, *shape)``.
        uri: what the model is called in reports.
        shape: of one sample; None in a place means "any size"; None alone means "not known".
        layout: how a sample is to be read as an image; needed only where the shape leaves it open.
        value_range: lowest and highest value of a sample; `UNBOUNDED` for data that are not images.
        latent_dim: d, where it is known before anything was encoded.
        batch_size: samples in one call; None: chosen by the size of a sample.
        prefers: the layout to try first where neither shape nor layout is stated.
        sampler: n generated samples; None: standard normal latents, decoded.
    """

    encode: Encode
    decode: Decode
    uri: str = "latent"
    shape: tuple[int | None, ...] | None = None
    layout: Layout | None = None
    value_range: tuple[float, float] = UNIT_RANGE
    latent_dim: int | None = None
    batch_size: int | None = None
    prefers: Layout | None = None
    sampler: Callable[[int, np.random.Generator], Floats] | None = None

    def __post_init__(self) -> None:
        low, high = self.value_range
        if not low < high:
            raise UsageError(f"value_range is {self.value_range}; give (lowest, highest), such as (0, 1).")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise UsageError(f"layout is {self.layout!r}; give one of {', '.join(LAYOUTS)}.")
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size}; give at least 1, or None to have it chosen.")

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """``n`` samples ``(n, *shape)`` from the model's own sampler, or from standard normal latents.

        Raises:
            UsageError: if the number of latent dimensions is not known.
        """
        if self.sampler is not None:
            return self.sampler(n, rng)
        if self.latent_dim is None:
            raise UsageError(
                "latent_dim of the model is not known; give LatentModel(latent_dim=...) to sample from it."
            )
        return self.decode(rng.standard_normal((n, self.latent_dim), dtype=np.float32))


def load_latent(
    model: str | object,
    options: ModelOptions | None = None,
    *,
    shape: tuple[int | None, ...] | None = None,
    layout: Layout | None = None,
    value_range: tuple[float, float] | None = None,
) -> LatentModel:
    """A `LatentModel` from a URI, a torch module, an object with ``encode`` and ``decode``, or a `LatentModel`.

    What the model expects is taken from the arguments, else from what it says of itself (the attributes
    ``sample_shape``, ``layout``, ``value_range``, ``latent_dim``), else values between 0 and 1 are assumed.

    Raises:
        UsageError: if the model cannot encode and decode.
    """
    options = options or ModelOptions()
    opened = _open(model, options) if isinstance(model, str) else model
    latent = _adapt(opened, options, uri=model if isinstance(model, str) else None)
    stated = {"shape": shape, "layout": layout, "value_range": value_range, "batch_size": options.batch_size}
    changes: dict[str, Any] = {name: value for name, value in stated.items() if value is not None}
    return replace(latent, **changes)


def is_torch_module(thing: object) -> bool:
    """Whether this is a torch module; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _open(uri: str, options: ModelOptions) -> object:
    """What the URI names. A class or a function behind ``py/`` is called for the model, without arguments."""
    opened = open_uri(uri, options)
    if isinstance(opened, type):
        return opened()
    if isinstance(opened, Encodes) or not uri.startswith("py/"):
        return opened
    module, _, attribute = uri.removeprefix("py/").partition(":")
    factory = reduce(getattr, attribute.split("."), cast("object", sys.modules[module]))
    try:
        inspect.signature(cast("Callable[..., Any]", factory)).bind()
    except TypeError:
        return opened
    return cast("Callable[[], object]", factory)()


def _adapt(opened: object, options: ModelOptions, *, uri: str | None) -> LatentModel:
    if isinstance(opened, LatentModel):
        return opened
    if not (isinstance(opened, Encodes) and isinstance(opened, Decodes)):
        raise UsageError(
            f"The model {uri or type(opened).__name__!r} has no methods encode and decode, so there is nothing to "
            "measure its anchors by. Give a torch module, a diffusers AutoencoderKL (PATH/vae of a pipeline), or "
            "whygen.models.LatentModel(encode=..., decode=...) with encode(samples) -> (mean, logvar)."
        )
    if is_torch_module(opened):
        from whygen.models.latent_torch import torch_latent

        return torch_latent(opened, options=options, uri=uri)
    return _from_object(opened, uri=uri)


def _from_object(model: Any, *, uri: str | None) -> LatentModel:
    return LatentModel(
        encode=cast("Encode", model.encode),
        decode=cast("Decode", model.decode),
        sampler=getattr(model, "sample", None),
        **stated(model, uri=uri),
    )


def stated(model: object, *, uri: str | None) -> dict[str, Any]:
    """What a model says of itself by attributes, as fields of `LatentModel`."""
    said: dict[str, Any] = {"uri": uri or str(getattr(model, "uri", "") or f"object/{type(model).__name__}")}
    names = {"sample_shape": "shape", "layout": "layout", "value_range": "value_range", "latent_dim": "latent_dim"}
    for attribute, name in names.items():
        if (value := getattr(model, attribute, None)) is not None:
            said[name] = tuple(value) if name in {"shape", "value_range"} else value
    return said
