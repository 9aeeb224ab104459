"""Asking: what one question asks of the model, from the whole prompt to the redraws. All that costs money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from whygen.errors import ModelError
from whygen.prompt import designs, stopping
from whygen.prompt.answers import Answers, Draws, Stopped
from whygen.prompt.asker import Asker
from whygen.prompt.designs import Design
from whygen.prompt.failing import cause
from whygen.prompt.plan import MOST_DRAWS, Plan
from whygen.prompt.question import Question
from whygen.prompt.reading import Meter, measured
from whygen.prompt.watching import Watched
from whygen.stats.seeds import generator
from whygen.types import Floats, Masks, Output


def ask(asker: Asker, question: Question) -> Answers:
    """Ask everything that a question asks.

    Raises:
        DataError: if the model cannot take the prompt, or the target cannot be measured on what it says.
        ModelError: if the model does not answer the prompt.
    """
    return ask_design(asker, ask_whole(asker, question), question)


def ask_whole(asker: Asker, question: Question) -> Design:
    """Ask for the whole prompt alone; what its repeats say decides which masks are asked then.

    Raises:
        DataError, ModelError: as `ask` does.
    """
    asker.check_target()
    asker.check_context()
    asker.whole(question.plan.options.references, repeats=question.plan.repeats)
    return question.design(asker.steadiness)


def ask_design(asker: Asker, design: Design, question: Question) -> Answers:
    """Ask for the masks of a design, at the looks of the stop rule or all at once; then for some of them again.

    A run that is interrupted, or ends early, leaves what was answered so far; ``ended`` says why.

    Args:
        asker: after `Asker.whole`.
        design: the masks.
        question: what is asked.

    Raises:
        ModelError: if a mask of `loo` was not answered: no other says what that unit does.
        KeyboardInterrupt, EndedError: if that is why.
    """
    plan = question.plan
    draws, prompts = plan.options.draws, asker.rendered(design)
    empty = _empty(asker, plan, design)
    stands = asker.is_known(design, prompts, draws=draws)
    rule = _StopRule(asker.meter, plan, question.seed)
    begun = asker.answers(design, prompts, stands=stands, empty=empty)
    watched = None if asker.shows is None else Watched(asker.shows, begun, plan, asker.meter, question.seed)
    arrived = None if watched is None else watched.arrived
    first: list[Draws] = []
    stopped = None
    for rows in _looks(design, plan):
        asked = len(first)
        first += asker.masks(prompts[asked:rows], stands[asked:rows], draws=draws, first_row=asked, arrived=arrived)
        if asker.ended is not None or rows == len(prompts):
            break
        stopped = rule.met(replace(begun, first=tuple(first)))
        if stopped is not None:
            break
    first += [(None,) * draws] * (len(prompts) - len(first))
    answers = replace(begun, first=tuple(first), stopped=stopped)
    if not plan.estimand.samples and not answers.alive.all():
        raise _unanswered(asker, plan.estimand.name, int((~answers.alive).sum()), len(first))
    again = _again(asker, answers, plan, question.seed)
    return replace(asker.updated(answers), again=tuple(again), notices=asker.notices)


def _empty(asker: Asker, plan: Plan, design: Design) -> list[Output]:
    """Answers to the prompt without any unit. Only values that rest on them need them; else they may be missing."""
    if not plan.empties(design):
        return []
    if plan.needs_empty(design):
        return asker.empty(draws=plan.options.draws)
    try:
        return asker.empty(draws=1 if asker.steadiness == "known" else plan.empties(design))
    except ModelError:
        return []


def _looks(design: Design, plan: Plan) -> list[int]:
    """Row counts at which the stop rule looks; the last is the whole design."""
    rows, options = len(design.masks), plan.options
    rule = options.tolerance is not None or options.stable is not None
    if not rule or design.enumerated or plan.fixed is not None or not plan.estimand.scored:
        return [rows]
    found = [2 * pairs for pairs in stopping.looks(rows // 2, designs.turning_point(design.masks.shape[1], rows))]
    # Before the layers that are asked whole are complete, and some masks beside them, there is nothing to look at.
    first = int(np.count_nonzero(design.groups < design.whole)) + 2 * stopping.FIRST_LOOK
    return [*(look for look in found if first <= look < rows), rows]


@dataclass(slots=True)
class _StopRule:
    """Looks at the answers so far and says whether the run may stop, and why."""

    meter: Meter
    plan: Plan
    seed: int
    history: list[Floats] = field(default_factory=list[Floats])

    def met(self, answers: Answers) -> Stopped | None:
        """``width`` when every interval is narrow enough, ``order`` when the first units no longer change places."""
        options = self.plan.options
        # Noise is in the spread of the scores already.
        effects = measured(answers, self.plan, self.meter)
        interval = self.plan.estimand.interval(effects, self.plan.fitting(self.seed))
        if interval is None:  # all effects are one: nothing says how sure that is
            return None
        self.history.append(interval.estimate)
        if options.tolerance is not None and stopping.is_sharp(interval, options.tolerance):
            return "width"
        return "order" if options.stable is not None and stopping.is_stable(self.history, options.stable) else None


_WHOLE = -1
"""Stands for the whole prompt among rows."""


def _again(asker: Asker, answers: Answers, plan: Plan, seed: int) -> list[Draws]:
    """Ask masks again: the redraws of each mask, None where there is none. METHODS A3.

    The masks are drawn at random: the first of a binary count would vary a few units only, and say nothing of the noise
    that others make. All are asked once more before one is asked twice more, and the whole prompt, which was repeated
    before any mask, joins them then.
    """
    design, prompts = answers.design, answers.prompts
    number = 0 if asker.ended is not None else plan.redraws(design, answers.steadiness)
    masked = np.flatnonzero(answers.alive & ~asker.is_known(design, prompts, draws=1))
    if not number or not len(masked):
        return []
    number = min(number, (MOST_DRAWS - 1) * (len(masked) + 1))
    rng = generator(seed, "redraws")
    order = rng.permutation(masked)
    while len(order) < number:
        order = np.concatenate([order, rng.permutation(np.append(masked, _WHOLE))])
    rows: list[int] = order[:number].tolist()
    outputs = asker.redraws(
        [asker.units.prompt if row == _WHOLE else prompts[row] for row in rows],
        [None if row == _WHOLE else row for row in rows],
    )
    most = max(Counter(rows).values())
    found: list[list[Output | None]] = [[None] * most for _ in prompts]
    place: Counter[int] = Counter()
    for row, output in zip(rows, outputs, strict=True):
        if row != _WHOLE:
            found[row][place[row]] = output
        place[row] += 1
    return [tuple(draws) for draws in found]


def _unanswered(asker: Asker, estimand: str, missing: int, asked: int) -> BaseException:
    if asker.ended is not None:
        return asker.ended
    failure = asker.failures[0]
    return ModelError(
        f"{asker.model.uri} did not answer {missing} of {asked} prompts that lack a unit ({failure.kind}): "
        f"{failure.message}. estimand={estimand!r} needs them all: pin what keeps the prompt valid, or use "
        f"estimand='banzhaf', which does without some. {cause(asker.failures)}"
    )


def paid(design: Design, *, fresh: bool) -> Masks:
    """The masks that calls are made for: each once, and never the whole prompt, whose repeats are there.

    Where each row is asked anew (``fresh``: several draws, or answers that may differ), as `Asker.masks` does, all of
    them; a single whole prompt among them is known.
    """
    full = np.asarray(design.masks.all(axis=1))
    if not fresh:
        return np.unique(design.masks[~full], axis=0)
    return design.masks[~full] if full.sum() == 1 else design.masks
