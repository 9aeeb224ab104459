"""`explain_anchors`: what a generative model has learned, told by anchors. The steps stand here in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from whygen._arguments import typed
from whygen.anchors.assemble import Assembled, assemble
from whygen.anchors.calibrating import calibrate, calibration_warnings, settle_kind
from whygen.anchors.calibration import Calibration
from whygen.anchors.checks import require_classes, require_distinct, require_pictures, require_plan, require_reference
from whygen.anchors.controls import Measured, Run, read_against
from whygen.anchors.criteria import ChosenCriteria, CriterionLike, FeatureEncoder, choose
from whygen.anchors.data import SampleSet, load_samples
from whygen.anchors.diagnostics import (
    check_criteria,
    check_groups,
    check_latents,
    check_likeness,
    check_power,
    check_yardsticks,
)
from whygen.anchors.features import open_encoder, open_features
from whygen.anchors.groups import Delusion, Grouping, delusion, group
from whygen.anchors.opening import Subject, open_subject, require_posterior
from whygen.anchors.presets import Plan, plan
from whygen.anchors.representing import neighbours, open_space, represent
from whygen.anchors.scoring import Scores, Tick, noise_for, reconstruct, score
from whygen.anchors.surveying import check_features, check_reconstructions, survey
from whygen.anchors.trivial import Base
from whygen.calls.progress import Progress
from whygen.encoders import ImageEncoder
from whygen.errors import DataError, UnknownNameError, UsageError
from whygen.models.latent import Floats, LatentModel, Layout
from whygen.models.latent.loading import load_latent
from whygen.models.protocols import ModelOptions
from whygen.results.anchors import AnchorExplanation
from whygen.results.anchors_table import excess, telling
from whygen.results.prompt import Warned
from whygen.stats.seeds import generator

ROLES = ("held-out", "training")
MULTIPLICITIES = ("none", "benjamini-hochberg")
Labels = Sequence[str | int] | NDArray[Any]


@typed()
def explain_anchors(  # noqa: PLR0913 - one argument for each choice a person may want to make
    model: str | object,
    anchors: object,
    *,
    reference: object | None = None,
    reference_role: Literal["held-out", "training"] = "held-out",
    labels: Labels | None = None,
    criteria: str | Sequence[CriterionLike] | None = None,
    calibration: str | None = None,
    alpha: float | None = None,
    level: Literal["per-criterion", "joint"] | None = None,
    multiplicity: Literal["none", "benjamini-hochberg"] | None = None,
    rounds: int | None = None,
    per_round: int | None = None,
    draws: int | Literal["mean"] | None = None,
    select: str | None = None,
    space: str | None = None,
    controls: str | None = None,
    preset: str | None = None,
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
    options: ModelOptions | None = None,
    progress: Progress | None = None,
) -> AnchorExplanation:
    """Which anchors a generative model knows, how sure each verdict is, and the few that stand for each group.

    Arguments that are None are as the preset says, and without a preset as `whygen.anchors.presets.DEFAULT` says.

    Args:
        model: a URI, a torch module, an object with ``encode`` and ``decode``, or a `LatentModel`.
        anchors: an array ``(n, ...)``, a path, a data set or loader (of torch, of Hugging Face), a list of pictures, or
            a `SampleSet` (see `load_samples`).
        reference: real samples that the model has not seen; thresholds rest on them. None: those that the model
            brings, where it brings any (`demo/digits-vae` does).
        reference_role: "training" if the model has seen them after all: the level then holds for such only.
        labels: of the anchors; found in folders and data sets without asking.
        criteria: "auto", names ("kld,sse"), `Criterion` objects or callables ``(samples, reconstructions) -> (b,)``.
        calibration: "auto" (conformal with a reference, else mean-max), "conformal", "mean-max", "percentile", "std".
        alpha: chance that a sample like the reference is called low (.025).
        level: whether alpha is for each criterion or for all together.
        multiplicity: "benjamini-hochberg" bounds the share of false ones among the low instead.
        rounds: R of mean-max.
        per_round: N of mean-max.
        draws: posterior draws that criteria are averaged over (8), or "mean" for the posterior mean.
        select: how representatives are picked: "k-dispersion:8", "k-center:8,outliers=5" ...
        space: where distances are measured: "auto", "pixels", "latent", "features" or "criteria".
        controls: what shares are read against: "auto" (all that can be had), "none", or names after commas:
            "untrained" (a copy with new random weights), "trivial" (mean, flat and nearest sample in the place of the
            reconstruction), "foils" (shuffled, noise, blends, other labels), "generated" (another calibration). They
            take about as long again as the scoring, less where there are many anchors.
        preset: "pxgen" does what the authors' code does, "pxgen-saturated" with the slip of its loader too.
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
        options: device, dtype and batch size of the model.
        progress: is told how many samples were scored.

    Raises:
        DataError: if anchors or reference do not fit the model, or a criterion is not finite.
        UsageError: if an argument cannot work: an unknown name, a reference too small for alpha ...
        ModelError: if the model returns NaN or an infinite value.
    """
    if reference_role not in ROLES:
        raise UsageError(f"reference_role is {reference_role!r}; give one of {', '.join(ROLES)}.")
    if multiplicity not in {None, *MULTIPLICITIES}:
        raise UnknownNameError("multiplicity", str(multiplicity), MULTIPLICITIES)
    chosen_plan = plan(
        preset, criteria=criteria, calibration=calibration, alpha=alpha, level=level, multiplicity=multiplicity,
        rounds=rounds, per_round=per_round, draws=draws, select=select, space=space, controls=controls,
    )  # fmt: skip
    require_plan(chosen_plan, encoder)
    latent = load_latent(model, options, shape=shape, layout=None, value_range=value_range, scale=scale)
    reading = _Reading(layout, size, mode or mode_of(latent))
    anchor_set = reading.load(anchors, "anchors", labels)
    reference_set = _reference(latent, reference, reading)
    require_pictures(size, mode, anchor_set, reference_set)
    require_reference(chosen_plan, None if reference_set is None else len(reference_set.samples))
    known = tuple(cast("Sequence[Hashable]", trained.tolist() if isinstance(trained, np.ndarray) else trained or ()))
    require_classes(classifier, None if trained is None else known, reference_set)
    opened = open_encoder(encoder)
    clock = _Clock()
    with clock.phase("loading"):
        subject = open_subject(latent, anchor_set, reference_set, loader=chosen_plan.loader)
        require_distinct(chosen_plan, subject)
        features = open_features(opened, subject.anchors)
        chosen = choose(chosen_plan.criteria, subject.anchors, encoder=features)
        require_posterior(subject)
    run = _Run(
        subject, chosen_plan, chosen, seed=seed, role=reference_role, encoder=features, clock=clock, progress=progress
    )
    found = run.explain(classifier=classifier, trained=None if trained is None else known)
    return assemble(found, preset=preset, seed=seed)


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


def mode_of(model: LatentModel) -> Literal["L", "RGB"] | None:
    """The mode of pictures that the model takes, where it states a shape that tells."""
    shape = model.shape
    if shape is None or len(shape) not in (2, 3):
        return None
    channels = 1 if len(shape) == 2 else shape[2] if model.layout == "NHWC" else shape[0]
    if len(shape) == 3 and model.layout is None and shape[0] not in (1, 3):
        channels = shape[2]
    return "L" if channels == 1 else "RGB" if channels == 3 else None


def _reference(model: LatentModel, given: object | None, reading: _Reading) -> SampleSet | None:
    """The reference as given, or that which the model brings, with a source that says so."""
    if given is not None:
        return reading.load(given, "reference")
    if model.reference is None:
        return None
    brought = load_samples(model.reference)
    return replace(brought, source=f"{brought.source} (come with {model.uri})")


@dataclass(slots=True)
class _Clock:
    """Seconds of each phase."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@dataclass(slots=True, kw_only=False)
