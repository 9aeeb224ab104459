"""Cross-fitted scores: what each group of masks says of the attributions, corrected for what the surrogate misses.

A surrogate is fitted without a fold, predicts that fold, and each group of the fold gives a score

    psi_i = attribution_i(surrogate) + mean over the group's rows of w_i(z) (f(z) - surrogate(z)),

unbiased for the Banzhaf or Shapley value whatever the surrogate. The mean of the scores is the estimate; their spread
gives the interval. No refit is needed beyond the folds. METHODS A2, A3.

Masks that were drawn without replacement count exactly once they are known. A fold knows the masks of all others, so
that of the correction above only the part of the masks that nobody asked is left for its own masks to stand for; and a
layer of masks that was asked whole leaves nothing (docs/decisions/0009-shapley-and-keep.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects, Population
from whygen.prompt.noise import resolution
from whygen.prompt.surrogates import Powered, Sum, Surrogate, folded
from whygen.stats.intervals import Error, moderated, satterthwaite, student_half_width, tail_degrees
from whygen.types import Floats

Bools: TypeAlias = NDArray[np.bool_]

FEW_GROUPS = 16
"""Below this many groups four folds, see `folds_for`."""

FEWER_FOLDS = 40
"""Below this many groups six folds, see `folds_for`."""

FEWEST_GROUPS = 4
"""The fewest groups that can be cross-fitted."""

EXACT = 0.01
"""The surrogate of all groups meets the game where its squared left-out error is under this share of the folds'. A game
of the surrogate's kind, without noise, is met as soon as groups outnumber unknowns, which those of a fold may not yet:
the share was then .003 or less, and .04 or more in every other of 290 games (docs/decisions/0006-adaptive.md)."""

TRANSLATION = 0.5
"""The value that is reported stays within this share of the half width from the middle, see `CrossFit.values`."""

NEGLIGIBLE = 1e-3
"""Under this share of all masks it makes no difference that none was drawn twice."""

SEEN = 0.95
"""Level of the rule of three where no drawn mask had another effect than the others."""

MET = 1e-3
"""The surrogates of the folds meet the masks held out where they miss them by less than this share of the range."""


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Scores of the groups that were drawn by chance, and what they rest on.

    Attributes:
        scores: shape ``(groups, n)``. Groups of layers that were asked whole have none: their part is in every score.
        predicted: held-out predictions ``(m,)`` in row order.
        fitted: predictions ``(m,)`` of the surrogate that was fitted to every group.
        folds: number of folds.
        own: the part of the scores that no held-out mask makes, ``(groups, n)``.
        whole: attributions of the surrogate fitted to every group, with what it misses of the masks asked, ``(n,)``.
        unasked: factor of the squared deviation of each score in the variance of the estimate, ``(groups,)``: how much
            of its layer was not asked.
        noise: from the mean variance of one effect to that of the estimate by the model's noise, shape ``(n,)``.
        shown: how much of that the spread of the scores shows already, shape ``(n,)``.
        reach: how far the estimate may be off if all masks that chance left out were off by one.
        rounding: the difference up to which effects are equal.
        exact: whether the surrogate meets the game when it is fitted to every group, see `EXACT`.
        flat: whether the masks that were drawn by chance all had the same effect.
        doubt: where the surrogates of the folds met every mask that was held out: the standard error if one group more
            had missed them by one; else 0.
        deviation: standard deviation of the effects of the masks drawn by chance.
        whole_predicted: effect of the whole prompt by the surrogate that was fitted to every group.
        borrowed: standard error of what the surrogates took from elsewhere, which all scores share, shape ``(n,)``.
        weight: of the proxy in the surrogate that was fitted to every group; 0 where there is none.
        unshown: what of the masks' noise the spread of the scores does not show.
    """

    scores: Floats
    predicted: Floats
    fitted: Floats
    folds: int
    own: Floats
    whole: Floats
    unasked: Floats
    noise: Floats
    shown: Floats
    reach: float = 2.0
    rounding: float = 0.0
    exact: bool = False
    flat: bool = False
    doubt: float = 0.0
    deviation: float = 0.0
    whole_predicted: float = 0.0
    borrowed: Floats | float = 0.0
    weight: float = 0.0
    unshown: Unshown | None = None

    def error(self, *, noise: float = 0.0, most: float = 0.0, span: float = 0.0) -> Error:
        """The mean of the scores and how far it may be off.

        Args:
            noise: variance of one effect under repetition; 0 when repeats did not differ.
            most: the largest variance that repetition may well have, `MeasuredNoise.most`; 0 where nobody knows of any.
            span: range of all effects that are known, the whole prompt's among them. Where no drawn mask had another
                effect than the others it says how far one that was not drawn may be off.
        """
        groups = len(self.scores)
        estimate: Floats = self.scores.mean(axis=0)
        deviation: Floats = (self.scores - estimate) * np.sqrt(self.unasked)[:, None]
        spread = moderated((deviation**2).sum(axis=0) / (groups - 1.0) / groups)
        # The spread shows the noise of the scores' own masks, and bounds it; that of masks that are known is added.
        shown: Floats = np.where(self.shown > 0.0, np.minimum(noise, spread / np.maximum(self.shown, 1e-300)), 0.0)
        added: Floats = shown * np.maximum(self.noise - self.shown, 0.0)
        degrees = np.maximum(tail_degrees(self.scores) * (self.folds - 1.0) / self.folds, 1.0)
        if self.unshown is not None and most > 0.0:
            missed, free = self.unshown.noise(most)
            added = np.maximum(added, missed)
            degrees = np.where(added > missed, degrees, satterthwaite((spread, degrees), (missed, free)))
        variance: Floats = spread + added
        standard: Floats = np.sqrt(variance + np.square(self.borrowed)) + self.rounding
        if self.flat:
            # All of R groups agree with probability (1 - p)^R where one in 1 / p has another effect.
            rate = 1.0 - (1.0 - SEEN) ** (1.0 / groups)
            standard = np.maximum(standard, rate * self.reach * span / student_half_width(np.ones(1), degrees))
        return Error(estimate, standard, degrees)

    def combined(self, parts: Floats) -> CrossFit:
        """The same of sums of attributions, weighted by the columns of ``parts`` ``(n, k)``.

        The model's noise reaches contrasts of masks whose units are kept independently of each other independently.
        What was borrowed is taken to err all one way.
        """
        borrowed = self.borrowed if isinstance(self.borrowed, float) else self.borrowed @ np.abs(parts)
        return replace(
            self, scores=self.scores @ parts, own=self.own @ parts, whole=self.whole @ parts,
            noise=self.noise @ parts**2, shown=self.shown @ parts**2, borrowed=borrowed,
            unshown=None if self.unshown is None else self.unshown.combined(parts),
        )  # fmt: skip

    def least_error(self, whole: float | None = None) -> float:
        """The standard error below which no estimate lies, the surrogates having met every mask that was held out.

        Masks are a sample: words that act only all together may not have met in one. It is not known how far the
        surrogates miss those; taken is how far they miss the whole prompt, and no less than two standard deviations of
        the effects, which is how far apart two effects are that are had as often.

        Args:
            whole: effect of the whole prompt, where it is known.
        """
        missed = 0.0 if whole is None else abs(whole - self.whole_predicted)
        return self.doubt * max(2.0 * self.deviation, missed)

    def values(self, middle: Floats, half: Floats) -> Floats:
        """The attributions that are reported, ``(n,)``: of less squared error than the middle of the interval.

        They are the surrogate's, the mean of those of the folds and of the fit to all groups: the one has a tenth less
        data, the other less stability where groups are about as many as units. They stay within `TRANSLATION` half
        widths of the middle: where the surrogate is further off, the scores have the last word (limited translation:
        Efron and Morris 1972, JASA 67:130-139; docs/decisions/0005-shrinkage.md, 0006-adaptive.md). A surrogate that
        meets the game is reported as it is.
        """
        target: Floats = self.whole if self.exact else (self.own.mean(axis=0) + self.whole) / 2.0
        reach = (1.0 if self.exact else TRANSLATION) * half
        return np.clip(target, middle - reach, middle + reach)


