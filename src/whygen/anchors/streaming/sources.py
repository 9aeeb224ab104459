"""Anchors that are read shard by shard: a file that is mapped into memory, a folder of files, or what gives batches.

A shard is a part of one file, or so many samples as came. Nothing but the shard in hand is in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.batches import are_batches
from whygen.anchors.data import load_samples
from whygen.errors import DataError, MissingError, UsageError, WhygenError

ROWS: Final = 8192
"""Samples of a shard, at most: what is computed of them then stays in cache."""
BYTES: Final = 64 * 2**20
"""Bytes of a shard, at most; a single sample may be larger."""
ITEMS: Final = 4096
"""Samples of a shard that come one by one."""
SUFFIXES: Final = (".npy", ".npz", ".safetensors")
"""Files of a folder of shards."""


@dataclass(frozen=True, slots=True)
class RawShard:
    """A part of the anchors, as it was given.

    Attributes:
        name: for messages: the file, and which of its samples.
        read: gives the samples ``(n, ...)``.
        rows: how many there are, where that is known before they are read.
        stays: whether they can be read again.
        place: the ``.npy`` file and its rows, where they are in one.
    """

    name: str
    read: Callable[[], NDArray[Any]]
    rows: int | None
    stays: bool
    place: tuple[str, int, int] | None = None


def shards_of(source: object) -> tuple[Iterator[RawShard], str]:
    """The shards of what was given, and what to call it.

    Args:
        source: a ``.npy`` file or an array (also a memory map), a folder of ``.npy``, ``.npz`` or ``.safetensors``
            files, or an iterable of samples or of batches. Labels are not read.

    Raises:
        MissingError: if there is nothing at the path.
        UsageError: if it is none of these.
        DataError: if a file is damaged.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise MissingError(f"There is no file or folder {str(path)!r}.")
        return (_of_folder(path) if path.is_dir() else _of_file(path)), str(path)
    if isinstance(source, np.ndarray):
        array = cast("NDArray[Any]", source)
        return _parts("the array", lambda: array, len(array), array.nbytes), "array"
    name = type(source).__name__
    if isinstance(source, Iterable) and not isinstance(source, bytes | dict):
        return _of_items(iter(cast("Iterable[Any]", source))), name
    raise UsageError(
        f"A stream of anchors is a .npy file, a folder of .npy, .npz or .safetensors files, or an iterable; this is a "
        f"{name}."
    )


def _of_folder(folder: Path) -> Iterator[RawShard]:
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    if not files:
        raise UsageError(f"The folder {str(folder)!r} holds no shards: no {', '.join(SUFFIXES)} file.")
    for path in files:
        yield from _of_file(path)


def _of_file(path: Path) -> Iterator[RawShard]:
    """Parts of a file; of one that is no array on disk, all of it at once."""
    if path.suffix != ".npy":
        yield RawShard(path.name, partial(_whole, path), None, stays=True)
        return
    try:
        opened = _mapped(path)  # no memory, but an address: it may stay open
    except DataError as damaged:  # raised when its turn comes, so that it can be left out
        yield RawShard(path.name, _raising(damaged), None, stays=True, place=(str(path.resolve()), 0, 0))
        return
    yield from _parts(path.name, lambda: opened, len(opened) if opened.ndim else 0, opened.nbytes, path)


def _raising(error: DataError) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        raise error

    return read


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"it cannot be read as an array of numbers: {error}") from error


def _whole(source: object) -> NDArray[Any]:
    return load_samples(source).samples


def _parts(
    name: str, opened: Callable[[], NDArray[Any]], n: int, size: int, path: Path | None = None
) -> Iterator[RawShard]:
    step = max(1, min(ROWS, BYTES * n // max(size, 1)))
    for start in range(0, n, step):
        stop = min(start + step, n)
        label = name if n <= step else f"{name}, samples {start:,} to {stop - 1:,}"

        def read(start: int = start, stop: int = stop) -> NDArray[Any]:
            return opened()[start:stop]

        place = None if path is None else (str(path.resolve()), start, stop)
        yield RawShard(label, read, stop - start, stays=True, place=place)
    if n == 0:
        yield RawShard(name, _raising(DataError("it holds no samples")), 0, stays=True)


def _of_items(items: Iterator[Any]) -> Iterator[RawShard]:
    """Batches are shards; samples that come one by one are put together."""
    few = list(itertools.islice(items, 8))
    several = are_batches(few) or all(isinstance(each, np.ndarray) and each.ndim > 1 for each in few)
    items = itertools.chain(few, items)
    for number in itertools.count():
        part = list(itertools.islice(items, 1 if several else ITEMS))
        if not part:
            return
        whole: object = cast("object", part[0]) if several and isinstance(part[0], np.ndarray) else part
        yield RawShard(f"batch {number}", partial(_whole, whole), None, stays=False)


def read_shard(shard: RawShard) -> NDArray[Any]:
    """The samples of a shard.

    Raises:
        DataError: if it is damaged; the message names it.
    """
    try:
        return shard.read()
    except (WhygenError, OSError, ValueError) as error:
        raise damaged(shard, error) from error


def damaged(shard: RawShard, error: BaseException) -> DataError:
    """That a shard cannot be used, and which."""
    return DataError(
        f"The shard {shard.name}: {str(error).rstrip('.')}. What was scored before it is kept. Mend it, take it out, "
        "or leave such shards out with damaged='skip'."
    )
