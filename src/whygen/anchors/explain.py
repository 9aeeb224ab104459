"""`explain_anchors`: what a generative model has learned, told by anchors. The steps stand here in their order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import declared
from whygen.anchors.bank import bank_size, require_manifold
from whygen.anchors.calibrating import settle_kind
from whygen.anchors.choosing import choose
from whygen.anchors.criteria import RECONSTRUCTION, Criterion
from whygen.anchors.data import SampleSet, joined, load_samples, require_size_and_mode
from whygen.anchors.densities import check_density
from whygen.anchors.diagnostics import check_reconstructions
from whygen.anchors.features import FeatureEncoder, open_encoder, open_features
from whygen.anchors.loading import (
    Loaded,
    check_scales,
    conditioned,
    open_subject,
    require_classes,
    require_distinct,
    require_generated,
    require_pictures,
    require_plan,
    require_posterior,
    require_reference,
    require_run,
    require_sets,
    without_numbers,
)
from whygen.anchors.memorising import check_roles, parts_by_role, require_reference_role, settle_roles
from whygen.anchors.options import (
    AnchorArguments,
    AnchorChoices,
    AnchorOptions,
    Labels,
    asked_of,
    choose_options,
    takes,
)
from whygen.anchors.reading import Phases, Shown, read_scores
from whygen.anchors.recording import Recorder, identity_of_scores
from whygen.anchors.scores import foresee, score_samples
from whygen.anchors.scoring import ModelAsked, give_back, noise_for
from whygen.anchors.texts.explain import TextForecast, explain_texts, foresee_texts
from whygen.anchors.texts.models import reads_texts, require_samples
from whygen.anchors.ways import draws_posterior, needs_bank
from whygen.anchors.work import AnchorForecast, Work
from whygen.calls import DEFAULT_STORE, Interrupted, Progress, RunOptions, open_store
from whygen.encoders import ImageEncoder, check_image_encoder
from whygen.errors import NoNumberError, UnknownNameError, UsageError, none_of
from whygen.files import is_there
from whygen.models.latent import LAYOUTS, SCALES, Floats, Generator, Layout
from whygen.models.latent.loading import load_latent
from whygen.models.protocols import ModelOptions
from whygen.plugins import already_imported
from whygen.results.anchors import AnchorExplanation
from whygen.results.prompt import Warned
from whygen.results.texts import TextAnchorExplanation
from whygen.types import JsonValue

SAMPLES = "samples/"
"""What stands before a path to samples that a model made."""


@takes(AnchorArguments)
def explain_anchors(
    model: str | object,
    anchors: object,
    *,
    reference: object | None = None,
    reference_role: Literal["held-out", "training"] = "held-out",
    roles: str | Sequence[str] | None = None,
    labels: Labels | None = None,
    twins: object | None = None,
    baseline: object | None = None,
    fdr: float = 0.05,
    preset: str | AnchorOptions | None = None,
    encoder: str | ImageEncoder | FeatureEncoder | None = None,
    classifier: Callable[[Floats], Any] | None = None,
    trained: Sequence[Hashable] | NDArray[Any] | None = None,
    layout: Layout | None = None,
    size: tuple[int, int] | None = None,
    mode: Literal["L", "RGB"] | None = None,
    shape: tuple[int | None, ...] | None = None,
    value_range: tuple[float, float] | None = None,
    scale: Literal["logvar", "std", "var"] | None = None,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> AnchorExplanation | TextAnchorExplanation:
    """Which anchors a generative model knows, how sure each verdict is, and the few that stand for each group.

    Options that are left out or None are as the preset says, and without a preset as `AnchorOptions` says.

    Args:
        model: a URI, a torch module (that encodes and decodes, or makes samples of latents), an object with ``encode``
            and ``decode``, with ``sample``, with ``log_prob`` or ``score_samples``, a `whygen.models.Generator`, or
            samples that the model made: an array, a `SampleSet`, ``samples/PATH``; or a language model that gives
            log-probabilities of a given text (``hf/PATH``, ``openai/NAME`` by completions that echo, an object with
            ``score``), whose anchors are texts.
        anchors: an array ``(n, ...)``, a path, a data set or loader (of torch, of Hugging Face), a list of pictures, or
            a `SampleSet` (see `load_samples`). Texts: a list, a path, a data set (see `load_texts`).
        reference: real samples that the model has not seen; thresholds rest on them. None: those that the model
            brings, where it brings any (`demo/digits-vae` does).
        reference_role: "training" if the model has seen them after all: the level then holds for such only.
        roles: what the anchors are to the model: "training", "held-out" (of that kind, not seen) or "foreign", one for
            all or for each; or give ``anchors`` by role: ``{"training": ..., "held-out": ...}``. Then the gap between
            training and held-out samples says what was memorised; without held-out anchors the reference is those.
        labels: of the anchors; found in folders and data sets without asking.
        twins: of texts: how many of each are made by exchanging numbers and names (9), or twins of your own, one or
            equally many for each text.
        baseline: a language model that has not seen the texts: a URI or an object.
        fdr: expected share of false ones among the texts that are called known by heart.
        preset: "pxgen" does what the authors' code does, "pxgen-saturated" with the slip of its loader too; or options
            of your own.
        encoder: features for ``feature-l2`` and for the space: samples as the model takes them to ``(n, dim)``, or an
            encoder of pictures, open or by name ("patches", "dinov2" ...). Colour pictures have a feature criterion
            without it, by what is installed.
        classifier: labels of samples ``(n, ...) -> (n,)``, to test the name "model delusion" on reconstructions.
        trained: labels that the model was trained on; without them, the labels of the reference.
        layout: of anchors and reference given as arrays: "flat", "NHW", "NHWC" or "NCHW".
        size: (height, width) that pictures are resized to; without it, those of another size than most are left out.
        mode: "L" (grey) or "RGB" that pictures are converted to; without it what the model takes, or most pictures are.
        shape: of one sample as the model takes it, where the model does not say.
        value_range: lowest and highest value that the model was trained on, where the model does not say (0, 1).
        scale: what the second part of the posterior is, where the model returns a bare pair: "logvar", "std" or "var".
        seed: the same seed gives the same answer, up to rounding in any batch size.
        cache: file of recorded scores, shard by shard: a run that was killed goes on where it was. None keeps them in
            memory. So are those of a function that nobody can identify, unless ``run`` has a name.
        options: device, dtype and batch size of the model.
        progress: is told how many samples were scored.
        run: its deadline, after which nothing more is scored, and its name (see ``cache``).
        **choices: what is measured, how thresholds are found and representatives picked.

    Raises:
        DataError: if anchors or reference do not fit the model, or a criterion is not finite.
        UsageError: if an argument cannot work: an unknown name, a reference too small for alpha ...
        ModelError: if the model returns NaN or an infinite value for more than a tenth of the anchors, or of the
            reference; fewer are left out and named.
    """
    given: dict[str, Any] = {
        "reference": reference, "reference_role": reference_role, "roles": roles, "labels": labels, "preset": preset,
        "twins": twins, "baseline": baseline, "fdr": fdr,
        "encoder": encoder, "classifier": classifier, "trained": trained, "layout": layout, "size": size, "mode": mode,
        "shape": shape, "value_range": value_range, "scale": scale, "seed": seed, "options": options, "run": run,
        **choices,
    }  # fmt: skip
    if reads_texts(model):
        return explain_texts(model, anchors, given, cache=cache, progress=progress)
    require_samples(given)
    if options is not None and options.executor is not None:
        raise UsageError("executor='ray' scores anchors shard by shard: whygen anchors --stream, or stream_anchors.")
    clock = Phases()
    with clock.phase("loading"):
        work, identity = opened_work(model, anchors, given)
    with clock.phase("criteria"), open_store(cache) as store:
        uri = work.subject.model.uri
        while True:
            recorder = Recorder(uri, identity, store, progress=progress, run=run, total=work.cost())
            try:
                scores, asked = score_samples(work, recorder)
                break
            except NoNumberError as error:
                work = replace(work, subject=without_numbers(work.subject, error))
        noticed = tuple(Warned(code=each.code, text=each.text) for each in store.notices)
    explanation = read_scores(scores, work.plan, partial(shown_of, work, asked), clock=clock)
    details = explanation.details
    told = None if details is None else details.model_copy(update={"asked": asked_of(model, anchors, given)})
    explanation = explanation.model_copy(update={"warnings": (*explanation.warnings, *noticed), "details": told})
    if scores.facts.ended == "interrupt":
        raise Interrupted(explanation)
    return explanation


def foresee_anchors(
    model: str | object, anchors: object, *, cache: Path | str | None = DEFAULT_STORE, **options: Any
) -> AnchorForecast | TextForecast:
    """How much `explain_anchors` would score with these arguments, and how much of that is recorded.

    Anchors and reference are read, and the model is tried on a few of them; nothing is scored.

    Raises:
        UsageError: for an argument that cannot work.
        DataError: if anchors or reference do not fit the model.
    """
    known = inspect.signature(AnchorArguments).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError("argument of explain_anchors", name, known)
    own = {name: each.default for name, each in known.items() if name not in declared(AnchorChoices)}
    given = {**own, **options}
    if reads_texts(model):
        return foresee_texts(model, anchors, given, cache=cache)
    require_samples(given)
    work, identity = opened_work(model, anchors, given)
    with open_store(cache) as store:
        return foresee(work, Recorder(work.subject.model.uri, identity, store))


def _require_forms(given: Mapping[str, Any]) -> None:
    """Refuse forms of samples that there are not, before a model is opened for them."""
    require_size_and_mode(given["size"], given["mode"])
    for name, known in (("layout", LAYOUTS), ("scale", SCALES)):
        if given[name] is not None and given[name] not in known:
            raise none_of(name, given[name], known)


def opened_work(
    model: str | object, anchors: object, given: Mapping[str, Any]
) -> tuple[Work, Mapping[str, JsonValue] | None]:
    """What is to be scored, checked as far as it can be before anything is, and what identifies the model."""
    reference_role, trained, run = (given[name] for name in ("reference_role", "trained", "run"))
    require_reference_role(reference_role)
    preset = given["preset"]
    chosen_plan = choose_options(preset, given)
    encoder = given["encoder"]
    require_plan(chosen_plan, encoder)
    if isinstance(encoder, str):  # what a package or a module brings is looked at before a model is opened
        check_image_encoder(encoder)
    require_run(run)
    _require_forms(given)
    latent = open_generator(
        model, given["options"], shape=given["shape"], layout=None, value_range=given["value_range"],
        scale=given["scale"],
    )  # fmt: skip
    reading = _Reading(given["layout"], given["size"], given["mode"] or mode_of(latent))
    anchor_set = reading.load_roles(anchors, given["roles"], given["labels"])
    reference_set = _reference(latent, given["reference"], reading)
    require_pictures(given["size"], given["mode"], anchor_set, reference_set)
    require_reference(chosen_plan, None if reference_set is None else len(reference_set.samples))
    known = tuple(cast("Sequence[Hashable]", trained.tolist() if isinstance(trained, np.ndarray) else trained or ()))
    require_classes(given["classifier"], None if trained is None else known, reference_set)
    opened = open_encoder(encoder)
    made = None if latent.samples is None else reading.load(latent.samples, "samples of the model")
    subject = open_subject(latent, anchor_set, reference_set, loader=chosen_plan.loader, generated=made)
    subject = conditioned(subject, chosen_plan.condition)
    require_distinct(chosen_plan, subject)
    features = open_features(opened, subject.anchors)
    held = None if subject.generated is None else len(subject.generated)
    size = bank_size(chosen_plan.bank, subject.anchors.shape, held)
    chosen = choose(chosen_plan.criteria, subject.anchors, encoder=features, model=subject.model, bank=size)
    if needs_bank(chosen.criteria):
        require_manifold(
            chosen.names, size, subject.model.uri, is_given=subject.model.samples is not None
        )  # fmt: skip
    told = check_roles(
        subject, criteria=len(chosen.criteria), rate=chosen_plan.false_positives, reference_role=reference_role
    )
    subject = replace(subject, warnings=(*subject.warnings, *told))
    require_sets(chosen_plan, subject)
    require_posterior(subject)
    subject = replace(subject, warnings=(*subject.warnings, *_doubts(subject, chosen.criteria, features)))
    kind = settle_kind(chosen_plan, with_reference=subject.reference is not None)
    require_generated(kind, chosen_plan, subject)
    seed = given["seed"]
    work = Work(
        subject=subject, plan=chosen_plan, chosen=chosen, role=reference_role, seed=seed, encoder=features,
        kind=kind, classifier=given["classifier"], bank_size=size,
        noise=noise_for(
            chosen_plan.draws if draws_posterior(chosen.criteria) else "mean", seed=seed, kind=chosen_plan.noise
        ),
        preset=preset if isinstance(preset, str) else None,
        trained=None if trained is None else known, run_name=None if run is None else run.name,
    )  # fmt: skip
    return work, identity_of_scores(subject.model, subject.anchors, run)


def _doubts(subject: Loaded, criteria: Sequence[Criterion], features: FeatureEncoder | None) -> tuple[Warned, ...]:
    """What is to be said of the criteria by a few samples, before all are scored."""
    base = subject.reference or subject.anchors
    told: tuple[Warned, ...] = ()
    if any("density" in each.needs for each in criteria):
        told = check_density(subject.model, base.rows(slice(0, min(len(base), base.batch_size))))
    compares = needs_bank(criteria) or draws_posterior(criteria)
    return (*told, *(check_scales(base) if compares and features is None else ()))


def shown_of(work: Work, asked: ModelAsked, rows: NDArray[np.int64]) -> Shown:
    """Representatives as pictures beside what the model gives back, and a warning of what cannot be."""
    anchors, way = work.subject.anchors, work.way
    is_picture = anchors.image is not None and bool(np.isfinite(anchors.value_range).all())
    if way is None:
        return Shown((anchors.pictures(anchors.rows(rows)), None) if is_picture else None)
    originals, made = give_back(asked, anchors, rows, way)
    warnings = check_reconstructions(made, anchors.value_range) if way is RECONSTRUCTION else ()
    return Shown((anchors.pictures(originals), anchors.pictures(made)) if is_picture else None, warnings)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How anchors and reference are read."""

    layout: Layout | None
    size: tuple[int, int] | None
    mode: str | None

    def load(self, source: object, argument: str, labels: Labels | None = None) -> SampleSet:
        return load_samples(
            source, labels=labels, layout=self.layout, size=self.size, mode=self.mode, argument=argument
        )

    def load_roles(self, source: object, roles: object, labels: Labels | None) -> SampleSet:
        """Anchors, each with its role where roles are given, by name or as the keys of what holds the anchors.

        Raises:
            UsageError: if they are given both ways.
        """
        by_role = parts_by_role(source)
        if by_role is None:
            loaded = self.load(source, "anchors", labels)
            return replace(loaded, roles=settle_roles(roles, len(loaded.samples))) if roles is not None else loaded
        if roles is not None:
            raise UsageError("The anchors are given by role, and roles= too; give one of the two.")
        whole = joined({role: self.load(part, f"anchors[{role!r}]") for role, part in by_role.items()})
        return whole if labels is None else load_samples(whole, labels=labels)


