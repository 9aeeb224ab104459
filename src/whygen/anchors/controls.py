"""What shares are read against: the same procedure, run on what has learned nothing (METHODS, corrections to B2, B3).

With a reference that anchors are exchangeable with, the thresholds alone decide the shares, and any model at all has
them. So the same steps are run on a copy of the model with new random weights, on trivial reconstructions, on foils
and by another calibration; what stands there as well says nothing of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria
from whygen.anchors.calibrating import calibrate
from whygen.anchors.calibration import Calibration
from whygen.anchors.foils import (
    CONSTANT,
    FEWEST_LABELLED,
    MEAN,
    MOST_COMPARED,
    NEAREST,
    WHAT,
    coming_back,
    gains,
    power,
)
from whygen.anchors.groups import BELOW, Codes, Grouping, Kind, assign, group, share_of
from whygen.anchors.likeness import likeness
from whygen.anchors.options import AnchorOptions
from whygen.anchors.work import YARDSTICK_ROUNDS
from whygen.errors import UsageError
from whygen.results.anchors import BelowRecord
from whygen.results.anchors_scores import (
    BaseRecord,
    ComesBackRecord,
    ControlRecord,
    FoilRecord,
    LikenessRecord,
    PowerRecord,
    Scored,
    Scores,
    ShareRecord,
    YardstickRecord,
)
from whygen.stats.conformal import smallest_reference
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson

TRIVIAL: Mapping[str, str] = {
    MEAN: "the mean sample of the reference in the place of every {it}",
    CONSTANT: "a flat sample of its own mean value in the place of each {it}",
    NEAREST: "the nearest reference sample in the place of each {it}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What shares are read against, and what each anchor saves over the best trivial reconstruction."""

    controls: tuple[ControlRecord, ...] = ()
    foils: tuple[FoilRecord, ...] = ()
    power: tuple[PowerRecord, ...] = ()
    likeness: LikenessRecord | None = None
    yardsticks: tuple[YardstickRecord, ...] = ()
    below: BelowRecord | None = None
    comes_back: ComesBackRecord | None = None
    gain: NDArray[np.float64] | None = None
    """Shape ``(n, c)``."""
    back: NDArray[np.bool_] | None = None
    """Shape ``(n,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What was read of the scores so far: what controls are held against."""

    scores: Scores
    plan: AnchorOptions
    kind: str
    calibration: Calibration
    grouping: Grouping

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(each.kind for each in self.scores.facts.criteria)

    @property
    def reference(self) -> Scored | None:
        return self.scores.scored("reference")

    @property
    def counted(self) -> NDArray[np.int64]:
        return self.grouping.distinct

    def rng(self, *path: str) -> np.random.Generator:
        return generator(self.scores.facts.seed, *path)

    def other_labels(self) -> NDArray[np.int64]:
        """Anchors of labels that the reference does not have."""
        labels, known = self.scores.facts.labels, self.scores.facts.reference_labels
        if labels is None or not known:
            return np.zeros(0, np.int64)
        return np.array([row for row in self.counted if labels[row] not in known], dtype=np.int64)


def read_against(verdicts: Verdicts) -> Against:
    """Verdicts every control that is wanted and was scored."""
    wanted = verdicts.plan.wanted_controls
    if not wanted:
        return Against()
    arrays = verdicts.scores.arrays
    found = Against()
    if "trivial" in wanted and "own" in verdicts.scores.facts.bases:
        found = _coming_back(verdicts, verdicts.scores.anchors, verdicts.scores.facts.bases["own"])
    foils, powers = _foils(verdicts) if "foils" in wanted else ((), ())
    copy = _untrained(verdicts) if "untrained" in wanted else []
    trivial = _trivial(verdicts) if "trivial" in wanted else []
    return replace(
        found,
        controls=(*copy, *trivial),
        foils=foils,
        power=powers,
        likeness=_likeness(verdicts) if "nearest" in arrays else None,
        yardsticks=tuple(_yardstick(verdicts) if "generated" in wanted else ()),
        below=_below(verdicts),
    )


