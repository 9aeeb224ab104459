"""Consistency: how far attributions spread when the same prompt is explained again, or for other models. METHODS A7.

Over runs r and units i, with a_ri the attribution: ``spread`` is the root of the mean over units of the variance over
runs, in the target's unit; ``repeatability`` is 1 - mean variance over runs / variance of all a_ri: 1 when runs agree,
about 0 by chance. ``jaccard_sd`` is the standard deviation over pairs of runs of the Jaccard index of the strongest.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

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
        f"{len(runs)} explanations by different seeds. Interval: bootstrap over units. Chance: attributions of "
        "each run dealt out to other units"
    )
    found: list[Measure] = []
    for place, (name, value) in enumerate(zip(("spread", "repeatability"), spread(runs), strict=True)):
        low, high = percentiles(drawn[:, place])
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
        f"{values.mean():.3f}; no interval. Chance: attributions dealt out to other units",
    )  # fmt: skip


def _across(case: Case) -> list[Measure]:
    lab = case.lab
    explained = [lab.explain(seed=case.explanation.seed, model=model) for model in case.others]
    pairs = [agreement.pair(a, b) for a, b in combinations([case.explanation, *explained], 2)]
    names = ", ".join(explanation.model for explanation in (case.explanation, *explained))
    return agreement.rows("consistency", "models", pairs, seed=case.seed, how=f"pairs of models: {names}")


METRIC = Metric("consistency", calls, measure)
