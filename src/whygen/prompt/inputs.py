"""Which parts of a template matter over many inputs: ``explain_prompt(model, template, inputs=[...])``. METHODS A4.

The units are parts of the template, the masks are shared over the inputs, and the game that is explained is the mean
over inputs. What differs between inputs is always sent and never attributed. An interval can hold for the very inputs
that were given (what is uncertain are the masks and the model's noise), or for inputs like these, of which the given
ones are a sample: then the variance between inputs is added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from whygen.calls import RunOptions
from whygen.errors import BudgetError, UnknownNameError, UsageError
from whygen.prompt.answers import Answers
from whygen.prompt.ask import ask_design
from whygen.prompt.asker import Asker, least_steady
from whygen.prompt.assemble import assemble, partial
from whygen.prompt.designs import Design
from whygen.prompt.effects import Effects
from whygen.prompt.estimands import ESTIMANDS
from whygen.prompt.findings import Findings
from whygen.prompt.intervals import LIKE_THESE, Estimate, cross_fit
from whygen.prompt.noise import ROUNDING, averaged, resolution
from whygen.prompt.options import DEFAULT, TEMPLATE, Over, PromptOptions, choose, unread
from whygen.prompt.plan import Plan
from whygen.prompt.question import Question, check, prepare_units
from whygen.prompt.reading import Meter, read
from whygen.prompt.session import Session
from whygen.prompt.units import Input, Units, UnitsOver, split_over
from whygen.prompt.units.templates import doubled
from whygen.results.prompt import InputRecord, PromptExplanation, Warned
from whygen.stats.crossed import at_least, between_inputs, share_unseen, student_p, widened
from whygen.stats.intervals import Interval, student_half_width
from whygen.stats.seeds import generator
from whygen.texts import counted
from whygen.types import Chat, Floats, Message, Template

OVER: tuple[Over, ...] = ("like-these", "these")

FEW_INPUTS = 6
"""Below this many inputs an interval over inputs like these is wide, and a warning says so."""

MANY = replace(DEFAULT, units="sentence")
"""What is chosen unless it is said otherwise."""


PLACE = "{input}"
"""Where an input stands in a text that has a place for it."""


def as_template(given: str | Chat, inputs: Sequence[Input]) -> tuple[Template | Chat, list[Input]]:
    """The template, and the inputs as it takes them.

    A chat is followed by each input. A text is a template where it says ``{input}`` or where inputs are objects (each
    fills the fields that are named so), and a system prompt otherwise.

    Raises:
        UsageError: for inputs that are no list, and for a chat with inputs that are no texts.
    """
    check_inputs(inputs)
    objects = any(not isinstance(item, str) for item in inputs)
    if isinstance(given, Chat):
        if objects:
            raise UsageError("--chat goes with user messages: give --inputs a list of texts, not of objects.")
        return given, list(inputs)
    if objects:
        return Template(given), list(inputs)
    if PLACE in given:
        text = doubled(given).replace(doubled(PLACE), PLACE)
        return Template(text), [{"input": cast("str", item)} for item in inputs]
    return Chat((Message("system", given),)), list(inputs)


def explain_over(cut: UnitsOver, chosen: PromptOptions, session: Session, *, over: Over) -> PromptExplanation:
    """Which parts of a template, such as the sentences of a system prompt, matter over many inputs.

    Args:
        cut: the template with each input, see `cut_over`.
        chosen: the options, for all inputs together.
        session: who is asked.
        over: what the intervals hold for.

    Returns:
        A frozen explanation of the template; `PromptExplanation.inputs` holds the attributions for each input, and
        their mean is the attribution. A pair of masks counts only where every input's calls were answered.

    Raises:
        BudgetError: naming the smallest budget that works.
        ModelError: if the model does not answer the whole prompt of an input.
    """
    question = question_over(cut, chosen, session)
    asker = session.asker(question, session.runner(chosen.budget))
    findings, each = _findings(_ask(asker, cut, question, fewest=1 if over == "these" else 2), over)
    return partial(_told(assemble(findings), cut.first(len(each)), each), findings.answers)


def cut_over(
    template: object, inputs: Sequence[Input], over: str, preset: str | PromptOptions | None,
    choices: Mapping[str, Any], *, run: RunOptions | None,
) -> tuple[PromptOptions, UnitsOver]:  # fmt: skip
    """The options for all inputs together, and the template in units with each input; checked before a model is opened.

    Args:
        template: a chat, to which each input is added as a user message; or a `Template` whose open fields they fill.
        inputs: user messages, or dicts of the open fields.
        over: what the intervals hold for: inputs ``like-these``, or ``these`` and no others.
        preset: where the options begin; `MANY` if it is None.
        choices: what to change of it. ``budget`` is shared out evenly; 64 calls an input if it is left out.
        run: what the run may spend.

    Raises:
        UsageError: for an argument that cannot work.
    """
    check_inputs(inputs)
    _check_rounds(len(inputs), run)
    chosen = _chosen(MANY if preset is None else preset, choices, inputs=len(inputs), over=over)
    cut = _cut(template, inputs, chosen, kind=choices.get("units"))
    check(cut.shown.text, chosen)
    return chosen, cut


def check_inputs(inputs: object) -> None:
    """Refuse inputs that are no list; what stands in it is checked where it is used."""
    if not isinstance(inputs, Sequence) or isinstance(inputs, str | bytes):
        raise UsageError(
            f"inputs is a {type(inputs).__name__}: give a list of user messages, or of dicts with a text for each open "
            "field."
        )


def _check_rounds(inputs: int, run: RunOptions | None) -> None:
    """Refuse batches here: inputs are asked one after another, and each batch may take a day."""
    if run is not None and run.batch is not None:
        raise UsageError(
            f"batch={run.batch!r} with {inputs} inputs would hand over {2 * inputs} batches, one after another, each "
            "of up to a day. Leave batch out, or give one input."
        )


def _chosen(preset: str | PromptOptions, choices: Mapping[str, Any], *, inputs: int, over: str) -> PromptOptions:
    """The options, for all inputs together; refuses what does not go with many inputs."""
    if over not in OVER:
        raise UnknownNameError("value of over", over, OVER)
    if over == "like-these" and inputs == 1:
        raise UsageError(
            "One input says nothing about inputs like it: give at least two, or over='these' (--over these)."
        )
    chosen = choose(preset, choices)
    if "budget" not in choices:
        chosen = replace(chosen, budget=chosen.budget * max(inputs, 1))
    averaging = [each.name for each in ESTIMANDS.values() if each.averages]
    if chosen.estimand not in averaging:
        raise UnknownNameError("estimand over many inputs", chosen.estimand, averaging)
    for name in unread(chosen, TEMPLATE):
        raise UsageError(f"{name}={getattr(chosen, name)!r} is for one prompt: leave it out over many inputs.")
    return chosen


def _cut(template: object, inputs: Sequence[Input], chosen: PromptOptions, *, kind: object | None) -> UnitsOver:
    """The template in units of the ``kind`` that was asked for; unless one was, a lone sentence is cut into words."""
    if not isinstance(template, Template | Chat):
        raise UsageError(
            f"template is a {type(template).__name__}: give a Template with open fields, or a Chat such as "
            "Chat((Message('system', text),))."
        )
    if not isinstance(chosen.units, str):
        raise UsageError("units is a list of spans: over many inputs give a kind of unit, such as 'sentence'.")
    cut = split_over(template, chosen.units, inputs, pin=chosen.pin)
    if kind is None and chosen.units == MANY.units and len(cut.shown) == 1:
        return split_over(template, "word", inputs, pin=chosen.pin)
    return cut


def question_over(cut: UnitsOver, chosen: PromptOptions, session: Session) -> Question:
    """What is asked of each input, with an even share of the budget, and the template as a plain text with spans."""
    shown = Units(cut.shown.text, cut.shown.pieces, cut.shown.sections)
    share = replace(chosen, budget=chosen.budget // len(cut.each))
    try:
        return prepare_units(shown, share, model=session.model, encoder=session.encoder, seed=session.seed)
    except BudgetError as error:
        smallest = error.smallest * len(cut.each)
        raise BudgetError(
            f"budget={chosen.budget} leaves {share.budget} calls for each of {len(cut.each)} inputs, and each needs "
            f"{error.smallest}. The smallest budget that works is {smallest}.",
            smallest=smallest,
        ) from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What every input showed, about the same masks: rows that were not answered everywhere are left out.

    Attributes:
        answers: of all inputs together.
        meter: with the effects of all of them.
        question: what was asked of each.
        each: the effects of each input.
    """

    answers: Answers
    meter: Meter
    question: Question
    each: Sequence[Effects]

    @property
    def plan(self) -> Plan:
        return self.question.plan

    @property
    def seed(self) -> int:
        return self.question.seed

    def mean(self) -> Effects:
        """The game averaged over inputs; the noise of inputs is independent, so its mean is as much smaller."""
        first = self.each[0]
        totals = [one.total for one in self.each if one.total is not None]
        fewest = min(len(one.whole) for one in self.each)
        return replace(
            first,
            values=np.mean([one.values for one in self.each], axis=0),
            total=float(np.mean(totals)) if totals else None,
            whole=np.mean([one.whole[:fewest] for one in self.each], axis=0),
            noise=averaged([one.noise for one in self.each]),
            known=self.answers.known,
            draws=None,
            irrelevant=0,
        )

    def exact(self) -> Floats:
        """Attributions of each input where no mask was sampled, shape ``(inputs, n)``."""
        fitting = self.plan.fitting(self.seed)
        return np.array([self.plan.estimand.estimate(one, fitting).attributions for one in self.each])

    def scores(self) -> Floats:
        """Cross-fitted scores ``(inputs, pairs, n)``, with the same folds; Shapley values share out each total."""
        found: list[Floats] = []
        for one in self.each:
            drawn = replace(one, drawn_from=math.inf)  # inputs are compared score by score: none counts as known
            scores = cross_fit(drawn, self.plan.surrogate, generator(self.seed, "folds")).scores
            shift = 0.0 if one.total is None else (one.total - float(scores.mean(axis=0).sum())) / one.n
            found.append(scores + shift)
        return np.array(found)


