"""Puts what was found into an `AnchorExplanation`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.calibration import Calibration
from whygen.anchors.controls import Against
from whygen.anchors.criteria import ChosenCriteria
from whygen.anchors.groups import Delusion, Grouping, Reading, label_table
from whygen.anchors.opening import Subject
from whygen.anchors.presets import Plan
from whygen.anchors.representing import Neighbours, Representatives, Space
from whygen.anchors.scoring import Scores
from whygen.anchors.selection import Selection, diversity
from whygen.anchors.surveying import Survey
from whygen.models.latent import Floats
from whygen.results import anchors as records
from whygen.results.anchors_controls import TailsRecord
from whygen.results.anchors_table import UNSURE
from whygen.results.prompt import Warned
from whygen.version import __version__, versions

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "diffusers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """Everything the steps have found."""

    subject: Subject
    plan: Plan
    chosen: ChosenCriteria
    calibration: Calibration
    grouping: Grouping
    scores: Scores
    space: Space
    representatives: Representatives
    survey: Survey
    neighbours: Neighbours
    delusion: Delusion | None
    originals: Floats
    reconstructions: Floats
    role: str
    seconds: Mapping[str, float]
    warnings: tuple[Warned, ...]
    against: Against


def assemble(found: Assembled, *, preset: str | None, seed: int) -> records.AnchorExplanation:
    """The explanation: the contract's fields, details and evidence."""
    calibration, grouping = found.calibration, found.grouping
    return records.AnchorExplanation(
        schema=records.SCHEMA,
        whygen=__version__,
        preset=preset,
        model=found.subject.model.uri,
        n_anchors=len(found.subject.anchors),
        criteria=tuple(
            records.CriterionRecord(name=each.name, kind=each.kind, unit=each.unit) for each in found.chosen.criteria
        ),
        calibration=records.CalibrationRecord(
            kind=calibration.kind,
            n=calibration.n,
            role=calibration.role,
            alpha=calibration.alpha,
            level="joint" if calibration.level == "joint" else "per-criterion",
        ),
        thresholds={each.criterion: each.value for each in calibration.thresholds},
        groups={
            share.group: records.GroupRecord(count=share.count, share=share.share, low=share.low, high=share.high)
            for share in grouping.shares
        },
        mean_flip_rate=grouping.mean_flip_rate,
        selected=found.representatives.indices,
        seed=seed,
        versions=versions(LIBRARIES),
        warnings=found.warnings,
        tails=_tails(calibration),
        comes_back=found.against.comes_back,
        controls=found.against.controls,
        foils=found.against.foils,
        power=found.against.power,
        likeness=found.against.likeness,
        yardsticks=found.against.yardsticks,
        details=_details(found),
        evidence=_evidence(found),
    )


def _tails(calibration: Calibration) -> TailsRecord | None:
    if calibration.floors is None or calibration.alpha is None:
        return None
    return TailsRecord(
        low=calibration.alpha,
        high=calibration.alpha,
        floors=dict(zip(calibration.names, calibration.floors, strict=True)),
        least_alike=calibration.least_alike or 0.0,
    )


