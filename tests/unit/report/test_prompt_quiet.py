"""What a prompt's report leaves out, and what it marks: advice that changes nothing, lone marks, equal answers."""

from __future__ import annotations

import pytest

from example_explanations import prompt_explanation
from whygen.results.prompt import PromptExplanation
from whygen.results.summary import summarise

ADVICE = "About 170 more calls would halve the intervals."


def settled(*, low: float) -> PromptExplanation:
    """One unit that stands out, all others with an interval from ``low`` to 0 and no surety."""
    found = prompt_explanation(advice=ADVICE)
    units = [unit.model_copy(update={"significant": False, "low": low, "high": 0.0}) for unit in found.units]
    units[8] = units[8].model_copy(update={"attribution": 0.5, "low": 0.4, "high": 0.6, "significant": True})
    return found.model_copy(update={"units": tuple(units)})


@pytest.mark.parametrize(("low", "advised"), [(-0.01, False), (-0.3, True)])
def test_more_calls_are_advised_only_where_they_could_change_a_verdict(low: float, advised: bool) -> None:
    assert (ADVICE in summarise(settled(low=low))["facts"][0]["text"]) is advised


def test_a_mark_alone_is_quiet_unless_it_stands_out() -> None:
    found = prompt_explanation()
    marks = [
        unit.model_copy(update={"text": text, "significant": sure})
        for unit, text, sure in zip(found.units, (",", ".", "!?", "fox"), (False, True, False, False), strict=False)
    ]
    shown = summarise(found.model_copy(update={"units": (*marks, *found.units[4:])}))["units"]
    assert [unit["quiet"] for unit in shown[:4]] == [True, False, True, False]


def test_what_the_reference_did_not_say_is_marked_and_the_same_answer_is_named_so() -> None:
    found = prompt_explanation()
    rows = summarise(found)["samples"]["rows"]
    for row in rows:
        assert row["same"] is (row["kind"] != "whole prompt: the reference" and row["output"] == found.reference.text)
        assert "".join(part["text"] for part in row["output_parts"]) == row["output"]
    marked = [part["text"] for row in rows for part in row["output_parts"] if part["differs"]]
    assert marked
    assert not any(part["differs"] for row in rows if row["kind"].endswith("reference") for part in row["output_parts"])