def _ask(asker: Asker, cut: UnitsOver, question: Question, *, fewest: int) -> _Asked:
    """Ask about every input.

    A run that is interrupted, or ends early, leaves the inputs that were asked to the end; ``ended`` says why.

    Args:
        asker: about the template.
        cut: the template with each input.
        question: what is asked.
        fewest: inputs that must be left.

    Raises:
        KeyboardInterrupt, EndedError: if those are under ``fewest``.
    """
    options = question.plan.options
    askers = [
        Asker(
            asker.runner, asker.model, units, asker.operator, asker.target, asker.settings, asker.stated,
            shows=asker.shows,
        )
        for units in cut.each
    ]  # fmt: skip
    for one in askers:
        one.check_target()
        one.check_context()
    for one in askers:
        one.whole(options.references, repeats=question.plan.repeats)
    design = question.design(least_steady(askers))
    answers: list[Answers] = []
    for one in askers:
        found = ask_design(one, design, question)
        if found.ended is not None:
            asker.ended = one.ended
            break
        answers.append(found)
    if asker.ended is not None and len(answers) < fewest:
        raise asker.ended
    askers = askers[: len(answers)]
    each = [read(found, question.plan, one.meter) for found, one in zip(answers, askers, strict=True)]
    rows = sorted(set[int].intersection(*(set(one.rows) for one in each)))
    aligned = [one.take(np.isin(one.rows, rows)) for one in each]
    return _Asked(_together(asker, askers, design), asker.meter, question, aligned)


