"""Generated against real samples as sets: metrics, and which labels are made; see `whygen.anchors.set_metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.bank import Bank, points_of, space_of
from whygen.anchors.recording import Arrays, Recorder, Shard, as_bytes, digest_of, identified, of_bytes
from whygen.anchors.set_metrics import MOST, labels_made, survey_sets, wanted_metrics
from whygen.anchors.work import Work
from whygen.results.anchors_scores import MOST_NAMED, MetricsRecord, ModesRecord
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator
from whygen.types import JsonValue

MOST_LABELS = 100
"""Of more labels none has enough samples to say anything of it."""


def measured_sets(
    work: Work, recorder: Recorder, draw: Callable[[int], Arrays],
    key_of: Callable[..., Mapping[str, JsonValue] | None],
) -> MetricsRecord | None:  # fmt: skip
    """The metrics that the plan names, of generated against reference samples; None where it names none, or no time.

    Args:
        work: what is scored.
        recorder: computes them, or has them recorded.
        draw: from a number to at least so many ``samples``, or all there are.
        key_of: what the numbers depend on, from what only these do.

    Raises:
        UsageError: if there are too few samples.
    """
    names, reference = wanted_metrics(work.plan.metrics), work.subject.reference
    if not names or reference is None or (work.plan.metrics == "auto" and not work.banked):
        return None
    known = reference.rows(some_rows(len(reference), work.seed))
    held = work.subject.generated

    def compute() -> Arrays:
        rng = generator(work.seed, "set metrics")
        made = draw(len(known))["samples"] if work.banked or held is None else held.rows(slice(None))
        some = made[rng.permutation(len(made))[:MOST]]
        real, made = points_of(known, work.encoder), points_of(some, work.encoder)
        found = survey_sets(real, made, rng, names=names, space=space_of(work.encoder))
        return {"metrics": as_bytes([found.model_dump(mode="json")])}

    encoder = identified(work.encoder, work.run_name)
    key = None
    if encoder is not None:
        key = key_of(
            names=list(names), rows="drawn", encoder=encoder, samples=digest_of(reference), size=work.bank_size
        )
    for part in recorder.run([Shard(key, compute)]):
        return MetricsRecord.model_validate(of_bytes(part["metrics"])[0])
    return None


def some_rows(n: int, seed: int, most: int = MOST) -> NDArray[np.int64]:
    """All rows, or as many as are looked at, drawn: the first ones of samples that are sorted are of one kind."""
    if n <= most:
        return np.arange(n, dtype=np.int64)
    return np.sort(generator(seed, "some rows").permutation(n)[:most]).astype(np.int64)


def made_modes(
    work: Work, recorder: Recorder, bank: Bank | None, key_of: Callable[..., Mapping[str, JsonValue] | None]
) -> ModesRecord | None:
    """Which labels generated samples have, beside the reference; None where labels do not tell, or nothing is made.

    Labels are those of the reference, or where it has none those of the anchors.

    Args:
        work: what is scored.
        recorder: computes it, or has it recorded.
        bank: generated samples, where a criterion compares with them.
        key_of: what the numbers depend on, from what only these do.

    Raises:
        UsageError: if the model cannot generate.
    """
    subject, encoder = work.subject, work.encoder
    reference, held = subject.reference, subject.generated
    if reference is None or (bank is None and held is None and not (work.generates and work.wants("generated"))):
        return None
    told = None if subject.reference_set is None else subject.reference_set.labels
    by = "anchors" if told is None else "reference"
    given = subject.anchors if told is None else reference  # its set is without copies, as it is
    told = told or subject.anchor_set.labels
    if told is None or not 1 < len(set(told)) <= MOST_LABELS:
        return None
    rows, size = some_rows(len(given), work.seed), work.modes_size
    labels: list[str | int] = [told[int(row)] for row in rows]

    def compute() -> Arrays:
        if bank is not None:
            made = bank.points(encoder)  # which criteria may have asked for
        else:
            some = work.drawn(0, size)["samples"] if held is None else held.rows(some_rows(len(held), work.seed))
            made = points_of(some, encoder)
        real = None if by == "reference" else points_of(reference.rows(some_rows(len(reference), work.seed)), encoder)
        found = ModesRecord(
            space=space_of(encoder), labelled_by=by, labelled=len(rows), generated=len(made),
            real=len(rows if real is None else real),
            rows=labels_made(
                points_of(given.rows(rows), encoder), labels, made, real,
                rng=generator(work.seed, "modes"),
            ),
        )  # fmt: skip
        return {"modes": as_bytes([found.model_dump(mode="json")])}

    about, key = identified(encoder, work.run_name), None
    if about is not None:
        samples = [digest_of(given), digest_of(reference)]
        key = key_of(encoder=about, samples=samples, labels=list(map(str, labels)), size=size)
    for part in recorder.run([Shard(key, compute)]):
        return ModesRecord.model_validate(of_bytes(part["modes"])[0])
    return None


def check_modes(modes: ModesRecord | None) -> tuple[Warned, ...]:
    """Say which labels of real samples the model does not make, by the labels of what its samples are nearest to."""
    if modes is None or not modes.dropped:
        return ()
    said = [
        f"{each.label}: {each.generated:,} of {modes.generated:,} samples are read as one, as {each.astray:.1%} "
        f"of real samples of other labels are; {each.real:,} of {modes.real:,} of the reference are one. At most "
        f"{each.most:.0%} as many"
        for each in modes.dropped[:MOST_NAMED]
    ]
    more = len(modes.dropped) - len(said)
    rest = f". And {more} more" if more else ""
    text = (
        f"The model makes none of these labels, or hardly any. {'. '.join(said)}{rest}. Read by the nearest of "
        f"{modes.labelled:,} labelled samples of the {modes.labelled_by}, by {modes.space}; errors of reading are "
        "taken off, and the bounds hold with 95% for all labels at once."
    )
    return (Warned(code="modes-dropped", text=text),)
