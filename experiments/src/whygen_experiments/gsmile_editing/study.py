"""``whygen reproduce gsmile-editing``: the published experiments with image editors, on any editor.

The published procedure (preset ``gsmile-images``) stands beside the default at equal numbers of pictures: stability
when ``###`` is appended, accuracy against labelled words, a map of the outputs, linear beside non-linear surrogates
held out, and ten noises at high guidance. Beside every figure is what chance gives (METHODS A7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score  # pyright: ignore[reportUnknownVariableType]

import whygen
from whygen.encoders import ImageEncoder
from whygen.evaluation.compare import Comparison, chance_jaccard, compare, top_jaccard
from whygen.models import Model
from whygen.prompt.effects import Effects
from whygen.prompt.fidelity import r_squared
from whygen.prompt.intervals import FEWEST_GROUPS, cross_fit
from whygen.prompt.options import GSMILE_IMAGES
from whygen.prompt.surrogates import load_surrogate
from whygen.results.prompt import PromptExplanation
from whygen.stats.intervals import student_half_width
from whygen.stats.seeds import generator
from whygen.types import Edit, JsonValue, Picture, Settings
from whygen_experiments.gsmile_editing.output_map import OutputMap, map_outputs
from whygen_experiments.gsmile_editing.questions import Question, Questions

NAME = "gsmile-editing"
EDITS = GSMILE_IMAGES.budget
"""Pictures of each explanation at most: 30 masks, the reference and two repeats, as published."""
DEEP = 64
"""Pictures of the explanations whose outputs are mapped and whose surrogates are compared."""
SEEDS = 10
Method = Literal["default", "gsmile-images"]
METHODS: tuple[Method, ...] = ("default", "gsmile-images")
SURROGATES = ("ridge", "pairs", "boosting", "kernel-ridge")
"""Linear, with interactions, with trees, and with a kernel."""
HALF = 0.5
"""A word is called important where its attribution is at least half of the largest. ATT ACC and F1 need a threshold,
and none is published."""
CHANCES = 2000
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What explains: the editor, the encoder both methods share, how pictures are drawn, and where they are kept."""

    model: Model
    encoder: ImageEncoder
    settings: Mapping[str, JsonValue] = field(default_factory=dict[str, "JsonValue"])
    store: Path | None = None

    def explain(
        self, edit: Edit, method: Method, *, settings: Mapping[str, JsonValue] | None = None, budget: int = EDITS
    ) -> PromptExplanation:
        """One explanation; words are cut at white space, as published, for both methods."""
        return whygen.explain_prompt(
            self.model,
            edit,
            preset=None if method == "default" else method,
            units="whitespace",
            budget=budget,
            encoder=self.encoder,
            settings=Settings(extra={**self.settings, **(settings or {})}),
            cache=self.store,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """One condition with and without the mark: Jaccard of the top sets and generalised, each with its chance."""

    condition: str
    instruction: str
    method: Method
    top1: float
    top2: float
    generalised: float
    chance_top1: float
    chance_top2: float
    chance_generalised: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accurate:
    """One labelled instruction: AUROC, and ATT ACC and F1 by two rules."""

    name: str
    instruction: str
    method: Method
    auroc: float
    accuracy: float
    f1: float
    accuracy_significant: float
    f1_significant: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What random attributions reach on the same labels."""

    auroc: float
    accuracy: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Held-out R2 of one surrogate on one explanation; None where the outputs do not vary or masks are too few."""

    condition: str
    surrogate: str
    r2: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """One noise at one guidance, compared with the deterministic baseline: the model's own guidance and first noise."""

    guidance: Literal["own", "high"]
    noise: int
    top1: float
    top2: float
    generalised: float
    rank_correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that was measured.

    Attributes:
        questions: what was asked.
        model: the editor's URI.
        encoder: name of the encoder.
        stable: rows of the stability set, by condition and method.
        accurate: rows of the labelled set, by instruction and method.
        chance: what random attributions reach on the labelled set.
        mapped: the condition of the map.
        drawn: the map; None where all outputs were equal.
        predicted: rows of the surrogates, by condition and surrogate.
        seeded: rows of the noises.
        again: generalised Jaccard of the baseline with itself, drawn anew and not from the store.
        references: what was drawn for each condition, without and with the mark.
    """

    questions: Questions
    model: str
    encoder: str
    stable: tuple[Stable, ...]
    accurate: tuple[Accurate, ...]
    chance: Chance
    mapped: str
    drawn: OutputMap | None
    predicted: tuple[Predicted, ...]
    seeded: tuple[Seeded, ...]
    again: float
    references: Mapping[str, tuple[Picture | None, Picture | None]]


def pictures_asked(questions: Questions) -> int:
    """How many pictures a whole run asks for."""
    stable = 2 * len(METHODS) * EDITS * len(questions.stability)
    labelled = len(METHODS) * EDITS * len(questions.labelled)
    return stable + labelled + DEEP * len(questions.stability) + (2 * SEEDS + 1) * EDITS


def reproduce(bench: Bench, questions: Questions, *, say: Say = lambda _: None) -> Results:
    """Run all five experiments.

    Args:
        bench: the editor and how it is asked.
        questions: what it is asked.
        say: is told what is being done.
    """
    say(f"about {pictures_asked(questions):,} pictures, those that recur drawn once")
    stable, references = stability(bench, questions, say=say)
    say(f"labelled instructions: {len(questions.labelled)}")
    accurate = tuple(_accurate(bench, question, method) for question in questions.labelled for method in METHODS)
    say("surrogates and map")
    deep = {question.name: bench.explain(question.edit, "default", budget=DEEP) for question in questions.stability}
    drawn = output_map(deep[questions.mapped], bench.encoder)
    predicted = tuple(row for name, found in deep.items() for row in surrogates(name, found))
    say(f"{SEEDS} noises")
    seeded, again = seeds(bench, questions)
    return Results(
        questions=questions,
        model=bench.model.uri,
        encoder=bench.encoder.name,
        stable=stable,
        accurate=accurate,
        chance=chance_of([question.labels or () for question in questions.labelled]),
        mapped=questions.mapped,
        drawn=drawn,
        predicted=predicted,
        seeded=seeded,
        again=again,
        references=references,
    )


def stability(
    bench: Bench, questions: Questions, *, say: Say
) -> tuple[tuple[Stable, ...], dict[str, tuple[Picture | None, Picture | None]]]:
    """Each condition explained with and without the mark by both methods, and the pictures that were drawn."""
    rows: list[Stable] = []
    drawn: dict[str, tuple[Picture | None, Picture | None]] = {}
    for question in questions.stability:
        say(f"stability: {question.name}")
        for method in METHODS:
            plain, marked = bench.explain(question.edit, method), bench.explain(question.marked, method)
            rows.append(_stable(question, method, plain, marked))
            drawn[question.name] = (_reference(plain), _reference(marked))
    return tuple(rows), drawn


def _stable(question: Question, method: Method, plain: PromptExplanation, marked: PromptExplanation) -> Stable:
    found = compare(plain, marked, strongest=1)
    two, chance_two = _two_strongest(found)
    return Stable(
        condition=question.name,
        instruction=question.edit.instruction,
        method=method,
        top1=found.jaccard[0],
        top2=two,
        generalised=found.overlap[0],
        chance_top1=found.jaccard[1],
        chance_top2=chance_two,
        chance_generalised=found.overlap[1],
    )


def _two_strongest(found: Comparison) -> tuple[float, float]:
    """Jaccard of the sets of the two strongest words, and its mean by chance."""
    first, second = (np.array([getattr(unit, side) for unit in found.units]) for side in ("first", "second"))
    return top_jaccard(first, second, 2), chance_jaccard(len(first), 2)


def _reference(found: PromptExplanation) -> Picture | None:
    if found.evidence is None or found.evidence.pictures is None:
        return None
    places = [i for i, sample in enumerate(found.evidence.samples) if sample.kind == "reference"]
    return found.evidence.pictures.of(places[0]) if places else None


def _accurate(bench: Bench, question: Question, method: Method) -> Accurate:
    found = bench.explain(question.edit, method)
    labels = np.array(question.labels, dtype=bool)
    values = np.array([unit.attribution for unit in found.units])
    sure = np.array([unit.significant is True and unit.attribution > 0 for unit in found.units])
    called = important(values)
    return Accurate(
        name=question.name,
        instruction=question.edit.instruction,
        method=method,
        auroc=_auroc(labels, values),
        accuracy=_accuracy(labels, called),
        f1=_f1(labels, called),
        accuracy_significant=_accuracy(labels, sure),
        f1_significant=_f1(labels, sure),
    )


def important(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The words that are called important: at least `HALF` of the largest attribution; none where that is not positive.

    Args:
        values: attributions, ``(n,)``.
    """
    largest = float(values.max(initial=0.0))
    return values >= HALF * largest if largest > 0 else np.zeros(len(values), dtype=bool)


def _auroc(labels: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    return float(cast("Any", roc_auc_score)(labels, values))


def _accuracy(labels: NDArray[np.bool_], called: NDArray[np.bool_]) -> float:
    return float(cast("Any", accuracy_score)(labels, called))


def _f1(labels: NDArray[np.bool_], called: NDArray[np.bool_]) -> float:
    return float(cast("Any", f1_score)(labels, called, zero_division=0.0))


def chance_of(labels: Sequence[Sequence[bool]]) -> Chance:
    """What normal random attributions reach on each instruction's labels: AUROC one half, and mean ATT ACC and F1."""
    rng = generator(0, "chance of labels")
    rows = [_by_chance(np.array(each, dtype=bool), rng) for each in labels for _ in range(CHANCES // len(labels))]
    accuracy, f1 = np.mean(rows, axis=0).tolist()
    return Chance(auroc=0.5, accuracy=accuracy, f1=f1)


def _by_chance(truth: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    called = important(rng.normal(size=len(truth)))
    hits, marked = int((called & truth).sum()), int(called.sum() + truth.sum())
    return float((called == truth).mean()), 2 * hits / marked if marked else 0.0


def output_map(found: PromptExplanation, encoder: ImageEncoder) -> OutputMap | None:
    """The map of the masked outputs of an explanation; None where there is none."""
    evidence = found.evidence
    if evidence is None or evidence.pictures is None:
        return None
    kept = [
        (sample.mask, picture)
        for place, sample in enumerate(evidence.samples)
        if sample.kind == "mask" and sample.mask is not None and (picture := evidence.pictures.of(place)) is not None
    ]
    rows = [row for row, _ in kept]
    vectors = encoder.images([picture for _, picture in kept])
    return map_outputs(
        vectors,
        evidence.masks[rows],
        evidence.groups[rows],
        names=[unit.text for unit in found.units],
        rng=generator(found.seed, "map"),
    )


def surrogates(name: str, found: PromptExplanation) -> list[Predicted]:
    """Held-out R2 of each surrogate on the very same masks and folds."""
    observed = _observed(found)
    return [
        Predicted(condition=name, surrogate=surrogate, r2=None if observed is None else _heldout(observed, surrogate))
        for surrogate in SURROGATES
    ]


def _observed(found: PromptExplanation) -> Effects | None:
    evidence = found.evidence
    if evidence is None:
        return None
    known = np.isfinite(evidence.effects)
    seen = Effects(evidence.masks, evidence.effects, evidence.groups, found.keep).take(known)
    return seen if len(np.unique(seen.groups)) >= FEWEST_GROUPS else None


def _heldout(observed: Effects, surrogate: str) -> float | None:
    fit = cross_fit(observed, load_surrogate(surrogate), generator(0, "folds of surrogates"))
    return r_squared(observed.values, fit.predicted)


def seeds(bench: Bench, questions: Questions) -> tuple[tuple[Seeded, ...], float]:
    """Ten noises at the model's own guidance and at high guidance, each beside the first noise at its own guidance.

    Returns:
        A row for each, and the generalised Jaccard of that baseline when everything is drawn a second time.
    """
    edit = questions.named(questions.seeded).edit
    baseline = bench.explain(edit, "default", settings={"seed": 0})
    afresh = Bench(model=bench.model, encoder=bench.encoder, settings=bench.settings)
    again = compare(baseline, afresh.explain(edit, "default", settings={"seed": 0})).overlap[0]
    rows: list[Seeded] = []
    kinds: tuple[tuple[Literal["own", "high"], Mapping[str, JsonValue]], ...] = (("own", {}), ("high", questions.high))
    for guidance, settings in kinds:
        for noise in range(1, SEEDS + 1):
            found = bench.explain(edit, "default", settings={**settings, "seed": noise})
            rows.append(_seeded(guidance, noise, compare(baseline, found, strongest=1)))
    return tuple(rows), again


def _seeded(guidance: Literal["own", "high"], noise: int, found: Comparison) -> Seeded:
    return Seeded(
        guidance=guidance,
        noise=noise,
        top1=found.jaccard[0],
        top2=_two_strongest(found)[0],
        generalised=found.overlap[0],
        rank_correlation=found.rank_correlation,
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and the half width of its 95% t interval; None for a single value."""
    array = np.array(values, dtype=np.float64)
    if len(array) < 2:
        return float(array.mean()), None
    error = array.var(ddof=1) / len(array)
    return float(array.mean()), float(student_half_width(error, len(array) - 1))
