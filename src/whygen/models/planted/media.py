"""Generators of sounds and of videos with a known cause, and doubles for faults.

A tone driven by words: which word makes it higher, faster, louder or a bell is known; and a moving shape: which word
colours it, moves it or makes it blink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.media.films import Frames, video_of
from whygen.media.sounds import sound_of
from whygen.models.planted.texts import words_of
from whygen.types import Failure, JsonValue, Limits, Output, Request, Settings, Sound, Video

SYNTH_RATE = 8_000
SYNTH_SECONDS = 2.0
SYNTH_ATTACK = 0.01

PITCH = {"high": 2.0, "low": 0.5}
"""What a word does to the tone's 440 Hz."""
BEAT = {"fast": 0.5, "slow": 2.0}
"""What a word does to the quarter of a second between two strokes."""
LOUDNESS = {"loud": 2.5, "quiet": 0.25}
"""What a word does to the amplitude of 0.25."""
TIMBRE = {"drum", "bell", "organ"}
ONCE = {"whistle": 0.0, "siren": 1.5}
"""Words that sound once, for half a second, from this second on."""
SPLIT = "then"
"""Words after it are for the second half, words before it for the first."""

SYNTH_WORDS = frozenset(PITCH) | frozenset(BEAT) | frozenset(LOUDNESS) | TIMBRE | frozenset(ONCE) | {SPLIT}
"""Everything the synthesiser listens to."""

Wave = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voice:
    """How a stretch of time sounds: pitch in Hz, seconds between strokes, amplitude, and a timbre for each stroke."""

    pitch: float
    beat: float
    loudness: float
    timbres: tuple[str, ...]


def voice(words: Sequence[str]) -> Voice:
    """The voice that these words ask for; a word counts once, and opposites cancel."""
    said = set(words)
    return Voice(
        pitch=440.0 * _product(PITCH, said),
        beat=0.25 * _product(BEAT, said),
        loudness=min(1.0, 0.25 * _product(LOUDNESS, said)),
        timbres=tuple(sorted(TIMBRE & said)) or ("tone",),
    )


def _product(factors: dict[str, float], said: set[str]) -> float:
    return float(np.prod([factor for word, factor in factors.items() if word in said]))


def synth(words: Sequence[str], request: Request) -> Sound:
    """Two seconds of strokes, as the words say."""
    del request
    return sound_of(wave(words).astype(np.float32), SYNTH_RATE)


def noisy_synth(words: Sequence[str], request: Request) -> Sound:
    """The same with a hiss and a loudness that differ with every draw."""
    rng = np.random.default_rng(request.sampling_seed)
    played = wave(words) * rng.uniform(0.8, 1.0)
    return sound_of(
        (0.95 * played + 0.01 * rng.standard_normal(len(played))).clip(-1, 1).astype(np.float32), SYNTH_RATE
    )


def wave(words: Sequence[str]) -> Wave:
    """What is heard, shape ``(16000,)``, between -1 and 1."""
    lower = [word.lower() for word in words]
    if SPLIT in lower:
        place = lower.index(SPLIT)
        halves = [_strokes(voice(part), SYNTH_SECONDS / 2) for part in (lower[:place], lower[place + 1 :])]
    else:
        halves = [_strokes(voice(lower), SYNTH_SECONDS)]
    heard = np.concatenate(halves)
    for word, start in ONCE.items():
        if word in lower:
            first = round(start * SYNTH_RATE)
            heard[first : first + SYNTH_RATE // 2] += _sweep(rising=word == "whistle")
    return heard.clip(-1.0, 1.0)


def _strokes(how: Voice, seconds: float) -> Wave:
    heard = np.zeros(round(seconds * SYNTH_RATE))
    stroke = np.mean([_timbre(each, how) for each in how.timbres], axis=0)
    for start in np.arange(0.0, seconds, how.beat):
        first = round(float(start) * SYNTH_RATE)
        length = min(len(stroke), len(heard) - first)
        heard[first : first + length] += stroke[:length]
    return how.loudness * heard


def _timbre(name: str, how: Voice) -> Wave:
    """One stroke, as long as the time to the next one, between -1 and 1."""
    t = np.arange(round(how.beat * SYNTH_RATE)) / SYNTH_RATE
    attack = np.minimum(1.0, t / SYNTH_ATTACK)
    if name == "drum":
        hiss = np.random.default_rng(7).uniform(-1.0, 1.0, size=len(t))
        return attack * np.exp(-t / 0.04) * hiss
    if name == "bell":
        partials = [(1.0, 0.5), (2.76, 0.3), (5.40, 0.2)]
        return attack * np.exp(-t / 0.3) * sum(share * _sine(how.pitch * ratio, t) for ratio, share in partials)
    if name == "organ":
        return attack * sum(_sine(how.pitch * (2 * k + 1), t) / (2 * k + 1) for k in range(3)) / 1.6
    return attack * np.exp(-t / 0.12) * _sine(how.pitch, t)


def _sine(pitch: float, t: Wave) -> Wave:
    """Nothing above half the rate, which could not be heard as what it is."""
    return np.sin(2 * np.pi * pitch * t) if pitch < SYNTH_RATE / 2 else np.zeros_like(t)


def _sweep(*, rising: bool) -> Wave:
    t = np.arange(SYNTH_RATE // 2) / SYNTH_RATE
    pitch = np.linspace(1200, 2400, len(t)) if rising else np.linspace(2800, 700, len(t))
    swell = np.sin(np.pi * t / t[-1])
    return 0.4 * swell * np.sin(2 * np.pi * np.cumsum(pitch) / SYNTH_RATE)


FILM_SIDE = 48
FILM_FRAMES = 16
FILM_RATE = 8.0
FILM_HALF = 7
"""Half the width of the shape, in pixels."""

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 70), "blue": (50, 80, 230), "yellow": (240, 210, 40)}
PLAIN = (120, 120, 120)
SHAPES = {"circle", "diamond"}
MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
SPEED = {"quickly": 2.0, "slowly": 0.5}
"""What a word does to the one pixel a frame."""
BACKGROUNDS = {"night": (25, 25, 60), "desert": (235, 205, 150)}
DAY = (245, 245, 245)
BLINKS, FLASHES = "blinking", "flash"
"""The shape is gone in every second frame; the last four frames are white."""

