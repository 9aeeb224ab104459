"""Fidelity: how well the surrogate predicts the model, by every figure of the thesis, in sample and held out.

METHODS A3 and A7. In sample is what was published: the surrogate is judged on the masks it was fitted to, so the figure
grows with the number of units whatever they do; its chance level comes from effects dealt out anew. Held out, each mask
is predicted by a surrogate that was fitted without its group, and the chance level is the mean as prediction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from whygen.errors import DataError
from whygen.evaluation.measures.ranking import spearman
from whygen.evaluation.measures.record import Found, Measure
from whygen.prompt.kernels import Dropped
from whygen.prompt.observed import Observed
from whygen.prompt.surrogates import Surrogate, load_surrogate
from whygen.prompt.weighted import WeightedLeastSquares
from whygen.results.prompt import Evidence, PromptExplanation
from whygen.stats.seeds import generator

Floats = NDArray[np.float64]

ROUNDS = 500
"""Bootstrap samples of groups of masks."""

DEALT = 20
"""Refits to effects that were dealt out anew."""

METRIC = "fidelity"

_FORMULAS: dict[str, str] = {
    "R2": "1 - sum (f - g)^2 / sum (f - mean f)^2",
    "weighted R2": "the same with weights w",
    "adjusted R2": "1 - (1 - R2) (m - 1) / (m - n - 1)",
    "MSE": "mean (f - g)^2, the thesis's mean L2",
    "weighted MSE": "sum w (f - g)^2 / sum w",
    "MAE": "mean |f - g|, the thesis's mean L1",
    "mean loss": "|mean f - mean g|",
    "weighted L1": "mean of w |f - g|",
    "weighted L2": "mean of w (f - g)^2",
}
_UNITS = {"MSE": 2, "weighted MSE": 2, "weighted L2": 2, "MAE": 1, "mean loss": 1, "weighted L1": 1}


def evidence_of(explanation: PromptExplanation) -> Evidence:
    """The arrays behind an explanation.

    Raises:
        DataError: if only the JSON was kept, or fewer than two groups of masks were answered.
    """
    evidence = explanation.evidence
    if evidence is None or len(np.unique(evidence.groups)) < 2:
        raise DataError(
            "The explanation has no recorded masks: load the folder that -o wrote, not explanation.json alone, of an "
            "explanation by masks."
        )
    return evidence


def observed_of(explanation: PromptExplanation) -> Observed:
    """What was observed, as far as it is kept: the law of the sizes of masks and kernels are not."""
    evidence = evidence_of(explanation)
    return Observed(evidence.masks, evidence.effects, evidence.groups, explanation.keep)


def surrogate_of(explanation: PromptExplanation) -> Surrogate:
    """The surrogate that was used; weighted least squares where it was that."""
    if explanation.estimand == "local" or not explanation.surrogate:
        return WeightedLeastSquares()
    return load_surrogate(explanation.surrogate)


def figures(effects: Floats, predicted: Floats, weights: Floats, times: Floats, *, n: int) -> dict[str, float]:
    """The nine figures. ``times`` ``(m,)`` says how often each row counts; ``n`` is the number of units."""
    total, error = float(times.sum()), effects - predicted
    w = weights * times

    def r2(weight: Floats) -> float:
        mean = float((weight * effects).sum() / weight.sum())
        spread = float((weight * (effects - mean) ** 2).sum())
        varies = spread > 1e-18 * float((weight * effects**2).sum())
        return 1.0 - float((weight * error**2).sum()) / spread if varies else float("nan")

    plain = r2(times)
    free = total - n - 1.0
    return {
        "R2": plain,
        "weighted R2": r2(w),
        "adjusted R2": 1.0 - (1.0 - plain) * (total - 1.0) / free if free > 0 else float("nan"),
        "MSE": float((times * error**2).sum() / total),
        "weighted MSE": float((w * error**2).sum() / w.sum()),
        "MAE": float((times * np.abs(error)).sum() / total),
        "mean loss": abs(float((times * error).sum() / total)),
        "weighted L1": float((w * np.abs(error)).sum() / total),
        "weighted L2": float((w * error**2).sum() / total),
    }


def fidelity(explanation: PromptExplanation, *, seed: int) -> Found:
    """The nine figures in sample and held out, and the linear datamodeling score (LDS) of the held-out predictions.

    Raises:
        DataError: if the explanation has no recorded masks.
    """
    observed, evidence = observed_of(explanation), evidence_of(explanation)
    weights = Dropped().weights(observed.masks, [], "")
    rng = generator(seed, "fidelity")
    unit = explanation.target.unit
    found: list[Measure] = []
    if (inside := _in_sample(observed, surrogate_of(explanation))) is not None:
        chance = _dealt_out(observed, surrogate_of(explanation), weights, rng)
        how = f"fitted to the same masks; chance: refits to {DEALT} deals of the effects"
        found += _rows(observed, inside, weights, rng, where="in sample", how=how, unit=unit, chance=chance)
    held = np.asarray(evidence.predicted, dtype=np.float64)
    if np.isfinite(held).all():
        mean = np.full(len(held), observed.effects.mean())
        chance = figures(observed.effects, mean, weights, np.ones(len(held)), n=observed.n)
        how = "each mask predicted by a fit without its group; chance: the mean as prediction"
        found += _rows(observed, held, weights, rng, where="held out", how=how, unit=unit, chance=chance)
        found.append(_lds(observed, held, rng))
    return found


def _in_sample(observed: Observed, surrogate: Surrogate) -> Floats | None:
    return None if np.ptp(observed.effects) == 0.0 else surrogate.fit(observed).predict(observed.masks)


def _rows(
    observed: Observed,
    predicted: Floats,
    weights: Floats,
    rng: np.random.Generator,
    *,
    where: str,
    how: str,
    unit: str,
    chance: dict[str, float],
) -> list[Measure]:
    def of(times: Floats) -> dict[str, float]:
        return figures(observed.effects, predicted, weights, times, n=observed.n)

    value, limits = of(np.ones(len(observed))), bootstrap(observed.groups, of, rng)
    return [
        Measure(
            metric=METRIC,
            name=f"{name}, {where}",
            value=value[name],
            low=limits[name][0],
            high=limits[name][1],
            chance=chance[name],
            unit={0: "", 1: unit, 2: f"({unit})^2"}[_UNITS.get(name, 0)],
            how=f"{formula}; w = exp(-h^2 / .25), h the share of units dropped; {how}; interval: "
            f"{ROUNDS} bootstrap samples of groups of masks",
        )
        for name, formula in _FORMULAS.items()
    ]


def bootstrap(
    groups: NDArray[np.int64], of: Callable[[Floats], dict[str, float]], rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """95% percentile limits of figures ``of(times)`` when whole groups of rows are drawn with replacement."""
    _, place = np.unique(groups, return_inverse=True)
    count = int(place.max()) + 1
    drawn = [of(rng.multinomial(count, np.full(count, 1.0 / count))[place].astype(float)) for _ in range(ROUNDS)]
    limits: dict[str, tuple[float, float]] = {}
    for name in drawn[0]:
        values = np.array([one[name] for one in drawn])
        values = values[np.isfinite(values)]
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
        limits[name] = float(low), float(high)
    return limits


def dealt(observed: Observed, rng: np.random.Generator) -> Observed:
    """The same masks with the effects of whole groups dealt out anew; of single masks where groups differ in size."""
    order = np.argsort(observed.groups, kind="stable")
    _, sizes = np.unique(observed.groups, return_counts=True)
    effects = np.empty(len(observed))
    if len(set(sizes.tolist())) == 1:
        effects[order] = rng.permutation(observed.effects[order].reshape(len(sizes), -1)).ravel()
    else:
        effects[:] = rng.permutation(observed.effects)
    return observed.with_effects(effects)


def _dealt_out(observed: Observed, surrogate: Surrogate, weights: Floats, rng: np.random.Generator) -> dict[str, float]:
    """Mean of each figure when the effects are dealt out to other masks and the surrogate is fitted again."""
    ones, rounds = np.ones(len(observed)), list[dict[str, float]]()
    for _ in range(DEALT):
        again = dealt(observed, rng)
        predicted = surrogate.fit(again).predict(again.masks)
        rounds.append(figures(again.effects, predicted, weights, ones, n=observed.n))
    return {name: float(np.mean([one[name] for one in rounds])) for name in rounds[0]}


def _lds(observed: Observed, predicted: Floats, rng: np.random.Generator) -> Measure:
    """Spearman's correlation of held-out prediction and effect (Park et al. 2023, arXiv 2303.14186)."""

    def of(times: Floats) -> dict[str, float]:
        rows = np.repeat(np.arange(len(times)), times.astype(int))
        return {"lds": spearman(predicted[rows], observed.effects[rows])}

    low, high = bootstrap(observed.groups, of, rng)["lds"]
    return Measure(
        metric=METRIC,
        name="LDS",
        value=of(np.ones(len(observed)))["lds"],
        low=low,
        high=high,
        chance=0.0,
        how="Spearman's correlation of held-out prediction and effect over masks (linear datamodeling score, Park et "
        f"al. 2023); interval: {ROUNDS} bootstrap samples of groups of masks",
    )
