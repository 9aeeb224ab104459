"""Puts findings into a `PromptExplanation`: figures of fidelity and noise, warnings, versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from whygen.encoders import load_timed_encoder
from whygen.errors import MissingExtraError
from whygen.models import timed_kind
from whygen.prompt import fidelity, intervals, scales, stopping
from whygen.prompt.asking import Asker
from whygen.prompt.distributions import mean_distances, shift_p_values
from whygen.prompt.drawn import picture_notices
from whygen.prompt.findings import Findings
from whygen.prompt.intervals import FEWEST_GROUPS, cross_fit
from whygen.prompt.noise import resolution
from whygen.prompt.plan import Plan
from whygen.prompt.recipe import recipe_of
from whygen.prompt.surrogates import Surrogate
from whygen.prompt.targets import Compares, Timed
from whygen.prompt.timeline import media_evidence
from whygen.prompt.warnings import Signs, warn
from whygen.prompt.where import picture_evidence
from whygen.results.media import MediaEvidence
from whygen.results.pictures import PictureEvidence
from whygen.results.prompt import (
    Calls,
    Evidence,
    Fidelity,
    IntervalRecord,
    Noise,
    PromptExplanation,
    Reference,
    Sample,
    TargetRecord,
    UnitAttribution,
)
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.seeds import generator
from whygen.types import Output, Request
from whygen.version import __version__, versions

LEVEL = 0.95
FALSE_DISCOVERY = 0.05

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "POT", "torch", "transformers", "sentence-transformers")


def assemble(asker: Asker, findings: Findings, plan: Plan, *, seed: int) -> PromptExplanation:
    """The explanation as plain data, with its evidence."""
    predicted, figures = _fidelity(findings, plan.surrogate, seed)
    tally = asker.runner.tally
    media, missing = _media(asker, findings)
    whole = Request(prompt=asker.units.prompt, settings=asker.settings)
    drawn = picture_notices(asker.model, whole, findings.whole.references)
    notices, target = (
        (*missing, *drawn, *asker.runner.notices, *asker.operator.notices, *asker.units.notices),
        asker.target,
    )
    signs = Signs(
        asker.samples, asker.failures, findings, figures, target, notices, tally.asked, asker.outputs,
        asker.units.texts, predicted,
    )  # fmt: skip
    return PromptExplanation(
        whygen=__version__,
        preset=plan.options.preset,
        model=asker.model.uri,
        prompt=asker.units.text,
        reference=Reference(text=findings.whole.references[0].text, n=len(findings.whole.references)),
        units=_attributions(asker, findings),
        estimand=plan.options.estimand,
        keep=findings.design.keep,
        target=_target_record(asker, plan),
        operator=asker.operator.name,
        design=findings.design.name,
        masks="enumerated" if findings.design.enumerated else "sampled",
        interval=IntervalRecord(level=LEVEL, method=findings.estimate.method),
        fidelity=figures,
        noise=Noise(
            repeats=len(findings.whole.fresh) or len(findings.whole.repeats),
            level=max(0.0, -findings.whole.effect) if isinstance(asker.target, Compares) else None,
            differs=findings.whole.differs,
            source=findings.noise.source,
            compared=findings.noise.repeats,
            changed=findings.noise.odd,
        ),
        calls=Calls(asked=tally.asked, made=tally.made, cached=tally.cached, failed=tally.failed),
        seed=seed,
        versions=versions(_LIBRARIES),
        warnings=warn(signs),
        settings=cast(dict[str, Any], asker.settings.to_json()),
        pinned=asker.units.pinned,
        sections=asker.units.sections,
        surrogate=plan.surrogate.name,
        stopped=findings.seen.stopped,
        advice=_advice(findings, plan),
        p_shift=_p_shift(asker, findings, plan, seed),
        evidence=Evidence(
            masks=findings.observed.masks,
            effects=findings.observed.values,
            predicted=predicted,
            groups=findings.observed.groups,
            samples=_samples(asker, findings),
            pictures=_pictures(asker, findings),
            media=media,
            answers=_answers(asker, findings),
            nearness=findings.observed.nearness,
        ),
        recipe=recipe_of(asker, plan, findings.design, findings.whole.steadiness),
    )


def _media(asker: Asker, findings: Findings) -> tuple[MediaEvidence | None, Sequence[tuple[str, str]]]:
    """The sounds or videos that came back, with a timeline for each unit; and why there is none, if that is so."""
    encoder = asker.target.encoder if isinstance(asker.target, Timed) else None
    kind = timed_kind(asker.model)
    if encoder is None and kind is not None:
        encoder = load_timed_encoder(kind)
    gather = partial(
        media_evidence,
        asker.outputs,
        masks=findings.observed.masks,
        answers=[asker.answers.get(row, []) for row in findings.rows],
        pairs=findings.observed.complement_pairs(),
        exhaustive=findings.design.enumerated and not findings.whole.differs,
    )
    try:
        return gather(encoder=encoder), ()
    except MissingExtraError as error:
        return gather(encoder=None), [("no-timeline", f"There is no timeline: {error}")]


def _target_record(asker: Asker, plan: Plan) -> TargetRecord:
    """What was measured; in distributional mode the distance between sets is named before the one between outputs."""
    record = scales.unit_of(plan.options.scale, asker.target.record)
    name = plan.options.distribution
    if name is None:
        return record
    sets = f"{name} between sets of {plan.options.draws} draws and {plan.options.references} references, on "
    return record.model_copy(update={"distance": sets + record.distance})


def _advice(findings: Findings, plan: Plan) -> str | None:
    """What more calls would buy, where masks were sampled."""
    interval, design = findings.estimate.interval, findings.design
    if interval is None or design.enumerated or plan.options.estimand not in {"banzhaf", "shapley"}:
        return None
    pairs = len(np.unique(findings.observed.groups))
    own = intervals.noise_of_score(findings.noise.variance or 0.0, keep=design.keep)
    return stopping.advice(
        (interval.high - interval.low) / 2.0, pairs=pairs, draws=plan.options.draws, population=design.population,
        noise=own, size=float(np.abs(interval.estimate).max()),
    ).sentence  # fmt: skip


def _p_shift(asker: Asker, findings: Findings, plan: Plan, seed: int) -> tuple[float, ...] | None:
    """Permutation p-values of a shift of the output's law, in distributional mode on complement pairs."""
    if plan.options.distribution is None or (pairs := findings.observed.complement_pairs()) is None:
        return None
    first, second = pairs
    order = np.column_stack([first, second]).ravel()
    answers = [asker.answers[findings.rows[row]] for row in order.tolist()]
    distances = mean_distances(asker.target, answers)
    signs = np.where(findings.observed.masks[first], 1, -1)
    return tuple(shift_p_values(distances, signs, generator(seed, "shift")).tolist())


