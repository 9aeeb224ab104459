"""Which criteria are measured: those asked for by name or as objects, or by what the model can do and samples are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from whygen import plugins
from whygen.anchors.bank import nearest_sample, realism
from whygen.anchors.bounds import IW_ELBO
from whygen.anchors.criteria import (
    BY_FEATURES,
    PLAIN,
    Criterion,
    CriterionLike,
    Kind,
    begin_pair,
    dssim,
    feature_criterion,
)
from whygen.anchors.denoising import COMPARED, LOSS
from whygen.anchors.densities import DENSITIES
from whygen.anchors.features import FeatureEncoder, installed_features, name_of
from whygen.anchors.inverting import INVERSION
from whygen.anchors.samples import Prepared
from whygen.anchors.ways import settled
from whygen.errors import UnknownNameError, UsageError
from whygen.models.latent import Ability, Floats, Generator
from whygen.results.prompt import Warned

SMALL = 4096
"""Values up to which a one-channel image counts as small and simple, for ``criteria="auto"``: 64 x 64."""
BANK = 5_000
"""Generated samples that anchors are compared with, unless another number is asked for."""
BANKED: Mapping[str, Callable[..., Criterion]] = {"realism": realism, "nearest-sample": nearest_sample}
_READY: Mapping[str, Criterion] = {
    **PLAIN, **DENSITIES, **{each.name: each for each in (INVERSION, LOSS, IW_ELBO)},
}  # fmt: skip
"""Criteria that look through no encoder."""
IN_FEATURES = frozenset({*BANKED, *COMPARED})
"""Criteria that compare in features where there are any, and in the values of samples where there are none."""
CRITERIA: tuple[str, ...] = (*_READY, *BY_FEATURES, *BANKED, *COMPARED)
"""Names of whygen's own criteria."""


@dataclass(frozen=True, slots=True)
class ChosenCriteria:
    """The criteria of a run, why these, and what they cannot do."""

    criteria: tuple[Criterion, ...]
    reason: str
    warnings: tuple[Warned, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(criterion.name for criterion in self.criteria)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(criterion.kind for criterion in self.criteria)


def choose(
    criteria: str | Sequence[CriterionLike],
    prepared: Prepared,
    *,
    encoder: FeatureEncoder | None = None,
    model: Generator | None = None,
    bank: int = BANK,
) -> ChosenCriteria:
    """Criteria by name, as objects, or ``"auto"``: by what the model can do, and by what its samples are.

    Args:
        criteria: ``"auto"``, names separated by commas, or a sequence of names, `Criterion` objects and callables
            ``(samples, reconstructions) -> (b,)``, which count as extrinsic.
        prepared: the anchors.
        encoder: for the criteria on features.
        model: who is asked; None: a model with an encoder and a decoder.
        bank: generated samples that anchors are compared with.

    Raises:
        UnknownNameError: if nobody registered a name.
        UsageError: if a criterion needs an encoder and there is none, the model cannot do what one needs, or two have
            one name.
    """
    if criteria == "auto":
        names, reason, used = _automatic(prepared, encoder, model)
        told = _pixels_only(used) if encoder is None else ()
        chosen = ChosenCriteria(tuple(_resolve(name, used, bank) for name in names), reason, told)
    else:
        used = encoder
        if used is None and any(each in IN_FEATURES for each in asked_for(criteria)):
            used = installed_features(prepared)
        chosen = by_name(criteria, encoder, bank=bank, banked=used)
        if "dssim" in chosen.names:
            _require_images(prepared)
    return chosen if model is None else replace(chosen, criteria=settled(chosen.criteria, model, used))


def asked_for(criteria: str | Sequence[CriterionLike]) -> list[CriterionLike]:
    """What was asked for, one by one."""
    parts = criteria.split(",") if isinstance(criteria, str) else list(criteria)
    return [each.strip() if isinstance(each, str) else each for each in parts]


def _require_images(prepared: Prepared) -> None:
    """Refuse dssim before anything is encoded, where it cannot be had."""
    blank = prepared.images(np.zeros((1, *prepared.shape), np.float32))
    dssim(blank, blank, span=1.0)


def by_name(
    criteria: str | Sequence[CriterionLike],
    encoder: FeatureEncoder | None,
    *,
    given: bool | None = None,
    bank: int = BANK,
    banked: FeatureEncoder | None = None,
) -> ChosenCriteria:
    """Criteria that were asked for, other than ``"auto"``.

    Args:
        criteria: as `choose` takes them.
        encoder: for the criteria on features.
        given: whether there will be an encoder, where it is not open yet.
        bank: generated samples that anchors are compared with.
        banked: features that they are compared in; None: ``encoder``.

    Raises:
        UnknownNameError: if nobody registered a name.
        UsageError: if a criterion needs an encoder and there is none, or two have one name.
    """
    if encoder is None and given:
        encoder = _not_yet_open
    resolved = tuple(
        _resolve(each, (banked or encoder) if isinstance(each, str) and each in IN_FEATURES else encoder, bank)
        for each in asked_for(criteria)
    )
    names = [criterion.name for criterion in resolved]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"criteria are {names}; give one or more, each once: {', '.join(CRITERIA)} or a callable.")
    return ChosenCriteria(resolved, "as asked for")


def _not_yet_open(samples: Floats) -> NDArray[Any]:
    raise AssertionError(f"{len(samples)} samples came before the encoder was open")


_COMPARED = "sse or feature-l2"
"""Stands for the one that suits the samples."""


