# pyright: basic
"""``diffusers/PATH`` or ``diffusers/ORG/NAME``: models of the diffusers library, told apart by their own configuration.

Today an ``AutoencoderKL`` (alone, or as the ``vae`` folder of a pipeline, named ``diffusers/PATH/vae``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whygen.errors import MissingError, MissingExtraError, UsageError
from whygen.models.latent import LatentModel
from whygen.models.registry import ModelOptions, Provider

SIGNED_RANGE = (-1.0, 1.0)
"""Autoencoders of diffusers take and give images between -1 and 1."""


def provider() -> Provider:
    """The provider ``diffusers``; the library is imported when a model is opened."""
    return Provider(
        name="diffusers",
        summary="Autoencoders of the diffusers library, from a folder or the hub",
        names=lambda: (),
        open=open_model,
    )


def open_model(name: str, options: ModelOptions) -> object:
    """Open a saved diffusers model by the class its configuration names.

    Raises:
        MissingExtraError: if diffusers is not installed.
        MissingError: if there is no such model.
        UsageError: if whygen cannot explain models of that class.
    """
    configured = _class_name(name)
    openers: dict[str, Callable[[str, ModelOptions], object]] = {"AutoencoderKL": open_autoencoder}
    if configured not in openers:
        raise UsageError(
            f"diffusers/{name} is of the class {configured or 'unknown'!r}; whygen opens {', '.join(openers)}. "
            f"For the autoencoder of a pipeline give its folder: diffusers/{name}/vae."
        )
    return openers[configured](name, options)


def open_autoencoder(name: str, options: ModelOptions) -> LatentModel:
    """An ``AutoencoderKL`` as a `LatentModel`; images are NCHW between -1 and 1, of any size its strides divide."""
    diffusers = _library()
    from whygen.models.latent_torch import torch_latent

    folder, subfolder = _split(name)
    module: Any = diffusers.AutoencoderKL.from_pretrained(folder, subfolder=subfolder)
    return torch_latent(
        module,
        options=options,
        uri=f"diffusers/{name}",
        shape=(int(module.config.in_channels), None, None),
        layout="NCHW",
        value_range=SIGNED_RANGE,
    )


def _class_name(name: str) -> str | None:
    """The class that the model's own configuration names; None for a pipeline of unknown make."""
    folder, subfolder = _split(name)
    place = Path(folder) / (subfolder or "")
    if place.is_dir():
        for file in ("config.json", "model_index.json"):
            if (place / file).is_file():
                return json.loads((place / file).read_text(encoding="utf-8")).get("_class_name")
        raise MissingError(f"The folder {place} holds no config.json; give a folder that save_pretrained has written.")
    return _class_on_hub(name)


def _class_on_hub(name: str) -> str | None:
    diffusers = _library()
    folder, subfolder = _split(name)
    try:
        config: Any = diffusers.AutoencoderKL.load_config(folder, subfolder=subfolder)
    except (OSError, ValueError) as error:
        raise MissingError(
            f"There is no diffusers model at {name!r}, neither a folder nor on the hub ({error}). "
            "Give the folder that save_pretrained has written, or ORG/NAME."
        ) from error
    return config.get("_class_name")


def _split(name: str) -> tuple[str, str | None]:
    """``PATH/vae`` or ``ORG/NAME/vae`` to the pipeline and its part; folders that exist are taken as they are."""
    if (Path(name) / "config.json").is_file() or not name.endswith("/vae"):
        return name, None
    return name.removesuffix("/vae"), "vae"


def _library() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtraError("A diffusers model", extra="diffusion", package="diffusers") from error
    return diffusers
