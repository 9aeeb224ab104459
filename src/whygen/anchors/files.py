# pyright: basic
"""Files of arrays (npy, npz, safetensors, idx) and of pictures, each bounded before it is unpacked.

Nothing is ever unpickled. A picture that cannot be read is listed and skipped, and no small file grows into a huge one.
"""

from __future__ import annotations

import gzip
import io
import math
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open

from whygen.anchors.items import LABEL_COLUMNS, label_of, named, same_kind
from whygen.errors import DataError
from whygen.files import is_file, is_there

Labels: TypeAlias = tuple["str | int", ...]

MAX_BYTES = 8 * 2**30
"""No array larger than this is unpacked from a compressed file."""
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """Samples ``(n, ...)`` of a file, and labels where the file has as many."""

    samples: NDArray[Any]
    labels: Labels | None = None


def require_regular(path: Path) -> None:
    """Refuse what is no file: reading a pipe or a device waits for ever.

    Raises:
        DataError: if it is none.
    """
    if is_there(str(path)) and not is_file(path):
        raise DataError(f"{str(path)!r} is a pipe or a device, not a file. Write its content to a file, and give that.")


def as_labels(values: NDArray[Any]) -> Labels:
    """Labels as whole numbers where all of them are, else as text; rows with a single 1 (one-hot) as its place."""
    rows = values.tolist() if values.ndim == 2 else values.ravel().tolist()
    found = [label_of(row) for row in rows]
    if values.ndim == 2 and None in found:
        found = [label_of(each) for each in values.ravel().tolist()]
        rows = values.ravel().tolist()
    return same_kind([str(row) if label is None else label for row, label in zip(rows, found, strict=True)])


def _from_npy(path: Path, key: str | None) -> Arrays:
    del key
    return Arrays(samples=_numbers(lambda: np.load(path, allow_pickle=False), path))


def _from_npz(path: Path, key: str | None) -> Arrays:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if _is_array(info.filename)]
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in members}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"The file {str(path)!r} is no npz archive ({error}).") from error
    if not sizes:
        raise DataError(f"The archive {str(path)!r} holds no array. Write one: numpy.savez(path, images=array).")
    return _chosen(path, key, sizes, lambda name: _numbers(lambda: _member(path, name), path))


def _is_array(name: str) -> bool:
    """Whether the name is of an array, and not of what macOS puts beside each file."""
    parts = name.split("/")
    return name.endswith(".npy") and not parts[-1].startswith("._") and "__MACOSX" not in parts


def _from_safetensors(path: Path, key: str | None) -> Arrays:
    try:
        with safe_open(path, framework="numpy") as archive:
            widths = {name: archive.get_slice(name) for name in archive.keys()}  # noqa: SIM118 - not a mapping
            sizes = {name: math.prod(each.get_shape()) * 8 for name, each in widths.items()}
    except (OSError, SafetensorError) as error:
        raise DataError(f"The file {str(path)!r} is no safetensors file ({error}).") from error
    if not sizes:
        raise DataError(f"The file {str(path)!r} holds no tensor.")
    return _chosen(path, key, sizes, lambda name: _numbers(lambda: _tensor(path, name), path))


def _tensor(path: Path, name: str) -> NDArray[Any]:
    try:
        with safe_open(path, framework="numpy") as archive:
            return archive.get_tensor(name)
    except (TypeError, SafetensorError) as error:  # types that numpy has not, such as bfloat16
        raise ValueError(f"{name}: {error}") from error


def _chosen(path: Path, key: str | None, sizes: Mapping[str, int], read: Callable[[str], NDArray[Any]]) -> Arrays:
    """The one array of an archive that can be samples, or the named one, with labels that lie beside it."""
    arrays = {name: read(name) for name in _candidates(sizes, key, path)}
    chosen = _choose_array(arrays, path, chosen=key is not None)
    label_key = next((name for name in _label_keys(chosen) if name in sizes), None)
    labels = None if label_key is None else as_labels(read(label_key))
    samples = arrays[chosen]
    return Arrays(samples=samples, labels=labels if labels and len(labels) == len(samples) else None)


