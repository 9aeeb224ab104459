"""Games for judging methods: planted ones, sentence encoders, the storyteller, and a recorded run of GPT-3.5.

A played game (`Played`) can be asked for any mask and knows its Shapley values. Those of an encoder and of the
storyteller are tables of all masks of a short prompt: every mask is asked once and kept in a folder, so that any number
of calls and seeds costs nothing more. A recorded run (`Table`) has its own masks only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whygen import lab

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

KEPT = Path("build/games")
"""Where tables of games are kept; nothing else needs them."""

SEED = 17
FRESH = 43
"""Seed of planted games on which nothing was chosen: not the default, not its constants."""

STORIES = 20
STORY_UNITS = (11, 12)
"""Fewest and most units of a storyteller's prompt."""

SENTENCES = (
    "Paris is the capital of France and lies on the river Seine",
    "Write a polite email to my boss asking for Friday off please",
    "The movie was not good but the music never failed us once",
    "Make the sky purple and remove the red car from the street",
    "Explain to a child why the moon follows our car at night",
    "The patient has a fever and was given antibiotics two days ago",
    "Translate this letter into French but keep all of the names unchanged",
    "My flight was cancelled and nobody at the desk would help me",
    "Never share your password with anyone who calls you on the phone",
    "Summarise the report in three short sentences for a busy tired manager",
    "The old bridge over the river was closed after the winter flood",
    "Which of these two cheap phones takes the better pictures at night",
    "Our team lost the final although we scored first and played well",
    "Bake the bread for forty minutes until the crust is golden brown",
    "The court ruled that the contract was void and ordered a refund",
    "Please do not feed the ducks because bread makes them very ill",
    "A small dog chased two fat cats around the tall apple tree",
    "Sales fell by ten percent while profits rose because prices went up",
    "Find the error in this loop that reads past the last element",
    "She plays the violin beautifully yet has never taken a single lesson",
)
"""Twelve words each; the first four after games on which estimators were compared before this package was written."""


@dataclass(frozen=True)
class Played:
    """A game that can be asked for any mask; ``number`` tells games of one name apart."""

    name: str
    number: int
    n: int
    values: Callable[[Bools], Floats]
    shapley: Floats


@dataclass(frozen=True)
class Table:
    """Masks ``(m, n)`` that somebody asked a model for, and their effects."""

    name: str
    masks: Bools
    effects: Floats


def planted(family: str, n: int, number: int) -> Played:
    """A random game of a family, whose Shapley values are known."""
    game = lab.Game(n, family, np.random.default_rng((FRESH, n, number)))
    return Played(family, number, n, game.values, game.shapley())


def tabulated(name: str, number: int, effects: Floats) -> Played:
    """A game of which every mask is known, ``(2^n,)`` in the order of `lab.enumerated`."""
    masks = lab.enumerated(int(np.log2(len(effects)))).masks
    n = masks.shape[1]
    place = np.empty(len(effects), dtype=np.int64)
    place[masks @ (1 << np.arange(n))] = np.arange(len(effects))
    values = lab.contrasts(masks, estimand="shapley").T @ effects
    return Played(name, number, n, lambda asked: effects[place[asked @ (1 << np.arange(n))]], values)


@cache
def encoder_games(count: int = len(SENTENCES)) -> list[Played]:
    """Cosine of the whole sentence and of the words that are kept, in the space of the packaged encoder: the first."""
    from whygen.encoders import load_text_encoder

    def ask(sentence: str) -> Floats:
        words = sentence.split()
        masks = lab.enumerated(len(words)).masks
        texts = [" ".join(word for word, kept in zip(words, mask, strict=True) if kept) for mask in masks]
        vectors = load_text_encoder().sentences(texts).astype(np.float64)
        return vectors @ vectors[texts.index(sentence)]

    return [tabulated("encoder", i, _kept(f"encoder-{i}", ask, text)) for i, text in enumerate(SENTENCES[:count])]


@cache
def story_games(count: int = STORIES) -> list[Played]:
    """The default effect of the first short prompts on the storyteller: how near the story stays by exact transport."""
    from training.storyteller.labelled import labelled_prompts

    from whygen.prompt.as_game import as_game

    def ask(text: str) -> Floats:
        with as_game("demo/storyteller", text, cache=None) as game:
            return np.asarray(game.value_function(lab.enumerated(game.n_players).masks), dtype=np.float64)

    fewest, most = STORY_UNITS
    prompts = labelled_prompts(STORIES, np.random.default_rng(SEED), min_units=fewest, max_units=most)
    return [tabulated("storyteller", i, _kept(f"story-{i}", ask, item.text)) for i, item in enumerate(prompts[:count])]


def recorded() -> Table:
    """The published run on GPT-3.5 that comes with the package: minus the word mover's distance of each answer."""
    from whygen_experiments.gsmile_life import load_run

    run = load_run()
    return Table("GPT-3.5", run.masks, -run.output_distances)


def _kept(name: str, ask: Callable[[str], Floats], text: str) -> Floats:
    """The effects of a text, asked for once."""
    path = KEPT / f"{name}.npz"
    if path.is_file():
        with np.load(path) as found:
            if str(found["text"]) == text:
                return found["effects"]
    effects = ask(text)
    KEPT.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, text=text, effects=effects)
    return effects


def ask_all(names: Sequence[str] = ("encoder", "storyteller")) -> None:
    """Ask for every mask of every game once; can be broken off and taken up again."""
    if "encoder" in names:
        encoder_games()
    if "storyteller" in names:
        story_games()


if __name__ == "__main__":
    ask_all()
