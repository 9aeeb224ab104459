"""Videos as bytes and as frames: what every room that watches reads and writes them with.

A `Video` is one PNG that holds its frames one below the other: lossless, compact where little moves, and the same bytes
for the same frames. Animations (GIF, WebP, APNG) are read into that form and written from it for a page; films (MP4,
WebM, MOV, Matroska, AVI) are read by PyAV, the extra ``video``.
"""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from whygen._arguments import typed
from whygen.errors import DataError, MissingError, MissingExtraError
from whygen.files import is_file
from whygen.types import Video

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 2**26
"""All frames together: 16 seconds of 512 x 512 at 16 frames a second."""
MOST_FRAMES = 2_000
MOST_RATE = 240.0
GRID_MS = 1_000

MOST_DECODING = 60.0
"""Seconds that decoding a film may take."""

Frames = NDArray[np.uint8]
"""Shape ``(t, height, width, 3)``, RGB, 0 to 255."""


@typed()
def video_of(frames: NDArray[Any], rate: float) -> Video:
    """Frames as a `Video`; equal frames give equal bytes.

    Args:
        frames: shape ``(t, height, width, 3)``, uint8.
        rate: frames a second.

    Raises:
        DataError: if there are none, or type, shape, rate or size cannot be.
    """
    values = np.asarray(frames)
    _check_rate(rate)
    if values.dtype != np.uint8:
        raise DataError(f"frames are of type {values.dtype}; give uint8, RGB from 0 to 255. Check them for NaN first.")
    if values.ndim != 4 or values.shape[3] != 3 or 0 in values.shape:
        raise DataError(f"frames have the shape {values.shape}; give (t, height, width, 3), with at least one frame.")
    _check_size(*values.shape[:3])
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values).reshape(-1, values.shape[2], 3)).save(buffer, "PNG")
    return Video(buffer.getvalue(), int(values.shape[0]), float(rate))


