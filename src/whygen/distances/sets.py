"""Distances between sets of points, each point of a set weighing the same: transport, Sinkhorn, energy, sliced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportUnknownVariableType]

from whygen.distances.vectors import Numbers, distances, point_sets
from whygen.errors import MissingExtraError, UsageError, WhygenError
from whygen.types import Vectors

CLOSE = 1e-6
"""Squared distances under this share of the squared lengths lose digits in a matrix product and are computed anew."""

PAIRS_AT_ONCE = 8192


def ground(a: Vectors, b: Vectors) -> Numbers:
    """Euclidean distances between the rows of two sets, ``(t_a, t_b)``; exactly 0 between equal points.

    One matrix product gives |x|^2 + |y|^2 - 2 xy. Where that cancels, the difference itself is taken: without this,
    equal points would be some 1e-8 apart and a text not quite at 0 from itself.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
        squares = lengths - 2 * (a @ b.T)
        close = np.argwhere(squares <= CLOSE * lengths)
        if len(close) > PAIRS_AT_ONCE and (repeated := _repeated(a, b)) is not None:
            return repeated
        distances = np.sqrt(np.maximum(squares, 0.0))
        for start in range(0, len(close), PAIRS_AT_ONCE):
            left, right = close[start : start + PAIRS_AT_ONCE].T
            distances[left, right] = np.linalg.norm(a[left] - b[right], axis=1)
    return distances


def _repeated(a: Vectors, b: Vectors) -> Numbers | None:
    """The same by way of the distinct points, where points are repeated, as in the patches of a flat sky; else None."""
    first, row = distinct(a)
    second, column = distinct(b)
    if len(first) == len(a) and len(second) == len(b):
        return None
    return ground(a[first], b[second])[np.ix_(row, column)]


def distinct(points: Vectors) -> tuple[list[int], list[int]]:
    """Where each distinct point stands first, and for each point which of these it equals."""
    known: dict[bytes, int] = {}
    back = [known.setdefault(point.tobytes(), len(known)) for point in points]
    first = [0] * len(known)
    for place, number in reversed(list(enumerate(back))):
        first[number] = place
    return first, back


MOST_PIVOTS = 100_000_000
"""Of the network simplex. POT's own 100,000 can stop short of the optimum on sets of thousands of tokens."""

MOST_ASSIGNED = 1_000
"""Points up to which an assignment is quicker than the network simplex. On 1,875 (a sound of a minute) the simplex took
0.5 to 1.3 seconds where the assignment took 0.5 to 5.2 (docs/decisions/0021-sound-and-video.md)."""

MOST_PROGRAMMED = 100_000
"""Pairs of points up to which a linear program takes the place of POT: some seconds at the most."""

EPSILON = 0.1
"""Of `sinkhorn`, in the unit of the distance: a twentieth of the diameter of the unit sphere."""

ENOUGH = 1e-8
"""Of `sinkhorn`: the largest share of mass that may be misplaced when it stops."""

SWEEPS = 20
MOST_STEPS = 500
HALVINGS = 12


def optimal_transport(sets: Sequence[Vectors], reference: Vectors) -> Numbers:
    """Exact optimal transport from each set to the reference: the least mean distance that mass must travel.

    Uniform weights on both sides, Euclidean distance between points (the 1-Wasserstein distance): 0 to 2 between
    sets of unit vectors. A metric between sets, a repeated point counting as often as it occurs.

    Args:
        sets: n arrays, each of shape ``(t_i, d)`` with ``t_i >= 1``.
        reference: shape ``(t, d)``, ``t >= 1``.

    Returns:
        Shape ``(n,)``, in the unit of the points.

    Raises:
        DataError: if a set is empty, dimensions differ, a value is not finite or a distance overflows.

    Source: Kusner et al. 2015, "From word embeddings to document distances"; solved by POT's network simplex
    (Bonneel et al. 2011), and sets of one size as an assignment (Jonker and Volgenant 1987, in scipy).
    """
    points, target = point_sets(sets, reference)
    return distances(np.array([_transport(each, target) for each in points], dtype=np.float64))


