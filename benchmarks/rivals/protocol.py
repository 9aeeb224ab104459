"""What a rival is given and what it gives back. Imported in the rival's own environment: NumPy alone.

A call is one prompt sent to the model. The whole prompt is a call of everybody's, because its answer is what the others
are compared with; asking for it again is free. Every other mask is a call each time it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


class OverBudget(Exception):  # noqa: N818 (a refusal, not a fault)
    """A rival asked for more than its calls."""


class CannotPlay(Exception):  # noqa: N818
    """What a rival was asked for is not what it does, or needs more calls than there are."""


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt to explain.

    Attributes:
        n: number of units.
        calls: masks that may be asked for, the whole prompt not counted.
        seed: of the rival's own chance.
        new: masks ``(k, n)`` whose effect it may predict; they are not to be asked for.
        ask: effects ``(m,)`` of masks ``(m, n)``.
        given: masks ``(m, n)`` and effects ``(m,)`` that were asked for by somebody else; then ``ask`` refuses.
    """

    n: int
    calls: int
    seed: int
    new: Bools
    ask: Callable[[Bools], Floats] = field(repr=False)
    given: tuple[Bools, Floats] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Attributions ``(n,)``, and what else the method makes itself.

    Attributes:
        predictions: of ``Task.new``, shape ``(k,)``.
        intervals: of 95%, shape ``(n, 2)``.
        covers: of which values they are intervals: ``banzhaf`` or ``shapley``.
    """

    attributions: Floats
    predictions: Floats | None = None
    intervals: Floats | None = None
    covers: str = "shapley"


Method: TypeAlias = Callable[[Task], Found]


def coded(masks: Bools) -> list[str]:
    """Masks as JSON can hold them."""
    return ["".join("1" if keep else "0" for keep in mask) for mask in np.atleast_2d(masks)]


def decoded(codes: Sequence[str], n: int) -> Bools:
    return np.array([[digit == "1" for digit in code] for code in codes], dtype=bool).reshape(-1, n)


def words(n: int) -> list[str]:
    """A word for each unit, for libraries that perturb texts."""
    return [f"u{unit}" for unit in range(n)]


def mask_of(text: str, n: int) -> Bools:
    """Which of `words` a text still has, shape ``(n,)``."""
    kept = np.zeros(n, dtype=bool)
    kept[[int(number) for number in re.findall(r"u(\d+)", text)]] = True
    return kept


def masks_of(texts: Sequence[str], n: int) -> Bools:
    return np.array([mask_of(str(text), n) for text in texts], dtype=bool).reshape(-1, n)
