"""`adaptive`: for each part of a game what fits it best, by left-out error. METHODS A2.

On complement pairs the odd part, which the attributions rest on, and the even part are fitted apart: by ridge (the even
part by a constant), by a Gaussian kernel, by boosted trees, by a sparse expansion of what the trees found, and by
rules. Other masks are fitted by all five as a whole. They are averaged with weights by left-out error, so that one
clear winner takes all: ridge where units add up, expansion and rules where some act together in threes and more, the
kernel where all do a little.
Why: docs/decisions/0006-adaptive.md, 0011-higher-orders.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.effects import Effects
from whygen.prompt.surrogates import kernel
from whygen.prompt.surrogates.base import Linear, Sum, Summand, folds_of, sum_of
from whygen.prompt.surrogates.expansion import Expanded, expansions
from whygen.prompt.surrogates.kernel import KernelFit, best_of, distinct, level_of, problems, targets, widths_of
from whygen.prompt.surrogates.linear import regression, solve_ridge, weights_of
from whygen.prompt.surrogates.products import leftover
from whygen.types import Floats

FAR = np.array([0.1, 0.5, 0.9])
"""Widths of the kernel that are tried, see `kernel.FAR`: three predict as well as six. Shapley values, which rest on
all sizes of masks, are up to a tenth nearer with all six."""

MOST_MASKS = 512
"""With more distinct masks (or pairs of masks) than this no kernel is tried: its time grows with their cube."""


FOLDS = 8
"""Folds that judge the expansion in a fit by itself."""

SURE, SHARE = 4.0, 0.25
"""Blocks whose left-out errors count in full for the weights, and the share of the others that does. Each error is the
least of many that were tried: under all of their likelihood chance decides between fits that do alike."""

LITTLE = 1e-3
"""What has less weight than this in the fit of all rows is not fitted without each fold."""

NOTHING = 0.5
"""Chance, before any effect was seen, that no unit does anything, where main effects, the kernel and all expansions
have 1 each: with 0 noise is fitted, with 1 games of many units and few masks are not."""

NEGLIGIBLE = 1e-6
"""Under this weight a part is left out."""

EXACT = 1e-6
"""What main effects meet to this share of the range of effects is theirs, whatever left-out errors say."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Ridge, a Gaussian kernel, boosted trees, their sparse expansion and rules, part by part.

    Attributes:
        name: of the surrogate.
        kept: what the kernels worked out of masks alone, by those masks; None where nothing is kept.
    """

    name: str = "adaptive"
    kept: dict[tuple[bytes, ...], _Kernels] | None = field(default=None, compare=False, repr=False)

    def remembering(self) -> Adaptive:
        """The same, for many effects of the same masks and folds: each decomposition is made once."""
        return replace(self, kept={})

    def _kernels(self, observed: Effects) -> _Kernels:
        if self.kept is None:
            return _Kernels(observed)
        # Everything a decomposition rests on, byte for byte: effects are no part of it, so they may differ.
        laid = (observed.masks, observed.groups, observed.importance(), np.array(observed.sizes is None))
        key = tuple(each.tobytes() for each in laid)
        if key not in self.kept:
            self.kept[key] = _Kernels(observed)
        return self.kept[key]

    def smallest_pairs(self, n: int) -> int:
        del n
        return 3

    def fit(self, observed: Effects) -> Sum:
        return self.prepared(observed)(observed.values)

    def prepared(self, observed: Effects) -> Callable[[Floats], Sum]:
        """Fits of many effects of the same masks: the kernels' decompositions are theirs alone."""
        kernels = self._kernels(observed)
        fold_of = folds_of(observed.groups, FOLDS)

        def fit(effects: Floats) -> Sum:
            seen = observed.with_values(effects)
            main = _main(seen)
            if _is_exact(seen, main):
                return _alone(seen, main)
            others = [_main(seen.take(fold_of != fold)).linear for fold in range(int(fold_of.max()) + 1)]
            expanded = expansions(seen, fold_of, [*others, main.linear])[-1]
            return _mixed(seen, main, kernels.fit(seen), expanded)[0]

        return fit

    def by_chance(self, observed: Effects) -> Callable[[Floats], Sum]:
        """Ridge and the kernel alone: trees and expansion predict nothing of shuffled effects."""
        kernels = self._kernels(observed)

        def fit(effects: Floats) -> Sum:
            seen = observed.with_values(effects)
            return _mixed(seen, _main(seen), kernels.fit(seen), {})[0]

        return fit

    def folded(self, observed: Effects, fold_of: NDArray[np.int64]) -> list[Sum]:
        """Fits without each fold, and of all rows: their forests grow in step.

        A kernel without weight in the fit of all rows is not fitted without a fold.
        """
        takes = [observed.take(fold_of != fold) for fold in range(int(fold_of.max()) + 1)]
        main, mains = _main(observed), [_main(rows) for rows in takes]
        if _is_exact(observed, main):
            smooth = [
                self._kernels(rows).fit(rows) if not _is_exact(rows, m) else {}
                for rows, m in zip(takes, mains, strict=True)
            ]
            fits = [_mixed(rows, m, s, {})[0] for rows, m, s in zip(takes, mains, smooth, strict=True)]
            return [*fits, _alone(observed, main)]
        # The search is made once for all folds, in step; the fit of all rows then says whether kernels are worth a fit.
        *expanded, last = expansions(observed, fold_of, [*(m.linear for m in mains), main.linear])
        whole, bends = _mixed(observed, main, self._kernels(observed).fit(observed), last)
        smooth = [self._kernels(rows).fit(rows) if bends else {} for rows in takes]
        fits = [_mixed(*each)[0] for each in zip(takes, mains, smooth, expanded, strict=True)]
        return [*fits, whole]


