"""What shares are read against: the same procedure, run on what has learned nothing (METHODS, corrections to B2, B3).

With a reference that anchors are exchangeable with, the thresholds alone decide the shares, and any model at all has
them. So the same steps are run on a copy of the model with new random weights, on trivial reconstructions, on foils
and by another calibration; what stands there as well says nothing of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.arrays import Criteria
from whygen.anchors.calibrating import calibrate
from whygen.anchors.calibration import Calibration
from whygen.anchors.criteria import ChosenCriteria
from whygen.anchors.diagnostics import coverage
from whygen.anchors.foils import FEWEST_LABELLED, MOST_COMPARED, WHAT, Foil, foils_each, make_foils, power, sizes
from whygen.anchors.groups import BELOW, GROUPS, Codes, Grouping, assign, group, share_of
from whygen.anchors.likeness import likeness
from whygen.anchors.opening import Subject
from whygen.anchors.presets import Plan
from whygen.anchors.scoring import DrawNoise, Scores, StandIns, Tick, score
from whygen.anchors.trivial import (
    CONSTANT,
    MEAN,
    NEAREST,
    Base,
    base_of,
    coming_back,
    gains,
    stand_ins,
)
from whygen.errors import UsageError
from whygen.results.anchors import BelowRecord
from whygen.results.anchors_controls import (
    ComesBackRecord,
    ControlRecord,
    FoilRecord,
    LikenessRecord,
    PowerRecord,
    ShareRecord,
    YardstickRecord,
)
from whygen.stats.conformal import smallest_reference
from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson

MOST_ROWS = 500
"""The untrained copy scores at most so many anchors, and as many reference samples."""
MOST_DRAWS = 4
"""Its criteria are averaged over at most so many posterior draws: they need not be as steady as the model's own."""
YARDSTICK_ROUNDS = 2
YARDSTICK_SAMPLES = (64, 500)
"""Generated samples of a round of the other calibration: an eighth of the samples scored, within these."""
NEIGHBOURS = 5
TRIVIAL: Mapping[str, str] = {
    MEAN: "the mean sample of the reference in the place of every reconstruction",
    CONSTANT: "a flat sample of its own mean value in the place of each reconstruction",
    NEAREST: "the nearest reference sample in the place of each reconstruction",
}
NO_MODULE = (
    "an untrained copy cannot be had: the model is no torch module. Give LatentModel(untrained=...), a callable from a "
    "seed to a LatentModel with new weights"
)


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
class Run:
    """One explanation, as far as the controls need to know it."""

    subject: Subject
    plan: Plan
    chosen: ChosenCriteria
    kind: str
    role: str
    noise: DrawNoise
    seed: int
    tick: Tick | None

    @property
    def wanted(self) -> frozenset[str]:
        return self.plan.wanted_controls

    @property
    def reference_labels(self) -> frozenset[str | int]:
        """Labels that the reference has; none where it has no labels."""
        reference = self.subject.reference_set
        return frozenset((None if reference is None else reference.labels) or ())

    def base(self) -> Base | None:
        """What trivial reconstructions are made of; None where they are not wanted."""
        if "trivial" not in self.wanted:
            return None
        reference, anchors = self.subject.reference, self.subject.anchors
        rng = generator(self.seed, "base")
        return base_of(self.subject.model, reference or anchors, rng, is_reference=reference is not None)

    def stand_ins(self, base: Base | None, which: str) -> StandIns:
        """For the anchors or for the reference."""
        return {} if base is None else stand_ins(base, own=which == base.what)

    def foils(self) -> list[Foil]:
        """Foils made of the reference, or of the anchors where there is none."""
        base = self.subject.reference or self.subject.anchors
        if "foils" not in self.wanted:
            return []
        return make_foils(base, foils_each(self._scored), generator(self.seed, "foils"))

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which anchors and which reference samples the untrained copy scores."""
        rng, reference = generator(self.seed, "untrained"), np.arange(len(self.subject.reference or ()), dtype=np.int64)
        parts = (self.subject.distinct, reference)
        first, second = (np.sort(rng.permutation(part)[:MOST_ROWS]) for part in parts)
        return first, second

    @property
    def per_round(self) -> int:
        """Generated samples of a round of the other calibration."""
        lowest, highest = YARDSTICK_SAMPLES
        return min(max(self._scored // 8, lowest), highest)

    @property
    def _scored(self) -> int:
        return len(self.subject.anchors) + len(self.subject.reference or ())

    def cost(self) -> int:
        """Samples that the controls score."""
        total = 0
        if "untrained" in self.wanted and self.subject.model.untrained is not None:
            first, second = self.rows()
            total += len(first) + len(second) + (self.plan.per_round if self.kind == "mean-max" else 0)
        if "foils" in self.wanted:
            total += 3 * foils_each(self._scored)
        if "generated" in self.wanted and self.kind != "mean-max":
            total += YARDSTICK_ROUNDS * self.per_round
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of the model itself."""

    scores: Scores
    reference: Scores | None
    calibration: Calibration
    grouping: Grouping
    base: Base | None


