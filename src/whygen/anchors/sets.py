"""Set metrics of a run: which, of what samples, in what space; see `whygen.anchors.set_metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from whygen.anchors.bank import points_of, space_of
from whygen.anchors.recording import Arrays, Recorder, Shard, as_bytes, digest_of, identified, of_bytes
from whygen.anchors.set_metrics import MOST, survey_sets, wanted_metrics
from whygen.anchors.work import Work
from whygen.results.anchors_scores import MetricsRecord
from whygen.stats.seeds import generator
from whygen.types import JsonValue


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
    known = reference.rows(np.arange(min(len(reference), MOST)))
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
        key = key_of(names=list(names), encoder=encoder, samples=digest_of(reference), size=work.bank_size)
    for part in recorder.run([Shard(key, compute)]):
        return MetricsRecord.model_validate(of_bytes(part["metrics"])[0])
    return None
