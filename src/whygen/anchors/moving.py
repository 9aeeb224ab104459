"""Shares of an explanation by thresholds that a person puts somewhere else. No model is asked.

Where thresholds are quantiles of a reference, one that is moved becomes another quantile of it: it goes to the nearest
reference value below, so that the level is known, and the interval of a share has the errors of both samples, as it has
in the report. Other thresholds (mean-max, standard deviations) have no such law: they are held where they were put,
and intervals have the error of the anchors alone.

A threshold that was moved until the shares please says less than one that was set before: the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria, averaged
from whygen.anchors.calibration import Calibration, Threshold
from whygen.anchors.comparing import side_of
from whygen.anchors.controls import TRIVIAL
from whygen.anchors.groups import GROUPS, Codes, assign, shares_by
from whygen.errors import UnknownNameError, UsageError
from whygen.results.anchors import AnchorExplanation, GroupRecord
from whygen.results.anchors_scores import Scored
from whygen.stats.conformal import rank_at
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson


@dataclass(frozen=True, slots=True)
class Moved:
    """What the groups come to by other thresholds."""

    thresholds: dict[str, float]
    """As they were used: moved ones at a reference value."""
    levels: dict[str, float] | None
    """Chance that a sample like the reference is above each; None where thresholds are held."""
    codes: Codes
    groups: dict[str, GroupRecord]
    controls: dict[str, dict[str, float]]
    """Shares by the same levels of what has learned nothing."""


class Movable:
    """An explanation opened for moving its thresholds.

    Raises:
        MissingError: if it holds no scores.
    """

    def __init__(self, explanation: AnchorExplanation) -> None:
        side = side_of(explanation, "given")
        self._explanation = explanation
        self._calibration = replace(side.calibration, multiplicity="none")
        self._kinds = side.kinds
        self._scores = side.scores
        self._values = side.scores.anchors.values
        self._sorted = np.sort(averaged(side.calibration.basis), axis=0)
        self._start = {each.criterion: each.value for each in side.calibration.thresholds}
        self.has_levels = side.calibration.kind in ("conformal", "percentile")

    @property
    def steps(self) -> NDArray[np.float64] | None:
        """Where thresholds can stand, ascending, ``(m, c)``; None: anywhere."""
        return self._sorted if self.has_levels else None

    def move(self, thresholds: Mapping[str, float]) -> Moved:
        """Groups, shares with intervals, and controls by these thresholds; those not named stay as they were.

        Raises:
            UnknownNameError: if there is no such criterion.
            UsageError: if a threshold is no finite number.
        """
        for name, value in thresholds.items():
            if name not in self._start:
                raise UnknownNameError("criterion of this explanation", name, tuple(self._start))
            if not np.isfinite(value):
                raise UsageError(f"The threshold of {name} is {value}: give a finite number.")
        if self.has_levels:
            return self._by_levels(thresholds)
        return self._held({**self._start, **thresholds})

    def _by_levels(self, thresholds: Mapping[str, float]) -> Moved:
        """Moved thresholds as quantiles of the reference, the others at the level that they have."""
        n, levels = len(self._sorted), list[float]()
        for column, (name, start) in enumerate(self._start.items()):
            moved = thresholds.get(name, start)
            above = n - int(np.searchsorted(self._sorted[:, column], moved, side="right"))
            # At least one reference sample stays below: a threshold under all of them has no level.
            levels.append(min(n, above + 1) / (n + 1))
        calibration = at_levels(self._calibration, tuple(levels))
        codes = self._codes(self._values, calibration)
        counted = self._scores.arrays["distinct"]
        rng = generator(self._scores.facts.seed, "moved")
        shares = shares_by(codes[counted], self._values[counted], calibration, self._kinds, rng)
        groups = {each.group: GroupRecord(count=each.count, share=each.share, low=each.low, high=each.high)
                  for each in shares}  # fmt: skip
        return Moved(
            {each.criterion: each.value for each in calibration.thresholds},
            dict(zip(self._start, levels, strict=True)), codes, groups, self._controls(tuple(levels)),
        )  # fmt: skip

    def _held(self, thresholds: Mapping[str, float]) -> Moved:
        """Thresholds that have no law, held where they were put."""
        limits = np.array([thresholds[name] for name in self._start])
        high = self._calibration.within(self._values, limits)
        codes = assign(high, kinds=self._kinds, below=self._calibration.below(self._values))
        counted = codes[self._scores.arrays["distinct"]]
        groups = dict[str, GroupRecord]()
        for code, name in self._explanation.group_names.items():
            count = int((counted == code).sum())
            low, high_end = wilson(count, len(counted))
            groups[name] = GroupRecord(count=count, share=count / len(counted), low=low, high=high_end)
        return Moved(dict(zip(self._start, limits.tolist(), strict=True)), None, codes, groups, {})

    def _codes(self, values: Criteria, calibration: Calibration) -> Codes:
        limits = np.array([each.value for each in calibration.thresholds])
        floors = calibration.floors
        below = None if floors is None else values < np.array(floors)
        return assign(values <= limits, kinds=self._kinds, below=below)

    def _controls(self, levels: tuple[float, ...]) -> dict[str, dict[str, float]]:
        """The untrained copy and trivial reconstructions, each by its own reference at the same levels."""
        scores, known = self._scores, {each.name for each in self._explanation.controls if each.groups}
        pairs: dict[str, tuple[Scored | None, Scored | None]] = {
            "untrained": (scores.scored("copy/anchors"), scores.scored("copy/reference"))
        }
        own, reference = scores.anchors, scores.scored("reference")
        for name in TRIVIAL:
            if reference is not None and name in own.stand_ins:
                pairs[name] = (_stand_in(own, name), _stand_in(reference, name))
        found = dict[str, dict[str, float]]()
        for name, (anchors, held) in pairs.items():
            if name in known and anchors is not None and held is not None:
                rows = slice(None) if name == "untrained" else scores.arrays["distinct"]
                found[name] = self._parts(anchors.values[rows], held.values, levels)
        return found

    def _parts(self, anchors: Criteria, held: Criteria, levels: tuple[float, ...]) -> dict[str, float]:
        floor = self._calibration.alpha
        low = -quantiles(-held, (floor,) * held.shape[1]) if self._calibration.floors is not None and floor else None
        below = None if low is None else anchors < low
        codes = assign(anchors <= quantiles(held, levels), kinds=self._kinds, below=below)
        counts = np.bincount(codes, minlength=len(GROUPS)) / len(codes)
        return {name: float(counts[code]) for code, name in self._explanation.group_names.items()}


def at_levels(calibration: Calibration, levels: tuple[float, ...]) -> Calibration:
    """The calibration with its thresholds at other levels, one for each criterion; floors stay where they were."""
    values = quantiles(averaged(calibration.basis), levels)
    low = calibration.tail if isinstance(calibration.tail, float) else calibration.alpha
    return replace(
        calibration,
        thresholds=tuple(
            Threshold(criterion=name, value=float(value), comparison="<=", spread=None)
            for name, value in zip(calibration.names, values, strict=True)
        ),
        tail=levels, low_tail=low, rule=partial(quantiles, levels=levels),
    )  # fmt: skip


def quantiles(basis: Criteria, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """For each criterion of a basis ``(m, c)`` the value above which a new sample lies with at most that chance."""
    m = len(basis)
    ranks = [max(1, rank_at(m, level)) for level in levels]
    return np.array([np.sort(column)[m - min(rank, m)] for column, rank in zip(basis.T, ranks, strict=True)])


def _stand_in(scored: Scored, name: str) -> Scored:
    return Scored(scored.stand_ins[name][None], scored.means)


def shares_at(explanation: AnchorExplanation, thresholds: Mapping[str, float]) -> dict[str, GroupRecord]:
    """What `AnchorExplanation.shares_at` does."""
    return Movable(explanation).move(thresholds).groups