def read_against(run: Run, own: Measured) -> Against:
    """Run every control that is wanted and can be had."""
    if not run.wanted:
        return Against()
    found = _coming_back(run, own)
    foil_records, power_records = _foils(run, own)
    return replace(
        found,
        controls=(*_untrained(run), *_trivial(run, own)),
        foils=foil_records,
        power=power_records,
        likeness=_likeness(run, own),
        yardsticks=tuple(_yardstick(run, own)),
        below=_below(run, own),
    )


def _coming_back(run: Run, own: Measured) -> Against:
    if own.base is None:
        return Against()
    gain = gains(own.scores, run.chosen.criteria)
    back, counted = coming_back(own.scores, gain), own.grouping.distinct
    codes, marked = own.grouping.codes[counted], back[counted]
    share, low, high = share_of(
        own.scores.values[counted], marked, own.calibration, run.chosen.kinds, generator(run.seed, "comes back")
    )
    record = ComesBackRecord(
        count=int((marked & (codes == 0)).sum()), share=share, low=low, high=high,
        others=len(own.base.others), than=_than(own.base),
        groups={name: int((marked & (codes == code)).sum()) for code, name in enumerate(GROUPS)},
    )  # fmt: skip
    return Against(comes_back=record, gain=gain, back=back)


def _than(base: Base) -> str:
    """What a reconstruction must be better than, in words."""
    nearest = f"the nearest of {len(base.known):,} {'reference samples' if base.is_reference else 'other anchors'}"
    return f"{nearest}, the mean sample, a flat one, and {len(base.others)} reconstructions of others"


def _untrained(run: Run) -> list[ControlRecord]:
    """The whole procedure on a copy of the model with new random weights."""
    if "untrained" not in run.wanted:
        return []
    name, what = "untrained", "the same architecture with new random weights"
    make = run.subject.model.untrained
    if make is None:
        return [ControlRecord(name=name, what=what, missing=NO_MODULE)]
    try:
        copy = make(run.seed)
        model = replace(run.subject.model, encode=copy.encode, decode=copy.decode, sampler=copy.sampler, untrained=None)
        return [_procedure(run, replace(run.subject, model=model), name=name, what=what)]
    except Exception as error:  # foreign code with weights that nobody chose: the control is left out, and said
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [ControlRecord(name=name, what=what, missing=f"an untrained copy cannot be had: {text}")]


