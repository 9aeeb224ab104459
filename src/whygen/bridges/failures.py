"""Which instruction costs an evaluation its failures: failing samples explained by their scorer, and pooled.

The units are the sentences that all samples share, such as those of a system prompt; what differs between samples is
always sent. The target is the score that the evaluation itself gave. A positive attribution means: keeping the
instruction raises the score; a negative one: it costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

import whygen
from whygen._arguments import typed
from whygen.bridges.eval_samples import HALF, EvalSample, Score, reproduced
from whygen.calls import DEFAULT_STORE, Interrupted, Progress, RunOptions
from whygen.errors import BudgetError, DataError, UsageError, WhygenError
from whygen.models import ModelOptions
from whygen.prompt.forecast import Forecast, summed
from whygen.prompt.units import split
from whygen.records import Call
from whygen.report.texts import listed, percent, quoted, signed
from whygen.results.prompt import PromptExplanation
from whygen.results.records import Figure, Record, Text
from whygen.stats.crossed import at_least, share_unseen, student_p
from whygen.stats.intervals import Interval, student_half_width
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.types import Output

LEVEL: Final = 0.05
SMALL: Final = 0.1
"""An effect on the score that nobody would mind."""
FEW: Final = 6
"""Below so many samples the intervals are wide."""


class InstructionEffect(Record):
    """What keeping an instruction does to the score of samples like the failing ones, from 0 to 1.

    ``costs`` and ``helps`` are after false-discovery control at 5% over the instructions.
    """

    text: Text
    effect: float
    low: Figure
    high: Figure
    p_value: Figure
    costs: bool
    helps: bool
    samples_hurt: int
    """In so many samples the effect was negative."""


class Failures(Record):
    """What was found of the failing samples of a log.

    Attributes:
        model: that was asked.
        group: of the log, whose samples were asked alike.
        samples: names of those that were explained.
        failed_again: so many of them failed once more, asked with the whole prompt.
        skipped: why others were not explained, each with how many.
        ended: why the run ended before all samples were explained, such as ``interrupt``; None where they were.
        instructions: in their order.
        calls: that were asked for.
    """

    model: str
    group: Text
    samples: tuple[Text, ...]
    failed_again: int
    skipped: dict[str, int]
    instructions: tuple[InstructionEffect, ...]
    calls: int
    ended: str | None = None

    @property
    def headline(self) -> str:
        """What costs the failures, in a sentence."""
        costs = sorted((each for each in self.instructions if each.costs), key=lambda each: each.effect)
        many = f"{len(self.samples)} failing sample{'s' if len(self.samples) != 1 else ''}"
        if self.failed_again < len(self.samples) / 2:
            again = f"Only {self.failed_again} of the {many} failed again with the whole prompt"
            return f"{again}: there is little to explain."
        if costs:
            told = listed([f"{quoted(each.text, 80)} ({_effect(each)})" for each in costs])
            verb = "costs" if len(costs) == 1 else "cost"
            return f"{told} {verb} the {many} their score."
        bounded = all(each.low is not None and each.low > -SMALL for each in self.instructions)
        how = "none could cost" if bounded else "none surely costs"
        return f"No instruction stands out: {how} samples like the {many} {SMALL:g} of the score or more."


def _effect(each: InstructionEffect) -> str:
    limits = "" if each.low is None else f", 95% interval {signed(each.low, 2)} to {signed(each.high, 2)}"
    return f"{signed(each.effect, 2)}{limits}"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A failing sample that can be explained: what is always sent of it, and how an answer is scored."""

    sample: EvalSample
    call: Call
    score: Score
    pins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureQuestion:
    """Failing samples, ready to be explained.

    Attributes:
        group: of the log.
        instructions: the sentences that all samples of the group share.
        ready: the samples.
        skipped: why others are left out, with how many.
    """

    group: str
    instructions: tuple[str, ...]
    ready: tuple[_Ready, ...]
    skipped: dict[str, int]


