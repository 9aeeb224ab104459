"""The sounds and videos behind an explanation: what came back, and when each unit changed it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from whygen.types import Sound, Video

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
