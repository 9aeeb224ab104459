"""Which group each anchor falls in, how sure that is, and what the groups hold.

H and L: high or low affinity, first by the intrinsic criteria, then by the extrinsic ones; with several criteria of a
kind, all must hold (METHODS B3). The paper reads HIHE as "knows and reproduces" and HILE as "model delusion"; what a
report may say of a group depends on the controls. BELOW: would be HIHE, but a criterion is lower than nearly all of the
reference, or would be LIHE, but an extrinsic one is: what is simpler than the reference, blank, or too well known is
not like it (decision 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Criteria, averaged, drawn, finite_criteria
from whygen.anchors.calibration import Calibration
from whygen.errors import UsageError
from whygen.results.anchors import GROUPS, group_names
from whygen.stats.wilson import wilson

Kind: TypeAlias = Literal["intrinsic", "extrinsic"]
BELOW = GROUPS.index("BELOW")
"""A group's code is its place in `whygen.results.anchors.GROUPS`: 2 for low intrinsic affinity, and 1 more for low
extrinsic affinity; 4: BELOW. Criteria of one kind make two groups, HIGH (0) and LOW (3), and BELOW."""
LOW = 3
"""The code of low affinity where criteria are of one kind."""
SHARE_DRAWS = 400
"""Draws behind the interval of a share."""
MOST_VALUES = 2_000_000
"""So many criteria are compared with thresholds at once."""
DISCRETE_ENDS = (0.025, 0.975)
"""Quantiles of the threshold's draws that an interval spans where a criterion takes few values."""

Codes: TypeAlias = NDArray[np.int8]
"""The group of each anchor, as a place in `GROUPS`. Shape ``(n,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupShare:
    """How much of the anchors a group holds.

    ``low`` and ``high`` bound the share of the population that the anchors come from, by the thresholds that an endless
    reference would give: anchors and reference are both samples. ``wilson_low`` and ``wilson_high`` hold the thresholds
    fixed (other anchors alone), ``bootstrap_low`` and ``bootstrap_high`` the anchors (other calibrations alone).
    """

    group: str
    count: int
    share: float
    low: float
    high: float
    wilson_low: float
    wilson_high: float
    bootstrap_low: float
    bootstrap_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """The verdicts. ``flip_rate (n,)``: how often another run, with a reference and draws of its own, differs."""

    codes: Codes
    high: NDArray[np.bool_] = field(repr=False)
    """Shape ``(n, c)``: high affinity by each criterion."""
    flip_rate: NDArray[np.float64] = field(repr=False)
    shares: tuple[GroupShare, ...]
    p_values: NDArray[np.float64] | None = field(repr=False)
    """Shape ``(n, c)``, small where a criterion is too high; None unless the calibration is conformal."""
    distinct: NDArray[np.int64] = field(repr=False)
    """The anchors that are counted: all but copies of earlier ones."""
    p_high: NDArray[np.float64] | None = field(repr=False, default=None)
    """Shape ``(n, c)``, small where a criterion is too low: the other tail."""
    names: Mapping[int, str] = field(repr=False, default_factory=lambda: dict(enumerate(GROUPS)))
    """Names of the groups by their codes."""

    @property
    def alike(self) -> GroupShare:
        """The share of the anchors that look like what they are compared with by every criterion."""
        return self.shares[0]

    @property
    def mean_flip_rate(self) -> float:
        """Share of the counted anchors that another run puts in another group, on average."""
        return float(self.flip_rate[self.distinct].mean())

    def members(self, name: str) -> NDArray[np.int64]:
        """Ascending indices of the anchors in a group."""
        code = next(code for code, each in self.names.items() if each == name)
        return np.flatnonzero(self.codes == code).astype(np.int64)


def assign(high: NDArray[np.bool_], *, kinds: Sequence[Kind], below: NDArray[np.bool_] | None = None) -> Codes:
    """Group codes ``(..., n)`` from high affinity by criterion ``(..., n, c)``, and from what lies below the reference.

    Raises:
        UsageError: if there is not one kind for each criterion.
    """
    if len(kinds) != high.shape[-1]:
        raise UsageError(f"kinds names {len(kinds)} criteria, but there are {high.shape[-1]}; give one kind for each.")
    if len(set(kinds)) == 1:
        return _alone(high, below)
    intrinsic = np.array([kind == "intrinsic" for kind in kinds])
    low_intrinsic, low_extrinsic = _any(~high, intrinsic), _any(~high, ~intrinsic)
    codes = np.asarray(2 * low_intrinsic + low_extrinsic, dtype=np.int8)
    if below is not None:
        codes[(codes == 0) & _any(below, np.ones_like(intrinsic))] = BELOW
        codes[(codes == 2) & _any(below, ~intrinsic)] = BELOW
    return codes


def _alone(high: NDArray[np.bool_], below: NDArray[np.bool_] | None) -> Codes:
    """High and low affinity by criteria of one kind: the codes of HIGH and LOW, whichever kind it is."""
    every = np.ones(high.shape[-1], np.bool_)
    codes = np.asarray(LOW * _any(~high, every), dtype=np.int8)
    if below is not None:
        codes[(codes == 0) & _any(below, every)] = BELOW
    return codes


def _any(marks: NDArray[np.bool_], which: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether some of ``which (c,)`` criteria is marked, ``(..., n)``: many times as fast as a last axis of few."""
    first, *others = np.flatnonzero(which).tolist()
    found: NDArray[np.bool_] = marks[..., first].copy()
    for place in others:
        found |= marks[..., place]
    return found


