"""The model's own noise: how far an attribution may be off because the model answers a question differently each time.

The one place where noise is estimated, for every design, target, hierarchy and template: `measure` takes the effects of
all draws of all masks, `MeasuredNoise.limits` gives the half width and the p-value of any linear contrast over those
masks. METHODS A3, docs/decisions/0008-noise.md.

Agreement bounds noise, it does not remove it: answers that came out the same R times in a row may still differ in one
call out of R / 3. Three cases, which join without a step:

- **no pair agreed** (noise on every call): the variance of each mask from its own draws, drawn towards the mean of all
  (Neyman's variance of a two-level factorial: Dasgupta, Pillai and Rubin 2015, JRSS B 77:727), and Satterthwaite's
  degrees of freedom;
- **some pairs agreed** (few values, rare odd answers): the same with one pair added that differs as far as effects can,
  as Agresti and Caffo (2000) add successes and failures: its weight falls with the share of pairs that differ;
- **all pairs agreed**: the rule of three. The effects are then those of a model without noise, and with a chance p of
  another answer a contrast lies within p times the range of effects times the sum of its absolute weights (2 for
  attributions: the masks with a unit, and those without) of the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, stdtr

from whygen.stats.intervals import student_half_width
from whygen.types import Floats

LEVEL = 0.95

ADDED = 1.0
"""Weight of the pair of answers that is added where some pairs agreed. Measured in benchmarks/coverage_noise.py."""

TAIL = 24.0
"""Weight of the most variable mask, counted again where few masks were drawn twice and their variances differ by more
than chance: those that vary most may not be among them. Measured in benchmarks/coverage_noise.py."""

FEWEST_FOR_SLOPE = 4
"""Masks drawn twice from which a change of the noise along the share of the prompt that is kept can be told."""

MOST = 0.9
"""Level of the upper limit of the noise where it only bounds what else may be noise."""

SHARED = 2.0
"""Degrees of freedom that the mean variance of all masks counts beside each mask's own."""

ALIKE = 3.0
"""And so many more where all repeats agreed: of few values a mask's own draws may all be the same by chance, which says
less than their variance of 0 does."""

ROUNDING = 1e-9
"""Effects that differ by less than this share of their range are equal."""

_DIGITS = 64.0 * float(np.finfo(np.float64).eps)
"""And by less than this share of the largest: the last digits of a score far from zero are rounding."""

Source: TypeAlias = Literal["none", "measured", "steady", "unknown"]
"""``none``: the model is known to answer alike. ``measured``: answers to one question differed. ``steady``: they did
not, in so many repeats. ``unknown``: no masked prompt was asked twice."""


Steadiness: TypeAlias = Literal["known", "so far", "differs"]
"""Whether equal questions get equal answers: ``known`` by how the model is built or by what the person states, ``so
far`` as the whole prompt was repeated, or it ``differs``, as it was seen to or as sampling has it."""


class NoiseLimits(NamedTuple):
    """Half widths and two-sided p-values of contrasts, each ``(k,)``."""

    half: Floats
    p_values: Floats


