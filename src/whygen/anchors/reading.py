"""Reads an explanation from scores: thresholds, groups, controls, representatives, warnings. No model is in sight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.calibrating import calibrate, calibration_warnings, settle_kind
from whygen.anchors.calibration import Calibration
from whygen.anchors.controls import Against, Verdicts, read_against
from whygen.anchors.diagnostics import (
    Survey,
    check_criteria,
    check_generated,
    check_groups,
    check_latents,
    check_power,
    check_yardsticks,
    survey,
)
from whygen.anchors.groups import group
from whygen.anchors.labelled import Delusion, Reading, delusion, label_table
from whygen.anchors.likeness import check_likeness
from whygen.anchors.memorising import Memorised, memorisation
from whygen.anchors.options import AnchorOptions, read_since
from whygen.anchors.representing import (
    Neighbours,
    Representatives,
    Space,
    neighbours,
    open_space,
    represent,
    require_selection,
)
from whygen.anchors.selection import Selection, diversity
from whygen.anchors.sets import check_modes
from whygen.anchors.tracing import Traced, trace
from whygen.errors import UnknownNameError, UsageError
from whygen.models.latent import Floats
from whygen.results import anchors as records
from whygen.results.anchors_pictures import pixels, shrunk
from whygen.results.anchors_rows import UNSURE, excess, telling
from whygen.results.anchors_scores import Scores, ScoresRecord, TailsRecord
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator
from whygen.version import __version__

Pictures: TypeAlias = tuple[Floats, Floats | None]
"""Samples, and what the model gives back for them (None: nothing), as pictures ``(g, height, width, channels)`` between
0 and 1."""


@dataclass(slots=True)
class Phases:
    """Seconds of each phase."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorFindings:
    """Everything that was read."""

    verdicts: Verdicts
    against: Against
    space: Space
    representatives: Representatives
    survey: Survey
    neighbours: Neighbours
    delusion: Delusion | None
    memorised: Memorised | None
    traced: Traced | None
    shown: Shown
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Shown:
    """Representatives as pictures (None where they are none, or were not kept), and what is to be said of them."""

    pictures: Pictures | None
    warnings: tuple[Warned, ...] = ()


def read_scores(
    scores: Scores, plan: AnchorOptions, show: Callable[[NDArray[np.int64]], Shown], *,
    trained: Sequence[Hashable] | None = None, clock: Phases | None = None,
) -> records.AnchorExplanation:  # fmt: skip
    """The explanation that these scores come to.

    Args:
        scores: of anchors, reference, and whatever they are held against.
        plan: thresholds, groups, selection.
        show: representatives as pictures.
        trained: labels of what the model was trained on; those of the scores unless given.
        clock: is told the seconds of each phase.

    Raises:
        UsageError: if something that the plan asks for was not scored.
    """
    clock, facts = clock or Phases(), scores.facts
    reference, own = scores.scored("reference"), scores.anchors
    kind = settle_kind(plan, with_reference=reference is not None)
    with clock.phase("calibration"):
        calibration = calibrate(kind, plan, scores, reference)
    with clock.phase("groups"):
        grouping = group(
            own.draws, kinds=tuple(each.kind for each in facts.criteria), calibration=calibration,
            rng=generator(facts.seed, "flips"), replicates=plan.replicates, distinct=scores.arrays["distinct"],
        )  # fmt: skip
    verdicts = Verdicts(scores=scores, plan=plan, kind=kind, calibration=calibration, grouping=grouping)
    with clock.phase("controls"):
        against = read_against(verdicts)
    with clock.phase("selection"):
        space = open_space(plan, scores)
        representatives = represent(plan, grouping, space, own, seed=facts.seed)
    with clock.phase("memorisation"):
        memorised = memorisation(verdicts)
        traced = None if memorised is None else trace(memorised, scores, space, representatives.shown, show)
    with clock.phase("diagnostics"):
        limits = np.array([threshold.value for threshold in calibration.thresholds])
        named = telling(grouping.codes, grouping.flip_rate, excess(own.values, limits), representatives.shown)
        found = AnchorFindings(
            verdicts=verdicts, against=against, space=space, representatives=representatives,
            survey=survey(space), neighbours=neighbours(space, named), delusion=_delusion(verdicts, trained),
            memorised=memorised, traced=traced, shown=show(representatives.shown), seconds=clock.seconds,
        )  # fmt: skip
    return _explanation(found)


def read(
    explanation: records.AnchorExplanation, changes: Mapping[str, Any], trained: Sequence[Hashable] | None = None
) -> records.AnchorExplanation:
    """What `AnchorExplanation.read` does: the scores of an explanation, read by other options.

    Raises:
        UsageError: if what that takes was not scored.
    """
    scores = explanation.scores
    assert scores is not None  # noqa: S101 - the method looked
    plan = AnchorOptions(**{**scores.facts.plan, **changes})
    if (criteria := changes.get("criteria")) is not None:
        scores = scores.of(_some_of(scores, criteria))
    scored = AnchorOptions(**scores.facts.plan).wanted_controls
    if missing := plan.wanted_controls - scored if plan.controls != "auto" else ():
        raise UsageError(
            f"controls={plan.controls!r}: {', '.join(sorted(missing))} was not scored. Explain the anchors again with "
            "these controls."
        )
    plan = replace(plan, controls=",".join(sorted(plan.wanted_controls & scored)) or "none")
    require_selection(plan)
    again = read_scores(scores, plan, partial(_kept, explanation), trained=trained)
    was, details = explanation.details, again.details
    if was is None or was.asked is None or details is None:
        return again
    named = changes if trained is None else {**changes, "trained": list(trained)}
    return again.model_copy(update={"details": details.model_copy(update={"asked": read_since(was.asked, named)})})


