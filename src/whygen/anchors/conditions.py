"""What a conditional model is told of each sample: the column of labels, classes or captions as they are."""

from __future__ import annotations

from dataclasses import replace

from whygen.anchors.data import SampleSet
from whygen.anchors.loading import Loaded
from whygen.errors import UsageError
from whygen.models.protocols import Conditioned

UNCONDITIONED = "unconditioned"
"""The code of the notice that a model which takes conditions has none of these samples."""


def conditioned(subject: Loaded, wanted: str) -> Loaded:
    """Anchors and reference with their labels as what the model is told of them, where that is wanted.

    Generated samples have no labels that anybody gave, so none are had of a model under conditions.

    Raises:
        UsageError: if the model is told nothing of a sample, or anchors or reference have no labels; or if it must be
            told, and nothing is.
        DataError: if a label is no class of the model.
    """
    model = subject.model
    denoiser = model.denoiser
    if wanted == "none":
        if isinstance(denoiser, Conditioned):
            denoiser.require(None)
        return subject
    if not isinstance(denoiser, Conditioned) or denoiser.takes is None:
        raise UsageError(
            f"condition='labels', and {model.uri} is told nothing of a sample beside the sample: leave condition out."
        )
    anchors = _labels(subject.anchor_set, "anchors", denoiser.takes)
    denoiser.require(anchors)
    reference = None
    if subject.reference is not None and subject.reference_set is not None:
        reference = _labels(subject.reference_set, "reference", denoiser.takes)
        denoiser.require(reference)
    return replace(
        subject,
        model=replace(model, sampler=None, notices=()),
        anchors=replace(subject.anchors, conditions=anchors),
        reference=None if subject.reference is None else replace(subject.reference, conditions=reference),
        warnings=tuple(each for each in subject.warnings if each.code != UNCONDITIONED),
    )


def _labels(source: SampleSet, argument: str, takes: str) -> tuple[int | str, ...]:
    labels = source.labels
    if labels is None:
        raise UsageError(
            f"condition='labels' tells the model the label of each sample as one of its {takes}, and the {argument} "
            f"have none. Give them: labels= for anchors, or (samples, labels) for either."
        )
    return tuple(each if isinstance(each, int) else str(each) for each in labels)
