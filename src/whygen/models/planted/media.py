"""Generators of sounds and of videos with a known cause, and doubles for faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from whygen.media.films import video_of
from whygen.media.sounds import sound_of
from whygen.models.planted.film import COUNT, SIDE, film, noisy_film
from whygen.models.planted.film import RATE as FILM_RATE
from whygen.models.planted.film import WORDS as FILM_WORDS
from whygen.models.planted.synth import RATE, SECONDS, noisy_synth, synth
from whygen.models.planted.synth import WORDS as SYNTH_WORDS
from whygen.models.planted.texts import words_of
from whygen.types import Failure, JsonValue, Limits, Output, Request, Settings, Sound, Video

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
    return sound_of(np.zeros(round(SECONDS * RATE), dtype=np.float32), RATE)


def _dark(words: Sequence[str], request: Request) -> Video:
    """Black frames to everything."""
    del words, request
    return video_of(np.zeros((COUNT, SIDE, SIDE, 3), dtype=np.uint8), FILM_RATE)


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