@typed()
def frames(video: Video) -> Frames:
    """The frames, shape ``(t, height, width, 3)``.

    Raises:
        DataError: if the bytes are no such picture, damaged or too large, or do not fit the number of frames.
    """
    _check_rate(video.rate)
    image = _opened(video.data)
    if video.count < 1 or image.height % video.count:
        raise DataError(
            f"The video claims {video.count} frames, and its picture of {image.width} x {image.height} pixels does not "
            "divide into them. Make videos with whygen.media.films.video_of."
        )
    _check_size(video.count, image.height // video.count, image.width)
    pixels = np.array(_loaded(image).convert("RGB"), dtype=np.uint8)
    return pixels.reshape(video.count, image.height // video.count, image.width, 3)


@typed("source")
def read_video(source: Path | str | bytes) -> Video:
    """A video from a film (MP4, WebM, MOV, AVI) or an animated GIF, WebP or PNG, or from the bytes of one.

    Durations that differ are brought to the shortest common step, so a frame that lasts twice as long is there twice;
    of films whose frames come unevenly, to their mean rate. What a film has of sound is left out.

    Raises:
        MissingError: if there is no such file.
        DataError: if it is no such animation or film, damaged, or too large.
        MissingExtraError: if it is a film and the extra ``video`` is not installed.
    """
    if not isinstance(source, Path | str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
        raise DataError(f"A {type(source).__name__} is no video. Give a path, or the bytes of a file.")
    if not isinstance(source, bytes):
        path = Path(source)
        if not is_file(path):
            raise MissingError(f"There is no video at {str(path)!r}. Give an MP4, WebM, GIF or WebP file.")
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{str(path)!r} is over {MOST_BYTES // 2**20} MiB. Make the video shorter or smaller.")
        source = path.read_bytes()
    if (container := film_of(source)) is not None:
        return _decoded(source, container)
    if source[:3] == b"GIF" and not source.rstrip(b"\0").endswith(b";"):  # Pillow takes the frames that are left
        raise DataError("The video is cut short: a GIF without its end. Get a whole copy of it.")
    image = _opened(source)
    count = int(getattr(image, "n_frames", 1))
    _check_size(count, image.height, image.width)
    found: list[Frames] = []
    lasting: list[int] = []
    try:
        for place in range(count):
            image.seek(place)
            found.append(np.array(image.convert("RGB"), dtype=np.uint8))
            lasting.append(max(1, round(float(image.info.get("duration", 100) or 100))))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"The video is damaged or cut short ({error}). Get a whole copy of it.") from None
    step = math.gcd(*lasting)
    repeats = [each // step for each in lasting]
    _check_size(sum(repeats), image.height, image.width)
    return video_of(np.repeat(np.stack(found), repeats, axis=0), GRID_MS / step)


_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc")
"""Brands of files that begin as an MP4 does, and hold pictures."""


def film_of(data: bytes) -> str | None:
    """What FFmpeg calls the container, by how the file begins; None where it is no film."""
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") and data[8:12] not in _PICTURES:
        return "mov"
    if data[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    return "avi" if data[:4] == b"RIFF" and data[8:12] == b"AVI " else None


def _decoded(data: bytes, container: str) -> Video:
    """The frames of a film, each bound checked as they come: its header is only what a stranger claims.

    The container is named to FFmpeg rather than guessed by it: some formats hold the addresses of further files.
    """
    if len(data) > MOST_BYTES:
        raise DataError(f"The video is over {MOST_BYTES // 2**20} MiB. Make it shorter or smaller.")
    av = _av()
    try:
        with av.open(io.BytesIO(data), format=container) as film:
            if not film.streams.video:
                raise DataError("The file holds no video. If it is a sound, write it as WAV or FLAC.")
            stream = film.streams.video[0]
            if stream.codec_context is None:
                raise DataError("The video is damaged, or of a kind that cannot be read (no codec).")
            stream.codec_context.thread_count = 1  # a hostile film shall not take every core
            found, times = _frames_of(film.decode(stream), stream)
            claimed, stated = int(stream.frames), float(stream.average_rate or stream.guessed_rate or 0)
    except (av.error.FFmpegError, ValueError, OverflowError, EOFError, MemoryError) as error:
        raise DataError(f"The video is damaged, or of a kind that cannot be read ({_said(error)}).") from None
    if not found or claimed > len(found) + 1:
        raise DataError(f"The video is cut short: {len(found)} of {max(claimed, 1)} frames. Get a whole copy of it.")
    rate = stated or (len(times) - 1) / (times[-1] - times[0] or 1.0)
    _check_rate(rate)
    return video_of(np.stack(_even(found, times, rate)), rate)


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise MissingExtraError("Reading films (MP4, WebM)", extra="video", package="av") from None
    return av


def _frames_of(decoded: Iterator[Any], stream: Any) -> tuple[list[Frames], list[float]]:
    """Frames ``(height, width, 3)`` and the seconds at which each is shown."""
    _check_size(max(1, stream.frames), stream.height, stream.width)
    until = time.monotonic() + MOST_DECODING
    found: list[Frames] = []
    times: list[float] = []
    for frame in decoded:
        _check_size(len(found) + 1, frame.height, frame.width)
        if time.monotonic() > until:
            raise DataError(f"The video takes over {MOST_DECODING:.0f} s to decode. Make it shorter or smaller.")
        found.append(frame.to_ndarray(format="rgb24"))
        if found[-1].shape != found[0].shape:
            raise DataError("The frames of the video are of different sizes. Bring them to one.")
        times.append(float(frame.time) if frame.time is not None else math.nan)
    return found, times


def _even(found: list[Frames], times: list[float], rate: float) -> list[Frames]:
    """Frames at equal steps: at each, the one that is shown then."""
    gaps = np.diff(times)
    if len(found) < 2 or not np.isfinite(times).all() or np.ptp(gaps) * rate < 0.5:
        return found
    count = max(1, round((times[-1] - times[0] + float(np.median(gaps))) * rate))
    _check_size(count, *found[0].shape[:2])
    shown = np.searchsorted(times, times[0] + (np.arange(count) + 0.5) / rate, side="right") - 1
    return [found[place] for place in shown]


def _said(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def is_animated(data: bytes) -> bool:
    """Whether it is a picture of more than one frame; what cannot be read is none."""
    try:
        image = _opened(data)
        return int(getattr(image, "n_frames", 1)) > 1 and image.format != "MPO"  # a photograph of a phone
    except DataError:
        return False


def shrunk(values: Frames, *, height: int, width: int) -> Frames:
    """Each frame in another size (mean over areas where it shrinks), shape ``(t, height, width, 3)``."""
    if values.shape[1:3] == (height, width):
        return values
    small = [Image.fromarray(each).resize((width, height), Image.Resampling.BOX) for each in values]
    return np.stack([np.asarray(each, dtype=np.uint8) for each in small])


def playable(video: Video, *, most_side: int = 256, most_frames: int = 120) -> tuple[bytes, int]:
    """A small animated WebP that repeats, and how many frames were left out at its end.

    Raises:
        DataError: as `frames`.
    """
    values = frames(video)
    kept = values[:most_frames]
    shrink = min(1.0, most_side / max(kept.shape[1:3]))
    kept = shrunk(kept, height=max(1, round(kept.shape[1] * shrink)), width=max(1, round(kept.shape[2] * shrink)))
    images = [Image.fromarray(each) for each in kept]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "WEBP", save_all=True, append_images=images[1:], duration=max(1, round(1000 / video.rate)), loop=0,
        quality=85, method=2,
    )  # fmt: skip
    return buffer.getvalue(), len(values) - len(kept)


def _opened(data: bytes) -> Image.Image:
    """The picture with its header read; nothing is unpacked."""
    if len(data) > MOST_BYTES:
        raise DataError(f"The video is over {MOST_BYTES // 2**20} MiB. Make it shorter or smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check of sizes is stricter
            return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        raise DataError(f"The video claims far more than {MOST_PIXELS:,} pixels. Make it smaller.") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(f"The video cannot be read ({str(error)[:120]}). Give a GIF, WebP or PNG.") from None


def _loaded(image: Image.Image) -> Image.Image:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise DataError(f"The video is damaged or cut short ({error}). Get a whole copy of it.") from None
    return image


def _check_rate(rate: float) -> None:
    if not (math.isfinite(rate) and 0 < rate <= MOST_RATE):
        raise DataError(f"rate={rate} frames a second cannot be; give one above 0, up to {MOST_RATE:.0f}, such as 8.")


def _check_size(count: int, height: int, width: int) -> None:
    if count > MOST_FRAMES:
        raise DataError(f"The video has {count:,} frames, and at most {MOST_FRAMES:,} are taken. Cut it, or thin it.")
    if count * height * width > MOST_PIXELS:
        raise DataError(
            f"The video has {count} frames of {width} x {height} pixels, over {MOST_PIXELS:,} in all. Make it shorter "
            "or smaller."
        )
