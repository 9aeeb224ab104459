"""Which parts are opened: the one that promises most first, while the budget lasts. METHODS A4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from whygen.prompt.hierarchy.hidden import cost_of_looking, hidden
from whygen.prompt.hierarchy.levels import Ask, Level, cost_of_opening, open_part
from whygen.prompt.hierarchy.skeleton import Part, Skeleton
from whygen.prompt.surrogates import Surrogate
from whygen.stats.seeds import generator


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
        estimand: ``banzhaf`` or ``shapley``.
        surrogate: fitted at each level.
        seed: of masks, folds and flips.
        noise: variance of one effect under repetition.
        worth: a part that promises no more is not opened, in the target's unit.
    """

    skeleton: Skeleton
    ask: Ask
    probe: Ask
    left: Callable[[], int]
    estimand: str
    surrogate: Surrogate
    seed: int
    noise: float | None
    worth: float
    standings: dict[int, Standing] = field(default_factory=dict[int, Standing])
    opened: dict[int, Level] = field(default_factory=dict[int, Level])
    attempts: list[int] = field(default_factory=lambda: [0])
    """Parts that `ask` was called for, in order; those that are not opened were answered too rarely."""

    def run(self, first: Level) -> None:
        """Open parts, beginning with the prompt, whose level is known already."""
        self._enter(0, first)
        while (part := self._next()) is not None:
            self.attempts.append(part.index)
            rng = generator(self.seed, "hierarchy", part.index)
            level = open_part(self.skeleton, part, self.ask, rng, estimand=self.estimand, surrogate=self.surrogate)
            if level is not None:
                self._enter(part.index, level)

    @property
    def waiting(self) -> list[Part]:
        """Closed parts that promise something, the most promising first."""
        parts = [self.skeleton.parts[index] for index in self.standings if index not in self.opened]
        worthy = [
            part
            for part in parts
            if part.children and part.index not in self.attempts and self.standings[part.index].promise > self.worth
        ]
        return sorted(worthy, key=lambda part: -self.standings[part.index].promise)

    def _next(self) -> Part | None:
        return next((part for part in self.waiting if cost_of_opening(len(part.children)) <= self.left()), None)

    def _enter(self, index: int, level: Level) -> None:
        """Note what a level says of its parts, then look inside those that it calls zero."""
        self.opened[index] = level
        variance = level.spread**2
        whole = float(variance.sum())
        shares = variance / whole if np.sqrt(whole) > self.worth else np.zeros(len(variance))
        children = self.skeleton.children(index)
        strongest = float(np.nanmax(np.abs([level.values, level.low, level.high])))
        for i, child in enumerate(children):
            self.standings[child.index] = Standing(
                float(level.values[i]), float(level.low[i]), float(level.high[i]), float(level.p_values[i]),
                float(shares[i]), strongest,
            )  # fmt: skip
        self._look_inside(self.skeleton.parts[index])

    def _look_inside(self, parent: Part) -> None:
        suspects = [
            child
            for child in self.skeleton.children(parent.index)
            if child.children and not self._stands_out(child.index)
        ]
        if not suspects or cost_of_looking(suspects) > self.left():
            return
        found = hidden(
            self.skeleton, parent, suspects, self.probe, generator(self.seed, "hidden", parent.index),
            estimand=self.estimand, noise=self.noise or 0.0, worth=self.worth,
        )  # fmt: skip
        for child, size in zip(suspects, found, strict=True):
            old = self.standings[child.index]
            self.standings[child.index] = Standing(
                old.value, old.low, old.high, old.p_value, old.share, old.strongest, float(size)
            )

    def _stands_out(self, index: int) -> bool:
        standing = self.standings[index]
        return standing.seen and abs(standing.value) > self.worth