def _together(asker: Asker, askers: Sequence[Asker], design: Design) -> Answers:
    """The answers of all inputs as those of the template; effects are those that each input's references gave."""
    for one in askers:
        asker.log.extend(one.log)
        asker.failures.extend(one.failures)
        asker.meter.known.update(one.meter.known)
    found = asker.answers(design, (), stands=np.zeros(0, dtype=bool))
    return replace(
        found,
        references=tuple(output for one in askers for output in one.references),
        differs=any(one.differs for one in askers),
        steadiness=least_steady(askers),
        notices=asker.notices,
    )


def _findings(asked: _Asked, over: str) -> tuple[Findings, Floats]:
    """The findings of the mean game, and the attributions of each input ``(inputs, n)``; their mean is the estimate."""
    mean, meter = asked.mean(), asked.meter
    estimate = asked.plan.estimand.estimate(mean, asked.plan.fitting(asked.seed))
    scores = None if estimate.predicted is None else asked.scores()
    own = asked.exact() if scores is None else scores.mean(axis=1)
    each = estimate.attributions + own - own.mean(axis=0)
    inputs = len(each)
    if over == "these":
        estimate = replace(
            estimate, method=f"{estimate.method}; for {'this input' if inputs == 1 else f'these {inputs} inputs'}"
        )
    else:
        estimate = _like_these(estimate, own, scores, asked)
    return Findings(asked.answers, meter, asked.plan, asked.seed, mean, estimate), each


