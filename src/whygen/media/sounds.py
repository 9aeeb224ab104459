# pyright: basic
"""Sounds as bytes and as samples: what every room that listens reads and writes them with.

A sound is kept as the file that holds it: a store keeps it as it came, a page plays it.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import typed
from whygen.errors import DataError, MissingError, MissingExtraError
from whygen.files import is_file
from whygen.types import Sound

MOST_BYTES = 64 * 2**20
MOST_SECONDS = 600.0
"""Ten minutes. Encoded in frames of 32 ms that is 19,000 points; a longer sound is explained piece by piece."""
MOST_CHANNELS = 2
RATES = (1_000, 192_000)
"""Samples a second."""

STREAMED = 0x7FFF_0000
"""Bytes of samples from which a claim means that nobody knew the length."""

Samples = NDArray[np.float32]
"""Shape ``(n, channels)``, full scale is -1 to 1."""


@typed()
def sound_of(samples: NDArray[Any], rate: float) -> Sound:
    """Samples as a WAV file of 32-bit floats; equal samples give equal bytes.

    Args:
        samples: shape ``(n,)`` or ``(n, channels)``, one or two channels, -1 to 1 (integers are scaled to that).
        rate: samples a second.

    Raises:
        DataError: if there are none, one is NaN, or shape, rate or length cannot be.
    """
    values = _as_floats(np.asarray(samples), "samples")
    values = values[:, None] if values.ndim == 1 else values
    _check_rate(rate, "rate")
    _check_shape(values.shape, int(rate), "samples")
    if not np.isfinite(values).all():
        raise DataError(f"samples hold {int((~np.isfinite(values)).sum())} values that are NaN or infinite.")
    return Sound(_wav(values, int(rate)))


@typed("source")
def read_sound(source: Path | str | bytes) -> Sound:
    """A sound from a WAV or FLAC file, or from the bytes of one, byte for byte; Ogg and MP3 become WAV.

    Raises:
        MissingError: if there is no such file.
        DataError: if it is no such sound, damaged, empty or too long.
        MissingExtraError: if it is no WAV file and the extra ``audio`` is not installed.
    """
    if not isinstance(source, Path | str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
        raise DataError(f"A {type(source).__name__} is no sound. Give a path, or the bytes of a file.")
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source)
        if not is_file(path):
            raise MissingError(f"There is no sound at {str(path)!r}. Give the path of a WAV, FLAC, Ogg or MP3 file.")
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{str(path)!r} is over {MOST_BYTES // 2**20} MiB. Cut the sound shorter.")
        data = path.read_bytes()
    if is_compressed(data):
        _check_bytes(data)
        return sound_of(*_read_flac(data))
    sound = Sound(data, "audio/flac" if data[:4] == b"fLaC" else "audio/wav")
    samples(sound)
    return sound


def is_compressed(data: bytes) -> bool:
    """Whether a file begins as Ogg or MP3 do."""
    frame = len(data) > 1 and data[0] == 0xFF and data[1] >= 0xE0 and data[1] & 0b110 != 0  # eleven ones, then a layer
    return data[:4] == b"OggS" or data[:3] == b"ID3" or frame


def is_sound(data: bytes) -> bool:
    """Whether a file begins as a sound that can be read does."""
    return (data[:4] in {b"RIFF", b"RF64"} and data[8:12] == b"WAVE") or data[:4] == b"fLaC" or is_compressed(data)


def _check_bytes(data: bytes) -> None:
    if len(data) > MOST_BYTES:
        raise DataError(f"The sound is over {MOST_BYTES // 2**20} MiB. Make it shorter.")


@typed()
def samples(sound: Sound) -> tuple[Samples, int]:
    """The samples ``(n, channels)``, -1 to 1, and the rate in samples a second.

    Raises:
        DataError: if it is no sound that can be read: damaged, empty, NaN in it, too long.
        MissingExtraError: if it is FLAC and the extra ``audio`` is not installed.
    """
    _check_bytes(sound.data)
    values, rate = _read_flac(sound.data) if sound.data[:4] == b"fLaC" else _read_wav(sound.data)
    _check_rate(rate, "the sound's rate")
    values = values[:, None] if values.ndim == 1 else values
    _check_shape(values.shape, rate, "the sound")
    if not np.isfinite(values).all():
        raise DataError("The sound holds samples that are NaN or infinite: the model's output is broken.")
    return values, rate


@typed()
def mono(sound: Sound) -> tuple[NDArray[np.float32], int]:
    """The mean of the channels ``(n,)``, and the rate.

    Raises:
        DataError: as `samples`.
    """
    values, rate = samples(sound)
    return values.mean(axis=1, dtype=np.float32), rate


def resampled(sound: Sound, rate: int) -> Samples:
    """The samples ``(n, channels)`` at another rate.

    Raises:
        DataError: as `samples`.
    """
    from scipy.signal import resample_poly

    values, own = samples(sound)
    shared = math.gcd(own, rate)
    return np.asarray(resample_poly(values, rate // shared, own // shared), dtype=np.float32) if own != rate else values


@typed()
def seconds(sound: Sound) -> float:
    """How long it lasts.

    Raises:
        DataError: as `samples`.
    """
    values, rate = samples(sound)
    return len(values) / rate


def playable(sound: Sound, *, most_seconds: float = 30.0) -> tuple[bytes, float]:
    """A small WAV file (16 bits, mono, at most 24 kHz) that every browser plays, and how many seconds were cut off.

    Raises:
        DataError: as `samples`.
    """
    from scipy.signal import resample_poly

    values, rate = mono(sound)
    cut = max(0.0, len(values) / rate - most_seconds)
    values = values[: math.ceil(most_seconds * rate)]
    while rate > 24_000 and rate % 2 == 0:
        values, rate = np.asarray(resample_poly(values, 1, 2), dtype=np.float32), rate // 2
    return _wav(np.round(np.clip(values, -1, 1) * 32767).astype("<i2")[:, None], rate), cut


def _wav(values: NDArray[Any], rate: int) -> bytes:
    """A WAV file by hand: scipy's writer says the same in bytes that changed between its versions."""
    kind, width = (3, 4) if values.dtype.kind == "f" else (1, values.dtype.itemsize)
    body = np.ascontiguousarray(values, dtype="<f4" if kind == 3 else "<i2").tobytes()
    block = width * values.shape[1]
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, values.shape[1], rate, rate * block, block, 8 * width)
    parts = head + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI4s", b"RIFF", 4 + len(parts), b"WAVE") + parts