def group(
    values: ArrayLike,
    *,
    kinds: Sequence[Kind],
    calibration: Calibration,
    rng: np.random.Generator,
    replicates: int = 200,
    confidence: float = 0.95,
    distinct: NDArray[np.int64] | None = None,
) -> Grouping:
    """Put each anchor in its group, and see how often another run puts it elsewhere.

    Another run has a reference and posterior draws of its own. Both are as far from the truth as those of this run are,
    so their difference has twice the variance of either (decision 13).

    Args:
        values: criteria of the anchors, ``(n, c)``, or one of each posterior draw, ``(S, n, c)``.
        kinds: "intrinsic" or "extrinsic" for each criterion.
        calibration: thresholds, or p-values and a rule for them.
        rng: draws other runs, and what the thresholds may be.
        replicates: other runs behind the flip rates.
        confidence: of the intervals on shares.
        distinct: the anchors that shares count; None: all. Verdicts are for all.

    Raises:
        DataError: if a criterion of an anchor is not finite.
        UsageError: if a kind of criterion is missing, or an argument is out of range.
    """
    if replicates < 1:
        raise UsageError(f"replicates={replicates} gives no flip rate; give at least 1.")
    draws = drawn(finite_criteria(values, calibration.names))
    high = calibration.high(draws)
    codes = assign(high, kinds=kinds, below=calibration.below(draws))
    counted = np.arange(len(codes), dtype=np.int64) if distinct is None else distinct
    flips = np.zeros(len(codes))
    for _ in range(replicates):
        flips += another_run(draws, calibration, kinds, rng) != codes
    return Grouping(
        codes=codes,
        high=high,
        flip_rate=flips / replicates,
        shares=shares_by(codes[counted], averaged(draws)[counted], calibration, kinds, rng, confidence=confidence),
        p_values=calibration.p_values(draws),
        distinct=counted,
        p_high=calibration.p_high(draws),
        names=group_names(kinds),
    )


