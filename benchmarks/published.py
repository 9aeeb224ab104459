"""The published gSMILE procedure on a model of our own: what several studies share.

The published distance needs the GoogleNews vectors (3.6 GB). Here the word vectors are the input embeddings of the
packaged encoder, one for each word of its vocabulary; everything else is the preset's. Words are looked up in lower
case and without the punctuation around them, since that vocabulary has no others: kinder than the published look-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import whygen
from whygen.encoders import TextEncoder
from whygen.encoders.word_vectors import WordVectors
from whygen.lab import Design, gsmile
from whygen.models import Model
from whygen.results.prompt import PromptExplanation

BUDGET = 75
"""64 masks, the reference, its repeats, and the redraws that a stochastic model gets."""


def word_vectors(encoder: Any) -> TextEncoder:
    words, vectors = encoder.vocabulary(), encoder.word_vectors()
    places = {word: place for place, word in enumerate(words)}
    return WordVectors(f"{encoder.name}, words", places, row=lambda place: vectors[place], dimensions=vectors.shape[1])


def explain(model: Model, text: str, encoder: TextEncoder, **choices: Any) -> PromptExplanation:
    """The preset ``gsmile``: its 64 masks are the same for every seed, as published."""
    return whygen.explain_prompt(model, text, preset="gsmile", budget=BUDGET, encoder=encoder, **choices)


def explain_with_own_masks(
    model: Model, text: str, encoder: TextEncoder, seed: int, **choices: Any
) -> PromptExplanation:
    """The preset, its masks drawn by the given seed instead of the published one."""
    drawn = gsmile.draw_masks(text.split(), seed=seed)
    prompts = tuple(" ".join(drawn.words(text.split(), row)) for row in range(len(drawn.masks)))
    design = Design(name="gSMILE, another seed", masks=drawn.masks, groups=np.arange(len(drawn.masks)), prompts=prompts)
    return explain(model, text, encoder=encoder, design=design, seed=seed, **choices)
