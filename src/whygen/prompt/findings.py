"""Findings: what one reading of the answers says, and the explanation that is made of it. Free, and offline.

`find` reads answers by the target that asked, `by_target` by another one. Neither makes a call.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from whygen.errors import BudgetError, ModelError, UsageError
from whygen.prompt.answers import Answers
from whygen.prompt.asker import Asker
from whygen.prompt.designs import Design
from whygen.prompt.effects import Effects
from whygen.prompt.estimating import estimate_from
from whygen.prompt.failing import cause
from whygen.prompt.interactions import strongest_pairs
from whygen.prompt.intervals import Estimate
from whygen.prompt.plan import Plan
from whygen.prompt.reading import Meter, read
from whygen.prompt.references import over_references, variance_over_references
from whygen.prompt.sets import Ask, SetCall, answer_sets
from whygen.prompt.targets import ReadsReference, Target
from whygen.prompt.units import shown
from whygen.results.records import AnswerSets, InteractionRecord
from whygen.stats.seeds import generator
from whygen.types import Masks


@dataclass(frozen=True, slots=True)
class Findings:
    """What one reading of the answers says.

    Attributes:
        answers: what was read.
        meter: by which target.
        plan: as what.
        seed: of folds and flips.
        effects: of the masks.
        estimate: the attributions.
    """

    answers: Answers
    meter: Meter
    plan: Plan
    seed: int
    effects: Effects
    estimate: Estimate

    @property
    def design(self) -> Design:
        """The masks that were asked for."""
        return self.answers.design

    @property
    def target(self) -> Target:
        """What was measured."""
        return self.meter.target


def find(answers: Answers, plan: Plan, meter: Meter, seed: int) -> Findings:
    """Read answers by a target.

    Raises:
        BudgetError, ModelError, EndedError, KeyboardInterrupt: if too little was answered, by what was the reason.
    """
    effects = read(answers, plan, meter)
    return Findings(answers, meter, plan, seed, effects, _estimate(answers, effects, meter, plan, seed))


def by_target(found: Findings, target: Target, plan: Plan) -> Findings:
    """The same answers as another target reads them, by the plan that it would have asked with.

    Raises:
        UsageError: if the target needs other calls, or options make effects or rows depend on the target that asked.
        DataError: if the target cannot be measured on the reference.
    """
    options, asked = found.plan.options, found.target
    own = options.distribution is not None or options.irrelevant == "exclude"
    if target.verb != asked.verb or own:
        raise UsageError(
            f"target={target.record.name!r} cannot be read from the answers to target={asked.record.name!r}: it "
            "needs other calls. Explain with it alone: explain_prompt(..., target=...). Recorded answers cost nothing."
        )
    if isinstance(target, ReadsReference):
        target.check(found.answers.references[0])
    return find(found.answers, plan, Meter(target, found.answers.references), found.seed)


def _estimate(answers: Answers, effects: Effects, meter: Meter, plan: Plan, seed: int) -> Estimate:
    """Attributions of the plan's estimand, with the doubt that the choice of several references leaves."""
    try:
        estimate = estimate_from(effects, plan, seed)
    except BudgetError as error:  # a run that ended before it had enough for one ends as it did
        if answers.ended is not None:
            raise answers.ended from None
        if answers.failures:
            raise ModelError(f"{error} {cause(answers.failures)}{_without_units(answers, effects)}") from None
        raise
    options = plan.options
    if options.references < 2 or options.scale != "none":
        return estimate
    variance = variance_over_references(
        effects, [answers.of(row) for row in effects.rows], answers.repeats, answers.references, meter.target,
        distribution=options.distribution,
    )  # fmt: skip
    return estimate if variance is None else over_references(estimate, variance, options.references)


def _without_units(answers: Answers, effects: Effects) -> str:
    """What helps where the prompt without any unit got no answer: many models take none that is empty."""
    asked, answered = ((~masks.any(axis=1)).any() for masks in (answers.design.masks, effects.masks))
    if not asked or answered:
        return ""
    return " The prompt without any unit is among them: leave it out with empty='exclude' (--empty exclude)."


def interactions(found: Findings) -> tuple[InteractionRecord, ...]:
    """Pairs of units that act together. Only masks whose units were kept independently of each other tell."""
    options = found.plan.options
    if options.estimand != "banzhaf" or found.design.sizes is not None or options.interactions < 1:
        return ()
    rng = generator(found.seed, "interactions")
    pairs = strongest_pairs(found.effects, found.plan.surrogate, rng, most=options.interactions)
    return tuple(InteractionRecord(**asdict(pair)) for pair in pairs)


def estimate_of(found: Findings, meter: Meter) -> Estimate:
    """The estimate of the same answers by another meter; which draws are left out as irrelevant stays as it was."""
    effects = replace(read(found.answers, found.plan, meter), strange=found.effects.strange)
    return _estimate(found.answers, effects, meter, found.plan, found.seed)


def sets(found: Findings, asker: Asker | None, *, further: int) -> AnswerSets:
    """Few units whose removal changes the answer, and few that keep it.

    Args:
        found: the findings.
        asker: of further masks; None where only what was answered is read.
        further: calls that may be made to shrink sets of units.
    """
    answers, effects = found.answers, found.effects
    asks = asker is not None and further > 0 and answers.ended is None
    return answer_sets(
        effects.masks,
        [_calls(found, place, row) for place, row in enumerate(effects.rows)],
        effects.whole,
        texts=answers.units.texts,
        strength=found.estimate.attributions,
        steady="differs" if answers.steadiness == "so far" and effects.noise.odd else answers.steadiness,
        ask=_asking(asker) if asker is not None and asks else None,
        budget=further if asks else 0,
    )


def _calls(found: Findings, place: int, row: int) -> list[SetCall]:
    """The draws of one mask: what was sent, what came back, and the effect."""
    draws = found.effects.values[place : place + 1] if found.effects.draws is None else found.effects.draws[place]
    outputs = found.answers.of(row)
    known = [effect for effect in draws.tolist() if not np.isnan(effect)]
    return [
        SetCall(effect, shown(found.answers.prompts[row]), outputs[min(draw, len(outputs) - 1)].text, place)
        for draw, effect in enumerate(known)
    ]


def _asking(asker: Asker) -> Ask:
    def ask(masks: Masks) -> list[SetCall]:
        answered = [asker.further(mask) for mask in masks]
        return [
            SetCall(np.nan, "", "")
            if one is None
            else SetCall(float(asker.meter([one.output])[0]), shown(one.prompt), one.output.text)
            for one in answered
        ]

    return ask
