"""Methods that are in use and do not hold what they say, run beside the package's own; and least squares, which does.

- A percentile bootstrap of ridge on the rows: the penalty's bias is not in it, and the rows of a pair are no two facts.
- Labels of single masks permuted freely, on masks that come in complement pairs: exchangeability does not hold.
- Distances between two sets of draws as V-statistics: what a set's own spread adds depends on the mask.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from benchmarks.trials import Cell, Floats, Trial, holds, play
from whygen import lab
from whygen.lab import Effects, Interval

REFITS = 100
DRAWS = 4


def pair_least_squares_width(trial: Trial) -> float:
    """Mean width of the textbook t interval of least squares on pair differences; NaN where pairs < 2n."""
    seen = trial.play.effects
    pairs = seen.complement_pairs()
    if pairs is None or seen.total is not None or trial.play.enumerated or len(pairs[0]) < 2 * seen.n:
        return float("nan")
    x = seen.masks[pairs[0]] - 0.5
    y = (seen.values[pairs[0]] - seen.values[pairs[1]]) / 2.0
    inverse = np.linalg.pinv(x.T @ x)
    residual = y - x @ (inverse @ (x.T @ y))
    degrees = len(y) - seen.n
    error = np.sqrt(np.diag(inverse) * (residual @ residual) / degrees)
    return float(2.0 * stdtrit(degrees, 0.975) * error.mean())


def bootstrap_coverage(cell: Cell, rng: np.random.Generator, *, games: int = 100) -> dict[str, object]:
    """Coverage of the percentile bootstrap of ridge over rows."""
    hits = []
    for _ in range(games):
        trial = play(cell, rng)
        hits.append(holds(trial, ridge_bootstrap(trial.play.effects, rng)))
    return {
        "method": "ridge bootstrap", "family": cell.family, "n": cell.n, "m": cell.m, "noise": cell.noise,
        "intervals": games * cell.n, "coverage": float(np.mean(hits)),
    }  # fmt: skip


def ridge_bootstrap(seen: Effects, rng: np.random.Generator, *, penalty: float = 1.0) -> Interval:
    """Percentile interval of scikit-learn's default ridge, refitted to rows drawn with replacement."""
    found = []
    for _ in range(REFITS):
        rows = rng.integers(0, len(seen), len(seen))
        x = seen.masks[rows].astype(float)
        x -= x.mean(axis=0)
        y = seen.values[rows] - seen.values[rows].mean()
        found.append(np.linalg.solve(x.T @ x + penalty * np.eye(seen.n), x.T @ y))
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return Interval(np.mean(found, axis=0), low, high)


def free_permutation_p(seen: Effects, unit: int, rng: np.random.Generator, *, permutations: int = 199) -> float:
    """P-value of the energy distance between effects with and without a unit, labels permuted over all rows."""
    gaps = np.abs(seen.values[:, None] - seen.values[None, :])
    labels = seen.masks[:, unit]
    shuffled = np.array([labels] + [rng.permutation(labels) for _ in range(permutations)])
    statistics = _energy(gaps, shuffled)
    return float((statistics >= statistics[0] * (1 - 1e-12)).mean())


def _energy(gaps: Floats, labels: np.ndarray) -> Floats:
    """Energy distance between the rows of either label, for every row of ``labels``."""
    one, two = labels.astype(float), (~labels).astype(float)
    a, b = one.sum(axis=1), two.sum(axis=1)
    across, left, right = (np.einsum("rm,rm->r", x @ gaps, y) for x, y in ((one, two), (one, one), (two, two)))
    return 2 * across / (a * b) - left / a**2 - right / b**2


def set_distances(
    rng: np.random.Generator, *, games: int = 60, n: int = 12, pairs: int = 64
) -> list[dict[str, object]]:
    """Coverage when the effect is a squared mean shift between sets of draws, by the statistic that estimates it.

    Outputs are normal; half the units move the mean, one unit sets the spread and nothing else. The squared distance of
    means (the maximum mean discrepancy of a linear kernel) has the U-statistic ``mean(x_i x_j) over i != j`` and the
    V-statistic that keeps ``i = j``, which adds a share of the variance: the unit of the spread seems to matter.
    """
    rows = []
    for name in ("U-statistic", "V-statistic"):
        hits = [_set_game(name, n, pairs, rng) for _ in range(games)]
        rows.append({"method": name, "intervals": games * n, "coverage": float(np.mean(hits)),
                     "unit of the spread": float(np.mean([hit[0] for hit in hits]))})  # fmt: skip
    return rows


def _set_game(name: str, n: int, pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Which intervals hold the Banzhaf value of minus the squared shift of the mean."""
    shift = np.where(np.arange(n) < n // 2, rng.normal(size=n), 0.0)
    shift[0] = 0.0
    design = lab.draw(n, 2 * pairs, rng)
    # The whole prompt is the origin: the effect of a mask is minus the square of what the missing units took away.
    mean = (design.masks - 1.0) @ shift
    spread = np.where(design.masks[:, 0], 0.5, 3.0)
    draws = mean[:, None] + spread[:, None] * rng.normal(size=(len(mean), DRAWS))
    square = draws.mean(axis=1) ** 2
    if name == "U-statistic":
        square = (draws.sum(axis=1) ** 2 - (draws**2).sum(axis=1)) / (DRAWS * (DRAWS - 1))
    interval = lab.limits(lab.effects_of(design.masks, -square, groups=design.groups), rng, surrogate="ridge")
    # E[-(sum over missing units)^2] given z_i = 1 minus given z_i = 0, each other unit missing with chance one half.
    truth = shift**2 + shift * (shift.sum() - shift)
    return (interval.low <= truth) & (truth <= interval.high)