def another_run(draws: Criteria, calibration: Calibration, kinds: Sequence[Kind], rng: np.random.Generator) -> Codes:
    """Codes ``(n,)`` with other posterior draws and another calibration; anchors and reference share the draws."""
    if calibration.multiplicity == "benjamini-hochberg":  # which looks at all anchors at once
        values, basis = _values_and_basis(draws, calibration, rng)
        return assign(calibration.high_redrawn(values, basis, rng), kinds=kinds, below=calibration.below(values))
    return codes_in(other_run(len(draws), calibration, rng), draws, calibration, kinds)


@dataclass(frozen=True, slots=True)
class OtherRun:
    """What another run has of its own, whatever its anchors: weights of the posterior draws, thresholds, floors."""

    rows: NDArray[np.int64] | None
    limits: NDArray[np.float64]
    floors: NDArray[np.float64] | None


def other_run(size: int, calibration: Calibration, rng: np.random.Generator) -> OtherRun:
    """Another run of so many posterior draws."""
    rows = rng.integers(size, size=size) if size > 1 else None
    shared = rows is not None and len(calibration.basis) == size
    basis = _other_draws(calibration.basis, rows) if shared and rows is not None else averaged(calibration.basis)
    limits, floors = calibration.limits_drawn(basis, rng, replicates=1, another=True)
    return OtherRun(rows, limits[0], None if floors is None else floors[0])


def codes_in(run: OtherRun, draws: Criteria, calibration: Calibration, kinds: Sequence[Kind]) -> Codes:
    """Codes ``(n,)`` that anchors of these draws ``(S, n, c)`` have in another run."""
    values = averaged(draws) if run.rows is None else _other_draws(draws, run.rows)
    below = None if run.floors is None else values < run.floors
    return assign(calibration.within(values, run.limits), kinds=kinds, below=below)


def _values_and_basis(draws: Criteria, calibration: Calibration, rng: np.random.Generator) -> tuple[Criteria, Criteria]:
    """Anchors and reference with other posterior draws, the same for both where they have as many."""
    values, basis = averaged(draws), averaged(calibration.basis)
    if len(draws) == 1:
        return values, basis
    rows = rng.integers(len(draws), size=len(draws))
    if len(calibration.basis) == len(draws):
        basis = _other_draws(calibration.basis, rows)
    return _other_draws(draws, rows), basis


def _other_draws(draws: Criteria, rows: NDArray[np.int64]) -> Criteria:
    """What the mean over other posterior draws may be, ``(n, c)``: twice the variance of the mean over these.

    A bootstrap mean over S draws has (S - 1) / S of that variance.
    """
    size = len(draws)
    excess = np.bincount(rows, minlength=size) / size - 1 / size  # weights of the bootstrap mean, less the mean's own
    return draws.mean(axis=0) + np.sqrt(2 * size / (size - 1)) * np.tensordot(excess, draws, axes=1)


def shares_by(
    codes: Codes, values: Criteria, calibration: Calibration, kinds: Sequence[Kind], rng: np.random.Generator,
    *, confidence: float = 0.95,
) -> tuple[GroupShare, ...]:  # fmt: skip
    """The share of each group among anchors of these codes and criteria, with its intervals; see `GroupShare`."""
    redrawn = _counts_redrawn(values, calibration, kinds, rng)
    return shares_of(np.bincount(codes, minlength=len(GROUPS)), redrawn, calibration, kinds, rng, confidence=confidence)