def _transport(points: Vectors, target: Vectors) -> float:
    """The transport of one set; of large ones only what differs is moved.

    Transport by a metric depends on the difference of the two measures alone (Kantorovich and Rubinstein 1958): mass
    that both sides have at a point stays there, and points that are repeated are one. Long sounds share their silence,
    what loops, and what comes before the first difference.
    """
    if max(len(points), len(target)) <= MOST_ASSIGNED:
        return least_cost(ground(points, target))
    both = np.concatenate([points, target])
    first, place = distinct(both)
    if len(first) == len(both):
        return least_cost(ground(points, target))  # nothing is shared or repeated
    ours, theirs = (np.bincount(each, minlength=len(first)) for each in np.split(np.asarray(place), [len(points)]))
    surplus = ours * len(target) - theirs * len(points)  # in whole units of 1 / (n m): equal masses cancel exactly
    if not surplus.any():
        return 0.0
    gone, come = surplus > 0, surplus < 0
    moved = float(surplus[gone].sum()) / (len(points) * len(target))
    cost = ground(both[first][gone], both[first][come])
    return moved * least_cost(cost, weights=(surplus[gone], -surplus[come]))


def least_cost(cost: Numbers, *, weights: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None) -> float:
    """The least mean cost by which mass on the rows is carried to mass on the columns.

    By an assignment where both sides have equally many points; else by POT's network simplex, or by a linear program
    where POT is not installed (the same value to 1e-8, more slowly).

    Args:
        cost: shape ``(rows, columns)``, at least 0.
        weights: of rows and of columns, each above 0, with the same sum; None: uniform.

    Raises:
        MissingExtraError: if POT is not installed, and the program would be larger than `MOST_PROGRAMMED`.
    """
    rows, columns = (np.full(n, 1.0 / n) for n in cost.shape)
    if weights is not None:
        rows, columns = (each / each.sum() for each in weights)
    if weights is None and (1 in cost.shape or not np.isfinite(cost).all()):
        return float(cost.mean())  # all mass goes to, or comes from, one point; an overflow is reported by the caller
    if 1 in cost.shape or not np.isfinite(cost).all():
        return float(rows @ cost @ columns)
    if (
        weights is None and cost.shape[0] == cost.shape[1] <= MOST_ASSIGNED
    ):  # a best plan is a permutation (Birkhoff 1946)
        return float(cost[cast("Any", linear_sum_assignment)(cost)].mean())
    try:
        import ot  # where it is used: it loads torch if that is installed
    except ImportError:
        return _by_linear_program(cost, rows, columns)
    solve = cast("Any", ot).emd2  # POT has no types
    value, log = solve(rows, columns, cost, numItermax=MOST_PIVOTS, log=True)
    if log["warning"] is not None:
        raise WhygenError(f"Optimal transport between {cost.shape} points was not solved: {log['warning']}")
    return float(value)


def _by_linear_program(cost: Numbers, sent: Numbers, taken: Numbers) -> float:
    """Minimum of <P, C> over plans P >= 0 with the two margins (Kantorovich 1942), by HiGHS."""
    if cost.size > MOST_PROGRAMMED:
        what = f"Optimal transport between {cost.shape[0]} and {cost.shape[1]} points"
        raise MissingExtraError(what, extra="transport", package="POT")
    from scipy import optimize, sparse  # pyright: ignore[reportMissingTypeStubs]

    rows, columns = cost.shape
    tools = cast("Any", sparse)
    from_rows = tools.kron(tools.eye_array(rows), np.ones((1, columns)))
    to_columns = tools.kron(np.ones((1, rows)), tools.eye_array(columns))
    margins = np.concatenate([sent, taken])
    found = cast("Any", optimize).linprog(cost.ravel(), A_eq=tools.vstack([from_rows, to_columns]), b_eq=margins)
    if not found.success:
        raise WhygenError(f"Optimal transport between {cost.shape} points was not solved: {found.message}")
    return float(found.fun)


