"""Gemini's own protocol (``generateContent``): put into the words of OpenAI's Chat Completions.

Google's service speaks both, so a call that was recorded in the one can be asked again in the other (``gemini/NAME``).
Fields come in two spellings: ``systemInstruction`` over the wire, ``system_instruction`` where Google's client kept it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.types import JsonValue

PROTOCOL = "gemini"
ENDPOINT = re.compile(r"/models/([^/:?]+):(?:stream)?[gG]enerateContent$")
"""How an address ends that is asked in these words; it names the model."""
_CAPITAL = re.compile("[A-Z]")

_SETTINGS = {
    "temperature": "temperature", "topP": "top_p", "maxOutputTokens": "max_tokens", "stopSequences": "stop",
    "seed": "seed", "presencePenalty": "presence_penalty", "frequencyPenalty": "frequency_penalty",
}  # fmt: skip
_READ_ELSEWHERE = frozenset({
    "responseMimeType", "responseSchema", "responseJsonSchema", "candidateCount", "responseModalities",
})  # fmt: skip
_MODES = {"AUTO": "auto", "NONE": "none", "ANY": "required", "VALIDATED": "auto"}
_REASONS = {
    "STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "safety", "RECITATION": "content_filter",
    "PROHIBITED_CONTENT": "content_filter", "BLOCKLIST": "content_filter", "SPII": "content_filter",
}  # fmt: skip
_RESULT_KEYS = tuple(frozenset({key}) for key in ("result", "output", "content", "error"))
"""What Google's client wraps a text in that a function returned."""


def speaks(body: Field, path: str) -> bool:
    """Whether a request is in these words."""
    return bool(ENDPOINT.search(path)) or is_request(body)


def is_request(body: Field) -> bool:
    """Whether this is the body of a request: contents with parts."""
    contents = body["contents"]
    if contents.is_text:
        return not body["messages"].there and body["model"].is_text
    return contents.is_list and all(turn.is_text or turn["parts"].there for turn in contents)


def are_contents(turns: Field) -> bool:
    """Whether these are turns as the service takes them, without the request around them."""
    rows = list(turns) if turns.is_list else []
    parts = [part for turn in rows if turn["parts"].is_list for part in turn["parts"]]
    return (
        bool(parts)
        and all(turn["parts"].is_list and turn["role"].name() in {"user", "model", "function"} for turn in rows)
        and not any(part["type"].there or part["part_kind"].there or part["kind"].there for part in parts)
    )


def model_of(path: str, body: Field) -> str:
    """The model's name, from the address or the body."""
    found = ENDPOINT.search(path)
    return (found[1] if found else body["model"].name()).removeprefix("models/")


def request(body: Field, notices: Notices) -> Field:
    """The request in OpenAI's words.

    Raises:
        DataError: naming the field that cannot be used.
    """
    contents = body["contents"]
    turns = list(contents) if contents.is_list else [contents]
    if not turns:
        raise contents.wrong("a list of at least one content")
    config = _either(body, "generationConfig")
    if not config.is_object:
        config = body["config"]  # as Google's client takes it
    system = _either(body, "systemInstruction")
    system = system if system.there else _either(config, "systemInstruction")
    asked: dict[str, Any] = {"messages": [*_system(system), *_Turns(notices).messages(turns)]}
    asked |= _settings(config, notices, safety=_either(body, "safetySettings"))
    tools = body["tools"] if body["tools"].there else config["tools"]
    if told := list(_tools(tools, notices)):
        asked["tools"] = told
    if (choice := _choice(body, config)) is not None:
        asked["tool_choice"] = choice
    if (kept := _either(body, "cachedContent")).there:
        notices.say(
            "cached-content",
            f"The first part of the prompt is kept by the provider ({kept.name()[:80]}) and not in the record: the "
            "model is asked without it. Record a call without cachedContent to explain the whole.",
        )
    return Field(asked, body.place, body.source)


