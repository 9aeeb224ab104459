# pyright: basic
"""What came back from a user's own function, where it is no text: calls of tools, a medium, or a clear no.

A form is taken where it can be one thing only: an array with a number in the range of rates is a sound, uint8 with
three channels a picture. Where it can be two (an array of one axis: numbers, or a sound whose rate nobody said?),
nothing is guessed, and the refusal names the line to type.
"""

from __future__ import annotations

import inspect
import json
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.errors import DataError, MissingError
from whygen.files import is_file
from whygen.media import films, pictures, sounds
from whygen.models.openai.turns import calls_in
from whygen.remote import dig
from whygen.types import Output, OutputKind, Picture, Sound, Video

Array: TypeAlias = NDArray[Any]

PLAYED = 8.0
"""Frames a second where frames come without a rate."""

DOORS = (
    "Return whygen.media.sounds.sound_of(samples, rate) for a sound, "
    "whygen.media.films.video_of(frames, rate) for a video, or whygen.media.pictures.picture_of(pixels) for a picture."
)
_SUFFIXES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".gif",
    ".apng",
    ".wav",
    ".flac",
    ".mp3",
    ".ogg",
    ".opus",
    ".avif",
    ".mp4",
    ".m4v",
    ".webm",
    ".mkv",
    ".mov",
    ".avi",
}
_HELD = ("frames", "images")
_RATES = ("sampling_rate", "sample_rate", "rate")
_SLACK = 1e-3
"""How far over 1 or under 0 rounding may carry a float of a picture."""


def medium_of(value: object, kind: OutputKind | None) -> Output | None:
    """What came back as an output with a picture, a sound or a video; None where it is no form of these.

    Args:
        value: a `Picture`, `Sound` or `Video`; a Pillow image or a list of them; an array or a tensor, of the shape
            ``(height, width, 3)``, ``(3, height, width)``, ``(t, height, width, 3)`` or ``(t, 3, height, width)``;
            ``(samples, rate)`` or ``(rate, samples)``; ``{"audio": samples, "sampling_rate": rate}``; the bytes of a
            file or its path.
        kind: what was promised; None where nothing was.

    Raises:
        DataError: if it is broken, or can be more than one thing.
        MissingError: if it is the path of a file that is not there.
    """
    if isinstance(value, Picture | Image.Image):
        return Output(picture=pictures.picture_from(value))
    if isinstance(value, Sound):
        sounds.samples(value)
        return Output(sound=value)
    if isinstance(value, Video):
        films.frames(value)
        return Output(frames=value)
    if isinstance(value, Path) or (isinstance(value, str) and kind not in {None, "text"}):
        return _of_file(Path(value), kind)
    if isinstance(value, bytes | bytearray | memoryview):
        return of_bytes(bytes(value), kind)
    if isinstance(value, Mapping):
        return _of_mapping(cast("Mapping[str, object]", value), kind)
    if isinstance(value, tuple | list):
        return _of_sequence(cast("Sequence[object]", value), kind)
    return _of_object(value, kind)