def sinkhorn(sets: Sequence[Vectors], reference: Vectors, *, epsilon: float = EPSILON) -> Numbers:
    """Sinkhorn divergence, OT_eps(a, b) - OT_eps(a, a) / 2 - OT_eps(b, b) / 2, of each set to the reference.

    Entropic transport with its bias taken away: at least 0, and 0 only between equal distributions; near the exact
    transport for a small epsilon, near half the energy distance for a large one. Symmetric; no triangle inequality.
    Accurate to about 1e-9 on the unit sphere.

    Args:
        sets: n arrays, each of shape ``(t_i, d)`` with ``t_i >= 1``.
        reference: shape ``(t, d)``, ``t >= 1``.
        epsilon: strength of the blur, above 0, in the unit of the points.

    Returns:
        Shape ``(n,)``, in the unit of the points.

    Raises:
        UsageError: if epsilon is too small for the distances between the points.
        DataError: if a set is empty, dimensions differ, a value is not finite or a distance overflows.

    Source: Feydy et al. 2019, "Interpolating between optimal transport and MMD using Sinkhorn divergences", eq. 3.
    """
    if not epsilon > 0:
        raise UsageError(f"epsilon={epsilon} must be above 0; the default is {EPSILON}.")
    points, target = point_sets(sets, reference)
    own = _entropic(ground(target, target), epsilon)
    values = [
        _entropic(ground(each, target), epsilon) - 0.5 * (_entropic(ground(each, each), epsilon) + own)
        for each in points
    ]
    return distances(np.array(values, dtype=np.float64))


def _entropic(cost: Numbers, epsilon: float) -> float:
    """Minimum of <P, C> + eps KL(P | a b): Sinkhorn's sweeps, then Newton's steps on the potentials of the rows.

    Sweeps alone need tens of thousands of rounds where most points have one near partner, as in texts that differ
    by a word; there the dual is nearly flat, and Newton's step is the one that knows how flat.

    Source: Brauer, Clason, Lorenz and Wirth 2017, "A Sinkhorn-Newton method for entropic optimal transport".
    """
    distances(cost)
    n = len(cost)
    f = np.zeros(n)
    for _ in range(SWEEPS):
        f = _soft_minimum(cost - _soft_minimum(cost - f[:, None], 0, epsilon), 1, epsilon)
    for _ in range(MOST_STEPS):
        g = _soft_minimum(cost - f[:, None], 0, epsilon)
        plan = np.exp((f[:, None] + g - cost) / epsilon) / cost.size
        sent = plan.sum(axis=1)
        missing = 1 / n - sent
        if np.abs(missing).sum() <= ENOUGH:
            return float(f.mean() + g.mean())
        # The dual does not change with a constant added to f; the last term fixes it. The ridge is rounding only.
        curvature = (np.diag(sent) - cost.shape[1] * plan @ plan.T) / epsilon
        curvature += (1 / (n * epsilon)) * (1 / n + 1e-13 * np.eye(n))
        step = cast("Numbers", np.linalg.solve(curvature, missing))
        f = _climb(f, step, float(f.mean() + g.mean()), cost, epsilon)
    raise UsageError(
        f"epsilon={epsilon} is too small for points up to {cost.max():.3g} apart: no convergence in {MOST_STEPS} "
        f"steps. Give a larger one, or use optimal_transport, which is exact."
    )


def _climb(f: Numbers, step: Numbers, value: float, cost: Numbers, epsilon: float) -> Numbers:
    """The potentials after the longest of the halved steps that does not lower the dual, and a sweep in any case."""
    for _ in range(HALVINGS):
        g = _soft_minimum(cost - (f + step)[:, None], 0, epsilon)
        if float((f + step).mean() + g.mean()) >= value - 1e-15:
            f = f + step
            break
        step = step / 2
    return _soft_minimum(cost - _soft_minimum(cost - f[:, None], 0, epsilon), 1, epsilon)


