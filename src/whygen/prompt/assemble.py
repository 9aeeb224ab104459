"""Puts findings into a `PromptExplanation`: figures of fidelity and noise, matrix and sets, warnings, versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from whygen.calls import EndedError, Interrupted
from whygen.encoders import load_timed_encoder
from whygen.errors import MissingExtraError
from whygen.prompt import fidelity, intervals, stopping
from whygen.prompt.answers import Answers
from whygen.prompt.asker import Asker
from whygen.prompt.distributions import mean_distances, shift_p_values
from whygen.prompt.findings import Findings, estimate_of, interactions, sets
from whygen.prompt.intervals import FEWEST_GROUPS, cross_fit
from whygen.prompt.maps import Pairs, media_evidence, picture_evidence
from whygen.prompt.noise import resolution
from whygen.prompt.pictured import PicturedUnits, seen_evidence
from whygen.prompt.proxy import proxy_record
from whygen.prompt.reading import unit_of
from whygen.prompt.recipe import recipe_of
from whygen.prompt.sentences import sentence_matrix
from whygen.prompt.surrogates import one_thread
from whygen.prompt.targets import Compares, Timed
from whygen.prompt.units import chat_record, shown
from whygen.prompt.warnings import Signs, warn
from whygen.prompt.why.verdict import ask_alone, judge, told
from whygen.results.evidence import Evidence, Sample
from whygen.results.media import MediaEvidence, PictureEvidence
from whygen.results.prompt import (
    Calls,
    Fidelity,
    InteractionRecord,
    IntervalRecord,
    Noise,
    PromptExplanation,
    Reference,
    TargetRecord,
    UnitAttribution,
    Warned,
)
from whygen.results.records import PictureShare, ProxyRecord
from whygen.stats.intervals import Interval
from whygen.stats.multiplicity import benjamini_hochberg
from whygen.stats.seeds import generator
from whygen.texts import counted
from whygen.types import Chat, Floats, Masks, Output, Picture
from whygen.version import __version__, versions

LEVEL = 0.95
FALSE_DISCOVERY = 0.05

_LIBRARIES = (
    "numpy", "scipy", "scikit-learn", "POT", "torch", "transformers", "sentence-transformers", "diffusers", "openai",
    "anthropic",
)  # fmt: skip


def explained(found: Findings, asker: Asker | None = None, *, further: int = 0) -> PromptExplanation:
    """Findings in words.

    Args:
        found: what one reading of the answers says.
        asker: of further masks; None where nothing more may be asked.
        further: calls that may be made beside the masks: to send accused parts alone, or to shrink sets of units.
    """
    options = found.plan.options
    with one_thread():
        why = None if options.suspect is None else judge(found, suspect=options.suspect)
    if why is not None and why.verdict == "open" and asker is not None and further and found.answers.ended is None:
        ask_alone(asker, [part.unit for part in why.accused], times=further)
        found, further = replace(found, answers=asker.updated(found.answers)), 0
        with one_thread():
            why = judge(found, suspect=options.suspect or ())
    # Of an action that never came no parts can be shown that keep it, or that it goes with.
    came = why is None or why.verdict != "nothing"
    few = sets(found, asker, further=further) if options.sets is not None and came else None
    if asker is not None:  # shrinking sets may have asked more
        found = replace(found, answers=asker.updated(found.answers))
    matrix = None
    with one_thread():
        if options.matrix != "none":
            matrix = sentence_matrix(found.answers, found.target, lambda meter: estimate_of(found, meter))
        whole = assemble(found, acting=interactions(found))
    update = {"matrix": matrix, "sets": few, "why": why and told(why, few)}
    return partial(whole.model_copy(update=update), found.answers)


def without_calls(explanation: PromptExplanation) -> PromptExplanation:
    """An explanation that was read again: it asked the same, and made no call."""
    calls = explanation.calls
    kept = Calls(asked=calls.asked, made=0, cached=calls.asked, failed=calls.failed)
    return explanation.model_copy(update={"calls": kept})


def partial(explanation: PromptExplanation, answers: Answers) -> PromptExplanation:
    """The explanation of a run that ended early, saying so.

    Raises:
        Interrupted: with it, if a person ended the run.
    """
    ended = answers.ended
    if ended is None:
        return explanation
    early = isinstance(ended, EndedError)
    why = str(ended) if early else f"Interrupted. {answers.kept}".strip()
    text = f"{why} The run ended early, and this is what it had by then: {counted(explanation.calls.asked, 'call')}."
    warnings = (Warned(code="ended-early", text=text), *explanation.warnings)
    found = explanation.model_copy(update={"warnings": warnings, "ended": ended.reason if early else "interrupt"})
    if isinstance(ended, KeyboardInterrupt):
        raise Interrupted(found) from None
    return found


def assemble(findings: Findings, *, acting: tuple[InteractionRecord, ...] = ()) -> PromptExplanation:
    """The explanation as plain data, with its evidence, and with the pairs of units that were found to act together."""
    answers, effects, plan = findings.answers, findings.effects, findings.plan
    predicted, figures = _fidelity(findings)
    media, missing = _media(findings)
    samples = tuple(_samples(findings))
    signs = Signs(samples, findings, figures, (*missing, *answers.notices), predicted, acting)
    return PromptExplanation(
        whygen=__version__,
        preset=plan.options.preset,
        model=answers.model.uri,
        prompt=answers.units.text,
        reference=Reference(text=answers.references[0].said, n=len(answers.references)),
        units=_attributions(findings),
        estimand=plan.estimand.name,
        keep=findings.design.keep,
        target=_target_record(findings),
        operator=answers.operator.name,
        design=findings.design.name,
        masks="enumerated" if findings.design.enumerated else "sampled",
        interval=IntervalRecord(level=LEVEL, method=findings.estimate.method),
        fidelity=figures,
        noise=Noise(
            repeats=len(answers.repeats) or len(effects.whole),
            level=max(0.0, -effects.at_whole) if isinstance(findings.target, Compares) else None,
            differs=answers.differs,
            source=effects.noise.source,
            compared=effects.noise.repeats,
            changed=effects.noise.odd,
        ),
        calls=answers.calls,
        seed=findings.seed,
        versions=versions(_LIBRARIES),
        warnings=warn(signs),
        settings=cast(dict[str, Any], answers.settings.to_json()),
        pinned=answers.units.pinned,
        sections=answers.units.sections,
        chat=chat_record(answers.units),
        interactions=acting,
        picture_share=picture_share(findings),
        proxy=_proxy(findings),
        surrogate=plan.surrogate.name,
        stopped=answers.stopped,
        advice=_advice(findings),
        p_shift=_p_shift(findings),
        evidence=Evidence(
            masks=effects.masks,
            effects=effects.values,
            predicted=predicted,
            groups=effects.groups,
            samples=samples,
            pictures=_pictures(findings),
            media=media,
            answers=_answers(findings),
            nearness=effects.nearness,
            proxy=None if findings.proxy is None else findings.proxy.evidence,
            images=_images(findings),
        ),
        recipe=recipe_of(answers, findings.target, plan),
    )


def _images(findings: Findings) -> tuple[Picture, ...]:
    """The images of the chat, each once."""
    prompt = findings.answers.units.prompt
    messages = prompt.messages if isinstance(prompt, Chat) else ()
    return tuple({image.data: image for each in messages for image in each.images if image.data}.values())


def _proxy(findings: Findings) -> ProxyRecord | None:
    if findings.proxy is None:
        return None
    return proxy_record(findings.proxy, findings.effects, findings.estimate)


def _outputs(findings: Findings) -> list[Output]:
    return [one.output for one in findings.answers.log]


class _ByMask(TypedDict):
    masks: Masks
    answers: Sequence[Sequence[Output]]
    pairs: Pairs | None
    exhaustive: bool


def _by_mask(findings: Findings) -> _ByMask:
    """What maps and timelines are made of: the answers to each mask."""
    answers = findings.answers
    return _ByMask(
        masks=findings.effects.masks,
        answers=[answers.of(row) if answers.first else () for row in findings.effects.rows],
        pairs=findings.effects.complement_pairs(),
        exhaustive=findings.design.enumerated and not answers.differs,
    )


def _pictures(findings: Findings) -> PictureEvidence | None:
    """The pictures that were drawn, and where each unit changed them; of texts, those that went in as units."""
    units, outputs = findings.answers.units, _outputs(findings)
    if all(output.picture is None for output in outputs):
        return seen_evidence(units, len(outputs)) if isinstance(units, PicturedUnits) else None
    return picture_evidence(units, outputs, **_by_mask(findings))


def _media(findings: Findings) -> tuple[MediaEvidence | None, Sequence[tuple[str, str]]]:
    """The sounds or videos that came back, with a timeline for each unit; and why there is none, if that is so."""
    outputs = _outputs(findings)
    if all(output.sound is None and output.frames is None for output in outputs):
        return None, ()
    encoder = findings.target.encoder if isinstance(findings.target, Timed) else None
    if encoder is None:
        encoder = load_timed_encoder("sound" if findings.answers.answers_with == "sound" else "frames")
    try:
        return media_evidence(outputs, encoder=encoder, **_by_mask(findings)), ()
    except MissingExtraError as error:
        found = media_evidence(outputs, encoder=None, **_by_mask(findings))
        return found, [("no-timeline", f"There is no timeline: {error}")]


def _target_record(findings: Findings) -> TargetRecord:
    """What was measured; in distributional mode the distance between sets is named before the one between outputs."""
    options = findings.plan.options
    record = unit_of(options.scale, findings.target.record)
    if options.distribution is None:
        return record
    sets = f"{options.distribution} between sets of {options.draws} draws and {options.references} references, on "
    return record.model_copy(update={"distance": sets + record.distance})


_EVERY_MASK = (
    "Every mask was asked. The intervals are what repeats that agreed do not rule out as noise: if equal questions get "
    "equal answers, say so with model_noise='none' (--model-noise none), and they have no width."
)


def _advice(findings: Findings) -> str | None:
    """What more calls would buy, where masks were sampled."""
    interval, design, options = findings.estimate.interval, findings.design, findings.plan.options
    if interval is None or not findings.plan.estimand.scored:
        return None
    if intervals.one_effect(findings.effects) is not None:  # warnings say what helps, and it is no number of such masks
        return None
    if design.enumerated:
        bounded = findings.effects.noise.source == "steady" and bool((interval.high > interval.low).any())
        return _EVERY_MASK if bounded else None
    pairs = len(np.unique(findings.effects.groups))
    own = intervals.noise_of_score(findings.effects.noise.variance or 0.0, keep=design.keep)
    return stopping.advice(
        (interval.high - interval.low) / 2.0, pairs=pairs, draws=options.draws, population=design.population,
        noise=own, size=float(np.abs(interval.estimate).max()), seen=findings.effects.noise.source == "measured",
    ).sentence  # fmt: skip


def _p_shift(findings: Findings) -> tuple[float, ...] | None:
    """Permutation p-values of a shift of the output's law, in distributional mode on complement pairs."""
    effects = findings.effects
    if findings.plan.options.distribution is None or (pairs := effects.complement_pairs()) is None:
        return None
    first, second = pairs
    order = np.column_stack([first, second]).ravel()
    answers = [findings.answers.of(effects.rows[row]) for row in order.tolist()]
    distances = mean_distances(findings.target, answers)
    signs = np.where(effects.masks[first], 1, -1)
    return tuple(shift_p_values(distances, signs, generator(findings.seed, "shift")).tolist())


