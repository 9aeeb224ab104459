"""`AnchorExplanation`: which anchors a generative model knows, how sure each verdict is, and which few to look at.

The JSON (`AnchorExplanation.to_dict`) is a contract and holds what a program needs. What a person wants besides
(provenance, bounds, label table, coverage ...) is in `Details`, and the arrays are in `AnchorEvidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from whygen._arguments import typed
from whygen.errors import MissingError, UnknownNameError
from whygen.plugins import imported
from whygen.results.anchors_memorised import MemorisationRecord, RoleRecord
from whygen.results.anchors_scores import (
    ComesBackRecord,
    ControlRecord,
    CriterionRecord,
    FoilRecord,
    GeneratedRecord,
    LikenessRecord,
    MetricsRecord,
    ModesRecord,
    PowerRecord,
    Scores,
    SkippedRecord,
    TailsRecord,
    YardstickRecord,
)
from whygen.results.prompt import Record, Warned
from whygen.results.recipe import AskedRecord
from whygen.results.records import Lists
from whygen.results.shown import Showable
from whygen.texts import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA = 5
"""Version of the JSON layout. Raise it when a field changes meaning, keep the old reader and an old golden file.

2: ``low`` and ``high`` of a group hold both errors (anchors and reference), the group BELOW, and what shares are read
against: ``tails``, ``comes_back``, ``controls``, ``foils``, ``power``, ``likeness``, ``yardsticks``.
3: the table of the anchors is JSON Lines, which need no further package; it was parquet.
4: the folder holds the scores too (scores.json, scores.safetensors), which `AnchorExplanation.read` reads.
5: new fields ``metrics``, ``memorisation`` and ``roles``, and columns ``role``, ``memorised``, ``p_memorised_...`` and
``nearest_training`` of the table, where anchors have roles. Nothing else changed.
"""

GROUPS = ("HIHE", "HILE", "LIHE", "LILE", "BELOW")
"""High or low intrinsic and extrinsic affinity; BELOW: lower than nearly all of the reference by some criterion.

