"""Runs the calibration that the plan names: on the scores of the reference, or on what the model generates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from whygen.anchors.arrays import Criteria
from whygen.anchors.calibration import (
    Calibration,
    Role,
    conformal,
    deviations,
    mean_max,
    percentile,
    round_maxima,
)
from whygen.anchors.criteria import ChosenCriteria
from whygen.anchors.opening import Subject
from whygen.anchors.presets import Plan
from whygen.anchors.scoring import DrawNoise, Scores, Tick, generated
from whygen.errors import UsageError
from whygen.results.prompt import Warned

NO_REFERENCE = Warned(
    code="no-reference",
    text="No reference was given, so thresholds come from what the model generates itself (mean-max, the paper's "
    "rule): an extreme quantile without a level, which changes with N and from one training to the next. Give real "
    "samples that the model has not seen (reference=) for conformal thresholds.",
)


def settle_kind(plan: Plan, *, with_reference: bool) -> str:
    """The kind of calibration to run: ``auto`` is conformal with a reference and mean-max without.

    Raises:
        UsageError: if conformal was asked for by name and there is no reference.
    """
    if plan.calibration == "auto":
        return "conformal" if with_reference else "mean-max"
    if plan.calibration == "conformal" and not with_reference:
        raise UsageError(
            "calibration='conformal' needs a reference: real samples that the model has not seen. Give reference=, "
            "or calibration='mean-max', which needs none."
        )
    return plan.calibration


def calibrate(
    kind: str,
    subject: Subject,
    plan: Plan,
    chosen: ChosenCriteria,
    *,
    reference: Scores | None,
    role: str,
    noise: DrawNoise,
    tick: Tick | None = None,
) -> Calibration:
    """Thresholds of that kind.

    Raises:
        UsageError: if the reference is too small for the level.
    """
    names = chosen.names
    if kind == "conformal" and reference is not None:
        return conformal(
            reference.draws,
            names=names,
            alpha=plan.alpha,
            level="joint" if plan.level == "joint" else "criterion",
            role=cast("Role", role),
            multiplicity=plan.multiplicity,
        )
    if kind == "mean-max":
        rounds = (
            round_maxima(_generated(subject, plan, chosen, noise, r, tick), names=names) for r in range(plan.rounds)
        )
        return mean_max(rounds, names=names, per_round=plan.per_round)
    values, whose = (reference.draws, role) if reference else (_pool(subject, plan, chosen, noise, tick), "generated")
    options: dict[str, Any] = {"names": names, "role": whose}
    if kind == "percentile":
        return percentile(values, q=plan.percentile, **options)
    return deviations(values, count=plan.deviations, **options)


def calibration_warnings(plan: Plan, subject: Subject, calibration: Calibration) -> tuple[Warned, ...]:
    """What the calibration warns of, and that there was no reference where nobody asked to go without."""
    unasked = plan.calibration == "auto" and subject.reference is None
    return (*([NO_REFERENCE] if unasked else []), *calibration.warnings)


def _generated(
    subject: Subject, plan: Plan, chosen: ChosenCriteria, noise: DrawNoise, round_: int, tick: Tick | None
) -> Iterator[Criteria]:
    return generated(subject.model, subject.anchors, chosen.criteria, noise, n=plan.per_round, round_=round_, tick=tick)


def _pool(subject: Subject, plan: Plan, chosen: ChosenCriteria, noise: DrawNoise, tick: Tick | None) -> Criteria:
    return np.concatenate(list(_generated(subject, plan, chosen, noise, 0, tick)))
