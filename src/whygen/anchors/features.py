"""Features of samples: what an encoder makes of them, as the model takes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from whygen import plugins
from whygen.anchors.samples import Prepared
from whygen.encoders import Colours, ImageEncoder, PixelPatches, brought_encoder, load_image_encoder
from whygen.errors import DataError, UsageError
from whygen.media.pictures import picture_of
from whygen.models.latent import Floats
from whygen.plugins import already_imported
from whygen.types import JsonValue

FeatureEncoder: TypeAlias = Callable[[Floats], NDArray[Any]]
"""Samples as the model takes them, ``(b, *shape)``, to features ``(b, dim)``."""
TENSORS = ("pooler_output", "image_embeds", "last_hidden_state", "logits", "features")
"""Names under which what a module returns may hold its features, the first that is there."""
CELLS = 8
"""Cells along a side, of the encoder that needs no weights."""


@dataclass(frozen=True, slots=True)
class PictureFeatures:
    """An encoder of pictures as a callable that takes samples as the model does."""

    encoder: ImageEncoder
    prepared: Prepared = field(repr=False)

    @property
    def name(self) -> str:
        return self.encoder.name

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """What tells its features from those of other encoders; None for one of somebody's own."""
        return getattr(self.encoder, "identity", None) if self.learned else {"encoder": self.name}

    @property
    def learned(self) -> bool:
        """Whether the encoder has weights; without, features are colours."""
        return not isinstance(self.encoder, PixelPatches | Colours)

    def __call__(self, samples: Floats) -> NDArray[Any]:
        """Features ``(n, dim)`` of samples ``(n, *shape)``."""
        images = self.prepared.pictures(samples)
        if isinstance(self.encoder, PixelPatches) and min(images.shape[1:3]) >= CELLS:
            return _cells(images)
        colours = images if images.shape[3] == 3 else np.repeat(images[..., :1], 3, axis=3)
        return self.encoder.images([picture_of((one * 255).round().astype(np.uint8)) for one in colours])


@dataclass(frozen=True, slots=True)
class ModuleFeatures:
    """A torch module as a callable on arrays: in evaluation mode, without gradients, on its own device."""

    module: Any = field(repr=False)

    @property
    def name(self) -> str:
        return type(self.module).__name__

    @property
    def identity(self) -> Mapping[str, JsonValue] | None:
        """The digest of its weights and code; None where that cannot be known."""
        from whygen.models.latent.torch_modules import identity_of_module

        return identity_of_module(self.module)

    def __call__(self, samples: Floats) -> NDArray[Any]:
        """Features ``(n, dim)`` of samples ``(n, *shape)``.

        Raises:
            UsageError: if it gives neither a tensor nor an object that holds one under a usual name.
        """
        import torch

        from whygen.models.latent.torch_modules import numpy_of, sparing, tensor_of
        from whygen.models.one_by_one import evaluating

        def encoded(part: Floats) -> tuple[Floats, ...]:
            with evaluating(self.module), torch.inference_mode():
                found = self.module(tensor_of(part, self.module))
            held = found if isinstance(found, torch.Tensor) else _tensor_in(found)
            if held is None:
                raise UsageError(
                    f"The encoder {self.name} returned a {type(found).__name__}; it must return a tensor (n, dim), or "
                    f"an object with one of {', '.join(TENSORS)}."
                )
            return (numpy_of(held if held.ndim < 2 else held.flatten(1)),)

        return sparing(encoded, samples)[0]


def _tensor_in(found: Any) -> Any:
    """The features in what a model of transformers and the like returns."""
    named: Mapping[str, Any] = cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}
    held = (named.get(name, getattr(cast("object", found), name, None)) for name in TENSORS)
    return next((each for each in held if each is not None), None)


