"""What several raters' blind ratings say: means of each method, differences between methods, and agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from whygen.errors import DataError
from whygen_experiments.ratings.agreement import alpha_interval, krippendorff_alpha
from whygen_experiments.ratings.sheet import Floats, Key

DRAWS = 4000
RELIABLE, TENTATIVE = 0.8, 0.667
"""Krippendorff's customary limits: conclusions from 0.800 on, tentative ones from 0.667 (Content Analysis, 2004)."""


@dataclass(frozen=True, slots=True)
class MethodScore:
    """Mean rating of a method; ``low`` and ``high`` limit it at 95%, None where nothing can be resampled."""

    question: str
    method: str
    mean: float | None
    low: float | None
    high: float | None
    ratings: int
    missing: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean rating of ``first`` less that of ``second``."""

    question: str
    first: str
    second: str
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha for ordinal ratings, with a bootstrap over items; None where it does not exist."""

    question: str
    alpha: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Rated:
    """What the raters said, question by question, methods by name."""

    raters: tuple[str, ...]
    prompts: int
    scores: tuple[MethodScore, ...]
    differences: tuple[Difference, ...]
    agreement: tuple[Agreement, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def score(key: Key, sheets: Mapping[str, Floats], rng: np.random.Generator) -> Rated:
    """Means, differences and agreement of the sheets of several raters.

    The intervals resample raters and prompts together (A. Owen, The pigeonhole bootstrap, Annals of Applied Statistics
    1(2), 2007), so that they hold for raters and prompts like these; that errs on the wide side. With one rater only
    prompts are resampled.

    Args:
        key: of the sheet.
        sheets: names of raters with what `read_ratings` read, shape ``(items, questions)`` each.
        rng: of the resampling.

    Raises:
        DataError: if there is no sheet, or nobody rated anything.
    """
    if not sheets or all(np.isnan(sheet).all() for sheet in sheets.values()):
        raise DataError("No rating was given: fill in at least one sheet with whole numbers from 1 to 5.")
    every = np.stack(list(sheets.values()))
    cube = _by_method(key, every)
    means = _mean(cube, np.ones((1, cube.shape[0])), np.ones((1, cube.shape[1])))[0]
    drawn = _resampled(cube, rng)
    questions, methods = list(key.questions), key.methods
    scores = [
        _score(cube[:, :, m, q], means[m, q], drawn[:, m, q], question=question, method=method)
        for q, question in enumerate(questions)
        for m, method in enumerate(methods)
    ]
    differences = [
        _difference(means[:, q], drawn[:, :, q], question=question, methods=methods, pair=pair)
        for q, question in enumerate(questions)
        for pair in combinations(range(len(methods)), 2)
    ]
    agreement = tuple(_agreement(every[:, :, q], rng, question=question) for q, question in enumerate(questions))
    notes = _notes(len(sheets), agreement, missing=int(np.isnan(every).sum()), asked=every.size)
    return Rated(tuple(sheets), cube.shape[1], tuple(scores), tuple(differences), agreement, notes)


def _by_method(key: Key, every: Floats) -> Floats:
    """Shape ``(raters, prompts, methods, questions)``."""
    prompts = sorted({item.prompt for item in key.items})
    cube = np.full((len(every), len(prompts), len(key.methods), len(key.questions)), np.nan)
    for place, item in enumerate(key.items):
        cube[:, prompts.index(item.prompt), key.methods.index(item.method)] = every[:, place]
    return cube


def _mean(cube: Floats, raters: Floats, prompts: Floats) -> Floats:
    """Weighted means over what was rated, shape ``(draws, methods, questions)``; NaN where nothing was."""
    alive = (~np.isnan(cube)).astype(np.float64)
    total = np.einsum("br,bp,rpmq->bmq", raters, prompts, np.nan_to_num(cube), optimize=True)
    weight = np.einsum("br,bp,rpmq->bmq", raters, prompts, alive, optimize=True)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _resampled(cube: Floats, rng: np.random.Generator) -> Floats:
    raters, prompts = (rng.multinomial(n, np.full(n, 1.0 / n), size=DRAWS).astype(np.float64) for n in cube.shape[:2])
    return _mean(cube, raters, prompts)


def _limits(drawn: Floats) -> tuple[float | None, float | None]:
    """Percentile interval; None where every draw is the same, as one rater of one prompt is."""
    alive = drawn[~np.isnan(drawn)]
    if not len(alive) or np.ptp(alive) == 0.0:
        return None, None
    low, high = np.quantile(alive, [0.025, 0.975])
    return float(low), float(high)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _score(cells: Floats, mean: float, drawn: Floats, *, question: str, method: str) -> MethodScore:
    missing = int(np.isnan(cells).sum())
    return MethodScore(question, method, _number(mean), *_limits(drawn), cells.size - missing, missing)


def _difference(
    means: Floats, drawn: Floats, *, question: str, methods: Sequence[str], pair: tuple[int, int]
) -> Difference:
    one, other = pair
    limits = _limits(drawn[:, one] - drawn[:, other])
    return Difference(question, methods[one], methods[other], _number(means[one] - means[other]), *limits)


def _agreement(ratings: Floats, rng: np.random.Generator, *, question: str) -> Agreement:
    limits = alpha_interval(ratings, rng)
    return Agreement(question, krippendorff_alpha(ratings), *(limits or (None, None)))


def _notes(raters: int, agreement: Sequence[Agreement], *, missing: int, asked: int) -> tuple[str, ...]:
    notes: list[str] = []
    if missing:
        notes.append(f"{missing} of {asked} ratings are missing; means are over those that are there.")
    if raters == 1:
        notes.append("One rater: the intervals hold for this rater alone, and nothing can be said of agreement.")
    weak = [each.question for each in agreement if each.alpha is not None and each.alpha < TENTATIVE]
    if weak:
        notes.append(
            f"Raters agree too little on {', '.join(weak)} (alpha under {TENTATIVE}) to conclude from the means there: "
            "say more plainly what is asked, or ask more raters."
        )
    return tuple(notes)
