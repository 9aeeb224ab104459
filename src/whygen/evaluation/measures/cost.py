"""Cost: the calls that an explanation took, beside leave-one-out's. METHODS A7."""

from __future__ import annotations

from whygen.evaluation.measures.record import Found, Measure
from whygen.prompt.asking import REPEATS
from whygen.results.prompt import PromptExplanation

METRIC = "cost"


def cost(explanation: PromptExplanation) -> Found:
    """Calls asked for, made, and failed, and those for each unit. Times are no part of an explanation: two runs with
    one seed are equal.
    """
    calls, n = explanation.calls, len(explanation.units)
    least = n + 1 + REPEATS
    return [
        Measure(metric=METRIC, name="calls asked for", value=calls.asked, unit="calls", how=f"leave-one-out: {least}"),
        Measure(metric=METRIC, name="calls made", value=calls.made, unit="calls", how="the others were recorded"),
        Measure(metric=METRIC, name="calls failed", value=calls.failed, unit="calls", how="after all retries"),
        Measure(metric=METRIC, name="calls a unit", value=calls.asked / n, unit="calls", how=f"{n} units"),
    ]
