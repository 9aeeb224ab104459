"""One run: the calls are made once, and read as often as there are questions.

A `Run` holds what was asked and heard. `explained` reads it by the target that asked; `reread` gives the same run as
another target reads it, without a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from whygen.errors import BudgetError, ModelError, UsageError
from whygen.prompt import relevance
from whygen.prompt.asking import Asker, Whole
from whygen.prompt.assemble import assemble
from whygen.prompt.designs import Design
from whygen.prompt.effects import Seen
from whygen.prompt.ending import partial
from whygen.prompt.estimating import estimate_from
from whygen.prompt.failing import cause
from whygen.prompt.findings import Findings
from whygen.prompt.heard import Heard, Read, measure_by
from whygen.prompt.interactions import strongest_pairs
from whygen.prompt.intervals import Estimate
from whygen.prompt.matrix import sentence_matrix
from whygen.prompt.noise import measure
from whygen.prompt.observing import observe
from whygen.prompt.plan import Plan
from whygen.prompt.prepare import Question
from whygen.prompt.references import over_references, variance_over_references
from whygen.prompt.scales import reach, rescale
from whygen.prompt.sets import Ask, SetCall, answer_sets
from whygen.prompt.targets import ReadsReference, Target
from whygen.prompt.units import Sent, shown
from whygen.results.prompt import Calls, PromptExplanation
from whygen.results.records import AnswerSets, InteractionRecord
from whygen.stats.seeds import generator
from whygen.types import Masks


@dataclass(frozen=True, slots=True)
class Run:
    """What one set of calls gave, and how it is read; ``prompts`` are what was sent for each mask of the design."""

    asker: Asker
    plan: Plan
    design: Design
    prompts: Sequence[Sent]
    whole: Whole
    seen: Seen
    seed: int

    def estimate(self) -> Estimate:
        """Attributions of the plan's estimand, with the doubt that the choice of several references leaves."""
        estimate = estimate_from(self.seen, self.whole, self.plan, self.seed)
        options = self.plan.options
        if options.references < 2 or options.scale != "none":
            return estimate
        told = self.heard()
        variance = variance_over_references(
            self.seen.observed, told.answers, told.repeats, told.references, self.asker.target,
            distribution=options.distribution,
        )  # fmt: skip
        return estimate if variance is None else over_references(estimate, variance, options.references)

    def heard(self) -> Heard:
        """The answers themselves."""
        samples = zip(self.asker.samples, self.asker.outputs, strict=True)
        full = self.asker.is_known(self.design, self.prompts, self.whole, draws=self.plan.options.draws)
        rows = [self.whole.fresh if full[row] else tuple(self.asker.answers[row]) for row in self.seen.rows]
        return Heard(
            references=self.whole.references,
            repeats=self.whole.fresh,
            answers=tuple(rows),
            asked=tuple(not full[row] for row in self.seen.rows),
            kept=tuple(self.seen.observed.masks.mean(axis=1).tolist()),
            empty=tuple(output for sample, output in samples if sample.kind == "empty"),
            known=self.whole.known,
        )


def make_run(question: Question, asker: Asker) -> Run:
    """Ask everything that the question's plan asks.

    Raises:
        DataError: if the model cannot take the prompt, or the target cannot be measured on what it says.
        ModelError: if the model does not answer the prompt.
    """
    plan = question.plan
    asker.check_target()
    asker.check_context()
    whole = asker.whole(plan.options.references, repeats=plan.repeats)
    design = question.design(whole.steadiness)
    seen, whole = observe(asker, design, whole, plan, question.seed)
    return Run(asker, plan, design, asker.rendered(design), whole, seen, question.seed)


def explained(run: Run, *, further: int = 0) -> PromptExplanation:
    """A run in words, with the matrix and the sets that its options ask for.

    Args:
        run: what was asked and heard.
        further: calls that may be made to shrink sets of units.
    """
    options, estimate, asker = run.plan.options, _estimate(run), run.asker
    sets = None if options.sets is None else _sets(run, estimate, further if asker.ended is None else 0)
    matrix = None
    if options.matrix != "none":
        matrix = sentence_matrix(run.heard(), asker.target, lambda read, place: _column(run, read, place).estimate())
    findings = Findings(run.seen.observed, run.design, run.whole, estimate, run.seen)
    explanation = assemble(asker, findings, run.plan, seed=run.seed)
    found = {"matrix": matrix, "sets": sets, "interactions": _interactions(run)}
    return partial(explanation.model_copy(update=found), asker)


def _interactions(run: Run) -> tuple[InteractionRecord, ...]:
    """Pairs of units that act together. Only masks whose units were kept independently of each other tell."""
    options, observed = run.plan.options, run.seen.observed
    if options.estimand != "banzhaf" or run.design.sizes is not None or options.interactions < 1:
        return ()
    rng = generator(run.seed, "interactions")
    pairs = strongest_pairs(observed, run.plan.surrogate, rng, most=options.interactions)
    return tuple(InteractionRecord(**asdict(pair)) for pair in pairs)


