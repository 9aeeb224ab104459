"""What is to be scored, how much that is, and the untrained copy that scores a part of it beside the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.bank import Bank
from whygen.anchors.choosing import BANK, ChosenCriteria
from whygen.anchors.criteria import Way
from whygen.anchors.features import FeatureEncoder
from whygen.anchors.foils import foils_each
from whygen.anchors.loading import Loaded
from whygen.anchors.options import AnchorOptions
from whygen.anchors.recording import Arrays
from whygen.anchors.samples import Prepared
from whygen.anchors.scoring import DrawNoise, ModelAsked, checked, finite_samples
from whygen.anchors.ways import needs_bank, primary
from whygen.errors import DataError
from whygen.models.latent import Floats, Generator
from whygen.models.protocols import Denoises
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
    bank_size: int = BANK
    """Generated samples that anchors are compared with, where a criterion compares them."""

    @property
    def scored(self) -> int:
        """Anchors and reference samples."""
        return len(self.subject.anchors) + len(self.subject.reference or ())

    @property
    def base(self) -> Prepared:
        """What trivial reconstructions and foils are made of: the reference, or the anchors where there is none."""
        return self.subject.reference or self.subject.anchors

    @property
    def way(self) -> Way | None:
        """What is shown beside an anchor; None where nothing comes back."""
        return primary(self.chosen.criteria)

    @property
    def banked(self) -> bool:
        """Whether a criterion compares with generated samples."""
        return needs_bank(self.chosen.criteria)

    def asked(self, bank: Bank | None) -> ModelAsked:
        """Who is asked, with its bank."""
        return ModelAsked(self.subject.model, bank, self.seed)

    def wants(self, control: str) -> bool:
        """Whether a control is run; trivial reconstructions only where something comes back."""
        return control in self.plan.wanted_controls and (control != "trivial" or self.way is not None)

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

    @property
    def modes_size(self) -> int:
        """Generated samples whose labels are looked at where no bank is drawn: each costs a denoiser many calls."""
        return self.per_round if self.subject.model.denoiser is not None else min(self.bank_size, self.scored)

    def cost(self) -> int:
        """Samples that are scored in all."""
        bank = self.bank_size if self.banked and self.generates else 0
        total = self.scored + self.rounds * self.plan.per_round + bank
        if self.wants("untrained") and self.subject.model.untrained is not None:
            first, second = self.copied
            total += bank + len(first) + len(second) + (self.plan.per_round if self.rounds else 0)
        if self.wants("foils"):
            total += 3 * foils_each(self.scored)
        if self.wants("generated") and self.generates and self.kind != "mean-max":
            total += YARDSTICK_ROUNDS * self.per_round
        return total

    @property
    def generates(self) -> bool:
        """Whether more samples can be had of the model."""
        return "samples" in self.subject.model.abilities and self.subject.model.samples is None

    def drawn(self, start: int, n: int) -> Arrays:
        """Samples of the bank, and the latents that they were decoded from where a model only decodes."""
        model, rng = self.subject.model, generator(self.seed, "bank", start)
        like = replace(self.subject.anchors, what="generated sample")
        size, made, latents, anew = model.batch_size or like.batch_size, list[Floats](), list[Floats](), 0
        for at in range(0, n, size):
            few = min(size, n - at)
            if model.sampler is None and model.encode is None and model.latent_dim is not None:
                latents.append(rng.standard_normal((few, model.latent_dim), dtype=np.float32))
                some = model.decoded(latents[-1])
                if len(some) != few:
                    raise DataError(f"decode of {model.uri} gave {len(some)} samples of {few} latents.")
                made.append(checked(some, model, like, "sample", start + at))
            else:
                some, more = finite_samples(model, like, few, rng, start + at)
                made.append(some)
                anew += more
        kept = {"latents": np.concatenate(latents)} if latents else {}
        return {"samples": np.concatenate(made), "anew": np.array([anew]), **kept}

    def of_copy(self, model: Generator) -> Work:
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
        generated: samples that it generates to be compared with.
    """

    samples: int
    recorded: int
    encoded: int
    decoded: int
    generated: int = 0


def new_weights(model: Generator, seed: int) -> Generator:
    """The model with new random weights, which are made when they are first asked for."""
    make = model.untrained
    assert make is not None  # noqa: S101 - the caller looked

    copy = _Copy(cache(lambda: replace(make(seed), latent_dim=model.latent_dim)))
    later: dict[str, Any] = {
        "encode": copy.encode, "decode": copy.decode, "sampler": copy.sample, "log_prob": copy.log_prob,
        "invert": copy.invert, "denoiser": copy,
    }  # fmt: skip
    kept = {name: each for name, each in later.items() if name == "sampler" or getattr(model, name) is not None}
    if "samples" not in model.abilities:
        del kept["sampler"]
    return replace(model, **kept, untrained=None)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Copy:
    """A model that is made when it is first asked; it can what the model can whose copy it is."""

    made: Callable[[], Generator]

    def encode(self, samples: Floats) -> tuple[Floats, Floats]:
        return self.made().encoded(samples)

    def decode(self, latents: Floats) -> Floats:
        return self.made().decoded(latents)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        return self.made().sample(n, rng)

    def log_prob(self, samples: Floats) -> NDArray[np.floating[Any]]:
        return _present(self.made().log_prob)(samples)

    def invert(self, samples: Floats, rng: np.random.Generator) -> Floats:
        return _present(self.made().invert)(samples, rng)

    @property
    def levels(self) -> Sequence[float]:
        return self._denoiser.levels

    def loss(self, samples: Floats, level: float, noise: Floats, **more: Any) -> NDArray[np.floating[Any]]:
        return self._denoiser.loss(samples, level, noise, **more)

    def redenoise(self, samples: Floats, level: float, noise: Floats, **more: Any) -> Floats:
        return self._denoiser.redenoise(samples, level, noise, **more)

    def round_trip(self, samples: Floats, **more: Any) -> Floats:
        return self._denoiser.round_trip(samples, **more)

    @property
    def _denoiser(self) -> Denoises:
        return _present(self.made().denoiser)


def _present(thing: T | None) -> T:
    assert thing is not None  # noqa: S101 - the copy can what the model can
    return thing