@dataclass(frozen=True, slots=True)
class MeasuredNoise:
    """What is known of the noise of the effects of m masks.

    Attributes:
        source: what it is known from.
        counts: draws of each mask, shape ``(m,)``.
        spread: variance of one draw of each mask, shape ``(m,)``, by the draws of the mask and of all others.
        own: the part of ``spread`` that each mask's own draws make.
        pool: mean variance of one draw over masks.
        degrees: degrees of freedom of ``pool``.
        repeats: answers that were compared with an earlier answer to the same masked prompt.
        odd: those of them that gave another effect.
        span: how far effects can be apart: the range of those seen, or what the target allows; 0 where all were equal
            and nothing says how far another may be.
        raised: factor of ``pool`` in limits, for the most variable masks, which may not have been drawn twice.
    """

    source: Source
    counts: NDArray[np.int64]
    spread: Floats
    own: Floats
    pool: float = 0.0
    degrees: float = 0.0
    repeats: int = 0
    odd: int = 0
    span: float = 0.0
    raised: float = 1.0

    @property
    def variance(self) -> float | None:
        """Mean variance of the effect of a mask (over its draws) under repetition; None where it was not measured.

        Where all repeats agreed, the variance that the added pair makes: an upper bound.
        """
        if self.source == "unknown":
            return None
        return 0.0 if self.source == "none" else float((self.spread / self.counts).mean())

    @property
    def seen(self) -> float:
        """The same as far as it showed: 0 where all repeats agreed or nothing was compared. No limit of an interval."""
        return 0.0 if self.source != "measured" else self.variance or 0.0

    @property
    def bound(self) -> float:
        """The same, and where nothing was measured all that effects may differ by."""
        return self.span**2 / 2.0 if self.variance is None else self.variance

    @property
    def most(self) -> float:
        """The largest mean variance of the effect of a mask that its repeats leave likely, at 90%; 0 if none is known.

        Where answers differed, the upper limit by the law of chi squared; where none did, that of the rule of three.
        """
        if self.source == "none":
            return 0.0
        if self.source != "measured":
            return self.likely_rate * self.span**2
        return float((self.spread / self.counts).mean() * self.degrees / chdtri(self.degrees, MOST))

    @property
    def flip_rate(self) -> float:
        """Where all repeats agreed: the chance of another answer, at most, at 95%."""
        return 1.0 if not self.repeats else 1.0 - (1.0 - LEVEL) ** (1.0 / (2.0 * self.repeats))

    @property
    def likely_rate(self) -> float:
        """The same by half of the chance of what was seen (Lancaster's mid-p).

        `flip_rate` holds whatever the rate, and so in more than 95% of runs; this one holds as coverage is counted,
        over runs in which all repeats agreed and others.
        """
        return self._likely(LEVEL)

    def _likely(self, level: float) -> float:
        return 1.0 if not self.repeats else 1.0 - min(1.0, 2.0 * (1.0 - level)) ** (1.0 / (2.0 * self.repeats))

    @property
    def method(self) -> str:
        """How the limits of contrasts of these masks come about, in the words of the report."""
        return {
            "none": "every mask was asked; equal questions get equal answers",
            "measured": "noise of the model only; every mask was asked",
            "steady": (
                f"every mask was asked; no difference in {self.repeats} repeats of masks bounds the noise"
                if self.span
                else "none: every answer had one effect, and nothing says how far another may be from it"
            ),
            "unknown": "none: every mask was asked, but the model's noise was not measured",
        }[self.source]

    def relative(self, masks: int) -> Floats:
        """Variance of the effect of each of so many masks over their mean, ``(masks,)``; ones where it is not known."""
        own: Floats = self.spread / np.maximum(self.counts, 1)
        if len(own) != masks or not own.any():
            return np.ones(masks)
        return own / own.mean()

    def take(self, rows: NDArray[np.bool_]) -> MeasuredNoise:
        """The noise of the masks where ``rows`` ``(m,)`` is True, as all of them told it."""
        return replace(self, counts=self.counts[rows], spread=self.spread[rows], own=self.own[rows])

    def limits(self, weights: Floats, values: Floats, *, level: float = LEVEL) -> NoiseLimits | None:
        """Half widths and p-values of ``values``, the contrasts of the masks' mean effects; None where none is known.

        Args:
            weights: shape ``(m, k)``: ``values = weights.T @ effects``; each column sums to zero.
            values: shape ``(k,)``.
            level: of the half widths.
        """
        if self.source == "unknown" or (self.source == "steady" and not self.span):
            return None
        reach: Floats = self.span * np.abs(weights).sum(axis=0)
        if self.source == "none":
            return NoiseLimits(np.zeros(len(values)), np.where(np.abs(values) <= ROUNDING * reach, 1.0, 0.0))
        if self.source == "steady":
            return self._steady(reach, values, level)
        squares: Floats = weights**2 / self.counts[:, None]
        shared: Floats = self.raised * (squares.T @ (self.spread - self.own))
        variance: Floats = shared + squares.T @ self.own
        degrees = self._degrees(squares, shared, variance)
        half = student_half_width(variance, degrees, level=level)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(variance > 0.0, np.abs(values) / np.sqrt(variance), np.where(values == 0.0, 0.0, np.inf))
        return NoiseLimits(half, np.asarray(2.0 * stdtr(degrees, -ratio), dtype=np.float64))

    def _steady(self, reach: Floats, values: Floats, level: float) -> NoiseLimits:
        """The rule of three: with a chance p of another answer, 2R answers agree with probability (1 - p)^2R."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share: Floats = np.where(reach > 0.0, np.abs(values) / reach, 0.0)
        share = np.where(share <= ROUNDING, 0.0, np.minimum(share, 1.0))
        return NoiseLimits(
            self._likely(level) * reach, 0.5 * (1.0 - share) ** (2.0 * self.repeats) + 0.5 * (share == 0.0)
        )

    def _degrees(self, squares: Floats, shared: Floats, variance: Floats) -> Floats:
        """Satterthwaite's degrees of freedom of each contrast, shape ``(k,)``, at least one."""
        free: Floats = (self.counts - 1).astype(np.float64)
        each: Floats = squares * self.own[:, None]
        # The square of a variance of f degrees overstates that of the true one by (f + 2) / f.
        # Both parts rest on the same draws: their errors add up, not their squares.
        doubt: Floats = (shared / self.degrees**0.5 + np.sqrt((each**2 / (free[:, None] + 2.0)).sum(axis=0))) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            degrees = np.where(doubt > 0.0, variance**2 / doubt, 1.0)
        return np.maximum(degrees, 1.0)


