"""The door of the anchor wing: model, anchors and reference, loaded and made to fit each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whygen.anchors.copies import Rows, check_shared, once
from whygen.anchors.data import SampleSet
from whygen.anchors.samples import Prepared, prepare, require_rows, saturated
from whygen.anchors.scoring import settle
from whygen.models.latent import LatentModel
from whygen.results.anchors_scores import SkippedRecord
from whygen.results.prompt import Warned

PROBED = 32
"""So many samples of each set are encoded to see whether the posterior is one."""
NAMED = 5
"""So many skipped files are named in the warning; all are in the details."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is explained, by what: everything checked and ready for the model.

    ``distinct`` are the anchors that shares are counted over: all but the copies of earlier ones. The reference holds
    no copies; ``reference_rows`` are the places that its samples had as they were given.
    """

    model: LatentModel
    anchors: Prepared
    anchor_set: SampleSet
    distinct: Rows
    reference: Prepared | None
    reference_set: SampleSet | None
    reference_rows: Rows | None
    warnings: tuple[Warned, ...]
    skipped: tuple[SkippedRecord, ...]

    def first(self, n: int) -> Subject:
        """The first ``n`` anchors alone, where a run ended before the others were scored."""
        rows = np.arange(n)
        return replace(
            self, anchors=self.anchors.only(rows), anchor_set=self.anchor_set.only(rows),
            distinct=self.distinct[self.distinct < n],
        )  # fmt: skip


def open_subject(
    model: LatentModel, anchors: SampleSet, reference: SampleSet | None, *, loader: str = "as-is"
) -> Subject:
    """Fit anchors and reference to the model.

    Raises:
        DataError: if there are no anchors or reference samples, or they do not fit the model.
    """
    require_rows(anchors.samples, model)
    if reference is not None:
        require_rows(reference.samples, model, what="reference sample")
    if len(anchors.samples) == 0 or np.ndim(anchors.samples) < 2:
        prepare(anchors.samples, model)  # raises, and says what is wrong
    settled = settle(model, anchors.samples, layout=anchors.layout, pictures=anchors.pictures)
    ready = prepare(anchors.samples, settled, layout=anchors.layout)
    known = None
    if reference is not None:
        known = prepare(reference.samples, settled, layout=reference.layout, what="reference sample")
    said = [each for source in (anchors, reference) if source is not None for each in source.told]
    warnings = [*ready.warnings, *(known.warnings if known else ()), *_few(ready), *_skipped(anchors, reference), *said]
    distinct, told = once(ready, anchors)
    warnings += told
    rows = None
    if known is not None and reference is not None:
        rows, told = once(known, reference)
        warnings += [*told, *check_shared(ready, known, anchors, reference)]
        known, reference = known.only(rows), reference.only(rows)
    return Subject(
        model=settled,
        anchors=saturated(ready) if loader == "saturating" else ready,
        anchor_set=anchors,
        distinct=distinct,
        reference=known,
        reference_set=reference,
        reference_rows=rows,
        warnings=tuple(warnings),
        skipped=tuple(
            SkippedRecord(name=each.name, reason=each.reason)
            for source in (anchors, reference)
            if source is not None
            for each in source.skipped
        ),
    )


def require_posterior(subject: Subject) -> None:
    """Try a few samples of each set on the model: the first that it encodes, once all else is known to be in order.

    Raises:
        UsageError: if what `encode` returns may be something else than a log-variance.
    """
    few = slice(0, min(PROBED, subject.anchors.batch_size))
    sets = (subject.anchors, subject.reference)
    subject.model.require_log_variance(np.concatenate([each.rows(few) for each in sets if each is not None]))


def _few(anchors: Prepared) -> tuple[Warned, ...]:
    if len(anchors) > 1:
        return ()
    text = "There is one anchor: its group is told, but shares, coverage and representatives say nothing. Give more."
    return (Warned(code="one-anchor", text=text),)


def _skipped(*sources: SampleSet | None) -> list[Warned]:
    skipped = [each for source in sources if source is not None for each in source.skipped]
    if not skipped:
        return []
    shown = "; ".join(f"{each.name} ({each.reason})" for each in skipped[:NAMED])
    more = f"; and {len(skipped) - NAMED} more, all listed in details.json" if len(skipped) > NAMED else ""
    text = f"{len(skipped)} files or rows could not be used and were skipped: {shown}{more}."
    return [Warned(code="skipped-files", text=text)]
