"""Which parts are opened: the one that promises most first, while the budget lasts. METHODS A4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from whygen.prompt.estimands import Estimand
from whygen.prompt.long.cancel import cost_of_looking, hidden
from whygen.prompt.long.levels import Ask, Level, cost_of_opening, open_part, weight_of_unseen
from whygen.prompt.long.parts import PromptPart, Skeleton
from whygen.prompt.noise import MeasuredNoise
from whygen.prompt.surrogates import Surrogate
from whygen.stats.seeds import generator
from whygen.types import Floats

AGAIN = 6
"""A level is asked so many times at most, the first included."""

DOUBTFUL, POSSIBLE = 0.05, 0.3
"""p-values of a leaf: up to the first its level is asked again before parts are opened that show nothing; up to the
second when nothing else is left to do."""

CLEAR = 3.0
"""A value so many times as large as half its interval is left alone."""

CALLED = 0.05
"""And so is one whose p-value, times the number of leaves, is at most this: it is called whatever the others say."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a part from the level it belongs to. ``hidden`` is None where nobody looked."""

    value: float
    low: float
    high: float
    p_value: float
    share: float
    strongest: float
    hidden: float | None = None

    @property
    def reach(self) -> float:
        """The largest size of the value that its interval allows."""
        return float(np.nanmax(np.abs([self.value, self.low, self.high])))

    @property
    def seen(self) -> bool:
        """Whether its value alone tells it from zero."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def clear(self) -> bool:
        """Whether it is so far from zero that more calls would only make it sharper."""
        return abs(self.value) > CLEAR * (self.high - self.low) / 2.0

    @property
    def promise(self) -> float:
        """In the target's unit: reach, the share of the level's variance (in units of its strongest), the hidden."""
        return self.reach + self.share * self.strongest + (self.hidden or 0.0)


@dataclass(slots=True)
class Search:
    """Opens parts of one prompt.

    Attributes:
        skeleton: the parts.
        ask: the model, for masks that are kept as evidence.
        probe: the model, for masks that only help to decide.
        left: calls that the budget still allows.
        estimand: one with a value for the parts of a hierarchy.
        surrogate: fitted at each level.
        seed: of masks, folds and flips.
        noise: of the effects of the first level.
        worth: a part that promises no more is not opened, in the target's unit.
        reserve: calls that are left for pairs of leaves where something hides: by parts that show something, and by
            those that do not.
    """

    skeleton: Skeleton
    ask: Ask
    probe: Ask
    left: Callable[[], int]
    estimand: Estimand
    surrogate: Surrogate
    seed: int
    noise: MeasuredNoise
    worth: float
    reserve: tuple[int, int] = (0, 0)
    standings: dict[int, Standing] = field(default_factory=dict[int, Standing])
    opened: dict[int, Level] = field(default_factory=dict[int, Level])
    attempts: Counter[int] = field(default_factory=Counter[int])
    """How often each part was asked about; one that is not opened was answered too rarely."""
    asked: int = 0
    """LevelRows that `ask` was called for."""
    looked: int = 0
    """How often the first parts were looked into again."""

    def run(self, first: Level) -> None:
        """Open parts, beginning with the prompt, whose level is known already.

        Those that show something come first. Then the levels that may hold something are asked again, before parts are
        opened that merely cannot be ruled out: a finding that stands is worth more than a finer guess.
        """
        self._enter(0, first)
        while True:
            part = self._worth_most()
            if part is None:
                if not self._looks_again():
                    return
                continue
            before = self.opened.get(part.index)
            level = self._asked_about(part, before)
            if level is not None:
                self._enter(part.index, level, look=before is None)

    def _looks_again(self) -> bool:
        """Where nothing changed anything yet, all calls go to look for what hides, before that is said of a prompt."""
        hiding = any(standing.hidden for standing in self.standings.values())
        if hiding or float(np.ptp(self.opened[0].rows.effects)) > self.worth:
            return False
        self.looked += 1
        return self._look_inside(self.skeleton.parts[0])

    def _asked_about(self, part: PromptPart, before: Level | None) -> Level | None:
        self.attempts[part.index] += 1
        rng = generator(self.seed, "hierarchy", part.index, self.attempts[part.index])
        first_row, self.asked = self.asked, self.asked + cost_of_opening(len(part.children))
        return open_part(
            self.skeleton, part, self.ask, rng, estimand=self.estimand, surrogate=self.surrogate,
            unseen=weight_of_unseen(self.noise), first_row=first_row, before=None if before is None else before.rows,
        )  # fmt: skip

    def _worth_most(self) -> PromptPart | None:
        showing = [part for part in self.waiting if self._shows(part)]
        # A finding that stands is worth more than a finer guess, and the level asked least has most to learn.
        tiers = (showing, self._doubtful(DOUBTFUL), self.waiting, self._doubtful(POSSIBLE))
        return next((part for tier in tiers if (part := self._next(tier)) is not None), None)

    def _doubtful(self, level: float) -> list[PromptPart]:
        """Opened parts with leaves of p-values up to ``level`` that are open to doubt, the least asked first.

        Whether a level is asked again depends on its p-values, and what it then says on all its masks: chance has to
        deceive twice.
        """
        found = [
            (self.attempts[index], self._least_doubt(index), index)
            for index in self.opened
            if index and self.attempts[index] < AGAIN
        ]
        return [self.skeleton.parts[index] for _, p_value, index in sorted(found) if p_value <= level]

    def _least_doubt(self, index: int) -> float:
        """The smallest p-value of a leaf under an opened part that is open to doubt; 1 where there is none."""
        leaves = [child for child in self.skeleton.parts[index].children if child not in self.opened]
        known = [self.standings[leaf] for leaf in leaves]
        settled = CALLED / len(self.leaves)
        return min((each.p_value for each in known if not each.clear and each.p_value > settled), default=1.0)

    @property
    def waiting(self) -> list[PromptPart]:
        """Closed parts that promise something, the most promising first."""
        parts = [self.skeleton.parts[index] for index in self.standings if index not in self.opened]
        worthy = [
            part
            for part in parts
            if part.children and part.index not in self.attempts and self._promises(self.standings[part.index])
        ]
        return sorted(worthy, key=lambda part: -self.standings[part.index].promise)

    def _promises(self, standing: Standing) -> bool:
        """Whether a part may be worth opening: not where its value is nothing, and so is what was found inside it.

        Its interval still leaves room for what no mask showed, and calls inside this part would not show that either.
        """
        return standing.promise > self.worth and (abs(standing.value) > self.worth or standing.hidden != 0.0)

    @property
    def leaves(self) -> list[PromptPart]:
        """The finest parts that a value is known of, in the order of the prompt: the units of the explanation."""
        return [part for part in self.skeleton.parts if part.index in self.standings and part.index not in self.opened]

    def predicted(self, index: int) -> Floats:
        """Held-out predictions of what an opened part asked ``(m,)``: its own, and what surrounds it in the masks."""
        rows, here = self.opened[index].rows, self.skeleton.parts[index]
        # A level's own predictions are centred: the mean effect of the first level is where all of them start.
        found = float(self.opened[0].rows.effects.mean()) + rows.predicted
        # Neighbours at every level above are in or out in these masks too, and add their own values.
        while here.parent is not None:
            for sibling in self.skeleton.children(here.parent):
                if sibling.index != here.index:
                    found = found + (rows.masks[:, sibling.first] - 0.5) * self.standings[sibling.index].value
            here = self.skeleton.parts[here.parent]
        return found

    @property
    def left_over(self) -> bool:
        """Whether the predictions of a level miss more than noise makes: its parts do not act each by itself."""
        missed = [level.rows.effects - self.predicted(index) for index, level in self.opened.items()]
        known = [float(np.mean(each**2)) for each in missed if not np.isnan(each).any()]
        return max(known, default=0.0) > max(self.worth**2, 2.0 * self.noise.seen)

    def _next(self, parts: Sequence[PromptPart]) -> PromptPart | None:
        """The first that can be paid for, with what is kept for pairs of leaves."""
        for part in parts:
            if cost_of_opening(len(part.children)) + self._kept(showing=self._shows(part)) <= self.left():
                return part
        return None

    def _kept(self, *, showing: bool) -> int:
        """Calls that are left for pairs of leaves, where the values leave something over."""
        return self.reserve[not showing] if self.left_over else 0

    def _shows(self, part: PromptPart) -> bool:
        """Whether its value stands out, or its inside does: not merely that its interval is wide."""
        return self._stands_out(part.index) or bool(self.standings[part.index].hidden)

    def _enter(self, index: int, level: Level, *, look: bool = True) -> None:
        """Note what a level says of its parts; the first time, look inside those that it calls zero."""
        self.opened[index] = level
        # Opposite children hide in a value near zero, and show in how much the scores of its masks differ.
        variance = level.spread**2
        whole = float(variance.sum())
        # Under rounding every share would be a share of nothing.
        shares = variance / whole if np.sqrt(whole) > self.worth else np.zeros(len(variance))
        children = self.skeleton.children(index)
        strongest = float(np.nanmax(np.abs([level.values, level.low, level.high])))
        for i, child in enumerate(children):
            known = self.standings.get(child.index)
            self.standings[child.index] = Standing(
                float(level.values[i]), float(level.low[i]), float(level.high[i]), float(level.p_values[i]),
                float(shares[i]), strongest, None if known is None else known.hidden,
            )  # fmt: skip
        if look:
            self._look_inside(self.skeleton.parts[index])

    def _look_inside(self, parent: PromptPart) -> bool:
        """Whether it could be paid for; what was found is noted."""
        suspects = [
            child
            for child in self.skeleton.children(parent.index)
            if child.children and not self._stands_out(child.index)
        ]
        if not suspects or cost_of_looking(suspects) + self._kept(showing=True) > self.left():
            return False
        # A generator of its own for every look, so that what one part asks changes no mask of another.
        rows, rng = self.opened[parent.index].rows, generator(self.seed, "hidden", parent.index, self.looked)
        found = hidden(suspects, rows, self.probe, rng, noise=self.noise.seen, worth=self.worth)
        for child, size in zip(suspects, found, strict=True):
            self.standings[child.index] = replace(self.standings[child.index], hidden=float(size))
        return True

    def _stands_out(self, index: int) -> bool:
        standing = self.standings[index]
        return standing.seen and abs(standing.value) > self.worth
