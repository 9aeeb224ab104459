"""Distributional mode: a mask is judged by the *set* of its draws against the set of references. METHODS A3.

Distances between two outputs come from the target; this module makes distances between two sets of them. Energy and
MMD are U-statistics: unbiased, so they may be negative, and are neither clipped nor rooted. Transport between samples
is biased upwards even when both come from one law; every set has the same number of draws, and the level that two sets
of the same law have is subtracted by the caller, so attributions (differences) are not touched by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.distances.sets import least_cost
from whygen.encoders import TextEncoder
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.targets import Target
from whygen.types import Floats, Output

SetDistance: TypeAlias = Callable[[Floats, Floats, Floats], float]
"""From the distances between two sets ``(a, b)``, within the first ``(a, a)`` and within the second ``(b, b)``."""

EPSILON = 0.1
"""Of Sinkhorn's blur, as a share of the largest distance between the two sets."""

_ROUNDS = 1000


def _within(distances: Floats) -> float:
    """Mean over pairs of *different* draws: the U-statistic."""
    n = len(distances)
    return float((distances.sum() - np.trace(distances)) / (n * (n - 1)))


def energy(between: Floats, first: Floats, second: Floats) -> float:
    """``2 E d(X, Y) - E d(X, X') - E d(Y, Y')`` as a U-statistic (Székely and Rizzo 2013, eq. 6.1 without i = j)."""
    return 2.0 * float(between.mean()) - _within(first) - _within(second)


def mmd(between: Floats, first: Floats, second: Floats) -> float:
    """Squared MMD under ``exp(-d^2 / 2)`` as a U-statistic (Gretton et al. 2012, lemma 6); d in the target's unit."""

    def kernel(distances: Floats) -> Floats:
        return np.exp(-(distances**2) / 2.0)

    return _within(kernel(first)) + _within(kernel(second)) - 2.0 * float(kernel(between).mean())


def optimal_transport(between: Floats, first: Floats, second: Floats) -> float:
    """The least mean distance by which one set of draws is carried to the other."""
    del first, second
    return least_cost(np.ascontiguousarray(between))


def sinkhorn(between: Floats, first: Floats, second: Floats) -> float:
    """Sinkhorn divergence: entropic transport less its own bias (Feydy et al. 2019, eq. 3)."""
    blur = EPSILON * float(max(between.max(), first.max(), second.max()))
    if blur <= 0.0:
        return 0.0
    return _entropic(between, blur) - (_entropic(first, blur) + _entropic(second, blur)) / 2.0


def _entropic(cost: Floats, blur: float) -> float:
    """Dual value of entropic transport between uniform weights, in the log domain."""
    a, b = np.zeros(cost.shape[0]), np.zeros(cost.shape[1])
    for _ in range(_ROUNDS):
        before = a
        a = -blur * _log_mean(b[None, :] / blur - cost / blur, axis=1)
        b = -blur * _log_mean(a[:, None] / blur - cost / blur, axis=0)
        if float(np.abs(a - before).max()) < 1e-9:
            break
    return float(a.mean() + b.mean())


def _log_mean(values: Floats, *, axis: int) -> Floats:
    highest = values.max(axis=axis)
    spread: Floats = np.exp(values - np.expand_dims(highest, axis)).sum(axis=axis)
    return highest + np.log(spread) - np.log(values.shape[axis])


DISTRIBUTIONS: dict[str, SetDistance] = {
    "energy": energy,
    "mmd": mmd,
    "optimal-transport": optimal_transport,
    "sinkhorn": sinkhorn,
}


def check_distribution(name: str | None, *, draws: int, references: int) -> None:
    """Refuse what cannot be compared as sets.

    Raises:
        UnknownNameError: if there is no such distance between sets.
        UsageError: if there are too few draws or references.
    """
    if name is None:
        return
    if name not in DISTRIBUTIONS:
        raise UnknownNameError("distribution", name, DISTRIBUTIONS)
    for what, count in (("draws", draws), ("references", references)):
        if count < 2:
            raise UsageError(
                f"distribution={name!r} compares sets of outputs: {what}={count} is no set. Give at least 2, better 4, "
                "or leave distribution out."
            )


def between(target: Target, first: Sequence[Output], second: Sequence[Output]) -> Floats:
    """Distances between all outputs of two lists, shape ``(a, b)``, in the target's unit."""
    return np.array([-target.effects(first, [other]) for other in second], dtype=np.float64).T


