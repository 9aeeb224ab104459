"""What the explanation cost: calls and answers, from its own record. METHODS A7 (runtime, calls).

An explanation records no clock: seconds depend on the machine and the store, calls do not.
"""

from __future__ import annotations

from whygen.evaluation.case import Case, Metric
from whygen.evaluation.result import Measure


def measure(case: Case) -> list[Measure]:
    """Calls asked, made, cached, failed, and calls for each unit."""
    calls, units = case.explanation.calls, len(case.explanation.units)
    rows = {
        "calls": (calls.asked, "answers asked for; a budget counts these"),
        "calls_made": (calls.made, "calls sent to the model"),
        "calls_cached": (calls.cached, "answered from the record"),
        "calls_failed": (calls.failed, "calls without an answer"),
        "calls_per_unit": (calls.asked / units, "answers asked for, over units"),
    }
    return [
        Measure(
            metric="cost", name=name, value=float(value), n=units,
            better="neither" if name == "calls_cached" else "lower", how=f"{how}; counted, so no interval",
        )
        for name, (value, how) in rows.items()
    ]  # fmt: skip


def _no_calls(case: Case) -> int:
    del case
    return 0


METRIC = Metric("cost", _no_calls, measure)
