"""Sounds and videos as bytes: what goes in comes out, and what cannot be is refused with what to do."""

from __future__ import annotations

import io
import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from whygen.errors import DataError, MissingError
from whygen.media import films, sounds
from whygen.types import Output, Picture, Sound, Video


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 300),
    channels=st.integers(1, 2),
    rate=st.sampled_from([8000, 22050, 48000]),
    seed=st.integers(0, 99),
)
def test_samples_come_back_exactly(n: int, channels: int, rate: int, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(-1, 1, size=(n, channels)).astype(np.float32)
    sound = sounds.sound_of(values, rate)
    back, found = sounds.samples(sound)
    assert np.array_equal(back, values)
    assert found == rate
    assert sounds.sound_of(values, rate) == sound
    assert sounds.read_sound(sound.data) == sound


def test_wav_files_of_others_are_read() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.array([[32767, -32768], [0, 16384]], dtype="<i2").tobytes())
    values, rate = sounds.samples(sounds.read_sound(buffer.getvalue()))
    assert rate == 8000
    assert values == pytest.approx(np.array([[1.0, -1.0], [0.0, 0.5]]), abs=1e-4)


def test_flac_is_read_where_soundfile_is() -> None:
    soundfile = pytest.importorskip("soundfile")
    buffer = io.BytesIO()
    tone = np.sin(np.arange(4000) / 5).astype(np.float32) / 2
    soundfile.write(buffer, tone, 16000, format="FLAC")
    sound = sounds.read_sound(buffer.getvalue())
    assert sound.media_type == "audio/flac"
    assert sounds.mono(sound)[0] == pytest.approx(tone, abs=1e-4)
    with pytest.raises(DataError, match="FLAC"):
        sounds.read_sound(buffer.getvalue()[:60])


GOOD = sounds.sound_of(np.zeros(100), 8000).data


@pytest.mark.parametrize(
    ("values", "rate", "says"),
    [
        (np.array([0.0, np.nan]), 8000, "NaN"),
        (np.array([np.inf]), 8000, "NaN or infinite"),
        (np.zeros(0), 8000, "empty"),
        (np.zeros((5, 3)), 8000, "one or two channels"),
        (np.zeros(10), 0, "samples a second"),
        (np.zeros(10), 8000.5, "whole samples"),
        (np.zeros(10), 10**9, "192,000"),
        (np.zeros(700_000), 1000, "lasts 700 s"),
        (np.array(["a"]), 8000, "type"),
    ],
)
def test_what_is_no_sound_is_refused(values: np.ndarray, rate: int, says: str) -> None:
    with pytest.raises(DataError, match=says):
        sounds.sound_of(values, rate)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"not a sound at all",
        GOOD[:30],
        GOOD[:44],
        GOOD[:20] + b"\xff" * 16 + GOOD[36:],
        b"fLaC" + b"\0" * 50,
    ],
)
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        sounds.read_sound(data)


def test_nan_in_a_file_is_found_and_silence_is_fine() -> None:
    data = bytearray(GOOD)
    data[-4:] = struct.pack("<f", float("nan"))
    with pytest.raises(DataError, match="NaN"):
        sounds.samples(Sound(bytes(data)))
    assert not sounds.samples(Sound(GOOD))[0].any()


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="There is no sound"):
        sounds.read_sound(tmp_path / "none.wav")
    with pytest.raises(MissingError, match="There is no video"):
        films.read_video(tmp_path / "none.gif")