def question_of(
    samples: Sequence[EvalSample], *, most: int, score: Callable[..., Any] | None = None
) -> FailureQuestion:
    """What is asked of the failing samples of a group.

    Args:
        samples: of one group of a log.
        most: so many failing samples at most, the first ones.
        score: scores answers in place of the log's scorers: ``score(text, sample_name) -> float``.

    Raises:
        DataError: if no sample failed, or none can be explained; says why.
    """
    if not any(each.failed for each in samples):
        raise DataError("No sample of this log failed, by what it says: there is nothing to explain.")
    skipped, ready = Counter[str](), list[_Ready]()
    read = [found for each in samples if (found := _read(each, skipped)) is not None]
    shared = Counter(read[0].sentences) if read else Counter[str]()
    for each in read:
        shared &= Counter(each.sentences)
    for each in (each for each in read if each.sample.failed):
        if len(ready) == most:
            skipped[f"more than {most} samples (--samples)"] += 1
        elif why := "" if score is not None else _unusable(each):
            skipped[why] += 1
        else:
            pins = tuple(dict.fromkeys(text for text in each.sentences if text not in shared))
            ready.append(_Ready(each.sample, each.call, _scored(each.sample, score), pins))
    told = "; ".join(f"{why} ({many})" for why, many in skipped.items())
    if not ready:
        raise DataError(
            f"No failing sample can be scored again: {told}. Give a scorer of your own with --score py/module:function."
        )
    if not shared:
        raise DataError("The samples share no sentence: there is no instruction that could be compared over them.")
    order = (text for each in read[:1] for text in each.sentences if text in shared)
    return FailureQuestion(
        group=samples[0].group, instructions=tuple(dict.fromkeys(order)), ready=tuple(ready), skipped=dict(skipped)
    )


class _Read(NamedTuple):
    """A sample with its call and the sentences of that."""

    sample: EvalSample
    call: Call
    sentences: list[str]


def _read(sample: EvalSample, skipped: Counter[str]) -> _Read | None:
    """A sample as it was asked; None, with the reason noted, where its record cannot be asked again."""
    try:
        call = sample.read()
        return _Read(sample, call, _sentences(call))
    except WhygenError as error:
        skipped[f"{sample.name} cannot be read: {error}"] += 1
        return None


def _sentences(call: Call) -> list[str]:
    """The sentences of the messages that people wrote; what the model itself said is none of them."""
    return list(split(call.chat, "sentence", pin=_spoken(call)).texts)


def _spoken(call: Call) -> tuple[str, ...]:
    roles = dict.fromkeys(each.role for each in call.chat.messages)
    return tuple(f"role:{role}" for role in roles if role in ("assistant", "tool"))


def _unusable(read: _Read) -> str:
    """Why a sample cannot be explained by its own score; empty where it can."""
    if read.sample.score is None:
        return read.sample.why_not
    if read.call.answer is None:
        return "the log holds no answer"
    return "" if reproduced(read.sample, read.call) else "its failure comes from what cannot be scored again"


def _scored(sample: EvalSample, own: Callable[..., Any] | None) -> Score:
    """The score of an answer to a sample: somebody's own, else the evaluation's."""
    if own is not None:
        return lambda answer: float(own(answer.said, sample.name))
    if sample.score is None:
        raise UsageError(f"{sample.name} has no score.")
    return sample.score


def forecast_failures(model: object, question: FailureQuestion, **choices: Any) -> Forecast:
    """Count what `explain_failures` would ask for; nothing is sent."""
    given = {name: value for name, value in choices.items() if name not in ("cache", "progress", "each")}
    return summed(
        [whygen.forecast(model, one.call, **given, **_of(one, number)) for number, one in enumerate(question.ready)]
    )


