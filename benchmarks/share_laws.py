# pyright: basic
"""Laws of criteria that shares of anchors are tried on: what the reference has, and what anchors have.

The first five are those that the method was built on (decision 13). Where the next eight failed, the draws beyond the
highest score were tied together. The last were drawn up after that: nothing of the method was chosen by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

Sampler = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """Draws of the criteria, ``(n, c)``; the first is intrinsic, the others are extrinsic."""

    reference: Sampler
    anchors: Sampler
    discrete: bool = False

    def kinds(self, criteria: int) -> tuple[str, ...]:
        return ("intrinsic", *("extrinsic",) * (criteria - 1))


def _normal(rng: np.random.Generator, n: int, *, r: float = 0.5, shift: float = 0.0, c: int = 2) -> np.ndarray:
    """Standard normal criteria of correlation ``r``, moved by ``shift``."""
    cov = np.full((c, c), r) + (1 - r) * np.eye(c)
    return rng.multivariate_normal(np.full(c, shift), cov, size=n, method="cholesky")


def _sinh(z: np.ndarray) -> np.ndarray:
    return np.sinh(1.5 * z)


def _rounded(z: np.ndarray) -> np.ndarray:
    return np.round(1.2 * z)


def _of(transform: Callable[[np.ndarray], np.ndarray], *, shift: float, **options: float) -> Law:
    """The same transform of normal criteria for both, anchors moved by ``shift`` before it."""
    return Law(
        reference=lambda rng, n: transform(_normal(rng, n, **options)),
        anchors=lambda rng, n: transform(_normal(rng, n, shift=shift, **options)),
        discrete=transform is _rounded,
    )


def _gammas(rng: np.random.Generator, n: int, *, stretch: float = 1.0) -> np.ndarray:
    """A gamma and a log-normal criterion, as KLD and squared errors are."""
    z = _normal(rng, n)
    return np.column_stack([rng.gamma(3, stretch, size=n) + np.exp(0.3 * z[:, 0]), stretch * np.exp(0.6 * z[:, 1])])


def _mostly(rng: np.random.Generator, n: int) -> np.ndarray:
    """One anchor in ten is of the reference's kind, the others are spread far beyond it."""
    own = rng.random((n, 1)) < 0.1
    return np.where(own, _normal(rng, n, r=0.3), _normal(rng, n, r=0.7) * 2 + 4)


def _student(rng: np.random.Generator, n: int, *, shift: float = 0.0) -> np.ndarray:
    return _normal(rng, n, r=0.8, shift=shift) / np.sqrt(rng.chisquare(3, size=(n, 1)) / 3)


def _uniform(rng: np.random.Generator, n: int, *, power: float = 1.0) -> np.ndarray:
    return norm.cdf(_normal(rng, n, r=-0.4)) ** power


def _clustered(rng: np.random.Generator, n: int, *, part: float = 0.04) -> np.ndarray:
    """A few samples of the reference are of a harder kind, and lie where the threshold does."""
    harder = rng.random((n, 1)) < part
    return _normal(rng, n) + 4 * harder


def _inflated(rng: np.random.Generator, n: int, *, shift: float = 0.0) -> np.ndarray:
    """A third of the scores are exactly 0, the others are continuous."""
    return np.maximum(_normal(rng, n, r=0.2, shift=shift) + 0.43, 0)


def _exponential(rng: np.random.Generator, n: int, *, stretch: float = 1.0) -> np.ndarray:
    shared = rng.exponential(size=(n, 1))
    return stretch * np.maximum(shared, rng.exponential(size=(n, 3)))


def _weibull(rng: np.random.Generator, n: int, *, shape: float = 0.7) -> np.ndarray:
    """Stretched exponentials that go against each other."""
    return (-np.log(norm.sf(_normal(rng, n, r=-0.6)))) ** (1 / shape)


def _cauchy(rng: np.random.Generator, n: int, *, stretch: float = 1.0) -> np.ndarray:
    """A criterion without a mean beside a normal one."""
    z = _normal(rng, n, r=0.4)
    return np.column_stack([z[:, 0], np.exp(2.5 * z[:, 1])]) * stretch


def _logistic(rng: np.random.Generator, n: int, *, shift: float = 0.0) -> np.ndarray:
    u = norm.cdf(_normal(rng, n, r=0.95))
    return np.log(u / (1 - u)) + shift


def _blobs(rng: np.random.Generator, n: int, *, parts: tuple[float, ...] = (0.6, 0.3, 0.1)) -> np.ndarray:
    """Three kinds of sample, each with criteria of its own."""
    kind = rng.choice(3, size=n, p=parts)
    centres = np.array([[0.0, 0.0], [2.0, -1.0], [3.0, 3.0]])
    return centres[kind] + _normal(rng, n, r=0.0) * np.array([0.5, 0.8, 0.4])[kind, None]


def _steps(rng: np.random.Generator, n: int, *, size: float = 6.0) -> np.ndarray:
    return rng.poisson(size * np.exp(0.3 * _normal(rng, n)))


def _four(rng: np.random.Generator, n: int, *, shift: float = 0.0) -> np.ndarray:
    return _normal(rng, n, r=0.6, c=4, shift=shift)


BUILT_ON: Mapping[str, Law] = {
    "like the reference": _of(lambda z: z, shift=0.0),
    "somewhat foreign": _of(lambda z: z, shift=1.5),
    "far": _of(lambda z: z, shift=4.0),
    "heavy tails": _of(_sinh, shift=1.0),
    "few values": _of(_rounded, shift=0.0),
}
MENDED_BY: Mapping[str, Law] = {
    "gamma and log-normal": Law(reference=_gammas, anchors=_gammas),
    "the same, stretched": Law(reference=_gammas, anchors=lambda rng, n: _gammas(rng, n, stretch=1.5)),
    "mostly foreign": Law(reference=lambda rng, n: _normal(rng, n, r=0.3), anchors=_mostly),
    "Student, 3 degrees": Law(reference=_student, anchors=lambda rng, n: _student(rng, n, shift=1.2)),
    "uniform": Law(reference=_uniform, anchors=lambda rng, n: _uniform(rng, n, power=0.3)),
    "a harder kind among it": Law(reference=_clustered, anchors=lambda rng, n: _clustered(rng, n, part=0.3)),
    "many zeros": Law(reference=_inflated, anchors=lambda rng, n: _inflated(rng, n, shift=1.0)),
    "three criteria": Law(reference=_exponential, anchors=lambda rng, n: _exponential(rng, n, stretch=1.6)),
}

HELD_APART: Mapping[str, Law] = {
    "Weibull, against each other": Law(reference=_weibull, anchors=lambda rng, n: _weibull(rng, n, shape=0.6)),
    "without a mean": Law(reference=_cauchy, anchors=lambda rng, n: _cauchy(rng, n, stretch=1.5)),
    "nearly one criterion": Law(reference=_logistic, anchors=lambda rng, n: _logistic(rng, n, shift=1.5)),
    "three kinds": Law(reference=_blobs, anchors=lambda rng, n: _blobs(rng, n, parts=(0.2, 0.4, 0.4))),
    "counts": Law(reference=_steps, anchors=lambda rng, n: _steps(rng, n, size=8.0), discrete=True),
    "four criteria": Law(reference=_four, anchors=lambda rng, n: _four(rng, n, shift=0.7)),
}
