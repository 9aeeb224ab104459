"""The pictures behind an explanation: what was given, what came back, and where each unit changed it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.types import Picture

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, eq=False)
class PictureEvidence:
    """Every distinct picture once, and who it belongs to.

    Attributes:
        files: pictures as they came, distinct.
        given: place of the input picture in ``files``; None for a model that draws from a text.
        samples: for each sample, the place of its picture; None where it has none.
        changes: how much each pixel changes with each unit, shape ``(units, rows, columns)``: the root mean square over
            the colours, as a share of full scale, with what chance explains taken away. None when there are too few
            pictures.
        regions: the unit of each pixel of the input where units are regions, -1 for pinned ones; shape
            ``(height, width)``.
    """

    files: tuple[Picture, ...]
    given: int | None
    samples: tuple[int | None, ...]
    changes: NDArray[np.float32] | None = None
    regions: NDArray[np.int32] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PictureEvidence):
            return NotImplemented
        return (
            [each.data for each in self.files] == [each.data for each in other.files]
            and (self.given, self.samples) == (other.given, other.samples)
            and _same(self.changes, other.changes)
            and _same(self.regions, other.regions)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays have no hash

    @property
    def input(self) -> Picture | None:
        """The picture that was to be changed."""
        return None if self.given is None else self.files[self.given]

    def of(self, sample: int) -> Picture | None:
        """The picture of the sample at that place."""
        place = self.samples[sample]
        return None if place is None else self.files[place]


def _same(a: NDArray[np.generic] | None, b: NDArray[np.generic] | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def to_arrays(evidence: PictureEvidence) -> dict[str, NDArray[np.generic]]:
    """Plain arrays, as they are saved: the bytes end to end, lengths, digests, media types, and who has which."""
    joined = b"".join(each.data for each in evidence.files)
    arrays: dict[str, NDArray[np.generic]] = {
        "bytes": np.frombuffer(joined, dtype=np.uint8),
        "lengths": np.array([len(each.data) for each in evidence.files], dtype=np.int64),
        "digests": _digests(evidence.files),
        "types": np.frombuffer("\n".join(each.media_type for each in evidence.files).encode(), dtype=np.uint8),
        "given": np.array([-1 if evidence.given is None else evidence.given], dtype=np.int64),
        "samples": np.array([-1 if place is None else place for place in evidence.samples], dtype=np.int64),
    }
    for name, values in (("changes", evidence.changes), ("regions", evidence.regions)):
        if values is not None:
            arrays[name] = np.ascontiguousarray(values)
    return arrays


def _digests(files: Sequence[Picture]) -> NDArray[np.uint8]:
    found = b"".join(hashlib.sha256(each.data).digest() for each in files)
    return np.frombuffer(found, dtype=np.uint8).reshape(len(files), DIGEST_BYTES)


def from_arrays(arrays: Mapping[str, NDArray[np.generic]], *, samples: int, units: int) -> PictureEvidence:
    """The inverse of `to_arrays`.

    Args:
        arrays: as they were read.
        samples: how many samples the explanation has.
        units: how many units it has.

    Raises:
        ValueError: saying what does not fit: a part is missing, of another shape, or bytes were changed.
    """
    missing = {"bytes", "lengths", "digests", "types", "given", "samples"} - set(arrays)
    if missing:
        raise ValueError(f"{sorted(missing)[0]!r} is missing")
    joined, lengths = arrays["bytes"].tobytes(), [int(length) for length in arrays["lengths"].tolist()]
    types = arrays["types"].tobytes().decode("ascii", "replace").split("\n") if lengths else []
    if min(lengths, default=0) < 0 or sum(lengths) != len(joined) or len(types) != len(lengths):
        raise ValueError("the lengths of the pictures do not fit their bytes")
    ends = np.cumsum([0, *lengths]).tolist()
    files = tuple(Picture(joined[start:end], kind) for start, end, kind in zip(ends[:-1], ends[1:], types, strict=True))
    if not np.array_equal(_digests(files), arrays["digests"]):
        raise ValueError("the bytes of a picture were changed")
    places = [_place(each, len(files)) for each in arrays["samples"].tolist()]
    if len(places) != samples:
        raise ValueError(f"there are {len(places)} places for {samples} samples")
    [given] = [_place(each, len(files)) for each in arrays["given"].tolist()]
    return PictureEvidence(files, given, tuple(places), _changes(arrays, units), _regions(arrays, units))


def _place(value: object, files: int) -> int | None:
    place = int(str(value))
    if not -1 <= place < files:
        raise ValueError(f"there is no picture {place}")
    return None if place < 0 else place


def _changes(arrays: Mapping[str, NDArray[np.generic]], units: int) -> NDArray[np.float32] | None:
    if "changes" not in arrays:
        return None
    values = np.asarray(arrays["changes"], dtype=np.float32)
    if values.ndim != 3 or len(values) != units or not np.isfinite(values).all():
        raise ValueError(f"the maps of {units} units have the shape {values.shape}, or are not finite")
    return values


def _regions(arrays: Mapping[str, NDArray[np.generic]], units: int) -> NDArray[np.int32] | None:
    if "regions" not in arrays:
        return None
    values = np.asarray(arrays["regions"], dtype=np.int32)
    if values.ndim != 2 or values.size == 0 or values.min() < -1 or values.max() >= units:
        raise ValueError("the regions do not fit the units")
    return values