class Sets:
    """Effects of sets of draws: minus the distance to the set of references. Distances within the latter are kept."""

    def __init__(self, name: str, target: Target, references: Sequence[Output]) -> None:
        self._distance = DISTRIBUTIONS[name]
        self._target = target
        self._references = list(references)
        self._own = between(target, self._references, self._references)

    def effect(self, draws: Sequence[Output]) -> float:
        """Minus the distance of one set of draws to the references."""
        own = between(self._target, draws, draws)
        return -self._distance(between(self._target, draws, self._references), own, self._own)

    def jackknife(self, draws: Sequence[Output]) -> float:
        """Variance of `effect` under repetition, by leaving out each draw once; NaN under three draws."""
        n = len(draws)
        if n < 3:
            return float("nan")
        own, across = between(self._target, draws, draws), between(self._target, draws, self._references)
        kept = [np.delete(np.arange(n), i) for i in range(n)]
        values = np.array([-self._distance(across[rows], own[np.ix_(rows, rows)], self._own) for rows in kept])
        return float((n - 1) / n * ((values - values.mean()) ** 2).sum())


def mean_distances(target: Target, answers: Sequence[Sequence[Output]]) -> Floats:
    """Mean distance between the draws of two masks, shape ``(m, m)``.

    Between sentence vectors (Euclidean, a distance of negative type) where the target has an encoder, else in the
    target's own distance.
    """
    outputs = [output for draws in answers for output in draws]
    encoder = getattr(target, "encoder", None)
    if isinstance(encoder, TextEncoder):
        from scipy.spatial.distance import cdist

        vectors = encoder.sentences([output.said for output in outputs])
        apart = np.asarray(cdist(vectors, vectors), dtype=np.float64)
    else:
        apart = between(target, outputs, outputs)
    owner = np.repeat(np.arange(len(answers)), [len(draws) for draws in answers])
    share = (owner[None, :] == np.arange(len(answers))[:, None]) / np.bincount(owner)[:, None]
    return share @ apart @ share.T


def shift_p_values(
    distances: Floats, signs: NDArray[np.int64], rng: np.random.Generator, *, rounds: int = 2000
) -> Floats:
    """Does the law of the outputs differ with and without a unit? Energy statistic, labels swapped within pairs.

    With a unit in exactly one half of every complement pair, the energy statistic between "with" and "without" is a
    quadratic form in the signs of the pairs: the squared length of the sum of signed differences, where distances embed
    the outputs. What the other units do to the differences is taken off before labels are swapped (Freedman and Lane
    1983, Journal of Business & Economic Statistics 1:292-298), or it would count as noise: by a ridge on their signs,
    its penalty chosen by leaving one pair out. All draws of a mask stay together. METHODS A3, p-shift.

    Args:
        distances: mean distance between the draws of two masks, ``(2P, 2P)``; rows 2j and 2j + 1 are pair j.
        signs: ``(P, n)``: +1 where the first half of the pair keeps the unit, -1 where the second does.
        rng: of the swaps.
        rounds: random swaps; every one is used for all units.

    Returns:
        p-values ``(n,)``, at least ``1 / (rounds + 1)``.
    """
    first, second = distances[0::2], distances[1::2]
    products = (first[:, 1::2] - first[:, 0::2] + second[:, 0::2] - second[:, 1::2]) / 2.0
    x = signs.astype(np.float64)
    penalty = _penalty(x, products)
    swaps = rng.choice(np.array([-1.0, 1.0]), size=(rounds, len(products)))
    found: list[float] = []
    for unit in range(x.shape[1]):
        left = _without(np.delete(x, unit, axis=1), penalty)
        residuals, own = left @ products @ left, left @ x[:, unit]
        observed = float(own @ residuals @ own)
        # A fit leans on each pair: its residuals are smaller than the noise by the root of what it leaves of the pair.
        weights = own / np.sqrt(np.maximum(np.diag(left), 1e-9))
        null = np.einsum("rp,rp->r", (swaps * weights) @ residuals, swaps * weights)
        slack = 1e-9 * max(float(np.abs(null).max(initial=0.0)), 1e-300)
        found.append((1.0 + int((null >= observed - slack).sum())) / (rounds + 1.0))
    return np.array(found)


_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 1e6)
"""Of the ridge that takes other units off, as multiples of the pairs; the last takes off nothing."""

_LEAVES = 0.75
"""A fit that leaves less of the pairs on average has too few of them: what it takes off is the unit's own as well."""


def _penalty(x: Floats, products: Floats) -> float:
    """The penalty whose fit to all units' signs predicts left-out differences best, by their inner products."""
    errors: list[float] = []
    for share in _PENALTIES:
        left = _without(x, share * len(x))
        squares, kept = np.diag(left @ products @ left), np.diag(left)
        errors.append(float(np.sum(squares / kept**2)) if kept.mean() >= _LEAVES else np.inf)
    return _PENALTIES[int(np.argmin(errors))] * len(x)


def _without(x: Floats, penalty: float) -> Floats:
    """The matrix ``(P, P)`` that takes a ridge on ``x`` ``(P, k)`` off."""
    inner = x.T @ x + penalty * np.eye(x.shape[1])
    return np.eye(len(x)) - x @ np.linalg.solve(inner, x.T)