@dataclass(frozen=True, slots=True)
class Unshown:
    """What of the noise of single masks the spread of the scores does not show: that of masks that count as known.

    Noise may differ from mask to mask, and the masks that are known are not like the others (with `keep` .8 those near
    the whole prompt). So the squares of what the surrogates missed stand for the variances, mask by mask (White 1980,
    Econometrica 48:817-838, with left-out residuals as in HC3), which counts misfit as noise: only the share of them
    that noise may well make (docs/decisions/0051-claims.md).

    Attributes:
        variance: of the estimate, if all that was missed were noise, shape ``(n,)``.
        degrees: of freedom of that, shape ``(n,)``.
        missed: mean square of what was missed of one mask.
    """

    variance: Floats
    degrees: Floats
    missed: float

    @classmethod
    def of(cls, counts: Floats, missed: Floats) -> Unshown | None:
        """From what the noise of each mask counts that is not shown ``(m, n)``, and what was missed of it ``(m,)``."""
        squares: Floats = counts * (missed**2)[:, None]
        variance: Floats = squares.sum(axis=0)
        if not variance.any():
            return None
        # The square of a normal error has the variance 2 s^4; its own square is 3 s^4 on average.
        degrees = 3.0 * variance**2 / np.maximum((squares**2).sum(axis=0), 1e-300)
        return cls(variance, np.maximum(degrees, 1.0), float(np.mean(missed**2)))

    def noise(self, most: float) -> tuple[Floats, Floats]:
        """Variance of the estimate by noise whose mean variance is at most ``most``, and its degrees of freedom."""
        return self.variance * min(1.0, most / self.missed), self.degrees

    def combined(self, parts: Floats) -> Unshown:
        """The same of sums of attributions, see `CrossFit.combined`."""
        squares: Floats = parts**2
        degrees = (self.variance @ squares) ** 2 / np.maximum((self.variance**2 / self.degrees) @ squares**2, 1e-300)
        return replace(self, variance=self.variance @ squares, degrees=np.maximum(degrees, 1.0))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """How the rows were drawn.

    Attributes:
        weights: Horvitz-Thompson weights ``(m, n)``.
        population: what they were drawn from; None where masks may come again, or are a negligible share of all.
        open: rows ``(m,)`` of layers that were not asked whole.
        share: of the open layers in the law of the design.
    """

    weights: Floats
    population: Population | None
    open: Bools
    share: float

    @classmethod
    def of(cls, observed: Effects) -> _Drawn:
        weights, population = observed.weights(), observed.population()
        everything = np.ones(len(observed), dtype=bool)
        if population is None:
            return cls(weights, None, everything, 1.0)
        asked = population.asked(everything)
        known = (asked >= population.members)[population.stratum]
        if (asked <= NEGLIGIBLE * population.members).all() or known.all():
            return cls(weights, None, everything, 1.0)
        if len(np.unique(observed.groups[~known])) < FEWEST_GROUPS:
            # Chance completed layers until too few groups are left to make folds of. All take part then: what is
            # known of complete layers leaves nothing open in them, so that their scores have no error of their own.
            return cls(weights, population, everything, 1.0)
        return cls(weights, population, ~known, 1.0 - float(population.chance[known].sum()))

    def left(self, held: Bools) -> tuple[Floats, Floats]:
        """For each row ``held`` out: the share of its stratum that no other row knows, and by what the variance of a
        correction of that size is to be multiplied.

        The masks that nobody asked are the same to all folds, and what surrogates miss of them they miss together: the
        estimate has the variance of corrections for a whole stratum, times the share of it that was not asked.
        """
        count = int(held.sum())
        if self.population is None:
            return np.ones(count), np.ones(count)
        stratum, members = self.population.stratum[held], self.population.members
        asked, known = self.population.asked(np.ones(len(held), dtype=bool)), self.population.asked(~held)
        left: Floats = np.maximum(members - known, 1.0)[stratum] / members[stratum]
        return left, np.maximum(1.0 - asked[stratum] / members[stratum], 0.0) / left**2

    def squares(self) -> Floats:
        """From the variance of the effect of each mask to that of the estimate, ``(m, n)``: squares of what it counts.

        A mask of a layer that was asked whole counts as in the law of the design, each other as one of those drawn.
        """
        drawn: Floats = (self.weights * self.share / max(int(self.open.sum()), 1)) ** 2
        if self.population is None:
            return drawn
        known: Floats = (self.weights * self.population.chance[:, None]) ** 2
        return np.where(self.open[:, None], drawn, known)

    def unseen(self) -> Floats:
        """For each row the share of its stratum that nobody asked."""
        if self.population is None:
            return np.ones(len(self.open))
        asked = self.population.asked(np.ones(len(self.open), dtype=bool))
        members, stratum = self.population.members, self.population.stratum
        return np.maximum(1.0 - asked[stratum] / members[stratum], 0.0)

    def known(self, rows: Bools, missed: Floats) -> Floats | float:
        """What a surrogate that missed all rows by ``missed`` ``(m,)`` misses in the estimate by ``rows`` alone."""
        if self.population is None:
            return 0.0
        return (self.population.chance[rows] * missed[rows]) @ self.weights[rows]


