"""Image files to one array: what cannot be read is listed and skipped, and no small file grows into a huge image."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from whygen.errors import DataError

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm", ".pgm",
    ".pbm", ".tga", ".heic", ".heif",
)  # fmt: skip
MAX_PIXELS = 64_000_000
"""Larger images are skipped unread: a file of a few kilobytes can claim to be one (a decompression bomb)."""
GREY_MODES = ("1", "L")
MODES = ("L", "RGB")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that could not be read, by name, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stacked:
    """Images as one array, and what became of those that were not like most."""

    samples: NDArray[np.uint8]
    """Shape ``(n, height, width, channels)``."""
    kept: list[int]
    """Places of these images among those given."""
    skipped: tuple[Skipped, ...]
    converted: tuple[str, ...]
    """Names of images that were converted from grey to colours or from colours to grey."""

    @property
    def mode(self) -> str:
        """``L`` or ``RGB``."""
        return "L" if self.samples.shape[3] == 1 else "RGB"


def stack_pictures(
    named: Iterable[tuple[str, Callable[[], bytes | Image.Image]]],
    *,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
) -> Stacked:
    """Images as one array.

    Args:
        named: for each image its name and what reads its bytes, or gives it open.
        size: (height, width) to resize to; without it, images of another size than most are skipped.
        mode: ``L`` or ``RGB``; without it, that of most images.

    Raises:
        DataError: if no image can be read.
    """
    pictures: dict[int, NDArray[np.uint8]] = {}
    names: list[str] = []
    skipped: dict[int, Skipped] = {}
    for index, (name, read) in enumerate(named):
        names.append(name)
        try:
            pictures[index] = _decode(read(), size)
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:  # what damaged files raise in PIL
            skipped[index] = Skipped(name, str(error) or type(error).__name__)
    kept, odd = _of_one_size(pictures, names)
    skipped |= odd
    if not kept:
        each_once = {each.reason: each for each in reversed(skipped.values())}
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in reversed(list(each_once.values())[-3:]))
        raise DataError(f"None of {len(names)} images can be read. {reasons}.")
    coloured = {index for index in kept if pictures[index].ndim == 3}
    wanted = mode or ("RGB" if 2 * len(coloured) >= len(kept) else "L")
    converted = [index for index in kept if (index in coloured) != (wanted == "RGB")]
    return Stacked(
        np.stack([_channels(pictures[index], wanted) for index in kept]),
        kept,
        tuple(skipped[i] for i in sorted(skipped)),
        tuple(names[index] for index in converted),
    )


def _decode(data: bytes | Image.Image, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    if isinstance(data, Image.Image):
        return _read(data, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is the stricter one
        try:
            image = Image.open(io.BytesIO(data))
        except Image.DecompressionBombError as error:
            raise ValueError(f"too large: {error}") from error
        except UnidentifiedImageError:
            raise ValueError(_HEIC if data[4:12] in _HEIC_SIGNS else "is no picture that Pillow can read") from None
        with image:
            return _read(image, size)


_HEIC_SIGNS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1")
_HEIC = (
    "is HEIC, which Pillow reads only with a plug-in: convert it to PNG, or (in Python) pip install pillow-heif and "
    "call pillow_heif.register_heif_opener() first"
)


def _read(image: Image.Image, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"too large: {width} x {height} pixels, at most {MAX_PIXELS}")
    count = int(getattr(image, "n_frames", 1))
    if count > 1 and image.format != "MPO":  # of an MPO, the other frames are a second lens or a preview
        raise ValueError(
            f"has {count} frames or pages, and a sample is one: give them as [frame.copy() for frame in "
            "PIL.ImageSequence.Iterator(picture)]"
        )
    if image.mode in ("I", "F"):
        raise ValueError(
            f"holds {'32-bit integers' if image.mode == 'I' else 'floats'}, whose range it does not state: give arrays "
            "scaled to what the model takes, such as [numpy.asarray(picture) / 65535 for picture in data]"
        )
    return np.asarray(_converted(image, size), dtype=np.uint8)


def _converted(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    if image.mode.startswith("I;16"):
        sixteen = np.asarray(image, dtype=np.uint16)
        image = Image.fromarray((sixteen >> 8).astype(np.uint8))
    grey = image.mode in GREY_MODES or (image.mode == "LA")
    converted = image.convert("L" if grey else "RGB")
    if size is None or converted.size == (size[1], size[0]):
        return converted
    return converted.resize((size[1], size[0]), Image.Resampling.LANCZOS)


def _of_one_size(pictures: dict[int, NDArray[np.uint8]], names: list[str]) -> tuple[list[int], dict[int, Skipped]]:
    """Images of the most frequent size (the first of them on ties), and the others as skipped."""
    if not pictures:
        return [], {}
    sizes = Counter(picture.shape[:2] for picture in pictures.values())
    usual, count = sizes.most_common(1)[0]
    if len(sizes) > 1 and 2 * count < len(pictures):
        raise DataError(
            f"The {len(pictures)} pictures have {len(sizes)} sizes, and none of these has half of them. Say what to "
            f"resize them to: size=({usual[0]}, {usual[1]}) in Python, --size {usual[0]}x{usual[1]} from a shell."
        )
    odd = {
        index: Skipped(
            names[index],
            f"is {picture.shape[0]} x {picture.shape[1]}, most are {usual[0]} x {usual[1]}; size= resizes all",
        )
        for index, picture in pictures.items()
        if picture.shape[:2] != usual
    }
    return [index for index, picture in pictures.items() if picture.shape[:2] == usual], odd


def _channels(picture: NDArray[np.uint8], mode: str) -> NDArray[np.uint8]:
    if mode == "L":
        return (picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L")))[:, :, None]
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
