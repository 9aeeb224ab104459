"""Criteria of anchors in files, a file for each shard: what a run that was killed goes on from, and what passes read.

A file holds criteria of each draw (``draws``, ``(S, n, c)``), fingerprints of the samples, and their points in the
space of distances where these are not the anchors as they were given. It is there whole or not at all, and its head
says what its numbers depend on; one that another model, another seed or other samples wrote is written anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from whygen.anchors.arrays import Points
from whygen.anchors.copies import fingerprints
from whygen.anchors.features import FeatureEncoder, features
from whygen.anchors.samples import Prepared
from whygen.anchors.scoring import DrawStream, ModelAsked, score
from whygen.anchors.work import Work
from whygen.errors import DataError, StoreError
from whygen.files import write_beside
from whygen.models.latent import Layout

VERSION: Final = 1
"""Part of every key: raised when the same question is answered with other numbers than before."""
Arrays = dict[str, NDArray[Any]]
_TYPES: Final = {"F64": "<f8", "F32": "<f4", "U64": "<u8"}


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores shards, here or on a cluster: all that it takes, and nothing of any shard.

    Attributes:
        asked: the model, with its bank.
        work: criteria, noise and space.
        layout: of the samples as they are given.
        space: where distances are measured.
        spools: whether points must be written down, as the samples cannot be read again.
    """

    asked: ModelAsked
    work: Work
    layout: Layout | None
    space: str
    spools: bool

    def prepared(self, raw: NDArray[Any]) -> Prepared:
        """Samples as the model takes them.

        Raises:
            DataError: if they do not fit it.
        """
        from whygen.anchors.samples import prepare

        return prepare(raw, self.work.subject.model, layout=self.layout)

    def score(self, raw: NDArray[Any], start: int, stream: DrawStream | None = None) -> Arrays:
        """The arrays of a shard whose first sample is number ``start``; a ``stream`` goes on where it is."""
        prepared = self.prepared(raw)
        own = stream
        if own is None:
            own = self.work.noise.stream("anchors")
            own.skip_to(start, self.asked.model.latent_dim or 0)
        found = score(self.asked, prepared, self.work.chosen.criteria, own)
        arrays: Arrays = {"draws": found.draws, "fingerprints": _fingerprints(prepared)}
        if self.space == "latent":
            arrays["points"] = np.asarray(found.means, np.float32)
        elif self.space == "features":
            arrays["points"] = _features(self.work.encoder, prepared)
        elif self.spools:
            arrays["points"] = prepared.rows(slice(None)).reshape(len(prepared), -1)
        return arrays


def _features(encoder: FeatureEncoder | None, prepared: Prepared) -> Points:
    assert encoder is not None  # noqa: S101 - a space of features has one
    parts = [features(encoder, rows) for _, rows in prepared.batches(prepared.batch_size)]
    return np.asarray(np.concatenate(parts), np.float32)


def _fingerprints(prepared: Prepared) -> NDArray[np.uint64]:
    """The first half of each: of ten million samples, two that differ agree with a chance of 3 in a million."""
    return np.array([int.from_bytes(each[:8], "little") for each in fingerprints(prepared)], dtype=np.uint64)


def digest_of_raw(raw: NDArray[Any]) -> str:
    """sha256 of samples as they were given."""
    found = hashlib.sha256(repr((str(raw.dtype), raw.shape)).encode())
    found.update(np.ascontiguousarray(raw).data)
    return found.hexdigest()


class ScoredShards:
    """The files of a run.

    Args:
        folder: where they are.
        key: what all of them depend on; None where nobody can know, and nothing is used again.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any] | None) -> None:
        self.folder = folder
        self._key = key
        self.paths: list[Path] = []
        self._heads: list[dict[str, tuple[int, str, tuple[int, ...]]]] = []

    def known(self, number: int, digest: str) -> bool:
        """Whether the file of that shard is there and holds the scores of these samples."""
        path = self._path(number)
        try:
            head, base = _head(path)
            told = json.loads(head.get("__metadata__", {}).get("key", "null"))
            ends = [each["data_offsets"][1] for name, each in head.items() if name != "__metadata__"]
            is_whole = path.stat().st_size == base + max(ends)
        except (OSError, ValueError):
            return False
        return self._key is not None and told == {**self._key, "samples": digest} and is_whole

    def write(self, number: int, arrays: Arrays, digest: str) -> None:
        """Write the file of a shard.

        Raises:
            StoreError: if it cannot be written. Those before it stay.
        """
        key = None if self._key is None else {**self._key, "samples": digest}
        data = save({name: np.ascontiguousarray(each) for name, each in arrays.items()}, {"key": json.dumps(key)})
        path = self._path(number)
        try:
            os.replace(write_beside(path, data), path)
        except OSError as error:
            raise StoreError(
                f"The scores of shard {number} cannot be written to {str(self.folder)!r} ({error.strerror}). The "
                f"others before it stay: make room ({len(data):,} bytes a shard), and the same call goes on."
            ) from error

    def add(self, number: int) -> None:
        """Count a shard's file among those that are read."""
        path = self._path(number)
        head, base = _head(path)
        self.paths.append(path)
        self._heads.append(
            {
                name: (base + each["data_offsets"][0], _TYPES[each["dtype"]], tuple(each["shape"]))
                for name, each in head.items()
                if name != "__metadata__"
            }
        )

    def __len__(self) -> int:
        return len(self.paths)

    def array(self, place: int, name: str) -> NDArray[Any]:
        """An array of a shard, mapped into memory."""
        offset, dtype, shape = self._heads[place][name]
        return np.memmap(self.paths[place], dtype, "r", offset, shape)

    def rows(self, place: int) -> int:
        """Samples of a shard."""
        return self._heads[place]["draws"][2][1]

    def holds_points(self) -> bool:
        """Whether points are in the files."""
        return bool(self._heads) and "points" in self._heads[0]

    def _path(self, number: int) -> Path:
        return self.folder / f"scores-{number:05}.safetensors"


def _head(path: Path) -> tuple[dict[str, Any], int]:
    """What a file of safetensors says of its arrays, and where these begin."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > 2**20:
            raise ValueError(f"{path} is no file of scores")
        return json.loads(file.read(size)), 8 + size


def require_alike(shape: tuple[int, ...], first: tuple[int, ...] | None) -> None:
    """Refuse a shard whose samples are of another shape than those of the first.

    Raises:
        DataError: naming both.
    """
    if first is not None and shape != first:
        raise DataError(f"its samples have shape {shape}, those of the first shard {first}.")
