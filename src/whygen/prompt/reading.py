"""Reading: from recorded answers to the effects of any target, without a call. METHODS A3.

The same answers give the effects of every target that reads answers, and the same token scores those of every span.
Rows, draws, failures and redraws are those of the run that asked. The one place where a run's noise is estimated and
its irrelevant answers are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.plugins import said_of
from whygen.prompt import gsmile, relevance
from whygen.prompt.answers import Answers, Draws
from whygen.prompt.distributions import Sets
from whygen.prompt.effects import Effects
from whygen.prompt.noise import MeasuredNoise, given, measure
from whygen.prompt.plan import Plan
from whygen.prompt.targets import Target
from whygen.prompt.targets.protocol import KEPT
from whygen.prompt.units import shown
from whygen.results.prompt import TargetRecord
from whygen.types import Floats, Output

LARGEST: Final = 1e100
"""Effects of this size and more are refused: their squares and products are no numbers."""
SMALLEST: Final = 1e-100
"""Effects that are all under this size, and not 0, are refused: their squares are 0."""


@dataclass(slots=True)
class Meter:
    """The effects of outputs by one target; each output is measured once.

    Attributes:
        target: what is measured.
        references: what outputs are compared with.
        known: effects that were measured, by the identity of their output.
    """

    target: Target
    references: tuple[Output, ...] = ()
    known: dict[int, float] = field(default_factory=dict[int, float])
    _held: list[Output] = field(default_factory=list[Output])
    """Outputs that were measured: one that is gone would leave its identity to another."""

    def __call__(self, outputs: Sequence[Output]) -> Floats:
        """Effects, shape ``(len(outputs),)``; those that are new are measured in one go.

        Raises:
            DataError: for effects so large that their squares are no numbers, or so small that they are 0.
        """
        new = {id(output): output for output in outputs if id(output) not in self.known}
        if new:
            effects = self._measured(list(new.values()))
            self._check(effects)
            self.known.update(zip(new, effects.tolist(), strict=True))
            self._held.extend(new.values())
        return np.array([self.known[id(output)] for output in outputs], dtype=np.float64)

    def table(self, draws: Sequence[Draws]) -> Floats:
        """Effects of the draws of each mask, shape ``(m, d)``; NaN where there is no answer."""
        widest = max((len(each) for each in draws), default=0)
        found = np.full((len(draws), widest), np.nan)
        place = [(row, column) for row, each in enumerate(draws) for column, one in enumerate(each) if one is not None]
        outputs = [output for each in draws for output in each if output is not None]
        if place:
            found[tuple(np.array(place).T)] = self(outputs)
        return found

    def reach(self, scale: str) -> float:
        """How far the target lets two effects be apart; 0 where nobody knows."""
        return reach(self.target, self.references, scale)

    def _measured(self, outputs: Sequence[Output]) -> Floats:
        what = f"target={self.target.record.name!r}"
        with said_of(self.target, what, advice=KEPT):
            effects = np.asarray(self.target.effects(outputs, self.references), dtype=np.float64)
        if effects.shape != (len(outputs),):
            raise UsageError(
                f"{what} gave effects of shape {effects.shape} for {len(outputs)} outputs: give ({len(outputs)},), one "
                f"number for each. {KEPT}"
            )
        return effects

    def _check(self, effects: Floats) -> None:
        name, size = self.target.record.name, np.abs(effects)
        if not (size < LARGEST).all():
            raise DataError(
                f"target={name!r} gave {effects[size.argmax()]:g}: effects must be finite and under {LARGEST:g} in "
                "size. Give a score on another scale, such as its logarithm."
            )
        if 0.0 < size.max(initial=0.0) < SMALLEST:
            raise DataError(
                f"target={name!r} gave {size.max():g}: effects under {SMALLEST:g} in size cannot be told from nothing. "
                "Give a score on another scale, such as its logarithm."
            )


def read(answers: Answers, plan: Plan, meter: Meter) -> Effects:
    """The effects of every mask whose group was answered, with what is known of their noise.

    Args:
        answers: of a run.
        plan: how they are read.
        meter: by which target, against which references.
    """
    seen = measured(answers, plan, meter)
    line = relevance.level(meter.target, meter.references)
    exclude = plan.options.irrelevant == "exclude" and seen.draws is not None
    return replace(
        seen,
        noise=_noise(answers, plan, meter, seen),
        strange=relevance.irrelevant(seen.draws, line) if exclude and seen.draws is not None else None,
        irrelevant=_irrelevant(answers, meter, line),
    )


def measured(answers: Answers, plan: Plan, meter: Meter) -> Effects:
    """The same without the noise, which a look of the stop rule does not need."""
    options, design, alive = plan.options, answers.design, answers.alive
    asked = alive[: len(answers.first)]
    if options.distribution is None:
        whole, empty = meter(answers.repeats), meter(answers.empty)
        draws = _draws(answers, meter, whole)
        values = rescale(options.scale, mean_of_draws(draws))
    else:
        whole, empty, values = _by_sets(answers, meter, options.distribution)
        draws = None
    near = None
    if plan.kernel is not None:  # a chat is compared as its transcript
        texts = [shown(sent) for sent in answers.prompts[: len(asked)]]
        with said_of(plan.kernel, f"kernel={plan.kernel.name!r}", advice=KEPT):
            near = plan.kernel.weights(design.masks[: len(asked)], texts, answers.units.text)
    total = float(whole.mean()) - float(empty.mean()) if plan.needs_empty(design) else None
    return replace(
        design.observed(values, total=total, nearness=near).take(asked),
        rows=tuple(np.flatnonzero(alive).tolist()),
        draws=None if draws is None else draws[asked],
        whole=whole,
        known=answers.known,
        reach=meter.reach(options.scale),
    )


def _draws(answers: Answers, meter: Meter, whole: Floats) -> Floats:
    """Effects of all draws of each mask, shape ``(m, d)``: of masks that the whole prompt stands for, its repeats'."""
    first, again = meter.table(answers.first), meter.table(answers.again)
    stands = answers.stands[: len(first)]
    if stands.any():
        every = np.full((len(first), max(first.shape[1], len(whole))), np.nan)
        every[:, : first.shape[1]] = first
        every[stands] = np.nan
        every[stands, : len(whole)] = whole
        first = every
    return np.hstack([first, again]) if len(again) else first


