"""`evaluate`: every measure of an explanation, each beside its chance level. METHODS A7, B6.

What needs no call is computed from what was recorded. The rest asks the model again, through the same store and under a
budget of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from whygen.encoders import AnyEncoder
from whygen.errors import DataError, MissingError, ModelError, UnknownNameError, UsageError
from whygen.evaluation.again import Again, prompt_of
from whygen.evaluation.measures import anchors, randomisation, stability
from whygen.evaluation.measures.accuracy import accuracy
from whygen.evaluation.measures.cost import cost
from whygen.evaluation.measures.faithfulness import faithfulness
from whygen.evaluation.measures.fidelity import fidelity
from whygen.evaluation.measures.record import Evaluation, Found, LeftOut, Measure, leave_out
from whygen.models import ModelOptions
from whygen.prompt.options import PromptChoices
from whygen.results import AnchorExplanation, PromptExplanation, load
from whygen.runs import DEFAULT_STORE, Progress, RunOptions
from whygen.types import Settings, Source
from whygen.version import __version__

OPERATORS = ("delete", "placeholder")
"""Compared by `agreement` unless others are named: those that need nothing besides the model."""

CALLING = ("faithfulness", "stability", "consistency", "agreement")
"""Metrics that ask the model."""

METRICS = ("fidelity", "accuracy", "randomisation", "cost", *CALLING)
"""Of an explanation of a prompt."""

ANCHOR_METRICS = ("stability", "accuracy", "coverage", "cost")
"""Of an explanation by anchors; none asks the model."""


def evaluate(
    explanation: PromptExplanation | AnchorExplanation | Path | str,
    *,
    metrics: str | Sequence[str] = "auto",
    labels: Sequence[bool | int] | None = None,
    model: object = None,
    prompt: Source | None = None,
    encoder: AnyEncoder = "auto",
    settings: Settings | None = None,
    paraphrase: str | None = None,
    models: Sequence[object] = (),
    operators: Sequence[str] = OPERATORS,
    untrained: object = None,
    max_calls: int = 512,
    seed: int = 0,
    cache: Path | str | None = DEFAULT_STORE,
    options: ModelOptions | None = None,
    progress: Progress | None = None,
    run: RunOptions | None = None,
    **choices: Unpack[PromptChoices],
) -> Evaluation:
    """Whether an explanation is any good: measures beside their chance levels, with intervals.

    Args:
        explanation: an explanation, or the folder it was saved in.
        metrics: ``auto``: all that need no call; ``all``; or names: ``fidelity``, ``accuracy`` (needs ``labels``),
            ``randomisation``, ``cost``, and those that ask the model, ``faithfulness``, ``stability``,
            ``consistency`` and ``agreement``. Of an explanation by anchors: ``stability``, ``accuracy``, ``coverage``
            and ``cost``.
        labels: for each unit (anchor) whether it matters (whether the model should know it): 1 or 0.
        model: the black box, where the explanation's URI does not open it.
        prompt: what was explained, where it is a chat, a template or a picture.
        encoder: as it was given to `explain_prompt`.
        settings: how to generate; what the explanation recorded unless given.
        paraphrase: the prompt in other words, for ``stability``.
        models: other models, for ``consistency``.
        operators: compared by ``agreement``.
        untrained: a model with random weights, for ``randomisation``.
        max_calls: calls that the evaluation may ask for in all, recorded ones included.
        seed: of bootstraps, random orders and deals.
        cache: file of recorded answers; None keeps them in memory.
        options: of local models.
        progress: where to report progress.
        run: what may be spent, how fast, and how long.
        **choices: options of `explain_prompt` that the saved explanation does not say, such as ``target`` with a span.

    Returns:
        The evaluation. A metric that was asked for by ``auto`` or ``all`` and cannot be had is in ``left_out`` with
        the reason; one that was named raises.

    Raises:
        UsageError: for a metric there is not, labels that do not fit, or what the explanation does not say.
        BudgetError: if the budget has no room for a metric that was named.
        DataError: if the explanation has not what a named metric needs.
        FormatError: if a saved explanation is damaged or of another version.
    """
    explained = load(explanation) if isinstance(explanation, str | Path) else explanation
    if isinstance(explained, AnchorExplanation):
        parts = _of_anchors(explained, labels, seed)
        found, left_out = _computed(parts, _names(metrics, ANCHOR_METRICS), metrics)
        shown = f"{explained.n_anchors} anchors"
        return _evaluation(explained.model, shown, seed, found, left_out)
    stability.check_operators(operators)
    again = Again(
        explained, explained.model if model is None else model, prompt_or_text(explained, prompt), dict(choices),
        encoder=encoder, settings=settings, cache=cache, options=options, progress=progress, run=run, budget=max_calls,
    )  # fmt: skip
    asks = _Asks(again, given=prompt, paraphrase=paraphrase, models=models, operators=operators, untrained=untrained)
    parts = _of_prompt(explained, labels, asks, seed)
    found, left_out = _computed(parts, _names(metrics, METRICS), metrics)
    return _evaluation(explained.model, explained.prompt, seed, found, left_out, asked=again.asked, made=again.made)


def prompt_or_text(explanation: PromptExplanation, given: Source | None) -> Source:
    """The prompt that was given, else the explanation's text; `prompt_of` refuses it where a metric has to ask."""
    return explanation.prompt if given is None else given


