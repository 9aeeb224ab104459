"""Random command lines and Python calls end in a result or in an error that says what to do, never in a traceback."""

import random

import pytest
from benchmarks import fuzz_cases
from benchmarks.fuzz_doors import control, fuzz


@pytest.mark.parametrize("door", ["lines", "calls"])
def test_no_line_and_no_call_ends_in_a_foreign_error(door: str) -> None:
    found = fuzz(80, "11", door=door)
    assert found["faults"] == []
    assert len(found["ended"]) > 2


@pytest.mark.parametrize("door", ["lines", "calls"])
def test_a_fault_that_is_planted_is_found(door: str) -> None:
    assert control(door, runs=25) > 0


def test_every_command_and_every_option_is_drawn() -> None:
    left = {word for each in fuzz_cases.commands() for word in (*each.words, *each.flags, *each.valued)}
    lines = fuzz_cases.lines(random.Random(1), ["out0", "none"])
    for _ in range(14_000):
        left.difference_update(next(lines))
        if not left:
            break
    assert not left


def test_nearly_every_argument_of_every_call_is_drawn_in_five_thousand() -> None:
    with fuzz_cases.workplace() as files:
        cases = fuzz_cases.calls(random.Random(1), files)
        drawn = [next(cases) for _ in range(5000)]
    named = {(function, name) for function, _, names in drawn for name in names}
    takes = {(function, name) for function, _, _ in drawn for name in fuzz_cases.keywords(function)}
    assert len(takes - named) < 0.1 * len(takes)


def test_equal_seeds_draw_equal_lines() -> None:
    assert _drawn(50) == _drawn(50)


def _drawn(number: int) -> list[list[str]]:
    lines = fuzz_cases.lines(random.Random(1), ["out0", "none"])
    return [next(lines) for _ in range(number)]
