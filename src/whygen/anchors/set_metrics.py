"""How far apart two sets of samples are: FID, KID, precision, recall, density, coverage. Of a model, not of an anchor.

Each stands beside its floor: the same metric between two halves of the real samples. All of these depend on how many
samples there are, so both are taken at one size, half of the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls  # pyright: ignore[reportUnknownVariableType]

from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.results.anchors_scores import MetricRecord, MetricsRecord, ModeRecord
from whygen.stats.wilson import wilson

KERNEL_DEGREE = 3
NEAREST = 5
"""k of the neighbours: as in Naeem et al. 2020."""
MOST = 2000
"""More samples of a set than these are not looked at."""
HALVES = 20
FEWEST = 10
"""Samples of a half, at least."""
STUDENT = 2.09
"""The 97.5% quantile of Student's t with a degree of freedom for each half but one."""
BLOCK, ROWS = 4096, 512
DRAWS = 1_000
MISSED = 0.05
"""The chance that the upper end of any label's ratio is too low."""


def fid(features: ArrayLike, others: ArrayLike) -> float:
    """Frechet distance between the normal distributions that two sets of features have the moments of.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), covariances with n - 1. With C1 = A'A and C2 = B'B the trace
    of the root is the sum of the singular values of AB', exact for singular covariances, too. It is biased upwards in
    small sets; with no more samples than dimensions its value says little: use `kid` there.

    Args:
        features: ``(n, dim)``, n at least 2.
        others: ``(m, dim)``, m at least 2.

    Raises:
        DataError: if the shapes do not fit, or a feature is not finite.

    Source: Heusel et al. 2017 (arXiv 1706.08500), equation 6; Bures and Wasserstein's closed form.
    """
    one, other = _pair(features, others)
    left, right = _factor(one), _factor(other)
    shift = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    crossed = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return max(0.0, float(shift + np.square(left).sum() + np.square(right).sum() - 2 * crossed))


def kid(features: ArrayLike, others: ArrayLike) -> float:
    """Squared maximum mean discrepancy of two sets of features, unbiased: its mean is 0 for equal distributions.

    The kernel is (x . y / dim + 1)^3. The estimate may be negative.

    Args:
        features: ``(n, dim)``, n at least 2.
        others: ``(m, dim)``, m at least 2.

    Raises:
        DataError: if the shapes do not fit, or a feature is not finite.

    Source: Binkowski et al. 2018 (arXiv 1801.01401), section 4; Gretton et al. 2012, lemma 6.
    """
    one, other = _pair(features, others)
    within = _kernel_sum(one, one) - float(_kernel(np.square(one).sum(axis=1), one.shape[1]).sum())
    among = _kernel_sum(other, other) - float(_kernel(np.square(other).sum(axis=1), one.shape[1]).sum())
    n, m = len(one), len(other)
    return within / (n * (n - 1)) + among / (m * (m - 1)) - 2 * _kernel_sum(one, other) / (n * m)


def precision(features: ArrayLike, others: ArrayLike) -> float:
    """Share of ``others`` (generated) within the manifold of ``features`` (real): nearer than its k-th neighbour is.

    Source: Kynkaanniemi et al. 2019 (arXiv 1904.06991), equation 2.
    """
    return float(_within(*_pair(features, others)).any(axis=0).mean())


def recall(features: ArrayLike, others: ArrayLike) -> float:
    """Share of ``features`` (real) within the manifold of ``others`` (generated).

    Source: Kynkaanniemi et al. 2019 (arXiv 1904.06991), equation 3.
    """
    return precision(others, features)


def density(features: ArrayLike, others: ArrayLike) -> float:
    """How many balls of real samples hold a generated one, over k: its mean is 1 for equal sets, and may exceed that.

    Source: Naeem et al. 2020 (arXiv 2002.09797), equation 4.
    """
    return float(_within(*_pair(features, others)).sum(axis=0).mean() / NEAREST)


def coverage(features: ArrayLike, others: ArrayLike) -> float:
    """Share of real samples whose ball holds a generated one.

    Source: Naeem et al. 2020 (arXiv 2002.09797), equation 5.
    """
    return float(_within(*_pair(features, others)).any(axis=1).mean())


SET_METRICS: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = MappingProxyType(
    {"fid": fid, "kid": kid, "precision": precision, "recall": recall, "density": density, "coverage": coverage}
)
"""Metrics between real and generated features, by name."""
LOWER_IS_NEARER = frozenset({"fid", "kid"})
SHARES = frozenset({"precision", "recall", "coverage"})
"""Metrics that are shares: neither they nor their intervals leave 0 to 1."""


