"""Values that every room shares and that describe themselves as JSON: pictures, sounds, videos, and digests of JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from whygen._arguments import check_fields, told

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


def canonical_json(value: JsonValue) -> str:
    """JSON with sorted keys, no spaces and no escapes of non-ASCII: equal values give equal text.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: JsonValue) -> str:
    """sha256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


@told
@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image (PNG, JPEG, WebP ...) as bytes; its identity is the digest of those bytes."""

    data: bytes = field(repr=False)
    media_type: str = "image/png"

    def __post_init__(self) -> None:
        check_fields(self)

    def to_json(self) -> dict[str, JsonValue]:
        return {"media_type": self.media_type, "sha256": hashlib.sha256(self.data).hexdigest()}


@told
@dataclass(frozen=True, slots=True)
class Sound:
    """A waveform as the bytes of a WAV or FLAC file, which hold its rate; see `whygen.media.sounds`."""

    data: bytes = field(repr=False)
    media_type: str = "audio/wav"

    def __post_init__(self) -> None:
        check_fields(self)

    def to_json(self) -> dict[str, JsonValue]:
        return {"media_type": self.media_type, "sha256": hashlib.sha256(self.data).hexdigest()}


@told
@dataclass(frozen=True, slots=True)
class Video:
    """A stack of frames as one PNG, each frame below the one before it; see `whygen.media.films`.

    Its identity is the digest of those bytes, the number of frames, and the rate in frames a second.
    """

    data: bytes = field(repr=False)
    count: int
    rate: float
    media_type: str = "image/png"

    def __post_init__(self) -> None:
        check_fields(self)

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "media_type": self.media_type,
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "count": self.count,
            "rate": self.rate,
        }


Medium: TypeAlias = Picture | Sound | Video
"""What an answer is, where it is not a text."""

OutputKind: TypeAlias = Literal["text", "picture", "sound", "frames"]
"""What a model answers with: a text, or the field of `Output` that is filled instead."""
