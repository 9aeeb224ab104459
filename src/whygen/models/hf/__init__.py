# pyright: basic
"""``hf/PATH``, ``hf/FILE.gguf``, ``hf/ORG/NAME[@REVISION]``: transformers language models, from a folder or the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whygen.errors import MissingError, MissingExtraError, UnknownNameError, UsageError, WhygenError
from whygen.models.hf.gguf import ModelPlace, check_beginning, check_packages, fault_of, place_of
from whygen.models.protocols import ModelOptions, Provider
from whygen.types import JsonValue

if TYPE_CHECKING:
    from whygen.models.hf.masked import HfMaskedModel
    from whygen.models.hf.model import HfModel
    from whygen.models.hf.seeing import HfSeeingModel
    from whygen.models.hf.sound import SoundModel

_PIECE = 2**24
_FILES = {".json", ".safetensors", ".bin", ".jinja", ".model", ".txt", ".py", ".tiktoken"}
"""What can change an answer: configuration, weights, tokenizer, template."""


def open_hf(name: str, options: ModelOptions, *, uri: str | None = None) -> HfModel | HfMaskedModel | SoundModel:
    """Open a model from a folder or the hub: one that writes (and may read pictures), fills in a mask or speaks.

    Args:
        name: a folder, a GGUF file (or the folder that holds one), or a name of the hub, with ``@REVISION`` if it must
            be one.
        options: device (the best that is there), dtype (single precision on a processor, where half is slow; the
            checkpoint's own on an accelerator) and batch_size.
        uri: what it is called, if not ``hf/NAME``.

    Raises:
        MissingExtraError: if torch or transformers is not installed.
        MissingError: if there is neither such a folder nor such a model on the hub.
        UsageError: if the device or the dtype cannot be used, or transformers cannot run such a file.
    """
    place = place_of(name)
    check_beginning(name, place)
    try:
        import transformers

        from whygen.models.hf.masked import HfMaskedModel
        from whygen.models.hf.model import HfModel, quiet
    except ImportError as error:
        raise MissingExtraError("A local language model", extra="hf", package=error.name or "transformers") from None
    device = device_of(options.device)
    dtype = dtype_of(options.dtype, device)
    if place.gguf:
        check_packages(name)
    with quiet(), _explained(name, place):
        config = transformers.AutoConfig.from_pretrained(place.where, **place.how)
        if type(config) in transformers.MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING:
            raise UsageError(
                f"hf/{name} makes spectra, and a vocoder makes sounds of them. Give transformers.pipeline("
                "'text-to-audio', model=..., vocoder=...) as the model."
            )
        if type(config) in transformers.MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING:
            return _open_sound(place, uri or f"hf/{name}", device=device, dtype=dtype)
        if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and hasattr(config, "vision_config"):
            return _open_seeing(name, uri or f"hf/{name}", device=device, dtype=dtype)
        fills = _fills_mask(config)
        kind: Any = (
            transformers.AutoModelForMaskedLM
            if fills
            else transformers.AutoModelForSeq2SeqLM
            if config.is_encoder_decoder
            else transformers.AutoModelForCausalLM
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(place.where, **place.how)
        given = {"config": config} if place.gguf else {}  # reading its half a million entries again takes seconds
        network, found = kind.from_pretrained(place.where, dtype=dtype, output_loading_info=True, **place.how, **given)
        _check_whole(name, found)
    network = moved(network, device)
    identity: dict[str, JsonValue] = {
        "weights": _weights(place, network),
        "dtype": str(network.dtype).removeprefix("torch."),
    }
    if fills:
        return HfMaskedModel(network, tokenizer, uri=uri or f"hf/{name}", identity=identity)
    return HfModel(network, tokenizer, uri=uri or f"hf/{name}", identity=identity, batch_size=options.batch_size)


def _open_seeing(name: str, uri: str, *, device: str, dtype: Any) -> HfSeeingModel:
    """A model that reads pictures, with its processor."""
    import transformers

    from whygen.models.hf.seeing import HfSeeingModel

    place = place_of(name)
    processor = transformers.AutoProcessor.from_pretrained(place.where, **place.how)
    kind: Any = transformers.AutoModelForImageTextToText
    network, found = kind.from_pretrained(place.where, dtype=dtype, output_loading_info=True, **place.how)
    _check_whole(name, found)
    network = moved(network, device)
    told: dict[str, JsonValue] = {
        "weights": _weights(place, network), "dtype": str(network.dtype).removeprefix("torch."),
    }  # fmt: skip
    return HfSeeingModel(network, processor, uri=uri, identity=told)


def _open_sound(place: ModelPlace, uri: str, *, device: str, dtype: Any) -> SoundModel:
    """A model that speaks or plays, by the pipeline of its library."""
    import transformers

    from whygen.models.hf.sound import SoundModel

    made: Any = transformers.pipeline(
        "text-to-audio", model=place.where, revision=place.revision, device=device, dtype=dtype
    )
    told: dict[str, JsonValue] = {
        "weights": _weights(place, made.model),
        "dtype": str(made.model.dtype).removeprefix("torch."),
    }
    return SoundModel(made, uri=uri, identity=told)


def _weights(place: ModelPlace, network: Any) -> str:
    """Digest of the file, or of the files of a folder; of the hub the commit."""
    if place.file is not None:
        return digest_of([place.file])
    if Path(place.where).is_dir():
        return files_digest(Path(place.where))
    commit = str(getattr(network.config, "_commit_hash", None) or place.revision)
    return f"{commit}:{place.gguf}" if place.gguf else commit


def _fills_mask(config: Any) -> bool:
    """Whether the checkpoint was made to fill in masks; one that reads both ways cannot write."""
    return any(name.endswith("ForMaskedLM") for name in config.architectures or ())


def _check_whole(name: str, found: dict[str, Any]) -> None:
    """Weights that are missing would be filled with random numbers, and the answers would look like answers."""
    missing = sorted(found.get("missing_keys") or ())
    if missing:
        raise MissingError(
            f"model='hf/{name}': {len(missing)} weights are missing from the files, such as {missing[0]!r}. It is no "
            "language model that writes text, or its files are incomplete."
        )


def device_of(name: str | None) -> str:
    """The device of that name; None: the best that is there.

    Raises:
        UsageError: if there is no such device.
    """
    import torch

    if name is None:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.device(name)
    except RuntimeError:
        raise UsageError(f"device={name!r} is no device. Write cpu, cuda, cuda:0 or mps, or leave it out.") from None
    return name


def dtype_of(name: str | None, device: str) -> Any:
    """The precision of that name; None: single on a processor, else the files' own.

    Raises:
        UnknownNameError: if there is no such precision.
    """
    import torch

    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name is None:
        return torch.float32 if device == "cpu" else "auto"
    if name not in known:
        raise UnknownNameError("dtype", name, known)
    return known[name]


def moved(network: Any, device: str, **more: Any) -> Any:
    """A network or a pipeline on a device.

    Raises:
        UsageError: if the device is not there, or cannot take it.
    """
    try:
        return network.to(device, **more)
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().splitlines()[0]
        raise UsageError(
            f"device={device!r} cannot take this model ({first[:200]}). Use another device, such as cpu, or "
            "dtype='float16'."
        ) from error


def files_digest(folder: Path) -> str:
    """sha256 over names and contents of the files of a model folder, as 64 hexadecimal digits.

    Every byte counts: a fine-tuned model may differ from its base in a few layers only. Pieces are hashed in threads.
    """
    return digest_of(sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _FILES))


def digest_of(files: Sequence[Path]) -> str:
    """sha256 over names and contents of files, as `files_digest` gives it of a folder's."""
    pieces = [(path, start) for path in files for start in range(0, max(1, path.stat().st_size), _PIECE)]
    total = hashlib.sha256()
    with ThreadPoolExecutor() as pool:
        for (path, start), found in zip(pieces, pool.map(_piece_digest, pieces), strict=True):
            total.update(f"{path.name}:{start}:{found}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _piece_digest(piece: tuple[Path, int]) -> str:
    path, start = piece
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.sha256(file.read(_PIECE)).hexdigest()


@contextmanager
def _explained(name: str, place: ModelPlace) -> Iterator[None]:
    """Turns the many ways in which loading fails into one clear error."""
    try:
        yield
    except WhygenError:
        raise
    except Exception as error:  # of transformers, of the hub's client, of safetensors, of tokenizers ...
        if place.gguf:
            raise fault_of(name, place.file, error) from error
        folder = Path(name).expanduser().is_dir()
        what = "is a folder without a usable model" if folder else "is no folder, and not to be had from the hub"
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingError(
            f"model='hf/{name}': {name!r} {what} ({first[:200]}). Give the path of a folder with config.json, weights "
            "and tokenizer, or a hub name such as hf/ORG/NAME with network access."
        ) from error


def provider() -> Provider:
    """``hf/``."""
    return Provider(name="hf", summary="transformers models: hf/ORG/NAME or hf/PATH", open=open_hf)
