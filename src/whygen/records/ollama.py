"""Ollama's own protocol, which is OpenAI's but for settings, images and answers: put into OpenAI's words."""

from __future__ import annotations

from typing import Any

from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.records.streams import cut_short

_OPTIONS = {
    "temperature": "temperature", "top_p": "top_p", "seed": "seed", "stop": "stop", "num_predict": "max_tokens",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
}  # fmt: skip
"""Settings that both have; others (threads) belong to the server there."""


_ELSEWHERE = frozenset({
    "context", "format", "images", "keep_alive", "options", "prompt", "raw", "suffix", "system", "template", "think",
})  # fmt: skip
_OF_THE_SERVER = frozenset({"num_thread", "num_gpu", "num_batch", "num_keep", "use_mmap", "main_gpu"})


def speaks(body: Field, path: str) -> bool:
    """Whether a request is in its words."""
    return (
        path.endswith(("/api/chat", "/api/generate"))
        or is_prompt(body)
        or (body["options"].is_object and body["messages"].is_list)
    )


def is_prompt(body: Field) -> bool:
    """Whether this is the body of a request whose server makes a chat of one text."""
    marks = {"options", "keep_alive", "template", "context", "raw", "think", "format"}
    return body["prompt"].is_text and body["model"].is_text and bool(body.keys() & marks)


def request(body: Field, notices: Notices) -> Field:
    """The request in OpenAI's words.

    Raises:
        DataError: if it is a raw text, around which the server puts no chat.
    """
    options = body["options"].object() if body["options"].is_object else {}
    asked: dict[str, Any] = {_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS}
    asked |= {name: each.value for name, each in body.items() if name not in _ELSEWHERE}
    if body["messages"].is_list:
        asked["messages"] = [_turn(turn) for turn in _named(list(body["messages"]))]
    elif body["raw"].value is True:
        raise body["raw"].wrong("false", advice="A raw prompt is one text and no chat: explain it as a prompt.")
    elif body["prompt"].is_text:  # the server makes a chat of it
        system = [{"role": "system", "content": body["system"].value}] if body["system"].value else []
        said = {"role": "user", "content": body["prompt"].text(), "images": body["images"].value}
        asked["messages"] = [*system, _turn(Field(said, body.place, body.source))]
    also = {name for name in ("suffix", "template", "think") if body[name].there}
    if left := sorted(options.keys() - _OPTIONS.keys() - _OF_THE_SERVER | also):
        notices.leave("Ollama's own protocol", left)
    form = body["format"]
    if form.is_object:
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": form.value}}
    elif form.value == "json":
        asked["response_format"] = {"type": "json_object"}
    return Field(asked, body.place, body.source)


def _named(turns: list[Field]) -> list[Field]:
    """The turns, with ids: results name the tool that they are of, and calls have no id."""
    made: list[Field] = []
    waiting: list[tuple[str, str]] = []
    for turn in turns:
        if turn["tool_calls"].is_list:
            calls: list[Any] = []
            for call in turn["tool_calls"]:
                name = call["id"].name() or f"call_{len(waiting) + len(calls) + 1}_{len(made)}"
                waiting.append((call.at("function", "name").name(), name))
                calls.append({**call.object(), "id": name})
            made.append(Field({**turn.object(), "tool_calls": calls}, turn.place, turn.source))
        elif turn["role"].value == "tool" and not turn["tool_call_id"].there:
            named = turn.first("tool_name", "name").name()
            own = next((each for each in waiting if each[0] == named), None)
            if own is not None:
                waiting.remove(own)
            told = {"tool_call_id": own[1]} if own is not None else {}
            made.append(Field({**turn.object(), **told}, turn.place, turn.source))
        else:
            made.append(turn)
    return made


def _turn(turn: Field) -> Any:
    if not (turn["images"].is_list and turn["images"].value and turn["content"].is_text):
        return turn.value
    images = [{"type": "image", "image": each.value} for each in turn["images"]]
    parts = [{"type": "text", "text": turn["content"].text()}, *images]
    return {**turn.object(), "content": parts}


def _whole(text: Field, notices: Notices) -> Field:
    """An answer that came in pieces, one JSON a line."""
    said: list[str] = []
    calls: list[Any] = []
    last: dict[str, Any] = {}
    for line in filter(str.strip, text.text().split("\n")):  # others may stand within JSON
        row = Field(line, text.place, text.source).parsed()
        last |= row.object() if row.is_object else {}
        said.append(row.at("message", "content").name_of_data() or row["response"].name_of_data())
        calls += row["message"]["tool_calls"].value if row["message"]["tool_calls"].is_list else []  # type: ignore[operator]
    last.pop("response", None)
    if last and last.get("done") is not True:
        cut_short(notices)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(said),
        **({"tool_calls": calls} if calls else {}),
    }
    return Field({**last, "message": message} if last else text.value, text.place, text.source)


def answer(response: Field, notices: Notices) -> Field:
    """The response in OpenAI's words."""
    if response.is_text:
        response = _whole(response, notices)
    if response["response"].is_text and not response["message"].there:  # of a prompt
        said = {"role": "assistant", "content": response["response"].text()}
        response = Field({**response.object(), "message": said}, response.place, response.source)
    if not response["message"].is_object or response["choices"].there:
        return response
    counts = {"prompt_tokens": response["prompt_eval_count"].value, "completion_tokens": response["eval_count"].value}
    choice = {"message": response["message"].value, "finish_reason": response["done_reason"].value}
    value = {"model": response["model"].value, "choices": [choice], "usage": counts}
    return Field(value, response.place, response.source)
