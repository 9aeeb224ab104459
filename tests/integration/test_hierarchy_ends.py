"""A long prompt that is explained level by level, and whose run ends early, says so."""

from __future__ import annotations

import whygen
from whygen.calls import Budget, RunOptions

PROMPT = "\n\n".join(
    f"Paragraph {number} tells of a fox. It says so in two sentences. The harbour is near." for number in range(8)
)


def test_a_run_by_levels_that_ends_early_says_so() -> None:
    def model(prompt: str) -> str:
        return " ".join(sorted(set(prompt.split()))[:12])

    part = whygen.explain_prompt(
        model, PROMPT, hierarchy="auto", budget=400, target="token-set", cache=None,
        run=RunOptions(spending=Budget(calls=150)),
    )  # fmt: skip
    assert part.ended == "cost"
    assert part.warnings[0].code == "ended-early"
    assert part.calls.made <= 150