def _coming_back(verdicts: Verdicts, scored: Scored, base: BaseRecord) -> Against:
    gain = gains(scored, verdicts.scores.facts.criteria)
    back = coming_back(scored, gain)
    codes, marked = verdicts.grouping.codes[verdicts.counted], back[verdicts.counted]
    values = scored.values[verdicts.counted]
    share, low, high = share_of(values, marked, verdicts.calibration, verdicts.kinds, verdicts.rng("comes back"))
    record = ComesBackRecord(
        count=int((marked & (codes == 0)).sum()), share=share, low=low, high=high, others=base.others,
        than=_than(base, verdicts.scores.facts.given_back),
        groups={name: int((marked & (codes == code)).sum()) for code, name in verdicts.grouping.names.items()},
    )  # fmt: skip
    return Against(comes_back=record, gain=gain, back=back)


def _than(base: BaseRecord, given_back: str) -> str:
    """What the model gives back must be nearer than, in words."""
    nearest = f"the nearest of {base.known:,} {'reference samples' if base.is_reference else 'other anchors'}"
    others = (
        f"{base.others} reconstructions of others"
        if given_back == "reconstruction"
        else (f"the {given_back} of {base.others} others")
    )
    return f"{nearest}, the mean sample, a flat one, and {others}"


def _untrained(verdicts: Verdicts) -> list[ControlRecord]:
    """The whole procedure on a copy of the model with new random weights."""
    name, what = "untrained", "the same architecture with new random weights"
    anchors, missing = verdicts.scores.scored("copy/anchors"), verdicts.scores.facts.missing.get(name)
    if anchors is None:
        return [ControlRecord(name=name, what=what, missing=missing)] if missing else []
    try:
        calibration = calibrate(
            verdicts.kind, replace(verdicts.plan, rounds=1), verdicts.scores, verdicts.scores.scored("copy/reference"),
            rounds="copy/rounds",
        )  # fmt: skip
    except UsageError as error:  # a calibration that nothing of the copy was scored for
        return [ControlRecord(name=name, what=what, missing=str(error))]
    every = np.arange(anchors.draws.shape[1], dtype=np.int64)
    grouping = _grouped(verdicts, anchors.draws, calibration, name, distinct=every)
    base = verdicts.scores.facts.bases.get("copy")
    of_copy = replace(verdicts, calibration=calibration, grouping=grouping)
    back = None if base is None else _coming_back(of_copy, anchors, base).comes_back
    inside, outside = _by_labels(verdicts, grouping.codes)
    return [_record(name, what, grouping, back).model_copy(update={"own_labels": inside, "other_labels": outside})]


def _grouped(
    verdicts: Verdicts, draws: Criteria, calibration: Calibration, name: str, *, distinct: NDArray[np.int64]
) -> Grouping:
    rng = verdicts.rng("control", name)
    return group(draws, kinds=verdicts.kinds, calibration=calibration, rng=rng, replicates=1, distinct=distinct)


def _record(name: str, what: str, grouping: Grouping, back: ComesBackRecord | None = None) -> ControlRecord:
    return ControlRecord(
        name=name,
        what=what,
        n=len(grouping.distinct),
        groups={each.group: ShareRecord(share=each.share, low=each.low, high=each.high) for each in grouping.shares},
        comes_back=None if back is None else ShareRecord(share=back.share, low=back.low, high=back.high),
    )


def _trivial(verdicts: Verdicts) -> list[ControlRecord]:
    """The model's own intrinsic criteria, with something trivial in the place of what it reconstructs."""
    own, reference = verdicts.scores.anchors, verdicts.reference
    if reference is None or verdicts.kind == "mean-max" or not own.stand_ins:
        return []
    records: list[ControlRecord] = []
    for name, what in TRIVIAL.items():
        held = Scored(reference.stand_ins[name][None], reference.means)
        calibration = calibrate(verdicts.kind, verdicts.plan, verdicts.scores, held)
        grouping = _grouped(verdicts, own.stand_ins[name][None], calibration, name, distinct=verdicts.counted)
        records.append(_record(name, what.format(it=verdicts.scores.facts.given_back), grouping))
    return records