def _soft_minimum(values: Numbers, axis: int, epsilon: float) -> Numbers:
    """-eps log mean exp(-values / eps), without overflow."""
    least = values.min(axis=axis, keepdims=True)
    return least.squeeze(axis) - epsilon * np.log(np.exp((least - values) / epsilon).mean(axis=axis))


def energy(sets: Sequence[Vectors], reference: Vectors) -> Numbers:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of each set to the reference.

    Over all pairs of points, a point with itself included (the V-statistic): this compares the two sets as they are,
    so it is at least 0, and 0 only between equal distributions. 0 to 4 between sets of unit vectors. Symmetric; its
    square root is a metric, it itself is not. A comparison of the *laws* that two samples came from needs the
    U-statistic instead (METHODS A3).

    Args:
        sets: n arrays, each of shape ``(t_i, d)`` with ``t_i >= 1``.
        reference: shape ``(t, d)``, ``t >= 1``.

    Returns:
        Shape ``(n,)``, in the unit of the points.

    Raises:
        DataError: if a set is empty, dimensions differ, a value is not finite or a distance overflows.

    Source: Székely and Rizzo 2013, "Energy statistics", eq. 5 and 6.
    """
    points, target = point_sets(sets, reference)
    own = ground(target, target).mean()
    values = [2 * ground(each, target).mean() - ground(each, each).mean() - own for each in points]
    return distances(np.array(values, dtype=np.float64))


def directions(count: int, dim: int, rng: np.random.Generator) -> Vectors:
    """Unit vectors drawn uniformly from the sphere, shape ``(count, dim)``, for `sliced`."""
    drawn = rng.standard_normal((count, dim))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def sliced(sets: Sequence[Vectors], reference: Vectors, *, along: Vectors) -> Numbers:
    """Sliced transport: the mean over directions of the exact 1-D transport between the projected points.

    Much cheaper than `optimal_transport` on large sets, and never above it. In d dimensions a projection shortens
    a distance by about sqrt(2 / (pi d)), so values are comparable within one encoder only. A metric if the
    directions span the space; the same directions must be used for everything that is compared.

    Args:
        sets: n arrays, each of shape ``(t_i, d)`` with ``t_i >= 1``.
        reference: shape ``(t, d)``, ``t >= 1``.
        along: unit vectors ``(k, d)``, as from `directions`.

    Returns:
        Shape ``(n,)``, in the unit of the points.

    Raises:
        DataError: if a set is empty, dimensions differ, a value is not finite or a distance overflows.

    Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of measures", with the first power.
    """
    points, target = point_sets(sets, reference)
    (lines,), _ = point_sets([along], target)
    with np.errstate(over="ignore", invalid="ignore"):
        shadow = np.sort(target @ lines.T, axis=0)
        values = [_transport_on_lines(np.sort(each @ lines.T, axis=0), shadow) for each in points]
    return distances(np.array(values, dtype=np.float64))


def _transport_on_lines(a: Numbers, b: Numbers) -> float:
    """Mean over columns of the integral of |quantile_a - quantile_b|; both sorted along axis 0."""
    i, j, mass = _overlaps(len(a), len(b))
    return float((mass @ np.abs(a[i] - b[j])).mean())


def _overlaps(n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Numbers]:
    """Where steps of 1/n and of 1/m overlap: which step of each, and how much mass. In whole units of 1/lcm(n, m)."""
    every = math.lcm(n, m)
    ends = np.union1d(np.arange(1, n + 1) * (every // n), np.arange(1, m + 1) * (every // m))
    starts = np.concatenate([[0], ends[:-1]])
    return starts * n // every, starts * m // every, (ends - starts) / every
