"""Which anchors changed more than noise: by their place in the reference, and by how often other runs take it back.

The place is the share of the reference whose criterion is at least the anchor's, which has no unit: so it can be
compared between models whose criteria differ in scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

from whygen.anchors.arrays import Criteria, averaged
from whygen.anchors.calibration import Calibration
from whygen.anchors.groups import GROUPS, Codes, Kind, another_run
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_rows import UNSURE
from whygen.results.anchors_scores import Scores
from whygen.stats.seeds import generator

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

ALIKE = (GROUPS.index("HIHE"), GROUPS.index("BELOW"))
"""Groups of what no criterion calls unlike the reference: to enter them is to be learned, to leave them forgotten."""
MOST_PAIRS = 4_000_000
"""So many draws of anchors are held against the reference at once."""
REDRAWN = 200
"""Other calibrations and runs behind the error of a threshold, and behind how sure a change is."""
ONE_NOISE = frozenset({"iw-elbo", "denoising-loss", "redenoised"})
"""Criteria that average over noise of their own, of which a run has one set: it does not tell how another would differ.
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two explanations, with its thresholds."""

    explanation: AnchorExplanation
    scores: Scores
    calibration: Calibration
    codes: Codes
    flip_rate: Floats
    """As it stands in the explanation; see `_sure`."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(each.kind for each in self.scores.facts.criteria)

    @property
    def reference(self) -> Criteria | None:
        """Criteria of the real samples that thresholds rest on, ``(S, n, c)``."""
        held = self.scores.scored("reference")
        return None if held is None or self.calibration.role == "generated" else held.draws


@dataclass(frozen=True, slots=True)
class ChangedPart:
    """A variance of differences ``(b,)``, and the degrees of freedom that it is known by."""

    variance: Floats
    degrees: float


def p_values_of_change(one: Side, other: Side, rows: Rows) -> Floats | None:
    """For these anchors: is what differs more than noise? Two-sided, Bonferroni over criteria; None: noise unknown."""
    if not (_noise_known(one) and _noise_known(other)):
        return None
    each = [_p_of_criterion(one, other, rows, column) for column in range(len(one.scores.names))]
    return np.minimum(np.min(each, axis=0, initial=1.0) * len(each), 1.0) if len(rows) else np.ones(0)


def _noise_known(side: Side) -> bool:
    """Whether draws of this run tell how far another run's differ: two of them at least, or none that are random.

    Of generated samples that anchors are compared with there is one set, too, which tells of no other.
    """
    scores = side.scores
    if scores.facts.generated is not None or ONE_NOISE & set(scores.names):
        return False
    draws = len(scores.anchors.draws) > 1 or scores.facts.plan["draws"] != 1
    return draws and (side.reference is not None or len(averaged(side.calibration.basis)) > 1)


def _p_of_criterion(one: Side, other: Side, rows: Rows, column: int) -> Floats:
    a, b = (each.scores.anchors.draws[:, rows, column] for each in (one, other))
    known, seen = one.reference, other.reference
    if known is None or seen is None:
        return _p_of_margins((a, b), (one.calibration, other.calibration), column, paired=same_noise(one, other))
    return p_of_places(
        (a, b), (known[:, :, column], seen[:, :, column]),
        paired_draws=same_noise(one, other), paired_reference=same_reference(one, other),
    )  # fmt: skip


def same_reference(one: Side, other: Side) -> bool:
    """Whether both runs were read against the same samples."""
    a, b = one.scores.facts.reference, other.scores.facts.reference
    return a is not None and b is not None and a.digest == b.digest and a.n == b.n


def same_noise(one: Side, other: Side) -> bool:
    """Whether draw s of one run has the random numbers of draw s of the other."""
    a, b = one.scores, other.scores
    return a.facts.seed == b.facts.seed and len(a.anchors.draws) == len(b.anchors.draws)


