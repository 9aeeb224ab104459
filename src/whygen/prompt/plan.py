"""The plan of an explanation: what was chosen, and which masks the budget pays for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from whygen.encoders import AnyEncoder
from whygen.errors import UnknownNameError, UsageError
from whygen.prompt import designs, intervals
from whygen.prompt.designs import Design
from whygen.prompt.estimands import Estimand, Fitting, MaskDraw, load_estimand
from whygen.prompt.kernels import Kernel
from whygen.prompt.noise import Steadiness
from whygen.prompt.options import PromptOptions
from whygen.prompt.surrogates import Proxied, Surrogate
from whygen.prompt.targets import Verb

DESIGNS = ("auto", "gsmile")
EMPTY = ("include", "exclude")
MATRICES = ("none", "sentence")
MODEL_NOISE = ("measure", "none")

REPEATS = 2
"""Fresh answers to the whole prompt, asked before any mask: they give f(1) and show whether the model differs."""

REDRAWS = 8
"""Masked prompts that are asked again, of a sampled design, to measure the model's noise (METHODS A3)."""

MOST_DRAWS = 8
"""Draws of one mask at most where every mask is asked and calls are left: more say little more."""


ANYWAY = 3
"""Calls without any part where suspects are asked about: how often the model would have acted anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices that decide which masks are asked for and how they are read.

    Attributes:
        options: what was chosen.
        surrogate: the model of the model.
        kernel: what `local` calls near; None for other estimands.
        fixed: a given design, or one drawn for a number of masks by a preset; None leaves it to `design_for`.
        verb: what the target asks of the model.
        texts: how many texts a scoring target wants scored for each prompt; each is a call.
        encoder: as it was given, for the recipe.
    """

    options: PromptOptions
    surrogate: Surrogate
    kernel: Kernel | None = None
    fixed: Design | Callable[[int], Design] | None = None
    verb: Verb = "answer"
    texts: int = 1
    encoder: AnyEncoder = "auto"

    @property
    def estimand(self) -> Estimand:
        """What attributions mean."""
        return load_estimand(self.options.estimand)

    @property
    def without_proxy(self) -> Plan:
        """For effects that a proxy's answers say nothing of, such as those of another target."""
        return replace(self, surrogate=self.surrogate.base) if isinstance(self.surrogate, Proxied) else self

    def fitting(self, seed: int) -> Fitting:
        """What effects are estimated with."""
        options = self.options
        return Fitting(
            surrogate=self.surrogate,
            seed=seed,
            level=self.level,
            draws=options.draws if options.distribution is None else 1,
            budget=options.budget,
        )

    @property
    def level(self) -> float:
        """Of the intervals: wider where a stop rule may end the run (docs/decisions/0002-intervals.md)."""
        looked = self.options.tolerance is not None or self.options.stable is not None
        return intervals.LEVEL_OF_LOOKS if looked else intervals.LEVEL

    @property
    def repeats(self) -> int:
        """Fresh answers to the whole prompt; a set as large as every other in distributional mode."""
        return REPEATS if self.options.distribution is None else max(REPEATS, self.options.draws)

    def needs_empty(self, design: Design) -> bool:
        """Whether f(0) is asked for beside the masks: sampled Shapley values share out f(1) - f(0)."""
        return self.estimand.shares_total and not design.enumerated

    def empties(self, design: Design) -> int:
        """Calls for the prompt without any unit beside the masks."""
        if self.needs_empty(design):
            return self.options.draws
        return 0 if design.enumerated else self._anyway

    @property
    def _anyway(self) -> int:
        asks = self.options.suspect is not None and not self.estimand.shares_total and self.verb == "answer"
        return ANYWAY if asks and self.options.empty == "include" else 0

    def unasked(self, design: Design) -> int:
        """Calls of the `overhead` that are not made: where all masks are asked, the empty prompt is one of them."""
        if not design.enumerated:
            return 0
        return self.options.draws if self.estimand.shares_total else self._anyway

    @property
    def overhead(self) -> int:
        """Calls for the reference, its repeats, and the empty prompt where a total is shared out."""
        once = self.repeats + (self.options.draws if self.estimand.shares_total else 0)
        return self.options.references + once * self.texts + self._anyway

    @property
    def beside(self) -> int:
        """Calls beside the budget: those that shrink and test sets of units, at most."""
        return (self.options.sets or 0) * self.texts

    @property
    def each(self) -> int:
        """Calls for one mask."""
        return self.options.draws * self.texts

    @property
    def calls(self) -> int:
        """Calls that the budget leaves for masks and redraws."""
        return self.options.budget - self.overhead

    def smallest(self, n: int) -> int:
        """The fewest masks that work for ``n`` units."""
        if self.estimand.samples and isinstance(self.fixed, Design):
            return len(self.fixed.masks)
        return self.estimand.smallest(n, self.surrogate, keep=self.options.keep)

    def affords_redraws(self, n: int) -> bool:
        """Whether masks enough remain when some are asked twice; if not, the noise is not measured (and a warning)."""
        return self.calls - REDRAWS * self.texts >= self.smallest(n) * self.texts

    def measures(self, steadiness: Steadiness) -> bool:
        """Whether single masks are asked again: where nothing else tells the noise, and the effects are plain means."""
        options = self.options
        plain = options.draws == 1 and options.scale == "none" and options.distribution is None
        return plain and steadiness != "known"

    def reserved(self, n: int, steadiness: Steadiness) -> int:
        """Redraws that a sampled design of ``n`` units leaves calls for.

        Where the model differs; else where the noise changes the interval: a large share of all masks, or the total
        that Shapley values share out, which rests on few calls.
        """
        if not self.measures(steadiness) or not self.affords_redraws(n):
            return 0
        options = self.options
        pairs = (self.calls // self.texts - REDRAWS) // 2
        share = pairs / 2 ** (n - 1) if options.keep == 0.5 and n <= designs.MAX_ENUMERATED else 0.0
        return REDRAWS if steadiness == "differs" or self.estimand.rests_on_noise(share) else 0

    def redraws(self, design: Design, steadiness: Steadiness) -> int:
        """How many masked prompts are asked again: all that the budget has left where every mask was asked."""
        n = design.masks.shape[1]
        if not self.measures(steadiness):
            return 0
        if self.estimand.samples and not design.enumerated:
            return min(self.reserved(n, steadiness), len(design.masks))
        own = bool(design.masks.all(axis=1).any())  # the repeats are its answers
        spare = self.calls // self.texts - len(design.masks) + own + self.unasked(design)
        rows = 2**n if design.enumerated else n + 1
        return max(0, min(spare, (MOST_DRAWS - 1) * rows))


def check_choices(options: PromptOptions) -> None:
    """Refuse choices that cannot work, alone or together, before anything is paid."""
    estimand = load_estimand(options.estimand)
    if not 0.0 < options.keep < 1.0:
        raise UsageError(f"keep={options.keep}: give a probability between 0 and 1, such as 0.5 or 0.8.")
    _check_values(options)
    estimand.check(options)
    tolerance = options.tolerance
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise UsageError(f"tolerance={tolerance}: give a positive width in the target's unit, or leave it out.")
    if options.stable is not None and options.stable < 1:
        raise UsageError(f"stable={options.stable}: give how many units must keep their places, at least 1.")
    for name, value in (("draws", options.draws), ("references", options.references)):
        if value < 1:
            raise UsageError(f"{name}={value}: give a whole number of at least 1.")
    _check_readings(options)


def _check_values(options: PromptOptions) -> None:
    """Refuse words that say nothing here."""
    for name, value, allowed in (
        ("value of empty", options.empty, EMPTY),
        ("value of model_noise", options.model_noise, MODEL_NOISE),
        ("matrix", options.matrix, MATRICES),
        ("design", options.design, DESIGNS),
    ):
        if isinstance(value, str) and value not in allowed:
            raise UnknownNameError(name, value, allowed)


def _check_readings(options: PromptOptions) -> None:
    """Refuse matrix and sets where effects are no plain means of single answers."""
    if options.sets is not None and options.sets < 0:
        raise UsageError(f"sets={options.sets}: give the number of further calls, 0 or more, or leave it out.")
    wanted = options.sets is not None or options.matrix != "none"
    if wanted and (options.distribution is not None or options.scale != "none"):
        raise UsageError(
            "matrix and sets compare single answers, distribution and scale do not: they cannot be combined. Leave out "
            "matrix and sets, or distribution and scale."
        )


def design_for(n: int, plan: Plan, rng: np.random.Generator, *, steadiness: Steadiness) -> Design:
    """The masks that the budget pays for.

    Args:
        n: number of units.
        plan: the choices.
        rng: draws the masks.
        steadiness: whether equal questions get equal answers; unless they are known to, some calls are kept for
            redraws, if the budget has them.

    Raises:
        BudgetError: if the budget is under what the estimand needs.
        UsageError: if a prompt of one unit leaves no mask.
    """
    options = plan.options
    empty = options.empty == "include"
    if n == 1 and not empty:
        raise UsageError(
            "A prompt of one unit has no mask without the empty prompt. Use empty='include', or finer units."
        )
    masks = (plan.calls - plan.reserved(n, steadiness) * plan.texts) // plan.each
    if plan.fixed is not None:
        return _given(n, plan, masks)
    # A model that is steady so far is asked every mask even where few calls are left to test that.
    most = masks if steadiness == "differs" else plan.calls // plan.each
    estimand = plan.estimand
    if estimand.samples and options.keep == 0.5 and designs.fits_enumeration(n, most, empty=empty):
        return designs.enumerated(n, empty=empty)
    what = estimand.needed_by(plan.surrogate)
    designs.require(plan.calls, needed=plan.smallest(n), draws=plan.each, overhead=plan.overhead, what=what)
    repeats = "shared" if steadiness == "known" and options.draws == 1 else "fresh"
    halves = None if options.distribution is None else "complement"  # its test swaps the halves of a pair
    return estimand.design(n, masks, rng, MaskDraw(keep=options.keep, empty=empty, repeats=repeats, halves=halves))


def _given(n: int, plan: Plan, masks: int) -> Design:
    """A design of the user's own, or the published one, within the budget."""
    needed = plan.smallest(n)
    designs.require(plan.calls, needed=needed, draws=plan.each, overhead=plan.overhead, what="the given design")
    if isinstance(plan.fixed, Design):
        return plan.fixed
    assert plan.fixed is not None  # noqa: S101 - the caller looked
    return plan.fixed(masks)
