"""CIFAR-10 as pictures, from a zip file or a folder with ``train/CLASS/`` and ``test/CLASS/``."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.errors import DataError, MissingError, UsageError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
SUFFIXES = (".png", ".jpg", ".jpeg")
LARGEST = 1 << 20
"""Bytes of a file: a picture of 32 x 32 has a few thousand."""
HOW = "Give CIFAR-10 as a .zip or a folder of pictures, train/CLASS/ and test/CLASS/, with --data PATH."
SPLITS = ("train", "test")
Bytes = NDArray[np.uint8]
Opened = Callable[[str], tuple[int, Callable[[], bytes]]]
"""The size of a file by its name, and what reads it."""


@dataclass(frozen=True, slots=True)
class Cifar:
    """Pictures ``(n, 32, 32, 3)`` uint8 of each class, in the order of their names."""

    train: Mapping[str, Bytes]
    test: Mapping[str, Bytes]


def load_cifar(path: str | Path | None, *, train: Mapping[str, int], test: Mapping[str, int]) -> Cifar:
    """The first pictures of classes, as many as are asked for of each.

    Raises:
        UsageError: without a path: CIFAR-10 is not fetched from anywhere.
        MissingError: if there is nothing at the path.
        DataError: if it is not CIFAR-10 as pictures, or holds too few.
    """
    if path is None:
        raise UsageError(f"This experiment needs data of yours. {HOW}")
    place, wanted = Path(path), [("train", label, n) for label, n in train.items()]
    wanted += [("test", label, n) for label, n in test.items()]
    if place.is_dir():
        # Two depths alone: somebody may have given the top of a disk.
        inside = [each for split in SPLITS for top in ("", "*/") for each in place.glob(f"{top}{split}/*/*")]
        files = {each.relative_to(place).as_posix(): each for each in inside if each.is_file()}
        found = _chosen(place, files, lambda name: (files[name].stat().st_size, files[name].read_bytes), wanted)
    elif place.is_file():
        try:
            with zipfile.ZipFile(place) as archive:
                names = archive.namelist()
                found = _chosen(place, names, partial(_opened, archive), wanted)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{str(place)!r} is not a zip file that can be read: {error}. {HOW}") from error
    else:
        raise MissingError(f"There is nothing at {str(place)!r}. {HOW}")
    return Cifar(*({label: found[each, label] for each, label, _ in wanted if each == split} for split in SPLITS))


def _opened(archive: zipfile.ZipFile, name: str) -> tuple[int, Callable[[], bytes]]:
    return archive.getinfo(name).file_size, partial(archive.read, name)


def _chosen(
    place: Path, names: Iterable[str], opened: Opened, wanted: Iterable[tuple[str, str, int]]
) -> dict[tuple[str, str], Bytes]:
    """The first pictures of each split and class, of the files of these names."""
    pictures: dict[str, list[str]] = {}
    for name in sorted(names):
        *_, split, label, file = ("", "", *name.split("/"))
        if file.lower().endswith(SUFFIXES) and not file.startswith("."):  # macOS adds ._NAME.png of its own
            pictures.setdefault(f"{split}/{label}", []).append(name)
    found: dict[tuple[str, str], Bytes] = {}
    for split, label, n in wanted:
        here = pictures.get(f"{split}/{label}", [])
        if len(here) < n:
            raise DataError(f"{str(place)!r} has {len(here)} pictures in {split}/{label}; this takes {n}. {HOW}")
        found[split, label] = np.stack([_picture(name, opened) for name in here[:n]])
    return found


def _picture(name: str, opened: Opened) -> Bytes:
    size, read = opened(name)
    if size > LARGEST:
        raise DataError(f"The picture {name!r} has {size:,} bytes; one of CIFAR-10 has a few thousand. {HOW}")
    try:
        with Image.open(io.BytesIO(read())) as image:
            sides = image.size  # of a larger one, no pixel is read
            pixels = np.asarray(image.convert("RGB"), np.uint8) if sides == (SIDE, SIDE) else None
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"The picture {name!r} cannot be read: {error}. {HOW}") from error
    if pixels is None:
        raise DataError(f"The picture {name!r} has {sides[0]} x {sides[1]} pixels, not {SIDE} x {SIDE}. {HOW}")
    return pixels