def _samples(findings: Findings) -> Iterator[Sample]:
    """Every answer with the row of the evidence that it belongs to; a row that a failed call took away has none."""
    alive = {row: index for index, row in enumerate(findings.effects.rows)}
    log = findings.answers.log
    measured = [one.output for one in log if one.kind != "reference"]
    effects = iter(findings.meter(measured).tolist())
    for one in log:
        effect = None if one.kind == "reference" else next(effects)
        output, row = one.output, None if one.row is None else alive.get(one.row)
        scores = None if output.scores is None else tuple((s.start, s.end, s.logprob) for s in output.scores)
        yield Sample(
            one.kind, row, one.draw, shown(one.prompt), output.text, output.finish, effect, scores=scores,
            extra=cast("dict[str, Any]", dict(output.extra)) or None,
            calls=cast("Any", tuple(call.to_json() for call in output.calls)) or None,
        )  # fmt: skip


def _answers(findings: Findings) -> NDArray[np.int64] | None:
    """Which samples answered each mask ``(m, draws)``, -1 where there are fewer; masks sent alike share them."""
    answers = findings.answers
    if not answers.first:  # of several prompts, or of several levels
        return None
    place = {id(one.output): place for place, one in enumerate(answers.log)}
    rows = [[place[id(output)] for output in answers.of(row)] for row in findings.effects.rows]
    found = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for row, places in enumerate(rows):
        found[row, : len(places)] = places
    return found


