"""Generators with an encoder: one object that encodes, decodes and samples, however the user's model spells it.

A `LatentModel` is the black box that the anchor wing talks to, with what it must know of it: the shape, the layout and
the value range of its samples. `whygen.models.load_latent` makes one of whatever a user has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError

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
        reference: samples that the model has not seen and that come with it, as `whygen.anchors.data.load_samples`
            takes them: the reference wherever none is given.
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
    reference: object | None = None

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


def stated(model: object, *, uri: str | None) -> dict[str, Any]:
    """What a model says of itself by attributes, as fields of `LatentModel`."""
    said: dict[str, Any] = {"uri": uri or str(getattr(model, "uri", "") or f"object/{type(model).__name__}")}
    names = {"sample_shape": "shape", "layout": "layout", "value_range": "value_range", "latent_dim": "latent_dim"}
    for attribute, name in names.items():
        if (value := getattr(model, attribute, None)) is not None:
            said[name] = tuple(value) if name in {"shape", "value_range"} else value
    return said
