"""Pictures as bytes and as pixels: what every room that looks at one reads and writes it with.

Whatever a file holds (palette, alpha, 16 bits, CMYK, a turned photograph, a phone's MPO), `pixels` gives plain 8-bit
RGB, or an error that says what is wrong. A picture is looked at before it is unpacked: a small file may claim a
gigantic one.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from whygen._arguments import typed
from whygen.errors import DataError, MissingError
from whygen.files import is_file
from whygen.types import Picture

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 2**25
"""33 million, such as 5,800 by 5,800: 100 MB of RGB. A larger one is a mistake, or an attack."""

_PLAIN = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Formats that models take as they are, when they hold plain RGB."""
_SIXTEEN_BITS = {"I;16", "I;16B", "I;16L", "I;16N"}

Pixels = NDArray[np.uint8]
"""Shape ``(height, width, 3)``, RGB, 0 to 255."""


@typed("source")
def read_picture(source: Path | str | bytes) -> Picture:
    """A picture from a file or from bytes. Plain RGB stays byte for byte; anything else becomes RGB as PNG.

    Raises:
        MissingError: if there is no such file.
        DataError: if it is no picture, damaged, animated or too large.
    """
    if not isinstance(source, Path | str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
        raise DataError(f"A {type(source).__name__} is no picture. Give a path, or the bytes of a file.")
    data, name = (source, "The picture") if isinstance(source, bytes) else _read(Path(source))
    image = _loaded(_opened(data, name), name)
    media_type = _PLAIN.get(image.format or "")
    if media_type and image.mode == "RGB" and image.getexif().get(_ORIENTATION, 1) == 1 and not _has_key(image):
        return Picture(data, media_type)
    return picture_of(_as_rgb(image, name))


_ORIENTATION = 0x0112


def _has_key(image: Image.Image) -> bool:
    """Whether one colour of it stands for transparency."""
    return "transparency" in image.info


def _read(path: Path) -> tuple[bytes, str]:
    if not is_file(path):
        raise MissingError(f"There is no picture at {str(path)!r}. Give the path of a PNG, JPEG or WebP file.")
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{str(path)!r} is over {MOST_BYTES // 2**20} MiB. Make the picture smaller.")
    return path.read_bytes(), str(path)


@typed()
def pixels(picture: Picture) -> Pixels:
    """The pixels, whatever the file's mode: alpha lies on white, 16 bits are scaled, CMYK is converted.

    Returns:
        Shape ``(height, width, 3)``, RGB, 0 to 255.

    Raises:
        DataError: if it is no picture, damaged, animated or too large.
    """
    name = f"The picture ({picture.media_type})"
    return _as_rgb(_loaded(_opened(picture.data, name), name), name)


def size(picture: Picture) -> tuple[int, int]:
    """Width and height as they are in the file, without unpacking it.

    Raises:
        DataError: if it is no picture, animated or too large.
    """
    return _opened(picture.data, f"The picture ({picture.media_type})").size


@typed()
def picture_of(values: Pixels) -> Picture:
    """Pixels ``(height, width, 3)`` as a PNG; equal pixels give equal bytes.

    Raises:
        DataError: if they are no pixels.
    """
    buffer = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(values)).save(buffer, "PNG")
    except (TypeError, ValueError, OSError, SystemError):
        raise DataError(
            f"A {type(values).__name__} of shape {np.shape(values)} holds no pixels. Give uint8, (height, width, 3)."
        ) from None
    return Picture(buffer.getvalue(), "image/png")


@typed("value")
def picture_from(value: Picture | Path | str | bytes | Image.Image | NDArray[Any]) -> Picture:
    """A picture from whatever holds one: a path, the bytes of a file, a Pillow image, an array, or a `Picture`.

    Args:
        value: an array must be of uint8 and ``(height, width, 3)``: another range or order cannot be told from it.

    Raises:
        MissingError: if there is no such file.
        DataError: saying what does not fit, or that it cannot be read.
    """
    if isinstance(value, Path | str | bytes):
        return read_picture(value)
    if isinstance(value, Picture):
        _loaded(_opened(value.data, "The picture"), "The picture")
        return value
    if isinstance(value, Image.Image):
        if value.width * value.height > MOST_PIXELS or not value.width * value.height:
            raise DataError(f"The picture has {value.width} x {value.height} pixels, of 1 to {MOST_PIXELS:,}.")
        return picture_of(_as_rgb(value, "The picture"))
    if not isinstance(value, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance] - users are not type-checked
        raise DataError(f"A {type(value).__name__} is no picture. Give a path, bytes, a Pillow image or an array.")
    if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or not 0 < value.size <= 3 * MOST_PIXELS:
        raise DataError(
            f"An array of {value.dtype} and shape {value.shape} is no picture. Give uint8, (height, width, 3)."
        )
    return picture_of(value)


def resized(values: Pixels, *, width: int, height: int) -> Pixels:
    """The picture in another size (bicubic, antialiased when it shrinks); unchanged if it has that size."""
    if values.shape[:2] == (height, width):
        return values
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)


def _opened(data: bytes, name: str) -> Image.Image:
    """The picture with its header read and its claims checked; nothing is unpacked."""
    if len(data) > MOST_BYTES:
        raise DataError(f"{name} is over {MOST_BYTES // 2**20} MiB. Make it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check below is stricter
            image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        raise DataError(f"{name} claims far more than {MOST_PIXELS:,} pixels. {_SMALLER}") from None
    except UnidentifiedImageError:  # its own words name the address of a buffer
        raise DataError(
            f"{name} is no picture in a known format (it begins with {data[:8]!r}). Give a PNG, JPEG or WebP."
        ) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{name} is no picture that can be read ({_first(error)}). Give a PNG, JPEG or WebP.") from None
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{name} has {image.width} x {image.height} pixels, over {MOST_PIXELS:,}. {_SMALLER}")
    # The further frames of an MPO are a second lens, a depth map or a preview: the first one is the photograph.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise DataError(f"{name} is animated ({getattr(image, 'n_frames', 0)} frames): give one of its frames.")
    return image


_SMALLER = "Make it smaller."


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _loaded(image: Image.Image, name: str) -> Image.Image:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError) as error:
        raise DataError(f"{name} is damaged or cut short ({_first(error)}). Get a whole copy of it.") from None
    return image


def _as_rgb(image: Image.Image, name: str) -> Pixels:
    turned: Image.Image = ImageOps.exif_transpose(image)
    if turned.mode in _SIXTEEN_BITS or turned.mode == "I":
        turned = _eight_bits(turned, name)
    elif turned.mode == "F":
        raise DataError(f"{name} holds floating-point numbers, of unknown range. Save it with 8 or 16 bits a channel.")
    if turned.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or _has_key(turned):
        turned = _on_white(turned)
    return np.array(turned.convert("RGB"), dtype=np.uint8)


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Grey of 16 bits: Pillow's own conversion would cut everything over 255 off."""
    values: NDArray[Any] = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise DataError(f"{name} holds 32-bit values, of unknown range. Save it with 8 or 16 bits a channel.")
    return Image.fromarray(np.round(values / 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    clear = image.convert("RGBA")
    white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, clear)
