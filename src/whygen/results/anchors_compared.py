"""`AnchorComparison`: two models, or two checkpoints of one, on the same anchors: what was learned, what forgotten.

Computed by `whygen.anchors.comparing`; here are the figures as data, and their pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from whygen._arguments import typed
from whygen.results.prompt import Record, Text
from whygen.results.shown import Paged

SCHEMA = 1
"""Version of the JSON layout of a comparison of anchors."""
DOCUMENT = "comparison.json"


class ChangedAnchor(Record):
    """An anchor whose group changed beyond noise.

    ``change``: "learned" where it is HIHE or BELOW to the second and was not to the first, "forgotten" the other way
    round, "moved" between other groups, each by the thresholds of its own model. ``p_value`` is of its paired test,
    before the correction over anchors; ``first`` and ``second`` are its criteria. ``flip_rates`` are None of texts,
    whose scores do not vary.
    """

    index: int
    name: Text | None
    label: str | int | None
    before: str
    after: str
    change: Literal["learned", "forgotten", "moved"]
    p_value: float
    flip_rates: tuple[float, float] | None
    first: dict[str, float]
    second: dict[str, float]


class GroupDifference(Record):
    """Shares of a group, and the second less the first with its 95% interval: anchors and thresholds are both drawn."""

    group: str
    first: float
    second: float
    difference: float
    low: float
    high: float


class CriterionDifference(Record):
    """Mean of a criterion over the anchors, and the second less the first with its 95% interval (paired)."""

    criterion: str
    first: float
    second: float
    difference: float
    low: float
    high: float


class LabelChanges(Record):
    """Of ``n`` anchors of a label so many were learned, forgotten or moved."""

    label: str | int
    n: int
    learned: int
    forgotten: int
    moved: int


class AnchorComparison(Paged, Record):
    """Two explanations by the same anchors. ``changed`` holds the surest first, at most 10,000 of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    whygen: str
    models: tuple[str, str]
    n_anchors: int
    """Distinct anchors: copies are counted once."""
    learned: int
    forgotten: int
    moved: int
    unsure: int
    """Anchors that differ in group, but not beyond noise."""
    tested: bool
    """Whether the noise is known, so that changes can be told from it."""
    groups: tuple[GroupDifference, ...]
    criteria: tuple[CriterionDifference, ...]
    table: dict[str, dict[str, int]]
    """Anchors by group: of the first (outer) and the second (inner)."""
    labels: tuple[LabelChanges, ...] = ()
    changed: tuple[ChangedAnchor, ...] = ()
    settings: dict[str, tuple[str, str]] = Field(default_factory=dict[str, tuple[str, str]])
    """Settings that differ, each with both values."""
    notes: tuple[Text, ...] = ()
    plain: dict[str, Text] = Field(default_factory=dict[str, Text])
    """A few words for each group; empty where it was saved before."""
    pictures: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None = Field(
        default=None, exclude=True, repr=False
    )
    """Of the first so many ``changed``: the anchor, what the first and what the second model makes of it.

    Each ``(g, height, width, channels)`` between 0 and 1; None where samples are no pictures, or were not kept.
    """

    @property
    def headline(self) -> str:
        """What changed, in a sentence or two."""
        n = f"{self.n_anchors:,} anchors"
        within = f"{self.unsure:,} differ in group, within the noise"
        if not self.tested:
            return f"{self.unsure:,} of {n} differ in group; whether beyond noise cannot be told."
        if not (self.learned or self.forgotten or self.moved):
            return f"Of {n} none changed its group beyond noise; {within}."
        return (
            f"Of {n} {self.learned:,} look like the reference to the second model and did not to the first (learned), "
            f"{self.forgotten:,} the other way round (forgotten); {self.moved:,} moved between other "
            f"groups, and {within}."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return self.model_dump(mode="json", by_alias=True)

    def _summary(self) -> dict[str, Any]:
        from whygen.results.summary.compared import summarise_compared

        return summarise_compared(self)

    @typed()
    def save(self, folder: str | Path) -> Path:
        """Write comparison.json and report.html into a folder, which is made if need be; returns it.

        Raises:
            StoreError: if the folder cannot be written.
        """
        from whygen.results.files import REPORT, document_bytes, write_together

        parts = {REPORT: self.to_html().encode("utf-8", "replace"), DOCUMENT: document_bytes(self.to_dict())}
        write_together(Path(folder), parts, stale=(DOCUMENT, REPORT))
        return Path(folder)

    def __repr__(self) -> str:
        return f"<AnchorComparison of {self.models[0]} and {self.models[1]}: {self.headline}>"

    __str__ = __repr__