def _samples(asker: Asker, findings: Findings) -> tuple[Sample, ...]:
    """Samples with the row of the evidence that they belong to; a row that a failed call took away has none."""
    alive = {row: index for index, row in enumerate(findings.rows)}
    placed = [replace(one, mask=None if one.mask is None else alive.get(one.mask)) for one in asker.samples]
    if len(asker.outputs) != len(placed):  # the samples of several prompts, whose answers each asker keeps
        return tuple(placed)
    return tuple(_told(sample, output) for sample, output in zip(placed, asker.outputs, strict=True))


def _told(sample: Sample, output: Output) -> Sample:
    """The sample with what its output holds beside the text: whoever reads it by another target may ask for it."""
    scores = None if output.scores is None else tuple((s.start, s.end, s.logprob) for s in output.scores)
    return replace(sample, scores=scores, extra=dict(output.extra) or None)


def _answers(asker: Asker, findings: Findings) -> NDArray[np.int64] | None:
    """Which samples answered each mask ``(m, draws)``, -1 where there are fewer; masks sent alike share them."""
    if len(asker.outputs) != len(asker.samples):
        return None
    place = {id(output): place for place, output in enumerate(asker.outputs)}
    rows = [
        [place[id(output)] for output in asker.answers.get(row, []) if id(output) in place] for row in findings.rows
    ]
    found = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for row, places in enumerate(rows):
        found[row, : len(places)] = places
    return found


