"""Asking a model for the log-probabilities of texts, and for their continuations, through recorded calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from whygen.anchors.texts.criteria import Likelihood, is_verbatim, likelihood, match
from whygen.anchors.texts.preparing import Ready, first_word
from whygen.calls import EndedError, Runner
from whygen.errors import DataError, UsageError
from whygen.models import ContinuesText, HasContext, Model, ScoresText
from whygen.results.records import Ended
from whygen.types import Failure, Output, Request, Settings

Pair: TypeAlias = tuple[str, str]
"""A prompt, and the text that follows it."""
Scores: TypeAlias = Mapping[Pair, "Likelihood | str"]
"""What was scored, by prompt and text; a str says why it could not be."""
_STILL = (
    "What still works: the same model where its log-probabilities can be had, as hf/PATH or on a server whose "
    "completions echo a text with them (openai/NAME with endpoint='completions'); a function def f(text: str) -> "
    "list[float] that gives the log-probability of each token; or whygen.explain_prompt, which says why it wrote what "
    "it wrote."
)


@dataclass(frozen=True, slots=True)
class Continued:
    """How a model goes on after the beginning of a text."""

    written: str
    match: float
    verbatim: bool


@dataclass(slots=True)
class TextsAsked:
    """What a run has come to, if it ended early."""

    ended: EndedError | KeyboardInterrupt | None = None
    failures: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def reason(self) -> Ended | None:
        if self.ended is None:
            return None
        return self.ended.reason if isinstance(self.ended, EndedError) else "interrupt"


def require_scores(model: Model) -> None:
    """Refuse a model that tells nothing of a given text.

    Raises:
        UsageError: with what still works.
    """
    if not isinstance(model, ScoresText):
        raise UsageError(
            f"{model.uri} gives no log-probabilities of a given text, and by its answers alone nobody can tell whether "
            f"it has seen a text: it may look up what it never saw, or keep back what it knows. {_STILL}"
        )


def needs_heads(model: Model) -> bool:
    """Whether the first word of a text must be given, since nothing else begins it: servers score no first token."""
    if model.limits.max_in_flight > 1:
        return True
    if isinstance(model, HasContext):
        try:
            model.count_tokens(Request(prompt=""))
        except DataError:
            return True
    return False


def request_for(pair: Pair, *, heads: bool) -> Request:
    """What asks for the log-probabilities of a text after its prompt."""
    prompt, text = pair
    cut = first_word(text) if heads and not prompt else 0
    return Request(prompt=prompt + text[:cut], continuation=text[cut:])


def score_texts(runner: Runner, pairs: Sequence[Pair], asked: TextsAsked, *, heads: bool, label: str) -> Scores:
    """Log-probabilities of texts, each once; those that the run did not come to are left out.

    Raises:
        UsageError: if the model scores none of them; says why, and what still works.
    """
    wanted = {pair: request_for(pair, heads=heads) for pair in dict.fromkeys(pairs)}
    requests = list(wanted.values())
    answers: Sequence[Output | Failure | None]
    try:
        answers = runner.score(requests, label=label)
    except (EndedError, KeyboardInterrupt) as ended:
        asked.ended = ended
        answers = runner.recall(requests)
    found: dict[Pair, Likelihood | str] = {}
    failures: list[Failure] = []
    for pair, request, answer in zip(wanted, requests, answers, strict=True):
        if isinstance(answer, Failure):
            failures.append(answer)
            found[pair] = answer.sentence
        elif answer is not None:
            found[pair] = _likelihood(request.continuation or "", answer)
    if failures and len(failures) == len(wanted):
        first = failures[0]
        why = f"{first.said} {_STILL}" if first.kind == "permanent" else first.sentence
        raise UsageError(f"No text could be scored: {why}")
    return found


def _likelihood(text: str, answer: Output) -> Likelihood | str:
    if not answer.scores:
        return "The model scored no token of it."
    if not all(math.isfinite(score.logprob) for score in answer.scores):
        return "The model gave a token of it no finite log-probability."
    return likelihood(text, answer.scores)


def can_continue(model: Model, ready: Ready) -> bool:
    """Whether the model can be asked how a text goes on: it continues texts, or the text answers a prompt."""
    return bool(ready.prompt) or (model.continues_text if isinstance(model, ContinuesText) else True)


def continuation_for(model: Model, ready: Ready, found: Likelihood, *, heads: bool) -> tuple[Request, str] | None:
    """What asks a model to go on after the beginning of a text, and how the text goes on; None if it is short."""
    if not can_continue(model, ready):
        return None
    continues = not isinstance(model, ContinuesText) or model.continues_text
    shift = first_word(ready.text) if heads and not ready.prompt else 0
    if not continues:
        return _ask(ready.prompt, ready.text[: found.end], found.tokens)
    if not found.drawn_tokens:
        return None
    begin, end = found.beginning + shift, found.end + shift
    return _ask(ready.prompt + ready.text[:begin], ready.text[begin:end], found.drawn_tokens)


def _ask(prompt: str, wanted: str, tokens: int) -> tuple[Request, str]:
    return Request(prompt=prompt, settings=Settings(max_tokens=tokens)), wanted


def continue_texts(
    runner: Runner, wanted: Mapping[int, tuple[Request, str]], asked: TextsAsked
) -> dict[int, Continued]:
    """How the model goes on, greedily, by the numbers of the texts; what it did not answer is left out."""
    requests = [request for request, _ in wanted.values()]
    answers: Sequence[Output | Failure | None]
    try:
        answers = runner.ask(requests, label="Continuing")
    except (EndedError, KeyboardInterrupt) as ended:
        asked.ended = ended
        answers = runner.recall(requests)
    return {
        number: Continued(answer.text, match(text, answer.text), is_verbatim(text, answer.text))
        for (number, (_, text)), answer in zip(wanted.items(), answers, strict=True)
        if isinstance(answer, Output)
    }
