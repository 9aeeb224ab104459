"""`evaluate`: every figure of an explanation by one call, each beside its chance level and interval. METHODS A7."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whygen._arguments import typed
from whygen.calls import DEFAULT_STORE, EndedError, Interrupted, Progress, RunOptions, open_store
from whygen.encoders import AnyEncoder
from whygen.errors import BudgetError, DataError, FormatError, MissingError, UnknownNameError, UsageError
from whygen.evaluation.case import Case, Lab, Metric
from whygen.evaluation.measures import (
    accuracy,
    anchors,
    consistency,
    cost,
    faithfulness,
    fidelity,
    randomisation,
    stability,
    texts,
)
from whygen.evaluation.result import Evaluation, LeftOut, Measure
from whygen.models import ModelOptions
from whygen.prompt.options import EVALUATE, PromptOptions
from whygen.results import AnchorExplanation, Explanation, PromptExplanation, TextAnchorExplanation, load
from whygen.results.anchors import SCHEMA as ANCHORS_SCHEMA
from whygen.results.files import digest_of
from whygen.results.prompt import SCHEMA, Calls
from whygen.results.records import Ended
from whygen.version import __version__, versions

A = TypeVar("A", AnchorExplanation, TextAnchorExplanation)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        fidelity.METRIC, accuracy.METRIC, faithfulness.METRIC, stability.METRIC, consistency.METRIC,
        stability.OPERATORS, randomisation.METRIC, cost.METRIC,
    )
}  # fmt: skip
"""Of explanations of prompts, in the order of the table."""

ANCHORS: Mapping[str, Callable[[AnchorExplanation, int], list[Measure]]] = anchors.METRICS
TEXTS: Mapping[str, Callable[[TextAnchorExplanation, int], list[Measure]]] = texts.METRICS
"""Of explanations of anchors."""


@typed(options=PromptOptions, door=EVALUATE)
def evaluate(
    explanation: Explanation | Path | str,
    *,
    metrics: str | Sequence[str] = "auto",
    labels: ArrayLike | None = None,
    model: object | None = None,
    budget: int = 0,
    repeats: int = 3,
    paraphrases: str | Sequence[str] = (),
    models: Sequence[object] = (),
    randomised: object | None = None,
    encoder: AnyEncoder = "auto",
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Any,
) -> Evaluation:
    """How good an explanation is.

    Nothing is asked of the model unless ``budget`` allows it: then what a metric needs, through the same store.

    Options of the explanation are given again where they were Python objects, such as a ``target`` of your own; for
    folders from before recipes were kept (schema 2) whatever was chosen: ``target`` with its argument ...
    A ``lexicon`` or a ``paraphraser`` also says the prompt in other words, for ``stability``.

    Args:
        explanation: an explanation, or the folder it was saved in.
        metrics: names of `METRICS`; ``auto`` for all that the explanation and the budget allow, the others are listed
            in `Evaluation.left_out` with the reason.
        labels: for ``accuracy``: 0 or 1 for each unit, in the order of the prompt.
        model: the model that was explained; by default the URI that the explanation names.
        budget: answers that may be asked for in all, recorded ones included; 0 asks for none.
        repeats: further explanations, by other seeds, for ``stability`` and ``consistency``.
        paraphrases: for ``stability``: the prompt in other words.
        models: for ``consistency``: other models to explain the same prompt for.
        randomised: for ``randomisation``: a model of the same kind that has learned nothing; ``copy`` for a copy of the
            model with the values within every weight shuffled. Left out: that copy, where the model runs here
            (``hf/``, ``demo/storyteller``) and the budget is left for it.
        encoder: as in `explain_prompt`; the one that the explanation was made with unless given.
        seed: of bootstraps, permutations, random orders and the seeds of further explanations.
        cache: file of recorded answers, the one the explanation was made with; None keeps them in memory.
        options: device, precision and batch size of local models.
        progress: where to report progress.
        run: what the run may spend in tokens or money, how fast, and how long.
        **choices: options of the explanation that are given again.

    Returns:
        Frozen figures, each with its interval and its chance level.

    Raises:
        UsageError: for an argument that cannot work, or a metric asked for by name that this explanation cannot
            support; `BudgetError` names the smallest budget that does.
        MissingError: if the explanation, the model, an encoder or an extra is missing.
        FormatError: if the explanation is of another version.
        ModelError: if the model does not answer.
        EndedError: if a bound of ``run`` or the server ended it before anything was measured; with figures it is in
            `Evaluation.ended`.
        Interrupted: after Ctrl-C, with the figures there are.
    """
    subject = load(explanation) if isinstance(explanation, Path | str) else explanation
    if not isinstance(subject, TextAnchorExplanation):
        _check_version(subject)
    _check_numbers(budget, repeats)
    if isinstance(subject, AnchorExplanation):
        return _evaluated_anchors(subject, metrics, seed, known=ANCHORS, what="anchors, which have no units")
    if isinstance(subject, TextAnchorExplanation):
        return _evaluated_anchors(subject, metrics, seed, known=TEXTS, what="anchors that are texts")
    wanted = [METRICS[name] for name in chosen_names(metrics, METRICS)]
    marked = None if labels is None else check_labels(labels, len(subject.units))
    with open_store(cache) as store:
        lab = Lab(
            subject, store, budget, model=model, encoder=encoder, choices={**choices}, options=options,
            progress=progress, run=run,
        )  # fmt: skip
        texts = (paraphrases,) if isinstance(paraphrases, str) else tuple(paraphrases)
        case = Case(subject, lab, seed, marked, repeats, texts, models, randomised)
        rows, ended = _measured(case, wanted, named=metrics != "auto")
        found = Evaluation(
            whygen=__version__,
            explains="prompt",
            model=subject.model,
            prompt=subject.prompt,
            digest=digest_of(subject),
            measures=tuple(rows),
            left_out=tuple(case.left),
            units=tuple(case.spreads),
            calls=lab.calls,
            seed=seed,
            versions=versions(("numpy", "scipy", "scikit-learn")),
            ended=ended,
        )
    if ended == "interrupt":
        raise Interrupted(found)
    return found


def _evaluated_anchors(
    subject: A, metrics: str | Sequence[str], seed: int, *, known: Mapping[str, Callable[[A, int], list[Measure]]],
    what: str,
) -> Evaluation:  # fmt: skip
    """The figures that apply to anchors; nothing is asked of the model."""
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    strange = [name for name in names if name not in known and name in (*METRICS, *ANCHORS, *TEXTS)]
    if strange:
        raise UsageError(f"{', '.join(strange)}: not for {what}. Of these there are: {', '.join(known)}.")
    rows: list[Measure] = []
    left: list[LeftOut] = []
    for name in chosen_names(metrics, known):
        try:
            rows += known[name](subject, seed)
        except (UsageError, MissingError) as error:
            if metrics != "auto":
                raise
            left.append(LeftOut(metric=name, reason=str(error)))
    return Evaluation(
        whygen=__version__,
        explains="anchors",
        model=subject.model,
        prompt="",
        digest=digest_of(subject),
        measures=tuple(rows),
        left_out=tuple(left),
        calls=Calls(asked=0, made=0, cached=0, failed=0),
        seed=seed,
        versions=versions(("numpy", "scipy", "scikit-learn")),
    )


def _measured(case: Case, wanted: Sequence[Metric], *, named: bool) -> tuple[list[Measure], Ended | None]:
    """Rows, and what ended the run before its end; a metric that was asked for by name raises what leaves it out."""
    rows: list[Measure] = []
    for place, metric in enumerate(wanted):
        case.lab.metric = metric.name
        try:
            case.lab.require(metric.calls(case), metric.name)
            rows += metric.measure(case)
        except (KeyboardInterrupt, EndedError) as stop:
            if not rows:
                raise
            early = isinstance(stop, EndedError)
            why = str(stop) if early else "It was interrupted."
            case.left += [LeftOut(metric=each.name, reason=f"The run had ended. {why}") for each in wanted[place:]]
            return rows, stop.reason if early else "interrupt"
        except (UsageError, MissingError) as error:
            if named:
                raise
            case.left.append(LeftOut(metric=metric.name, reason=str(error)))
    return rows, None


def chosen_names(given: str | Sequence[str], known: Iterable[str]) -> list[str]:
    """The names of metrics, in the order given; all of them for ``auto``.

    Raises:
        UnknownNameError: for a name that is none.
        UsageError: for no name at all.
    """
    known = list(known)
    names = known if given == "auto" else [given] if isinstance(given, str) else list(dict.fromkeys(given))
    if not names:
        raise UsageError("metrics is empty: name at least one, or leave it out for all that apply.")
    for name in names:
        if name not in known:
            raise UnknownNameError("metric", name, [*known, "auto"])
    return names


def check_labels(labels: ArrayLike, units: int) -> NDArray[np.bool_]:
    """Labels as truth values, shape ``(units,)``.

    Raises:
        DataError: if there is not one 0 or 1 for each unit.
    """
    found = np.asarray(labels)
    if found.shape != (units,):
        raise DataError(
            f"labels has shape {found.shape}, and the explanation has {units} units: give one 0 or 1 for each, in the "
            "order of explanation.units."
        )
    if not np.isin(found, (0, 1)).all():
        strange = next(value for value in found.tolist() if value not in (0, 1))
        raise DataError(f"labels holds {strange!r}: each label is 0 or 1 (or False or True).")
    return found.astype(bool)


def _check_version(explanation: PromptExplanation | AnchorExplanation) -> None:
    known = ANCHORS_SCHEMA if isinstance(explanation, AnchorExplanation) else SCHEMA
    if explanation.schema_version > known:
        raise FormatError(
            f"The explanation has schema {explanation.schema_version}, and this whygen ({__version__}) evaluates up to "
            f"schema {known}. Explain again with this version; recorded answers cost nothing."
        )


def _check_numbers(budget: int, repeats: int) -> None:
    if budget < 0:
        raise BudgetError(f"budget={budget}: give 0 (ask nothing) or more.", smallest=0)
    if repeats < 2:
        raise UsageError(f"repeats={repeats}: a spread needs at least 2.")