def _pictures(asker: Asker, findings: Findings) -> PictureEvidence | None:
    """The pictures that were drawn, and where each unit changed them; None when the answers are texts."""
    return picture_evidence(
        asker.units,
        asker.outputs,
        masks=findings.observed.masks,
        answers=[asker.answers.get(row, []) for row in findings.rows],
        pairs=findings.observed.complement_pairs(),
        exhaustive=findings.design.enumerated and not findings.whole.differs,
    )


def _attributions(asker: Asker, findings: Findings) -> tuple[UnitAttribution, ...]:
    estimate = findings.estimate
    values, interval, p_values, band = estimate.attributions, estimate.interval, estimate.p_values, estimate.band
    significant = _significant(findings)
    return tuple(
        UnitAttribution(
            text=text,
            start=start,
            end=end,
            attribution=float(values[i]),
            low=None if interval is None else float(interval.low[i]),
            high=None if interval is None else float(interval.high[i]),
            p_value=None if p_values is None else float(p_values[i]),
            significant=None if significant is None else bool(significant[i]),
            band_low=None if band is None else float(band.low[i]),
            band_high=None if band is None else float(band.high[i]),
        )
        for i, (text, (start, end)) in enumerate(zip(asker.units.texts, asker.units.spans, strict=True))
    )


def _significant(findings: Findings) -> NDArray[np.bool_] | None:
    """Benjamini-Hochberg over p-values at 5%; without, an interval that excludes zero; None where none was tested."""
    estimate = findings.estimate
    if estimate.p_values is not None:
        return benjamini_hochberg(estimate.p_values, level=FALSE_DISCOVERY)
    if estimate.interval is None:
        return None
    rounding = 4.0 * resolution(findings.observed.values)
    return (estimate.interval.low > rounding) | (estimate.interval.high < -rounding)


def _fidelity(findings: Findings, surrogate: Surrogate, seed: int) -> tuple[NDArray[np.float64], Fidelity]:
    """Held-out predictions ``(m,)`` and the figures of fidelity; None where there are too few groups for folds."""
    observed = findings.observed
    ceiling = fidelity.noise_ceiling(observed.values, findings.noise)
    if len(np.unique(observed.groups)) < FEWEST_GROUPS or findings.design.name == "leave-one-out":
        return np.full(len(observed), np.nan), _figures(ceiling)
    predicted, fitted = findings.estimate.predicted, findings.estimate.fitted
    if predicted is None:  # an estimate that needed no folds, such as one from all masks
        fit = cross_fit(observed, surrogate, generator(seed, "folds"))
        predicted, fitted = fit.predicted, fit.fitted
    fitted = surrogate.fit(observed).predict(observed.masks) if fitted is None else fitted
    chance = fidelity.chance_level(observed, surrogate, generator(seed, "chance"))
    return predicted, _figures(
        ceiling,
        r2_heldout=fidelity.r_squared(observed.values, predicted, observed.nearness),
        r2_insample=fidelity.r_squared(observed.values, fitted, observed.nearness),
        r2_chance=None if chance is None else chance.mean,
        r2_chance_p95=None if chance is None else chance.p95,
    )


def _figures(
    ceiling: fidelity.Ceiling | None,
    *,
    r2_heldout: float | None = None,
    r2_insample: float | None = None,
    r2_chance: float | None = None,
    r2_chance_p95: float | None = None,
) -> Fidelity:
    """The record of these figures, with the best that the model's noise allows."""
    return Fidelity(
        r2_heldout=r2_heldout,
        r2_insample=r2_insample,
        r2_chance=r2_chance,
        r2_chance_p95=r2_chance_p95,
        noise_ceiling=None if ceiling is None else ceiling.value,
        noise_ceiling_low=None if ceiling is None else ceiling.low,
        noise_ceiling_high=None if ceiling is None else ceiling.high,
    )
