"""What a model gives back for a sample: the way that suits it, where nobody says which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whygen.anchors.bank import nearest_way
from whygen.anchors.criteria import RECONSTRUCTION, Criterion, Way
from whygen.anchors.denoising import REDENOISE
from whygen.anchors.features import FeatureEncoder
from whygen.errors import UsageError
from whygen.models.latent import Ability, Generator

CANNOT: dict[Ability, str] = {
    "posterior": "encode samples",
    "reconstruction": "encode and decode samples",
    "samples": "generate samples",
    "latents": "decode latents that are looked for",
    "density": "tell the density of a sample",
    "denoiser": "take noise out of samples",
}
"""Abilities in words."""


def own_way(model: Generator, encoder: FeatureEncoder | None = None) -> Way | None:
    """The first that the model can: its reconstruction, the sample that it took noise out of again, or the nearest
    that it generated; None: nothing.
    """
    for way in (RECONSTRUCTION, REDENOISE, nearest_way(encoder)):
        if way.needs in model.abilities:
            return way
    return None


def settled(
    criteria: Sequence[Criterion], model: Generator, encoder: FeatureEncoder | None = None
) -> tuple[Criterion, ...]:
    """Criteria with their ways, each of which the model can go.

    Raises:
        UsageError: if a criterion needs what the model cannot do.
    """
    own = own_way(model, encoder)
    found: list[Criterion] = []
    for each in criteria:
        if each.kind == "extrinsic" and each.way is None:
            if own is None:
                raise UsageError(
                    f"The criterion {each.name!r} compares a sample with what the model gives back, and "
                    f"{model.uri} gives nothing back. {_can(model)}"
                )
            each = replace(each, way=own)  # noqa: PLW2901
        needs = each.needs if each.way is None or each.kind == "intrinsic" else each.needs | {each.way.needs}
        lacking = [words for ability, words in CANNOT.items() if ability in needs - model.abilities]
        if lacking:
            raise UsageError(
                f"The criterion {each.name!r} needs a model that can {lacking[0]}, and {model.uri} cannot. "
                f"{_can(model)}"
            )
        found.append(each)
    return tuple(found)


FITTING: dict[Ability, str] = {
    "posterior": "kld",
    "reconstruction": "sse",
    "samples": "nearest-sample, realism",
    "latents": "inversion",
    "density": "nll, nll-complexity",
    "denoiser": "denoising-loss, redenoised, round-trip",
}
"""Criteria by what they need."""


def _can(model: Generator) -> str:
    fitting = [names for ability, names in FITTING.items() if ability in model.abilities]
    return f"Give criteria='auto', or of {', '.join(fitting)}." if fitting else "Give criteria='auto'."


def primary(criteria: Sequence[Criterion]) -> Way | None:
    """What is shown beside an anchor: what the first extrinsic criterion compares it with; None: nothing."""
    return next((each.way for each in criteria if each.kind == "extrinsic"), None)


def needs_bank(criteria: Sequence[Criterion]) -> bool:
    """Whether generated samples must be at hand."""
    return any("samples" in each.needs or (each.way is not None and each.way.needs == "samples") for each in criteria)


def draws_posterior(criteria: Sequence[Criterion]) -> bool:
    """Whether a criterion is averaged over posterior draws."""
    return any(each.kind == "extrinsic" and each.way in (None, RECONSTRUCTION) for each in criteria)
