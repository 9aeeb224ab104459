"""Distances between sounds and between videos: laws, closed forms, and moments."""

from __future__ import annotations

import numpy as np
import pytest

from whygen.encoders import ByPicture, FrameColours, LogMel, Track, load_timed_encoder
from whygen.encoders.protocols import edges, in_intervals
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.media import films, sounds
from whygen.models.planted.media import SYNTH_RATE as RATE
from whygen.models.planted.media import draw, wave
from whygen.prompt.targets import TIMED_TARGETS, TemporalConsistency, load_timed_target, temporal_change
from whygen.types import Output, Picture, Sound, Video

WORDS = [["high", "bell"], ["low"], ["fast", "drum"], ["siren"], ["loud", "organ", "whistle"], []]
FILMS = [["red", "left"], ["circle", "right"], ["night", "down", "quickly"], ["blinking", "up"], ["flash", "left"]]


def heard(words: list[str]) -> Output:
    return Output(sound=sounds.sound_of(wave(words).astype(np.float32), RATE))


def seen(words: list[str]) -> Output:
    return Output(frames=films.video_of(draw(words), 8.0))


@pytest.mark.parametrize("name", TIMED_TARGETS)
@pytest.mark.parametrize("kind", ["sound", "frames"])
def test_a_distance_is_zero_to_itself_and_above_zero_to_others(name: str, kind: str) -> None:
    outputs = [heard(words) for words in WORDS] if kind == "sound" else [seen(words) for words in FILMS]
    target = load_timed_target(name, kind="sound" if kind == "sound" else "frames")
    found = -target.effects(outputs, outputs[:1])
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert (found[1:] > 0).all()


@pytest.mark.parametrize("name", [name for name in TIMED_TARGETS if name != "consistency"])
def test_distances_are_symmetric_and_forget_the_other_outputs(name: str) -> None:
    outputs = [heard(words) for words in WORDS]
    target = load_timed_target(name, kind="sound")
    matrix = np.array([target.effects([a], [b])[0] for a in outputs for b in outputs]).reshape(len(WORDS), -1)
    assert matrix == pytest.approx(matrix.T, abs=1e-9)
    for place, one in enumerate(outputs):
        assert target.effects(outputs, [one]) == pytest.approx(matrix[:, place], abs=1e-9)


def test_transport_forgets_when_and_in_time_does_not() -> None:
    forwards = wave(["high", "then", "low"]).astype(np.float32)
    backwards = wave(["low", "then", "high"]).astype(np.float32)
    a, b = (Output(sound=sounds.sound_of(each, RATE)) for each in (forwards, backwards))
    transport = -load_timed_target("optimal-transport", kind="sound").effects([b], [a])[0]
    moments = -load_timed_target("in-time", kind="sound").effects([b], [a])[0]
    assert moments > 5 * transport


def test_a_quieter_sound_is_as_many_decibels_away_as_it_is_softer() -> None:
    hiss = np.random.default_rng(0).uniform(-0.5, 0.5, size=16_000).astype(np.float32)
    loud, soft = (Output(sound=sounds.sound_of(hiss * factor, 16_000)) for factor in (1.0, 0.5))
    for name in ("optimal-transport", "euclidean", "in-time"):
        found = -load_timed_target(name, kind="sound").effects([soft], [loud])[0]
        assert found == pytest.approx(20 * np.log10(2), abs=0.3), name


def test_frames_are_matched_by_time_and_what_is_over_is_black() -> None:
    white = np.full((4, 8, 8, 3), 255, dtype=np.uint8)
    whole = Output(frames=films.video_of(white, 4.0))
    finer = Output(frames=films.video_of(np.repeat(white, 3, axis=0), 12.0))
    half = Output(frames=films.video_of(white[:2], 4.0))
    target = load_timed_target("in-time", kind="frames")
    assert -target.effects([finer, half], [whole]) == pytest.approx([0.0, 0.5])
    assert -target.effects([whole], [half]) == pytest.approx([0.5])


def test_temporal_change_in_closed_form() -> None:
    track = Track(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]]), 0.5)
    assert temporal_change(track) == pytest.approx((5.0 + 0.0) / 2 / 0.5)
    assert temporal_change(Track(np.ones((1, 2)), 0.5)) == 0.0
    blinks = np.zeros((6, 8, 8, 3), dtype=np.uint8)
    blinks[::2] = 255
    assert TemporalConsistency()(Output(frames=films.video_of(blinks, 10.0))) == pytest.approx(-10.0)