def shares_of(
    counts: NDArray[np.int64], redrawn: NDArray[np.int64], calibration: Calibration, kinds: Sequence[Kind],
    rng: np.random.Generator, *, confidence: float = 0.95,
) -> tuple[GroupShare, ...]:  # fmt: skip
    """What each group holds, from how many anchors it has, and has by thresholds drawn anew.

    Args:
        counts: anchors of each group, ``(groups,)``.
        redrawn: the same by thresholds that the calibration leaves open, ``(SHARE_DRAWS, groups)``.
        calibration: thresholds.
        kinds: of the criteria.
        rng: draws shares.
        confidence: of the intervals.
    """
    n = int(counts.sum())
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    calibrated = np.quantile(redrawn / n, tails, axis=0)
    low, high = _both_errors(redrawn, n, tails, rng, spanned=jumps(calibration))
    shares = list[GroupShare]()
    for place, name in group_names(kinds).items():
        count, share = int(counts[place]), float(counts[place] / n)
        by_anchors = wilson(count, n, level=confidence)
        shares.append(
            GroupShare(
                group=name, count=count, share=share,
                low=min(float(low[place]), share), high=max(float(high[place]), share),
                wilson_low=by_anchors[0], wilson_high=by_anchors[1],
                bootstrap_low=float(calibrated[0, place]), bootstrap_high=float(calibrated[1, place]),
            )
        )  # fmt: skip
    return tuple(shares)


def share_of(
    values: Criteria, marked: NDArray[np.bool_], calibration: Calibration, kinds: Sequence[Kind],
    rng: np.random.Generator,
) -> tuple[float, float, float]:  # fmt: skip
    """The share of anchors that are HIHE and marked, with both errors; the marks do not move with thresholds.

    Args:
        values: criteria of the anchors, ``(n, c)``.
        marked: which of them have the property, ``(n,)``.
        calibration: thresholds.
        kinds: of the criteria.
        rng: draws thresholds and shares.

    Returns:
        The share, and both ends of its 95% interval.
    """
    some, n = values[marked], len(values)
    if not len(some) or calibration.multiplicity == "benjamini-hochberg":  # which looks at all anchors at once
        codes = assign(calibration.high(values), kinds=kinds, below=calibration.below(values))
        count = int((marked & (codes == 0)).sum())
        return count / n, *wilson(count, n)
    redrawn = _counts_redrawn(some, calibration, kinds, rng)[:, :1]
    low, high = _both_errors(redrawn, n, (0.025, 0.975), rng, spanned=jumps(calibration))
    share = float((assign(calibration.high(some), kinds=kinds, below=calibration.below(some)) == 0).sum() / n)
    return share, min(float(low[0]), share), max(float(high[0]), share)


def jumps(calibration: Calibration) -> bool:
    """Whether a threshold moves from one value of a criterion to the next, and shares jump with it."""
    return calibration.tail is not None and bool(calibration.discrete().any())


