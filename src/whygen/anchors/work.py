"""What is to be scored, how much that is, and the untrained copy that scores a part of it beside the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.criteria import ChosenCriteria, FeatureEncoder
from whygen.anchors.foils import foils_each
from whygen.anchors.loading import Loaded
from whygen.anchors.options import AnchorOptions
from whygen.anchors.samples import Prepared
from whygen.anchors.scoring import DrawNoise
from whygen.models.latent import Floats, LatentModel
from whygen.stats.seeds import generator

MOST_ROWS = 500
"""The untrained copy scores at most so many anchors, and as many reference samples."""
MOST_DRAWS = 4
"""Its criteria are averaged over at most so many posterior draws: they need not be as steady as the model's own."""
YARDSTICK_ROUNDS = 2
YARDSTICK_SAMPLES = (64, 500)
"""Generated samples of a round of the other calibration: an eighth of the samples scored, within these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be scored."""

    subject: Loaded
    plan: AnchorOptions
    chosen: ChosenCriteria
    kind: str
    """Of calibration."""
    role: str
    noise: DrawNoise
    seed: int
    encoder: FeatureEncoder | None
    classifier: Callable[[Floats], Any] | None = None
    trained: Sequence[Hashable] | None = None
    preset: str | None = None
    run_name: str | None = None
    """What a person calls the run, so that what cannot be identified is recorded under that name."""

    @property
    def scored(self) -> int:
        """Anchors and reference samples."""
        return len(self.subject.anchors) + len(self.subject.reference or ())

    @property
    def base(self) -> Prepared:
        """What trivial reconstructions and foils are made of: the reference, or the anchors where there is none."""
        return self.subject.reference or self.subject.anchors

    def wants(self, control: str) -> bool:
        return control in self.plan.wanted_controls

    @property
    def copied(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which anchors and which reference samples the untrained copy scores."""
        rng, reference = generator(self.seed, "untrained"), np.arange(len(self.subject.reference or ()), dtype=np.int64)
        first, second = (np.sort(rng.permutation(part)[:MOST_ROWS]) for part in (self.subject.distinct, reference))
        return first, second

    @property
    def rounds(self) -> int:
        """Rounds of generated samples that the calibration rests on; with a reference only mean-max needs any."""
        if self.kind == "mean-max":
            return self.plan.rounds
        return 1 if self.subject.reference is None else 0

    @property
    def per_round(self) -> int:
        """Generated samples of a round of the other calibration."""
        lowest, highest = YARDSTICK_SAMPLES
        return min(max(self.scored // 8, lowest), highest)

    def cost(self) -> int:
        """Samples that are scored in all."""
        total = self.scored + self.rounds * self.plan.per_round
        if self.wants("untrained") and self.subject.model.untrained is not None:
            first, second = self.copied
            total += len(first) + len(second) + (self.plan.per_round if self.rounds else 0)
        if self.wants("foils"):
            total += 3 * foils_each(self.scored)
        if self.wants("generated") and self.kind != "mean-max":
            total += YARDSTICK_ROUNDS * self.per_round
        return total

    def of_copy(self, model: LatentModel) -> Work:
        """The same work for an untrained copy: a part of the anchors, and of the reference."""
        rows, known = self.copied
        subject = replace(
            self.subject, model=model, anchors=self.subject.anchors.only(rows),
            reference=None if self.subject.reference is None else self.subject.reference.only(known),
        )  # fmt: skip
        noise = replace(self.noise, draws=min(self.noise.draws, MOST_DRAWS))
        plan = replace(self.plan, rounds=1, controls="trivial" if self.wants("trivial") else "none")
        return replace(self, subject=subject, noise=noise, plan=plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorForecast:
    """What would be scored.

    Attributes:
        samples: anchors, reference, generated ones and controls.
        recorded: how many of these need not be scored again.
        encoded: samples that the model encodes.
        decoded: latents that it decodes, at most: one for each posterior draw of a sample, and for its mean.
    """

    samples: int
    recorded: int
    encoded: int
    decoded: int


def new_weights(model: LatentModel, seed: int) -> LatentModel:
    """The model with new random weights, which are made when they are first asked for."""
    make = model.untrained
    assert make is not None  # noqa: S101 - the caller looked

    @cache
    def made() -> LatentModel:
        return replace(make(seed), latent_dim=model.latent_dim)

    def encode(samples: Floats) -> tuple[Floats, Floats]:
        return made().encode(samples)

    def decode(latents: Floats) -> Floats:
        return made().decode(latents)

    def sample(n: int, rng: np.random.Generator) -> Floats:
        return made().sample(n, rng)

    return replace(model, encode=encode, decode=decode, sampler=sample, untrained=None)