FILM_WORDS = (
    frozenset(COLOURS) | SHAPES | frozenset(MOVES) | frozenset(SPEED) | frozenset(BACKGROUNDS) | {BLINKS, FLASHES}
)
"""Everything the generator reads."""


def film(words: Sequence[str], request: Request) -> Video:
    """Two seconds of a shape on a ground, as the words say."""
    del request
    return video_of(draw(words), FILM_RATE)


def noisy_film(words: Sequence[str], request: Request) -> Video:
    """The same with a brightness and a grain that differ with every draw."""
    rng = np.random.default_rng(request.sampling_seed)
    shown = draw(words) * rng.uniform(0.85, 1.0) + rng.normal(scale=6.0, size=(FILM_FRAMES, FILM_SIDE, FILM_SIDE, 1))
    return video_of(np.round(shown.clip(0, 255)).astype(np.uint8), FILM_RATE)


def draw(words: Sequence[str]) -> Frames:
    """The frames, shape ``(16, 48, 48, 3)``; of two words of one kind the first counts, but moves add up."""
    said = [word.lower() for word in words]
    ground = next((BACKGROUNDS[word] for word in said if word in BACKGROUNDS), DAY)
    colour = next((COLOURS[word] for word in said if word in COLOURS), PLAIN)
    shape = next((word for word in said if word in SHAPES), "square")
    frames = np.empty((FILM_FRAMES, FILM_SIDE, FILM_SIDE, 3), dtype=np.uint8)
    frames[:] = ground
    for place, centre in enumerate(_path(said)):
        if BLINKS not in said or place % 2 == 0:
            frames[place][_inside(shape, centre)] = colour
    if FLASHES in said:
        frames[-4:] = 255
    return frames


def _path(said: Sequence[str]) -> NDArray[np.float64]:
    """Row and column of the shape's middle in each frame, shape ``(16, 2)``; the sides of the picture meet."""
    step = sum((np.array(MOVES[word], dtype=np.float64) for word in MOVES if word in said), np.zeros(2))
    speed = float(np.prod([factor for word, factor in SPEED.items() if word in said]))
    return (FILM_SIDE / 2 + np.arange(FILM_FRAMES)[:, None] * step * speed) % FILM_SIDE


def _inside(shape: str, centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:FILM_SIDE, :FILM_SIDE]
    down = (rows - centre[0] + FILM_SIDE / 2) % FILM_SIDE - FILM_SIDE / 2
    across = (columns - centre[1] + FILM_SIDE / 2) % FILM_SIDE - FILM_SIDE / 2
    if shape == "circle":
        return down**2 + across**2 <= FILM_HALF**2
    if shape == "diamond":
        return np.abs(down) + np.abs(across) <= FILM_HALF
    return (np.abs(down) <= FILM_HALF) & (np.abs(across) <= FILM_HALF)


Kind: TypeAlias = Literal["sound", "frames"]
Rule: TypeAlias = Callable[[Sequence[str], Request], "Sound | Video"]


@dataclass(frozen=True, slots=True)
class PlantedPainter:
    """A rule, what it makes, and the words it can react to."""

    rule: Rule
    kind: Kind
    words: frozenset[str]


def _mute(words: Sequence[str], request: Request) -> Sound:
    """Two seconds of silence to everything."""
    del words, request
    return sound_of(np.zeros(round(SYNTH_SECONDS * SYNTH_RATE), dtype=np.float32), SYNTH_RATE)


def _dark(words: Sequence[str], request: Request) -> Video:
    """Black frames to everything."""
    del words, request
    return video_of(np.zeros((FILM_FRAMES, FILM_SIDE, FILM_SIDE, 3), dtype=np.uint8), FILM_RATE)


MEDIA: Mapping[str, PlantedPainter] = {
    "synth": PlantedPainter(synth, "sound", SYNTH_WORDS),
    "synth-noisy": PlantedPainter(noisy_synth, "sound", SYNTH_WORDS),
    "mute": PlantedPainter(_mute, "sound", frozenset()),
    "film": PlantedPainter(film, "frames", FILM_WORDS),
    "film-noisy": PlantedPainter(noisy_film, "frames", FILM_WORDS),
    "dark": PlantedPainter(_dark, "frames", frozenset()),
}


class PlantedMedia:
    """A rule over the words of the prompt as a model that answers with sounds or frames."""

    def __init__(self, name: str, *, batch: int = 32) -> None:
        self._name, self._made, self._batch = name, MEDIA[name], batch

    @property
    def uri(self) -> str:
        return f"planted/{self._name}"

    def answers_alike(self, settings: Settings) -> bool:
        """A rule gives equal answers at any temperature, unless it throws dice."""
        del settings
        return not self._name.endswith("-noisy")

    @property
    def limits(self) -> Limits:
        return Limits(max_batch=self._batch)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        return {"uri": self.uri, "rule": 1}

    @property
    def output_kind(self) -> Kind:
        return self._made.kind

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Output:
        words = words_of(request)
        made = self._made.rule(words, request)
        if isinstance(made, Sound):
            return Output(sound=made, tokens_in=len(words))
        return Output(frames=made, tokens_in=len(words))
