"""Fidelity: the nine figures of the thesis, on the masks of the fit and on held-out ones; and LDS. METHODS A3, A7.

With residuals ``r = y - yhat`` and weights w (the kernel of the thesis's surrogate, by the share of units dropped):

- ``mse`` sum r^2 / m, ``mae`` sum |r| / m, and ``wmse``, ``wmae`` with w, over sum w;
- ``r2`` and ``wr2``: 1 - sum w r^2 / sum w (y - mean_w y)^2; ``adjusted``: 1 - (1 - R2)(m - 1)/(m - n - 1);
- ``mean loss`` |mean y - mean yhat|; ``l1`` mean |r|, ``l2`` mean r^2 (which are ``mae`` and ``mse`` by other names);
- ``weighted l1`` sum w |r| / m, ``weighted l2`` sum w r^2 / m: over m, not over sum w, as published.

Intervals: in-sample figures by a bootstrap over groups of masks. Held-out figures are wider: nested cross-validation
says how far R2 may be from that on fresh masks (see below), and the other figures are widened by the same ratio.
Chance: effects shuffled by groups, and refitted.

How far a cross-validated R2 may be from that on fresh masks: a bootstrap of held-out errors leaves out that the fits of
all folds saw much the same masks, and its 95% interval held 66% of the time. Bates, Hastie and Tibshirani
(2023, JASA, Cross-validation: what does it estimate and how well does it do it?) measure that by nested
cross-validation: with fold k out, the error by cross-validation inside the rest is compared with the
error on fold k, and

    MSE = mean over k of (inner error - outer error)^2 - mean over k of var(outer losses of fold k) / size of fold k.

Fitting without folds j and k serves both, so K folds take K (K - 1) / 2 fits. R2 is linearised: the loss of a group of
masks is ``(mean w r^2 - (1 - R2) mean w (f - mean f)^2) / var(f)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.evaluation.case import Case, Metric, mean_of, percentiles
from whygen.evaluation.rebuilt import ROUNDS, Rebuilt, Shuffled, rebuild
from whygen.evaluation.result import Measure
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import load_estimand
from whygen.prompt.intervals import FEWEST_GROUPS, cross_fit, folds_for
from whygen.prompt.kernels import Dropped
from whygen.prompt.surrogates import ByChance, Fitted, Surrogate, fitter, one_thread
from whygen.results.prompt import PromptExplanation
from whygen.stats.intervals import student_half_width
from whygen.stats.seeds import generator
from whygen.types import Floats

DRAWS = 1000
HIGHER = frozenset({"r2", "adjusted_r2", "wr2", "adjusted_wr2", "lds"})


def figures(
    y: Floats, predicted: Floats, weights: Floats, *, units: int, counts: Floats | None = None
) -> dict[str, Floats]:
    """The figures of the thesis, for each resampling of the masks.

    Args:
        y: observed effects ``(m,)``.
        predicted: ``(m,)``.
        weights: of the kernel, ``(m,)``.
        units: n, for the adjusted R2.
        counts: how often each mask was drawn, ``(b, m)``; once each by default.

    Returns:
        Shape ``(b,)`` each; NaN where a figure has no value, such as R2 of effects that do not vary.
    """
    c = np.ones((1, len(y))) if counts is None else counts
    r, m = y - predicted, c.sum(axis=1)
    weighted, wsum = c * weights, (c * weights).sum(axis=1)
    r2, wr2 = _r2(c, y, r), _r2(weighted, y, r)
    shrink = np.where(m > units + 1, (m - 1) / np.maximum(m - units - 1, 1.0), np.nan)
    return {
        "mse": c @ r**2 / m,
        "wmse": weighted @ r**2 / wsum,
        "mae": c @ np.abs(r) / m,
        "wmae": weighted @ np.abs(r) / wsum,
        "r2": r2,
        "adjusted_r2": 1 - (1 - r2) * shrink,
        "wr2": wr2,
        "adjusted_wr2": 1 - (1 - wr2) * shrink,
        "mean_loss": np.abs(c @ r / m),
        "l1": c @ np.abs(r) / m,
        "l2": c @ r**2 / m,
        "weighted_l1": weighted @ np.abs(r) / m,
        "weighted_l2": weighted @ r**2 / m,
    }


def _r2(c: Floats, y: Floats, r: Floats) -> Floats:
    mean = c @ y / c.sum(axis=1)
    total = c @ y**2 - c.sum(axis=1) * mean**2
    varies = total > 1e-12 * np.maximum(c @ y**2, 1e-300)
    return np.where(varies, 1 - (c @ r**2) / np.where(varies, total, 1.0), np.nan)


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation, values that differ by rounding alone being tied; NaN where one side is constant."""
    a, b = _tied(a), _tied(b)
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return float("nan")
    from scipy.stats import rankdata  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])  # pyright: ignore[reportUnknownArgumentType]


