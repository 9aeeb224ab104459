"""From what was measured to an explanation, for the first time and again from what was kept. No model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from whygen._arguments import short
from whygen.anchors.memorising import require_reference_role
from whygen.anchors.options import read_since
from whygen.anchors.texts import reading
from whygen.anchors.texts.measured import TextSide
from whygen.anchors.texts.reading import Levels
from whygen.anchors.texts.remarks import remarks
from whygen.anchors.texts.roles import TextMemory, text_memory
from whygen.errors import MissingError, UsageError
from whygen.results.prompt import Warned
from whygen.results.texts import GROUPS, TextAnchorExplanation, TextLabels, TextRecord, TextScores


def require_levels(levels: Levels) -> None:
    """Refuse what is no level.

    Raises:
        UsageError: names it.
    """
    require_reference_role(levels.role)
    for name in ("alpha", "fdr", "false_positives"):
        value = getattr(levels, name)
        if isinstance(value, bool) or not (isinstance(value, int | float) and 0 < value < 1):
            raise UsageError(f"{name} is {short(value)}; give a number between 0 and 1, such as 0.05.")


def told(
    anchors: TextSide, reference: TextSide | None, levels: Levels, seed: int, *,
    said: Sequence[Warned], noticed: Sequence[Warned],
) -> dict[str, Any]:  # fmt: skip
    """The fields of an explanation that follow from the measurements.

    Args:
        anchors: as they were scored.
        reference: the same of held-out texts, or None.
        levels: how it is read.
        seed: of permutations and bootstrap.
        said: warnings of what was found before.
        noticed: and of the run.
    """
    found, notes = reading.contrasts(anchors, reference, levels)
    verdicts = reading.verdicts(found, len(anchors.ready), levels)
    kind = reading.kinds(anchors, reference, levels)
    texts = reading.records(anchors, verdicts, kind, levels)
    held = reference if levels.role == "held-out" else None
    memory = text_memory(anchors, held, [text.group for text in texts], rate=levels.false_positives, seed=seed)
    if memory is not None:
        texts = tuple(_with_memory(text, memory) for text in texts)
    more = () if memory is None else memory.warnings
    return {
        "n_texts": len(texts),
        "counted": sum(text.group is not None for text in texts),
        "groups": reading.group_records(texts, verdicts, kind),
        "contrasts": reading.contrast_records(found, verdicts),
        "reference": reading.reference_record(reference, levels.role),
        "alpha": levels.alpha,
        "fdr": levels.fdr,
        "false_positives": levels.false_positives,
        "texts": texts,
        "memorisation": None if memory is None else memory.record,
        "roles": () if memory is None else memory.roles,
        "labels": _labels(texts),
        "warnings": (*said, *remarks(anchors, reference, found, levels, notes), *more, *noticed),
        "scores": TextScores(
            anchors=anchors.kept(),
            reference=None if reference is None else reference.kept(),
            automatic=levels.automatic,
            has_baseline=anchors.other is not None,
            said=tuple(said),
            noticed=tuple(noticed),
        ),
    }


def _with_memory(text: TextRecord, memory: TextMemory) -> TextRecord:
    if memory.record is None or text.group is None:
        return text
    changes = {"p_memorised": float(memory.p[text.index]), "memorised": bool(memory.flagged[text.index])}
    return TextRecord.model_validate({**text.model_dump(), **changes})


def _labels(texts: Sequence[TextRecord]) -> TextLabels | None:
    counted = [text for text in texts if text.group is not None and text.label is not None]
    if not counted:
        return None
    rows: dict[str | int, list[int]] = {}
    for text in counted:
        if text.label is not None and text.group is not None:
            rows.setdefault(text.label, [0] * len(GROUPS))[GROUPS.index(text.group)] += 1
    labels = [*sorted(each for each in rows if isinstance(each, int)), *sorted(e for e in rows if isinstance(e, str))]
    return TextLabels(labels=tuple(labels), groups=GROUPS, counts=tuple(tuple(rows[label]) for label in labels))


def scores_of(explanation: TextAnchorExplanation, which: str = "") -> TextScores:
    """What was scored.

    Args:
        explanation: as `explain_anchors` returns it, or loaded from its folder.
        which: of two, for the message.

    Raises:
        MissingError: if it holds no scores.
    """
    if explanation.scores is None:
        raise MissingError(
            f"{f'The {which}' if which else 'This'} explanation holds no scores: it was loaded from its JSON alone, or "
            "saved by an earlier version. Load its folder, or explain the texts again with this version: what was "
            "scored is recorded, and nothing is asked twice."
        )
    return explanation.scores


def sides_of(scores: TextScores) -> tuple[TextSide, TextSide | None]:
    """Anchors and reference as they were measured."""
    baseline = scores.has_baseline
    held = None if scores.reference is None else TextSide.of(scores.reference, has_baseline=baseline)
    return TextSide.of(scores.anchors, has_baseline=baseline), held


def levels_of(explanation: TextAnchorExplanation, scores: TextScores) -> Levels:
    """How it was read."""
    role = "held-out" if explanation.reference is None else explanation.reference.role
    return Levels(
        alpha=explanation.alpha, fdr=explanation.fdr, role=role, automatic=scores.automatic,
        false_positives=explanation.false_positives,
    )  # fmt: skip


def read(explanation: TextAnchorExplanation, changes: Mapping[str, Any]) -> TextAnchorExplanation:
    """What the same scores say by other levels.

    Args:
        explanation: with its scores.
        changes: fields of `Levels`.

    Raises:
        MissingError: if it holds no scores.
        UsageError: if a level is none.
    """
    scores = scores_of(explanation)
    levels = replace(levels_of(explanation, scores), **changes)
    require_levels(levels)
    anchors, reference = sides_of(scores)
    found = told(anchors, reference, levels, explanation.seed, said=scores.said, noticed=scores.noticed)
    if scores.asked is not None:
        named = {"reference_role" if name == "role" else name: value for name, value in changes.items()}
        scores = scores.model_copy(update={"asked": read_since(scores.asked, named)})
    return explanation.model_copy(update={**found, "scores": scores})