def cross_fit(observed: Effects, surrogate: Surrogate, rng: np.random.Generator) -> CrossFit:
    """Scores and held-out predictions; all rows of a group are in one fold.

    Args:
        observed: at least `FEWEST_GROUPS` groups outside layers that were asked whole.
        surrogate: what is fitted in each fold.
        rng: assigns groups to folds.
    """
    first, group_of = np.unique(observed.groups, return_index=True, return_inverse=True)[1:]
    drawn = _Drawn.of(observed)
    scored, groups, n = drawn.open[first], len(first), observed.n
    folds = folds_for(int(scored.sum()), n)
    fold_of = _dealt(drawn, first, folds, rng)
    share = drawn.share / np.bincount(group_of)[group_of]
    scores, own, unasked = np.zeros((groups, n)), np.zeros((groups, n)), np.ones(groups)
    fits, predicted, shown = np.zeros(len(observed)), np.zeros(len(observed)), np.zeros((len(observed), n))
    *without, final = folded(surrogate, observed, fold_of[group_of])
    for fold, surrogate_of in enumerate(without):
        inside = fold_of[group_of] == fold
        # Layers that were asked whole have no error of sampling: they are predicted, and take no part in the scores.
        held = inside & drawn.open
        seen = inside if drawn.population is None else slice(None)
        fits[seen] = surrogate_of.predict(observed.masks[seen])
        predicted[inside] = fits[inside]
        left, part = drawn.left(held)
        weights: Floats = drawn.weights[held] * (share[held] * left)[:, None]
        np.add.at(scores, group_of[held], weights * (observed.values - fits)[held, None])
        unasked[group_of[held]] = part
        shown[held] = weights**2 * part[:, None]
        own[fold_of == fold] = surrogate_of.attributions() + drawn.known(~held, observed.values - fits)
    error = final.error if isinstance(final, Sum) else None
    fitted = final.predict(observed.masks)
    rest = drawn.known(np.ones(len(observed), dtype=bool), observed.values - fitted)
    rounding = resolution(observed.values)
    shown /= float(scored.sum()) ** 2
    counts, spread = drawn.squares(), observed.noise.relative(len(observed))[:, None]
    return CrossFit(
        scores=(scores + own)[scored],
        predicted=predicted,
        fitted=fitted,
        folds=folds,
        own=own[scored],
        whole=final.attributions() + rest,
        unasked=unasked[scored],
        noise=(counts * spread).sum(axis=0),
        shown=(shown * spread).sum(axis=0),
        reach=drawn.share * float(np.abs(drawn.weights[drawn.open]).max(initial=0.0)),
        rounding=rounding,
        exact=error is not None and error <= EXACT * _missed(observed, predicted),
        flat=float(np.ptp(observed.values[drawn.open])) <= rounding,
        doubt=_doubt(drawn, observed.values, predicted, int(scored.sum())),
        deviation=float(np.std(observed.values[drawn.open])),
        whole_predicted=float(final.predict(np.ones((1, n), dtype=bool))[0]),
        borrowed=np.mean([each.borrowed for each in without if isinstance(each, Powered)], axis=0)
        if isinstance(final, Powered)
        else 0.0,
        weight=final.weight if isinstance(final, Powered) else 0.0,
        unshown=Unshown.of(np.maximum(counts - shown, 0.0), observed.values - predicted),
    )


