"""Memorised anchors as pictures: beside what the model makes of them, and the training sample that is nearest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.memorising import Memorised
from whygen.anchors.representing import Space, neighbours, samples_of
from whygen.models.latent import Floats
from whygen.results.anchors_scores import Scores


class _Pictured(Protocol):
    """Samples and what the model gives back for them (None: nothing), as pictures; None where they are none."""

    @property
    def pictures(self) -> tuple[Floats, Floats | None] | None: ...


@dataclass(frozen=True, slots=True)
class Traced:
    """For some anchors the nearest other training anchor; and those called memorised as pictures."""

    nearest: NDArray[np.int64]
    """Shape ``(n,)``; -1 where nobody looked."""
    distance: NDArray[np.float64]
    rows: NDArray[np.int64]
    """The anchors shown, ``(k,)``."""
    pictures: Floats | None
    """Anchor, what the model gave back, nearest training anchor: ``(k, 3, height, width, channels)``; 2 of nothing."""

    def arrays(self) -> dict[str, Any]:
        """As the evidence holds them."""
        return {
            "nearest_training": self.nearest, "nearest_training_distance": self.distance, "traced": self.rows,
            "traced_pictures": self.pictures,
        }  # fmt: skip


def trace(
    memorised: Memorised, scores: Scores, space: Space, shown: NDArray[np.int64],
    show: Callable[[NDArray[np.int64]], _Pictured],
) -> Traced | None:  # fmt: skip
    """The nearest other training anchor of representatives and of memorised anchors; None without training anchors."""
    roles = np.array(scores.facts.roles or ())
    training = scores.arrays["distinct"]
    training = training[roles[training] == "training"]
    if len(training) < 2:
        return None
    rows = np.zeros(0, np.int64) if memorised.traced is None else memorised.traced
    wanted = np.union1d(rows, shown).astype(np.int64)
    nearest, distance = np.full(len(roles), -1, np.int64), np.full(len(roles), np.nan)
    place = {int(row): at for at, row in enumerate(training.tolist())}
    inside = np.array([row in place for row in wanted.tolist()], dtype=np.bool_)
    own = Space(space.name, space.anchors[training], None)
    if inside.any():  # among themselves: never the sample itself
        found = neighbours(own, np.array([place[row] for row in wanted[inside].tolist()], np.int64))
        at = np.array([place[row] for row in wanted[inside].tolist()], np.int64)
        nearest[wanted[inside]], distance[wanted[inside]] = training[found.index[at]], found.distance[at]
    if (~inside).any():
        others = wanted[~inside]
        found = neighbours(
            Space(space.name, space.anchors[others], own.anchors), np.arange(len(others), dtype=np.int64)
        )
        nearest[others], distance[others] = training[found.index], found.distance
    return Traced(nearest, distance, rows, _pictures(scores, rows, nearest, show))


def _pictures(
    scores: Scores, rows: NDArray[np.int64], nearest: NDArray[np.int64],
    show: Callable[[NDArray[np.int64]], _Pictured],
) -> Floats | None:  # fmt: skip
    samples = samples_of(scores)[0]
    shown = show(rows).pictures if len(rows) else None
    if samples is None or shown is None:
        return None
    given = [each for each in shown if each is not None]
    return np.stack([*given, samples.pictures(samples.rows(nearest[rows]))], axis=1)
