"""``noise``: the text stays, and the model's own embeddings of the dropped units get Gaussian noise. Local models."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whygen.errors import UsageError
from whygen.models import AddsNoise
from whygen.prompt.operators.base import Mask, Operator, Tools, not_ready
from whygen.prompt.units import Units
from whygen.stats.seeds import generator
from whygen.types import Request, Settings

SCALE = 4.0
"""Length of the noise in average embeddings: at 1 a model of many dimensions still reads the word."""


@dataclass(frozen=True)
class EmbeddingNoise(Operator):
    """Add noise to the embeddings of every token that shares a character with a dropped unit.

    A token's noise is the same under every mask, so that what is attributed is a game: the unit, or its noisy self.

    Attributes:
        scale: how long the noise is on average, in mean norms of the model's input embeddings.
        seed: of the noise; None until `prepare` has drawn it.
    """

    scale: float = SCALE
    seed: int | None = None
    name: str = "noise"
    by_settings: bool = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise UsageError(f"noise={self.scale!r}: give a scale above 0, such as {SCALE:g} average embeddings.")

    def prepare(self, units: Units, tools: Tools) -> Operator:
        """Check that the model can add the noise, and draw the seed.

        Raises:
            UsageError: if it cannot. `DataError`: if it cannot find the tokens of this prompt.
        """
        model = tools.model
        if not isinstance(model, AddsNoise):
            which = "No model was given" if model is None else f"{model.uri} does not let its embeddings be changed"
            raise UsageError(
                f"operator={self.name!r} adds noise inside the model. {which}: use a local one (hf/ORG/NAME, hf/PATH, "
                "demo/storyteller), or operator='delete'."
            )
        if not isinstance(units.prompt, str):
            raise UsageError(f"operator={self.name!r} needs a plain text, and this is a chat. Use operator='delete'.")
        ready = replace(self, seed=int(generator(tools.seed, "noise").integers(2**31)))
        nothing = np.zeros(len(units), dtype=bool)
        model.noisy_tokens(Request(prompt=units.prompt, settings=ready.settings(units, nothing, Settings())))
        return ready

    def parts(self, units: Units, mask: Mask) -> list[str]:
        del mask
        if self.seed is None:
            raise not_ready(self.name)
        return [units.text_at(piece) for piece in units.pieces]

    def settings(self, units: Units, mask: Mask, settings: Settings) -> Settings:
        if self.seed is None:
            raise not_ready(self.name)
        if mask.all():
            return settings
        spans = [list(span) for span, kept in zip(units.spans, mask.tolist(), strict=True) if not kept]
        noise = {"spans": spans, "scale": self.scale, "seed": self.seed}
        return replace(settings, extra={**settings.extra, "embedding_noise": noise})
