"""Samples in whatever a sampler of somebody else returned, as numpy arrays.

Tensors, pictures, their files as bytes or base64, a tuple whose first part is the samples, a mapping or an object that
holds them by a usual name, or what gives one after another.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.errors import UsageError
from whygen.media.pictures import read_picture
from whygen.models.latent import Floats

HELD = ("images", "samples", "sample", "x", "x_hat", "recon", "data", "output", "out", "pixel_values", "b64_json")
"""Names under which samples are held by what a sampler returns."""
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")
"""How files of pictures begin."""


def samples_of(result: Any, n: int) -> Floats:
    """Samples from whatever a sampler returned: float32, bytes as parts of 255.

    Args:
        result: as it came.
        n: how many were asked for; of what gives one after another no more are taken.

    Raises:
        UsageError: if these are no numbers.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise UsageError(
            "sample of the model is async: give a function that waits for the answer, lambda n: asyncio.run(sample(n))."
        )
    result = held = _held(result, n)
    parts = cast("Sequence[Any]", result) if isinstance(result, tuple | list) else ()
    if isinstance(result, tuple) and parts and _is_array(parts[0]):
        result = parts[0]
    elif parts:
        arrays = [numbers_of(each) for each in parts]
        if len(shapes := {each.shape for each in arrays}) > 1:
            some = " and ".join(map(str, sorted(shapes)[:2]))
            raise UsageError(
                f"sample of the model gave samples of {len(shapes)} shapes ({some}), and distances need one: bring all "
                "to one size, or give features of each as a vector, of samples, anchors and reference alike."
            )
        result = np.stack(arrays)
    made = numbers_of(result)
    if made.dtype == np.uint8:
        return made.astype(np.float32) / np.float32(255)
    if made.dtype.kind not in "fiub":
        raise UsageError(f"sample of the model gave {_described(held)}; it must give numbers.{_way_out(held)}")
    return made.astype(np.float32)


def _held(result: Any, n: int) -> Any:
    """The samples inside what holds them: a mapping, an object with names, or what gives one after another."""
    if _is_array(result):
        return result
    if isinstance(result, list) and result and _holds(result[0]):  # a mapping or an object for each sample
        return [_held(each, 1) for each in cast("list[Any]", result)]
    if isinstance(result, tuple | list) and not hasattr(cast("Any", result), "_asdict"):
        return cast("Any", result)
    inside = _named_in(result)
    if (name := next((name for name in HELD if name in inside), None)) is not None:
        return _held(inside[name], n)
    arrays = [each for each in inside.values() if _is_array(each) and len(np.shape(each)) > 1]
    if len(arrays) == 1:
        return arrays[0]
    if isinstance(result, Iterator):
        return _held(list(islice(cast("Iterator[Any]", result), n)), n)
    return cast("Any", result)


def _named_in(result: Any) -> Mapping[str, Any]:
    """What an object holds by name: of a mapping, a named tuple, attributes, and those that a class computes."""
    if isinstance(result, Mapping):
        return cast("Mapping[str, Any]", result)
    if hasattr(result, "_asdict"):
        return cast("Mapping[str, Any]", result._asdict())
    own: dict[str, Any] = getattr(result, "__dict__", {})
    return own or {name: getattr(result, name) for name in HELD if _is_array(getattr(result, name, None))}


def _holds(part: Any) -> bool:
    """Whether it is a mapping, or an object that holds a sample by a usual name, as clients of servers have it."""
    if isinstance(part, Mapping):
        return True
    return not _is_array(part) and any(name in HELD for name in getattr(part, "__dict__", ()))


def _described(result: Any) -> str:
    """What came back and holds no numbers, in words."""
    if texts := columns_of_texts(result):
        return f"a table whose columns {', '.join(texts)} are no numbers"
    first = _first(result)
    if isinstance(first, str):
        return "texts"
    return f"values of type {numbers_of(first).dtype}" if _is_array(first) else f"what is a {type(first).__name__}"


def _first(result: Any) -> Any:
    parts = cast("Sequence[Any]", result) if isinstance(result, list | tuple) else ()
    return cast("Any", parts[0] if parts else result)


def columns_of_texts(table: Any) -> list[str]:
    """Names of the columns of a table that hold no numbers; none where it is no table."""
    kinds = getattr(table, "dtypes", None)
    if kinds is None or not hasattr(table, "columns"):
        return []
    return [
        str(name) for name, kind in zip(table.columns, kinds, strict=True) if getattr(kind, "kind", "O") not in "fiub"
    ]


def _way_out(result: Any) -> str:
    """What to do where no numbers came back."""
    if hasattr(result, "columns"):
        return (
            " Turn columns of texts into numbers (pandas.get_dummies) in the samples, the anchors and the reference "
            "alike."
        )
    first = _first(result)
    if isinstance(first, str):
        return (
            " If they are addresses of pictures, fetch and open them in the function, and return arrays or pictures. "
            "Texts that a model made are turned into vectors (a sentence encoder), the anchors and the reference "
            "alike; a language model itself is given as hf/PATH or openai/NAME, with texts as anchors."
        )
    if _is_array(first) and numbers_of(first).dtype.kind == "c":
        return " Give real and imaginary parts side by side, of samples, anchors and reference alike."
    return ""


def numbers_of(result: Any) -> NDArray[Any]:
    """An array of a tensor, a picture, the file of a picture (bytes, or base64) or whatever numpy reads."""
    picture = _unpacked(result)
    if picture is not None:
        return picture
    if hasattr(result, "detach"):
        result = result.detach().cpu()
        result = result.float() if str(result.dtype) == "torch.bfloat16" else result
        return cast("NDArray[Any]", result.numpy())
    return np.asarray(result)


def _unpacked(file: Any) -> NDArray[np.uint8] | None:
    """The picture that a server sent as a file, grey where it is grey; None where it is no such thing.

    Raises:
        DataError: if it is the file of a picture that cannot be read, or is too large.
    """
    if isinstance(file, str):
        try:
            file = base64.b64decode(file.rpartition("base64,")[2], validate=True)
        except (binascii.Error, ValueError):
            return None
    if not isinstance(file, bytes) or not file.startswith(_PICTURES):
        return None
    read_picture(file)  # its size and its claims are looked at before anything is unpacked
    image = Image.open(io.BytesIO(file))
    return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))


def _is_array(part: Any) -> bool:
    return hasattr(part, "shape") and len(part.shape) > 0