def answer(response: Field) -> Field:
    """The response in OpenAI's words."""
    first = next(iter(response["candidates"]), None) if response["candidates"].is_list else None
    blocked = _either(response["promptFeedback"], "blockReason").name()
    if first is None and not blocked:
        return response
    message: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    reason = "content_filter"
    if first is not None:
        reason = _REASONS.get(_either(first, "finishReason").name(), "stop")
        for part in first.at("content", "parts"):
            if part["thought"].value is True:
                message["reasoning"] = True
            elif (called := _either(part, "functionCall")).is_object:
                message["tool_calls"].append(_call(called, f"call_{len(message['tool_calls']) + 1}"))
            elif part["text"].is_text:
                message["content"] += part["text"].text()
    usage = _either(response, "usageMetadata")
    counts = {
        "prompt_tokens": _either(usage, "promptTokenCount").value,
        "completion_tokens": _either(usage, "candidatesTokenCount").value,
    }
    choice = {"message": message, "finish_reason": reason}
    value = {"model": _either(response, "modelVersion").name(), "choices": [choice], "usage": counts}
    return Field(value, response.place, response.source)


def _either(found: Field, name: str) -> Field:
    """A field in either spelling."""
    return found.first(name, _kept_name(name))


def _kept_name(name: str) -> str:
    """How Google's client spells a field, ``topP`` as ``top_p``."""
    return _CAPITAL.sub(r"_\g<0>", name).lower()


def _system(found: Field) -> list[dict[str, Any]]:
    text = found.text() if found.is_text else "\n".join(part["text"].name_of_data() for part in _parts(found))
    return [{"role": "system", "content": text}] if text else []


def _parts(turn: Field) -> Iterator[Field]:
    """The parts of a content, which Google's client also takes as a text or as one part."""
    parts = turn["parts"]
    if turn.is_text:
        yield Field({"text": turn.value}, turn.place, turn.source)
    elif parts.is_list:
        yield from (Field({"text": each.value}, each.place, each.source) if each.is_text else each for each in parts)
    elif parts.is_object:
        yield parts
    elif turn.is_list:
        yield from turn


class _Turns:
    """Messages from contents: calls without ids are numbered, and results go to the calls of their names."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self._made = 0
        self._waiting: list[tuple[str, str]] = []

    def messages(self, turns: Any) -> Iterator[dict[str, Any]]:
        """The messages; each result of a function is one of its own."""
        for turn in turns:
            role = turn["role"].name() or "user"
            if role not in {"user", "model", "function", "tool", "system"}:
                raise turn["role"].wrong("user or model")
            said: list[dict[str, Any]] = []
            calls: list[dict[str, Any]] = []
            for part in _parts(turn):
                if (called := _either(part, "functionCall")).is_object:
                    calls.append(self._call(called))
                elif (result := _either(part, "functionResponse")).is_object:
                    yield self._result(result)
                else:
                    said += self._part(part)
            who = {"model": "assistant", "system": "system"}.get(role, "user")
            if said or calls or not any(_either(part, "functionResponse").there for part in _parts(turn)):
                plain = len(said) == 1 and said[0]["type"] == "text"
                content: Any = said[0]["text"] if plain else said or ("" if who != "user" else [])
                yield {"role": who, "content": content, **({"tool_calls": calls} if calls else {})}

    def _call(self, called: Field) -> dict[str, Any]:
        self._made += 1
        made = _call(called, f"call_{self._made}")
        self._waiting.append((called["name"].name(), made["id"]))
        return made

    def _result(self, result: Field) -> dict[str, Any]:
        name, given = result["name"].name(), result["id"].name()
        own = next((each for each in self._waiting if each[1] == given or (not given and each[0] == name)), None)
        if own is not None:
            self._waiting.remove(own)
        said = result["response"]
        keys, only = said.keys(), next(iter(said.object().values()), None) if said.is_object else said.value
        plain = isinstance(only, str) and (not said.is_object or keys in _RESULT_KEYS)
        text = only if plain else json.dumps(said.value, ensure_ascii=False)
        return {"role": "tool", "content": text, "tool_call_id": own[1] if own else given or name}

    def _part(self, part: Field) -> list[dict[str, Any]]:
        if part["thought"].value is True:
            self._notices.count("reasoning", part)
            return []
        if part["text"].is_text:
            return [{"type": "text", "text": part["text"].text()}]
        data, link = _either(part, "inlineData"), _either(part, "fileData")
        kind = _either(data if data.there else link, "mimeType").name()
        if data.is_object and kind.startswith("image/"):
            url = f"data:{kind};base64,{_standard(data['data'].name_of_data())}"
            return [{"type": "image_url", "image_url": {"url": url}}]
        if link.is_object and kind.startswith("image/"):
            return [{"type": "image_url", "image_url": {"url": _either(link, "fileUri").name_of_data()}}]
        self._notices.count("lost-part", part)
        return []


def _standard(text: str) -> str:
    """Base64 in the usual letters: Google's client writes those for addresses."""
    return text.replace("-", "+").replace("_", "/")