def _attributions(findings: Findings) -> tuple[UnitAttribution, ...]:
    estimate, units = findings.estimate, findings.answers.units
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
        for i, (text, (start, end)) in enumerate(zip(units.texts, units.spans, strict=True))
    )


def _significant(findings: Findings) -> NDArray[np.bool_] | None:
    """Benjamini-Hochberg over p-values at 5%; without, an interval that excludes zero; None where none was tested."""
    estimate = findings.estimate
    if estimate.p_values is not None:
        return benjamini_hochberg(estimate.p_values, level=FALSE_DISCOVERY)
    if estimate.interval is None:
        return None
    rounding = 4.0 * resolution(findings.effects.values)
    return (estimate.interval.low > rounding) | (estimate.interval.high < -rounding)


def _fidelity(findings: Findings) -> tuple[NDArray[np.float64], Fidelity]:
    """Held-out predictions ``(m,)`` and the figures of fidelity; None where there are too few groups for folds."""
    observed, surrogate, seed = findings.effects, findings.plan.surrogate, findings.seed
    ceiling = fidelity.noise_ceiling(observed.values, observed.noise)
    if len(np.unique(observed.groups)) < FEWEST_GROUPS or not findings.plan.estimand.samples:
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


def picture_share(found: Findings) -> PictureShare | None:
    """What the pictures do together, and as a share of what all units do.

    What units do together is the sum of their attributions, read from the same answers. Its interval is that of the sum
    of their scores, or of their contrasts where every mask was asked. The share's is that of the linear part of the
    ratio (Fieller's line at the estimate): of ``pictures - share * all``, over all.

    None where pictures are no units, or the estimand gives no interval of a sum. The share is None where it means
    nothing: all units together may do nothing, or pictures and words pull apart.
    """
    units = found.answers.units
    spans = [(section.start, section.end) for section in units.sections if section.kind == "image"]
    pictures = np.array([float(any(a <= start and end <= b for a, b in spans)) for start, end in units.spans])
    if not pictures.any():
        return None
    every = np.ones(len(pictures))
    limits = _limits(found, np.stack([pictures, every], axis=1))
    if limits is None:
        return None
    values = found.estimate.attributions
    own, total = float(values @ pictures), float(values.sum())
    low, high = min(float(limits.low[0]), own), max(float(limits.high[0]), own)
    known = limits.low[1] > 0.0 or limits.high[1] < 0.0
    share = own / total if known and total else None
    alone = PictureShare(units=int(pictures.sum()), value=own, low=low, high=high)
    if share is None or not 0.0 <= share <= 1.0:
        return alone
    line = _limits(found, (pictures - share * every)[:, None])
    ends = [0.0] if line is None else [float(line.low[0]) / total, float(line.high[0]) / total, 0.0]
    bounds = {"share_low": max(0.0, share + min(ends)), "share_high": min(1.0, share + max(ends))}
    return alone.model_copy(update={"share": share, **bounds})


def _limits(found: Findings, parts: Floats) -> Interval | None:
    return found.plan.estimand.together(found.effects, found.plan.fitting(found.seed), parts)
