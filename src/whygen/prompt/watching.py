"""Looks at a run under way: what the answers so far say, for a page on which a heat map forms.

Answers come in any order, and quick ones are not a random part of all: short prompts are answered first. So a look
reads the masks of the design in their own order, up to the first that is still out. Masks were drawn in that order, so
these are as random as all of them.

Whoever watches looks many times, and an interval of 95% misses more often than one time in twenty over all of them. So
the intervals of a run's looks share the 5% out evenly (Bonferroni): with ``k`` looks each has the level
``1 - 0.05 / k``, and the chance that the intervals of a unit miss at any look is 5% at most, also for somebody who
stops when they like. The explanation that a finished run ends with was not chosen by any look: its intervals are the
usual ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np

from whygen.errors import WhygenError
from whygen.prompt import intervals
from whygen.prompt.answers import Answers, Draws
from whygen.prompt.plan import Plan
from whygen.prompt.reading import Meter, measured
from whygen.prompt.targets import join_scores
from whygen.prompt.units import Units
from whygen.stats.intervals import Interval
from whygen.types import Failure, Floats, Output

FIRST_LOOK: Final = 10
"""Masks that are answered before the first look: a cross-fit takes four pairs, and five say a little."""

GROWTH: Final = 1.25
"""Each later look comes at so many times as many masks: some nine looks in a run of 64 calls."""

LONG: Final = 1.5
"""Seconds of processor time of a look, as prompts of a thousand units take, after which others are left out for a
while. The first look of a process loads the estimators, which takes .9."""
REST: Final = 4.0
"""That while, in lengths of the look: watching takes a fifth of a run's time at most."""

Arrived: TypeAlias = Callable[[int, Output | None], None]
"""Told of each answer to a row of the design; of None where a call failed for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a run says before it is over.

    Attributes:
        answered: masks that it reads.
        masks: masks of the design.
        number: which look it is, from 1.
        of: how many there are.
        values: attributions so far, shape ``(n,)``; NaN where nothing is known yet.
        interval: limits that hold at all looks together, and lie within the target's reach; None where masks are not a
            random part of all.
        level: of this interval alone.
    """

    answered: int
    masks: int
    number: int
    of: int
    values: Floats
    interval: Interval | None
    level: float | None


@runtime_checkable
class ShowsLooks(Protocol):
    """A progress that is shown what the answers so far say, in the thread of the run."""

    def began(self, units: Units, reference: Output, *, masks: int, looks: int) -> None:
        """The whole prompt was answered; so many masks follow, and so many looks."""
        ...

    def look(self, look: Look) -> None:
        """Some more masks were answered."""
        ...


def look_counts(rows: int) -> tuple[int, ...]:
    """Numbers of masks at which a run of so many is looked at; after all of them it ends, and that is no look."""
    found: list[int] = []
    at = float(FIRST_LOOK)
    while at < rows:
        found.append(2 * int(at / 2.0))
        at = max(at * GROWTH, at + 2.0)
    return tuple(found)


def level_of_each(looks: int) -> float:
    """The level of the intervals of one of so many looks: all of them together miss in 5% of cases at most."""
    return 1.0 - (1.0 - intervals.LEVEL) / looks