def test_consistency_needs_a_reference_that_moves() -> None:
    still = Output(frames=films.video_of(np.zeros((5, 8, 8, 3), dtype=np.uint8), 8.0))
    target = load_timed_target("consistency", kind="frames")
    with pytest.raises(DataError, match="nothing does"):
        target.check(still)  # pyright: ignore[reportAttributeAccessIssue]
    moving = seen(["left"])
    assert target.effects([still], [moving]) == pytest.approx([-1.0])


def test_an_answer_of_another_kind_is_refused_and_a_refusal_counts_as_nothing() -> None:
    target = load_timed_target("energy", kind="sound")
    with pytest.raises(DataError, match="It said: 'I cannot'"):
        target.check(Output(text="I cannot"))  # pyright: ignore[reportAttributeAccessIssue]
    silence = Output(sound=sounds.sound_of(np.zeros(RATE), RATE))
    bell = heard(["bell"])
    refused, silent = target.effects([Output(finish="refused"), silence], [bell])
    assert refused == pytest.approx(silent)


def test_sounds_of_other_rates_and_channels_are_compared_as_heard() -> None:
    slow = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000).astype(np.float32) / 2
    fast = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32) / 2
    mono, stereo = sounds.sound_of(slow, 8000), sounds.sound_of(np.column_stack([fast, fast]), 16000)
    found = -load_timed_target("euclidean", kind="sound").effects([Output(sound=stereo)], [Output(sound=mono)])[0]
    other = -load_timed_target("euclidean", kind="sound").effects([heard(["siren"])], [Output(sound=mono)])[0]
    assert found < 0.15 * other


def test_a_full_scale_sine_is_at_eighty_decibels_and_silence_at_zero() -> None:
    t = np.arange(16_000) / 16_000
    [sine, silence] = LogMel().tracks(
        [sounds.sound_of(np.sin(2 * np.pi * 1000 * t), 16_000), sounds.sound_of(np.zeros(3), 16_000)]
    )
    assert 8 * sine.points.max() == pytest.approx(80.0, abs=1.5)
    assert silence.points.shape == (1, 64)
    assert not silence.points.any()
    assert sine.seconds == pytest.approx(1.0, abs=0.02)


def test_intervals_mean_their_points_and_end_in_nothing() -> None:
    track = Track(np.arange(4.0)[:, None], 0.5)
    nothing = np.array([-1.0])
    assert in_intervals(track, np.array([0.0, 1.0, 2.0, 3.0]), nothing)[:, 0].tolist() == [0.5, 2.5, -1.0]
    assert in_intervals(track, np.arange(9) / 4, nothing)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert edges([track], 0.5).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert edges([track], 0.5, most=3).tolist() == [0.0, 1.0, 2.0]


def test_any_encoder_of_pictures_sees_frames() -> None:
    class Brightness:
        name = "brightness"

        def images(self, given: list[Picture]) -> np.ndarray:
            import io

            from PIL import Image

            return np.array([[np.asarray(Image.open(io.BytesIO(each.data))).mean()] for each in given])

    encoder = load_timed_encoder("frames", Brightness())
    assert isinstance(encoder, ByPicture)
    video = films.video_of(np.stack([np.full((4, 4, 3), v, dtype=np.uint8) for v in (0, 100, 200)]), 4.0)
    [track] = encoder.tracks([video])
    assert track.points[:, 0].tolist() == [0.0, 100.0, 200.0]
    assert encoder.nothing().tolist() == [0.0]


def test_encoders_and_targets_say_what_they_take() -> None:
    sound, video = heard([]).sound, seen([]).frames
    assert isinstance(sound, Sound)
    assert isinstance(video, Video)
    with pytest.raises(UsageError, match="hears sounds"):
        LogMel().tracks([video])
    with pytest.raises(UsageError, match="sees videos"):
        FrameColours().tracks([sound])
    with pytest.raises(UnknownNameError, match="log-mel"):
        load_timed_encoder("sound", "frame-colours")
    with pytest.raises(UsageError, match="tracks"):
        load_timed_encoder("sound", object())
    with pytest.raises(UnknownNameError, match="in-time"):
        load_timed_target("tfidf", kind="sound")