class Completed(NamedTuple):
    """Attributions where some of all masks have no answer.

    Attributes:
        error: the attributions, and how far they may be off for the masks without an answer.
        weights: what each answered effect counts in them, shape ``(m, n)``.
        missing: how many masks have no answer.
    """

    error: Error
    weights: Floats
    missing: int


def completed(
    observed: Effects, surrogate: Surrogate, rng: np.random.Generator, weigh: Callable[[Effects], Floats]
) -> Completed:
    """What the surrogate predicts stands for the masks without an answer.

    It may be as far off there as it was off the pairs that were held out, of which those that weigh most count most: a
    pair adds its weight times the difference of its two errors (docs/decisions/0028-estimand-objects.md).

    Args:
        observed: at least `FEWEST_GROUPS` complement pairs of masks, the empty and the full one among them.
        surrogate: what is fitted.
        rng: assigns pairs to folds.
        weigh: what each effect counts, ``(2^n, n)``, where all masks were answered.
    """
    n, m = observed.n, len(observed)
    every = np.arange(2**n, dtype=np.int64)
    codes = np.asarray(observed.masks @ (1 << every[:n]), dtype=np.int64)
    missing = np.delete(every, codes)
    unanswered: Bools = (missing[:, None] >> every[:n] & 1).astype(bool)
    fit = cross_fit(observed, surrogate, rng)
    values = np.append(observed.values, surrogate.fit(observed).predict(unanswered))
    weights = weigh(Effects(np.vstack([observed.masks, unanswered]), values, every))
    off, absent, rows = observed.values - fit.predicted, weights[m:], np.arange(m)
    if (pairs := observed.complement_pairs()) is not None:
        rows, absent = pairs[0], absent[unanswered[:, 0]]
        off = off[pairs[0]] - off[pairs[1]]
    inner = observed.masks[rows].any(axis=1) & ~observed.masks[rows].all(axis=1)  # the two ends were answered
    off, share = off[inner], (weights[rows[inner]] ** 2).sum(axis=1)
    squared = float(share @ off**2 / share.sum())
    if float(np.ptp(off)) <= MET * float(np.ptp(observed.values)):
        squared = max(squared, (2.0 * float(np.std(observed.values)) / (len(off) + 1.0)) ** 2)
    degrees = np.full(n, max(float(share.sum() ** 2 / (share @ share)) - 1.0, 1.0))
    standard: Floats = np.sqrt((absent**2).sum(axis=0) * squared)
    return Completed(Error(weights.T @ (values - values.mean()), standard, degrees), weights[:m], len(missing))