def mode_of(model: Generator) -> Literal["L", "RGB"] | None:
    """The mode of pictures that the model takes, where it states a shape that tells."""
    shape = model.shape
    if shape is None or len(shape) not in (2, 3):
        return None
    channels = 1 if len(shape) == 2 else shape[2] if model.layout == "NHWC" else shape[0]
    if len(shape) == 3 and model.layout is None and shape[0] not in (1, 3):
        channels = shape[2]
    return "L" if channels == 1 else "RGB" if channels == 3 else None


def _reference(model: Generator, given: object | None, reading: _Reading) -> SampleSet | None:
    """The reference as given, or that which the model brings, with a source that says so."""
    if given is not None:
        return reading.load(given, "reference")
    if model.reference is None:
        return None
    brought = load_samples(model.reference)
    return replace(brought, source=f"{brought.source} (come with {model.uri})")


def open_generator(model: object, options: ModelOptions | None, **stated: Any) -> Generator:
    """The model, with what is ``stated`` of it (see `load_latent`).

    An array, a tensor, a list of either or of pictures, a data set, a `SampleSet`, a `Path` and the URI
    ``samples/PATH`` are samples that a model made.

    Raises:
        UsageError: if it is no generator.
    """
    if isinstance(model, str) and model.startswith(SAMPLES):
        path = model.removeprefix(SAMPLES)
        if not path:
            raise UsageError("samples/ names no samples; give samples/PATH: a folder of images, .npz, .npy ...")
        return load_latent(Generator(samples=path, uri=model), options, **stated)
    if isinstance(model, Path):
        return load_latent(Generator(samples=model, uri=f"{SAMPLES}{model}"), options, **stated)
    if isinstance(model, SampleSet) or _are_samples(model):
        n = len(model.samples if isinstance(model, SampleSet) else cast("Sequence[object]", model))
        return load_latent(Generator(samples=model, uri=f"samples/{n:,} given"), options, **stated)
    try:
        return load_latent(model, options, **stated)
    except UsageError as error:
        if not isinstance(model, str) or not is_there(model):
            raise
        raise UsageError(f"{error} If it holds samples that a model made, type samples/{model}.") from None


def _of_datasets(model: object) -> bool:
    """Whether this is a data set of torch; torch is not imported to find out."""
    data = already_imported("torch.utils.data")
    return data is not None and isinstance(model, data.Dataset)


def _are_samples(model: object) -> bool:
    """Whether these are samples themselves: an array, a tensor, a list of such or of pictures, or a data set."""
    kind = type(model)  # attributes of objects are foreign code: those of diffusers raise a KeyError for some
    if hasattr(kind, "__len__") and (hasattr(kind, "column_names") or _of_datasets(model)):
        return True
    parts = cast("list[object]", model) if isinstance(model, list) else [model]
    return bool(parts) and all(
        isinstance(each, np.ndarray)
        or (hasattr(type(each), "detach") and hasattr(type(each), "ndim"))
        or (isinstance(model, list) and hasattr(type(each), "getbands"))
        for each in parts
    )