class _Kernels:
    """The kernel fits of a design: one for each part of complement pairs, or one of all rows; none of many masks."""

    def __init__(self, observed: Effects) -> None:
        self.once = distinct(observed)
        tried = problems(self.once) if len(self.once.centres) <= MOST_MASKS else []
        far = FAR if observed.sizes is None else kernel.FAR
        self.parts = [(problem, widths_of(problem, far)) for problem in tried]

    def fit(self, observed: Effects) -> dict[int, KernelFit]:
        """By the sign of the part."""
        wanted = targets(observed, self.once)
        return {p.sign: best_of(p, widths, y) for (p, widths), y in zip(self.parts, wanted, strict=False)}


class _Main(NamedTuple):
    """Main effects by ridge and units that do nothing (or share a total equally), with mean squared left-out errors."""

    linear: Linear
    error: float
    nothing: Linear
    nothing_error: float


def _main(observed: Effects) -> _Main:
    rows = regression(observed)
    solved = solve_ridge(rows)
    left: Floats = rows.y
    if rows.intercept:  # each by the mean of the others
        left = (left - left.mean()) * len(left) / max(len(left) - 1, 1)
    nothing = rows.model(np.zeros(observed.n), float(rows.y.mean()))
    return _Main(rows.back(solved.solution), solved.error, nothing, float(np.mean(left**2)))


def _is_exact(observed: Effects, main: _Main) -> bool:
    """Whether main effects leave nothing over, with twice as many equations as numbers to fit."""
    left = float(np.abs(observed.values - main.linear.predict(observed.masks)).max())
    equations = len(observed) if observed.complement_pairs() is None else len(np.unique(observed.groups))
    return equations >= 2 * (observed.n + 1) and left <= EXACT * float(np.ptp(observed.values))


def _alone(observed: Effects, main: _Main) -> Sum:
    return sum_of(observed, main.linear, error=main.error)


class _Candidate(NamedTuple):
    """What may stand for a part of the game, and its mean squared left-out error."""

    parts: tuple[Summand, ...]
    error: float


def _mixed(observed: Effects, main: _Main, smooth: dict[int, KernelFit], expanded: Expanded) -> tuple[Sum, bool]:
    """Every part of a game by all that was fitted to it, weighted by left-out error; and whether a kernel counts."""
    if _is_exact(observed, main):
        return _alone(observed, main), False
    blocks, level = len(np.unique(observed.groups)), level_of(observed)
    parts: list[Summand] = []
    bends, error = False, 0.0
    for sign, straight in _straight(observed, main).items():
        candidates = [straight, *(_Candidate((each.terms,), each.error) for each in expanded.get(sign, []))]
        if sign in smooth:
            around = () if sign < 0 else (level,)
            candidates.append(_Candidate((*around, smooth[sign].kernels), smooth[sign].error))
        # The likelihood of what was left out, but of a quarter of the blocks: each error is the least of many.
        bent = len(candidates) - 1
        if sign <= 0:
            candidates.append(_nothing(observed, main))
        errors = np.array([each.error for each in candidates])
        likely = weights_of(errors, min(blocks, SURE + SHARE * blocks))
        weights = _shared(likely, len(expanded.get(sign, [])), nothing=sign <= 0)
        for each, weight in zip(candidates, weights.tolist(), strict=True):
            parts += [part.times(weight) for part in each.parts if weight > NEGLIGIBLE]
        bends = bends or (sign in smooth and weights[bent] > LITTLE)
        error = float(weights @ errors) if sign <= 0 else error  # attributions rest on the odd part alone
    return sum_of(observed, *parts, error=error), bends


def _shared(weights: Floats, expansions: int, *, nothing: bool) -> Floats:
    """Weights with the chance before any effect was seen: main effects, the kernel, and all expansions together.

    With ``nothing`` the last weight is that of units that do nothing.

    Expansions see the same terms in other ways: four of them are no four times as likely.
    """
    # With a chance for each, additive games (16 units, 64 calls, noise .5) lose .022 of R2 and votes of six .015.
    before = np.ones(len(weights))
    before[1 : 1 + expansions] /= max(expansions, 1)
    before[-1] *= NOTHING if nothing else 1.0
    return weights * before / float(weights @ before)


def _nothing(observed: Effects, main: _Main) -> _Candidate:
    """That no unit does anything, as the odd part of complement pairs or as the whole."""
    level = main.nothing.intercept if observed.complement_pairs() is None else 0.0
    return _Candidate((replace(main.nothing, intercept=level),), main.nothing_error)


def _straight(observed: Effects, main: _Main) -> dict[int, _Candidate]:
    """Main effects as the odd part (-1) of complement pairs with a level for the even one (1), or as the whole (0)."""
    if observed.complement_pairs() is None:
        return {0: _Candidate((main.linear,), main.error)}
    level = Linear(main.linear.intercept, np.zeros(observed.n), observed.keep)
    # The error of a level is that of predicting each leftover by the weighted mean of the others.
    left = leftover(observed, main.linear)
    share = left.weights / left.weights.sum()
    missed: Floats = (left.residual - share @ left.residual) / np.maximum(1.0 - share, 1e-12)
    odd = Linear(0.0, main.linear.coefficients, observed.keep)
    return {
        -1: _Candidate((odd,), main.error),
        1: _Candidate((level,), float(np.mean(left.weights * missed**2))),
    }
