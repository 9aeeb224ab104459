"""Operator agreement: does it matter what stands in the place of a unit? METHODS A4, A8.

The same prompt, seed and masks under another operator. ``delete`` and ``placeholder`` always; ``synonym``, ``neutral``
and ``paraphrase`` where what they need was given.
"""

from __future__ import annotations

from whygen.errors import MissingError, UsageError
from whygen.evaluation.case import Case, Metric
from whygen.evaluation.measures import agreement
from whygen.evaluation.result import LeftOut, Measure

NEEDS = {"synonym": "lexicon", "neutral": "infill", "paraphrase": "paraphraser"}
"""Operators that are compared where this was given."""


def others(case: Case) -> list[str]:
    """Operators to compare with."""
    given = [name for name, option in NEEDS.items() if option in case.lab.choices]
    return [name for name in ("delete", "placeholder", *given) if name != case.explanation.operator]


def calls(case: Case) -> int:
    """One explanation for each operator."""
    return case.lab.ask_calls() * len(others(case))


def measure(case: Case) -> list[Measure]:
    """Agreement of the explanation with that under each other operator."""
    rows: list[Measure] = []
    for name in others(case):
        try:
            told = case.lab.explain(seed=case.explanation.seed, operator=name)
        except (UsageError, MissingError) as error:
            case.left.append(LeftOut(metric=f"operators: {name}", reason=str(error)))
            continue
        how = f"{case.explanation.operator} beside {name}, same masks"
        pairs = [agreement.pair(case.explanation, told)]
        rows += agreement.rows("operators", name, pairs, seed=case.seed, how=how)
    return rows


METRIC = Metric("operators", calls, measure)