def _procedure(run: Run, subject: Subject, *, name: str, what: str) -> ControlRecord:
    """Score, calibrate and group a part of the anchors against a part of the reference."""
    rows, known = run.rows()
    anchors = subject.anchors.only(rows)
    reference = None if subject.reference is None else subject.reference.only(known)
    every = np.arange(len(rows), dtype=np.int64)
    plan = replace(run.plan, rounds=1)
    other = replace(run, subject=replace(subject, anchors=anchors, reference=reference, distinct=every), plan=plan)
    base = other.base()
    criteria, noise = run.chosen.criteria, replace(run.noise, draws=min(run.noise.draws, MOST_DRAWS))
    scores, of_reference = (
        None if part is None else score(
            subject.model, part, criteria, noise.stream(which),
            stand_ins=other.stand_ins(base, which), tick=run.tick,
        )
        for part, which in ((anchors, "anchors"), (reference, "reference"))
    )  # fmt: skip
    assert scores is not None  # noqa: S101 - there are anchors
    calibration = calibrate(
        run.kind, other.subject, plan, run.chosen,
        reference=of_reference, role=run.role, noise=noise, tick=run.tick,
    )  # fmt: skip
    grouping = _grouped(other, scores.draws, calibration, name)
    measured = Measured(scores=scores, reference=of_reference, calibration=calibration, grouping=grouping, base=base)
    back = _coming_back(other, measured).comes_back
    inside, outside = _by_labels(run, rows, grouping.codes)
    return _record(name, what, grouping, back).model_copy(update={"own_labels": inside, "other_labels": outside})


def _grouped(run: Run, draws: Criteria, calibration: Calibration, name: str) -> Grouping:
    rng = generator(run.seed, "control", name)
    return group(
        draws, kinds=run.chosen.kinds, calibration=calibration, rng=rng, replicates=1, distinct=run.subject.distinct
    )


def _record(name: str, what: str, grouping: Grouping, back: ComesBackRecord | None = None) -> ControlRecord:
    return ControlRecord(
        name=name,
        what=what,
        n=len(grouping.distinct),
        groups={each.group: ShareRecord(share=each.share, low=each.low, high=each.high) for each in grouping.shares},
        comes_back=None if back is None else ShareRecord(share=back.share, low=back.low, high=back.high),
    )


def _trivial(run: Run, own: Measured) -> list[ControlRecord]:
    """The model's own intrinsic criteria, with something trivial in the place of what it reconstructs."""
    if own.base is None or own.reference is None or run.kind == "mean-max":
        return []
    records: list[ControlRecord] = []
    for name, what in TRIVIAL.items():
        calibration = calibrate(
            run.kind, run.subject, run.plan, run.chosen,
            reference=replace(own.reference, draws=own.reference.stand_ins[name][None]), role=run.role, noise=run.noise,
        )  # fmt: skip
        grouping = _grouped(run, own.scores.stand_ins[name][None], calibration, name)
        records.append(_record(name, what, grouping))
    return records


def _foils(run: Run, own: Measured) -> tuple[tuple[FoilRecord, ...], tuple[PowerRecord, ...]]:
    """How many foils are called HIHE, and which criteria tell them from the base."""
    base, base_scores = run.subject.reference or run.subject.anchors, own.reference or own.scores
    some = base.rows(np.arange(min(len(base), MOST_COMPARED)))
    foils: list[FoilRecord] = []
    powers: list[PowerRecord] = []
    for foil in run.foils():
        stream = run.noise.stream("foils", foil.name)
        scores = score(run.subject.model, foil.prepared, run.chosen.criteria, stream, tick=run.tick)
        codes = _codes(run, scores.draws, own.calibration)
        foils.append(_foil(foil.name, codes))
        samples = foil.prepared.rows(slice(None))
        powers += power(run.chosen.names, foil.name, (base_scores.values, some), (scores.values, samples))
    rows = _other_labels(run)
    if rows.size >= FEWEST_LABELLED and "foils" in run.wanted:
        known = tuple(sorted(run.reference_labels, key=str))
        found = _foil("other labels", own.grouping.codes[rows])
        foils.append(found.model_copy(update={"reference_labels": known}))
        samples = run.subject.anchors.rows(rows[:MOST_COMPARED])
        values = own.scores.values[rows]
        powers += power(run.chosen.names, "other labels", (base_scores.values, some), (values, samples))
    return tuple(foils), tuple(powers)


def _codes(run: Run, draws: Criteria, calibration: Calibration) -> Codes:
    return assign(calibration.high(draws), kinds=run.chosen.kinds, below=calibration.below(draws))


def _foil(name: str, codes: Codes) -> FoilRecord:
    return FoilRecord(name=name, what=WHAT[name], n=len(codes), alike=_alike(codes))