def _doubt(drawn: _Drawn, effects: Floats, predicted: Floats, groups: int) -> float:
    """The standard error of the mean score if one group more had missed the surrogate by one; 0 if any did, see `MET`.

    A spread of zero over all groups is a sample of groups, too: none of R differed, and one of R + 1 may (a pseudo
    observation: Agresti and Coull 1998, The American Statistician 52:119-126). Masks that were asked leave no doubt.
    """
    off = (effects - predicted)[drawn.open]
    if not len(off) or float(np.ptp(off)) > MET * float(np.ptp(effects)):
        return 0.0
    unseen = drawn.share * float(drawn.unseen()[drawn.open].mean())
    return unseen * _one_missed(drawn.weights[drawn.open], groups)


def _one_missed(weights: Floats, groups: int) -> float:
    return float(np.sqrt((weights**2).mean())) / 2.0 / (groups + 1.0)


def doubt_of(observed: Effects, missed: Floats, weights: Floats) -> float:
    """The same for scores of another kind, such as those of pairs of units.

    Args:
        observed: all masks.
        missed: what surrogates missed of the masks that were scored, shape ``(rows,)``.
        weights: what these count in the scores, shape ``(rows, k)``.
    """
    if float(np.ptp(missed)) > MET * float(np.ptp(observed.values)):
        return 0.0
    unseen = float(_Drawn.of(observed).unseen().mean())
    groups = len(np.unique(observed.groups)) * len(missed) / len(observed)
    return unseen * _one_missed(weights, round(groups))


def _dealt(drawn: _Drawn, first: NDArray[np.int64], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each group at random, alike in all strata. ``first`` is the first row of each group."""
    shuffled = rng.permutation(len(first))
    if drawn.population is None:
        return shuffled % folds
    order = np.lexsort((shuffled, drawn.population.stratum[first], ~drawn.open[first]))
    fold_of = np.empty(len(first), dtype=np.int64)
    fold_of[order] = np.arange(len(first)) % folds
    return fold_of


def _missed(observed: Effects, predicted: Floats) -> float:
    """Mean squared error of held-out predictions ``(m,)`` of what attributions rest on: half differences, or rows."""
    residual, weights, pairs = observed.values - predicted, observed.importance(), observed.complement_pairs()
    if pairs is None:
        return float(np.mean(weights * residual**2))
    first, second = pairs
    return float(np.mean(weights[first] * ((residual[first] - residual[second]) / 2.0) ** 2))


def folds_for(groups: int, n: int) -> int:
    """Folds of the cross-fit of so many groups of ``n`` units: ten, but fewer where groups are few.

    Surrogates of folds that share nearly all their data make scores that hang together, and the spread of the scores
    then understates the error. Between 16 groups and 2n six folds keep false positives at 5-6% where ten let 7% through
    (docs/decisions/0002-intervals.md). The default, which chooses among many fits, needs six up to `FEWER_FOLDS` groups
    (docs/decisions/0011-higher-orders.md).
    """
    if groups < FEW_GROUPS:
        return min(FEWEST_GROUPS, groups)
    return 6 if groups < max(2 * n, FEWER_FOLDS) else 10


def noise_of_score(noise: float, *, keep: float = 0.5) -> float:
    """Variance that ``noise``, the variance of one effect, adds to the score of a pair: half the mean square weight."""
    return noise * (1.0 / keep + 1.0 / (1.0 - keep)) / 2.0