def _is_module(thing: object) -> bool:
    """Whether it is a torch module; torch is not imported to find out."""
    torch = already_imported("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _cells(images: Floats) -> NDArray[np.float64]:
    """Mean colours of 8 x 8 cells, ``(n, 64 channels)``; black and white are 1 apart.

    What `PixelPatches.images` gives of one picture, for a batch at once.
    """
    height, width, channels = images.shape[1:]
    rows, columns = ([side * cell // CELLS for cell in range(CELLS + 1)] for side in (height, width))
    sums = np.add.reduceat(np.add.reduceat(images.astype(np.float64), rows[:-1], axis=1), columns[:-1], axis=2)
    heights, widths = ([after - before for before, after in itertools.pairwise(edges)] for edges in (rows, columns))
    sizes = np.array([[[float(high * wide)] for wide in widths] for high in heights])
    return (sums / sizes).reshape(len(images), -1) / np.sqrt(CELLS * CELLS * channels)


def open_encoder(
    encoder: str | ImageEncoder | FeatureEncoder | None,
) -> ImageEncoder | FeatureEncoder | None:
    """An encoder of pictures by name is opened; anything else is as given.

    What an installed package, or ``py/package.module:callable``, brings is taken as if it had been given.

    Raises:
        UsageError: if it is no encoder, or none of that name is known.
    """
    if isinstance(encoder, str):
        found = brought_encoder(encoder)
        if found is None:
            return load_image_encoder(encoder)
        if _is_module(found):
            return ModuleFeatures(found)
        if callable(found) and not isinstance(found, ImageEncoder):
            known = plugins.identity(plugins.ENCODERS, encoder)
            return plugins.NamedFunction(cast("Callable[..., Any]", found), encoder, known)
        encoder = cast("ImageEncoder", found)  # or whatever it is: told below
    if _is_module(encoder):
        return ModuleFeatures(encoder)
    if encoder is None or callable(encoder) or isinstance(encoder, ImageEncoder):  # pyright: ignore[reportUnnecessaryIsInstance] - users are not typed
        return encoder
    raise UsageError(
        f"encoder is a {type(encoder).__name__}; give a callable (samples (n, ...) -> features (n, dim)), the name "
        "of an encoder of pictures such as 'patches' or 'dinov2', or an open one."
    )


def open_features(encoder: str | ImageEncoder | FeatureEncoder | None, prepared: Prepared) -> FeatureEncoder | None:
    """A callable from samples to features: as given, or of an image encoder by name or open.

    Raises:
        UsageError: if an encoder of pictures was given for samples that are none, or it is none of these.
    """
    opened = open_encoder(encoder)
    if not isinstance(opened, ImageEncoder):
        return opened
    if prepared.image is None:
        raise UsageError("encoder= encodes pictures, and the samples are none; give a callable that takes samples.")
    return PictureFeatures(opened, prepared)


def installed_features(prepared: Prepared) -> PictureFeatures | None:
    """Features of colour pictures by the best encoder that is here already; None for other samples."""
    if prepared.image is None or prepared.image[2] != 3 or not np.isfinite(prepared.value_range).all():
        return None
    return PictureFeatures(load_image_encoder("auto"), prepared)


def features(encoder: FeatureEncoder, samples: Floats) -> NDArray[np.float64]:
    """What the encoder makes of samples: float64 of shape ``(n, dim)``.

    Raises:
        DataError: if it is not one finite vector a sample.
    """
    with plugins.said_of(
        getattr(encoder, "module", encoder),
        f"The encoder {name_of(encoder)}",
        advice=f"It must take samples {samples.shape} and give (n, dim).",
    ):
        vectors = np.asarray(encoder(samples), dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) != len(samples):
        raise DataError(
            f"The encoder {name_of(encoder)} gave shape {vectors.shape} for {len(samples)} samples; it must give "
            f"({len(samples)}, dim): one vector for each."
        )
    if not np.isfinite(vectors).all():
        raise DataError(
            f"The encoder {name_of(encoder)} gave NaN or infinite features; its preprocessing may not fit samples of "
            f"shape {samples.shape[1:]} between {samples.min():.3g} and {samples.max():.3g}."
        )
    return vectors


def name_of(thing: object) -> str:
    """What a function or an object is called in reports."""
    return str(getattr(thing, "name", None) or getattr(thing, "__name__", None) or type(thing).__name__)