@dataclass(slots=True)
class Watched:
    """Reads the answers to a design while they come, and shows them at its looks.

    Attributes:
        shows: whom.
        begun: the run before its masks.
        plan: how answers are read.
        meter: by which target.
        seed: of the folds.
        busy: seconds of processor time that this thread has used.
    """

    shows: ShowsLooks
    begun: Answers
    plan: Plan
    meter: Meter
    seed: int
    busy: Callable[[], float] = time.thread_time
    _free: float = -math.inf
    """No look before this moment: the last took long, and watching must not slow the run down."""
    _counts: tuple[int, ...] = field(init=False)
    _random: float = field(init=False)
    """Masks from which on those before it are a random part of all."""
    _rows: list[list[Output | None]] = field(init=False)
    _done: int = 0
    """Masks before the first that is still out."""
    _shown: int = 0

    def __post_init__(self) -> None:
        self._counts = look_counts(len(self.begun.prompts))
        self._random = _first_random(self.begun, self.plan)
        self._rows = [[] for _ in self.begun.prompts]
        self.shows.began(
            self.begun.units, self.begun.references[0], masks=len(self._rows), looks=len(self._counts)
        )  # fmt: skip

    def arrived(self, row: int, output: Output | None) -> None:
        """An answer to a mask of the design."""
        self._rows[row].append(output)
        draws, stands = self.plan.options.draws, self.begun.stands
        while self._done < len(self._rows) and (stands[self._done] or len(self._rows[self._done]) == draws):
            self._done += 1
        due = sum(count <= self._done for count in self._counts)
        if due > self._shown and time.monotonic() >= self._free:
            self._shown, before = due, self.busy()
            self._look(self._counts[due - 1])
            took = self.busy() - before
            if took > LONG:
                self._free = time.monotonic() + REST * took

    def _look(self, rows: int) -> None:
        answers = replace(self.begun, first=tuple(self._draws(row) for row in range(rows)))
        try:
            values, interval, level = self._read(answers)
        except (WhygenError, ValueError):  # a look that cannot be made is left out: the end of the run says why
            return
        self.shows.look(
            Look(
                answered=rows, masks=len(self._rows), number=self._shown, of=len(self._counts), values=values,
                interval=interval, level=level,
            )
        )  # fmt: skip

    def _draws(self, row: int) -> Draws:
        if self.begun.stands[row]:
            return (self.begun.repeats[0],) * self.plan.options.draws
        return tuple(self._rows[row])

    def _read(self, answers: Answers) -> tuple[Floats, Interval | None, float | None]:
        effects = measured(answers, self.plan, self.meter)
        if not self.plan.estimand.samples:  # each mask tells of the unit that it lacks
            values = np.full(effects.n, np.nan)
            values[np.flatnonzero(~effects.masks) % effects.n] = effects.at_whole - effects.values
            return values, None, None
        if len(answers.first) >= self._random:
            looks = sum(count >= self._random for count in self._counts)
            level = level_of_each(looks)
            estimate = self.plan.estimand.estimate(effects, replace(self.plan.fitting(self.seed), level=level))
            if estimate.interval is not None:
                return estimate.attributions, _within(estimate.interval, effects.reach), level
        # Only values, then: those of the smallest line that is nearest to the answers.
        line = np.column_stack([np.ones(len(effects)), effects.masks - 0.5])
        solution = np.asarray(np.linalg.lstsq(line, effects.values, rcond=None)[0], dtype=np.float64)
        return solution[1:], None, None


def _first_random(begun: Answers, plan: Plan) -> float:
    """From how many masks on a look has intervals; infinite where masks are no sample, or have no scores."""
    design = begun.design
    if design.enumerated or not plan.estimand.scored:
        return math.inf
    # Layers that are asked whole come first.
    return float(np.count_nonzero(design.groups < design.whole)) + FIRST_LOOK


def _within(interval: Interval, reach: float) -> Interval:
    """The interval cut at what a target lets an attribution be: a mean of differences of effects; 0 if nobody knows."""
    return (
        interval if not reach else Interval(interval.estimate, *(np.clip(end, -reach, reach) for end in interval[1:]))
    )


@dataclass(slots=True)
class Arrivals:
    """Hands answers on by the rows of a design that they belong to.

    Attributes:
        rows: of each question, see `rows_by_question`.
        texts: continuations that are scored for each question, whose answer is there when all are; else one None.
        tell: told of each answer.
    """

    rows: Mapping[Hashable, Sequence[int]]
    texts: Sequence[str | None]
    tell: Arrived
    _parts: dict[Hashable, dict[str | None, Output | Failure]] = field(
        default_factory=dict[Hashable, "dict[str | None, Output | Failure]"]
    )

    def __call__(self, question: Hashable, text: str | None, answer: Output | Failure) -> None:
        parts = self._parts.setdefault(question, {})
        parts[text] = answer
        if len(parts) < len(self.texts):
            return
        answers = [parts[each] for each in self.texts]
        whole = answers[0] if len(answers) == 1 else join_scores(answers, [text or "" for text in self.texts])
        for row in self.rows[question]:
            self.tell(row, whole if isinstance(whole, Output) else None)


def rows_by_question(asked: Iterable[Hashable], rows: Sequence[int | None]) -> dict[Hashable, list[int]]:
    """Rows of the design by what is asked for them: masks that are sent alike share an answer."""
    found: dict[Hashable, list[int]] = {}
    for question, row in zip(asked, rows, strict=True):
        if row is not None:
            found.setdefault(question, []).append(row)
    return found
