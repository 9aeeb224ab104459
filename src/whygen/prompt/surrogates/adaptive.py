"""`adaptive`: for each part of a game the simpler or the smoother model, by its left-out error. METHODS A2.

On complement pairs the odd part, which the attributions rest on, is ridge or a Gaussian kernel; the even part is the few
two-way interactions of `pairs` or a kernel. Ridge and interactions are exact where a game is additive or pairwise, the
kernel follows what acts in threes and more. Other masks are fitted by the one or the other as a whole.
Why: docs/decisions/0006-adaptive.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whygen.prompt.observed import Observed
from whygen.prompt.surrogates.kernel import Fit, best_of, distinct, level_of, problems, targets, widths_of
from whygen.prompt.surrogates.least_squares import solve_ridge, weights_of
from whygen.prompt.surrogates.pairs import Leftover, choose, fit_both, leftover
from whygen.prompt.surrogates.rows import Linear, regression
from whygen.prompt.surrogates.values import Part, Sum, sum_of
from whygen.types import Effects

FAR = np.array([0.1, 0.5, 0.9])
"""Widths of the kernel that are tried, see `kernel.FAR`: these three predict as well as the six there, in half the time."""

MOST_MASKS = 512
"""With more distinct masks than this (pairs, where masks come in pairs) no kernel is tried: its time grows with their cube."""


NEGLIGIBLE = 1e-6
"""Under this weight a kernel is left out: what ridge represents exactly stays exact."""


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
        parts = [(problem, widths_of(problem, FAR)) for problem in tried]

        def fit(effects: Effects) -> Sum:
            seen = observed.with_effects(effects)
            smooth = [best_of(p, widths, y) for (p, widths), y in zip(parts, targets(seen, once), strict=False)]
            return sum_of(seen, *(_of_pairs(seen, *smooth) if len(smooth) == 2 else _of_rows(seen, *smooth)))

        return fit


def _of_rows(observed: Observed, smooth: Fit | None = None) -> tuple[Part, ...]:
    """Ridge and interactions, or the kernel, whichever predicts left-out groups better."""
    rows = regression(observed)
    solved = solve_ridge(rows)
    main = rows.back(solved.solution)
    chosen = choose(observed, main)
    error = solved.error if chosen.error is None else chosen.error
    if smooth is not None and smooth.error < error:
        return level_of(observed), smooth.kernels
    return fit_both(observed, chosen.support, main)


def _of_pairs(observed: Observed, odd: Fit, even: Fit) -> tuple[Part, ...]:
    """The odd part by ridge and kernel, weighted by left-out error; the even part by interactions or kernel."""
    rows = regression(observed)
    solved = solve_ridge(rows)
    main = rows.back(solved.solution)
    chosen = choose(observed, main)
    error = _error_of_level(leftover(observed, main)) if chosen.error is None else chosen.error
    if even.error < error:
        level, rest = level_of(observed).intercept, even.kernels
    else:
        level, rest = main.intercept, fit_both(observed, chosen.support, main)[1]
    straight, curved = weights_of(np.array([solved.error, odd.error]), len(rows.y)).tolist()
    main = Linear(level, straight * main.coefficients, observed.keep)
    return (main, odd.kernels.times(curved), rest) if curved > NEGLIGIBLE else (main, rest)


def _error_of_level(left: Leftover) -> float:
    """Mean squared error of predicting each leftover by the weighted mean of the others."""
    share = left.weights / left.weights.sum()
    missed = (left.residual - share @ left.residual) / np.maximum(1.0 - share, 1e-12)
    return float(np.mean(left.weights * missed**2))
