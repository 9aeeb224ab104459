"""`adaptive`: for each part of a game the simpler or the smoother model, by its left-out error. METHODS A2.

On complement pairs the odd part, which the attributions rest on, is ridge and a Gaussian kernel; the even part is the
few two-way interactions of `pairs` and a kernel. Ridge and interactions are exact where a game is additive or pairwise,
the kernel follows what acts in threes and more. Other masks are fitted by both as a whole. The two are averaged with
weights by left-out error, so that one clear winner takes all.
Why: docs/decisions/0006-adaptive.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import kernel
from whygen.prompt.surrogates.kernel import Fit, best_of, distinct, level_of, problems, targets, widths_of
from whygen.prompt.surrogates.least_squares import Solved, solve_ridge, weights_of
from whygen.prompt.surrogates.pairs import Chosen, Leftover, Products, choose, fit_both, leftover
from whygen.prompt.surrogates.rows import Linear, Rows, regression
from whygen.prompt.surrogates.sparse import solve_sparse
from whygen.prompt.surrogates.values import Part, Sum, sum_of
from whygen.types import Effects

FAR = np.array([0.1, 0.5, 0.9])
"""Widths of the kernel that are tried, see `kernel.FAR`: three predict as well as six. Shapley values, which rest on
all sizes of masks, are up to a tenth nearer with all six."""

MOST_MASKS = 512
"""With more distinct masks (or pairs of masks) than this no kernel is tried: its time grows with their cube."""


FEW_EQUATIONS = 2
"""With fewer equations (rows, or pairs of complements) a unit than this the lasso is tried beside ridge."""

MOST_UNITS = 256
"""With more units the lasso is not tried: its path takes minutes over all folds at a thousand."""

FEWEST_FOLDED = 8
"""Groups that the lasso's folds need."""

NEGLIGIBLE = 1e-6
"""Under this weight a kernel is left out."""

EXACT = 1e-6
"""What ridge and interactions meet to this share of the range of effects is theirs, whatever left-out errors say: in a
fold or two a pursuit may miss a term that it finds with all masks."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Ridge and sparse interactions, or a Gaussian kernel, part by part."""

    name: str = "adaptive"

    def smallest_pairs(self, n: int) -> int:
        del n
        return 3

    def fit(self, observed: Observed) -> Sum:
        return self.prepared(observed)(observed.effects)

    def prepared(self, observed: Observed) -> Callable[[Effects], Sum]:
        """Fits of many effects of the same masks: the kernels' decompositions are theirs alone."""
        once = distinct(observed)
        tried = problems(once) if len(once.centres) <= MOST_MASKS else []
        far = FAR if observed.sizes is None else kernel.FAR
        parts = [(problem, widths_of(problem, far)) for problem in tried]

        def fit(effects: Effects) -> Sum:
            seen = observed.with_effects(effects)
            smooth = [best_of(p, widths, y) for (p, widths), y in zip(parts, targets(seen, once), strict=False)]
            found, error = _of_pairs(seen, *smooth) if len(smooth) == 2 else _of_rows(seen, *smooth)
            return sum_of(seen, *found, error=error)

        return fit


class _Simple(NamedTuple):
    """Ridge and interactions, with the mean squared left-out error of ridge and of the interactions or the whole."""

    main: Linear
    products: Products
    straight: float
    error: float | None


def _simple(observed: Observed) -> _Simple:
    rows = regression(observed)
    solved = _straight(rows, observed.n)
    main = rows.back(solved.solution)
    chosen = choose(observed, main)
    if chosen.error is not None and chosen.error > solved.error and observed.complement_pairs() is None:
        chosen = Chosen(chosen.support[:0], None)  # they were chosen beside ridge alone, and the lasso does without
    return _Simple(*fit_both(observed, chosen.support, main), solved.error, chosen.error)


def _straight(rows: Rows, n: int) -> Solved:
    """Ridge; where equations are few, averaged with the lasso: of a real prompt most units matter little."""
    ridge = solve_ridge(rows)
    if len(rows.y) >= FEW_EQUATIONS * n or n > MOST_UNITS or len(np.unique(rows.groups)) < FEWEST_FOLDED:
        return ridge
    sparse = solve_sparse(rows)
    weights = weights_of(np.array([ridge.error, sparse.error]), len(rows.y) // rows.block)
    return Solved(
        weights[0] * ridge.solution + weights[1] * sparse.solution,
        float(weights @ np.array([ridge.error, sparse.error])),
    )


def _is_exact(observed: Observed, simple: _Simple) -> bool:
    """Whether ridge and interactions leave nothing over, with twice as many equations as numbers to fit."""
    fitted = simple.main.predict(observed.masks) + simple.products.predict(observed.masks)
    numbers = observed.n + len(simple.products.support) + 1
    left = float(np.abs(observed.effects - fitted).max())
    return len(np.unique(observed.groups)) >= 2 * numbers and left <= EXACT * float(np.ptp(observed.effects))


def _of_rows(observed: Observed, smooth: Fit | None = None) -> tuple[tuple[Part, ...], float]:
    """Ridge and interactions, and the kernel, weighted by left-out error."""
    simple = _simple(observed)
    error = simple.straight if simple.error is None else simple.error
    if smooth is None or _is_exact(observed, simple):
        return (simple.main, simple.products), error
    straight, curved = weights_of(np.array([error, smooth.error]), len(np.unique(observed.groups))).tolist()
    level, main = level_of(observed), simple.main.times(straight)
    parts = (level.times(curved), main, simple.products.times(straight), smooth.kernels.times(curved))
    return parts, straight * error + curved * smooth.error


def _of_pairs(observed: Observed, odd: Fit, even: Fit) -> tuple[tuple[Part, ...], float]:
    """The odd part by ridge and kernel, the even part by interactions and kernel, each weighted by left-out error."""
    simple = _simple(observed)
    if _is_exact(observed, simple):
        return (simple.main, simple.products), simple.straight
    pairs = len(np.unique(observed.groups))
    error = _error_of_level(leftover(observed, simple.main)) if simple.error is None else simple.error
    sparse, dense = weights_of(np.array([error, even.error]), pairs).tolist()
    straight, curved = weights_of(np.array([simple.straight, odd.error]), pairs).tolist()
    level = sparse * simple.main.intercept + dense * level_of(observed).intercept
    main = Linear(level, straight * simple.main.coefficients, observed.keep)
    smooth = tuple(fit.kernels.times(w) for fit, w in ((odd, curved), (even, dense)) if w > NEGLIGIBLE)
    return (main, simple.products.times(sparse), *smooth), straight * simple.straight + curved * odd.error


def _error_of_level(left: Leftover) -> float:
    """Mean squared error of predicting each leftover by the weighted mean of the others."""
    share = left.weights / left.weights.sum()
    missed: NDArray[np.float64] = (left.residual - share @ left.residual) / np.maximum(1.0 - share, 1e-12)
    return float(np.mean(left.weights * missed**2))
