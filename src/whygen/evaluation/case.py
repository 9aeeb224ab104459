"""What every metric is given: the explanation, what the person added, and a way to ask the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whygen.evaluation.lab import Floats, Lab
from whygen.evaluation.result import LeftOut, Measure, UnitSpread
from whygen.results.prompt import PromptExplanation


@dataclass(slots=True)
class Case:
    """One evaluation.

    Attributes:
        explanation: what is judged.
        lab: asks the model.
        seed: of everything random.
        labels: which units matter, shape ``(n,)``; None where nobody said.
        repeats: explanations by other seeds, and random orders, where metrics need them.
        paraphrases: the prompt in other words.
        others: further models, for consistency across them.
        randomised: a model that has learned nothing, of the same kind; None or ``copy``: a copy of the explained one.
        spreads: filled by ``consistency``: the spread of each unit.
        again: the explanation by other seeds, once it was asked for.
        left: what was not measured, and why.
    """

    explanation: PromptExplanation
    lab: Lab
    seed: int
    labels: NDArray[np.bool_] | None
    repeats: int
    paraphrases: Sequence[str]
    others: Sequence[object]
    randomised: object | None
    spreads: list[UnitSpread] = field(default_factory=list[UnitSpread])
    again: list[PromptExplanation] = field(default_factory=list[PromptExplanation])
    left: list[LeftOut] = field(default_factory=list[LeftOut])


@dataclass(frozen=True, slots=True)
class Metric:
    """A group of figures.

    Attributes:
        name: as it is asked for.
        calls: how many answers it asks the model for at most; cached ones count.
        measure: computes the figures.
    """

    name: str
    calls: Callable[[Case], int]
    measure: Callable[[Case], list[Measure]]


def percentiles(values: Floats) -> tuple[float | None, float | None]:
    """The 2.5th and 97.5th percentile of the finite ones; None where there are fewer than three."""
    finite = values[np.isfinite(values)]
    if len(finite) < 3:
        return None, None
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def mean_of(values: Floats) -> float | None:
    """The mean of the finite ones; None where there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
