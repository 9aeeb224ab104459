"""What the shares of an anchor explanation are read against: controls, foils, tails, and the likeness of the data."""

from __future__ import annotations

from pydantic import Field

from whygen.results.prompt import Record, Text


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
