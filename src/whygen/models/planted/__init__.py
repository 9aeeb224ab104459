"""``planted/NAME``: models with a known cause for every output; the fakes of all tests.

``texts`` holds generators whose answer follows from the words of the prompt by a stated rule, and doubles for faults
(silent, refusing, failing ...). ``games`` holds set functions with known Banzhaf and Shapley values. ``media`` holds
generators of sounds and videos. ``agent`` calls tools by the orders that it finds in a chat.
"""

from __future__ import annotations

from collections.abc import Sequence

from whygen.errors import UnknownNameError
from whygen.models.planted import texts
from whygen.models.planted.agent import NOISE, PlantedAgent
from whygen.models.planted.games import FAMILIES as FAMILIES
from whygen.models.planted.games import Game as Game
from whygen.models.planted.media import MEDIA as MEDIA
from whygen.models.planted.media import PlantedMedia as PlantedMedia
from whygen.models.planted.texts import MODELS as MODELS
from whygen.models.planted.texts import PlantedModel as PlantedModel
from whygen.models.planted.texts import WeighedWords as WeighedWords
from whygen.models.protocols import ModelOptions, Provider

__all__ = [
    "FAMILIES", "MODELS", "Game", "PlantedAgent", "PlantedModel", "WeighedWords", "causes", "provider",
]  # fmt: skip


def causes(name: str, words: Sequence[str]) -> tuple[bool, ...]:
    """For each word of a prompt, whether the model of that name can react to it at all."""
    if name in MEDIA:
        return tuple(word.lower() in MEDIA[name].words for word in words)
    return texts.causes(name, words)


def open_planted(name: str, options: ModelOptions) -> PlantedModel | PlantedMedia | PlantedAgent:
    """The planted model of that name.

    Raises:
        UnknownNameError: if there is none.
    """
    if name in MEDIA:
        return PlantedMedia(name, batch=options.batch_size or 32)
    if name in NOISE:
        return PlantedAgent(name, batch=options.batch_size or 32)
    if name not in MODELS:
        raise UnknownNameError("planted model", name, [*MODELS, *MEDIA, *NOISE])
    return PlantedModel(name, batch=options.batch_size or 32)


def provider() -> Provider:
    """``planted/``."""
    return Provider(
        name="planted",
        summary="generators with a known cause for every output",
        open=open_planted,
        names=lambda: tuple(sorted([*MODELS, *MEDIA, *NOISE])),
    )
