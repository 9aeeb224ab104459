"""What a run heard, kept so that other targets can read it: no model is in sight here, so no call can be made.

Asking costs, reading does not: the same answers give the effects of every target that reads answers, and the same
token scores those of every span. Rows, draws, failures and redraws are those of the run that asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.prompt.targets import Target
from whygen.types import Output

Floats: TypeAlias = NDArray[np.float64]

Measure: TypeAlias = Callable[[Sequence[Output]], Floats]
"""Outputs to several effects of each, shape ``(n, k)``."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers of a run, by what they answered.

    Attributes:
        references: the reference outputs.
        repeats: fresh answers to the whole prompt.
        answers: for each observed mask, its draws; for a mask that keeps everything, the repeats.
        asked: for each observed mask, whether it was asked, and not answered by the repeats.
        redraws: a mask's place among the observed ones, and its second answer.
        empty: the answer to the prompt without any unit, where the estimand needs it.
        differs: whether the model answers a question differently when it is asked again.
    """

    references: tuple[Output, ...]
    repeats: tuple[Output, ...]
    answers: tuple[tuple[Output, ...], ...]
    asked: tuple[bool, ...]
    redraws: tuple[tuple[int, Output], ...] = ()
    empty: Output | None = None
    differs: bool = False

    def read(self, measure: Measure) -> Read:
        """The effects of everything that was heard; every output is measured in one go."""
        again = [output for _, output in self.redraws]
        rest = [] if self.empty is None else [self.empty]
        drawn = [output for draws in self.answers for output in draws]
        values = measure([*self.repeats, *again, *rest, *drawn])
        repeats, values = np.split(values, [len(self.repeats)])
        second, values = np.split(values, [len(again)])
        empty, values = np.split(values, [len(rest)])
        rows = np.split(values, np.cumsum([len(draws) for draws in self.answers])[:-1])
        effects: Floats = np.stack([row.mean(axis=0) for row in rows])
        noise, degrees = self._noise(rows, effects, second)
        return Read(effects, repeats, empty[0] if len(empty) else None, noise, degrees)

    def _noise(self, rows: Sequence[Floats], effects: Floats, second: Floats) -> tuple[Floats | None, int]:
        """Variance of each effect under repetition ``(k,)``, and its degrees of freedom. METHODS A3."""
        drawn = [row for row, asked in zip(rows, self.asked, strict=True) if asked]
        draws = min((len(row) for row in drawn), default=1)
        if draws > 1:
            spread: Floats = np.stack([row.var(axis=0, ddof=1) for row in drawn])
            noise: Floats = spread.mean(axis=0) / draws
            return noise, len(drawn) * (draws - 1)
        if not self.differs:
            return np.zeros_like(effects[0]), 0
        if not len(second):
            return None, 0
        differences = second - effects[[place for place, _ in self.redraws]]
        return (differences**2).mean(axis=0) / 2.0, len(second)


@dataclass(frozen=True, slots=True)
class Read:
    """The effects that k targets read from one run.

    Attributes:
        effects: shape ``(m, k)``, mean over the draws of each mask.
        repeats: shape ``(repeats, k)``; their mean is f(1).
        empty: f(0), shape ``(k,)``; None where it was not asked for.
        noise: variance of one effect under repetition, ``(k,)``; None where it was not measured.
        degrees: degrees of freedom of that variance.
    """

    effects: Floats
    repeats: Floats
    empty: Floats | None
    noise: Floats | None
    degrees: int

    def total(self, place: int) -> float | None:
        """f(1) - f(0) of one target, which Shapley values share out."""
        return None if self.empty is None else float(self.repeats[:, place].mean() - self.empty[place])

    def variance(self, place: int) -> float | None:
        """The noise of one target."""
        return None if self.noise is None else float(self.noise[place])


def measure_by(targets: Sequence[Target], references: Sequence[Output]) -> Measure:
    """Several targets as one measure, one column each."""

    def measure(outputs: Sequence[Output]) -> Floats:
        return np.stack([target.effects(outputs, references) for target in targets], axis=1)

    return measure