def _some_of(scores: Scores, criteria: str | Sequence[str]) -> list[str]:
    """Names of criteria that were scored.

    Raises:
        UnknownNameError: if one was not scored.
        UsageError: if one is named twice, or none is.
    """
    names = [each.strip() for each in (criteria.split(",") if isinstance(criteria, str) else criteria)]
    for name in names:
        if name not in scores.names:
            raise UnknownNameError("criterion of this explanation", name, scores.names)
    if not names or len(set(names)) < len(names):
        raise UsageError(f"criteria are {', '.join(names)}; give one or more of those that were scored, each once.")
    return names


def _kept(explanation: records.AnchorExplanation, rows: NDArray[np.int64]) -> Shown:
    """Representatives as pictures, as far as these were kept."""
    scores, evidence = explanation.scores, explanation.evidence
    said = tuple(each for each in explanation.warnings if each.code == "reconstruction-range")
    if scores is None or evidence is None or evidence.originals is None or evidence.reconstructions is None:
        return Shown(None, said)
    if np.isin(rows, evidence.shown).all():
        places = [int(np.flatnonzero(evidence.shown == row)[0]) for row in rows]
        return Shown((evidence.originals[places], evidence.reconstructions[places]), said)
    anchors, made = pixels(scores, "anchors", rows), scores.arrays.get("anchors/made")
    if anchors is None or made is None:
        text = "Pictures of these representatives were not kept: explain the anchors again with these options."
        return Shown(None, (*said, Warned(code="pictures-not-kept", text=text)))
    anchors = shrunk(anchors, max(1, anchors.shape[1] // made.shape[1]))
    shown = [each.astype(np.float32) / np.float32(255) for each in (anchors, made[rows])]
    return Shown((shown[0], shown[1]), said)


def _delusion(verdicts: Verdicts, trained: Sequence[Hashable] | None) -> Delusion | None:
    """Whether a classifier reads reconstructions as the trained class (METHODS B3)."""
    facts = verdicts.scores.facts
    if facts.readings is None:
        return None
    known = trained or facts.trained or facts.reference_labels or ()
    own = None if facts.labels is None else np.array(facts.labels)
    return delusion(verdicts.grouping.codes, np.asarray(facts.readings), trained=tuple(known), labels=own)


def _warnings(found: AnchorFindings) -> tuple[Warned, ...]:
    verdicts, against = found.verdicts, found.against
    scores, grouping, facts = verdicts.scores, verdicts.grouping, verdicts.scores.facts
    likeness, reference = None if verdicts.kind == "mean-max" else against.likeness, scores.scored("reference")
    return (
        *_ended(scores),
        *check_power(against.power, against.foils),
        *check_likeness(likeness, found.survey.coverage, grouping),
        *check_yardsticks(against.yardsticks, grouping),
        *facts.warned["subject"],
        *facts.warned["criteria"],
        *calibration_warnings(verdicts.plan, verdicts.calibration, with_reference=verdicts.reference is not None),
        *check_latents(scores.anchors.means, None if reference is None else reference.means),
        *_searches(scores),
        *check_generated(facts.generated, beside="the reference" if verdicts.reference is not None else "the anchors"),
        *check_modes(facts.modes),
        *facts.warned["features"],
        *check_criteria(scores.anchors.draws, scores.names),
        *found.shown.warnings,
        *check_groups(grouping),
        *(() if found.memorised is None else found.memorised.warnings),
        *found.representatives.warnings,
    )


def _searches(scores: Scores) -> tuple[Warned, ...]:
    """That searches among latents failed, and what stands in for what they would have found."""
    failed = scores.arrays.get("anchors/failed")
    if failed is None or not failed.any():
        return ()
    rows = np.flatnonzero(failed)
    shown = ", ".join(map(str, rows[:5].tolist())) + (" ..." if len(rows) > 5 else "")
    rest = (
        "So nothing here was found by a search; look at the gradients of the model, or take criteria='nearest-sample'."
        if failed.all()
        else "The other anchors are not concerned."
    )
    text = (
        f"For {len(rows):,} of {len(failed):,} anchors ({shown}) the search among latents ended in no sample: the "
        f"nearest generated one stands in for what it should have found. {rest}"
    )
    return (Warned(code="inversion-failed", text=text),)


def _ended(scores: Scores) -> tuple[Warned, ...]:
    """That the run ended early, and what it had by then."""
    facts = scores.facts
    return () if facts.ended is None else (Warned(code="ended-early", text=facts.ended_text),)


def _explanation(found: AnchorFindings) -> records.AnchorExplanation:
    """The explanation: the contract's fields, details and evidence."""
    verdicts, against = found.verdicts, found.against
    calibration, grouping, facts = verdicts.calibration, verdicts.grouping, verdicts.scores.facts
    return records.AnchorExplanation(
        schema=records.SCHEMA,
        whygen=__version__,
        preset=facts.preset,
        model=facts.model,
        n_anchors=facts.anchors.n,
        criteria=facts.criteria,
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
        seed=facts.seed,
        versions=facts.versions,
        warnings=_warnings(found),
        tails=_tails(calibration),
        comes_back=against.comes_back,
        controls=against.controls,
        foils=against.foils,
        power=against.power,
        likeness=against.likeness,
        yardsticks=against.yardsticks,
        given_back=facts.given_back,
        generated=facts.generated,
        metrics=facts.metrics,
        modes=facts.modes,
        memorisation=None if found.memorised is None else found.memorised.record,
        roles=() if found.memorised is None else found.memorised.roles,
        ended=facts.ended,
        details=_details(found),
        evidence=_evidence(found),
        scores=verdicts.scores,
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


def _details(found: AnchorFindings) -> records.Details:
    verdicts, survey = found.verdicts, found.survey
    calibration, grouping, plan, facts = verdicts.calibration, verdicts.grouping, verdicts.plan, verdicts.scores.facts
    reference = facts.reference
    return records.Details(
        criteria_reason=facts.reason,
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
        draws=len(verdicts.scores.anchors.draws),
        noise="mean" if facts.plan["draws"] == "mean" else facts.plan["noise"],
        distinct=len(grouping.distinct),
        n_reference=None if reference is None else reference.n,
        reference_role=None if reference is None else facts.role,
        sources=_sources(facts),
        bootstrap={share.group: (share.bootstrap_low, share.bootstrap_high) for share in grouping.shares},
        wilson={share.group: (share.wilson_low, share.wilson_high) for share in grouping.shares},
        below=found.against.below,
        label_table=_label_table(found),
        delusion=() if found.delusion is None else tuple(_reading(row) for row in found.delusion.rows),
        of_hile=None if found.delusion is None or found.delusion.of_hile is None else _reading(found.delusion.of_hile),
        select=plan.select,
        space=found.space.name,
        selections={
            name: _selection(selection, found.space, grouping.flip_rate)
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
        skipped=facts.skipped,
        seconds={name: round(seconds, 4) for name, seconds in found.seconds.items()},
        ended=facts.ended,
    )


def _sources(facts: ScoresRecord) -> dict[str, str]:
    """Where the samples come from, and what the model was trained on, as far as anyone said."""
    found = {"anchors": facts.anchors.source}
    if facts.reference is not None:
        found["reference"] = facts.reference.source
    if facts.trained_on:
        found["training"] = facts.trained_on
    elif facts.trained:
        found["training"] = f"samples labelled {', '.join(map(str, facts.trained))}"
    return found


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


def _label_table(found: AnchorFindings) -> records.LabelTableRecord | None:
    labels = found.verdicts.scores.facts.labels
    if labels is None:
        return None
    counted = found.verdicts.counted
    table = label_table(found.verdicts.grouping.codes[counted], np.array(labels)[counted])
    return records.LabelTableRecord(
        labels=tuple(label if isinstance(label, int) else str(label) for label in table.labels),
        counts=tuple(tuple(int(count) for count in row) for row in table.counts),
    )


def _reading(row: Reading) -> records.ReadingRecord:
    label = row.label if row.label is None or isinstance(row.label, int) else str(row.label)
    return records.ReadingRecord(
        label=label, group=row.group, count=row.count, read=row.read, share=row.share, low=row.low, high=row.high
    )


def _evidence(found: AnchorFindings) -> records.AnchorEvidence:
    verdicts, near = found.verdicts, found.neighbours
    grouping, scores, facts = verdicts.grouping, verdicts.scores, verdicts.scores.facts
    neighbour = near.index
    if "reference/rows" in scores.arrays and found.space.reference is not None:
        # Without copies the reference has other places than it was given in.
        neighbour = np.where(near.index < 0, near.index, scores.arrays["reference/rows"][near.index])
    originals, made = found.shown.pictures or (None, None)
    return records.AnchorEvidence(
        draws=scores.anchors.draws,
        codes=grouping.codes,
        flip_rate=grouping.flip_rate,
        p_values=grouping.p_values,
        p_high=grouping.p_high,
        gain=found.against.gain,
        comes_back=found.against.back,
        basis=verdicts.calibration.basis,
        labels=facts.labels,
        names=facts.names,
        neighbour=neighbour,
        neighbour_distance=near.distance,
        shown=found.representatives.shown,
        originals=originals,
        reconstructions=made,
        roles=facts.roles,
        p_memorised=None if found.memorised is None else found.memorised.p,
        memorised=None if found.memorised is None else found.memorised.flagged,
        **({} if found.traced is None else found.traced.arrays()),
    )
