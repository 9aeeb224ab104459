"""The completions endpoint: base models, and log-probabilities of a given text where the server echoes the prompt."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import openai

from whygen.models.openai_chat import finish_of, is_filtered, parameters, provenance
from whygen.remote import Answer, Malformed, dig, document, refuse_error, usage
from whygen.types import Failure, JsonValue, Output, Request, TokenScore

_OTHER_WAY = "Use a target that compares answers, such as target='cosine' or 'tfidf', or the model itself through hf/."

_TEXTS_ONLY = Failure(
    kind="permanent",
    message="the completions endpoint takes texts only",
    advice="Give the prompt as one text, or use the endpoint 'chat'.",
)


def complete(client: openai.OpenAI, name: str, request: Request) -> Answer:
    """Ask how a text goes on."""
    if not isinstance(request.prompt, str):
        return _TEXTS_ONLY
    body = parameters(request, length="max_tokens")
    raw = client.completions.with_raw_response.create(model=name, prompt=request.prompt, extra_body=body)
    return read_completion(document(raw.content), seed=body.get("seed"))


def completion_body(name: str, request: Request) -> dict[str, JsonValue] | Failure:
    """The same as `complete` asks with, for a batch."""
    if not isinstance(request.prompt, str):
        return _TEXTS_ONLY
    return {"model": name, "prompt": request.prompt, **parameters(request, length="max_tokens")}


def read_completion(answer: Mapping[str, Any], *, seed: Any = None) -> Output:
    """The output in a text completion.

    Raises:
        Malformed: if there is no text.
    """
    refuse_error(answer)
    text = dig(answer, "choices", 0, "text")
    if dig(answer, "choices", 0) is None and is_filtered(answer):
        return Output(finish="refused", extra=provenance(answer, seed))
    if not isinstance(text, str):
        raise Malformed("JSON without a choice in it")
    read, written = usage(answer)
    return Output(
        text=text,
        finish=finish_of(dig(answer, "choices", 0)),
        tokens_in=read,
        tokens_out=written,
        extra=provenance(answer, seed),
    )


def score(client: openai.OpenAI, name: str, request: Request) -> Answer:
    """Log-probabilities of the request's continuation, read from the echo of prompt and continuation.

    One more token is asked for, because not every server writes none; it is not looked at.
    """
    if not isinstance(request.prompt, str):
        advice = "Give the prompt as one text."
        return Failure(kind="permanent", message="the completions endpoint scores texts only", advice=advice)
    prompt, target = request.prompt, request.continuation or ""
    raw = client.completions.with_raw_response.create(
        model=name, prompt=prompt + target, echo=True, logprobs=1, max_tokens=1, temperature=0.0
    )
    answer = document(raw.content)
    refuse_error(answer)
    scores = _scores(dig(answer, "choices", 0), prompt, target)
    if isinstance(scores, str):
        return Failure(kind="permanent", message=scores, advice=_OTHER_WAY)
    read, written = usage(answer)
    return Output(
        text=target,
        finish="scored",
        scores=scores,
        tokens_in=read,
        tokens_out=written,
        extra=provenance(answer, None),
    )


def _scores(choice: object, prompt: str, target: str) -> tuple[TokenScore, ...] | str:
    """Scores of the tokens of the target, or why there are none that could be trusted."""
    tokens = dig(choice, "logprobs", "tokens")
    logprobs = dig(choice, "logprobs", "token_logprobs")
    if not isinstance(tokens, list) or not isinstance(logprobs, list):
        return "this server gives no log-probabilities of a given text (it does not echo the prompt with logprobs)"
    words = [str(token) for token in cast(list[object], tokens)]
    starts = _starts(words, dig(choice, "logprobs", "text_offset"), dig(choice, "text"), prompt + target)
    if starts is None:
        return "the server's tokens cannot be placed in the text that was scored"
    first, end = len(prompt), len(prompt) + len(target)
    inside = [place for place, start in enumerate(starts) if first <= start < end]
    if target and (not inside or starts[inside[0]] != first):
        return "the server's tokenizer joins the end of the prompt with the beginning of the text to score"
    bounds = [*(starts[place] - first for place in inside), len(target)]
    given = cast(list[object], logprobs)
    values = [given[place] if place < len(given) else None for place in inside]
    if not all(isinstance(value, int | float) and abs(value) < 1e30 for value in values):
        return "the server gives no log-probability of the first token of a text: keep at least one word of the prompt"
    spans = itertools.pairwise(bounds)
    return tuple(TokenScore(a, b, min(0.0, float(cast(float, v)))) for (a, b), v in zip(spans, values, strict=True))


def _starts(tokens: Sequence[str], offsets: object, text: object, full: str) -> list[int] | None:
    """Where each token begins in the text that was sent: by the tokens themselves, else by the server's own account.

    Tokens may be led by special ones, which the text lacks; and a character that several tokens share is not to be seen
    in them.
    """
    shift = "".join(tokens).find(full)
    if shift >= 0:
        return [start - shift for start in itertools.accumulate(map(len, tokens[:-1]), initial=0)]
    if not (isinstance(text, str) and text.startswith(full) and isinstance(offsets, list)):
        return None
    given = cast(list[object], offsets)
    places = [place for place in given if isinstance(place, int)]
    usable = len(places) == len(given) == len(tokens) and places[:1] == [0] and places == sorted(places)
    return places if usable and places[-1] <= len(text) else None
