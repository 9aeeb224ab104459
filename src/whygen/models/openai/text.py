"""The endpoints of texts: chat, and completions for base models and for log-probabilities of a given text."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import openai

from whygen.models.openai.turns import calls_in, messages, tools
from whygen.models.turns import fitting
from whygen.remote import Answer, Malformed, dig, document, ended_by, refuse_error, told, told_name, usage, with_extra
from whygen.types import Failure, FinishReason, JsonValue, Output, Request, TokenScore

SEED_BITS = 31
"""Some servers keep a seed in 32 bits, and JSON in others has no more than 53."""
MOST_LOGPROBS = 100_000
"""Tokens whose log-probabilities are kept."""


def chat(client: openai.OpenAI, name: str, request: Request, *, length: str, own: bool = False) -> Output:
    """Ask for one answer.

    Args:
        client: of the server.
        name: of the model.
        request: a text, sent as the user's message, or a chat.
        length: what this server calls the limit of the answer: ``max_tokens`` or ``max_completion_tokens``.
        own: whether it is OpenAI's own, which takes no tools but functions and custom ones.

    Raises:
        Refused: if the protocol has no place for a part of the prompt.
    """
    body = chat_body(name, request, length=length, own=own)
    raw = client.chat.completions.with_raw_response.create(
        model=cast(str, body.pop("model")), messages=cast(Any, body.pop("messages")), extra_body=body
    )
    return read_chat(document(raw.content), seed=body.get("seed"))


def chat_body(name: str, request: Request, *, length: str, own: bool = False) -> dict[str, JsonValue]:
    """What `chat` asks with, alone or in a batch."""
    about = fitting({**tools(request.prompt, own=own), **parameters(request, length=length)})
    return {"model": name, "messages": messages(request.prompt), **about}


def parameters(request: Request, *, length: str) -> dict[str, JsonValue]:
    """Settings in the protocol's words; those of ``Settings.extra`` win, and its None leaves one out."""
    settings = request.settings
    body: dict[str, JsonValue] = {"temperature": settings.temperature, length: settings.max_tokens}
    if settings.temperature > 0:
        body["seed"] = seed_of(request)
    if settings.top_p is not None:
        body["top_p"] = settings.top_p
    if settings.stop:
        body["stop"] = list(settings.stop)
    return with_extra(body, settings.extra)


def seed_of(request: Request) -> int:
    """The request's own seed, in as many bits as every server takes."""
    return request.sampling_seed >> (63 - SEED_BITS)


def read_chat(answer: Mapping[str, Any], *, seed: JsonValue = None) -> Output:
    """The output in a chat completion.

    A message without text is an empty answer; a refusal's words are its text.

    Raises:
        Malformed: if there is no message.
    """
    refuse_error(answer)
    choice = dig(answer, "choices", 0)
    said = isinstance(dig(choice, "message"), Mapping)
    if (choice is None and is_filtered(answer)) or (not said and finish_of(choice) == "refused"):
        return Output(finish="refused", extra=told(**provenance(answer, seed)))
    if not said:
        raise Malformed("JSON without a choice in it")
    spoken, refusal = dig(choice, "message", "audio", "transcript"), dig(choice, "message", "refusal")
    text = dig(choice, "message", "content") or spoken
    refusal = refusal or "".join(each for part in _list(text) if isinstance(each := dig(part, "refusal"), str))
    refused = isinstance(refusal, str) and refusal != ""
    read, written = usage(answer)
    return Output(
        text=cast(str, refusal) if refused else _text(text),
        calls=calls_in(dig(choice, "message")),
        finish="refused" if refused else finish_of(choice),
        tokens_in=read,
        tokens_out=written,
        extra=told(**provenance(answer, seed), logprobs=_logprobs(dig(choice, "logprobs", "content"))),
    )


def finish_of(choice: object) -> FinishReason:
    """Why an answer ended."""
    return ended_by(dig(choice, "finish_reason"))


def is_filtered(answer: Mapping[str, Any]) -> bool:
    """Whether there is no choice because the service's filter stopped the prompt, as some say beside an empty list."""
    found = dig(answer, "prompt_filter_results", 0, "content_filter_results")
    results = cast(Mapping[str, object], found if isinstance(found, Mapping) else {})
    stopped = any(dig(each, "filtered") is True for each in results.values())
    return stopped or dig(answer, "promptFeedback", "blockReason") is not None


def _logprobs(found: object) -> JsonValue:
    """Pairs of a token and its log-probability; what is no such pair is left out."""
    pairs = [(dig(each, "token"), dig(each, "logprob")) for each in _list(found)[:MOST_LOGPROBS]]
    kept: list[JsonValue] = [
        [token, float(value)]
        for token, value in pairs
        if isinstance(token, str) and isinstance(value, int | float) and abs(value) < 1e30
    ]
    return kept or None


def _text(content: object) -> str:
    """Some servers answer in parts, as they are asked."""
    if isinstance(content, str):
        return content
    texts = [dig(part, "text") for part in _list(content)]
    return "".join(text for text in texts if isinstance(text, str))


def _list(found: object) -> list[object]:
    return cast(list[object], found) if isinstance(found, list) else []


def provenance(answer: Mapping[str, Any], seed: JsonValue) -> dict[str, JsonValue]:
    """What the server says of what answered, and the seed it was given."""
    return told(
        model=told_name(answer.get("model")), fingerprint=told_name(answer.get("system_fingerprint")), seed=seed
    )


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
