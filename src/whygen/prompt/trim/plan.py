"""What a trimming asks: which inputs choose and which test, at which error, and how many calls that takes at most."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from whygen.errors import BudgetError, UnknownNameError, UsageError
from whygen.prompt.inputs import OVER
from whygen.prompt.options import Over
from whygen.stats.betting import fewest, smallest_margin

WEIGHTS: Final = (0.6, 0.25, 0.15)
"""Shares of the error that up to three prompts are tested with, the boldest first. Evidence grows with every input, so
half of the error costs few inputs more."""
MOST_CHOOSING: Final = 30
"""Inputs that choose, at most, where others test."""
FEWEST_CHOOSING: Final = 4
MOST_TIMES: Final = 5
"""Draws of a test whose mean counts for one, at most, where a model samples and inputs are few for its noise."""
ROUNDS: Final = 8
"""Over these inputs alone a noisy model is asked so many times as often as no loss at all would need, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimPlan:
    """How a trimming is asked for.

    Attributes:
        units: of the prompt.
        choosing: how many inputs choose what to try.
        testing: how many inputs test it: others than those, or for these inputs the same ones.
        rounds: how often each input is asked in a test, at most.
        steady: whether equal questions are known to get equal answers.
        budget: answers asked for in all, at most.
    """

    units: int
    choosing: int
    testing: int
    margin: float
    error: float
    over: Over
    draws: int
    rounds: int
    budget: int
    steady: bool

    @property
    def pairs(self) -> int:
        """Pairs of masks that order the units."""
        return 0 if self.units == 1 else 2 * self.units + 8

    @property
    def test_calls(self) -> int:
        """What one test takes, if nobody was asked yet: kept back from choosing."""
        if self.over == "these":
            return self.testing * (1 + self.draws * self.rounds)
        return self.testing * (2 + self.draws)

    @property
    def most_calls(self) -> int:
        """What all tests take at most, if a noisy model makes each of them ask as often as it may."""
        times = 1 if self.steady or self.over == "these" else MOST_TIMES
        whole = self.testing * (1 + times * self.draws * self.rounds)
        return whole + len(WEIGHTS) * self.testing * times * self.draws * self.rounds


def plan_trim(
    units: int, inputs: int, *, margin: float, error: float, over: Over, draws: int, budget: int | None, steady: bool
) -> TrimPlan:
    """Share out the inputs and the calls.

    Raises:
        UsageError: if so few inputs cannot show such a margin; `BudgetError` names the smallest budget that works.
    """
    check_numbers(margin, error, over, draws)
    draws = 1 if steady else draws
    testing, rounds = inputs, 1
    if over == "like-these":
        testing = _testing(inputs, margin, error)
    elif not steady:
        rounds = max(1, math.ceil(ROUNDS * fewest(margin, error * WEIGHTS[0]) / inputs))
    choosing = inputs - testing if over == "like-these" else inputs
    plan = TrimPlan(
        units=units, choosing=choosing, testing=testing, margin=margin, error=error, over=over, draws=draws,
        rounds=rounds, budget=0, steady=steady,
    )  # fmt: skip
    first = choosing * (1 + draws) + 2 * plan.pairs * draws
    smallest = first + (units.bit_length() + 2) * choosing * draws + plan.test_calls
    if budget is not None and budget < smallest:
        raise BudgetError(
            f"budget={budget} is too small for {inputs} inputs and {units} units. The smallest budget that works is "
            f"{smallest}.",
            smallest=smallest,
        )
    usual = first + (2 * units + 2) * choosing * draws + plan.most_calls
    return replace(plan, budget=usual if budget is None else budget)


def check_numbers(margin: float, error: float, over: str, draws: int) -> None:
    """Refuse numbers that say nothing.

    Raises:
        UsageError: naming the one.
    """
    if not 0.0 < margin < 1.0:
        raise UsageError(
            f"margin={margin}: give a share between 0 and 1 of what an input can lose, such as 0.1. Nothing can show "
            "that two prompts are exactly as good."
        )
    if not 0.0 < error < 0.5:
        raise UsageError(f"error={error}: give a chance between 0 and 0.5, such as 0.05.")
    if over not in OVER:
        raise UnknownNameError("value of over", over, OVER)
    if draws < 1:
        raise UsageError(f"draws={draws}: give at least 1.")


def _testing(inputs: int, margin: float, error: float) -> int:
    """Inputs that test, where the others choose."""
    first = error * WEIGHTS[0]
    needed = fewest(margin, first)
    if inputs >= needed + FEWEST_CHOOSING:
        return max(needed, inputs - MOST_CHOOSING)
    if inputs <= FEWEST_CHOOSING:
        shows = "Less say nothing about inputs like them"
    else:
        best = math.ceil(1000.0 * smallest_margin(inputs - FEWEST_CHOOSING, first)) / 1000.0
        shows = f"These can show margin={best:g}"
    raise UsageError(
        f"{inputs} input{'s' * (inputs != 1)} cannot show margin={margin:g} with error={error:g} for inputs like them: "
        f"{FEWEST_CHOOSING} choose what to drop, and at least {needed} others test it. Give {needed + FEWEST_CHOOSING} "
        f"inputs or more. {shows}; over='these' (--over these) asks about these inputs alone."
    )