def _read_wav(data: bytes) -> tuple[Samples, int]:
    from scipy.io import wavfile

    _check_whole(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of tags, which nobody plays
            rate, values = wavfile.read(io.BytesIO(data))
    except (ValueError, EOFError, struct.error, TypeError, ArithmeticError, UnboundLocalError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        if isinstance(error, ArithmeticError | UnboundLocalError):
            text = "its header is broken"
        raise DataError(f"The sound is no WAV file that can be read ({text}). Give WAV, FLAC, Ogg or MP3.") from None
    return _as_floats(values, "the sound"), int(rate)


def _check_whole(data: bytes) -> None:
    """Refuse a file whose samples are cut off: scipy reads what is left of them without a word.

    A program that writes into a pipe does not know the length yet, and claims the most that can be, or nothing.
    """
    place = 12
    while data[:4] == b"RIFF" and place + 8 <= len(data):
        name, claimed = struct.unpack_from("<4sI", data, place)
        if name == b"data":
            if claimed < STREAMED and place + 8 + claimed > len(data):
                raise DataError(
                    f"The sound is cut short: it claims {claimed:,} bytes of samples, and holds "
                    f"{len(data) - place - 8:,}. Get a whole copy of it."
                )
            return
        place += 8 + claimed + claimed % 2


def _read_flac(data: bytes) -> tuple[Samples, int]:
    try:
        import soundfile
    except ImportError:
        raise MissingExtraError("Reading FLAC, Ogg and MP3", extra="audio", package="soundfile") from None
    try:
        claimed = soundfile.info(io.BytesIO(data))
        _check_rate(claimed.samplerate, "the sound's rate")
        _check_shape((claimed.frames, claimed.channels), claimed.samplerate, "the sound")
        most = int(MOST_SECONDS * claimed.samplerate) + 1  # a file may hold more than it claims
        values, rate = soundfile.read(io.BytesIO(data), frames=most, dtype="float32")
    except (soundfile.SoundFileError, RuntimeError) as error:
        why = getattr(error, "error_string", None) or error  # without the address of our buffer
        raise DataError(
            f"The sound is no FLAC, Ogg or MP3 file that can be read ({why}). Get a whole copy of it."
        ) from None
    return np.asarray(values, dtype=np.float32), int(rate)


def _as_floats(values: NDArray[Any], name: str) -> Samples:
    """Full scale is 1; unsigned bytes have their silence at 128."""
    if values.dtype == np.uint8:
        return ((values.astype(np.float32) - 128.0) / 128.0).astype(np.float32)
    if values.dtype.kind == "i":
        return (values.astype(np.float64) / float(np.iinfo(values.dtype).max + 1)).astype(np.float32)
    if values.dtype.kind != "f":
        raise DataError(f"{name} are of type {values.dtype}; give floats from -1 to 1, or integers of full scale.")
    return values.astype(np.float32)


def _check_rate(rate: float, name: str) -> None:
    low, high = RATES
    if not (low <= rate <= high and float(rate).is_integer()):
        raise DataError(f"{name} is {rate}; give whole samples a second, {low:,} to {high:,}, such as 16000.")


def _check_shape(shape: tuple[int, ...], rate: int, name: str) -> None:
    if len(shape) != 2 or not 1 <= shape[1] <= MOST_CHANNELS:
        raise DataError(f"{name} has the shape {shape}; give (n,) or (n, channels) with one or two channels.")
    if shape[0] == 0:
        raise DataError(f"{name} is empty: there is nothing to hear. A silence has samples, all of them zero.")
    if shape[0] > MOST_SECONDS * rate:
        raise DataError(f"{name} lasts {shape[0] / rate:,.0f} s, and at most {MOST_SECONDS:.0f} are taken. Cut it.")
