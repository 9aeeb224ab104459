"""What training, held-out and foreign anchors say beside each other: the memorisation gap, as data.

Computed by `whygen.anchors.memorising`. A criterion is a column: whatever measures a sample, of any family of models.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from whygen.results.anchors_scores import ShareRecord
from whygen.results.prompt import Record

RoleName: TypeAlias = Literal["training", "held-out", "foreign"]
ROLES: tuple[RoleName, ...] = ("training", "held-out", "foreign")
"""What an anchor is to the model: it was trained on it, has not seen it though it is of that kind, or neither."""


class AreaRecord(Record):
    """An area under the ROC curve with its 95% interval; .5 is chance."""

    area: float
    low: float
    high: float


class GapRecord(Record):
    """Training against held-out samples by one criterion (low: well known).

    Attributes:
        criterion: its name.
        training: mean over the training anchors.
        held_out: mean over the held-out samples.
        gap: held-out less training, with its 95% interval: above 0 where training samples are better known.
        auroc: chance that a training anchor scores lower than a held-out sample.
        p_value: one-sided, of a permutation test of that.
        flagged: training anchors whose lower-tail p-value against the held-out samples is at most ``level``.
        memorised: share of the training anchors that is better known than held-out ones are, at least; its interval.
        recall: share of those that are flagged, as estimated; None where there is no gap, or ``memorised`` may be 0.
        untrained: ``auroc`` by an untrained copy of the model, where there is one.
        foreign: chance that a foreign anchor scores higher than a held-out sample, where there are any.
    """

    criterion: str
    training: float
    held_out: float
    gap: float
    low: float
    high: float
    auroc: AreaRecord
    p_value: float
    flagged: int
    memorised: ShareRecord
    recall: ShareRecord | None = None
    untrained: AreaRecord | None = None
    foreign: AreaRecord | None = None


class MemorisationRecord(Record):
    """Training against held-out samples.

    Attributes:
        held_by: whether the held-out samples are anchors, or the reference.
        n_training: distinct training anchors.
        n_held_out: held-out samples, without copies of training ones.
        overlap: held-out samples that were left out as exact copies of training anchors.
        false_positives: share of held-out samples that may be flagged, by any criterion.
        level: the same by one criterion, as realised: false_positives over the number of criteria, rounded down.
        flagged: training anchors flagged by any criterion.
        by_chance: how many that would be, at most on average, if the model knew none of them.
        criteria: the gap by each.
        size: ``auroc`` by compressed size, which needs no model: training samples that compress better.
        found: whether a gap was found that neither an untrained copy nor the size shows.
    """

    held_by: Literal["anchors", "reference"]
    n_training: int
    n_held_out: int
    overlap: int
    false_positives: float
    level: float
    flagged: int
    by_chance: float
    criteria: tuple[GapRecord, ...]
    size: AreaRecord | None = None
    found: bool = False


class RoleRecord(Record):
    """Distinct anchors of one role, and how many of them each group holds."""

    role: RoleName
    n: int
    groups: dict[str, int] = Field(default_factory=dict[str, int])
