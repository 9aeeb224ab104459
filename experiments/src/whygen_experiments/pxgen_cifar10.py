# pyright: basic
"""``whygen reproduce pxgen-cifar10``, ``pxgen-thresholds`` and ``pxgen-removal``: a Soft-IntroVAE on CIFAR-10.

The paper's second model, scaled down: three classes, a small network, a few minutes of training. No figure of the
paper is known to this project, so what is reproduced is the procedure. Beside the Soft-IntroVAE stands the same network
trained as a plain VAE, which differs in nothing but the lesson that generated samples are to be doubted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from whygen.anchors.data import SampleSet
from whygen.anchors.explain import explain_anchors
from whygen.anchors.foils import sizes
from whygen.anchors.set_metrics import fid
from whygen.errors import MissingError, MissingExtraError
from whygen.results.anchors import AnchorExplanation
from whygen.stats.auroc import auroc
from whygen.stats.seeds import generator
from whygen_experiments.cifar import CLASSES, Bytes, Cifar, load_cifar

TRAINED = ("airplane", "automobile", "frog")
REMOVED = "airplane"
KEPT = tuple(label for label in TRAINED if label != REMOVED)
SEEDS = (1, 2)
ROUNDS, PER_ROUND = 10, 2_000
GENERATED = 1_000
"""Samples of the model's own that are asked about, as anchors are."""
COMPARED = 2_000
"""Samples of each of two models whose distributions are compared."""
OTHER_SEED = 1_000
"""Added to a seed for a training that differs by chance alone."""
ENCODER = "patches"
"""Needs no weights: what is written here can be made anywhere."""
COLOURS, CELLS = 3, 8
CRITERIA = "kld,sse,feature-l2"
SUBSETS = (("kld",), ("sse",), ("feature-l2",), ("kld", "sse"), ("kld", "feature-l2"))
ALPHAS = (0.01, 0.025, 0.05, 0.1)
SIZES_OF_ROUND = (100, 1_000, 4_000)
REMOVALS = ("class", "least known", "best known", "random")
Numbers = NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of CIFAR-10 is used.

    Attributes:
        training: pictures of each trained class that the models learn from.
        held: pictures of each trained class that no model sees.
        test: test pictures of each of the ten classes.
    """

    training: int = 1_600
    held: int = 400
    test: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What the experiments look at. ``labels``: the class of each training picture."""

    training: Bytes
    labels: NDArray[np.str_]
    reference: SampleSet
    anchors: SampleSet

    @property
    def own(self) -> NDArray[np.bool_]:
        """Which anchors are of a class that was trained on."""
        return np.isin(np.array(self.anchors.labels), TRAINED)

    def reference_of(self, classes: Sequence[str]) -> SampleSet:
        """The part of the reference that is of these classes."""
        return self.reference.only(np.flatnonzero(np.isin(np.array(self.reference.labels), classes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Trains models, or reads those that are in its folder already.

    Attributes:
        folder: of the weights; a training that was killed goes on from there.
        recipe: what differs from the defaults of `soft_intro.Recipe`.
        scores: file of recorded scores, so that a run that was killed asks nothing twice; None keeps them in memory.
        say: is told what is being done.
    """

    folder: Path | None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    scores: Path | None = None
    say: Say = lambda _: None

    def model(self, name: str, pictures: Bytes, seed: int, *, kind: str = "soft-intro") -> Any:
        """A model by the name of its training data: ``soft-intro``, ``plain`` or ``untrained``."""
        soft_intro = _torch_part()
        recipe = soft_intro.Recipe(**{**self.recipe, "introspective": kind != "plain"})
        uri = f"{kind}, {name}, seed {seed}"
        if kind == "untrained":
            return soft_intro.untrained(recipe, seed=seed, uri=uri)
        kept = self.folder / f"{kind}-{name.replace(' ', '-')}-{seed}.safetensors" if self.folder is not None else None
        self.say(f"seed {seed}: training {kind} on {name}, {len(pictures):,} pictures, {recipe.steps:,} steps")
        return soft_intro.train_soft_intro(pictures, seed=seed, recipe=recipe, kept=kept, uri=uri)

    def explain(self, model: Any, anchors: SampleSet, reference: SampleSet, **choices: Any) -> AnchorExplanation:
        """What the public door says, with the encoder that needs no weights."""
        given = {"encoder": ENCODER, "criteria": CRITERIA, "cache": self.scores, "select": "k-dispersion:8", **choices}
        return cast("AnchorExplanation", explain_anchors(model, anchors, reference=reference, **given))

    def explain_generated(self, model: Any, reference: SampleSet, *, seed: int) -> AnchorExplanation:
        """The same of `GENERATED` samples that the model made itself."""
        drawn = SampleSet(samples=_samples(model, GENERATED, seed), layout="NCHW", source="generated")
        return self.explain(model, drawn, reference, seed=seed, controls="none")


def load_pictures(path: str | Path | None, scale: Scale | None = None) -> Pictures:
    """Training pictures, reference and anchors.

    Raises:
        UsageError, MissingError, DataError: as `load_cifar` does.
    """
    scale = scale or Scale()
    cifar = load_cifar(
        path,
        train=dict.fromkeys(TRAINED, scale.training + scale.held),
        test=dict.fromkeys(CLASSES, scale.test),
    )
    return arranged(cifar, scale)


def arranged(cifar: Cifar, scale: Scale) -> Pictures:
    """CIFAR-10 as the experiments use it."""
    kept = np.repeat(TRAINED, scale.held)
    return Pictures(
        training=np.concatenate([cifar.train[label][: scale.training] for label in TRAINED]),
        labels=np.repeat(TRAINED, scale.training),
        reference=SampleSet(
            samples=np.concatenate([cifar.train[label][scale.training :] for label in TRAINED]),
            labels=tuple(kept.tolist()), layout="NHWC", source=f"CIFAR-10 {', '.join(TRAINED)}, not trained on",
        ),
        anchors=SampleSet(
            samples=np.concatenate([cifar.test[label] for label in CLASSES]),
            labels=tuple(np.repeat(CLASSES, scale.test).tolist()), layout="NHWC", source="CIFAR-10 test",
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFindings:
    """One model of ``pxgen-cifar10``.

    Attributes:
        explanations: by mode: ``pxgen`` (kld, sse), ``pxgen, features`` (kld, the "FID" of one picture), ``conformal``
            (kld, sse) and ``default``.
        generated: the model's own samples as anchors, by conformal thresholds on real pictures.
    """

    kind: str
    seed: int
    seconds: float
    explanations: Mapping[str, AnchorExplanation]
    generated: AnchorExplanation


@dataclass(frozen=True, slots=True, kw_only=True)
class CifarFindings:
    """All of ``pxgen-cifar10``. ``areas``: what tells anchors of other classes, each with its 95% interval by seed."""

    pictures: Pictures
    models: tuple[ModelFindings, ...]
    areas: Mapping[str, tuple[tuple[float, float, float], ...]]


def cifar10(
    pictures: Pictures, workshop: Workshop, *, seeds: Sequence[int] = SEEDS, rounds: int = ROUNDS,
    per_round: int = PER_ROUND,
) -> CifarFindings:  # fmt: skip
    """Presets and default on a Soft-IntroVAE and on its plain twin, and what tells other classes without any model."""
    models: list[ModelFindings] = []
    areas: dict[str, list[tuple[float, float, float]]] = {
        name: [auroc(values[pictures.own], values[~pictures.own])] for name, values in without_model(pictures).items()
    }
    for seed in seeds:
        for kind in ("soft-intro", "plain", "untrained"):
            began = time.perf_counter()
            module = workshop.model("all", pictures.training, seed, kind=kind)
            seconds = time.perf_counter() - began
            workshop.say(f"seed {seed}: explaining {kind}")
            default = workshop.explain(
                module, pictures.anchors, pictures.reference, seed=seed, trained=TRAINED,
                controls="none" if kind == "untrained" else "auto",
            )  # fmt: skip
            for place, record in enumerate(default.criteria):
                values = values_of(default)[:, place]
                area = auroc(values[pictures.own], values[~pictures.own])
                areas.setdefault(f"{record.name}, {kind}", []).append(area)
            if kind != "untrained":
                models.append(_asked(workshop, module, pictures, default, (kind, seed, seconds, rounds, per_round)))
    return CifarFindings(
        pictures=pictures, models=tuple(models), areas={name: tuple(each) for name, each in areas.items()}
    )  # fmt: skip


def _asked(
    workshop: Workshop,
    module: Any,
    pictures: Pictures,
    default: AnchorExplanation,
    about: tuple[str, int, float, int, int],
) -> ModelFindings:
    kind, seed, seconds, rounds, per_round = about
    preset = workshop.explain(
        module, pictures.anchors, pictures.reference, preset="pxgen", criteria="kld,sse,fid-pair", rounds=rounds,
        per_round=per_round, seed=seed, trained=TRAINED,
    )  # fmt: skip
    return ModelFindings(
        kind=kind, seed=seed, seconds=seconds,
        generated=workshop.explain_generated(module, pictures.reference, seed=seed),
        explanations={
            "pxgen": preset.read(criteria="kld,sse"),
            "pxgen, features": preset.read(criteria="kld,fid-pair"),
            "conformal": default.read(criteria="kld,sse"),
            "default": default.read(criteria="kld,feature-l2"),
        },
    )  # fmt: skip


def without_model(pictures: Pictures) -> dict[str, Numbers]:
    """Three numbers of each anchor that know nothing of a model, low where it is like the training pictures."""
    both = (pictures.training, np.asarray(pictures.anchors.samples))
    known, asked = (each.reshape(len(each), -1).astype(np.float32) / np.float32(255) for each in both)
    apart = np.square(known).sum(axis=1) - 2 * asked @ known.T + np.square(asked).sum(axis=1)[:, None]
    return {
        "nearest training picture": apart.min(axis=1).astype(np.float64),
        "distance to the mean picture": np.square(asked - known.mean(axis=0)).sum(axis=1).astype(np.float64),
        "compressed size": sizes(asked, like=np.array([0, 1], np.float32)).astype(np.float64),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """One way to set thresholds: percent that are high by every criterion.

    Of anchors of trained classes, of those of others, and of the model's own samples.
    """

    kind: str
    seed: int
    way: str
    criteria: str
    thresholds: Mapping[str, float]
    own: float
    others: float
    generated: float


def thresholds(
    pictures: Pictures, workshop: Workshop, *, seeds: Sequence[int] = SEEDS, rounds: int = ROUNDS,
    alphas: Sequence[float] = ALPHAS, per_round: Sequence[int] = SIZES_OF_ROUND,
) -> tuple[ThresholdRow, ...]:  # fmt: skip
    """Shares by alpha, by N of mean-max and by the criteria, one of them or two, on both kinds of model."""
    rows: list[ThresholdRow] = []
    for seed in seeds:
        for kind in ("soft-intro", "plain"):
            module = workshop.model("all", pictures.training, seed, kind=kind)
            workshop.say(f"seed {seed}: thresholds of {kind}")
            made = workshop.explain_generated(module, pictures.reference, seed=seed)
            explain = partial(
                workshop.explain, module, pictures.anchors, pictures.reference, seed=seed, controls="none"
            )
            for way, found in _ways(explain, alphas=alphas, rounds=rounds, sizes=per_round):
                rows += [
                    ThresholdRow(
                        kind=kind, seed=seed, way=way, criteria=",".join(names),
                        thresholds={name: found.thresholds[name] for name in names},
                        own=100 * float(is_high(found, names)[pictures.own].mean()),
                        others=100 * float(is_high(found, names)[~pictures.own].mean()),
                        generated=100 * float(is_high(found, names, values_of(made)).mean()),
                    )
                    for names in SUBSETS
                ]  # fmt: skip
    return tuple(rows)


def _ways(
    explain: Callable[..., AnchorExplanation], *, alphas: Sequence[float], rounds: int, sizes: Sequence[int]
) -> Generator[tuple[str, AnchorExplanation]]:
    """Each way to set thresholds by its name. Criteria have thresholds of their own, so subsets need no other run."""
    found = explain(alpha=min(alphas))
    for alpha in alphas:
        yield f"conformal, alpha = {alpha}", found.read(alpha=alpha)
    for n in sizes:
        yield f"mean-max, N = {n:,}", explain(preset="pxgen", rounds=rounds, per_round=n)


def is_high(
    explanation: AnchorExplanation, names: Sequence[str] | None = None, values: Numbers | None = None
) -> NDArray[np.bool_]:
    """What is within the thresholds of all criteria, or of those named; those BELOW among them.

    Args:
        explanation: whose thresholds.
        names: of criteria.
        values: of other samples by the same criteria ``(n, c)``; None: the anchors.
    """
    values, details = values_of(explanation) if values is None else values, explanation.details
    strict = {each.criterion for each in (details.thresholds if details else ()) if each.comparison == "<"}
    within = [
        (np.less if each.name in strict else np.less_equal)(values[:, place], explanation.thresholds[each.name])
        for place, each in enumerate(explanation.criteria)
        if names is None or each.name in names
    ]
    return np.all(within, axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalRow:
    """One retrained model beside the first.

    Attributes:
        removed: what was left out of its training pictures; "nothing" is the first model, "nothing, other seed" differs
            from it by chance alone.
        count: pictures left out, and ``of_class`` of them airplanes.
        distance: Frechet distance between its samples and those of the first model, in the features of `ENCODER`.
        high: percent of test pictures high by both criteria: airplanes, the other trained classes, foreign ones.
        error: mean sse of the same three; ``kld`` likewise.
    """

    seed: int
    removed: str
    count: int
    of_class: int
    distance: float
    high: tuple[float, float, float]
    error: tuple[float, float, float]
    kld: tuple[float, float, float]

    @property
    def figures(self) -> tuple[float, ...]:
        """``high``, ``error`` and ``kld``, one after the other."""
        return (*self.high, *self.error, *self.kld)


def removal(pictures: Pictures, workshop: Workshop, *, seeds: Sequence[int] = SEEDS) -> tuple[RemovalRow, ...]:
    """Train without a third of the pictures, chosen in four ways, and ask again.

    The reference is of the two classes that every model has seen: by a reference with airplanes the share of airplanes
    could not fall whatever the model is, since both sides of the comparison would change alike.
    """
    rows: list[RemovalRow] = []
    for seed in seeds:
        first = workshop.model("all", pictures.training, seed)
        left = left_out(first, pictures, workshop, seed)
        others = {
            "nothing": (first, np.zeros(0, np.int64)),
            "nothing, other seed": (workshop.model("all", pictures.training, seed + OTHER_SEED), np.zeros(0, np.int64)),
        }
        for name, gone in left.items():
            kept = np.delete(pictures.training, gone, axis=0)
            others[name] = (workshop.model(f"all but {name}", kept, seed), gone)
        mine = _features(_samples(first, COMPARED, seed))
        for name, (module, gone) in others.items():
            distance = fid(mine, _features(_samples(module, COMPARED, seed + OTHER_SEED)))
            rows.append(_removal_row(workshop, pictures, module, (seed, name, gone, distance)))
    return tuple(rows)


def left_out(first: Any, pictures: Pictures, workshop: Workshop, seed: int) -> dict[str, NDArray[np.int64]]:
    """Rows of the training pictures that are left out, equally many each time: as many as the class has.

    By how well the first model knows them: a picture's place is the worse of its two ranks, by kld and by sse, so all
    that are low by any conformal threshold come before all others.
    """
    asked = SampleSet(samples=pictures.training, layout="NHWC", source="training")
    found = workshop.explain(
        first, asked, pictures.reference, seed=seed, controls="none", criteria="kld,sse", roles="training"
    )
    values = values_of(found)
    order = np.argsort(values.argsort(axis=0).argsort(axis=0).max(axis=1), kind="stable")
    of_class = np.flatnonzero(pictures.labels == REMOVED)
    n = len(of_class)
    return {
        "class": of_class,
        "least known": order[-n:],
        "best known": order[:n],
        "random": generator(seed, "removal").permutation(len(order))[:n],
    }


def _removal_row(
    workshop: Workshop, pictures: Pictures, module: Any, about: tuple[int, str, NDArray[np.int64], float]
) -> RemovalRow:
    seed, name, gone, distance = about
    workshop.say(f"seed {seed}: asking the model without: {name}")
    found = workshop.explain(
        module, pictures.anchors, pictures.reference_of(KEPT), seed=seed, controls="none", criteria="kld,sse"
    )
    labels = np.array(pictures.anchors.labels)
    sides = (labels == REMOVED, np.isin(labels, KEPT), ~pictures.own)
    high, values = is_high(found), values_of(found)
    return RemovalRow(
        seed=seed, removed=name, count=len(gone), of_class=int((pictures.labels[gone] == REMOVED).sum()),
        distance=distance, high=_three(100 * high, sides), error=_three(values[:, 1], sides),
        kld=_three(values[:, 0], sides),
    )  # fmt: skip


def _three(values: NDArray[Any], sides: Sequence[NDArray[np.bool_]]) -> tuple[float, float, float]:
    own, kept, foreign = (float(values[side].mean()) for side in sides)
    return own, kept, foreign


def values_of(explanation: AnchorExplanation) -> Numbers:
    """The criteria of the anchors, ``(n, c)``."""
    if explanation.evidence is None:
        raise MissingError("This explanation holds no values of its anchors.")
    return explanation.evidence.values


def _samples(module: Any, n: int, seed: int) -> NDArray[np.float32]:
    """Samples of the prior, ``(n, 3, 32, 32)``, alike for the same seed."""
    import torch

    latents = generator(seed, "samples").standard_normal((n, module.latent_dim)).astype(np.float32)
    with torch.no_grad():
        parts = [module.decode(part) for part in torch.from_numpy(latents).split(250)]
    return torch.cat(parts).numpy()


def _features(samples: NDArray[np.float32]) -> Numbers:
    """The colours of 8 x 8 cells, ``(n, 192)``, as the encoder `ENCODER` has them; black and white are 1 apart."""
    cells = samples.reshape(len(samples), COLOURS, CELLS, -1, CELLS, samples.shape[3] // CELLS).mean(axis=(3, 5))
    return cells.reshape(len(samples), -1).astype(np.float64) / np.sqrt(COLOURS * CELLS**2)


def require_torch() -> None:
    """Before anything is read.

    Raises:
        MissingExtraError: if torch is not installed.
    """
    _torch_part()


def _torch_part() -> Any:
    try:
        from whygen_experiments import soft_intro
    except ImportError as error:
        raise MissingExtraError("The Soft-IntroVAE", extra="torch", package=error.name or "torch") from error
    return soft_intro