def _member(path: Path, name: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        return archive[name]


def _candidates(sizes: Mapping[str, int], key: str | None, path: Path) -> list[str]:
    if key is not None and key not in sizes:
        raise DataError(f"The file {str(path)!r} has no array {key!r}; it has {', '.join(sorted(sizes))}.")
    wanted = [key] if key is not None else sorted(sizes)
    for name in wanted:
        if sizes[name] > MAX_BYTES:
            raise DataError(f"The array {name!r} of {str(path)!r} unpacks to {sizes[name]} bytes; at most {MAX_BYTES}.")
    return wanted


def _choose_array(arrays: Mapping[str, NDArray[Any]], path: Path, *, chosen: bool) -> str:
    """The one array that can be samples: of two or more axes."""
    many = len(arrays) > 1 or named(arrays, LABEL_COLUMNS) is None
    possible = [name for name, array in arrays.items() if array.ndim >= 2]
    shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if not possible or not (many or chosen):
        raise DataError(
            f"The file {str(path)!r} holds {shown}: labels or single numbers, and no samples. Write the samples beside "
            "them: numpy.savez(path, images=array, labels=labels)."
        )
    if len(possible) != 1:
        raise DataError(f"The file {str(path)!r} holds {shown}; which are the samples? Name one: {path}#{possible[0]}.")
    return possible[0]


def _label_keys(name: str) -> list[str]:
    """Names that labels of an array are likely to have: test_images -> test_labels, x_test -> y_test."""
    swaps = (
        ("images", "labels"),
        ("image", "label"),
        ("x", "y"),
        ("X", "y"),
        ("samples", "labels"),
        ("data", "target"),
    )
    swapped = [name.replace(old, new) for old, new in swaps if old in name]
    return [*dict.fromkeys(swapped), *LABEL_COLUMNS]


def _from_idx(path: Path, key: str | None) -> Arrays:
    del key
    samples = _read_idx(path)
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    labels = as_labels(_read_idx(beside)) if beside != path and beside.is_file() else None
    return Arrays(samples=samples, labels=labels)


def _read_idx(path: Path) -> NDArray[Any]:
    """An idx file (LeCun's format of MNIST), compressed or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            zero, kind, axes = file.read(2), *file.read(2)
            if zero != b"\0\0" or kind not in IDX_TYPES or not 1 <= axes <= 4:
                raise DataError(f"The file {str(path)!r} is no idx file: it begins with {zero!r}, {kind}, {axes}.")
            shape = tuple(int.from_bytes(file.read(4), "big") for _ in range(axes))
            dtype = np.dtype(IDX_TYPES[kind])
            wanted = math.prod(shape) * dtype.itemsize
            if wanted > MAX_BYTES:
                raise DataError(f"The idx file {str(path)!r} claims {wanted} bytes; at most {MAX_BYTES} are read.")
            data = file.read(wanted)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"The idx file {str(path)!r} cannot be read: {error}") from error
    if len(data) < wanted:
        raise DataError(f"The idx file {str(path)!r} ends early: {len(data)} of {wanted} bytes.")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _numbers(read: Callable[[], NDArray[Any]], path: Path) -> NDArray[Any]:
    try:
        array = read()
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The file {str(path)!r} cannot be read as an array of numbers: {error}. (Pickled objects are never read.)"
        ) from error
    if array.dtype.kind not in "fiubU":
        raise DataError(f"The file {str(path)!r} holds an array of type {array.dtype}; give numbers.")
    return array


READERS: tuple[tuple[tuple[str, ...], Callable[[Path, str | None], Arrays]], ...] = (
    ((".npy",), _from_npy),
    ((".npz",), _from_npz),
    ((".safetensors",), _from_safetensors),
    (("-ubyte", "-ubyte.gz", ".idx", ".idx.gz"), _from_idx),
)
"""Endings, and who reads them."""


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
            raise ValueError(_unread(data)) from None
        with image:
            return _read(image, size)


SOUNDS_DOOR = (
    "Anchors are pictures or arrays: read sounds yourself, all as long as another, and give one array of shape "
    "(number, samples), as a .npy file or an object."
)


def _unread(data: bytes) -> str:
    """What bytes are that Pillow does not know."""
    if data[4:12] in _HEIC_SIGNS:
        return _HEIC
    if data[8:12] == b"WAVE" or data[:4] in {b"fLaC", b"OggS"} or data[:3] == b"ID3":
        return f"is a sound. {SOUNDS_DOOR}".rstrip(".")
    return "is no picture that Pillow can read"


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
