"""The pictures, sounds and videos of an explanation: each distinct one once, whose it is, and its arrays in files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whygen.types import Picture, Sound, Video

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """How much each unit changes each interval of time.

    Attributes:
        values: shape ``(units, intervals)``, in ``unit``, with what chance explains taken away; never under 0.
        edges: ends of the intervals in seconds, increasing from 0, shape ``(intervals + 1,)``.
        kind: ``sound`` or ``frames``.
        unit: of the values, such as ``dB``.
        encoder: what the outputs were compared with.
    """

    values: NDArray[np.float64]
    edges: NDArray[np.float64]
    kind: Literal["sound", "frames"]
    unit: str
    encoder: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timeline):
            return NotImplemented
        return (
            np.array_equal(self.values, other.values)
            and np.array_equal(self.edges, other.edges)
            and (self.kind, self.unit, self.encoder) == (other.kind, other.unit, other.encoder)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays have no hash


@dataclass(frozen=True, slots=True, eq=False)
class MediaEvidence:
    """Every distinct sound or video once, and who it belongs to.

    Attributes:
        files: as they came, distinct.
        samples: for each sample, the place of its own; None where it has none.
        timeline: None when there are too few masks for one.
    """

    files: tuple[Sound | Video, ...]
    samples: tuple[int | None, ...]
    timeline: Timeline | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MediaEvidence):
            return NotImplemented
        return (self.files, self.samples, self.timeline) == (other.files, other.samples, other.timeline)

    __hash__ = None  # pyright: ignore[reportAssignmentType] - arrays have no hash

    def of(self, sample: int) -> Sound | Video | None:
        """The sound or video of the sample at that place."""
        place = self.samples[sample]
        return None if place is None else self.files[place]


def to_arrays(evidence: MediaEvidence) -> dict[str, NDArray[np.generic]]:
    """Plain arrays, as they are saved: the bytes end to end, lengths, digests, and who has which."""
    joined = b"".join(each.data for each in evidence.files)
    arrays: dict[str, NDArray[np.generic]] = {
        "bytes": np.frombuffer(joined, dtype=np.uint8),
        "lengths": np.array([len(each.data) for each in evidence.files], dtype=np.int64),
        "digests": _digests(evidence.files),
        "types": _text("\n".join(each.media_type for each in evidence.files)),
        "counts": np.array([each.count if isinstance(each, Video) else 0 for each in evidence.files], dtype=np.int64),
        "rates": np.array([each.rate if isinstance(each, Video) else 0 for each in evidence.files], dtype=np.float64),
        "samples": np.array([-1 if place is None else place for place in evidence.samples], dtype=np.int64),
    }
    if (line := evidence.timeline) is not None:
        arrays["timeline"] = np.ascontiguousarray(line.values)
        arrays["edges"] = np.ascontiguousarray(line.edges)
        arrays["timeline_of"] = _text(f"{line.kind}\n{line.unit}\n{line.encoder}")
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[np.generic]], *, samples: int, units: int) -> MediaEvidence:
    """The inverse of `to_arrays`.

    Args:
        arrays: as they were read.
        samples: how many samples the explanation has.
        units: how many units it has.

    Raises:
        ValueError: saying what does not fit: a part is missing, of another shape, or bytes were changed.
    """
    missing = {"bytes", "lengths", "digests", "types", "counts", "rates", "samples"} - set(arrays)
    if missing:
        raise ValueError(f"{min(missing)!r} is missing")
    files = _files(arrays)
    if not np.array_equal(_digests(files), arrays["digests"]):
        raise ValueError("the bytes of a sound or video were changed")
    places = [int(str(place)) for place in arrays["samples"].tolist()]
    if len(places) != samples or any(not -1 <= place < len(files) for place in places):
        raise ValueError(f"the {len(places)} places do not fit {samples} samples of {len(files)} files")
    return MediaEvidence(files, tuple(None if place < 0 else place for place in places), _timeline(arrays, units))


def _files(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[Sound | Video, ...]:
    joined, lengths = arrays["bytes"].tobytes(), [int(str(length)) for length in arrays["lengths"].tolist()]
    types = _read(arrays["types"]).split("\n") if lengths else []
    counts, rates = arrays["counts"].tolist(), arrays["rates"].tolist()
    same = len({len(lengths), len(types), len(counts), len(rates)}) == 1
    if not same or min(lengths, default=0) < 0 or sum(lengths) != len(joined):
        raise ValueError("the lengths of the files do not fit their bytes")
    ends = np.cumsum([0, *lengths]).tolist()
    parts = [joined[start:end] for start, end in pairwise(ends)]
    return tuple(
        Video(data, int(str(count)), float(str(rate)), kind) if int(str(count)) else Sound(data, kind)
        for data, count, rate, kind in zip(parts, counts, rates, types, strict=True)
    )


def _timeline(arrays: Mapping[str, NDArray[np.generic]], units: int) -> Timeline | None:
    if "timeline" not in arrays:
        return None
    values = np.asarray(arrays["timeline"], dtype=np.float64)
    edges = np.asarray(arrays.get("edges", np.empty(0)), dtype=np.float64)
    about = _read(arrays.get("timeline_of", np.empty(0, dtype=np.uint8))).split("\n")
    fits = values.ndim == 2 and len(values) == units and edges.shape == (values.shape[1] + 1,)
    if not fits or not np.isfinite(values).all() or not (np.diff(edges) > 0).all() or len(about) != 3:
        raise ValueError(f"the timeline of {units} units has the shape {values.shape}, or is not finite")
    if about[0] not in {"sound", "frames"}:
        raise ValueError(f"the timeline is of {about[0]!r}")
    return Timeline(values, edges, "sound" if about[0] == "sound" else "frames", about[1], about[2])


def _digests(files: tuple[Sound | Video, ...]) -> NDArray[np.uint8]:
    found = b"".join(hashlib.sha256(each.data).digest() for each in files)
    return np.frombuffer(found, dtype=np.uint8).reshape(len(files), DIGEST_BYTES)


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _read(values: NDArray[np.generic]) -> str:
    return values.tobytes().decode("utf-8", "replace")


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


def pictures_to_arrays(evidence: PictureEvidence) -> dict[str, NDArray[np.generic]]:
    """Plain arrays, as they are saved: the bytes end to end, lengths, digests, media types, and who has which."""
    joined = b"".join(each.data for each in evidence.files)
    arrays: dict[str, NDArray[np.generic]] = {
        "bytes": np.frombuffer(joined, dtype=np.uint8),
        "lengths": np.array([len(each.data) for each in evidence.files], dtype=np.int64),
        "digests": _picture_digests(evidence.files),
        "types": np.frombuffer("\n".join(each.media_type for each in evidence.files).encode(), dtype=np.uint8),
        "given": np.array([-1 if evidence.given is None else evidence.given], dtype=np.int64),
        "samples": np.array([-1 if place is None else place for place in evidence.samples], dtype=np.int64),
    }
    for name, values in (("changes", evidence.changes), ("regions", evidence.regions)):
        if values is not None:
            arrays[name] = np.ascontiguousarray(values)
    return arrays


def _picture_digests(files: Sequence[Picture]) -> NDArray[np.uint8]:
    found = b"".join(hashlib.sha256(each.data).digest() for each in files)
    return np.frombuffer(found, dtype=np.uint8).reshape(len(files), DIGEST_BYTES)


def pictures_from_arrays(arrays: Mapping[str, NDArray[np.generic]], *, samples: int, units: int) -> PictureEvidence:
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
    if not np.array_equal(_picture_digests(files), arrays["digests"]):
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
