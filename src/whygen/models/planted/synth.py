"""A tone generator driven by words: which word makes it higher, faster, louder or a bell is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.media.sounds import sound_of
from whygen.types import Request, Sound

RATE = 8_000
SECONDS = 2.0
ATTACK = 0.01

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

WORDS = frozenset(PITCH) | frozenset(BEAT) | frozenset(LOUDNESS) | TIMBRE | frozenset(ONCE) | {SPLIT}
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
    return sound_of(wave(words).astype(np.float32), RATE)


def noisy_synth(words: Sequence[str], request: Request) -> Sound:
    """The same with a hiss and a loudness that differ with every draw."""
    rng = np.random.default_rng(request.sampling_seed)
    played = wave(words) * rng.uniform(0.8, 1.0)
    return sound_of((0.95 * played + 0.01 * rng.standard_normal(len(played))).clip(-1, 1).astype(np.float32), RATE)


def wave(words: Sequence[str]) -> Wave:
    """What is heard, shape ``(16000,)``, between -1 and 1."""
    lower = [word.lower() for word in words]
    if SPLIT in lower:
        place = lower.index(SPLIT)
        halves = [_strokes(voice(part), SECONDS / 2) for part in (lower[:place], lower[place + 1 :])]
    else:
        halves = [_strokes(voice(lower), SECONDS)]
    heard = np.concatenate(halves)
    for word, start in ONCE.items():
        if word in lower:
            first = round(start * RATE)
            heard[first : first + RATE // 2] += _sweep(rising=word == "whistle")
    return heard.clip(-1.0, 1.0)


def _strokes(how: Voice, seconds: float) -> Wave:
    heard = np.zeros(round(seconds * RATE))
    stroke = np.mean([_timbre(each, how) for each in how.timbres], axis=0)
    for start in np.arange(0.0, seconds, how.beat):
        first = round(float(start) * RATE)
        length = min(len(stroke), len(heard) - first)
        heard[first : first + length] += stroke[:length]
    return how.loudness * heard


def _timbre(name: str, how: Voice) -> Wave:
    """One stroke, as long as the time to the next one, between -1 and 1."""
    t = np.arange(round(how.beat * RATE)) / RATE
    attack = np.minimum(1.0, t / ATTACK)
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
    return np.sin(2 * np.pi * pitch * t) if pitch < RATE / 2 else np.zeros_like(t)


def _sweep(*, rising: bool) -> Wave:
    t = np.arange(RATE // 2) / RATE
    pitch = np.linspace(1200, 2400, len(t)) if rising else np.linspace(2800, 700, len(t))
    swell = np.sin(np.pi * t / t[-1])
    return 0.4 * swell * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