class _Run:
    """One explanation on its way: the steps, and what all of them need."""

    subject: Subject
    plan: Plan
    chosen: ChosenCriteria
    seed: int
    role: str
    encoder: FeatureEncoder | None
    clock: _Clock
    progress: Progress | None

    def explain(self, *, classifier: Callable[[Floats], Any] | None, trained: Sequence[Hashable] | None) -> Assembled:
        subject, clock, chosen = self.subject, self.clock, self.chosen
        kind = settle_kind(self.plan, with_reference=subject.reference is not None)
        noise = noise_for(self.plan.draws, seed=self.seed, kind=self.plan.noise)
        run = Run(
            subject=subject, plan=self.plan, chosen=chosen, kind=kind, role=self.role, noise=noise, seed=self.seed,
            tick=self._tick(),
        )  # fmt: skip
        self._begin(kind, run.cost())
        with clock.phase("criteria"):
            base = run.base()
            scores = self._score(run, base, "anchors")
            reference = self._score(run, base, "reference") if subject.reference is not None else None
        with clock.phase("calibration"):
            calibration = calibrate(
                kind, subject, self.plan, chosen, reference=reference, role=self.role, noise=noise, tick=self._tick()
            )
        with clock.phase("groups"):
            grouping = self._group(scores, chosen, calibration)
        with clock.phase("controls"):
            measured = Measured(
                scores=scores, reference=reference, calibration=calibration, grouping=grouping, base=base
            )
            against = read_against(run, measured)
        with clock.phase("selection"):
            space = open_space(self.plan, subject, scores, reference, self.encoder)
            representatives = represent(self.plan, grouping, space, scores, seed=self.seed)
        with clock.phase("diagnostics"):
            near = neighbours(space, self._telling(grouping, scores, calibration, representatives.shown))
            surveyed = survey(space)
            tested = self._delusion(grouping, classifier, trained)
            originals, made = reconstruct(subject.model, subject.anchors, representatives.shown)
        self._end()
        return Assembled(
            subject=subject, plan=self.plan, chosen=chosen, calibration=calibration, grouping=grouping, scores=scores,
            space=space, representatives=representatives, survey=surveyed, neighbours=near, delusion=tested,
            originals=originals, reconstructions=made, role=self.role, seconds=clock.seconds, against=against,
            warnings=(
                *check_power(against.power, against.foils),
                *check_likeness(None if kind == "mean-max" else against.likeness, surveyed.coverage, grouping),
                *check_yardsticks(against.yardsticks, grouping),
                *self._warnings(chosen, calibration, grouping, scores, representatives.warnings, made),
            ),
        )  # fmt: skip

    def _score(self, run: Run, base: Base | None, which: Literal["anchors", "reference"]) -> Scores:
        prepared = self.subject.anchors if which == "anchors" else self.subject.reference
        assert prepared is not None  # noqa: S101 - the caller asked only where there is one
        return score(
            self.subject.model, prepared, run.chosen.criteria, run.noise.stream(which),
            stand_ins=run.stand_ins(base, which), tick=run.tick,
        )  # fmt: skip

    def _group(self, scores: Scores, chosen: ChosenCriteria, calibration: Calibration) -> Grouping:
        return group(
            scores.draws,
            kinds=chosen.kinds,
            calibration=calibration,
            rng=generator(self.seed, "flips"),
            replicates=self.plan.replicates,
            distinct=self.subject.distinct,
        )

    def _telling(
        self, grouping: Grouping, scores: Scores, calibration: Calibration, shown: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The anchors that the list of samples to look at will name."""
        limits = np.array([threshold.value for threshold in calibration.thresholds])
        return telling(grouping.codes, grouping.flip_rate, excess(scores.values, limits), shown)

    def _delusion(
        self, grouping: Grouping, classifier: Callable[[Floats], Any] | None, trained: Sequence[Hashable] | None
    ) -> Delusion | None:
        """Whether a classifier reads reconstructions as the trained class (METHODS B3)."""
        if classifier is None:
            return None
        known = self.subject.reference_set.labels if self.subject.reference_set else None
        classes = tuple(trained) if trained is not None else tuple(sorted(set(known or ()), key=str))
        everything = np.arange(len(self.subject.anchors))
        _, made = reconstruct(self.subject.model, self.subject.anchors, everything)
        readings = np.asarray(classifier(made))
        if readings.shape != (len(everything),):
            raise DataError(f"classifier gave shape {readings.shape}; it must give one label for each sample.")
        own = self.subject.anchor_set.labels
        return delusion(grouping.codes, readings, trained=classes, labels=None if own is None else np.array(own))

    def _warnings(
        self,
        chosen: ChosenCriteria,
        calibration: Calibration,
        grouping: Grouping,
        scores: Scores,
        picked: tuple[Warned, ...],
        made: Floats,
    ) -> tuple[Warned, ...]:
        return (
            *self.subject.warnings,
            *chosen.warnings,
            *calibration_warnings(self.plan, self.subject, calibration),
            *check_latents(scores.means),
            *check_features(self.encoder, self.subject.anchors),
            *check_criteria(scores.draws, chosen.names),
            *check_reconstructions(made, self.subject.anchors.value_range),
            *check_groups(grouping),
            *picked,
        )

    def _begin(self, kind: str, controls: int) -> None:
        if self.progress is not None:
            scored = len(self.subject.anchors) + (len(self.subject.reference) if self.subject.reference else 0)
            drawn = self.plan.rounds * self.plan.per_round if kind == "mean-max" else 0
            self.progress.begin(scored + drawn + controls, "samples")

    def _tick(self) -> Tick | None:
        progress = self.progress
        return None if progress is None else lambda n: progress.advance(n, cached=False)

    def _end(self) -> None:
        if self.progress is not None:
            self.progress.end()
