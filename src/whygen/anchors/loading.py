"""Model, anchors and reference, loaded and made to fit; what cannot work is refused here, before it costs time."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whygen.anchors.calibrating import settle_kind
from whygen.anchors.calibration import require_enough
from whygen.anchors.choosing import by_name
from whygen.anchors.copies import Rows, check_shared, once
from whygen.anchors.data import SampleSet
from whygen.anchors.features import FeatureEncoder
from whygen.anchors.options import AnchorOptions
from whygen.anchors.representing import require_selection
from whygen.anchors.samples import Prepared, Raw, in_range, prepare, require_rows, saturated
from whygen.anchors.scoring import noise_for
from whygen.calls import RunOptions
from whygen.encoders import ImageEncoder
from whygen.errors import DataError, NoNumberError, UsageError, WhygenError
from whygen.models.latent import Floats, Generator, Layout
from whygen.models.protocols import Conditioned
from whygen.plugins import said_of
from whygen.results.anchors_scores import SkippedRecord
from whygen.results.prompt import Warned
from whygen.safe import says

PROBED = 32
"""So many samples of each set are encoded to see whether the posterior is one."""
SURVEYED = 2_000
"""Samples whose values are looked at for their scales."""
NAMED = 5
"""So many skipped files are named in the warning; all are in the details."""
UNCONDITIONED = "unconditioned"
"""The code of the notice that a model which takes conditions has none of these samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What is explained, by what: everything checked and ready for the model.

    ``distinct`` are the anchors that shares are counted over: all but the copies of earlier ones. The reference holds
    no copies; ``reference_rows`` are the places that its samples had as they were given.
    """

    model: Generator
    anchors: Prepared
    anchor_set: SampleSet
    distinct: Rows
    reference: Prepared | None
    reference_set: SampleSet | None
    reference_rows: Rows | None
    generated: Prepared | None = None
    """Samples that the model made, where these are all that is known of it."""
    warnings: tuple[Warned, ...]
    skipped: tuple[SkippedRecord, ...]

    def first(self, n: int) -> Loaded:
        """The first ``n`` anchors alone, where a run ended before the others were scored."""
        rows = np.arange(n)
        return replace(
            self, anchors=self.anchors.only(rows), anchor_set=self.anchor_set.only(rows),
            distinct=self.distinct[self.distinct < n],
        )  # fmt: skip


NO_NUMBER = "the model gives no number for this"
MOST_WITHOUT = 0.1
"""A model that gives no number for more of the anchors, or of the reference, is not asked further."""


def without_numbers(loaded: Loaded, error: NoNumberError) -> Loaded:
    """All but the samples that the model has no number for, where these are few, with a warning that names them.

    Raises:
        NoNumberError: where they are too many to go on without, or none of anchors and reference.
    """
    known = loaded.reference if error.what == "reference sample" else loaded.anchors
    if known is None or error.what not in (known.what, "anchor"):
        raise error
    before = [each for each in loaded.skipped if each.reason.startswith(NO_NUMBER) and each.reason.endswith(error.what)]
    if len(before) + len(error.rows) > MOST_WITHOUT * (len(before) + len(known)):
        raise error
    kept = np.setdiff1d(np.arange(len(known)), error.rows)
    source = loaded.reference_set if known is loaded.reference else loaded.anchor_set
    assert source is not None  # noqa: S101 - what is known of the samples is of a set
    names = [source.name(row) for row in error.rows]
    text = (
        f"The model gives no number for {len(names):,} of {len(known):,} {error.what}s ({', '.join(names[:NAMED])}"
        f"{' ...' if len(names) > NAMED else ''}), and they are left out. {error} The others' results are kept; their "
        "names are those of before, their numbers count what is left."
    )
    less = replace(source.only(kept), names=tuple(source.name(row) for row in kept.tolist()))
    loaded = replace(
        loaded, warnings=(*loaded.warnings, Warned(code="no-number", text=text)),
        skipped=(*loaded.skipped, *(SkippedRecord(name=each, reason=f"{NO_NUMBER} {error.what}") for each in names)),
    )  # fmt: skip
    if known is loaded.anchors:
        distinct = np.flatnonzero(np.isin(kept, loaded.distinct))
        return replace(loaded, anchors=known.only(kept), anchor_set=less, distinct=distinct)
    rows = None if loaded.reference_rows is None else loaded.reference_rows[kept]
    return replace(loaded, reference=known.only(kept), reference_set=less, reference_rows=rows)


def open_subject(
    model: Generator,
    anchors: SampleSet,
    reference: SampleSet | None,
    *,
    loader: str = "as-is",
    generated: SampleSet | None = None,
) -> Loaded:
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
    settled = in_range(settled, anchors.samples, None if reference is None else reference.samples)
    ready = prepare(anchors.samples, settled, layout=anchors.layout)
    known = None
    if reference is not None:
        known = prepare(reference.samples, settled, layout=reference.layout, what="reference sample")
    made = None
    if generated is not None:
        made = prepare(generated.samples, settled, layout=generated.layout, what="generated sample")
    sources = (anchors, reference, generated)
    said = [each for source in sources if source is not None for each in source.told]
    said += [Warned(code=code, text=text) for code, text in settled.notices]
    warnings = [*ready.warnings, *(known.warnings if known else ()), *_few(ready), *_skipped(*sources), *said]
    distinct, told = once(ready, anchors)
    warnings += told
    rows = None
    if known is not None and reference is not None:
        rows, told = once(known, reference)
        warnings += [*told, *check_shared(ready, known, anchors, reference)]
        known, reference = known.only(rows), reference.only(rows)
    return Loaded(
        model=settled,
        anchors=saturated(ready) if loader == "saturating" else ready,
        anchor_set=anchors,
        distinct=distinct,
        reference=known,
        reference_set=reference,
        reference_rows=rows,
        generated=made,
        warnings=tuple(warnings),
        skipped=tuple(
            SkippedRecord(name=each.name, reason=each.reason)
            for source in sources
            if source is not None
            for each in source.skipped
        ),
    )


def require_sets(plan: AnchorOptions, subject: Loaded) -> None:
    """Refuse set metrics that were asked for by name and cannot be had, before anything is scored.

    Raises:
        UsageError: if there is no reference, or the model generates nothing.
    """
    if plan.metrics in ("auto", "none"):
        return
    if subject.reference is None:
        raise UsageError(f"metrics={plan.metrics!r} compares generated samples with a reference; give reference=.")
    if subject.generated is None and "samples" not in subject.model.abilities:
        raise UsageError(
            f"metrics={plan.metrics!r} needs generated samples, and {subject.model.uri} makes none; give a model with "
            "a sampler, or metrics='none'."
        )


def require_posterior(subject: Loaded) -> None:
    """Try a few samples of each set on the model: the first that it encodes, once all else is known to be in order.

    Raises:
        UsageError: if what `encode` returns may be something else than a log-variance.
    """
    if subject.model.encode is None:
        return
    few = slice(0, min(PROBED, subject.anchors.batch_size))
    sets = (subject.anchors, subject.reference)
    tried = np.concatenate([each.rows(few) for each in sets if each is not None])
    with said_of(subject.model.encode, f"encode of {subject.model.uri}", advice=f"It was given {len(tried)} samples."):
        subject.model.require_log_variance(tried)


ALONE = 0.95
"""The part of the variance that one value has where it decides distances."""


def check_scales(samples: Prepared) -> tuple[Warned, ...]:
    """Warn where one value of each sample, such as a column in another unit, decides every distance.

    For criteria that compare samples value by value.
    """
    if samples.image is not None or len(samples.shape) != 1 or samples.shape[0] < 2 or len(samples) < 2:
        return ()
    variances = samples.rows(slice(0, min(len(samples), SURVEYED))).astype(np.float64).var(axis=0)
    total, place = float(variances.sum()), int(variances.argmax())
    if total == 0 or variances[place] < ALONE * total:
        return ()
    text = (
        f"Value {place} of each sample has {variances[place] / total:.1%} of the variance of all {len(variances)} "
        "values, so distances between samples are hardly more than differences in it. If the values have different "
        "units, scale them (to equal variances) in the samples of the model, the anchors and the reference alike."
    )
    return (Warned(code="one-value-decides", text=text),)


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
    what = "1 file or row" if len(skipped) == 1 else f"{len(skipped)} files or rows"
    text = f"{what} could not be used and {'was' if len(skipped) == 1 else 'were'} skipped: {shown}{more}."
    return [Warned(code="skipped-files", text=text)]


def _reshaping(given: tuple[int, ...], decoded: tuple[int, ...]) -> str:
    """What to do where a model gives as many values back in another shape."""
    if math.prod(given) != math.prod(decoded):
        return ""
    shape = ", ".join(map(str, decoded[1:]))
    stated = f"({shape}{',' if len(decoded) == 2 else ''})"
    return f" (give anchors and reference so: array.reshape(-1, {shape}), or state shape={stated})"


def settle(model: Generator, samples: Raw, *, layout: Layout | None = None, pictures: bool = False) -> Generator:
    """The model with its sample shape and latent size known: stated, or found by trying one sample.

    A model that states no shape is offered the first sample as (channels, height, width), as it is, and flat: what
    it encodes and decodes to the same shape is what it takes. ``pictures``: the samples were read from pictures, which
    ``mode`` converts.

    Raises:
        DataError: if it takes none of these.
    """
    probe = np.zeros(
        (1, *np.shape(samples)[1:]), np.uint8
    )  # zero in any range, and nothing of the user's to complain of
    if model.encode is None:
        return _without_encoder(model, probe, layout)
    if model.shape is not None:
        return _with_latent(model, prepare(probe, model, layout=layout).rows(slice(0, 1)))
    failures: list[str] = []
    for attempt in _attempts(model, probe, layout):
        one = prepare(probe, attempt, layout=layout).rows(slice(0, 1))
        try:
            mean, _ = attempt.encoded(one)
            decoded = one.shape if attempt.decode is None else np.shape(attempt.decode(np.asarray(mean)))
            if decoded == one.shape:
                return replace(attempt, shape=one.shape[1:], latent_dim=int(np.shape(mean)[1]))
            failures.append(f"{one.shape[1:]}: decoded to {decoded[1:]}{_reshaping(one.shape, decoded)}")
        except WhygenError:
            raise
        except Exception as error:  # the model is foreign code: whatever it raises is its answer
            failures.append(f"{one.shape[1:]}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    raise DataError(
        f"The model {model.uri} takes no anchors of shape {np.shape(samples)[1:]}. Tried {'; '.join(failures)}. "
        f"Give anchors of the model's shape, or state its shape and layout.{_greyed(samples) if pictures else ''}"
    )


def _without_encoder(model: Generator, probe: Raw, layout: Layout | None) -> Generator:
    """The shape that a model makes samples of, or takes them in to tell their density; stated, or found by trying.

    Raises:
        DataError: if what it generates has another size than the anchors, or it takes none of their shapes.
    """
    if model.shape is not None or model.samples is not None or model.denoiser is not None:
        return model if model.shape is not None else _as_given(model, probe, layout)
    if "samples" in model.abilities:
        try:
            made = np.shape(model.sample(2, np.random.default_rng(0)))
        except WhygenError:
            raise
        except Exception as error:  # the model is foreign code: whatever it raises is its answer
            raise DataError(f"The model {model.uri} does not generate: {says(error).rstrip('.')}.") from error
        return replace(model, shape=tuple(made[1:]))
    assert model.log_prob is not None  # noqa: S101 - what else could it do?
    failures: list[str] = []
    for attempt in _attempts(model, probe, layout):
        one = prepare(probe, attempt, layout=layout).rows(slice(0, 1))
        try:
            found = np.shape(model.log_prob(one))
            if found == (1,):
                return replace(attempt, shape=one.shape[1:])
            failures.append(f"{one.shape[1:]}: log_prob gave shape {found}")
        except Exception as error:
            failures.append(f"{one.shape[1:]}: {says(error).rstrip('.')}")
    raise DataError(
        f"The model {model.uri} tells no density of anchors of shape {probe.shape[1:]}. Tried {'; '.join(failures)}. "
        "Give anchors of the model's shape, or state its shape and layout. log_prob gets several samples, (n, ...), "
        "and gives a number for each, (n,)."
    )


def _as_given(model: Generator, probe: Raw, layout: Layout | None) -> Generator:
    """The shape that anchors have as they are."""
    return replace(model, shape=prepare(probe, model, layout=layout).shape)


def _greyed(samples: Raw) -> str:
    return " If it takes grey pictures, give mode='L'." if np.shape(samples)[-1] == 3 else ""


def _attempts(model: Generator, probe: Raw, layout: Layout | None) -> list[Generator]:
    """Layouts to try. Flattening several channels is not tried: nobody can tell in which order the model wants them."""
    if model.layout is not None or probe.ndim not in (3, 4) or layout == "flat":
        return [model]
    one_channel = probe.ndim == 3 or 1 in (probe.shape[1], probe.shape[-1])
    layouts: list[Layout | None] = [model.prefers, None, "flat" if one_channel else None]
    return [replace(model, layout=each) for each in dict.fromkeys(layouts)]


def _with_latent(model: Generator, one: Floats) -> Generator:
    """Encode one sample: the size of the latent, and an early answer on whether the model takes such samples."""
    try:
        mean, _ = model.encoded(one)
    except WhygenError:
        raise
    except Exception as error:  # the model is foreign code: whatever it raises is its answer
        raise DataError(
            f"The model {model.uri} does not encode samples of shape {one.shape[1:]}: {error}. "
            "Give anchors of the model's shape, or state its shape and layout."
        ) from error
    return replace(model, latent_dim=int(np.shape(mean)[-1]))


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
        by_name(plan.criteria, encoder if callable(encoder) else None, given=encoder is not None)
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


def require_distinct(plan: AnchorOptions, subject: Loaded) -> None:
    """The same of the reference without its copies: a person who gave 200 samples should hear why there are 40.

    Raises:
        UsageError: if these are too few.
    """
    try:
        require_reference(plan, None if subject.reference is None else len(subject.reference))
    except UsageError as error:
        copies = [each.text for each in subject.warnings if each.code == "duplicate-reference"]
        raise UsageError(" ".join([str(error), *copies])) from error


def require_generated(kind: str, plan: AnchorOptions, subject: Loaded) -> None:
    """Refuse thresholds from generated samples where nothing (more) can be generated.

    Raises:
        UsageError: says to give a reference.
    """
    needs = kind == "mean-max" or (kind in ("percentile", "std") and subject.reference is None)
    model = subject.model
    if needs and ("samples" not in model.abilities or model.samples is not None):
        asked = "" if plan.calibration == "auto" else f"calibration={plan.calibration!r}: "
        raise UsageError(
            f"{asked}Without a reference thresholds come from what the model generates, and nothing more can be "
            f"generated by {model.uri}. Give reference=: real samples that the model has not seen."
        )


def require_classes(
    classifier: Callable[..., Any] | None, trained: Sequence[Hashable] | None, reference: SampleSet | None
) -> None:
    """Refuse a classifier where nobody says what the model was trained on, and labels that are none.

    Raises:
        UsageError: if neither ``trained`` nor the labels of the reference tell; if one of ``trained`` is no label.
    """
    strange = [each for each in trained or () if not isinstance(each, str | int | np.integer)]
    if strange:
        raise UsageError(f"trained= holds a {type(strange[0]).__name__}: give labels, each a text or a whole number.")
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
