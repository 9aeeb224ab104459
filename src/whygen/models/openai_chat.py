"""The chat endpoint: requests to messages, answers to outputs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

import openai

from whygen.remote import Malformed, dig, document, refuse_error, told, told_name, usage, with_extra
from whygen.types import Chat, Edit, FinishReason, JsonValue, Message, Output, Picture, Prompt, Request

SEED_BITS = 31
"""Some servers keep a seed in 32 bits, and JSON in others has no more than 53."""
FINISHES: Mapping[str, FinishReason] = {
    "length": "length", "max_tokens": "length", "content_filter": "refused", "safety": "refused",
    "refusal": "refused", "prohibited_content": "refused", "blocked": "refused", "blocklist": "refused",
    "recitation": "refused", "spii": "refused", "guardrail_intervened": "refused", "content_filtered": "refused",
    "error_toxic": "refused", "sensitive": "refused",
}  # fmt: skip
MOST_LOGPROBS = 100_000
"""Tokens whose log-probabilities are kept."""


def chat(client: openai.OpenAI, name: str, request: Request, *, length: str) -> Output:
    """Ask for one answer.

    Args:
        client: of the server.
        name: of the model.
        request: a text, sent as the user's message, or a chat.
        length: what this server calls the limit of the answer: ``max_tokens`` or ``max_completion_tokens``.
    """
    body = parameters(request, length=length)
    raw = client.chat.completions.with_raw_response.create(
        model=name, messages=cast(Any, messages(request.prompt)), extra_body=body
    )
    return read_chat(document(raw.content), seed=body.get("seed"))


def chat_body(name: str, request: Request, *, length: str) -> dict[str, JsonValue]:
    """The same as `chat` asks with, for a batch."""
    return {"model": name, "messages": messages(request.prompt), **parameters(request, length=length)}


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


def messages(prompt: Prompt) -> list[dict[str, JsonValue]]:
    """A prompt as the protocol's messages."""
    if isinstance(prompt, Edit):
        raise TypeError("an edit is no chat")
    turns = prompt.messages if isinstance(prompt, Chat) else (Message("user", prompt),)
    return [{"role": turn.role, "content": _content(turn)} for turn in turns]


def _content(turn: Message) -> JsonValue:
    if not turn.images:
        return turn.text
    images: list[JsonValue] = [{"type": "image_url", "image_url": {"url": data_url(each)}} for each in turn.images]
    return [{"type": "text", "text": turn.text}, *images]


def data_url(picture: Picture) -> str:
    """A picture as a ``data:`` URL."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


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
    text, refusal = dig(choice, "message", "content"), dig(choice, "message", "refusal")
    refused = isinstance(refusal, str) and refusal != ""
    read, written = usage(answer)
    return Output(
        text=cast(str, refusal) if refused else _text(text),
        finish="refused" if refused else finish_of(choice),
        tokens_in=read,
        tokens_out=written,
        extra=told(**provenance(answer, seed), logprobs=_logprobs(dig(choice, "logprobs", "content"))),
    )


def finish_of(choice: object) -> FinishReason:
    """Why an answer ended; what nobody knows is an end like another."""
    reason = dig(choice, "finish_reason")
    # Some services add which filter it was: "content_filter: SAFETY".
    return FINISHES.get(reason.lower().split(":")[0].strip(), "stop") if isinstance(reason, str) else "stop"


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
