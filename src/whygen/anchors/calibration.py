"""Where "high" begins: thresholds and p-values for criteria, with where they come from and how sure they are.

Low values of a criterion mean high affinity. Four kinds (METHODS B2): `conformal` is the default and the only one
whose level is guaranteed; `mean_max` is the paper's; `percentile` and `deviations` ("std") are for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Criteria, averaged, drawn, finite_criteria
from whygen.errors import DataError, UsageError
from whygen.results.prompt import Warned
from whygen.stats import conformal as split
from whygen.stats.multiplicity import benjamini_hochberg

CalibrationKind: TypeAlias = Literal["conformal", "mean-max", "percentile", "std"]
Role: TypeAlias = Literal["held-out", "training", "generated"]
Level: TypeAlias = Literal["criterion", "joint"]
Multiplicity: TypeAlias = Literal["none", "benjamini-hochberg"]

MAX_GAP = math.exp(-0.5772156649015329)
"""E[max of N] of an exponential-type tail sits at the quantile 1 - exp(-Euler's constant) / N = 1 - .5615 / N."""

WIDE_SPREAD = 0.2
"""A threshold whose spread is a larger part of it than this earns a warning (METHODS B6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """An anchor has high affinity where its criterion ``comparison`` ``value``.

    ``spread`` is a standard deviation relative to ``abs(value)``: that of the threshold, or, for mean-max, that of a
    single round's maximum. None where it is not known (one round, a threshold of 0).
    """

    criterion: str
    value: float
    comparison: Literal["<", "<="]
    spread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Thresholds, and everything needed to say where they come from and to draw them again.

    ``alpha`` is per criterion, after the division that ``level="joint"`` asks for. ``realised_level`` is what n
    scores really give, ``realised_low`` and ``realised_high`` hold the level of this very reference with
    probability 0.9. ``n`` counts reference or generated values; for mean-max they are ``rounds`` x ``per_round``.
    """

    kind: CalibrationKind
    names: tuple[str, ...]
    n: int
    role: Role
    thresholds: tuple[Threshold, ...]
    provenance: str
    alpha: float | None = None
    level: Level = "criterion"
    multiplicity: Multiplicity = "none"
    realised_level: float | None = None
    realised_low: float | None = None
    realised_high: float | None = None
    floors: tuple[float, ...] | None = None
    """Below these a criterion is lower than nearly all of the reference: the other tail. None where there is none."""
    tail: float | tuple[float, ...] | None = None
    """Share of the population above a threshold that is a quantile of it (of each criterion, where they differ); None
    for other thresholds."""
    low_tail: float | None = None
    """The share below a floor, where it is another than `tail`."""
    rounds: int | None = None
    per_round: int | None = None
    implied_quantile: float | None = None
    warnings: tuple[Warned, ...] = ()
    basis: Criteria = field(repr=False, default_factory=lambda: np.empty((1, 0, 0)))
    """What the thresholds were computed from: ``(S, n, c)`` values, or ``(1, R, c)`` maxima of rounds."""
    rule: Callable[[Criteria], NDArray[np.float64]] = field(repr=False, default=lambda basis: basis[0])
    """From a basis ``(n, c)`` to thresholds ``(c,)``."""

    def high(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which criteria of which anchors show high affinity: ``(n, c)`` or ``(S, n, c)`` to ``(n, c)``."""
        return self.high_given(averaged(finite_criteria(values, self.names)), averaged(self.basis))

    def below(self, values: ArrayLike) -> NDArray[np.bool_] | None:
        """Which criteria of which anchors are lower than nearly all of the reference; None where that is not tried."""
        if self.floors is None:
            return None
        return averaged(finite_criteria(values, self.names)) < np.array(self.floors)

    def p_values(self, values: ArrayLike) -> NDArray[np.float64] | None:
        """Conformal p-values ``(n, c)``, small where a criterion is high; None for other kinds, which have no level."""
        if self.kind != "conformal":
            return None
        return _p_values(averaged(finite_criteria(values, self.names)), averaged(self.basis))

    def p_high(self, values: ArrayLike) -> NDArray[np.float64] | None:
        """Conformal p-values ``(n, c)`` of the other tail: small where a criterion is lower than the reference's."""
        if self.kind != "conformal":
            return None
        return _p_values(-averaged(finite_criteria(values, self.names)), -averaged(self.basis))

    @property
    def least_alike(self) -> float | None:
        """The least share of samples like the reference that no tail of any criterion calls out (a union bound)."""
        if self.kind != "conformal" or self.alpha is None:
            return None
        tails = 1 if self.floors is None else 2
        return max(0.0, 1 - tails * len(self.names) * self.alpha)

    def high_given(self, values: Criteria, basis: Criteria) -> NDArray[np.bool_]:
        """`high` for values ``(n, c)`` if the calibration had been made from this basis ``(n', c)``."""
        if self.multiplicity == "benjamini-hochberg" and self.alpha is not None:
            p, alpha = _p_values(values, basis), self.alpha
            return ~np.column_stack([benjamini_hochberg(column, level=alpha) for column in p.T])
        return self.within(values, self.rule(basis))

    def within(self, values: Criteria, limits: NDArray[np.float64]) -> NDArray[np.bool_]:
        """High affinity ``(..., n, c)`` of values ``(n, c)`` by these thresholds, ``(c,)`` or ``(..., 1, c)``."""
        return values < limits if self.kind == "mean-max" else values <= limits

    def limits_drawn(
        self, basis: Criteria, rng: np.random.Generator, *, replicates: int, another: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Thresholds and floors as the calibration leaves them open, each ``(replicates, c)``.

        Args:
            basis: criteria of the reference, or maxima of rounds, ``(n, c)``.
            rng: draws them.
            replicates: how many.
            another: draw what *another* calibration of the same size would give, which is as uncertain again: this
                one is as far from the population's thresholds as that one will be (decision 13). Without it, what
                the population's thresholds may be.
        """
        if self.tail is None:
            rows = [self.rule(basis[_resampled(len(basis), rng, twice=another)]) for _ in range(replicates)]
            return np.stack(rows), None
        masses = rng.exponential(size=(replicates, len(basis)))
        upper = self._drawn(basis, masses, rng, self.tail, another=another)
        low = self.tail if self.low_tail is None else self.low_tail
        return upper, None if self.floors is None else -self._drawn(-basis, masses, rng, low, another=another)

    def _drawn(
        self, basis: Criteria, masses: NDArray[np.float64], rng: np.random.Generator,
        levels_of: float | tuple[float, ...], *, another: bool,
    ) -> NDArray[np.float64]:  # fmt: skip
        n, draws = len(basis), len(masses)
        each = (levels_of,) * basis.shape[1] if isinstance(levels_of, float | int) else levels_of
        tails = split.beyond(basis, draws, rng, heaviest=split.USUAL if another else split.HEAVIEST)
        columns = list[NDArray[np.float64]]()
        for column, tail, level in zip(basis.T, tails, each, strict=True):
            rank = max(1, split.rank_at(n, level))
            levels = rng.beta(rank, n + 1 - rank, size=draws) if another else np.full(draws, level)
            columns.append(split.population_thresholds(column, levels, masses, tail))
        return np.column_stack(columns)

    def discrete(self) -> NDArray[np.bool_]:
        """Which criteria take few values in the reference, so that a threshold jumps from one to the next."""
        return np.array([split.is_discrete(column) for column in averaged(self.basis).T])

    def high_redrawn(self, values: Criteria, basis: Criteria, rng: np.random.Generator) -> NDArray[np.bool_]:
        """`high` by one resampled basis, for rules that look at all anchors at once (Benjamini-Hochberg)."""
        return self.high_given(values, basis[_resampled(len(basis), rng, twice=True)])

    def bootstrap(self, rng: np.random.Generator, replicates: int) -> NDArray[np.float64]:
        """Thresholds of ``replicates`` bootstrap calibrations, shape ``(replicates, c)``."""
        basis = averaged(self.basis)
        rows = (rng.integers(len(basis), size=len(basis)) for _ in range(replicates))
        return np.stack([self.rule(basis[row]) for row in rows])


def conformal(
    reference: ArrayLike,
    *,
    names: Sequence[str],
    alpha: float = 0.025,
    level: Level = "criterion",
    role: Role = "held-out",
    multiplicity: Multiplicity = "none",
) -> Calibration:
    """Split-conformal calibration on real samples that the model has not seen. Low affinity where p <= alpha.

    Args:
        reference: criteria of the reference samples, ``(n, c)`` or ``(S, n, c)``.
        names: the c criteria.
        alpha: chance of calling a sample like the reference low, for each criterion or (``level="joint"``) for all
            of them together, by Bonferroni's bound.
        level: what alpha is for.
        role: "held-out", or "training": then the level holds for training-like samples only, and that is warned of.
        multiplicity: "benjamini-hochberg" bounds by alpha the share of false ones among the anchors called low
            instead of the chance of each.

    Raises:
        UsageError: if the reference is too small for the level, or is a generated one.
        DataError: if a criterion is not finite.

    Source: METHODS B2; Bates et al. 2023 (arXiv 2104.08279).
    """
    basis = drawn(finite_criteria(reference, names, what="reference sample"))
    each = alpha / len(names) if level == "joint" else alpha
    n = basis.shape[1]
    if role == "generated":
        raise UsageError('role="generated": conformal needs real samples. Give a reference, or use mean_max.')
    require_enough(n, alpha=alpha, level=level, criteria=len(names))
    rank = split.rank_at(n, each)
    low, high = split.level_spread(n, each)
    realised = split.realised_level(n, each)
    whom = "of all criteria together" if level == "joint" else "per criterion"
    calibration = _calibration(
        "conformal",
        basis,
        names=names,
        role=role,
        rule=lambda rows: _order_statistic(rows, len(rows) + 1 - split.rank_at(len(rows), each)),
        spread=lambda rows: _order_spread(rows, n + 1 - rank),
        warnings=_training_warning(role),
        provenance=f"conformal, alpha {alpha:g} {whom}, against {n} {role} samples: "
        f"realised level {realised:.4g} per criterion (90%: {low:.4g} to {high:.4g})",
    )
    return replace(
        calibration,
        alpha=each,
        level=level,
        multiplicity=multiplicity,
        realised_level=realised,
        realised_low=low,
        realised_high=high,
        tail=each if multiplicity == "none" else None,
        floors=tuple(float(value) for value in _order_statistic(averaged(basis), rank)),
    )


def round_maxima(batches: Iterable[ArrayLike], *, names: Sequence[str]) -> NDArray[np.float64]:
    """The maximum of each criterion over one round of generated samples, batch by batch.

    Args:
        batches: arrays ``(b, c)``; only one is held at a time.
        names: the c criteria.

    Returns:
        Shape ``(c,)``.

    Raises:
        DataError: if there are no samples, or a criterion of one is not finite.
    """
    maxima: NDArray[np.float64] | None = None
    for batch in batches:
        top = averaged(finite_criteria(batch, names, what="generated sample")).max(axis=0)
        maxima = top if maxima is None else np.maximum(maxima, top)
    if maxima is None:
        raise DataError("The round holds no generated samples; give at least one batch.")
    return maxima


def mean_max(rounds: Iterable[ArrayLike], *, names: Sequence[str], per_round: int) -> Calibration:
    """The paper's thresholds: the mean over R rounds of the maximum over N generated samples.

    The mean over rounds steadies the threshold but does not move its level, which is set by N alone.

    Args:
        rounds: R rows of maxima, each ``(c,)``, as `round_maxima` makes them; consumed one by one.
        names: the c criteria.
        per_round: N, the generated samples of one round.

    Raises:
        DataError: if there are no rounds, or a maximum is not finite.

    Source: METHODS B2, B5 (N = 60,000 and R = 100 in the published code); affinity is high where strictly below.
    """
    rows = [np.asarray(row, dtype=np.float64) for row in rounds]
    if not rows or per_round < 1:
        raise DataError(
            f"mean-max was given {len(rows)} rounds of per_round={per_round} samples; give at least one of each."
        )
    basis = drawn(finite_criteria(np.stack(rows), names, what="round"))
    count, quantile = len(rows), 1 - MAX_GAP / per_round
    calibration = _calibration(
        "mean-max",
        basis,
        names=names,
        role="generated",
        rule=_mean,
        spread=lambda maxima: maxima.std(axis=0, ddof=1) if count > 1 else np.full(len(names), np.nan),
        provenance=f"mean-max over R = {count} rounds of N = {per_round} generated samples: "
        f"about the quantile {quantile:.7g} of generated samples",
        size=count * per_round,
    )
    return replace(calibration, rounds=count, per_round=per_round, implied_quantile=quantile)


def percentile(values: ArrayLike, *, names: Sequence[str], q: float = 95.0, role: Role = "generated") -> Calibration:
    """The q-th percentile of reference or generated values; affinity is high up to and including it.

    Args:
        values: ``(n, c)`` or ``(S, n, c)``.
        names: the c criteria.
        q: percentile, within (0, 100]; the value is one of those given, never between two.
        role: what the values come from. On generated samples this breaks the groups; allowed, with a warning.

    Raises:
        UsageError: if q is not a percentile.
        DataError: if a criterion is not finite.
    """
    if not 0 < q <= 100:
        raise UsageError(f"q={q} is not a percentile; give a number above 0 and up to 100, such as 95.")
    basis = drawn(finite_criteria(values, names, what="sample"))
    rank = _percentile_rank(basis.shape[1], q)
    calibration = _calibration(
        "percentile",
        basis,
        names=names,
        role=role,
        rule=lambda rows: _order_statistic(rows, _percentile_rank(len(rows), q)),
        spread=lambda rows: _order_spread(rows, rank),
        warnings=_generated_warning(role, f"percentile {q:g}") + _training_warning(role),
        provenance=f"percentile {q:g} of {basis.shape[1]} {role} samples; no level is guaranteed",
    )
    return replace(calibration, tail=1 - q / 100 if 0 < q < 100 else None)


def deviations(values: ArrayLike, *, names: Sequence[str], count: float = 2.0, role: Role = "generated") -> Calibration:
    """The "std" kind: the mean plus ``count`` standard deviations; affinity is high up to and including it.

    Args:
        values: ``(n, c)`` or ``(S, n, c)``, at least two samples.
        names: the c criteria.
        count: standard deviations above the mean.
        role: what the values come from.

    Raises:
        DataError: if a criterion is not finite, or there is one sample only.
    """
    basis = drawn(finite_criteria(values, names, what="sample"))
    if basis.shape[1] < 2:
        raise DataError("A standard deviation needs at least two samples; one was given.")
    return _calibration(
        "std",
        basis,
        names=names,
        role=role,
        rule=lambda rows: rows.mean(axis=0) + count * rows.std(axis=0, ddof=1),
        spread=lambda rows: _deviation_spread(rows, count),
        warnings=_generated_warning(role, f"mean + {count:g} sd") + _training_warning(role),
        provenance=f"mean + {count:g} standard deviations of {basis.shape[1]} {role} samples; no level is guaranteed",
    )


def _calibration(
    kind: CalibrationKind,
    basis: Criteria,
    *,
    names: Sequence[str],
    role: Role,
    rule: Callable[[Criteria], NDArray[np.float64]],
    spread: Callable[[Criteria], NDArray[np.float64]],
    provenance: str,
    warnings: tuple[Warned, ...] = (),
    size: int | None = None,
) -> Calibration:
    """Compute thresholds and their spread from the mean over draws, and warn where the spread is wide."""
    mean = averaged(basis)
    thresholds = tuple(
        Threshold(
            criterion=name,
            value=float(value),
            comparison="<" if kind == "mean-max" else "<=",
            spread=None if value == 0 or not np.isfinite(sd) else float(sd / abs(value)),
        )
        for name, value, sd in zip(names, rule(mean), spread(mean), strict=True)
    )
    return Calibration(
        kind=kind,
        names=tuple(names),
        n=basis.shape[1] if size is None else size,
        role=role,
        thresholds=thresholds,
        provenance=provenance,
        warnings=warnings + _spread_warnings(kind, thresholds),
        basis=basis,
        rule=rule,
    )


def _spread_warnings(kind: CalibrationKind, thresholds: Sequence[Threshold]) -> tuple[Warned, ...]:
    remedy = (
        "Average more rounds (R) to steady it, or give held-out reference samples and calibrate with conformal."
        if kind == "mean-max"
        else "Give more reference samples, or a larger alpha: the threshold rests on the few most extreme ones."
    )
    return tuple(
        Warned(
            code="threshold-spread",
            text=f"The threshold of {each.criterion} ({each.value:.4g}) has a spread of {each.spread:.0%}. {remedy}",
        )
        for each in thresholds
        if each.spread is not None and each.spread > WIDE_SPREAD
    )


def _generated_warning(role: Role, rule: str) -> tuple[Warned, ...]:
    if role != "generated":
        return ()
    text = (
        f"{rule} of generated samples breaks the groups: what a decoder makes is far easier to reconstruct than real "
        "samples are, and in-class test images called HIHE fall to 18-26% at the 95th percentile (MNIST zeros, three "
        "seeds). Give held-out reference samples and calibrate with conformal; without any, use mean-max."
    )
    return (Warned(code="generated-percentile", text=text),)


def _training_warning(role: Role) -> tuple[Warned, ...]:
    if role != "training":
        return ()
    text = (
        "The reference is training data: the level holds for training-like samples, and unseen samples of the same "
        "kind are called low more often than alpha. Give samples that the model has not seen if there are any."
    )
    return (Warned(code="training-reference", text=text),)


def require_enough(n: int, *, alpha: float, level: Level, criteria: int) -> None:
    """Refuse a reference of ``n`` samples that is too small for ``alpha``: it would call nothing low.

    Raises:
        UsageError: says how many are needed.
    """
    each = alpha / criteria if level == "joint" else alpha
    if split.rank_at(n, each) == 0:
        raise UsageError(_too_small(n, each, criteria=criteria, level=level))


def _too_small(n: int, alpha: float, *, criteria: int, level: Level) -> str:
    split_note = f" (the joint level divided by {criteria} criteria)" if level == "joint" else ""
    return (
        f"The reference has {n} samples, but conformal at alpha={alpha:g}{split_note} needs at least "
        f"{split.smallest_reference(alpha)}. Give more held-out samples, or an alpha of at least {1 / (n + 1):.3g}"
        f"{' per criterion' if level == 'joint' else ''}."
    )


def _p_values(values: Criteria, basis: Criteria) -> NDArray[np.float64]:
    return np.column_stack(
        [split.p_values(reference, scores) for reference, scores in zip(basis.T, values.T, strict=True)]
    )


def _resampled(n: int, rng: np.random.Generator, *, twice: bool) -> NDArray[np.int64]:
    """Rows of a bootstrap sample; ``twice``: of a bootstrap sample of one, whose spread is that of two calibrations."""
    rows = rng.integers(n, size=n)
    return rows[rng.integers(n, size=n)] if twice else rows


def _mean(rows: Criteria) -> NDArray[np.float64]:
    return rows.mean(axis=0)


def _percentile_rank(n: int, q: float) -> int:
    return max(1, math.ceil(n * q / 100 - 1e-9))


def _order_statistic(rows: Criteria, rank: int) -> NDArray[np.float64]:
    """The rank-th smallest (counted from 1) of each column."""
    return np.partition(rows, rank - 1, axis=0)[rank - 1]


def _order_spread(rows: Criteria, rank: int) -> NDArray[np.float64]:
    """Standard deviation of the rank-th smallest of each column under the bootstrap, without resampling.

    Source: Maritz and Jarrett 1978, JASA 73:194-196: the bootstrap distribution of an order statistic is
    a difference of incomplete beta functions.
    """
    n = len(rows)
    weights = np.diff(betainc(rank, n + 1 - rank, np.arange(n + 1) / n))[:, None]
    ordered = np.sort(rows, axis=0)
    mean = (weights * ordered).sum(axis=0)
    return np.sqrt((weights * (ordered - mean) ** 2).sum(axis=0))


def _deviation_spread(rows: Criteria, count: float) -> NDArray[np.float64]:
    """Standard deviation of mean + count sd, by the delta method."""
    centred, sd = rows - rows.mean(axis=0), rows.std(axis=0, ddof=1)
    curve = np.divide(centred**2 - sd**2, 2 * sd, out=np.zeros_like(centred), where=sd > 0)
    return (centred + count * curve).std(axis=0, ddof=1) / math.sqrt(len(rows))