def wanted_metrics(metrics: str) -> tuple[str, ...]:
    """Names of ``all``, ``auto``, ``none``, or of names between commas.

    Raises:
        UnknownNameError: if there is no such metric.
    """
    if metrics in ("all", "auto", "none"):
        return () if metrics == "none" else tuple(SET_METRICS)
    names = tuple(name.strip() for name in metrics.split(","))
    for name in names:
        if name not in SET_METRICS:
            raise UnknownNameError("set metric", name, (*SET_METRICS, "all", "auto", "none"))
    return names


def survey_sets(
    real: ArrayLike, generated: ArrayLike, rng: np.random.Generator, *, names: Sequence[str], space: str
) -> MetricsRecord:
    """Each metric of generated against real samples, with its interval, and between halves of the real ones.

    The value is the mean over random halves of both sets. Its variance is that over the halves: leaving out half of the
    samples changes a statistic as much as drawing all of them anew does (the delete-d jackknife with d = n / 2), also
    where it has no derivative, as counts of neighbours have none. A share of few samples may be 1 in every half, which
    says less than that it has no error: its interval holds Wilson's of as many independent samples.

    Args:
        real: features ``(n, dim)``.
        generated: features ``(m, dim)``.
        rng: draws the halves.
        names: of the metrics.
        space: what the features are, for the record.

    Raises:
        UsageError: if there are too few samples for the neighbours.

    Source: Shao and Wu 1989, Annals of Statistics 17:1176.
    """
    one, other = _pair(real, generated)
    one, other = (each[rng.permutation(len(each))[:MOST]] for each in (one, other))
    size = min(len(one), len(other)) // 2
    if size < FEWEST:
        raise UsageError(
            f"There are {len(one)} real and {len(other)} generated samples, and set metrics need {2 * FEWEST} of each "
            "at least. Give more reference samples, or metrics='none'."
        )
    against, floor = list[list[float]](), list[list[float]]()
    for _ in range(HALVES):
        rows = rng.permutation(len(one))
        half, rest = one[rows[:size]], one[rows[size : 2 * size]]
        some = other[rng.permutation(len(other))[:size]]
        against.append([SET_METRICS[name](half, some) for name in names])
        floor.append([SET_METRICS[name](half, rest) for name in names])
    value, spread = np.mean(against, axis=0), np.std(against, axis=0, ddof=1)
    low, high = np.quantile(floor, [0.025, 0.975], axis=0)
    middle = np.mean(floor, axis=0)
    ends = [
        _ends(name, float(value[at]), STUDENT * float(spread[at]), len(other if name == "precision" else one))
        for at, name in enumerate(names)
    ]
    rows_ = [
        MetricRecord(
            name=name, value=float(value[at]), low=ends[at][0], high=ends[at][1], floor=float(middle[at]),
            floor_low=float(low[at]), floor_high=float(high[at]), better="low" if name in LOWER_IS_NEARER else "high",
        )
        for at, name in enumerate(names)
    ]  # fmt: skip
    return MetricsRecord(space=space, real=len(one), generated=len(other), size=size, rows=tuple(rows_))


