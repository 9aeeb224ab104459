"""Runs the calibration that the plan names: on the scores of the reference, or of what the model generated."""

from __future__ import annotations

from typing import Any, cast

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
from whygen.anchors.options import AnchorOptions
from whygen.errors import UsageError
from whygen.results.anchors_scores import Scored, Scores
from whygen.results.prompt import Warned

NO_REFERENCE = Warned(
    code="no-reference",
    text="No reference was given, so thresholds come from what the model generates itself (mean-max, the paper's "
    "rule): an extreme quantile without a level, which changes with N and from one training to the next. Give real "
    "samples that the model has not seen (reference=) for conformal thresholds.",
)


def settle_kind(plan: AnchorOptions, *, with_reference: bool) -> str:
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
    kind: str, plan: AnchorOptions, scores: Scores, reference: Scored | None, *, rounds: str = "rounds"
) -> Calibration:
    """Thresholds of that kind.

    Args:
        kind: of calibration, settled.
        plan: level, rounds ...
        scores: of the explanation.
        reference: scores of the reference, by the model or by what stands in for it.
        rounds: the name of the generated samples, where thresholds rest on these.

    Raises:
        UsageError: if the reference is too small for the level, or what the calibration needs was not scored.
    """
    names, role = scores.names, scores.facts.role
    if kind == "conformal":
        assert reference is not None  # noqa: S101 - `settle_kind` looked
        return conformal(
            reference.draws,
            names=names,
            alpha=plan.alpha,
            level="joint" if plan.level == "joint" else "criterion",
            role=cast("Role", role),
            multiplicity=plan.multiplicity,
        )
    if kind == "mean-max":
        maxima = [round_maxima([each], names=names) for each in _rounds(scores, rounds, plan.rounds, plan.per_round)]
        return mean_max(maxima, names=names, per_round=plan.per_round)
    if reference is not None:
        values, whose = reference.draws, role
    else:
        values, whose = _rounds(scores, rounds, 1, plan.per_round)[0], "generated"
    options: dict[str, Any] = {"names": names, "role": whose}
    if kind == "percentile":
        return percentile(values, q=plan.percentile, **options)
    return deviations(values, count=plan.deviations, **options)


def _rounds(scores: Scores, name: str, rounds: int, per_round: int) -> list[Criteria]:
    """The first so many rounds of generated samples.

    Raises:
        UsageError: if other rounds were scored.
    """
    # What was generated for the other calibration will do for the model itself, not for its untrained copy.
    held = {each: scores.rounds(each) for each in ((name, "yardstick") if name == "rounds" else (name,))}
    sizes = {name: int(scores.facts.plan["per_round"]), "yardstick": scores.facts.per_round}
    for each, found in held.items():
        if len(found) >= rounds and sizes[each] == per_round:
            return found[:rounds]
    scored = [f"{len(found)} of {sizes[each]:,} samples" for each, found in held.items() if found]
    raise UsageError(
        f"This calibration rests on {rounds} rounds of {per_round:,} generated samples, and "
        f"{' and '.join(scored) or 'none'} were scored. Explain the anchors again with calibration='mean-max', or give "
        "rounds= and per_round= as they were scored."
    )


def calibration_warnings(plan: AnchorOptions, calibration: Calibration, *, with_reference: bool) -> tuple[Warned, ...]:
    """What the calibration warns of, and that there was no reference where nobody asked to go without."""
    unasked = plan.calibration == "auto" and not with_reference
    return (*([NO_REFERENCE] if unasked else []), *calibration.warnings)
