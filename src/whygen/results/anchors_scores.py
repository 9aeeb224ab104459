"""`Scores`: everything of an anchor explanation that took the model's time, and all the rest is read from.

Facts are JSON, numbers are arrays by name. A set of samples has a name such as ``anchors``, ``copy/reference`` (of the
untrained copy) or ``foils/noise``, and its arrays begin with it: ``anchors/draws``, ``anchors/stand_ins/mean`` ... What
shares are read against comes first, as records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from whygen.results.prompt import Record, Text, Warned


class ShareRecord(Record):
    """A share with its 95% interval."""

    share: float
    low: float
    high: float


class TailsRecord(Record):
    """Both tails of conformal calibration: the chance that a criterion calls out a sample like the reference.

    ``low``: because it is too high (low affinity); ``high``: because it is lower than nearly all of the
    reference, below ``floors``. At least ``least_alike`` of samples like the reference are HIHE.
    """

    low: float
    high: float
    floors: dict[str, float]
    least_alike: float


class ComesBackRecord(Record):
    """Anchors whose reconstruction is theirs: every extrinsic criterion prefers it to what knows nothing of them.

    That is, as ``than`` says, the mean sample, a flat sample of the anchor's own mean value, the nearest reference
    sample, the mean of the model's reconstructions, and its reconstructions of ``others`` other samples, none of which
    may be nearer: a reconstruction that does not look at its sample passes that in one of ``others`` + 1 cases.

    ``count`` and ``share`` are of anchors that are HIHE as well; ``groups`` counts those that come back in each group.
    """

    count: int
    share: float
    low: float
    high: float
    others: int
    than: str
    groups: dict[str, int]


class ControlRecord(Record):
    """The same procedure, run on something that has learned nothing.

    ``groups`` is empty, and ``missing`` says why, where the control could not be had. ``comes_back`` is None for
    trivial reconstructions, which are what it is measured by. ``own_labels`` and ``other_labels`` are the shares that
    are HIHE among anchors of labels that the reference has, and among the others; None where labels do not tell.
    """

    name: str
    what: str
    n: int = 0
    groups: dict[str, ShareRecord] = Field(default_factory=dict[str, ShareRecord])
    comes_back: ShareRecord | None = None
    own_labels: ShareRecord | None = None
    other_labels: ShareRecord | None = None
    missing: Text = ""


class FoilRecord(Record):
    """Samples that are not what the reference is, made of it or found among the anchors; ``alike``: called HIHE.

    ``reference_labels``: where foils are anchors of other labels, those that the reference has.
    """

    name: str
    what: str
    n: int
    alike: ShareRecord
    reference_labels: tuple[str | int, ...] = ()


class PowerRecord(Record):
    """Whether a criterion tells the reference from a foil: chance that a foil scores higher, ties counting half.

    ``tells``: the interval lies above .5. ``size_auroc`` is the same of the size of the sample compressed by zlib, in
    whichever direction separates: what needs no model.
    """

    criterion: str
    foil: str
    auroc: float
    low: float
    high: float
    size_auroc: float
    tells: bool


class LikenessRecord(Record):
    """Whether anchors can be told from the reference: permutation tests on the samples and on each criterion.

    ``p_value`` is the smallest of the tests times their number (Bonferroni). ``own_neighbour`` is the share of samples
    whose nearest neighbour, among equally many of both, comes from their own set: .5 where both are alike, 1 where they
    do not meet.
    """

    told_apart: bool
    p_value: float
    own_neighbour: float
    n: int


class YardstickRecord(Record):
    """Groups by another calibration, of the anchors and (where there is one) of the reference.

    ``covered``: how much of the reference the model's own samples come near, relative to samples of its own kind.
    """

    kind: str
    provenance: str
    thresholds: dict[str, float]
    groups: dict[str, float]
    reference: dict[str, float] | None
    covered: float | None = None
    missing: Text = ""


class GeneratedRecord(Record):
    """The generated samples that anchors were compared with, beside the reference (or the anchors, without one).

    ``spread`` is the root of the mean variance of a value over samples, ``nearest`` the median distance of a sample to
    its nearest other one; both of ``compared`` samples of each side.
    """

    n: int
    compared: int
    spread: float
    reference_spread: float
    nearest: float
    reference_nearest: float
    anew: int = 0
    """Samples that were drawn anew, as those in their place held NaN or an infinite value."""


class MetricRecord(Record):
    """A metric between generated and real samples, and its floor: the same between two halves of the real ones.

    ``low`` and ``high`` hold the value at this size of the sets with 95%; ``floor_low`` and ``floor_high`` hold 95% of
    the halves.
    """

    name: str
    value: float
    low: float
    high: float
    floor: float
    floor_low: float
    floor_high: float
    better: Literal["low", "high"]


class MetricsRecord(Record):
    """Metrics of sets of ``size`` samples each, out of so many real and generated ones, in a space of features."""

    space: str
    real: int
    generated: int
    size: int
    rows: tuple[MetricRecord, ...]


class ModeRecord(Record):
    """How many of a label there are among generated and among real samples, by their nearest labelled sample.

    ``generated`` and ``real`` are so many that are read as one; real samples that are labelled themselves are not read.
    ``astray``: the share of labelled samples of other labels that is read as one. ``most``: the upper end of how many
    times as many of it there are among generated ones, with errors of reading taken off, at 95% for all labels at
    once; at least 1 where real samples are read too, and may have none of it. ``is_read``: of labelled samples of it
    more than half are read as one, by Wilson's interval.
    """

    label: str | int
    generated: int
    real: int
    astray: float
    most: float
    is_read: bool

    @property
    def is_dropped(self) -> bool:
        """Whether the model makes less than a fifth as many of it as there are among real samples, or none."""
        return self.is_read and self.most < DROPPED


DROPPED = 0.2
MOST_NAMED = 5
"""Dropped labels that a sentence names."""


class ModesRecord(Record):
    """Labels of so many generated and real samples, each by its nearest among ``labelled`` ones."""

    space: str
    labelled_by: Literal["reference", "anchors"]
    labelled: int
    generated: int
    real: int
    rows: tuple[ModeRecord, ...]

    @property
    def dropped(self) -> tuple[ModeRecord, ...]:
        """Labels that the model does not make, or hardly ever."""
        return tuple(each for each in self.rows if each.is_dropped)


MAX_KEPT = 64 * 2**20
"""Bytes of samples, or of pictures of reconstructions, above which a saved explanation does not keep them."""


class CriterionRecord(Record):
    """One number an anchor, low = high affinity."""

    name: str
    kind: Literal["intrinsic", "extrinsic"]
    unit: str


class SkippedRecord(Record):
    """A file or row that could not be read, and why."""

    name: Text
    reason: Text


class SamplesRecord(Record):
    """Samples as the model takes them: how `raw` of the arrays becomes that, and its digest."""

    n: int
    digest: str
    order: tuple[int, ...]
    scale: float
    offset: float
    source: str


class BaseRecord(Record):
    """What trivial reconstructions were made of: samples looked through, and reconstructions of others."""

    known: int
    others: int
    is_reference: bool


class ScoresRecord(Record):
    """What was scored and how. Everything that the numbers depend on is named here."""

    model: str
    identity: dict[str, Any] | None = None
    """What makes the model answer as it does; None where nobody can know."""
    versions: dict[str, str]
    seed: int
    role: str
    preset: str | None = None
    plan: dict[str, Any]
    """The options of the explanation that was asked for; those that `read` can change are its defaults."""
    criteria: tuple[CriterionRecord, ...]
    reason: str
    warned: dict[Literal["subject", "criteria", "features"], tuple[Warned, ...]]
    anchors: SamplesRecord
    reference: SamplesRecord | None
    shape: tuple[int, ...]
    layout: str | None
    image: tuple[int, int, int] | None
    value_range: tuple[float, float] | None
    """None: no bounds."""
    labels: tuple[str | int, ...] | None = None
    roles: tuple[str, ...] | None = None
    """What each anchor is to the model; see `whygen.results.anchors_memorised`."""
    names: tuple[str, ...] = ()
    reference_labels: tuple[str | int, ...] | None = None
    trained: tuple[str | int, ...] | None = None
    trained_on: Text = ""
    """What the model was trained on, in words, where it says so."""
    readings: tuple[str | int, ...] | None = None
    """What a classifier read in the reconstruction of each anchor."""
    skipped: tuple[SkippedRecord, ...] = ()
    per_round: int = 0
    """Generated samples of each round."""
    covered: float | None = None
    """Coverage of the reference by the model's own samples."""
    bases: dict[str, BaseRecord] = Field(default_factory=dict[str, BaseRecord])
    """By ``own`` and ``copy``."""
    missing: dict[str, str] = Field(default_factory=dict[str, str])
    """Controls that could not be had, and why."""
    ended: Literal["interrupt", "deadline"] | None = None
    """Why fewer was scored than asked for, if so."""
    ended_text: str = ""
    given_back: str = "reconstruction"
    """What stands beside an anchor: a reconstruction, the nearest generated sample ... Empty: nothing does."""
    metrics: MetricsRecord | None = None
    """Generated against reference samples as sets."""
    modes: ModesRecord | None = None
    """Labels of generated samples; None where neither reference nor anchors have two, or nothing is generated."""
    generated: GeneratedRecord | None = None
    """The generated samples that anchors were compared with; None where no criterion compares with any."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What the criteria say of one set of samples; n samples, c criteria, S posterior draws."""

    draws: NDArray[np.float64]
    """Of each posterior draw, shape ``(S, n, c)``."""
    means: NDArray[np.float32]
    """Posterior means, shape ``(n, d)``."""
    stand_ins: Mapping[str, NDArray[np.float64]] = field(default_factory=dict[str, "NDArray[np.float64]"])
    """What the criteria say where something stands in for the reconstructions, ``(n, c)`` each."""

    @property
    def values(self) -> NDArray[np.float64]:
        """Averaged over the draws, shape ``(n, c)``."""
        return self.draws.mean(axis=0)


