"""What cannot work is refused here, before the model has encoded a sample: nobody should wait for a typing mistake."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from whygen.anchors.calibrating import settle_kind
from whygen.anchors.calibration import require_enough
from whygen.anchors.criteria import FeatureEncoder, by_name
from whygen.anchors.data import SampleSet
from whygen.anchors.opening import Subject
from whygen.anchors.options import AnchorOptions
from whygen.anchors.representing import require_selection
from whygen.anchors.scoring import noise_for
from whygen.calls import RunOptions
from whygen.encoders import ImageEncoder
from whygen.errors import UsageError

AUTOMATIC = 2
"""Criteria that ``criteria="auto"`` comes to."""


def require_plan(plan: AnchorOptions, encoder: str | ImageEncoder | FeatureEncoder | None) -> None:
    """Refuse a plan that cannot be carried out whatever the samples are.

    Raises:
        UsageError: if a name is unknown, a number out of range, or an encoder is needed and there is none.
        MissingExtraError: if it needs a package that is not installed.
    """
    require_selection(plan)
    noise_for(plan.draws, seed=0)
    if plan.criteria != "auto":
        chosen = by_name(plan.criteria, encoder if callable(encoder) else None, given=encoder is not None)
        for kind in ("intrinsic", "extrinsic"):
            if kind not in chosen.kinds:
                raise UsageError(
                    f"criteria are {', '.join(chosen.names)}, and none is {kind}: groups need an intrinsic one (kld, "
                    "or a Criterion of your own) and an extrinsic one (sse, mse, dssim, feature-l2)."
                )
    if plan.space == "features" and encoder is None:
        raise UsageError(
            "space='features' needs an encoder: give encoder='patches', 'dinov2' or a callable (samples -> (n, dim))."
        )


def require_reference(plan: AnchorOptions, n: int | None, *, criteria: int | None = None) -> None:
    """Refuse a reference of ``n`` samples (None: there is none) that is too small for the level that is asked for.

    Raises:
        UsageError: if it is, or if conformal was asked for without one.
    """
    if settle_kind(plan, with_reference=n is not None) != "conformal" or n is None:
        return
    if criteria is None:
        criteria = AUTOMATIC if plan.criteria == "auto" else len(by_name(plan.criteria, None, given=True).criteria)
    require_enough(n, alpha=plan.alpha, level="joint" if plan.level == "joint" else "criterion", criteria=criteria)


def require_distinct(plan: AnchorOptions, subject: Subject) -> None:
    """The same of the reference without its copies: a person who gave 200 samples should hear why there are 40.

    Raises:
        UsageError: if these are too few.
    """
    try:
        require_reference(plan, None if subject.reference is None else len(subject.reference))
    except UsageError as error:
        copies = [each.text for each in subject.warnings if each.code == "duplicate-reference"]
        raise UsageError(" ".join([str(error), *copies])) from error


def require_classes(
    classifier: Callable[..., Any] | None, trained: Sequence[Hashable] | None, reference: SampleSet | None
) -> None:
    """Refuse a classifier where nobody says what the model was trained on.

    Raises:
        UsageError: if neither ``trained`` nor the labels of the reference tell.
    """
    if classifier is None or (trained is not None and len(trained) > 0):
        return
    if trained is not None or reference is None or not reference.labels:
        raise UsageError("classifier= needs trained=: the labels of what the model was trained on, such as [0].")


def require_pictures(
    size: tuple[int, int] | None, mode: str | None, anchors: SampleSet, reference: SampleSet | None
) -> None:
    """Refuse ``size`` and ``mode`` where there is no picture to resize or to convert.

    Raises:
        UsageError: if all samples are arrays.
    """
    given = [name for name, value in (("size", size), ("mode", mode)) if value is not None]
    if given and not any(each.pictures for each in (anchors, reference) if each is not None):
        raise UsageError(
            f"{' and '.join(f'{name}=' for name in given)} given, and no sample is a picture that whygen reads: these "
            "are arrays. Resize or convert the arrays, or give pictures (files or PIL)."
        )


def require_run(run: RunOptions | None) -> None:
    """Refuse what bounds calls: scoring makes none, and has no price.

    Raises:
        UsageError: names what does not go with anchors.
    """
    if run is None:
        return
    if run != RunOptions(deadline=run.deadline, name=run.name):
        raise UsageError("run= takes a deadline and a name here: scoring anchors makes no calls that could be bounded.")
