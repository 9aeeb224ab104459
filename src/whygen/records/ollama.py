"""Ollama's own protocol, which is OpenAI's but for settings, images and answers: put into OpenAI's words."""

from __future__ import annotations

from typing import Any

from whygen.records.fields import Field

_OPTIONS = {
    "temperature": "temperature", "top_p": "top_p", "seed": "seed", "stop": "stop", "num_predict": "max_tokens",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
}  # fmt: skip
"""Settings that both have; others (the length of the context, threads) belong to the server there."""


_ELSEWHERE = frozenset({"format", "keep_alive", "options", "think"})


def speaks(body: Field, path: str) -> bool:
    """Whether a request is in its words."""
    return path.endswith("/api/chat") or (body["options"].is_object and body["messages"].is_list)


def request(body: Field) -> Field:
    """The request in OpenAI's words."""
    options = body["options"].object() if body["options"].is_object else {}
    asked: dict[str, Any] = {_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS}
    asked |= {name: each.value for name, each in body.items() if name not in _ELSEWHERE}
    if body["messages"].is_list:
        asked["messages"] = [_turn(turn) for turn in body["messages"]]
    form = body["format"]
    if form.is_object:
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": form.value}}
    elif form.value == "json":
        asked["response_format"] = {"type": "json_object"}
    return Field(asked, body.place, body.source)


def _turn(turn: Field) -> Any:
    if not (turn["images"].is_list and turn["images"].value and turn["content"].is_text):
        return turn.value
    images = [{"type": "image", "image": each.value} for each in turn["images"]]
    parts = [{"type": "text", "text": turn["content"].text()}, *images]
    return {**turn.object(), "content": parts}


def answer(response: Field) -> Field:
    """The response in OpenAI's words."""
    if not response["message"].is_object or response["choices"].there:
        return response
    counts = {"prompt_tokens": response["prompt_eval_count"].value, "completion_tokens": response["eval_count"].value}
    choice = {"message": response["message"].value, "finish_reason": response["done_reason"].value}
    value = {"model": response["model"].value, "choices": [choice], "usage": counts}
    return Field(value, response.place, response.source)