def labels_made(
    labelled: ArrayLike, labels: Sequence[Hashable], generated: ArrayLike, real: ArrayLike | None, *,
    rng: np.random.Generator,
) -> tuple[ModeRecord, ...]:  # fmt: skip
    """How many of each label there are among generated and among real samples, read by the nearest labelled one.

    Reading errs: some of a label are read as another. How often is counted where each labelled sample is read by the
    others, and taken off: shares p of labels are read as C'p, where row j of C is how label j is read. What is known of
    C and of both readings is drawn 1,000 times (Dirichlet laws), and solved for p >= 0 each time. It rests on generated
    samples of a label being read as real ones of it are.

    Args:
        labelled: features ``(k, dim)``.
        labels: of them.
        generated: features ``(m, dim)``.
        real: features ``(n, dim)``; None: the labelled ones themselves, whose labels need not be read.
        rng: of the draws.

    Source: Saerens, Latinne and Decaestecker 2002 (Neural Computation 14:21), section 2.3, on the confusion matrix.
    """
    known, made = _pair(labelled, generated)
    names = tuple(dict.fromkeys(labels))
    places = {name: at for at, name in enumerate(names)}
    n, codes = len(names), np.array([places[each] for each in labels])
    read = np.zeros((n, n))
    np.add.at(read, (codes, codes[_nearest(known, None)]), 1)
    of_made = np.bincount(codes[_nearest(made, known)], minlength=n)
    of_real = (
        read.sum(axis=1) if real is None else np.bincount(codes[_nearest(_pair(known, real)[1], known)], minlength=n)
    )
    errs = np.stack([rng.dirichlet(row + 1 / n, size=DRAWS) for row in read], axis=1)
    own, theirs = (rng.dirichlet(counts + 1 / n, size=DRAWS) for counts in (of_made, of_real))
    own, theirs = _unread(errs, own), theirs if real is None else _unread(errs, theirs)
    one = 1 / (1 + of_real.sum())
    most = np.quantile(own / np.maximum(theirs, one), 1 - MISSED / n, axis=0)
    if real is not None:  # of what the real samples may have none of, nothing can be missed
        most = np.where(np.quantile(theirs, MISSED / n, axis=0) > one, most, np.maximum(most, 1))
    right, counts = np.diag(read), read.sum(axis=1)
    return tuple(
        ModeRecord(
            label=name if isinstance(name, int) else str(name), generated=int(of_made[at]), real=int(of_real[at]),
            astray=float((read[:, at].sum() - right[at]) / (len(known) - counts[at])), most=float(most[at]),
            is_read=wilson(int(right[at]), int(counts[at]))[0] > 0.5,
        )
        for at, name in enumerate(names)
    )  # fmt: skip


def _unread(errs: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of labels that were read as these, ``(draws, labels)``, for each draw of how labels are read."""
    found = np.empty_like(shares)
    for at, share in enumerate(shares):
        found[at] = nnls(errs[at].T, share, maxiter=100 * len(share))[0]
    return found / found.sum(axis=1, keepdims=True)


def _nearest(points: NDArray[np.float64], known: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """The row of the nearest of ``known``, or of the nearest other one, for each of the points."""
    found = np.empty(len(points), np.int64)
    for start in range(0, len(points), ROWS):
        some = slice(start, min(start + ROWS, len(points)))
        apart = _squares(points[some], points if known is None else known)
        if known is None:
            apart[np.arange(some.stop - start), np.arange(start, some.stop)] = np.inf
        found[some] = apart.argmin(axis=1)
    return found


def _ends(name: str, value: float, half: float, counted: int) -> tuple[float, float]:
    """The interval, within what a metric can reach (kid alone has no bias and may be negative).

    Args:
        name: of the metric.
        value: of it.
        half: half width by the halves.
        counted: samples of which a share is one.
    """
    low, high = value - half, value + half
    if name in SHARES:
        few = wilson(round(value * counted), counted)
        return max(0.0, min(low, few[0])), min(1.0, max(high, few[1]))
    return (low if name == "kid" else max(0.0, low)), high


def _within(real: NDArray[np.float64], generated: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which ball of a real sample, up to its k-th nearest other, holds which generated one, ``(real, generated)``."""
    own = _squares(real, real)
    np.fill_diagonal(own, np.inf)
    k = min(NEAREST, len(real) - 1)
    reach = np.partition(own, k - 1, axis=1)[:, k - 1]
    return _squares(real, generated) <= reach[:, None]


def _squares(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances, of points moved to their middle: products of far vectors round."""
    centre = one.mean(axis=0)
    a, b = one - centre, other - centre
    return np.maximum(np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T, 0)


def _pair(features: ArrayLike, others: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = np.asarray(features, dtype=np.float64), np.asarray(others, dtype=np.float64)
    for array in (one, other):
        if array.ndim != 2 or len(array) < 2 or array.shape[1] != one.shape[1]:
            raise DataError(
                f"The features have shapes {one.shape} and {other.shape}; give (n, dim) and (m, dim), two samples each "
                "at least, from one encoder."
            )
        if not np.isfinite(array).all():
            raise DataError("A feature is NaN or infinite; look at what the encoder makes of its samples.")
    return one, other


def _factor(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A factor A of the covariance A'A, with no more rows than there are samples or dimensions."""
    centred = (points - points.mean(axis=0)) / np.sqrt(len(points) - 1)
    if len(points) <= points.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"), dtype=np.float64)


def _kernel(products: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    return (products / dim + 1) ** KERNEL_DEGREE


def _kernel_sum(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The kernel summed over all pairs, in blocks of rows."""
    starts = range(0, len(one), BLOCK)
    return sum(float(_kernel(one[start : start + BLOCK] @ other.T, one.shape[1]).sum()) for start in starts)