def _call(called: Field, otherwise: str) -> dict[str, Any]:
    if not called["name"].is_text:
        raise called["name"].wrong("the name of the function that was called")
    arguments = json.dumps(called["args"].object(), ensure_ascii=False)
    name = called["name"].text()
    return {
        "id": called["id"].name() or otherwise,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _settings(config: Field, notices: Notices, *, safety: Field) -> dict[str, Any]:
    """The settings that both protocols have; what only Gemini's has is named."""
    asked: dict[str, Any] = {}
    for name, own in _SETTINGS.items():
        if (value := _either(config, name)).there:
            asked[own] = value.value
    form = _either(config, "responseMimeType").name()
    schema = _either(config, "responseSchema")
    written = _either(config, "responseJsonSchema")
    if written.is_object or schema.is_object:
        told = written.value if written.is_object else _schema(schema.json())
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": told}}
    elif form == "application/json":
        asked["response_format"] = {"type": "json_object"}
    known = {*_SETTINGS, *_READ_ELSEWHERE, "systemInstruction", "tools", "toolConfig"}
    known |= set(map(_kept_name, known))
    left = sorted(
        name for name, value in (config.items() if config.is_object else []) if value.there and name not in known
    )
    left += ["safetySettings"] if safety.value else []
    if left:
        notices.leave("Gemini's own protocol", left)
    return asked


def _tools(found: Field, notices: Notices) -> Iterator[dict[str, Any]]:
    """The functions that are declared; tools that the service runs itself are named and left out."""
    for tool in found:
        declared = _either(tool, "functionDeclarations")
        if not declared.is_list:
            notices.count("lost-part", tool)
            continue
        for each in declared:
            if not each["name"].is_text:
                raise each["name"].wrong("the name of a function")
            own = _either(each, "parametersJsonSchema")
            parameters = own.json() if own.is_object else _schema(each["parameters"].json())
            function = {"name": each["name"].text(), "description": each["description"].name_of_data()}
            told = {"parameters": parameters} if parameters else {}
            yield {"type": "function", "function": {**function, **told}}


def _choice(body: Field, config: Field) -> JsonValue:
    told = _either(body, "toolConfig")
    told = _either(told if told.there else _either(config, "toolConfig"), "functionCallingConfig")
    mode = told["mode"].name().upper()
    names = [each.name() for each in _either(told, "allowedFunctionNames")] if told.is_object else []
    if mode == "ANY" and len(names) == 1:
        return {"type": "function", "function": {"name": names[0]}}
    return _MODES.get(mode)


def _schema(value: JsonValue) -> JsonValue:
    """A schema of Gemini's, which is JSON Schema with types in capitals."""
    if isinstance(value, list):
        return [_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, JsonValue] = {}
    for key, each in value.items():
        if key == "properties" and isinstance(each, dict):
            found[key] = {name: _schema(own) for name, own in each.items()}
        else:
            found[key] = each.lower() if key == "type" and isinstance(each, str) else _schema(each)
    return found
