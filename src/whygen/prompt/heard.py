"""The answers of a run, kept so that other targets can be read from them without a call to the model.

Asking costs, reading does not: the same answers give the effects of every target that reads answers, and the same
token scores those of every span. Rows, draws, failures and redraws are those of the run that asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from whygen.prompt.noise import MeasuredNoise, measure
from whygen.prompt.targets import Target
from whygen.types import Floats, Output

Measure: TypeAlias = Callable[[Sequence[Output]], Floats]
"""Outputs to several effects of each, shape ``(n, k)``."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers of a run, by what they answered.

    Attributes:
        references: the reference outputs.
        repeats: fresh answers to the whole prompt.
        answers: for each observed mask, its draws, redraws included; for a mask that keeps everything, the repeats.
        asked: for each observed mask, whether it was asked, and not answered by the repeats.
        kept: the share of the units that each observed mask keeps.
        empty: answers to the prompt without any unit, where the estimand needs them.
        known: whether equal questions are known to get equal answers.
    """

    references: tuple[Output, ...]
    repeats: tuple[Output, ...]
    answers: tuple[tuple[Output, ...], ...]
    asked: tuple[bool, ...]
    kept: tuple[float, ...]
    empty: tuple[Output, ...] = ()
    known: bool = False

    def read(self, measure: Measure) -> Read:
        """The effects of everything that was heard; every output is measured in one go."""
        rest = self.empty
        drawn = [output for draws in self.answers for output in draws]
        values = measure([*self.repeats, *rest, *drawn])
        repeats, values = np.split(values, [len(self.repeats)])
        empty, values = np.split(values, [len(rest)])
        rows = np.split(values, np.cumsum([len(draws) for draws in self.answers])[:-1])
        draws = np.full((len(rows), max(len(row) for row in rows), values.shape[1]), np.nan)
        for place, row in enumerate(rows):
            draws[place, : len(row)] = row
        return Read(draws, repeats, empty.mean(axis=0) if len(empty) else None, np.array(self.kept), self.known)


@dataclass(frozen=True, slots=True)
class Read:
    """The effects that k targets read from one run.

    Attributes:
        draws: shape ``(m, draws, k)``; NaN where a mask was drawn less often.
        repeats: shape ``(repeats, k)``; their mean is f(1).
        empty: f(0), shape ``(k,)``; None where it was not asked for.
        kept: share of the units that each mask keeps, shape ``(m,)``.
        known: whether equal questions are known to get equal answers.
    """

    draws: Floats
    repeats: Floats
    empty: Floats | None
    kept: Floats
    known: bool

    @property
    def effects(self) -> Floats:
        """Mean over the draws of each mask, shape ``(m, k)``."""
        return np.nanmean(self.draws, axis=1)

    def total(self, place: int) -> float | None:
        """f(1) - f(0) of one target, which Shapley values share out."""
        return None if self.empty is None else float(self.repeats[:, place].mean() - self.empty[place])

    def noise(self, place: int, *, reach: float = 0.0) -> MeasuredNoise:
        """The noise of one target, which lets effects be ``reach`` apart."""
        draws = self.draws[:, :, place]
        return measure(draws, known=self.known, speaks=self.kept < 1.0, reach=reach, kept=self.kept)


def measure_by(targets: Sequence[Target], references: Sequence[Output]) -> Measure:
    """Several targets as one measure, one column each."""

    def measure(outputs: Sequence[Output]) -> Floats:
        return np.stack([target.effects(outputs, references) for target in targets], axis=1)

    return measure