def _alike(codes: Codes) -> ShareRecord:
    alike = int((codes == 0).sum())
    low, high = wilson(alike, len(codes))
    return ShareRecord(share=alike / len(codes), low=low, high=high)


def _by_labels(run: Run, rows: NDArray[np.int64], codes: Codes) -> tuple[ShareRecord, ShareRecord] | tuple[None, None]:
    """How many look like the reference among anchors of its labels, and among the others; None where too few are."""
    others = np.isin(rows, _other_labels(run))
    if min(others.sum(), (~others).sum()) < FEWEST_LABELLED:
        return None, None
    return _alike(codes[~others]), _alike(codes[others])


def _other_labels(run: Run) -> NDArray[np.int64]:
    """Anchors of labels that the reference does not have."""
    labels, known = run.subject.anchor_set.labels, run.reference_labels
    if labels is None or not known:
        return np.zeros(0, np.int64)
    return np.array([row for row in run.subject.distinct if labels[row] not in known], dtype=np.int64)


def _likeness(run: Run, own: Measured) -> LikenessRecord | None:
    if run.subject.reference is None or own.reference is None:
        return None
    counted = own.grouping.distinct
    values = own.scores.values[counted], own.reference.values
    return likeness(run.subject.anchors.only(counted), run.subject.reference, values, generator(run.seed, "likeness"))


def _yardstick(run: Run, own: Measured) -> list[YardstickRecord]:
    """The other calibration: by what the model generates beside a reference, by the reference beside mean-max."""
    if "generated" not in run.wanted:
        return []
    if run.kind != "mean-max":
        kind, plan = "mean-max", replace(run.plan, rounds=YARDSTICK_ROUNDS, per_round=run.per_round)
    elif own.reference is not None and own.reference.draws.shape[1] >= smallest_reference(run.plan.alpha):
        kind, plan = "conformal", replace(run.plan, level="per-criterion")
    else:
        return []
    try:
        other = calibrate(
            kind, run.subject, plan, run.chosen,
            reference=own.reference, role=run.role, noise=run.noise, tick=run.tick,
        )  # fmt: skip
    except UsageError as error:  # a model without a sampler
        nothing = YardstickRecord(
            kind=kind, provenance="", thresholds={}, groups={}, reference=None, missing=str(error)
        )
        return [nothing]
    held = None if own.reference is None or kind == "conformal" else _codes(run, own.reference.draws, other)
    return [
        YardstickRecord(
            kind=kind,
            provenance=other.provenance,
            thresholds={each.criterion: each.value for each in other.thresholds},
            groups=_parts(_codes(run, own.scores.draws[:, own.grouping.distinct], other)),
            reference=None if held is None else _parts(held),
            covered=_covered(run) if kind == "mean-max" else None,
        )
    ]


def _covered(run: Run) -> float | None:
    """Coverage of the reference by the model's own samples, normalised by what its own kind would cover."""
    reference = run.subject.reference
    if reference is None or len(reference) <= NEIGHBOURS:
        return None
    held = reference.rows(np.arange(min(len(reference), MOST_COMPARED)))
    made = np.asarray(run.subject.model.sample(run.per_round, generator(run.seed, "covered")), dtype=np.float32)
    return coverage(held.reshape(len(held), -1), made.reshape(len(made), -1), neighbours=NEIGHBOURS).normalised


def _parts(codes: Codes) -> dict[str, float]:
    return {name: float((codes == code).mean()) for code, name in enumerate(GROUPS)}


def _below(run: Run, own: Measured) -> BelowRecord | None:
    """Of the anchors below the reference: how many are simpler than it, by the size of their compressed samples."""
    counted = own.grouping.distinct
    rows = counted[own.grouping.codes[counted] == BELOW]
    if rows.size == 0 or run.subject.reference is None:
        return None
    held = run.subject.reference.rows(np.arange(min(len(run.subject.reference), MOST_COMPARED)))
    limit = float(np.quantile(sizes(held, like=held), 0.025))
    compressed = sizes(run.subject.anchors.rows(rows[:MOST_COMPARED]), like=held)
    return BelowRecord(count=len(compressed), simple=int((compressed < limit).sum()))