A group's code in `AnchorEvidence.codes` is its place here. Explanations of schema 1 have no BELOW.
"""


def group_names(kinds: Iterable[str]) -> dict[int, str]:
    """Names of groups by their codes: the five of `GROUPS`, or HIGH and LOW (and BELOW) by criteria of one kind."""
    if len(set(kinds)) == 1:
        return {0: "HIGH", 3: "LOW", 4: "BELOW"}
    return dict(enumerate(GROUPS))


class CalibrationRecord(Record):
    """Where "high" begins: the kind, the number of samples it rests on, and what these are.

    ``alpha`` is per criterion, after the division that the level ``joint`` asks for; None where no level exists.
    """

    kind: str
    n: int
    role: str
    alpha: float | None
    level: str


class GroupRecord(Record):
    """How many anchors a group holds; ``low`` and ``high`` bound the share of the population they come from.

    Anchors and reference are both samples, and the interval has the error of both. In schema 1 it was Wilson's, with
    the thresholds held.
    """

    count: int
    share: float
    low: float
    high: float


class ThresholdRecord(Record):
    """An anchor has high affinity where the criterion ``comparison`` ``value``; ``spread`` is relative to it."""

    criterion: str
    value: float
    comparison: Literal["<", "<="]
    spread: float | None


class SelectionRecord(Record):
    """How the representatives of a group were picked, what the objective came to, and what it could be at best."""

    name: str
    means: str
    sense: Literal["max", "min"]
    objective: float | None
    bound: float | None
    gap: float | None
    exact: bool
    metric: str
    first: str
    diversity: float | None
    covering_radius: float | None
    dropped: tuple[int, ...] = ()
    unsure: tuple[int, ...] = ()
    """Representatives that redraws often put in another group: they fill up where sure ones are few."""


class CoverageRecord(Record):
    """Share of reference samples that anchors cover, the share expected of equal distributions, and their ratio."""

    share: float
    expected: float
    normalised: float


class CurveRecord(Lists):
    """Covering radius by number of anchors; ``enough`` is None where the curve never flattens."""

    columns = ("counts", "radii")
    counts: tuple[int, ...]
    radii: tuple[float, ...]
    enough: int | None


class LabelTableRecord(Lists):
    """Anchors by label (rows) and group (columns in the order of `GROUPS`)."""

    columns = ("labels", "counts")
    rows = (("counts",), None)
    labels: tuple[str | int, ...]
    counts: tuple[tuple[int, ...], ...]


class ReadingRecord(Record):
    """Of ``count`` anchors of a label (None: all) in a group, a classifier read ``read`` as the trained class."""

    label: str | int | None
    group: str
    count: int
    read: int
    share: float
    low: float
    high: float


class BelowRecord(Record):
    """Of ``count`` anchors BELOW the reference, so many are ``simple``: they compress better than 97.5% of it."""

    count: int
    simple: int


class Details(Record):
    """How it was made, and what a person wants to know besides the contract's JSON."""

    criteria_reason: str
    provenance: str
    thresholds: tuple[ThresholdRecord, ...]
    realised_level: float | None
    realised_low: float | None
    realised_high: float | None
    multiplicity: str
    rounds: int | None
    per_round: int | None
    implied_quantile: float | None
    draws: int
    noise: str
    distinct: int | None = None
    """Anchors that shares, counts and the label table count: all but copies of earlier ones. None: saved before."""
    n_reference: int | None
    """Reference samples that thresholds rest on, without copies."""
    reference_role: str | None
    sources: dict[str, str]
    bootstrap: dict[str, tuple[float, float]]
    """For each group: the interval of its share over other calibrations, anchors held."""
    wilson: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """For each group: the interval of its share over other anchors, thresholds held."""
    below: BelowRecord | None = None
    label_table: LabelTableRecord | None = None
    delusion: tuple[ReadingRecord, ...] = ()
    of_hile: ReadingRecord | None = None
    select: str
    space: str
    selections: dict[str, SelectionRecord]
    coverage: CoverageRecord | None = None
    curve: CurveRecord | None = None
    missable_mode: float
    """The share of samples that a mode may have and still be missed by all anchors with probability .05."""
    skipped: tuple[SkippedRecord, ...] = ()
    seconds: dict[str, float] = Field(default_factory=dict)
    """Time of each phase. The only part of an explanation that differs between two runs with one seed."""
    ended: Literal["interrupt", "deadline"] | None = None
    """Why fewer was scored than asked for, if so."""
    asked: AskedRecord | None = None
    """What it was asked with. None: saved before, or made from scores alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorEvidence:
    """The arrays behind an explanation; n anchors, c criteria, S posterior draws, g representatives."""

    draws: NDArray[np.float64] = field(repr=False)
    """Criteria of the anchors under each posterior draw, ``(S, n, c)``."""
    codes: NDArray[np.int8] = field(repr=False)
    """Group of each anchor, ``(n,)``: a place in `GROUPS`."""
    flip_rate: NDArray[np.float64] = field(repr=False)
    """Shape ``(n,)``."""
    p_values: NDArray[np.float64] | None = field(default=None, repr=False)
    """Shape ``(n, c)``, small where a criterion is too high."""
    p_high: NDArray[np.float64] | None = field(default=None, repr=False)
    """Shape ``(n, c)``, small where a criterion is lower than the reference's."""
    gain: NDArray[np.float64] | None = field(default=None, repr=False)
    """Part of the best trivial reconstruction's error that the model saves, by each criterion, ``(n, c)``.

    NaN for intrinsic criteria.
    """
    comes_back: NDArray[np.bool_] | None = field(default=None, repr=False)
    """Which anchors come back better than the best trivial reconstruction by more than the margin, ``(n,)``."""
    basis: NDArray[np.float64] | None = field(default=None, repr=False)
    """What the thresholds rest on: criteria of the reference ``(S, m, c)``, or maxima of rounds ``(1, R, c)``."""
    labels: tuple[str | int, ...] | None = None
    names: tuple[str, ...] = ()
    """Files or rows that the anchors come from; empty for arrays."""
    neighbour: NDArray[np.int64] | None = field(default=None, repr=False)
    """For anchors to look at the nearest reference sample (without reference: other anchor), ``(n,)``; else -1."""
    neighbour_distance: NDArray[np.float64] | None = field(default=None, repr=False)
    """Shape ``(n,)``, in the space of the selection; NaN where nobody looked."""
    shown: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    """Which anchors the pictures show, ``(g,)``: the representatives of all groups."""
    originals: NDArray[np.float32] | None = field(default=None, repr=False)
    """Shape ``(g, height, width, channels)``, values 0 to 1; None where samples are no images."""
    reconstructions: NDArray[np.float32] | None = field(default=None, repr=False)
    """What the model gave back without noise (`AnchorExplanation.given_back`); as `originals`. None: nothing."""
    roles: tuple[str, ...] | None = None
    """What each anchor is to the model, where that is known."""
    p_memorised: NDArray[np.float64] | None = field(default=None, repr=False)
    """Shape ``(n, c)``, small where a criterion is lower (better known) than held-out samples'."""
    memorised: NDArray[np.bool_] | None = field(default=None, repr=False)
    """Which anchors are called memorised at the stated rate of false positives, ``(n,)``."""
    nearest_training: NDArray[np.int64] | None = field(default=None, repr=False)
    """For representatives and traced anchors the nearest other training anchor, ``(n,)``; else -1."""
    nearest_training_distance: NDArray[np.float64] | None = field(default=None, repr=False)
    """Shape ``(n,)``, in the space of the selection; NaN where nobody looked."""
    traced: NDArray[np.int64] | None = field(default=None, repr=False)
    """Training anchors called memorised, the surest first, as far as shown, ``(k,)``."""
    traced_pictures: NDArray[np.float32] | None = field(default=None, repr=False)
    """Of these anchor, what the model gave back, nearest other training anchor: ``(k, 3, height, width, channels)``."""

    @property
    def values(self) -> NDArray[np.float64]:
        """Criteria averaged over the draws, ``(n, c)``."""
        return self.draws.mean(axis=0)