def test_what_a_page_plays_is_short_mono_and_small() -> None:
    sound = sounds.sound_of(np.full((48_000 * 4, 2), 0.5, dtype=np.float32), 48_000)
    data, cut = sounds.playable(sound, most_seconds=3.0)
    assert cut == pytest.approx(1.0)
    values, rate = sounds.samples(sounds.read_sound(data))
    assert rate == 24_000
    assert values.shape == (72_000, 1)
    assert values[1000:-1000] == pytest.approx(0.5, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)), rate=st.sampled_from([1.0, 8.0, 29.97])
)
def test_frames_come_back_exactly(shape: tuple[int, int, int], rate: float) -> None:
    values = np.random.default_rng(sum(shape)).integers(0, 256, size=(*shape, 3), dtype=np.uint8)
    video = films.video_of(values, rate)
    assert np.array_equal(films.frames(video), values)
    assert (video.count, video.rate) == (shape[0], rate)


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_animations_are_read_frame_by_frame_with_their_times(kind: str, options: dict[str, bool]) -> None:
    shades = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    images = [Image.new("RGB", (8, 6), shade) for shade in shades]
    buffer = io.BytesIO()
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], duration=[100, 200, 100], loop=0, **options)
    video = films.read_video(buffer.getvalue())
    assert video.rate == 10.0
    assert films.frames(video)[:, 0, 0].tolist() == [list(shades[i]) for i in (0, 1, 1, 2)]


@pytest.mark.parametrize(
    ("values", "rate", "says"),
    [
        (np.zeros((0, 4, 4, 3), dtype=np.uint8), 8, "at least one frame"),
        (np.zeros((2, 4, 4), dtype=np.uint8), 8, "shape"),
        (np.full((2, 4, 4, 3), np.nan), 8, "uint8"),
        (np.zeros((2, 4, 4, 3), dtype=np.uint8), 0, "rate=0"),
        (np.zeros((2, 4, 4, 3), dtype=np.uint8), float("nan"), "rate=nan"),
        (np.broadcast_to(np.zeros(1, dtype=np.uint8), (3000, 1, 1, 3)), 8, "3,000 frames"),
        (np.broadcast_to(np.zeros(1, dtype=np.uint8), (100, 2000, 2000, 3)), 8, "Make it shorter"),
    ],
)
def test_what_is_no_video_is_refused(values: np.ndarray, rate: float, says: str) -> None:
    with pytest.raises(DataError, match=says):
        films.video_of(values, rate)


def test_bytes_that_do_not_hold_the_frames_are_refused() -> None:
    data = films.video_of(np.zeros((4, 5, 6, 3), dtype=np.uint8), 8).data
    for broken in (Video(data, 3, 8.0), Video(data, 0, 8.0), Video(data[:40], 4, 8.0), Video(b"", 4, 8.0)):
        with pytest.raises(DataError):
            films.frames(broken)


def test_an_output_holds_one_medium() -> None:
    with pytest.raises(DataError, match="not two"):
        Output(sound=Sound(GOOD), picture=Picture(b"x"))


def test_what_is_cut_short_is_refused_and_what_was_streamed_is_not(tmp_path: Path) -> None:
    whole = bytearray(sounds.sound_of(np.zeros(100), 8000).data)
    place = whole.index(b"data") + 4
    with pytest.raises(DataError, match="cut short"):
        sounds.read_sound(bytes(whole[:-200]))
    whole[place : place + 4] = b"\xff\xff\xff\xff"  # ffmpeg into a pipe
    assert len(sounds.samples(sounds.read_sound(bytes(whole)))[0]) == 100
    images = [Image.new("L", (9, 9), 10 * shade) for shade in range(20)]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=100)
    for kept in (0.5, 0.9, 0.99):
        with pytest.raises(DataError, match="cut short"):
            films.read_video(buffer.getvalue()[: int(kept * len(buffer.getvalue()))])
    assert films.read_video(buffer.getvalue()).count == 20


def test_pipes_and_names_that_cannot_be_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for name in (str(tmp_path / "pipe.wav"), "x" * 5000 + ".wav", "a\0b.wav", "/dev/zero"):
        with pytest.raises(MissingError, match="There is no sound"):
            sounds.read_sound(name)
        with pytest.raises(MissingError, match="There is no video"):
            films.read_video(name)
