"""The chat endpoint: requests to messages, answers to outputs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

import openai

from whygen.remote import Malformed, count, dig, document, told, with_extra
from whygen.types import Chat, Edit, FinishReason, JsonValue, Message, Output, Picture, Prompt, Request

SEED_BITS = 31
"""Some servers keep a seed in 32 bits, and JSON in others has no more than 53."""
FINISHES: Mapping[object, FinishReason] = {"length": "length", "content_filter": "refused"}


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
    choice = dig(answer, "choices", 0)
    if dig(choice, "message") is None:
        raise Malformed("JSON without a choice in it")
    text, refusal = dig(choice, "message", "content"), dig(choice, "message", "refusal")
    refused = isinstance(refusal, str) and refusal != ""
    logprobs = [[dig(each, "token"), dig(each, "logprob")] for each in _list(dig(choice, "logprobs", "content"))]
    return Output(
        text=cast(str, refusal) if refused else _text(text),
        finish="refused" if refused else FINISHES.get(dig(choice, "finish_reason"), "stop"),
        tokens_in=count(answer, "usage", "prompt_tokens"),
        tokens_out=count(answer, "usage", "completion_tokens"),
        extra=told(**provenance(answer, seed), logprobs=cast(JsonValue, logprobs or None)),
    )


def _text(content: object) -> str:
    """Some servers answer in parts, as they are asked."""
    if isinstance(content, str):
        return content
    return "".join(str(dig(part, "text") or "") for part in _list(content))


def _list(found: object) -> list[object]:
    return cast(list[object], found) if isinstance(found, list) else []


def provenance(answer: Mapping[str, Any], seed: JsonValue) -> dict[str, JsonValue]:
    """What the server says of what answered, and the seed it was given."""
    model, fingerprint = answer.get("model"), answer.get("system_fingerprint")
    return told(
        model=model if isinstance(model, str) else None,
        fingerprint=fingerprint if isinstance(fingerprint, str) else None,
        seed=seed,
    )