def _details(found: Assembled) -> records.Details:
    calibration, subject, survey = found.calibration, found.subject, found.survey
    return records.Details(
        criteria_reason=found.chosen.reason,
        provenance=calibration.provenance,
        thresholds=tuple(
            records.ThresholdRecord(
                criterion=each.criterion, value=each.value, comparison=each.comparison, spread=each.spread
            )
            for each in calibration.thresholds
        ),
        realised_level=calibration.realised_level,
        realised_low=calibration.realised_low,
        realised_high=calibration.realised_high,
        multiplicity=calibration.multiplicity,
        rounds=calibration.rounds,
        per_round=calibration.per_round,
        implied_quantile=calibration.implied_quantile,
        draws=len(found.scores.draws),
        noise="mean" if found.plan.draws == "mean" else found.plan.noise,
        distinct=len(found.grouping.distinct),
        n_reference=None if subject.reference is None else len(subject.reference),
        reference_role=None if subject.reference is None else found.role,
        sources={
            "anchors": subject.anchor_set.source,
            **({} if subject.reference_set is None else {"reference": subject.reference_set.source}),
        },
        bootstrap={share.group: (share.bootstrap_low, share.bootstrap_high) for share in found.grouping.shares},
        wilson={share.group: (share.wilson_low, share.wilson_high) for share in found.grouping.shares},
        below=found.against.below,
        label_table=_label_table(found),
        delusion=() if found.delusion is None else tuple(_reading(row) for row in found.delusion.rows),
        of_hile=None if found.delusion is None or found.delusion.of_hile is None else _reading(found.delusion.of_hile),
        select=found.plan.select,
        space=found.space.name,
        selections={
            name: _selection(selection, found.space, found.grouping.flip_rate)
            for name, selection in found.representatives.selections.items()
        },
        coverage=None
        if survey.coverage is None
        else records.CoverageRecord(
            share=survey.coverage.share, expected=survey.coverage.expected, normalised=survey.coverage.normalised
        ),
        curve=records.CurveRecord(
            counts=tuple(int(n) for n in survey.curve.counts),
            radii=tuple(float(radius) for radius in survey.curve.radii),
            enough=survey.curve.enough,
        ),
        missable_mode=survey.missable,
        skipped=subject.skipped,
        seconds={name: round(seconds, 4) for name, seconds in found.seconds.items()},
    )


def _selection(selection: Selection, space: Space, flip_rate: NDArray[np.float64]) -> records.SelectionRecord:
    return records.SelectionRecord(
        name=selection.name,
        means=selection.means,
        sense=selection.sense,
        objective=_finite(selection.objective),
        bound=_finite(selection.bound),
        gap=_finite(selection.gap),
        exact=selection.exact,
        metric=selection.metric,
        first=selection.first,
        diversity=_finite(diversity(space.anchors, selection.indices)),
        covering_radius=_finite(selection.covering_radius),
        dropped=tuple(int(index) for index in selection.dropped),
        unsure=tuple(int(index) for index in selection.indices if flip_rate[index] > UNSURE),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _label_table(found: Assembled) -> records.LabelTableRecord | None:
    labels = found.subject.anchor_set.labels
    if labels is None:
        return None
    counted = found.grouping.distinct
    table = label_table(found.grouping.codes[counted], np.array(labels)[counted])
    return records.LabelTableRecord(
        labels=tuple(label if isinstance(label, int) else str(label) for label in table.labels),
        counts=tuple(tuple(int(count) for count in row) for row in table.counts),
    )


def _reading(row: Reading) -> records.ReadingRecord:
    label = row.label if row.label is None or isinstance(row.label, int) else str(row.label)
    return records.ReadingRecord(
        label=label, group=row.group, count=row.count, read=row.read, share=row.share, low=row.low, high=row.high
    )


def _evidence(found: Assembled) -> records.AnchorEvidence:
    pictured = found.subject.anchors.image is not None and np.isfinite(found.subject.anchors.value_range).all()
    pictures = found.subject.anchors.pictures
    near, rows = found.neighbours, found.subject.reference_rows
    neighbour = near.index
    if rows is not None and found.space.reference is not None:
        # Without copies the reference has other places than it was given in.
        neighbour = np.where(near.index < 0, near.index, rows[near.index])
    return records.AnchorEvidence(
        draws=found.scores.draws,
        codes=found.grouping.codes,
        flip_rate=found.grouping.flip_rate,
        p_values=found.grouping.p_values,
        p_high=found.grouping.p_high,
        gain=found.against.gain,
        comes_back=found.against.back,
        basis=found.calibration.basis,
        labels=found.subject.anchor_set.labels,
        names=found.subject.anchor_set.names,
        neighbour=neighbour,
        neighbour_distance=near.distance,
        shown=found.representatives.shown,
        originals=pictures(found.originals) if pictured else None,
        reconstructions=pictures(found.reconstructions) if pictured else None,
    )
