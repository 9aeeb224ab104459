"""Plug-ins in another package: one for each door of whygen.

``shout/NAME`` answers in capitals, `whygen shout` prints them, the target ``loudness`` counts them, the operator
``hush`` puts as many dots in place of a unit, the encoder ``letters`` counts the letters of a text, and the criterion
``brightness`` says how much darker or lighter a sample comes back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from whygen.anchors.criteria import Batch, Criterion, Scorer
from whygen.models import ModelOptions, Provider, load_model


def open_shout(name: str, options: ModelOptions) -> object:
    """Any name will do."""
    del name, options
    return load_model(lambda prompt: prompt.upper())


def provider() -> Provider:
    """``shout/``."""
    return Provider(name="shout", summary="answers in capitals", open=open_shout)


def no_provider() -> str:
    """A mistake: not a provider."""
    return "shout"


def moody() -> Provider:
    """A mistake: it ends the program when it is to open something, and when it is to list what it knows."""

    def leave(*given: object) -> str:
        raise SystemExit("not in the mood")

    return Provider(name="moody", summary="opens nothing", open=leave, names=leave)


def shout(text: str) -> None:
    """Print a text in capitals."""
    sys.stdout.write(text.upper() + "\n")


def loudness(text: str) -> float:
    """A target by a score: the share of capitals."""
    return sum(letter.isupper() for letter in text) / max(1, len(text))


def hush(text: str) -> str:
    """An operator by a function: what stands in place of a unit."""
    return "." * len(text)


class Letters:
    """An encoder of texts: the share of each letter from a to z, and one for all other characters."""

    name = "letters"

    def sentences(self, texts: Sequence[str]) -> np.ndarray:
        """One vector of length one for each text, shape ``(n, 27)``."""
        counts = np.array([[1.0, *(text.casefold().count(chr(97 + k)) for k in range(26))] for text in texts])
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    def tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """One point for each word; one for a text without any."""
        return [self.sentences(text.split() or [""]) for text in texts]


def _begin(batch: Batch) -> Scorer:
    light = batch.samples.mean(axis=tuple(range(1, batch.samples.ndim)))

    def score(reconstructions: np.ndarray) -> np.ndarray:
        return np.abs(reconstructions.mean(axis=tuple(range(1, reconstructions.ndim))) - light)

    return score


BRIGHTNESS = Criterion("brightness", "extrinsic", "difference of mean values", _begin)
