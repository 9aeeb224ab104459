"""The plan of an explanation: what was chosen, and which masks the budget pays for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.prompt import designs, intervals
from whygen.prompt.asking import REDRAWS, REPEATS
from whygen.prompt.designs import Design
from whygen.prompt.surrogates import Surrogate
from whygen.prompt.targets import Verb

ESTIMANDS = ("banzhaf", "shapley", "local", "loo")
EMPTY = ("include", "exclude")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices that decide which masks are asked for and how they are read."""

    estimand: str
    keep: float
    surrogate: Surrogate
    budget: int
    draws: int
    references: int
    empty: bool
    tolerance: float | None
    verb: Verb = "answer"

    @property
    def overhead(self) -> int:
        """Calls that go to the reference, its repeats and, for Shapley values, the empty prompt."""
        return REPEATS + (1 if self.verb == "score" else self.references) + (self.estimand == "shapley")

    @property
    def calls(self) -> int:
        """Calls that the budget leaves for masks and redraws."""
        return self.budget - self.overhead

    def smallest(self, n: int) -> int:
        """The fewest masks that work for ``n`` units."""
        if self.estimand == "loo":
            return n
        masks = 2 * max(intervals.FEWEST_GROUPS, self.surrogate.smallest_pairs(n))
        return min(masks, 2**n - 1) if self.keep == 0.5 and n < designs.MAX_ENUMERATED else masks

    def affords_redraws(self, n: int) -> bool:
        """Whether masks enough remain when some are asked twice; if not, the noise is not measured (and a warning)."""
        return self.calls - REDRAWS >= self.smallest(n)


def check_prompt(prompt: object) -> None:
    """Refuse a prompt that is no text, or no valid Unicode."""
    if not isinstance(prompt, str):
        raise UsageError(f"prompt is a {type(prompt).__name__}: give the text as a str.")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The prompt is not valid Unicode: character {error.start} is half of a surrogate pair. "
            "Read the text as UTF-8."
        ) from None


def check_choices(
    estimand: str, *, keep: float, empty: str, draws: int, references: int, tolerance: float | None
) -> None:
    """Refuse choices that cannot work, alone or together, before anything is paid."""
    if estimand not in ESTIMANDS:
        raise UnknownNameError("estimand", estimand, ESTIMANDS)
    if not 0.0 < keep < 1.0:
        raise UsageError(f"keep={keep}: give a probability between 0 and 1, such as 0.5 or 0.8.")
    if empty not in EMPTY:
        raise UnknownNameError("value of empty", empty, EMPTY)
    if estimand == "shapley" and (keep != 0.5 or empty == "exclude"):
        raise UsageError(
            f"estimand='shapley' averages over all sizes of masks, the empty one included: keep={keep} and "
            f"empty={empty!r} do not go with it. Leave them out, or use estimand='banzhaf'."
        )
    if tolerance is not None and tolerance <= 0:
        raise UsageError(f"tolerance={tolerance}: give a positive width in the target's unit, or leave it out.")
    for name, value in (("draws", draws), ("references", references)):
        if value < 1:
            raise UsageError(f"{name}={value}: give a whole number of at least 1.")


def design_for(n: int, plan: Plan, rng: np.random.Generator, *, differs: bool) -> Design:
    """The masks that the budget pays for.

    Args:
        n: number of units.
        plan: the choices.
        rng: draws the masks.
        differs: whether repeats of the whole prompt differed; then some calls are kept for redraws, if the budget
            has them.

    Raises:
        BudgetError: if the budget is under what the estimand needs.
        UsageError: if a prompt of one unit leaves no mask.
    """
    if n == 1 and not plan.empty:
        raise UsageError(
            "A prompt of one unit has no mask without the empty prompt. Use empty='include', or finer units."
        )
    repeated = differs and plan.draws == 1 and plan.affords_redraws(n)
    masks = (plan.calls - (REDRAWS if repeated else 0)) // plan.draws
    if plan.keep == 0.5 and plan.estimand != "loo" and designs.fits_enumeration(n, masks, empty=plan.empty):
        return designs.enumerated(n, empty=plan.empty)
    what = "leave-one-out" if plan.estimand == "loo" else f"surrogate={plan.surrogate.name!r}"
    designs.require(plan.calls, needed=plan.smallest(n), draws=plan.draws, overhead=plan.overhead, what=what)
    if plan.estimand == "loo":
        return designs.leave_one_out(n)
    repeats = "fresh" if differs or plan.draws > 1 else "shared"
    if plan.estimand == "shapley":
        return designs.paired_by_size(n, masks, rng, repeats=repeats)
    if plan.estimand == "local" or plan.keep != 0.5:
        return designs.bernoulli(n, masks, rng, keep=plan.keep, repeats=repeats, empty=plan.empty)
    return designs.complement_pairs(n, masks // 2, rng, empty=plan.empty)
