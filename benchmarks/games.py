"""Games that methods are judged on: planted ones, a sentence encoder's, the storyteller's, and a recorded table.

A game is anything with a name, a number of units and values of masks (`Played`); a table of masks and effects (`Table`)
is one for held-out R2 alone, since only its own masks can be asked for. Values of an encoder's or a storyteller's game
are kept under ``build/games``, so a second run asks for nothing.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whygen.models.planted.games import Game

SEED = 17
KEPT = Path("build") / "games"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SENTENCES = (
    "Paris is the capital of France and lies on the river Seine",
    "Write a short polite email to my boss asking for Friday off",
    "The movie was not good but the music never failed us once",
    "Make the sky purple and remove the red car from the street",
    "Explain to a small child why the moon seems to follow us",
    "List three cheap vegetarian dinners that two tired students can cook tonight",
    "The old lighthouse keeper counted ships until the fog swallowed them all",
    "Translate this contract into plain English and flag every unusual payment clause",
    "Never mix bleach with ammonia because the fumes can kill you quickly",
    "Compare electric cars and trains by cost comfort noise and carbon emissions",
    "My grandmother baked bread every Sunday before the village church bells rang",
    "Summarise the attached report in five bullet points for the finance team",
    "The patient denies chest pain but reports severe headaches since last week",
    "Book a quiet hotel near the station for two nights in May",
    "Describe the taste of ripe mango without using any word for sweet",
    "Our server crashed twice today because the disk was full of logs",
    "Suggest a funny name for a grumpy cat that hates rainy Mondays",
    "The judge ruled that the tenant must leave the flat by June",
    "Plants turn sunlight water and carbon dioxide into sugar and release oxygen",
    "He almost won the race but slipped on ice before the finish",
)
"""Twelve words each: all 4,096 masks of each are scored once, so Shapley values are exact."""


@dataclass(frozen=True)
class Played:
    """A game that can be asked for any mask; ``shapley`` is the truth, where it is known."""

    name: str
    n: int
    values: Callable[[Bools], Floats]
    shapley: Floats | None = None


@dataclass(frozen=True)
class Table:
    """Masks ``(m, n)`` that somebody asked a model for, and their effects."""

    name: str
    masks: Bools
    effects: Floats


def planted(family: str, n: int, number: int) -> Played:
    """A random game of a family, with its exact Shapley values."""
    game = Game(n, family, np.random.default_rng((SEED, n, number)))
    return Played(family, n, game.values, game.shapley())


def gpt35() -> Table:
    """The recorded run on GPT-3.5 that comes with the package: 64 masks of six words."""
    from whygen.evaluation.reproduce_gsmile import load_run

    run = load_run()
    return Table("GPT-3.5, recorded", run.masks, -run.output_distances)


@functools.cache
def encoded(number: int) -> Played:
    """The cosine of a sentence and what is left of it, by the packaged sentence encoder (MiniLM)."""
    words = SENTENCES[number].split()
    n = len(words)
    masks = np.array(list(itertools.product([False, True], repeat=n)), dtype=bool)
    place = KEPT / f"encoded-{number}.npy"
    if place.is_file():
        scores = np.load(place, allow_pickle=False)
    else:
        scores = _cosines([" ".join(itertools.compress(words, mask)) for mask in masks])
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, scores, allow_pickle=False)
    bits = 1 << np.arange(n - 1, -1, -1)

    def values(asked: Bools) -> Floats:
        return np.asarray(scores[np.atleast_2d(asked).astype(np.int64) @ bits])

    return Played("sentence encoder", n, values, exact_shapley(masks, scores, bits))


def _cosines(texts: list[str]) -> Floats:
    from whygen.encoders import load_text_encoder

    vectors = np.asarray(load_text_encoder("auto").sentences(texts), dtype=np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors[-1]


def exact_shapley(masks: Bools, scores: Floats, bits: NDArray[np.int64]) -> Floats:
    """Shapley values ``(n,)`` from the scores of all masks, by their definition."""
    n = masks.shape[1]
    weights = np.array([math.factorial(s) * math.factorial(n - 1 - s) / math.factorial(n) for s in range(n)])
    found = np.empty(n)
    for unit in range(n):
        without = masks[~masks[:, unit]]
        places = without.astype(np.int64) @ bits
        rise = scores[places + bits[unit]] - scores[places]
        found[unit] = float((weights[without.sum(axis=1)] * rise).sum())
    return found


@functools.cache
def told(number: int) -> Played:
    """What the storyteller tells of a prompt with words deleted: minus the token-set distance to its whole story."""
    from whygen.demo.storyteller import labelled_prompts
    from whygen.prompt.as_game import as_game
    from whygen.types import Settings

    item = labelled_prompts(number + 1, np.random.default_rng(SEED))[number]
    KEPT.mkdir(parents=True, exist_ok=True)
    game = as_game(
        "demo/storyteller", item.text, target="token-set", cache=KEPT / "told.sqlite", settings=Settings(max_tokens=120)
    )

    def values(masks: Bools) -> Floats:
        return np.asarray(game.value_function(np.atleast_2d(masks)), dtype=np.float64)

    return Played("storyteller", game.n_players, values)