class AnchorExplanation(Showable, Record):
    """What a generative model has learned, told by anchors. Frozen; everything here can be saved and loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    whygen: str
    preset: str | None = None
    model: str
    n_anchors: int
    criteria: tuple[CriterionRecord, ...]
    calibration: CalibrationRecord
    thresholds: dict[str, float]
    groups: dict[str, GroupRecord]
    mean_flip_rate: float
    selected: dict[str, tuple[int, ...]]
    seed: int
    versions: dict[str, str]
    warnings: tuple[Warned, ...] = ()
    tails: TailsRecord | None = None
    comes_back: ComesBackRecord | None = None
    controls: tuple[ControlRecord, ...] = ()
    foils: tuple[FoilRecord, ...] = ()
    power: tuple[PowerRecord, ...] = ()
    likeness: LikenessRecord | None = None
    yardsticks: tuple[YardstickRecord, ...] = ()
    given_back: str = "reconstruction"
    """What the model gave back for an anchor, in words: a reconstruction, the nearest generated sample ...; empty where
    no criterion looks at anything."""
    generated: GeneratedRecord | None = None
    """The generated samples that anchors were compared with, and how they vary."""
    metrics: MetricsRecord | None = None
    """Generated against reference samples as sets: FID, KID, precision ..."""
    modes: ModesRecord | None = None
    """Which labels generated samples have, beside the reference's, by their nearest labelled sample."""
    memorisation: MemorisationRecord | None = None
    """Training against held-out samples, where anchors have roles."""
    roles: tuple[RoleRecord, ...] = ()
    ended: Literal["interrupt", "deadline"] | None = Field(default=None, exclude=True)
    """Why fewer was scored than asked for, if so; kept in ``details.json``."""
    details: Details | None = Field(default=None, exclude=True, repr=False)
    """None when only the JSON was loaded."""
    evidence: AnchorEvidence | None = Field(default=None, exclude=True, repr=False)
    """None when only the JSON was loaded."""
    scores: Scores | None = Field(default=None, exclude=True, repr=False)
    """All that was scored, which `read` reads again. None when only the JSON was loaded, or it was saved before."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the contract: plain values only."""
        return self.model_dump(mode="json", by_alias=True)

    @typed()
    def save(self, folder: str | Path) -> Path:
        """Write explanation.json, details.json, anchors.jsonl, the arrays, the scores and look_at.csv into a folder."""
        from whygen.results.anchors_files import save

        return save(self, Path(folder))

    @classmethod
    @typed()
    def load(cls, path: str | Path) -> AnchorExplanation:
        """Read what `save` wrote; from the JSON file alone come the contract's fields, without evidence.

        Raises:
            MissingError: if there is nothing at the path.
            FormatError: if it is damaged, or newer than this version.
        """
        from whygen.results.anchors_files import load

        return load(Path(path))

    @typed()
    def read(
        self,
        *,
        criteria: str | Sequence[str] | None = None,
        calibration: str | None = None,
        alpha: float | None = None,
        level: Literal["per-criterion", "joint"] | None = None,
        multiplicity: Literal["none", "benjamini-hochberg"] | None = None,
        rounds: int | None = None,
        per_round: int | None = None,
        select: str | None = None,
        space: str | None = None,
        false_positives: float | None = None,
        controls: str | None = None,
        trained: Sequence[str | int] | None = None,
    ) -> AnchorExplanation:
        """What the same scores say by other thresholds, groups or selections. No model is asked.

        Each argument is as `whygen.explain_anchors` has it; those that are None stay as they were.

        Args:
            criteria: some of those that were scored.
            calibration: a kind that what was scored is enough for.
            alpha: chance that a sample like the reference is called low.
            level: whether alpha is for each criterion or for all together.
            multiplicity: "benjamini-hochberg" bounds the share of false ones among the low instead.
            rounds: R of mean-max, at most as many as were scored.
            per_round: N of mean-max, as it was scored.
            select: how representatives are picked.
            space: where distances are measured, among what was kept.
            false_positives: share of held-out samples that may be called memorised.
            controls: some of those that were scored.
            trained: labels that the model was trained on, where a classifier read the reconstructions.

        Raises:
            MissingError: if the explanation holds no scores.
            UsageError: if what it takes was not scored.
        """
        if self.scores is None:
            raise MissingError(
                "This explanation holds no scores: it was loaded from its JSON alone, or saved by an earlier version. "
                "Load its folder, or explain the anchors again with this version."
            )
        given = {
            "criteria": criteria, "calibration": calibration, "alpha": alpha, "level": level,
            "multiplicity": multiplicity, "rounds": rounds, "per_round": per_round, "select": select, "space": space,
            "false_positives": false_positives, "controls": controls,
        }  # fmt: skip
        return _reader()(self, {name: each for name, each in given.items() if each is not None}, trained)

    @typed()
    def shares_at(self, thresholds: Mapping[str, float]) -> dict[str, GroupRecord]:
        """The groups by thresholds that you put somewhere else; those not named stay. No model is asked.

        A threshold that is a quantile of the reference goes to the nearest reference value below the one given, so that
        its level is known, and the interval of a share has the errors of both samples. Other thresholds are held, and
        the interval has the error of the anchors alone.

        Raises:
            MissingError: if the explanation holds no scores.
            UnknownNameError: if there is no such criterion.
            UsageError: if a threshold is no finite number.
        """
        move = cast("Callable[..., dict[str, GroupRecord]]", imported("whygen.anchors.moving:shares_at"))
        return move(self, thresholds)

    def table(self) -> dict[str, list[Any]]:
        """One row an anchor as columns: name, label, group, criteria, p-values, flip rate, neighbour, reason."""
        from whygen.results.anchors_rows import columns

        return columns(self)

    @typed()
    def to_fiftyone(self, folder: str | Path) -> Path:
        """Write the anchors as pictures with a table, as FiftyOne's ``CSVDataset`` and Spotlight read them.

        The folder gets ``labels.csv`` (a row an anchor: ``filepath`` within ``data/``, and all columns of `table`, with
        ``_`` for ``-``), ``data/`` with the pictures, ``reconstructions/`` where they were kept, and ``fields.json``
        with the type of each column.

        Raises:
            MissingError: if the samples were not kept.
            UsageError: if they are no pictures, or the folder holds something else.
            StoreError: if it cannot be written.
        """
        write = cast("Callable[..., Path]", imported("whygen.anchors.exporting:export"))
        return write(self, Path(folder))

    def look_at(self) -> list[dict[str, Any]]:
        """The anchors to look at, most telling first, each with the reason (METHODS B6)."""
        from whygen.results.anchors_rows import look_at

        return look_at(self)

    @typed()
    def plot_criteria(self, *, ax: Axes | None = None) -> Axes:
        """The anchors by their first intrinsic and extrinsic criterion, drawn by matplotlib (extra ``plots``)."""
        from whygen.results.plots import plot_criteria

        return plot_criteria(self, ax=ax)

    @typed()
    def plot_representatives(self, group: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Originals, what came back and differences of a group's representatives (HIHE or HIGH unless given)."""
        from whygen.results.plots import plot_representatives

        return plot_representatives(self, group, ax=ax)

    def __len__(self) -> int:
        """How many anchors there are."""
        return self.n_anchors

    def __bool__(self) -> bool:
        return True

    @typed()
    def members(self, group: str) -> NDArray[np.int64]:
        """Ascending indices of the anchors in a group; needs the evidence.

        Raises:
            UnknownNameError: if there is no such group.
        """
        codes = {name: code for code, name in self.group_names.items()}
        if group not in codes:
            raise UnknownNameError("group", group, tuple(codes))
        if self.evidence is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.evidence.codes == codes[group]).astype(np.int64)

    @property
    def group_names(self) -> dict[int, str]:
        """Names of the groups by their codes in the evidence: see `group_names`."""
        return group_names(each.kind for each in self.criteria)

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {record.share:.1%}" for name, record in self.groups.items())
        return f"<AnchorExplanation of {self.model}: {counted(self.n_anchors, 'anchor')}, {shares}>"

    __str__ = __repr__


def _reader() -> Callable[..., AnchorExplanation]:
    """The wing that reads scores. It stands above results, which know it by name alone."""
    return cast("Callable[..., AnchorExplanation]", imported("whygen.anchors.reading:read"))