@dataclass(frozen=True, slots=True)
class Scores:
    """The criteria of every sample. ``arrays`` by name; see the head of this file."""

    facts: ScoresRecord
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)

    def scored(self, which: str) -> Scored | None:
        """A set of samples by its name; None where it was not scored."""
        if f"{which}/draws" not in self.arrays:
            return None
        prefix = f"{which}/stand_ins/"
        stand_ins = {name.removeprefix(prefix): each for name, each in self.arrays.items() if name.startswith(prefix)}
        return Scored(self.arrays[f"{which}/draws"], self.arrays[f"{which}/means"], stand_ins)

    @property
    def anchors(self) -> Scored:
        """The anchors by the model itself."""
        found = self.scored("anchors")
        assert found is not None  # noqa: S101 - there are no scores without
        return found

    def rounds(self, which: str = "rounds") -> list[NDArray[np.float64]]:
        """For each round of generated samples their criteria ``(m, c)``; of all but the first the maxima alone."""
        found: list[NDArray[np.float64]] = []
        while (name := f"{which}/{len(found)}") in self.arrays:
            found.append(self.arrays[name])
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Of the criteria."""
        return tuple(each.name for each in self.facts.criteria)

    def of(self, criteria: Sequence[str]) -> Scores:
        """The same by some of the criteria, in the order given."""
        if tuple(criteria) == self.names:
            return self
        columns = [self.names.index(name) for name in criteria]
        arrays = {
            name: np.ascontiguousarray(each[..., columns]) if _has_columns(name) else each
            for name, each in self.arrays.items()
        }
        kept = tuple(self.facts.criteria[place] for place in columns)
        return replace(
            self, facts=self.facts.model_copy(update={"criteria": kept, "reason": "as asked for"}), arrays=arrays
        )

    def kept(self) -> dict[str, NDArray[Any]]:
        """The arrays that a saved explanation keeps: samples and pictures only where they are not too large."""
        bulky = ("raw", "made")
        return {
            name: np.ascontiguousarray(each)
            for name, each in self.arrays.items()
            if name.rpartition("/")[2] not in bulky or each.nbytes <= MAX_KEPT
        }


def _has_columns(name: str) -> bool:
    """Whether the last axis of an array is that of the criteria."""
    return name.endswith("/draws") or "/stand_ins/" in name or name.rpartition("/")[0].endswith(("rounds", "yardstick"))