def _like_these(estimate: Estimate, own: Floats, scores: Floats | None, asked: _Asked) -> Estimate:
    """With what inputs add to the uncertainty; where nothing was sampled, their spread holds the model's noise too.

    A part that did the same for every input may still do another thing for those that were not given: its interval
    leaves room for the share of such inputs that these may have missed, times all that effects differ by. Where no
    input showed any difference and nothing says how large one may be, there is no interval.
    """
    inputs, design = len(own), asked.answers.design
    span = max(max(float(np.ptp(np.append(one.values, one.whole))), one.reach) for one in asked.each)
    rounding = max(resolution(np.append(one.values, one.whole)) for one in asked.each)
    if span <= rounding:
        method = "none: every perturbed prompt of every input had one effect, and nothing says how far another may be"
        return replace(estimate, interval=None, p_values=None, band=None, method=method)
    if scores is None or estimate.interval is None:
        half = student_half_width(own.var(axis=0, ddof=1) / inputs, inputs - 1.0)
        interval = Interval(estimate.attributions, estimate.attributions - half, estimate.attributions + half)
        alike = np.ptp(own, axis=0) <= ROUNDING * span
    else:
        sampled = 0.0 if design.population is None else scores.shape[1] / design.population
        between = between_inputs(scores, sampled=sampled)
        interval = widened(estimate.interval, between, inputs)
        # Where answers are noisy, inputs that do the same seem to differ.
        noisy = any(one.noise.source == "measured" for one in asked.each)
        alike = (between <= (ROUNDING * span) ** 2) & (not noisy)
    interval = at_least(interval, np.where(alike, share_unseen(inputs) * span, 0.0))
    return replace(
        estimate,
        interval=interval,
        p_values=student_p(interval, inputs - 1.0, zero=4.0 * rounding),
        method=f"Student t over {counted(inputs, 'input')} and the masks they share; {LIKE_THESE}",
    )


def _told(explanation: PromptExplanation, cut: UnitsOver, each: Floats) -> PromptExplanation:
    """The explanation with what each input showed, and what the person should know of pins and inputs."""
    notices = [*cut.shown.notices]
    if len(cut.each) < FEW_INPUTS and explanation.interval.method.endswith(LIKE_THESE):
        text = (
            f"{len(cut.each)} inputs say little about others like them: the intervals are wide. Give at least "
            f"{FEW_INPUTS}, or ask about these alone with over='these' (--over these)."
        )
        notices.append(("few-inputs", text))
    recipe = explanation.recipe  # of one input, with its share of the budget
    return explanation.model_copy(
        update={
            "recipe": recipe
            and recipe.model_copy(update={"source": "inputs", "budget": recipe.budget * len(cut.each)}),
            "sections": cut.shown.sections,
            "inputs": tuple(
                InputRecord(text=label, attributions=tuple(row))
                for label, row in zip(cut.labels, each.tolist(), strict=True)
            ),
            "warnings": (*explanation.warnings, *(Warned(code=code, text=text) for code, text in notices)),
        }
    )