def p_of_places(
    values: tuple[Floats, Floats], reference: tuple[Floats, Floats], *, paired_draws: bool, paired_reference: bool
) -> Floats:
    """`_p_of_places`, so many anchors at a time as memory allows."""
    a, b = values
    size = max(1, MOST_PAIRS // (len(a) * reference[0].shape[1] + len(b) * reference[1].shape[1]))
    parts = [
        _p_of_places(
            (a[:, start : start + size], b[:, start : start + size]), reference,
            paired_draws=paired_draws, paired_reference=paired_reference,
        )
        for start in range(0, a.shape[1], size)
    ]  # fmt: skip
    return np.concatenate(parts) if parts else np.ones(0)


def _p_of_places(
    values: tuple[Floats, Floats], reference: tuple[Floats, Floats], *, paired_draws: bool, paired_reference: bool
) -> Floats:
    """Whether the places of anchors in the reference differ, values ``(S, b)`` and reference ``(S, n)`` of each run.

    The place is the mean over posterior draws of the share of the reference at or above the anchor. Its error has two
    parts: the reference is a sample (paired where both runs have the same one: McNemar's variance, with an added count
    each way so that agreement is no certainty), and so are the draws. Satterthwaite's degrees of freedom.
    """
    above = [held[:, None, :] >= own[:, :, None] for own, held in zip(values, reference, strict=True)]
    by_sample = [each.mean(axis=0) for each in above]
    by_draw = [each.mean(axis=2) for each in above]
    difference = by_draw[1].mean(axis=0) - by_draw[0].mean(axis=0)
    if paired_reference:
        n = reference[0].shape[1]
        parts = [part_of(by_sample[1] - by_sample[0], axis=1, floor=2 / n**2)]
    else:
        parts = [part_of(each, axis=1, floor=1 / each.shape[1] ** 2) for each in by_sample]
    return _two_sided(difference, [*parts, *of_draws(by_draw, paired=paired_draws)])


def _p_of_margins(
    values: tuple[Floats, Floats], calibrations: tuple[Calibration, Calibration], column: int, *, paired: bool
) -> Floats:
    """Whether anchors lie otherwise to the threshold, where thresholds rest on what the models generate."""
    margins = [own - each.thresholds[column].value for own, each in zip(values, calibrations, strict=True)]
    parts: list[ChangedPart] = []
    for calibration in calibrations:
        rng = generator(0, "compared", "thresholds")
        limits = calibration.bootstrap(rng, REDRAWN)[:, column]
        count = len(averaged(calibration.basis))
        spread = limits.var(ddof=1) * count / (count - 1)  # a bootstrap's is smaller by that
        parts.append(ChangedPart(np.full(len(values[0][0]), float(spread)), count - 1.0))
    difference = margins[1].mean(axis=0) - margins[0].mean(axis=0)
    return _two_sided(difference, [*parts, *of_draws(margins, paired=paired)])


def of_draws(values: Sequence[Floats], *, paired: bool) -> list[ChangedPart]:
    """What the posterior draws ``(S, b)`` add; nothing where a run has one draw, which then is not random."""
    if paired and len(values[0]) > 1:
        return [part_of(values[1] - values[0], axis=0)]
    return [part_of(each, axis=0) for each in values if len(each) > 1]


def part_of(values: Floats, *, axis: int, floor: float = 0.0) -> ChangedPart:
    """The variance of the mean over an axis, with its degrees of freedom."""
    count = values.shape[axis]
    spread = values.var(axis=axis, ddof=1) if count > 1 else np.zeros(values.shape[1 - axis])
    return ChangedPart(spread / count + floor, max(1.0, count - 1.0))


def _two_sided(difference: Floats, parts: Sequence[ChangedPart]) -> Floats:
    variance = np.sum([part.variance for part in parts], axis=0)
    weights = np.sum([part.variance**2 / part.degrees for part in parts], axis=0)
    degrees = np.divide(variance**2, weights, out=np.ones_like(variance), where=weights > 0)
    ratio = np.divide(np.abs(difference), np.sqrt(variance), out=np.full_like(variance, np.inf), where=variance > 0)
    found = 2 * cast("Floats", stdtr(degrees, -ratio))
    return np.where((variance > 0) | (difference != 0), found, 1.0)


def sure_changes(one: Side, other: Side) -> NDArray[np.bool_]:
    """Anchors whose change few other runs of either model take back, ``(n,)``.

    Of what was learned or forgotten that is a run that puts it on the other side of "like the reference": HIHE and
    BELOW are one side. Of what moved it is any other group.
    """
    across = np.isin(one.codes, ALIKE) != np.isin(other.codes, ALIKE)
    most = np.zeros(len(across), np.float64)
    for which, side in (("first", one), ("second", other)):
        rng = generator(side.scores.facts.seed, "compared", "flips", which)
        own = np.isin(side.codes, ALIKE)
        runs = (another_run(side.scores.anchors.draws, side.calibration, side.kinds, rng) for _ in range(REDRAWN))
        back = np.stack([(np.isin(each, ALIKE) != own) | ((each != side.codes) & ~across) for each in runs])
        most = np.maximum(most, back.mean(axis=0))
    return most <= UNSURE