def _counts_redrawn(
    values: Criteria, calibration: Calibration, kinds: Sequence[Kind], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Anchors in each group by thresholds that the calibration leaves open, ``(SHARE_DRAWS, groups)``."""
    if calibration.multiplicity == "benjamini-hochberg":
        return np.concatenate([_counts(codes) for codes in codes_redrawn(values, calibration, kinds, rng)])
    limits, floors = limits_left_open(calibration, rng)
    # An anchor that no draw's threshold passes has one group in all of them: few lie where the draws do.
    open_ = _between(values, limits) if floors is None else _between(values, limits) | _between(values, floors)
    settled, moving = values[~open_], values[open_]
    below = None if floors is None else settled < floors[0]
    fixed = _counts(assign(calibration.within(settled, limits[0]), kinds=kinds, below=below))
    blocks = _codes_by(moving, calibration, kinds, limits, floors)
    return fixed + np.concatenate([_counts(codes) for codes in blocks])


def _between(values: Criteria, limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which anchors have a criterion within the range of its thresholds ``(draws, c)``."""
    low, high = limits.min(axis=0), limits.max(axis=0)
    found = np.zeros(len(values), np.bool_)
    for place, column in enumerate(values.T):
        found |= (column >= low[place]) & (column <= high[place])
    return found


def codes_redrawn(
    values: Criteria, calibration: Calibration, kinds: Sequence[Kind], rng: np.random.Generator
) -> Iterator[Codes]:
    """Groups by thresholds that the calibration leaves open: `SHARE_DRAWS` rows of codes in blocks ``(b, n)``.

    The blocks depend on the shape of the values alone, and two calibrations on the same reference samples whose
    generators are in the same state weigh these alike.
    """
    if calibration.multiplicity == "benjamini-hochberg":
        basis, below = averaged(calibration.basis), calibration.below(values)
        for _ in range(SHARE_DRAWS):
            rows = basis[rng.integers(len(basis), size=len(basis))]
            yield assign(calibration.high_given(values, rows), kinds=kinds, below=below)[None]
        return
    yield from _codes_by(values, calibration, kinds, *limits_left_open(calibration, rng))


def limits_left_open(
    calibration: Calibration, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Thresholds and floors that the calibration leaves open, ``(SHARE_DRAWS, c)`` each."""
    basis = averaged(calibration.basis)
    limits, floors = calibration.limits_drawn(basis, rng, replicates=SHARE_DRAWS, another=False)
    if jumps(calibration):
        discrete = calibration.discrete()
        limits = _ends(limits, discrete, rng)
        floors = None if floors is None else _ends(floors, discrete, rng)
    return limits, floors


def _codes_by(
    values: Criteria, calibration: Calibration, kinds: Sequence[Kind], limits: NDArray[np.float64],
    floors: NDArray[np.float64] | None,
) -> Iterator[Codes]:  # fmt: skip
    """Groups by each row of thresholds, in blocks ``(b, n)``."""
    size = max(1, MOST_VALUES // max(1, values.size))
    for start in range(0, SHARE_DRAWS, size):
        block = slice(start, start + size)
        below = None if floors is None else values < floors[block, None]
        yield assign(calibration.within(values, limits[block, None]), kinds=kinds, below=below)


def _counts(codes: Codes) -> NDArray[np.int64]:
    """How many anchors each group holds, ``(..., groups)``."""
    return np.stack([(codes == code).sum(axis=-1) for code in range(len(GROUPS))], axis=-1)


def _ends(limits: NDArray[np.float64], discrete: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """For criteria of few values the two ends of what the threshold may be, each in half of the draws.

    The share jumps where such a threshold moves: an interval by quantiles of draws would miss the side that has a
    small part of them (coverage .72 measured; decision 13).
    """
    ends = np.sort(limits, axis=0)[[round(part * (len(limits) - 1)) for part in DISCRETE_ENDS]]
    coin = rng.integers(len(ends), size=limits.shape)
    either = np.take_along_axis(ends, coin, axis=0)
    return np.where(discrete, either, limits)


def _both_errors(
    counts: NDArray[np.int64], n: int, tails: Sequence[float], rng: np.random.Generator, *, spanned: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the interval of each share: thresholds drawn, and for each draw the share by Jeffreys' law.

    ``counts (draws, groups)`` of ``n`` anchors; ``spanned``: over all draws, not over the bulk of them. Of a group that
    no anchor is in, or all are, the share may be 0, or 1: the outer end says so. No share can miss such an end, and the
    other takes the chance of both: of 39 samples the interval of a small group begins at 0 whatever its share is.
    """
    if spanned:
        low, high = (cast("NDArray[np.float64]", betaincinv(counts + 0.5, n - counts + 0.5, tail)) for tail in tails)
        return np.where(counts == 0, 0.0, low).min(axis=0), np.where(counts == n, 1.0, high).max(axis=0)
    shares = rng.beta(counts + 0.5, n - counts + 0.5)
    lower, upper = np.where(counts == 0, 0.0, shares), np.where(counts == n, 1.0, shares)
    low, high = np.quantile(lower, tails[0], axis=0), np.quantile(upper, tails[1], axis=0)
    both = tails[0] + 1.0 - tails[1]
    nothing, all_of_it = (low <= 0.0) & (high < 1.0), (high >= 1.0) & (low > 0.0)
    return (
        np.where(all_of_it, np.quantile(lower, both, axis=0), low),
        np.where(nothing, np.quantile(upper, 1.0 - both, axis=0), high),
    )