def _tied(values: Floats) -> Floats:
    scale = float(np.abs(values).max(initial=0.0))
    return values if scale == 0.0 else np.round(values / scale, 9)


def resampled_groups(groups: NDArray[np.int64], rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """How often each row is drawn when whole groups are drawn with replacement, ``(draws, m)``."""
    names, group_of = np.unique(groups, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, group_of].astype(np.float64)


def measure(case: Case) -> list[Measure]:
    """Figures in-sample and held out, and LDS.

    Raises:
        UsageError: if the evidence is missing or too small to hold any of it out.
    """
    rebuilt = case.rebuilt("fidelity")
    if not load_estimand(case.explanation.estimand).samples or len(np.unique(rebuilt.observed.groups)) < FEWEST_GROUPS:
        raise UsageError(
            "fidelity needs masks that a surrogate can be held against: at least "
            f"{FEWEST_GROUPS} groups of a design that drops several units at once. Explain with estimand='banzhaf' and "
            "a larger budget."
        )
    shuffled = case.shuffled("fidelity")
    with one_thread():
        return [row for where in ("in-sample", "held out") for row in _measured(rebuilt, shuffled, where, case.seed)]


def _measured(rebuilt: Rebuilt, shuffled: Sequence[Shuffled], where: str, seed: int) -> list[Measure]:
    observed = rebuilt.observed
    if where == "in-sample":
        by_chance = _by_chance(rebuilt.surrogate, observed)
        own = rebuilt.surrogate.fit(observed).predict(observed.masks)
        others = [by_chance(one.effects.values).predict(observed.masks) for one in shuffled]
    else:
        own = _held_out(rebuilt, seed)
        others = [_without_folds(rebuilt, one, seed) for one in shuffled]
    return _rows(rebuilt, own, _chance(shuffled, others), where, seed)


def _by_chance(surrogate: Surrogate, observed: Effects) -> Callable[[Floats], Fitted]:
    """Fits of shuffled effects, as of the explanation's own R2 by chance."""
    return surrogate.by_chance(observed) if isinstance(surrogate, ByChance) else fitter(surrogate, observed)


def _held_out(rebuilt: Rebuilt, seed: int) -> Floats:
    """The explanation's own held-out predictions; a new cross-fit where it made none."""
    evidence = rebuilt.explanation.evidence
    if evidence is not None and np.isfinite(evidence.predicted).all():
        return evidence.predicted
    return cross_fit(rebuilt.observed, rebuilt.surrogate, generator(seed, "folds")).predicted


def _without_folds(rebuilt: Rebuilt, one: Shuffled, seed: int) -> Floats:
    """Held-out predictions of shuffled effects: those that their estimate made, where it made any."""
    if one.estimate.predicted is not None:
        return one.estimate.predicted
    return cross_fit(one.effects, rebuilt.surrogate, generator(seed, "folds")).predicted


def _chance(shuffled: Sequence[Shuffled], predicted: Sequence[Floats]) -> dict[str, Floats]:
    """The figures of effects that were shuffled, ``(rounds,)`` each."""
    rounds = [
        {name: float(value[0]) for name, value in _figures(one.effects, own).items()}
        | {"lds": spearman(one.effects.values, own)}
        for one, own in zip(shuffled, predicted, strict=True)
    ]
    return {name: np.array([found[name] for found in rounds]) for name in rounds[0]}


def _figures(observed: Effects, predicted: Floats, counts: Floats | None = None) -> dict[str, Floats]:
    weights = observed.nearness if observed.nearness is not None else Dropped().weights(observed.masks, (), "")
    return figures(observed.values, predicted, weights, units=observed.n, counts=counts)


def _rows(rebuilt: Rebuilt, predicted: Floats, chance: Mapping[str, Floats], where: str, seed: int) -> list[Measure]:
    observed = rebuilt.observed
    counts = resampled_groups(observed.groups, generator(seed, "fidelity", where))
    values = {name: float(value[0]) for name, value in _figures(observed, predicted).items()}
    spread = _figures(observed, predicted, counts)
    if where == "held out":
        values["lds"] = spearman(observed.values, predicted)
        spread["lds"] = _lds_spread(observed.values, predicted, counts)
    suffix = "_insample" if where == "in-sample" else "_heldout"
    known = r2_spread(observed, rebuilt.surrogate, generator(seed, "nested")) if where == "held out" else None
    rows: list[Measure] = []
    for name, value in values.items():
        low, high = _limits(name, value, percentiles(spread[name]), where, known)
        by_chance = percentiles(chance[name])
        rows.append(
            Measure(
                metric="fidelity", name=name + suffix, value=value, low=low, high=high, chance=mean_of(chance[name]),
                chance_low=by_chance[0], chance_high=by_chance[1], n=len(observed),
                better="higher" if name in HIGHER else "lower", how=_how(name, where, rebuilt),
            )
        )  # fmt: skip
    return rows


def _limits(
    name: str, value: float, plain: tuple[float | None, float | None], where: str, known: Spread | None
) -> tuple[float | None, float | None]:
    """Limits of a figure: held-out ones as wide as nested cross-validation says, within the range of the figure."""
    low, high = plain
    if where == "in-sample":
        return plain
    if known is None or low is None or high is None:
        return None, None
    if name in {"r2", "wr2"}:
        low, high = known.limits(value)
    else:
        low, high = value - known.wider * (value - low), value + known.wider * (high - value)
    floor = -1.0 if name == "lds" else -math.inf if name in HIGHER else 0.0
    return max(floor, low), min(1.0, high) if name in HIGHER else high


def _lds_spread(y: Floats, predicted: Floats, counts: Floats) -> Floats:
    rows = [np.repeat(np.arange(len(y)), count.astype(int)) for count in counts[: DRAWS // 2]]
    return np.array([spearman(y[row], predicted[row]) for row in rows])


def _how(name: str, where: str, rebuilt: Rebuilt) -> str:
    what = {
        "lds": "Spearman's correlation of predicted and observed effects over masks",
        "mean_loss": "|mean observed - mean predicted|",
    }.get(name, f"{name} of predicted against observed effects")
    kernel = "; weights exp(-(share of units dropped)^2 / 0.5^2)" if "w" in name[:2] else ""
    inside = where == "in-sample"
    fitted = "on the same masks, as published" if inside else "without each fold"
    interval = "bootstrap over groups of masks" if inside else "nested cross-validation (Bates et al. 2023)"
    return (
        f"{what}, {rebuilt.surrogate.name} fitted {fitted}{kernel}. Interval: {interval}. Chance: {ROUNDS} "
        "times effects shuffled by groups"
    )


def _no_calls(case: Case) -> int:
    del case
    return 0


METRIC = Metric("fidelity", _no_calls, measure)


def heldout_r2(explanation: PromptExplanation) -> tuple[float | None, float | None, float | None]:
    """Held-out R2 with the limits of its 95% interval by nested cross-validation; limits need the evidence."""
    value = explanation.fidelity.r2_heldout
    if value is None or explanation.evidence is None:
        return value, None, None
    rebuilt = rebuild(explanation, "fidelity")
    known = r2_spread(rebuilt.observed, rebuilt.surrogate, generator(explanation.seed, "nested"))
    return (value, None, None) if known is None else (value, *known.limits(value))


MOST_FOLDS = 8
DOUBTED = 2.0
"""So many times what R2 gains by a fold more is added above. Measured in benchmarks/r2_interval.py."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a cross-validated R2 is uncertain by.

    Attributes:
        half: half width of the 95% interval by the error of cross-validation.
        bias: what R2 gains when a fold more is fitted to, at least 0: fresh masks meet the surrogate of all masks, and
            those of a fold have a tenth less. It is added to the upper limit alone, and `DOUBTED` times, since it is
            itself uncertain.
        wider: the ratio of ``half`` to that of independent losses, at least 1.
    """

    half: float
    bias: float
    wider: float

    def limits(self, value: float) -> tuple[float, float]:
        """The interval of R2 on fresh masks around the cross-validated ``value``.

        A value below 0 says that folds did worse than the mean; a surrogate of all masks, which is shrunk, hardly does,
        so the upper limit is counted from 0.
        """
        return value - self.half, min(1.0, max(value, 0.0) + self.half + DOUBTED * self.bias)


def r2_spread(observed: Effects, surrogate: Surrogate, rng: np.random.Generator) -> Spread | None:
    """How far cross-validated R2 may be from the R2 of the surrogate of all masks on fresh masks.

    Student's quantile has one degree of freedom less than there are folds where the error of cross-validation is what
    they tell, and less than there are groups where that of independent losses is larger: the larger of two estimates
    is no surer by fewer degrees.

    Args:
        observed: masks with their effects.
        surrogate: what the R2 is of.
        rng: assigns groups to folds.

    Returns:
        None where groups are too few, or effects do not vary.
    """
    names, group_of = np.unique(observed.groups, return_inverse=True)
    groups = len(names)
    if groups < 2 * FEWEST_GROUPS:
        return None
    weights = np.ones(len(observed)) if observed.nearness is None else observed.nearness / observed.nearness.mean()
    around = weights * (observed.values - np.average(observed.values, weights=weights)) ** 2
    if float(around.mean()) <= 1e-18 * float((weights * observed.values**2).mean()):
        return None
    loss = _Loss(observed, surrogate, weights, around, group_of, groups)
    # Eight folds wherever groups are 2n, also where the cross-fit takes six or ten: over 500 games six held 98.8% in
    # one cell, ten 91.6% in another. Two groups a fold at least: their spread is part of the estimate.
    folds = folds_for(groups, observed.n) if groups < 2 * observed.n else MOST_FOLDS
    return _spread(loss, min(folds, groups // 2), rng)


@dataclass(frozen=True, slots=True)
class _Loss:
    """Losses of groups under a fit that left them out."""

    observed: Effects
    surrogate: Surrogate
    weights: Floats
    around: Floats
    group_of: NDArray[np.int64]
    groups: int

    def squared(self, out: NDArray[np.bool_]) -> Floats:
        """Mean weighted squared error of each group when the groups ``out`` ``(groups,)`` are not fitted to."""
        held = out[self.group_of]
        fitted = self.surrogate.fit(self.observed.take(~held))
        error = np.zeros(len(self.observed))
        error[held] = self.observed.values[held] - fitted.predict(self.observed.masks[held])
        return self.by_group(self.weights * error**2)

    def by_group(self, values: Floats) -> Floats:
        return np.bincount(self.group_of, weights=values, minlength=self.groups) / np.bincount(self.group_of)


def _spread(loss: _Loss, folds: int, rng: np.random.Generator) -> Spread:
    fold_of = rng.permutation(loss.groups) % folds
    size = float(loss.around.mean())
    outer = np.zeros(loss.groups)
    for fold in range(folds):
        outer += np.where(fold_of == fold, loss.squared(fold_of == fold), 0.0)
    missed = float(outer.mean()) / size
    base = missed * loss.by_group(loss.around)
    outer = (outer - base) / size
    inner = np.zeros((folds, loss.groups))  # inner[k, g]: loss of group g when its own fold and fold k are left out
    for one, two in combinations(range(folds), 2):
        both = (loss.squared((fold_of == one) | (fold_of == two)) - base) / size
        inner[two] += np.where(fold_of == one, both, 0.0)
        inner[one] += np.where(fold_of == two, both, 0.0)
    inside = [float(inner[k][fold_of != k].mean()) for k in range(folds)]
    apart = [(inside[k] - float(outer[fold_of == k].mean())) ** 2 for k in range(folds)]
    own = [float(outer[fold_of == k].var(ddof=1)) / int((fold_of == k).sum()) for k in range(folds)]
    naive = float(outer.std(ddof=1)) / loss.groups**0.5
    error = (max(float(np.mean(apart) - np.mean(own)), 0.0) * (folds - 1) / folds) ** 0.5
    # As the authors bound it: never under the error of independent losses, never over that of one fold.
    errors = np.array([min(error, naive * folds**0.5), naive])
    half = float(student_half_width(errors**2, np.array([folds - 1.0, loss.groups - 1.0])).max())
    bias = (1.0 + (folds - 2.0) / folds) * (float(np.mean(inside)) - float(outer.mean()))
    return Spread(half, max(bias, 0.0), 1.0 if naive == 0.0 else max(1.0, half / (1.96 * naive)))