class _Family(NamedTuple):
    """What is measured of models that can do certain things."""

    needs: frozenset[Ability]
    criteria: tuple[str, ...]
    why: str


_FAMILIES: tuple[_Family, ...] = (
    _Family(
        frozenset({"denoiser"}), (LOSS.name, "redenoised"),
        "the model removes noise, and is asked with about as much as a sample is strong",
    ),
    _Family(frozenset({"reconstruction"}), ("kld", _COMPARED), ""),
    _Family(
        frozenset({"density", "samples"}), ("nll", "nearest-sample"),
        "the model tells how likely a sample is, and generates samples",
    ),
    _Family(frozenset({"density"}), ("nll",), "the model tells how likely a sample is, and nothing else"),
    _Family(
        frozenset({"samples"}), ("realism", "nearest-sample"),
        "the model generates samples, and anchors are held against these",
    ),
    _Family(frozenset({"posterior"}), ("kld",), "the model encodes, and nothing comes back"),
)  # fmt: skip
"""The first that the model can do all of is chosen."""


def _automatic(
    prepared: Prepared, encoder: FeatureEncoder | None, model: Generator | None
) -> tuple[tuple[str, ...], str, FeatureEncoder | None]:
    """Names, why these, and the encoder for them: as given, or for colour pictures the best that is here already."""
    can: frozenset[Ability] = frozenset({"reconstruction"}) if model is None else model.abilities
    family = next((each for each in _FAMILIES if each.needs <= can), None)
    if family is None:
        raise UsageError("The model can do nothing that a criterion of whygen's own could read; give criteria=.")
    by_features, where, used = _compared_in(prepared, encoder)
    if prepared.image is None and used is None and _COMPARED not in family.criteria:
        where = f"samples are {prepared.shape} values, compared one by one"
    names = tuple(("feature-l2" if by_features else "sse") if each == _COMPARED else each for each in family.criteria)
    compares = _COMPARED in family.criteria or any(each in IN_FEATURES for each in names)
    parts = [each for each in (family.why, where if compares else "") if each]
    return names, f"{' and '.join(names)}: {'; '.join(parts)}", used


def _compared_in(prepared: Prepared, encoder: FeatureEncoder | None) -> tuple[bool, str, FeatureEncoder | None]:
    """Whether samples are compared by features, why, and by whose."""
    shown = " x ".join(str(size) for size in prepared.image or prepared.shape)
    simple = prepared.image is not None and prepared.image[2] == 1 and int(np.prod(prepared.shape)) <= SMALL
    if simple:
        return False, f"{shown} is a small image of one channel, where pixels can be compared", encoder
    used = encoder or installed_features(prepared)
    if used is not None:
        whose = "" if encoder is not None else ", which is installed; encoder= takes another"
        why = f"{shown} is no small image of one channel, where pixels mislead; features by {name_of(used)}{whose}"
        return True, why, used
    open_ended = prepared.image is not None and not np.isfinite(prepared.value_range).all()
    hint = (
        "no range of values is known: give value_range=, or encoder="
        if open_ended
        else "there is no encoder: give encoder="
    )
    why = f"{shown} is no small image of one channel, where features are better than pixels, but {hint} for feature-l2"
    return False, why, None


def _pixels_only(used: FeatureEncoder | None) -> tuple[Warned, ...]:
    """Say where features of colour pictures are colours alone, as no encoder with weights is here."""
    if getattr(used, "learned", True):
        return ()
    text = (
        "No encoder that has learned to see is installed: feature-l2 compares the mean colours of 8 x 8 cells, which "
        "hardly tells what a picture shows. Fetch the weights of facebook/dinov2-base once (encoder='dinov2' does, "
        "with pip install 'whygen[diffusion]'), or give encoder= a callable (samples (n, ...) -> features (n, dim))."
    )
    return (Warned(code="no-encoder", text=text),)


def known_criteria() -> list[str]:
    """Names of criteria: whygen's own, and those of installed packages."""
    return [*CRITERIA, *plugins.entries(plugins.CRITERIA, CRITERIA)]


def _brought(name: str) -> Criterion:
    """The criterion that an installed package or ``py/package.module:callable`` brings."""
    found = plugins.brought(plugins.CRITERIA, name, argument="criteria")
    if found is None:
        raise UnknownNameError("criterion", name, known_criteria())
    if isinstance(found, Criterion) or callable(found):
        made = _resolve(cast("CriterionLike", found), None)
        return made if made.identity is not None else replace(made, identity=plugins.identity(plugins.CRITERIA, name))
    raise UsageError(
        f"criteria={name!r} is a {type(found).__name__}: it must be a Criterion, or a callable "
        "(samples, reconstructions) -> a number for each."
    )


def _resolve(wanted: CriterionLike, encoder: FeatureEncoder | None, bank: int = BANK) -> Criterion:
    if isinstance(wanted, Criterion):
        return wanted
    if callable(wanted):
        name = name_of(wanted)
        return Criterion(name, "extrinsic", "as the callable gives it", begin_pair(wanted, name))
    if wanted in _READY:
        return _READY[wanted]
    if wanted in IN_FEATURES:
        return COMPARED[wanted](encoder) if wanted in COMPARED else BANKED[wanted](encoder, size=bank)
    if wanted not in BY_FEATURES:
        return _brought(wanted)
    if encoder is None:
        raise UsageError(
            f"The criterion {wanted!r} compares features, and no encoder was given. Give encoder='patches', "
            "'dinov2' or a callable (samples (n, ...) -> features (n, dim)), or use sse."
        )
    return feature_criterion(wanted, encoder)