@dataclass(frozen=True, slots=True)
class _Asks:
    """What the metrics that ask the model are told."""

    again: Again
    given: Source | None
    paraphrase: str | None
    models: Sequence[object]
    operators: Sequence[str]
    untrained: object

    def ready(self) -> Again:
        prompt_of(self.again.explanation, self.given)
        return self.again


def _of_prompt(
    explanation: PromptExplanation, labels: Sequence[bool | int] | None, asks: _Asks, seed: int
) -> Mapping[str, Callable[[], Found]]:
    def marked() -> Found:
        if labels is None:
            raise DataError("No labels were given: labels=[0, 1, ...], one for each unit.")
        return accuracy(explanation, labels, seed=seed)

    def random() -> Found:
        found = list(randomisation.dealt_out(explanation, seed=seed))
        if asks.untrained is not None:
            found += randomisation.untrained(asks.ready(), asks.untrained, seed=seed)
        return found

    return {
        "fidelity": lambda: fidelity(explanation, seed=seed),
        "accuracy": marked,
        "randomisation": random,
        "cost": lambda: cost(explanation),
        "faithfulness": lambda: faithfulness(asks.ready(), seed=seed),
        "stability": lambda: stability.stability(asks.ready(), paraphrase=asks.paraphrase, seed=seed),
        "consistency": lambda: stability.consistency(asks.ready(), models=asks.models, seed=seed),
        "agreement": lambda: stability.agreement(asks.ready(), operators=asks.operators, seed=seed),
    }


def _of_anchors(
    explanation: AnchorExplanation, labels: Sequence[bool | int] | None, seed: int
) -> Mapping[str, Callable[[], Found]]:
    def marked() -> Found:
        if labels is None:
            raise DataError("No labels were given: labels=[0, 1, ...], one for each anchor.")
        return anchors.accuracy(explanation, labels, seed=seed)

    return {
        "stability": lambda: anchors.stability(explanation, seed=seed),
        "accuracy": marked,
        "coverage": lambda: anchors.coverage(explanation),
        "cost": lambda: anchors.cost(explanation),
    }


def _names(metrics: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """The metrics that are wanted, in the order of the page."""
    if isinstance(metrics, str) and metrics in {"auto", "all"}:
        return list(known)
    wanted = [metrics] if isinstance(metrics, str) else list(metrics)
    if not wanted:
        raise UsageError("metrics is empty: give names, 'auto' or 'all'.")
    for name in wanted:
        if name not in known:
            raise UnknownNameError("metric", name, [*known, "auto", "all"])
    return [name for name in known if name in wanted]


def _computed(
    parts: Mapping[str, Callable[[], Found]], names: Sequence[str], asked_for: str | Sequence[str]
) -> tuple[list[Measure], list[LeftOut]]:
    """The measures; what nobody named and cannot be had is left out with the reason."""
    found, left_out = list[Measure](), list[LeftOut]()
    for name in names:
        if asked_for == "auto" and "faithfulness" in parts and name in CALLING:
            left_out.append(leave_out(name, "asks the model; name it, or use metrics='all'"))
            continue
        try:
            found += parts[name]()
        except (DataError, MissingError, ModelError, UsageError) as error:
            if asked_for not in ("auto", "all"):
                raise
            left_out.append(leave_out(name, str(error)))
    return found, left_out


def _evaluation(
    model: str,
    prompt: str,
    seed: int,
    found: Sequence[Measure],
    left_out: Sequence[LeftOut],
    *,
    asked: int = 0,
    made: int = 0,
) -> Evaluation:
    return Evaluation(
        whygen=__version__, model=model, prompt=prompt, seed=seed, asked=asked, made=made, measures=tuple(found),
        left_out=tuple(left_out),
    )  # fmt: skip