def _foils(verdicts: Verdicts) -> tuple[tuple[FoilRecord, ...], tuple[PowerRecord, ...]]:
    """How many foils are called HIHE, and which criteria tell them from the base."""
    scores = verdicts.scores
    base = "anchors" if verdicts.reference is None else "reference"
    held = (verdicts.reference or scores.anchors).values, scores.arrays[f"{base}/sizes"][:MOST_COMPARED]
    foils: list[FoilRecord] = []
    powers: list[PowerRecord] = []
    for name in WHAT:
        scored = scores.scored(f"foils/{name}")
        if scored is not None:
            high, below = verdicts.calibration.high(scored.draws), verdicts.calibration.below(scored.draws)
            codes = assign(high, kinds=verdicts.kinds, below=below)
            foils.append(_foil(name, codes))
            powers += power(scores.names, name, held, (scored.values, scores.arrays[f"foils/{name}/sizes"]))
    rows = verdicts.other_labels()
    if rows.size >= FEWEST_LABELLED:
        known = tuple(sorted(scores.facts.reference_labels or (), key=str))
        found = _foil("other labels", verdicts.grouping.codes[rows])
        foils.append(found.model_copy(update={"reference_labels": known}))
        packed = scores.arrays["anchors/sizes"][rows[:MOST_COMPARED]]
        powers += power(scores.names, "other labels", held, (scores.anchors.values[rows], packed))
    return tuple(foils), tuple(powers)


def _foil(name: str, codes: Codes) -> FoilRecord:
    return FoilRecord(name=name, what=WHAT[name], n=len(codes), alike=_alike(codes))


def _alike(codes: Codes) -> ShareRecord:
    alike = int((codes == 0).sum())
    low, high = wilson(alike, len(codes))
    return ShareRecord(share=alike / len(codes), low=low, high=high)


def _by_labels(verdicts: Verdicts, codes: Codes) -> tuple[ShareRecord, ShareRecord] | tuple[None, None]:
    """How many look like the reference among anchors of its labels, and among the others; None where too few are.

    ``codes`` are those that the untrained copy has.
    """
    others = np.isin(verdicts.scores.arrays["copy/rows"], verdicts.other_labels())
    if min(others.sum(), (~others).sum()) < FEWEST_LABELLED:
        return None, None
    return _alike(codes[~others]), _alike(codes[others])


def _likeness(verdicts: Verdicts) -> LikenessRecord | None:
    if verdicts.reference is None:
        return None
    values = verdicts.scores.anchors.values[verdicts.counted], verdicts.reference.values
    return likeness(verdicts.scores.arrays["nearest"], values, verdicts.rng("likeness"))


def _yardstick(verdicts: Verdicts) -> Iterator[YardstickRecord]:
    """The other calibration: by what the model generates beside a reference, by the reference beside mean-max."""
    facts, reference = verdicts.scores.facts, verdicts.reference
    if verdicts.kind != "mean-max":
        if not verdicts.scores.rounds("yardstick") and "generated" not in facts.missing:
            return
        kind, plan = "mean-max", replace(verdicts.plan, rounds=YARDSTICK_ROUNDS, per_round=facts.per_round)
    elif reference is not None and reference.draws.shape[1] >= smallest_reference(verdicts.plan.alpha):
        kind, plan = "conformal", replace(verdicts.plan, level="per-criterion")
    else:
        return
    if kind == "mean-max" and (missing := facts.missing.get("generated")):
        yield YardstickRecord(kind=kind, provenance="", thresholds={}, groups={}, reference=None, missing=missing)
        return
    other = calibrate(kind, plan, verdicts.scores, reference, rounds="yardstick")

    def parts(scored: Scored, rows: NDArray[np.int64] | slice) -> dict[str, float]:
        draws = scored.draws[:, rows]
        codes = assign(other.high(draws), kinds=verdicts.kinds, below=other.below(draws))
        return {name: float((codes == code).mean()) for code, name in verdicts.grouping.names.items()}

    yield YardstickRecord(
        kind=kind,
        provenance=other.provenance,
        thresholds={each.criterion: each.value for each in other.thresholds},
        groups=parts(verdicts.scores.anchors, verdicts.counted),
        reference=None if reference is None or kind == "conformal" else parts(reference, slice(None)),
        covered=facts.covered if kind == "mean-max" else None,
    )


def _below(verdicts: Verdicts) -> BelowRecord | None:
    """Of the anchors below the reference: how many are simpler than it, by the size of their compressed samples."""
    arrays = verdicts.scores.arrays
    rows = verdicts.counted[verdicts.grouping.codes[verdicts.counted] == BELOW]
    if rows.size == 0 or "reference/sizes" not in arrays:
        return None
    limit = float(np.quantile(arrays["reference/sizes"][:MOST_COMPARED], 0.025))
    packed = arrays["anchors/sizes"][rows[:MOST_COMPARED]]
    return BelowRecord(count=len(packed), simple=int((packed < limit).sum()))
