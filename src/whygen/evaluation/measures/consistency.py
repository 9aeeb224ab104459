"""Consistency: how far attributions spread when the same prompt is explained again, or for other models. METHODS A7.

Over runs r and units i, with a_ri the attribution: ``spread`` is the root of the mean over units of the variance over
runs, in the target's unit; ``repeatability`` is 1 - mean variance over runs / variance of all a_ri: 1 when runs agree,
0 on average by chance. Its interval is the exact one of a one-way analysis of variance, since it is a function of the F
ratio of units and runs (Shrout and Fleiss 1979, Psychological Bulletin 86:420); a bootstrap over few units excluded
chance in 28% of runs without any effect. ``jaccard_sd`` is the standard deviation over pairs of runs of the Jaccard
index of the strongest.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.special import fdtri  # pyright: ignore[reportMissingTypeStubs]

from whygen.evaluation.case import Case, Floats, Metric, mean_of, percentiles
from whygen.evaluation.compare import top_jaccard
from whygen.evaluation.measures import agreement, stability
from whygen.evaluation.rebuilt import attributions
from whygen.evaluation.result import Measure, UnitSpread
from whygen.stats.seeds import generator

ROUNDS = 500


def calls(case: Case) -> int:
    """Explanations by other seeds, and for each other model."""
    return stability.calls_again(case) + case.lab.ask_calls() * len(case.others)


def spread(runs: Floats) -> tuple[float, float]:
    """``spread`` and ``repeatability`` of attributions ``(runs, n)``; NaN where nothing varies at all."""
    within = float(runs.var(axis=0, ddof=1).mean())
    total = float(runs.var(ddof=1))
    return float(np.sqrt(within)), 1.0 - within / total if total > 0.0 else float("nan")


def repeatability_limits(runs: Floats) -> tuple[float | None, float | None]:
    """95% limits of repeatability of attributions ``(runs, n)``; None where nothing varies.

    With F the ratio of the mean squares between and within units, repeatability is
    ``1 - (n R - 1) / ((n - 1) F + n (R - 1))``; the limits are its values at F over the 97.5% and the 2.5% quantile.
    """
    rounds, n = runs.shape
    within = float(runs.var(axis=0, ddof=1).mean())
    between = rounds * float(runs.mean(axis=0).var(ddof=1)) if n > 1 else 0.0
    if n < 2 or (within == 0.0 and between == 0.0):
        return None, None
    if within == 0.0:
        return 1.0, 1.0
    low, high = (
        1.0 - (n * rounds - 1) / ((n - 1) * between / within / quantile + n * (rounds - 1))
        for quantile in (fdtri(n - 1, n * (rounds - 1), level) for level in (0.975, 0.025))
    )
    return float(low), float(high)


def measure(case: Case) -> list[Measure]:
    """Spread over repeats, and agreement across models where others were given."""
    explanations = [case.explanation, *stability.again(case)]
    runs = np.array([attributions(explanation) for explanation in explanations])
    case.spreads[:] = [
        UnitSpread(text=unit.text, mean=float(mean), sd=float(sd))
        for unit, mean, sd in zip(
            case.explanation.units, runs.mean(axis=0), runs.std(axis=0, ddof=1), strict=True
        )
    ]  # fmt: skip
    rows = _spread_rows(case, runs)
    rows.append(_jaccard_row(case, runs))
    if case.others:
        rows += _across(case)
    return rows


def _spread_rows(case: Case, runs: Floats) -> list[Measure]:
    rng = generator(case.seed, "consistency")
    rows = rng.integers(runs.shape[1], size=(ROUNDS, runs.shape[1]))
    drawn = np.array([spread(runs[:, row]) for row in rows])
    dealt = np.array([spread(rng.permuted(runs, axis=1)) for _ in range(ROUNDS)])
    how = (
        f"{len(runs)} explanations by different seeds. Interval: bootstrap over units for the spread, exact (F ratio) "
        "for repeatability. Chance: attributions of each run shuffled over units"
    )
    found: list[Measure] = []
    for place, (name, value) in enumerate(zip(("spread", "repeatability"), spread(runs), strict=True)):
        low, high = percentiles(drawn[:, place]) if name == "spread" else repeatability_limits(runs)
        span = percentiles(dealt[:, place])
        found.append(
            Measure(
                metric="consistency", name=name, value=value, low=low, high=high, chance=mean_of(dealt[:, place]),
                chance_low=span[0], chance_high=span[1], n=len(runs),
                better="lower" if name == "spread" else "higher", how=how,
            )
        )  # fmt: skip
    return found


def _jaccard_row(case: Case, runs: Floats) -> Measure:
    k = agreement.strongest(case.explanation)
    pairs: list[tuple[Floats, Floats]] = list(combinations(runs, 2))
    values = np.array([top_jaccard(a, b, k) for a, b in pairs])
    rng = generator(case.seed, "consistency of sets")
    dealt: list[float] = [
        float(np.std([top_jaccard(rng.permutation(a), rng.permutation(b), k) for a, b in pairs], ddof=1))
        for _ in range(ROUNDS)
    ]
    low, high = percentiles(np.array(dealt))
    return Measure(
        metric="consistency", name="jaccard_sd", value=float(values.std(ddof=1)), chance=float(np.mean(dealt)),
        chance_low=low, chance_high=high, n=len(pairs), better="lower",
        how=f"standard deviation over pairs of runs of the Jaccard index of the {k} strongest, whose mean is "
        f"{values.mean():.3f}; no interval. Chance: attributions shuffled over units",
    )  # fmt: skip


def _across(case: Case) -> list[Measure]:
    lab = case.lab
    explained = [lab.explain(seed=case.explanation.seed, model=model) for model in case.others]
    pairs = [agreement.pair(a, b) for a, b in combinations([case.explanation, *explained], 2)]
    names = ", ".join(explanation.model for explanation in (case.explanation, *explained))
    return agreement.rows("consistency", "models", pairs, seed=case.seed, how=f"pairs of models: {names}")


METRIC = Metric("consistency", calls, measure)