def _estimate(run: Run) -> Estimate:
    """The estimate; a run that ended before it had enough for one ends as it did."""
    try:
        return run.estimate()
    except BudgetError as error:
        if run.asker.ended is not None:
            raise run.asker.ended from None
        if run.asker.failures:
            raise ModelError(f"{error} {cause(run.asker.failures)}{_without_units(run)}") from None
        raise


def _without_units(run: Run) -> str:
    """What helps where the prompt without any unit got no answer: many models take none that is empty."""
    asked, answered = ((~masks.any(axis=1)).any() for masks in (run.design.masks, run.seen.observed.masks))
    if not asked or answered:
        return ""
    return " The prompt without any unit is among them: leave it out with empty='exclude' (--empty exclude)."


def reread(run: Run, target: Target) -> Run:
    """The same run as another target reads it: the same masks and answers, and no call.

    Raises:
        UsageError: if the target needs other calls, or options make effects or rows depend on the target that asked.
        DataError: if the target cannot be measured on the reference.
    """
    asker, options = run.asker, run.plan.options
    own = options.distribution is not None or options.irrelevant == "exclude"
    if target.verb != asker.target.verb or own:
        raise UsageError(
            f"target={target.record.name!r} cannot be read from the answers to target={asker.target.record.name!r}: it "
            "needs other calls. Explain with it alone: explain_prompt(..., target=...). Recorded answers cost nothing."
        )
    if isinstance(target, ReadsReference):
        target.check(run.whole.references[0])
    samples = zip(asker.samples, _effects(run, target), strict=True)
    again = replace(asker, target=target, samples=[replace(sample, effect=effect) for sample, effect in samples])
    read = run.heard().read(measure_by([target], run.whole.references))
    seen = replace(run.seen, reach=reach(target, run.whole.references, options.scale))
    found = _column(replace(run, asker=again, seen=seen), read, 0)
    return replace(found, seen=replace(found.seen, irrelevant=_irrelevant(run, target)))


def _irrelevant(run: Run, target: Target) -> int:
    """Answers to masks that are as far from the reference as texts about other things are."""
    line = relevance.level(target, run.whole.references)
    heard = run.heard()
    drawn = [output for draws, asked in zip(heard.answers, heard.asked, strict=True) if asked for output in draws]
    if line is None or not drawn:
        return 0
    return int(relevance.irrelevant(target.effects(drawn, run.whole.references), line).sum())


def without_calls(explanation: PromptExplanation) -> PromptExplanation:
    """An explanation that was reread: it asked the same, and made no call."""
    calls = explanation.calls
    kept = Calls(asked=calls.asked, made=0, cached=calls.asked, failed=calls.failed)
    return explanation.model_copy(update={"calls": kept})


def _effects(run: Run, target: Target) -> list[float | None]:
    """Effect of each sample; references have none."""
    measured = [sample.effect is not None for sample in run.asker.samples]
    outputs = [output for output, known in zip(run.asker.outputs, measured, strict=True) if known]
    values = iter(target.effects(outputs, run.whole.references).tolist())
    return [next(values) if known else None for known in measured]


def _column(run: Run, read: Read, place: int) -> Run:
    """The run with the effects of one of the targets that read it."""
    scale = run.plan.options.scale
    observed = replace(run.seen.observed, values=rescale(scale, read.effects[:, place]))
    if observed.total is not None:
        observed = replace(observed, total=read.total(place))
    noise = read.noise(place, reach=run.seen.reach)
    if scale != "none":  # effects are rescaled over the run: those of single draws are in another unit
        noise = measure(observed.values[:, None], known=read.known)
    seen = replace(run.seen, observed=observed, noise=noise, draws=read.draws[:, :, place])
    return replace(run, whole=replace(run.whole, repeats=read.repeats[:, place]), seen=seen)


def _sets(run: Run, estimate: Estimate, further: int) -> AnswerSets:
    asker, observed = run.asker, run.seen.observed
    return answer_sets(
        observed.masks,
        [_calls(run, place, row) for place, row in enumerate(run.seen.rows)],
        run.whole.repeats,
        texts=asker.units.texts,
        strength=estimate.attributions,
        steady="differs" if run.whole.steadiness == "so far" and run.seen.noise.odd else run.whole.steadiness,
        ask=_asking(run) if further else None,
        budget=further,
    )


def _calls(run: Run, place: int, row: int) -> list[SetCall]:
    """The draws of one mask: what was sent, what came back, and the effect."""
    effects = run.seen.observed.values[place : place + 1] if run.seen.draws is None else run.seen.draws[place]
    outputs = run.asker.answers[row]
    known = [effect for effect in effects.tolist() if not np.isnan(effect)]
    return [
        SetCall(effect, shown(run.prompts[row]), outputs[min(draw, len(outputs) - 1)].text, place)
        for draw, effect in enumerate(known)
    ]


def _asking(run: Run) -> Ask:
    def ask(masks: Masks) -> list[SetCall]:
        samples = [run.asker.further(mask, run.whole) for mask in masks]
        return [
            SetCall(np.nan, "", "")
            if one is None or one.effect is None
            else SetCall(one.effect, one.prompt, one.output)
            for one in samples
        ]

    return ask
