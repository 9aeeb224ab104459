"""`Proxied`: a surrogate that knows what a cheap model did on the same masks. METHODS A3.

Scores are unbiased whatever the surrogate (`whygen.prompt.crossfit`), so the answers of a cheap model may be one. With
g the effects of the cheap model, whose attributions are known from as many masks as it was asked,

    surrogate(z) = weight g(z) + rest(z),      attributions = weight attributions(g) + attributions(rest),

where the rest is fitted to ``f - weight g`` by the surrogate that would be fitted anyway. This is prediction-powered
inference (Angelopoulos et al. 2023, Science 382:669-674) with a tuned weight (PPI++: Angelopoulos, Duchi and Zrnic
2023, arXiv 2311.01453) on top of cross-fitted scores. Weights are slopes of f on g; none, the slope and the slope of
what main effects leave over are each fitted, and averaged with weights by left-out error, so that a proxy which tells
nothing costs next to nothing.

What is left of the error of ``attributions(g)``, from masks that the cheap model was not asked, is added to that of the
scores: its masks are drawn apart from those of the dear model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates.base import (
    ByChance,
    Fitted,
    Remembers,
    Sum,
    Surrogate,
    fitter,
    folded,
    in_folds,
)
from whygen.prompt.surrogates.linear import Ridge, weights_of
from whygen.types import Floats, Masks

SURE, SHARE = 4.0, 0.25
"""Of blocks, as in `adaptive`: the errors that are compared are each the least of many."""

NEGLIGIBLE = 1e-6
"""Under this weight a fit is left out."""

ALIKE = 0.05
"""Two slopes that differ by less than this share of the larger are one."""


@dataclass(frozen=True, slots=True, eq=False)
class Proxy:
    """What a cheap model did on masks of the same units.

    Attributes:
        effects: by mask, as its bytes: those of the dear model's masks, and of the whole prompt.
        attributions: of the cheap model, shape ``(n,)``.
        standard: their standard errors, shape ``(n,)``; 0 where it was asked every mask.
        total: f(1) - f(0) of the cheap model, where Shapley values share it out.
        pairs: how many pairs of masks the attributions rest on.
        fitted: fits what predicts its effects where it was not asked, when that is needed first.
    """

    effects: Mapping[bytes, float]
    attributions: Floats
    standard: Floats
    total: float | None
    pairs: int
    fitted: Callable[[], Fitted]

    def of(self, masks: Masks) -> Floats:
        """Effects ``(m,)`` of the cheap model; predicted for masks that it was not asked."""
        found = np.array([self.effects.get(mask.tobytes(), np.nan) for mask in masks], dtype=np.float64)
        unknown = np.isnan(found)
        if unknown.any():
            found[unknown] = self.fitted().predict(masks[unknown])
        return found


@dataclass(frozen=True, slots=True)
class Powered:
    """The fitted sum: what the dear model does as a share of what the cheap one did, and the rest.

    Attributes:
        proxy: what the cheap model did.
        weight: of it.
        parts: the fits of the rests, with their weights.
    """

    proxy: Proxy
    weight: float
    parts: Sequence[tuple[float, Fitted]]

    def predict(self, masks: Masks) -> Floats:
        rest: Floats = np.sum([share * part.predict(masks) for share, part in self.parts], axis=0)
        return rest if self.weight == 0.0 else rest + self.weight * self.proxy.of(masks)

    def attributions(self) -> Floats:
        rest: Floats = np.sum([share * part.attributions() for share, part in self.parts], axis=0)
        return rest + self.weight * self.proxy.attributions

    @property
    def borrowed(self) -> Floats:
        """Standard error ``(n,)`` of the attributions by the masks that the cheap model was not asked."""
        return abs(self.weight) * self.proxy.standard


@dataclass(frozen=True, slots=True)
class Proxied:
    """A surrogate with the effects of a cheap model beside it.

    Attributes:
        base: what is fitted to the rest.
        proxy: what the cheap model did.
    """

    base: Surrogate
    proxy: Proxy

    @property
    def name(self) -> str:
        return self.base.name

    def smallest_pairs(self, n: int) -> int:
        return self.base.smallest_pairs(n)

    def remembering(self) -> Proxied:
        """The same with a base that keeps what depends on masks alone."""
        return replace(self, base=self.base.remembering()) if isinstance(self.base, Remembers) else self

    def by_chance(self, observed: Effects) -> Callable[[Floats], Fitted]:
        """Fits of the base alone: a proxy predicts nothing of shuffled effects."""
        return self.base.by_chance(observed) if isinstance(self.base, ByChance) else fitter(self.base, observed)

    def fit(self, observed: Effects) -> Powered:
        slopes = self.slopes(observed)
        rests = [self._rest(observed, slope) for slope in slopes]
        return self._mixed(slopes, rests, [self.base.fit(rest) for rest in rests])

    def folded(self, observed: Effects, fold_of: NDArray[np.int64]) -> list[Powered]:
        """Fits without each fold, and of all rows. Slopes are those of all folds: a number or two of many effects."""
        slopes = self.slopes(observed)
        rests = [self._rest(observed, slope) for slope in slopes]
        fits = [folded(self.base, rest, fold_of) for rest in rests]
        takes = [fold_of != fold for fold in range(int(fold_of.max()) + 1)]
        rows = [*takes, np.ones(len(observed), dtype=bool)]
        return [
            self._mixed(slopes, [rest.take(own) for rest in rests], [each[place] for each in fits])
            for place, own in enumerate(rows)
        ]

    def slopes(self, observed: Effects) -> list[float]:
        """Weights of the proxy that are tried, the first of them none."""
        beside = observed.with_values(self.proxy.of(observed.masks))
        groups = len(np.unique(observed.groups))
        # With few masks more than the dear model was asked, the attributions of the cheap one are hardly better known.
        shrink = 1.0 if not self.proxy.standard.any() else 1.0 / (1.0 + groups / self.proxy.pairs)
        found = [0.0]
        for main in (None, Ridge()):
            slope = shrink * _slope(observed, beside, main)
            if all(abs(slope - other) > ALIKE * max(abs(slope), abs(other)) for other in found):
                found.append(slope)
        return found

    def _rest(self, observed: Effects, slope: float) -> Effects:
        if slope == 0.0:
            return observed
        total = observed.total
        if total is not None and self.proxy.total is not None:
            total -= slope * self.proxy.total
        return replace(observed, values=observed.values - slope * self.proxy.of(observed.masks), total=total)

    def _mixed(self, slopes: Sequence[float], rests: Sequence[Effects], fits: Sequence[Fitted]) -> Powered:
        errors = np.array([_left_out(self.base, rest, fit) for rest, fit in zip(rests, fits, strict=True)])
        blocks = len(np.unique(rests[0].groups))
        weights = weights_of(errors, min(blocks, SURE + SHARE * blocks))
        weights = np.where(weights > NEGLIGIBLE, weights, 0.0)
        weights /= weights.sum()
        parts = [(share, fit) for share, fit in zip(weights.tolist(), fits, strict=True) if share]
        return Powered(self.proxy, float(weights @ np.array(slopes)), parts)


def _left_out(base: Surrogate, rest: Effects, fit: Fitted) -> float:
    """Mean squared left-out error of what attributions rest on."""
    if isinstance(fit, Sum) and fit.error is not None:
        return fit.error
    errors: list[Floats] = []
    for train, held in in_folds(rest):
        off, halves = _odd(held, held.values - base.fit(train).predict(held.masks))
        errors.append(halves * off**2)
    return float(np.concatenate(errors).mean())


def _slope(observed: Effects, beside: Effects, main: Surrogate | None) -> float:
    """Slope of the effects on the proxy's, in what attributions rest on: of what ``main`` leaves over, or of all."""
    left = [
        each.values - (each.values.mean() if main is None else main.fit(each).predict(each.masks))
        for each in (observed, beside)
    ]
    own, weights = _odd(observed, left[0])
    other, _ = _odd(observed, left[1])
    square = float(weights @ other**2)
    return float(weights @ (own * other)) / square if square > 0.0 else 0.0


def _odd(observed: Effects, values: Floats) -> tuple[Floats, Floats]:
    """Half differences of complement pairs, or the rows, and the weight of each."""
    pairs, weights = observed.complement_pairs(), observed.importance()
    if pairs is None:
        return values, weights
    first, second = pairs
    return (values[first] - values[second]) / 2.0, weights[first]
