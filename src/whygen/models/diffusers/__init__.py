# pyright: basic
"""``diffusers/PATH`` or ``diffusers/ORG/NAME``: models of the diffusers library, told apart by their own configuration.

Pipelines of pictures, videos and sounds, loaded by the class that their ``model_index.json`` names. And an
``AutoencoderKL`` (alone, or as the ``vae`` folder of a pipeline, named ``diffusers/PATH/vae``).
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whygen.errors import MissingError, MissingExtraError, UsageError
from whygen.models.hf import device_of, dtype_of, files_digest, moved
from whygen.models.latent import LatentModel, stated
from whygen.models.protocols import ModelOptions, Provider
from whygen.types import JsonValue

if TYPE_CHECKING:
    from whygen.models.diffusers.media import MediaModel
    from whygen.models.diffusers.pictures import PictureModel

SIGNED_RANGE = (-1.0, 1.0)
"""Autoencoders of diffusers take and give images between -1 and 1."""


def provider() -> Provider:
    """The provider ``diffusers``; the library is imported when a model is opened."""
    return Provider(
        name="diffusers",
        summary="pipelines of pictures, sounds, videos, and autoencoders: diffusers/ORG/NAME or diffusers/PATH",
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
    configured = configured_class(name)
    if configured == "AutoencoderKL":
        return open_autoencoder(name, options)
    if configured is not None and configured.endswith("Pipeline"):
        return open_pipeline(name, options)
    raise UsageError(
        f"diffusers/{name} is of the class {configured or 'unknown'!r}; whygen opens pipelines and AutoencoderKL. "
        f"For the autoencoder of a pipeline give its folder: diffusers/{name}/vae."
    )


def open_pipeline(
    name: str, options: ModelOptions, *, uri: str | None = None, defaults: Mapping[str, JsonValue] | None = None
) -> PictureModel | MediaModel:
    """A pipeline as a model that answers with pictures, sounds or videos.

    Args:
        name: a folder that ``save_pretrained`` has written, or a name of the hub.
        options: device (the best that is there), dtype (single precision on a processor, half on an accelerator,
            whatever the files hold) and batch_size.
        uri: what it is called, if not ``diffusers/NAME``.
        defaults: settings of ``Settings.extra`` that apply unless a request gives others.

    Raises:
        MissingExtraError: if diffusers is not installed.
        MissingError: if there is no such pipeline, or a part of it is missing.
        UsageError: if the device or the dtype cannot be used, or the pipeline takes no text.
    """
    _library()
    from whygen.models.diffusers.pictures import quiet

    with quiet():
        _check_configured(name)
    pipeline, identity = load_pipeline(name, options)
    return _as_model(
        pipeline, uri=uri or f"diffusers/{name}", identity=identity, batch_size=options.batch_size, defaults=defaults
    )


def load_pipeline(name: str, options: ModelOptions) -> tuple[Any, dict[str, JsonValue]]:
    """A pipeline by the class that its ``model_index.json`` names, and what identifies it: its files and precision.

    Raises:
        MissingExtraError: if diffusers is not installed.
        MissingError: if there is no such pipeline, or a part of it is missing.
        UsageError: if the device or the dtype cannot be used.
    """
    diffusers = _library()
    from whygen.models.diffusers.pictures import quiet

    device = device_of(options.device)
    dtype = dtype_of(options.dtype or ("float32" if device == "cpu" else "float16"), device)
    folder = name if Path(name).is_dir() else _downloaded(name)
    try:
        with quiet(), warnings.catch_warnings(action="ignore"):  # of the library to its own authors
            pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=dtype)
    except (OSError, ValueError, RuntimeError, AttributeError, ImportError) as error:
        raise MissingError(
            f"model='diffusers/{name}' is a folder without a usable pipeline ({_first(error)}). Give the folder that "
            f"save_pretrained has written, or ORG/NAME; for its autoencoder alone diffusers/{name}/vae."
        ) from error
    with quiet(), warnings.catch_warnings(action="ignore"):
        pipeline = moved(pipeline, device)
    identity: dict[str, JsonValue] = {
        "weights": _folder_digest(Path(name)) if Path(name).is_dir() else Path(folder).name,
        "dtype": str(dtype).removeprefix("torch."),
    }
    return pipeline, identity


def held_pipeline(pipeline: Any, options: ModelOptions) -> PictureModel | MediaModel:
    """A pipeline that a person holds, as it is: with its adapters, its scheduler, and the parts where they lie.

    Its answers are kept for the run only: what it was loaded from names it, and says nothing of its weights now.

    Raises:
        UsageError: if whygen cannot ask it, or it is to be moved or converted.
    """
    if options.device is not None or options.dtype is not None:
        raise UsageError(
            "device and dtype are for models that whygen opens, and this pipeline is open. Leave them out, or move it "
            "yourself: pipeline.to(device, dtype)."
        )
    name = str(getattr(pipeline.config, "_name_or_path", None) or type(pipeline).__name__)
    return _as_model(pipeline, uri=f"diffusers/{name}", batch_size=options.batch_size)


def _as_model(
    pipeline: Any,
    *,
    uri: str,
    identity: Mapping[str, JsonValue] | None = None,
    batch_size: int | None = None,
    defaults: Mapping[str, JsonValue] | None = None,
) -> PictureModel | MediaModel:
    """The model for what the pipeline answers with."""
    from whygen.models.diffusers.kinds import check_class

    kind = check_class(type(pipeline), uri)
    if kind in ("sound", "frames"):
        from whygen.models.diffusers.media import MediaModel

        return MediaModel(pipeline, kind=kind, uri=uri, identity=identity, defaults=defaults)
    from whygen.models.diffusers.pictures import PictureModel

    return PictureModel(pipeline, uri=uri, identity=identity, batch_size=batch_size, defaults=defaults)


def _check_configured(name: str) -> None:
    """Refuse by the class that the configuration names, before weights are fetched and loaded."""
    from whygen.models.diffusers.kinds import check_class

    made: Any = getattr(_library(), str(configured_class(name)), None)
    if isinstance(made, type) and not hasattr(made, "_backends"):  # those stand for classes whose library is missing
        check_class(made, f"diffusers/{name}")


def _downloaded(name: str) -> str:
    """The folder of a pipeline from the hub; its name is the commit."""
    try:
        return str(_library().DiffusionPipeline.download(name))
    except (OSError, ValueError) as error:
        raise MissingError(
            f"model='diffusers/{name}': {name!r} is no folder, and not to be had from the hub ({_first(error)}). "
            "Give a folder that save_pretrained has written, or a hub name with network access."
        ) from error


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _folder_digest(folder: Path) -> str:
    """sha256 over the files of a pipeline, those of its parts included."""
    parts = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    told = [("", files_digest(folder)), *((part.name, files_digest(part)) for part in parts)]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def open_autoencoder(name: str, options: ModelOptions) -> LatentModel:
    """An ``AutoencoderKL`` as a `LatentModel`; images are NCHW between -1 and 1, of any size its strides divide."""
    diffusers = _library()
    folder, subfolder = _split(name)
    module: Any = diffusers.AutoencoderKL.from_pretrained(folder, subfolder=subfolder)
    return autoencoder_latent(module, options, uri=f"diffusers/{name}")


def autoencoder_latent(module: Any, options: ModelOptions, *, uri: str | None = None) -> LatentModel:
    """An ``AutoencoderKL`` that is loaded already; what it says of itself by attributes comes first."""
    from whygen.models.latent.torch_modules import torch_latent

    known: dict[str, Any] = {
        "shape": (int(module.config.in_channels), None, None),
        "layout": "NCHW",
        "value_range": SIGNED_RANGE,
    }
    said = stated(module, uri=uri)
    return torch_latent(
        module, options=options, uri=uri, **{name: value for name, value in known.items() if name not in said}
    )


def configured_class(name: str) -> str | None:
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