def answer_of(value: object) -> Output | None:
    """A message with calls of tools, as clients and frameworks give one; None where it is no message.

    Args:
        value: a mapping with ``content`` (or ``text``) and ``tool_calls``, in OpenAI's words or flat (``name`` and
            ``args``), or an object that has these, such as a message of a client or of LangChain.

    Raises:
        DataError: if what a tool is called with is no JSON.
    """
    fields = value if isinstance(value, Mapping) else {name: getattr(value, name, None) for name in _SAID}
    content, called = fields.get("content", fields.get("text")), fields.get("tool_calls")
    if not isinstance(content, str | list) and not isinstance(called, list | tuple):
        return None
    try:
        told = json.loads(json.dumps({"content": content, "tool_calls": called}, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"its calls of tools are no JSON: {error}") from None
    parts = told["content"] if isinstance(told["content"], list) else [{"text": told["content"]}]
    texts = [part if isinstance(part, str) else dig(part, "text") for part in parts]
    return Output(text="".join(text for text in texts if isinstance(text, str)), calls=calls_in(told))


_SAID = ("content", "tool_calls")
_TEXTS: tuple[tuple[str | int, ...], ...] = (
    ("choices", 0, "message", "content"), ("choices", 0, "text"), ("message", "content"), ("content", 0, "text"),
    ("candidates", 0, "content", "parts", 0, "text"), (0, "generated_text"), (0, "content"), (0, "text"),
    ("generated_text",), ("output_text",), ("response",), ("answer",), ("output",), ("text",), ("label",), (0,),
)  # fmt: skip
"""Where clients, pipelines and servers keep the text of an answer."""


def is_written(value: object) -> bool:
    """Whether it is a text that nobody has decoded."""
    try:
        return isinstance(value, bytes | bytearray) and b"\0" not in value and bool(value.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def text_inside(value: object) -> str:
    """What to return of a value that is no text and holds one: the line to type, as far as it can be told."""
    if isinstance(value, bytes | bytearray):
        return "Return f(prompt).decode()."
    if inspect.isgenerator(value):
        return "Join its parts: lambda prompt: ''.join(f(prompt))."
    if _number(value) is not None:
        return "To explain a number, return str(f(prompt)), and give target=float."
    for place in _TEXTS:
        found, written = value, "f(prompt)"
        for step in place:
            is_item = isinstance(step, int) or isinstance(found, Mapping)
            try:
                found = cast("Any", found)[step] if is_item else getattr(found, str(step))
            except (AttributeError, IndexError, KeyError, TypeError):
                break
            written += f"[{step!r}]" if is_item else f".{step}"
        else:
            if isinstance(found, str):
                return f"Return the text of the answer: lambda prompt: {written}."
    return "Return the text of the answer."


def _plain(value: object) -> object:
    """An object of a client library as the mapping that it is made of."""
    dump = getattr(value, "model_dump", None)
    if not callable(dump):
        raise TypeError(f"a {type(value).__name__} stands in them")
    return dump()


def _of_object(value: object, kind: OutputKind | None) -> Output | None:
    """An array or a tensor; or an object of a library's own, which holds pictures by the names that mappings have."""
    array = _array(value)
    if array is None:
        return _of_mapping({name: vars(value)[name] for name in _HELD if name in getattr(value, "__dict__", ())}, kind)
    return None if array.ndim == 0 else _of_array(array, kind)


def medium_from(value: object) -> Picture | Sound | Video:
    """A picture, a sound or a video from whatever holds one, such as what is to be changed by an `Edit`.

    Args:
        value: what `medium_of` takes, the path of a file as a text, or a file that is open for reading.

    Raises:
        DataError: if it is broken, or can be more than one thing.
        MissingError: if it is the path of a file that is not there.
    """
    if callable(getattr(value, "read", None)) and not isinstance(value, Image.Image):
        value = cast("Any", value).read(sounds.MOST_BYTES + 1)
    made = medium_of(Path(value) if isinstance(value, str) else value, None)
    if made is None or made.medium is None:
        raise DataError(
            f"A {type(value).__name__} holds no picture, sound or video that can be told. Give a path, the bytes of a "
            "file, a Pillow image, a list of frames, or (samples, rate)."
        )
    return made.medium


def names_a_file(text: str) -> bool:
    """Whether a text is the path of a picture, a sound or a video that is there."""
    if len(text) > 4096 or "\n" in text or "\0" in text or Path(text).suffix.lower() not in _SUFFIXES:
        return False
    return is_file(Path(text))


def of_bytes(data: bytes, kind: OutputKind | None = None) -> Output:
    """A file in memory, told by how it begins.

    Raises:
        DataError: if it is no file that can be read.
    """
    if sounds.is_sound(data):
        return Output(sound=sounds.read_sound(data))
    if films.film_of(data) is not None or kind == "frames" or (kind != "picture" and films.is_animated(data)):
        return Output(frames=films.read_video(data))
    return Output(picture=pictures.read_picture(data))


def _of_file(path: Path, kind: OutputKind | None) -> Output:
    if not is_file(path):  # a pipe would be waited for without end
        raise MissingError(f"There is no file at {str(path)[:200]!r}. Give the path of a file that was written.")
    if path.stat().st_size > sounds.MOST_BYTES:
        raise DataError(f"{str(path)!r} is over {sounds.MOST_BYTES // 2**20} MiB. Make it shorter or smaller.")
    return of_bytes(path.read_bytes(), kind)


def _of_mapping(value: Mapping[str, object], kind: OutputKind | None) -> Output | None:
    """What pipelines of transformers and diffusers, and data sets, return."""
    rate = next((value[name] for name in _RATES if name in value), None)
    samples = next((value[name] for name in ("audio", "array", "samples") if name in value), None)
    if samples is not None and rate is not None:
        return _sound(_array(samples), _number(rate))
    for name in _HELD:
        held = value.get(name)
        if isinstance(held, tuple | list) and len(cast("list[object]", held)) == 1:
            return medium_of(held[0], kind)
        if (array := _array(held)) is not None and array.ndim > 3 and len(array) == 1:
            return _of_array(array[0], kind)
    return None


def _of_sequence(value: Sequence[object], kind: OutputKind | None) -> Output | None:
    if len(value) == 2:
        for one, other in (value, value[::-1]):
            rate, held = _number(other), _array(one)
            if rate is None or one is None or isinstance(one, str | bytes | numbers.Number):
                continue
            if isinstance(one, list | tuple) and _all_pictures(cast("list[object]", one)):
                return Output(frames=films.video_of(_stacked(cast("list[object]", one)), rate))
            if held is not None and held.ndim >= 4:
                return Output(frames=films.video_of(_frames(held), rate))
            if held is not None and held.ndim >= 1:
                return _sound(held, rate)
    if value and _all_pictures(value):
        if len(value) == 1 and kind != "frames":
            return medium_of(value[0], kind)
        return Output(frames=films.video_of(_stacked(value), PLAYED))
    return None


def _all_pictures(value: Sequence[object]) -> bool:
    """Whether it is a list of pictures, which are frames."""
    if not value:
        return False
    return all(isinstance(each, Picture | Image.Image) or _dimensions(each) == 3 for each in value)


def _dimensions(value: object) -> int:
    array = None if isinstance(value, list | tuple) else _array(value)
    return -1 if array is None else array.ndim


def _stacked(value: Sequence[object]) -> films.Frames:
    drawn = [pictures.pixels(made.picture) for each in value if (made := medium_of(each, "picture")) and made.picture]
    if len({each.shape for each in drawn}) != 1:
        raise DataError("The frames are of different sizes. Bring them to one.")
    return np.stack(drawn)


def _array(value: object) -> Array | None:
    """Numbers as an array, from numpy, torch (with gradients, in bfloat16, on a device) or what gives arrays."""
    if isinstance(value, np.ndarray | list | tuple):
        try:
            array = np.asarray(value)
        except (ValueError, TypeError):
            return None
        return array if array.dtype.kind in "buif" else None
    given: Any = value
    if callable(getattr(given, "detach", None)) and callable(getattr(given, "cpu", None)):
        given = given.detach().cpu()
        return np.asarray((given.float() if "float" in str(given.dtype) else given).numpy())
    if callable(getattr(given, "__array__", None)):
        array = np.asarray(given)
        return array if array.dtype.kind in "buif" else None
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    array = None if isinstance(value, list | tuple) else _array(value)
    if isinstance(value, np.number):
        array = np.asarray(value)
    return float(array) if array is not None and array.ndim == 0 and array.dtype.kind in "uif" else None


def _sound(given: Array | None, rate: float | None) -> Output:
    """Channels may come first, as torch has them, and in a batch of one."""
    if given is None or rate is None:
        raise DataError(f"What came back holds no samples with a rate. {DOORS}")
    samples: Array = given
    while samples.ndim > 2 and len(samples) == 1:
        samples = samples[0]
    if samples.ndim == 2 and samples.shape[0] <= sounds.MOST_CHANNELS < samples.shape[1]:
        samples = samples.T
    return Output(sound=sounds.sound_of(samples, cast("int", rate)))


def _of_array(array: Array, kind: OutputKind | None) -> Output:
    flat = array
    while flat.ndim > 3 and len(flat) == 1:  # a batch of one
        flat = flat[0]
    if kind == "sound" or flat.ndim == 1 or (flat.ndim == 2 and min(flat.shape) <= sounds.MOST_CHANNELS):
        raise DataError(
            f"An array of shape {array.shape} says no rate: is it a sound, or numbers? {DOORS} A tuple (samples, rate) "
            "is a sound, too."
        )
    if kind == "frames" or flat.ndim >= 4:
        return Output(frames=films.video_of(_frames(flat), PLAYED))
    if flat.ndim == 2 and kind != "picture" and flat.dtype != np.uint8:
        raise DataError(f"An array of {flat.dtype} and shape {array.shape} can be a picture or a table. {DOORS}")
    if flat.ndim in {2, 3}:
        return Output(picture=pictures.picture_of(_eight_bits(_channels_last(flat))))
    raise DataError(f"An array of shape {array.shape} is no picture, sound or video. {DOORS}")


def _channels_last(array: Array) -> Array:
    """``(height, width, 3)`` of whatever order; grey is repeated, an alpha channel is dropped only if it is full."""
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    last, first = array.shape[2] in {1, 3, 4}, array.shape[0] in {1, 3, 4}
    if last and first and (array.shape[0] == 3) != (array.shape[2] == 3):
        last, first = array.shape[2] == 3, array.shape[0] == 3
    if last == first:
        which = "both its first and its last axis can be colours" if last else "no axis of it is colours"
        raise DataError(f"An array of shape {array.shape} is no picture that can be told: {which}. {DOORS}")
    array = array if last else np.moveaxis(array, 0, 2)
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.shape[2] == 4:
        full = 255 if array.dtype.kind in "iu" else 1.0
        if not (array[:, :, 3] == full).all():
            raise DataError("The array has an alpha channel. Return a Pillow image, or lay it on a colour first.")
    return array[:, :, :3]


def _frames(array: Array) -> films.Frames:
    while array.ndim > 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 4:
        raise DataError(
            f"Frames of shape {array.shape} are no video. Return (t, height, width, 3), or a tuple with fps."
        )
    if array.shape[3] != 3:
        places = [axis for axis in (0, 1) if array.shape[axis] == 3]
        if len(places) != 1:
            raise DataError(f"Frames of shape {array.shape} have no axis of three colours that can be told. {DOORS}")
        array = np.moveaxis(array, places[0], 3)
    if array.shape[0] > films.MOST_FRAMES or array.size > 3 * films.MOST_PIXELS:
        raise DataError(f"Frames of shape {array.shape} are too many. Return fewer or smaller ones.")
    return _eight_bits(array)


def _eight_bits(values: Array) -> NDArray[np.uint8]:
    """Floats from 0 to 1, or integers from 0 to 255; another range cannot be told from the numbers."""
    if 0 in values.shape or values.size > 3 * films.MOST_PIXELS:
        raise DataError(f"An array of shape {values.shape} is empty or too large for a picture or a video.")
    if values.dtype == np.uint8:
        return values
    if not np.isfinite(values).all():
        raise DataError("The pixels hold values that are NaN or infinite: the model's output is broken.")
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= -_SLACK and high <= 1 + _SLACK:
        return np.round(np.clip(values, 0.0, 1.0).astype(np.float32) * 255.0).astype(np.uint8)
    if values.dtype.kind in "iu" and low >= 0 and high <= 255:
        return values.astype(np.uint8)
    raise DataError(
        f"The pixels are {values.dtype} from {low:.4g} to {high:.4g}. Return uint8 from 0 to 255, or floats from 0 to "
        "1; from -1 to 1, send (values + 1) / 2."
    )
