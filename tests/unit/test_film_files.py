"""Films as people hold them: MP4, WebM and AVI are decoded within bounds, and hostile ones end in a sentence."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

av = pytest.importorskip("av")

from whygen.errors import DataError, WhygenError  # noqa: E402
from whygen.media import films  # noqa: E402

KINDS = [("mp4", "mpeg4"), ("matroska", "mpeg4"), ("webm", "libvpx-vp9"), ("avi", "mpeg4"), ("mov", "mjpeg")]


def frames(count: int = 12, side: int = 48) -> np.ndarray:
    """A bright square that goes from left to right on a dark ground."""
    made = np.full((count, side, side, 3), 30, np.uint8)
    for place in range(count):
        made[place, 12:36, 2 * place : 2 * place + 16] = (220, 180, 60)
    return made


def film(values: np.ndarray, kind: str, codec: str, *, times: list[int] | None = None, rate: int = 12) -> bytes:
    held = io.BytesIO()
    with av.open(held, "w", format=kind) as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.height, stream.width = values.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        stream.time_base = Fraction(1, rate)
        for place, each in enumerate(values):
            frame = av.VideoFrame.from_ndarray(each, format="rgb24")
            frame.pts, frame.time_base = (place if times is None else times[place]), Fraction(1, rate)
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return held.getvalue()


@pytest.mark.parametrize(("kind", "codec"), KINDS)
def test_a_film_is_its_frames_at_its_rate(kind: str, codec: str) -> None:
    given_frames = frames()
    video = films.read_video(film(given_frames, kind, codec))
    assert video.count == 12
    assert video.rate == pytest.approx(12, rel=0.02)
    apart = np.abs(films.frames(video).astype(float) - given_frames)
    assert apart.mean() < 6, "as near as a lossy film comes"
    assert apart.mean() < 0.5 * np.abs(films.frames(video).astype(float) - given_frames[::-1]).mean()


def test_frames_that_come_unevenly_are_brought_to_even_steps() -> None:
    values = frames(4)
    video = films.read_video(film(values, "matroska", "mpeg4", times=[0, 1, 2, 9]))
    shown = films.frames(video).astype(float)
    nearest = [int(np.argmin([np.abs(each - one).mean() for one in values])) for each in shown]
    assert nearest == sorted(nearest)
    assert nearest.count(2) >= 3, "the third frame lasts longest"


def test_a_film_cut_short_is_refused() -> None:
    whole = film(frames(24), "avi", "mpeg4")
    with pytest.raises(DataError, match=r"cut short|damaged"):
        films.read_video(whole[: len(whole) // 2])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_ends_in_a_foreign_error(data: st.DataObject) -> None:
    kind, codec = data.draw(st.sampled_from(KINDS[:2]))
    whole = bytearray(film(frames(3, 16), kind, codec))
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(12, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        video = films.read_video(bytes(whole[: data.draw(st.integers(24, len(whole)))]))
    except WhygenError:
        return
    assert films.frames(video).shape[0] == video.count


def test_bounds_are_held_before_frames_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(frames(12), "mp4", "mpeg4")
    monkeypatch.setattr(films, "MOST_FRAMES", 5)
    with pytest.raises(DataError, match="at most 5"):
        films.read_video(data)
    monkeypatch.setattr(films, "MOST_FRAMES", 100)
    monkeypatch.setattr(films, "MOST_PIXELS", 48 * 48 * 4)
    with pytest.raises(DataError, match="over"):
        films.read_video(data)
    monkeypatch.undo()
    monkeypatch.setattr(films, "MOST_DECODING", -1.0)
    with pytest.raises(DataError, match="to decode"):
        films.read_video(data)


def test_a_picture_that_begins_as_a_film_is_none() -> None:
    assert films.film_of(b"\0\0\0\x1cftypavif") is None
    assert films.film_of(b"\0\0\0\x18ftypisom") == "mov"
    assert films.film_of(b"RIFF\0\0\0\0AVI LIST") == "avi"
    assert films.film_of(b"RIFF\0\0\0\0WAVEfmt ") is None


def test_a_sound_alone_is_no_video() -> None:
    held = io.BytesIO()
    with av.open(held, "w", format="matroska") as out:
        stream: Any = out.add_stream("pcm_s16le", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode()]:
            out.mux(packet)
    with pytest.raises(DataError, match="no video"):
        films.read_video(held.getvalue())