@typed("question")
def explain_failures(
    model: object,
    question: FailureQuestion,
    *,
    budget: int = 32,
    each: Callable[[str, PromptExplanation], None] = lambda name, found: None,
    cache: Path | str | None = DEFAULT_STORE,
    progress: Progress | None = None,
    options: ModelOptions | None = None,
    run: RunOptions | None = None,
) -> Failures:
    """Explain the failing samples, each by its own score, and pool them over samples.

    Each sample has masks of its own, so that their estimates are independent: the mean over samples has a Student
    interval, for samples like these. Where all samples agree, the interval leaves room for those that were not seen.

    Args:
        model: what is asked; None for the model that the log names.
        question: of `question_of`.
        budget: calls a sample.
        each: told the name and the explanation of every sample as it is done.
        cache: file of recorded answers.
        progress: where to report progress.
        options: how the model is opened.
        run: what all samples together may spend (a `SharedBudget`).

    Raises:
        WhygenError: as `whygen.explain_prompt`.
        Interrupted: with what was found of the samples that were done, if a person ended the run.
    """
    rows, names, again, asked, uri = list[list[float]](), list[str](), 0, 0, ""
    skipped, ended = Counter(question.skipped), None
    stopped: KeyboardInterrupt | None = None
    for number, one in enumerate(question.ready):
        try:
            found = whygen.explain_prompt(
                model, one.call, budget=budget, cache=cache, progress=progress, options=options, run=run,
                **_of(one, number),
            )  # fmt: skip
        except KeyboardInterrupt as stop:
            if not rows:
                raise
            skipped["the run was interrupted"] += len(question.ready) - number
            stopped, ended = stop, "interrupt"
            asked += stop.explanation.calls.asked if isinstance(stop, Interrupted) else 0
            break
        asked, uri = asked + found.calls.asked, found.model
        if found.ended is not None and not rows and number + 1 == len(question.ready):
            raise WhygenError(found.warnings[0].text)
        if found.ended is not None:
            skipped[f"the run ended early ({found.ended})"] += 1
            ended = found.ended
            continue
        each(one.sample.name, found)
        by_text = dict.fromkeys(question.instructions, 0.0)
        for unit in found.units:
            by_text[unit.text] += unit.attribution  # a sentence that stands there twice counts as one instruction
        rows.append(list(by_text.values()))
        names.append(one.sample.name)
        again += one.score(Output(text=found.reference.text)) < HALF
    if not rows:
        raise BudgetError("No sample was explained before the budget was spent. Give a larger one.", smallest=budget)
    told = Failures(
        model=uri, group=question.group, samples=tuple(names), failed_again=again, skipped=dict(skipped),
        instructions=pooled(question.instructions, np.array(rows)), calls=asked, ended=ended,
    )  # fmt: skip
    if stopped is not None:
        raise Interrupted(told) from stopped
    return told


def _of(one: _Ready, number: int) -> Mapping[str, Any]:
    def scored(answer: Output) -> float:
        return one.score(answer)

    return {"units": "sentence", "pin": (*_spoken(one.call), *one.pins), "target": scored, "seed": number}


def pooled(texts: Sequence[str], effects: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[InstructionEffect, ...]:
    """The mean effect of each instruction with its interval, corrected over the instructions.

    Args:
        texts: of the instructions.
        effects: shape ``(samples, instructions)``, of independent samples.

    Returns:
        Without an interval where there is one sample alone.
    """
    samples, mean = len(effects), effects.mean(axis=0)
    if samples < 2:
        return tuple(
            InstructionEffect(text=text, effect=float(value), low=None, high=None, p_value=None, costs=False,
                              helps=False, samples_hurt=int(value < 0))
            for text, value in zip(texts, mean, strict=True)
        )  # fmt: skip
    half = student_half_width(effects.var(axis=0, ddof=1) / samples, samples - 1.0)
    interval = Interval(mean, mean - half, mean + half)
    # Scores lie between 0 and 1: samples that agree may have missed others in which the effect is anything up to that.
    interval = at_least(interval, np.where(np.ptp(effects, axis=0) <= 1e-9, share_unseen(samples), 0.0))
    p_values = student_p(interval, samples - 1.0, zero=1e-9)
    called = benjamini_hochberg(p_values, level=LEVEL)
    return tuple(
        InstructionEffect(
            text=text, effect=float(mean[k]), low=float(interval.low[k]), high=float(interval.high[k]),
            p_value=float(p_values[k]), costs=bool(called[k] and mean[k] < 0), helps=bool(called[k] and mean[k] > 0),
            samples_hurt=int((effects[:, k] < 0).sum()),
        )
        for k, text in enumerate(texts)
    )  # fmt: skip


def warned(found: Failures) -> str:
    """What to know of few samples; empty where there are enough."""
    if len(found.samples) >= FEW:
        return ""
    return (
        f"{len(found.samples)} failing samples say little about others like them: intervals are wide below {FEW}. "
        f"Explain more ({percent(1 - LEVEL)} intervals shrink with their number)."
    )