UNMEASURED = MeasuredNoise("unknown", np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
"""Of effects of which nothing is known but their values."""


def measure(
    draws: Floats, *, known: bool = False, speaks: NDArray[np.bool_] | None = None, reach: float = 0.0,
    kept: Floats | None = None,
) -> MeasuredNoise:  # fmt: skip
    """The noise of masks from the effects of their draws.

    Args:
        draws: shape ``(m, d)``, NaN where a mask was drawn less often; at least one a mask.
        known: whether the model is known to give equal answers to equal questions.
        speaks: masks ``(m,)`` whose draws say something of the other masks: those that were redrawn at random. All,
            unless given; the whole prompt is none, since a model is surest there.
        reach: how far the target lets two effects be apart (1 for an answer that agrees or not); 0 if nobody knows.
        kept: share of the prompt that each mask keeps, shape ``(m,)``: noise may grow or shrink along it. None where
            that means nothing.
    """
    drawn = ~np.isnan(draws)
    counts: NDArray[np.int64] = drawn.sum(axis=1)
    flat = draws[drawn]
    span = max(reach, float(np.ptp(flat)) if len(flat) else 0.0)
    nothing = np.zeros(len(draws))
    if known:
        return MeasuredNoise("none", counts, nothing, nothing, span=span)
    speaks = np.ones(len(draws), dtype=bool) if speaks is None else speaks
    free: Floats = (counts - 1).astype(np.float64)
    squares = _squares(draws, drawn, counts)
    asked = speaks & (counts > 1)
    repeats = int(free[asked].sum())
    if not repeats:
        return MeasuredNoise("unknown", counts, nothing, nothing, span=span)
    odd = int(_odd(draws[asked], resolution(flat)).sum())
    agreed = 1.0 - odd / repeats
    added, apart = ADDED * agreed, span**2 / 2.0
    weight = repeats + added
    pool = (float(squares[asked].sum()) + added * apart) / weight
    variances: Floats = squares[asked] / free[asked]
    degrees = _pooled_degrees(variances, free[asked], pool, added=added, apart=apart)
    # Where answers agree the added pair stands for what was not seen; where none does, the most variable mask.
    missing = 1.0 - float(asked.sum()) / len(draws)
    tail = TAIL * missing * (1.0 - degrees / max(weight, 1.0)) * (1.0 - agreed)
    raised = 1.0 if pool <= 0.0 else (weight + tail * float(variances.max()) / pool) / (weight + tail)
    shared = SHARED + ALIKE * agreed
    own: Floats = np.where(free > 0.0, squares, 0.0) / (shared + free)
    along = np.ones(len(draws)) if kept is None else _along(kept, np.sqrt(variances), asked, free[asked])
    spread: Floats = shared * pool * along / (shared + free) + own
    return MeasuredNoise(
        "measured" if odd else "steady", counts, spread, own, pool, degrees, repeats, odd, span, raised
    )


def given(variances: Floats, *, degrees: int, effects: Floats, known: bool = False) -> MeasuredNoise:
    """The noise of effects whose variances under repetition are estimated elsewhere, such as those of sets of draws.

    Args:
        variances: shape ``(m,)``; NaN where they cannot be estimated.
        degrees: of freedom of each.
        effects: shape ``(m,)``.
        known: whether the model is known to give equal answers to equal questions.
    """
    ones, nothing = np.ones(len(effects), dtype=np.int64), np.zeros(len(effects))
    span = float(np.ptp(effects)) if len(effects) else 0.0
    if known:
        return MeasuredNoise("none", ones, nothing, nothing, span=span)
    if not len(effects) or np.isnan(variances).any():
        return MeasuredNoise("unknown", ones, nothing, nothing, span=span)
    repeats = degrees * len(effects)
    odd = degrees * int((variances > resolution(effects) ** 2).sum())
    added, apart = ADDED * (1.0 - odd / repeats), span**2 / 2.0 / (degrees + 1)
    pool = (degrees * float(variances.sum()) + added * apart) / (repeats + added)
    free = np.full(len(effects), float(degrees))
    own: Floats = degrees * variances / (SHARED + degrees)
    return MeasuredNoise(
        "measured" if odd else "steady", ones, SHARED * pool / (SHARED + degrees) + own, own, pool,
        _pooled_degrees(variances, free, pool, added=added, apart=apart), repeats, odd, span,
    )  # fmt: skip


def averaged(noises: Sequence[MeasuredNoise]) -> MeasuredNoise:
    """The noise of effects that are means over several games on the same masks; the games' noises are independent.

    Not known where that of one game is not; and where all were steady, their repeats bound the flip rate together.
    """
    games, first = len(noises), noises[0]
    order: tuple[Source, ...] = ("none", "steady", "measured", "unknown")
    source = order[max(order.index(noise.source) for noise in noises)]
    spread: Floats = sum((noise.spread / noise.counts for noise in noises), np.zeros_like(first.spread)) / games**2
    return MeasuredNoise(
        source,
        counts=np.ones_like(first.counts),
        spread=spread,
        own=np.zeros_like(spread),
        pool=float(spread.mean()),
        degrees=sum(noise.degrees for noise in noises),
        repeats=sum(noise.repeats for noise in noises),
        odd=sum(noise.odd for noise in noises),
        span=max(noise.span for noise in noises),
        raised=float(np.mean([noise.raised for noise in noises])),
    )


def resolution(effects: Floats) -> float:
    """The difference up to which two of these effects ``(m,)`` are equal but for rounding, in their own scale."""
    if not len(effects):
        return 0.0
    return max(ROUNDING * float(np.ptp(effects)), _DIGITS * float(np.abs(effects).max()))


def _squares(draws: Floats, drawn: NDArray[np.bool_], counts: NDArray[np.int64]) -> Floats:
    """Sum of squared deviations of each mask's draws from their mean, shape ``(m,)``."""
    filled = np.where(drawn, draws, 0.0)
    mean = filled.sum(axis=1) / np.maximum(counts, 1)
    return (np.where(drawn, filled - mean[:, None], 0.0) ** 2).sum(axis=1)


def _odd(draws: Floats, slack: float) -> NDArray[np.int64]:
    """Draws of each mask that differ from its most frequent value, shape ``(m,)``."""
    equal = (np.abs(draws[:, :, None] - draws[:, None, :]) <= slack).sum(axis=2)
    return (~np.isnan(draws)).sum(axis=1) - equal.max(axis=1)


def _along(kept: Floats, deviations: Floats, asked: NDArray[np.bool_], free: Floats) -> Floats:
    """By how much the noise variance of each mask differs from the mean, ``(m,)``, along the share it keeps.

    A model that rambles where most words are missing has its noise there, and Shapley values weigh those few masks
    most. The standard deviations ``(a,)`` of the masks that were ``asked`` again lie around a line; its slope is shrunk
    as far as chance explains it (James and Stein), so that it widens little where noise is everywhere alike.
    """
    place = kept[asked]
    offset = place - np.average(place, weights=free)
    mean, width = float(np.average(deviations, weights=free)), float((free * offset**2).sum())
    if len(place) < FEWEST_FOR_SLOPE or width <= 0.0 or mean <= 0.0:
        return np.ones(len(kept))
    slope = float((free * offset * deviations).sum()) / width
    left = deviations - mean - slope * offset
    error = float((free * left**2).sum()) / (len(place) - 2.0) / width
    slope *= max(0.0, 1.0 - error / slope**2) if slope else 0.0
    middle = float(np.average(place, weights=free))
    line: Floats = np.maximum(mean + slope * (kept - middle), 0.0) ** 2
    return line / float(np.average(line[asked], weights=free))


def _pooled_degrees(variances: Floats, free: Floats, pool: float, *, added: float, apart: float) -> float:
    """Degrees of freedom of the mean variance, from how much the variances of masks differ: for any kind of noise.

    Variances of f normal draws have the variance 2 sigma^4 / f; heavier tails and masks of unequal noise have more.
    """
    scatter = float((free * (variances - pool) ** 2).sum()) + added * (apart - pool) ** 2
    weight = float(free.sum()) + added
    each = scatter / (len(variances) + added)
    most = max(weight, 1.0)
    return most if each <= 0.0 else float(np.clip(2.0 * pool**2 * weight / each, 1.0, most))
