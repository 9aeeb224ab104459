"""What is known of a run besides its numbers: the facts that a reader of scores needs, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.diagnostics import check_features
from whygen.anchors.foils import MOST_COMPARED
from whygen.anchors.loading import Loaded
from whygen.anchors.memorising import overlap_of
from whygen.anchors.recording import Arrays, Recorder, digest_of
from whygen.anchors.samples import Prepared
from whygen.anchors.work import Work
from whygen.calls import EndedError
from whygen.results.anchors_pictures import shrinking
from whygen.results.anchors_scores import BaseRecord, CriterionRecord, SamplesRecord, ScoresRecord
from whygen.version import versions

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "diffusers")


def facts_of(
    work: Work, recorder: Recorder, said: str, bases: Mapping[str, BaseRecord], missing: Mapping[str, str]
) -> ScoresRecord:
    """Everything that the numbers of a run depend on, by name.

    Args:
        work: what was scored.
        recorder: who knows what identifies the model, and why the run ended.
        said: why it ended, in words.
        bases: what trivial reconstructions were made of.
        missing: controls that could not be had, and why.
    """
    subject = work.subject
    reference, held, anchors = subject.reference, subject.reference_set, subject.anchors
    trained = None if work.trained is None else tuple(_plain(each) for each in work.trained)
    low, high = anchors.value_range
    ended = recorder.ended
    return ScoresRecord(
        model=subject.model.uri,
        identity=None if (known := recorder.identity) is None else dict(known),
        versions=versions(LIBRARIES),
        seed=work.seed,
        role=work.role,
        preset=work.preset,
        plan=asdict(replace(work.plan, criteria=",".join(work.chosen.names))),
        criteria=tuple(
            CriterionRecord(name=each.name, kind=each.kind, unit=each.unit) for each in work.chosen.criteria
        ),
        reason=work.chosen.reason,
        warned={
            "subject": subject.warnings,
            "criteria": work.chosen.warnings,
            "features": check_features(work.encoder, anchors),
        },
        anchors=_samples(anchors, subject.anchor_set.source),
        reference=None if reference is None or held is None else _samples(reference, held.source),
        shape=anchors.shape,
        layout=anchors.layout,
        image=anchors.image,
        value_range=(low, high) if np.isfinite([low, high]).all() else None,
        labels=subject.anchor_set.labels,
        roles=subject.anchor_set.roles,
        names=subject.anchor_set.names,
        reference_labels=None if held is None or held.labels is None else tuple(sorted(set(held.labels), key=str)),
        trained=trained,
        trained_on=subject.model.trained_on,
        skipped=subject.skipped,
        per_round=work.per_round,
        bases=dict(bases),
        missing=dict(missing),
        ended=None if ended is None else "deadline" if isinstance(ended, EndedError) else "interrupt",
        ended_text=said,
        given_back="" if work.way is None else work.way.name,
    )


def _plain(label: Any) -> Any:
    """A label as JSON has it: numbers of numpy as Python's own."""
    return label.item() if hasattr(label, "item") else label


def _samples(prepared: Prepared, source: str) -> SamplesRecord:
    return SamplesRecord(
        n=len(prepared), digest=digest_of(prepared), order=prepared.order, scale=prepared.scale,
        offset=prepared.offset, source=source,
    )  # fmt: skip


def raw_of(subject: Loaded) -> Arrays:
    """The samples themselves, and which of them count."""
    arrays: Arrays = {"anchors/raw": subject.anchors.raw, "distinct": subject.distinct}
    if subject.anchor_set.roles is not None:
        arrays["anchors/overlap"], arrays["reference/overlap"] = overlap_of(subject)
    if subject.reference is not None and subject.reference_rows is not None:
        arrays |= {"reference/raw": subject.reference.raw, "reference/rows": subject.reference_rows}
    return arrays


def picture_factor(prepared: Prepared) -> int:
    """By how much pictures of reconstructions are made smaller to be kept; 0: samples are none, or too many."""
    if prepared.image is None or not np.isfinite(prepared.value_range).all():
        return 0
    return shrinking(len(prepared), prepared.image)


def ends_of(base: Prepared) -> NDArray[np.float32]:
    """Lowest and highest value of some of the base: between them samples are cut into steps before they are packed."""
    some = base.rows(np.arange(min(len(base), MOST_COMPARED)))
    return np.array([some.min(), some.max()], dtype=np.float32)