def mean_of_draws(draws: Floats) -> Floats:
    """Mean effect of each mask ``(m,)`` over its draws ``(m, d)``; NaN where the first was not answered."""
    drawn = ~np.isnan(draws)
    mean = np.where(drawn, draws, 0.0).sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)
    return np.where(drawn[:, 0], mean, np.nan)


def _by_sets(answers: Answers, meter: Meter, name: str) -> tuple[Floats, Floats, Floats]:
    """Effects of sets of answers: of the repeats ``(1,)``, of the empty prompt ``(1,)`` or none, of masks ``(m,)``."""
    sets = Sets(name, meter.target, meter.references)
    whole = np.array([sets.effect(answers.repeats)])
    empty = np.array([sets.effect(answers.empty)] if answers.empty else [])
    alive = answers.alive
    values = [sets.effect(answers.of(row)) if alive[row] else np.nan for row in range(len(answers.first))]
    return whole, empty, np.array(values)


def _noise(answers: Answers, plan: Plan, meter: Meter, seen: Effects) -> MeasuredNoise:
    """What is known of the noise of the answered masks, from all their draws; of sets, by the jackknife over draws."""
    options, draws = plan.options, seen.draws
    if draws is None:
        assert options.distribution is not None  # noqa: S101 - only sets come without draws
        sets = Sets(options.distribution, meter.target, meter.references)
        variances = np.array([sets.jackknife(answers.of(row)) for row in seen.rows])
        return given(variances, degrees=options.draws - 1, effects=seen.values, known=answers.known)
    if options.scale != "none":  # effects are rescaled over the run: those of single draws are in another unit
        draws = draws[:, :1]
    kept = seen.masks.mean(axis=1)
    # The whole prompt, where a model is surest, speaks for no other.
    return measure(draws, known=answers.known, speaks=kept < 1.0, reach=seen.reach, kept=kept)


def _irrelevant(answers: Answers, meter: Meter, line: float | None) -> int:
    """Answers to masks that are as far from the reference as texts about other things are."""
    if line is None:
        return 0
    asked = [draws for draws, stands in zip(answers.first, answers.stands, strict=False) if not stands]
    return int(relevance.irrelevant(meter.table(asked), line).sum())


def _min_max(effects: Floats) -> Floats:
    alive = ~np.isnan(effects)
    scaled = np.full(len(effects), np.nan)
    scaled[alive] = gsmile.similarity(-effects[alive])
    return scaled


SCALES: dict[str, Callable[[Floats], Floats]] = {"none": lambda effects: effects, "min-max": _min_max}


def check_scale(name: str) -> None:
    """Refuse an unknown scale.

    Raises:
        UnknownNameError: naming those there are.
    """
    if name not in SCALES:
        raise UnknownNameError("scale", name, SCALES)


def rescale(name: str, effects: Floats) -> Floats:
    """Effects ``(m,)`` on the scale of that name; NaN stays NaN."""
    return SCALES[name](effects)


def unit_of(name: str, record: TargetRecord) -> TargetRecord:
    """The target's record, with the unit that its effects have on that scale."""
    if name == "none":
        return record
    return record.model_copy(update={"unit": f"min-max over this run of 1 / ({record.unit} + 1e-8), 0 to 1"})


UNIT = frozenset({"exact", "contains", "tool", "refusal", "token-set", "edit", "tfidf"})
"""Targets whose effects are at most one apart; labels, patterns and fields carry what they look for in their name."""


def reach(target: Target, references: Sequence[Output], scale: str = "none") -> float:
    """How far two effects of a target can be apart; for distances without a bound, as texts about other things are.

    0 where nobody knows: a score of one's own, log-probabilities, pictures.
    """
    record = target.record
    if scale != "none":
        return 1.0
    if record.name in UNIT or record.unit.startswith("1 if") or record.name.startswith(("label:", "regex:")):
        return 1.0
    return -(relevance.level(target, references) or 0.0)
