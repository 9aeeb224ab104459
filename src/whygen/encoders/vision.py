# pyright: basic
"""transformers vision models as encoders of pictures: DINOv2, CLIP, and any other by name or folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.utils import logging

from whygen.encoders.memory import Encoded, Memory
from whygen.errors import MissingError, UsageError
from whygen.media import pictures
from whygen.types import Picture, Vectors

BATCH = 16


class VisionEncoder:
    """A vision model with the picture processor that it was trained with.

    The whole picture is resized to the model's square: nothing is cropped, for a change at the edge must be seen.
    Rescaling and normalisation are the processor's own. Vectors and points have length one.

    Args:
        network: a model with patches (``last_hidden_state``), on the device it shall work on.
        processor: the model's own.
        name: what is written into the record.
    """

    def __init__(self, network: Any, processor: Any, name: str, *, memory: Memory | None = None) -> None:
        self._network = network.eval()
        self._processor = processor
        self._name = name
        self._memory = Memory() if memory is None else memory
        self._side = _side(network, processor)

    @property
    def name(self) -> str:
        return self._name

    @property
    def identity(self) -> dict[str, str]:
        """Its name, and the digest of its weights."""
        found = hashlib.sha256()
        for name, each in self._network.state_dict().items():
            found.update(f"{name} {each.dtype} {tuple(each.shape)}".encode())
            found.update(each.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return {"encoder": self._name, "weights": found.hexdigest()}

    @property
    def side(self) -> int:
        """Pixels along a side of what the model looks at."""
        return self._side

    def images(self, given: Sequence[Picture]) -> Vectors:
        found = self._encode(given)
        width = self._hidden if not found else next(iter(found.values())).sentence.size
        return np.array([found[_key(each)].sentence for each in given], dtype=np.float64).reshape(len(given), width)

    def patches(self, given: Sequence[Picture]) -> list[Vectors]:
        found = self._encode(given)
        return [found[_key(each)].tokens for each in given]

    def means(self, given: Sequence[Picture]) -> Vectors:
        rows: list[NDArray[np.float64]] = []
        for start in range(0, len(given), BATCH):
            hidden, _ = self._forward(given[start : start + BATCH])
            rows += list(hidden.mean(axis=1))
        return np.array(rows, dtype=np.float64).reshape(len(given), self._hidden if not rows else rows[0].size)

    @property
    def _hidden(self) -> int:
        return int(self._network.config.hidden_size)

    def _encode(self, given: Sequence[Picture]) -> dict[str, Encoded]:
        """Every distinct picture by digest; remembered ones are not encoded again."""
        distinct = {_key(each): each for each in given}
        found = self._memory.look_up(distinct)
        missing = [key for key in distinct if key not in found]
        for start in range(0, len(missing), BATCH):
            keys = missing[start : start + BATCH]
            new = dict(zip(keys, self._batch([distinct[key] for key in keys]), strict=True))
            self._memory.add(new)
            found |= new
        return found

    def _batch(self, given: Sequence[Picture]) -> list[Encoded]:
        hidden, pooled = self._forward(given)
        count = _patch_count(self._network, self._side)
        points = hidden if count is None or count > hidden.shape[1] else hidden[:, hidden.shape[1] - count :]
        pooled = points.mean(axis=1) if pooled is None else pooled
        return [Encoded(_unit(one), _unit(many)) for one, many in zip(pooled, points, strict=True)]

    def _forward(self, given: Sequence[Picture]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """All tokens ``(n, t, d)`` and the model's own vector of the whole picture ``(n, d)``, if it has one."""
        values = self.preprocessed(given)
        with torch.inference_mode():
            out = self._network(pixel_values=values.to(self._network.device, self._network.dtype))
        hidden = out.last_hidden_state
        if hidden.ndim == 4:  # a convolutional network: (n, d, rows, columns)
            hidden = hidden.flatten(2).transpose(1, 2)
        pooled = getattr(out, "pooler_output", None)
        return _array(hidden), None if pooled is None else _array(pooled.flatten(1))

    def preprocessed(self, given: Sequence[Picture]) -> torch.Tensor:
        """What the network is given, shape ``(n, 3, side, side)``."""
        square = {"height": self._side, "width": self._side}
        made = self._processor(
            images=[pictures.pixels(each) for each in given],
            size=square,
            do_center_crop=False,
            do_resize=True,
            input_data_format="channels_last",
            return_tensors="pt",
        )
        return made["pixel_values"]


def open_vision(name: str, device: str | None = None) -> VisionEncoder:
    """A vision model by hub name or folder; of a model of pictures and texts, its vision half.

    Raises:
        MissingError: if there is no such model.
        UsageError: if it has no vision half.
    """
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        network: Any = transformers.AutoModel.from_pretrained(name, dtype=torch.float32, trust_remote_code=False)
        processor: Any = transformers.AutoImageProcessor.from_pretrained(name, use_fast=False, trust_remote_code=False)
    except Exception as error:  # of transformers, of the hub's client, of safetensors ...
        what = "is a folder without a usable vision model" if Path(name).is_dir() else "is no vision model to be had"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise MissingError(
            f"encoder={name!r} {what} ({lines[0][:200]}). Give the folder of a transformers vision model, a hub name, "
            "or 'patches', which needs no weights."
        ) from error
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
    vision = getattr(network, "vision_model", network)
    if not hasattr(vision.config, "num_channels"):
        raise UsageError(
            f"encoder={name!r} is a {type(network).__name__}, which sees no pictures. Give a vision model."
        )
    return VisionEncoder(_placed(vision, device), processor, name)


def _placed(vision: Any, device: str | None) -> Any:
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return vision.to(chosen)
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise UsageError(f"device={device!r} cannot be used: {first} Give 'cpu', or leave it out.") from error


def _key(picture: Picture) -> str:
    return hashlib.sha256(picture.data).hexdigest()


def _array(values: torch.Tensor) -> NDArray[np.float64]:
    return values.float().cpu().numpy().astype(np.float64)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def _side(network: Any, processor: Any) -> int:
    """The square that the model was made for: what is left after the crop, or after resizing."""
    for told in (getattr(processor, "crop_size", None), getattr(processor, "size", None)):
        if isinstance(told, int):
            return told
        for key in ("height", "shortest_edge"):
            if told is not None and (found := dict(told).get(key)):
                return int(found)
    return int(getattr(network.config, "image_size", 224))


def _patch_count(network: Any, side: int) -> int | None:
    """How many of the last tokens are patches: what stands before are the class and register tokens."""
    patch = getattr(network.config, "patch_size", None)
    return (side // patch) ** 2 if isinstance(patch, int) and patch > 0 else None
