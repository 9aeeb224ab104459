"""The sounds and videos of a report: what came back, and when each unit changed it.

Everything is decoded and written anew, small: nothing that a model made gets into a page as it came.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from whygen.errors import DataError, MissingExtraError
from whygen.media import films, sounds
from whygen.report.texts import decimals_for, number, shorten, visible
from whygen.results.evidence import Evidence
from whygen.results.media import Timeline
from whygen.results.prompt import PromptExplanation
from whygen.types import Sound, Video

MOST_BYTES = 6 * 2**20
"""Of all sounds and videos in a page, before they become text a third longer."""
MOST_SECONDS = 30.0
MOST_SIDE = 256
LEAST_SIDE = 144
"""Pixels that a small video is shown at, at least."""
MOST_UNITS = 60
EXTREMES = 3
LEVELS = 120
TILES = 12


@dataclass(slots=True)
class Room:
    """Bytes that are left in the page."""

    left: int = MOST_BYTES

    def take(self, data: bytes, kind: str) -> str | None:
        """A data URL, or None where there is no room for it."""
        if len(data) > self.left:
            return None
        self.left -= len(data)
        return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def summarise_media(explanation: PromptExplanation) -> dict[str, Any] | None:
    """Everything that the page plays; None where the answers are texts, or the evidence was not loaded."""
    evidence = explanation.evidence
    if evidence is None or evidence.media is None:
        return None
    index = next((i for i, sample in enumerate(evidence.samples) if sample.kind == "reference"), None)
    medium = None if index is None else evidence.media.of(index)
    room = Room()
    return {
        "sound": isinstance(evidence.media.files[0], Sound),
        "reference": _player(medium, "the reference", room),
        "timeline": _timeline(explanation, evidence.media.timeline, medium, room),
        "least": _extremes(evidence, room, nearest=True),
        "most": _extremes(evidence, room, nearest=False),
    }


def described(explanation: PromptExplanation, sample: int) -> str:
    """The sound or video of a sample in words; empty where it has none."""
    media = None if explanation.evidence is None else explanation.evidence.media
    return "" if media is None else _words(media.of(sample))


def described_reference(explanation: PromptExplanation) -> str:
    """The same of the reference."""
    samples = () if explanation.evidence is None else explanation.evidence.samples
    places = [place for place, sample in enumerate(samples) if sample.kind == "reference"]
    return described(explanation, places[0]) if places else ""


def _words(medium: Sound | Video | None) -> str:
    if medium is None:
        return ""
    try:
        if isinstance(medium, Sound):
            return f"(a sound of {sounds.seconds(medium):.2f} s)"
        return f"(a video of {medium.count} frames, {medium.count / medium.rate:.2f} s)"
    except (DataError, MissingExtraError):
        return "(a sound that cannot be read here)"


def _player(medium: Sound | Video | None, text: str, room: Room) -> dict[str, Any]:
    """A player, or why there is none."""
    item: dict[str, Any] = {"url": None, "why": "none came back", "text": text, "note": "", "sound": False}
    if medium is None:
        return item
    try:
        return {**item, **(_heard(medium, room) if isinstance(medium, Sound) else _seen(medium, room))}
    except (DataError, MissingExtraError) as error:
        return {**item, "why": f"cannot be shown: {visible(str(error))}"}


_FULL = "left out: the page is large enough; it is in media.safetensors"


def _heard(sound: Sound, room: Room) -> dict[str, Any]:
    data, cut = sounds.playable(sound, most_seconds=MOST_SECONDS)
    return {
        "url": room.take(data, "audio/wav"),
        "why": _FULL,
        "note": f"{cut:.1f} s cut off" if cut else "",
        "sound": True,
    }


def _seen(video: Video, room: Room) -> dict[str, Any]:
    data, left_out = films.playable(video, most_side=MOST_SIDE)
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    factor = max(1, round(LEAST_SIDE / max(width, height)))
    return {
        "url": room.take(data, "image/webp"),
        "why": _FULL,
        "note": f"{left_out} frames left out" if left_out else "",
        "width": width * factor,
        "height": height * factor,
    }


def _extremes(evidence: Evidence, room: Room, *, nearest: bool) -> list[dict[str, Any]]:
    """Masked outputs nearest to the reference, or farthest from it, each once, with what was sent."""
    media = evidence.media
    rows = [
        (sample.effect, index)
        for index, sample in enumerate(evidence.samples)
        if sample.kind == "mask" and sample.effect is not None and np.isfinite(sample.effect)
    ]
    rows.sort(key=lambda row: (-row[0] if nearest else row[0], row[1]))
    decimals = decimals_for(max((abs(effect) for effect, _ in rows), default=0.0))
    chosen: dict[int, dict[str, Any]] = {}
    for effect, index in rows:
        place = None if media is None else media.samples[index]
        if media is not None and place is not None and place not in chosen and len(chosen) < EXTREMES:
            prompt = evidence.samples[index].prompt
            sent = shorten(prompt, 90) if prompt.strip() else "(nothing)"
            chosen[place] = _player(media.files[place], f"{number(effect, decimals)}  {sent}", room)
    return list(chosen.values())


def _timeline(
    explanation: PromptExplanation, line: Timeline | None, medium: Sound | Video | None, room: Room
) -> dict[str, Any] | None:
    if line is None or not line.values.size:
        return None
    largest = float(line.values.max())
    strongest = line.values.max(axis=1)
    kept = sorted(np.argsort(-strongest, kind="stable")[:MOST_UNITS].tolist())
    ends = line.edges.tolist()
    return {
        "rows": [_row(explanation, line, unit, largest) for unit in kept],
        "ends": ends,
        "end": ends[-1],
        "unit": visible(line.unit),
        "encoder": visible(line.encoder),
        "left_out": len(strongest) - len(kept),
        **_orientation(medium, ends[-1], room),
    }


def _row(explanation: PromptExplanation, line: Timeline, place: int, largest: float) -> dict[str, Any]:
    values, unit = line.values[place], explanation.units[place]
    peak = int(values.argmax())
    most = number(float(values[peak]), 1 if line.unit == "dB" else 3)
    when = f"{line.edges[peak]:.2f} to {line.edges[peak + 1]:.2f} s"
    said = f"at most {most} {line.unit}, at {when}" if values[peak] > 0 else "no change beyond chance"
    return {
        "text": shorten(unit.text, 28),
        "shares": [0.0] * len(values) if largest <= 0 else (values / largest).tolist(),
        "most": most if values[peak] > 0 else "",
        "label": visible(f"{shorten(unit.text, 28)}: {said}"),
        "significant": unit.significant,
    }


def _orientation(medium: Sound | Video | None, end: float, room: Room) -> dict[str, Any]:
    """What the reference is like over time: how loud, or small frames side by side."""
    nothing: dict[str, Any] = {"levels": [], "lasts": end, "tiles": None}
    if medium is None:
        return nothing
    try:
        if isinstance(medium, Sound):
            values, rate = sounds.mono(medium)
            return {**nothing, "levels": _levels(values), "lasts": min(end, len(values) / rate)}
        return {**nothing, "tiles": room.take(_tiles(medium, end), "image/webp")}
    except (DataError, MissingExtraError):
        return nothing


def _levels(values: NDArray[np.float32]) -> list[float]:
    """Root mean square of equal stretches, the loudest 1."""
    parts = np.array_split(values.astype(np.float64), min(LEVELS, len(values)))
    found = np.sqrt([float(np.square(part).mean()) for part in parts])
    largest = float(found.max())
    return (found / largest).tolist() if largest > 0 else [0.0] * len(found)


def _tiles(video: Video, end: float) -> bytes:
    """Frames side by side as one picture that stands for the time from 0 to ``end``; clear where the video is over."""
    frames = films.frames(video)
    count = min(TILES, max(1, round(end * video.rate)))
    places = ((np.arange(count) + 0.5) * end / count * video.rate).astype(np.int64)
    height = 48
    width = max(1, min(4 * height, round(height * frames.shape[2] / frames.shape[1])))
    strip = np.zeros((height, count * width, 4), dtype=np.uint8)
    for tile, place in enumerate(places.tolist()):
        if place < len(frames):
            small = Image.fromarray(frames[place]).resize((width, height))
            strip[:, tile * width : (tile + 1) * width] = np.asarray(small.convert("RGBA"), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "WEBP", quality=80, method=2)
    return buffer.getvalue()
