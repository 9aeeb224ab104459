"""A model that is asked by simonw/llm: whatever plugin it comes from, with llm's keys, which whygen never sees."""
# pyright: basic

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, cast

import llm  # pyright: ignore[reportMissingImports]

from whygen.safe import is_stop, says
from whygen.types import Chat, Edit, Failure, JsonValue, Limits, Message, Output, Picture, Request, Settings, ToolCall

IN_FLIGHT = 8
_FATAL = frozenset({401, 402, 403, 404})
_TRANSIENT = frozenset({408, 409, 425, 500, 502, 503, 504, 529})


class AskedByLlm:
    """A model of llm as whygen asks it.

    Args:
        model: as `llm.get_model` gives it.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._options = frozenset(getattr(model.Options, "model_fields", {}))

    @property
    def uri(self) -> str:
        return f"llm/{self._model.model_id}"

    @property
    def limits(self) -> Limits:
        return Limits(max_in_flight=IN_FLIGHT)

    @property
    def identity(self) -> Mapping[str, JsonValue]:
        """What can change its answers: the model, where it is, and whose code asks it."""
        told = {name: getattr(self._model, name, None) for name in ("model_name", "api_base")}
        return {
            "uri": self.uri,
            "class": f"{type(self._model).__module__}.{type(self._model).__qualname__}",
            "llm": metadata.version("llm"),
            **{name: value for name, value in told.items() if isinstance(value, str)},
        }

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Output | Failure:
        """One answer; a plugin may raise anything at all."""
        try:
            return self._asked(request)
        except BaseException as error:
            if is_stop(error):
                raise
            return self._failure(error)

    def _asked(self, request: Request) -> Output:
        chat = request.prompt if isinstance(request.prompt, Chat) else Chat((Message("user", _plain(request.prompt)),))
        given = self._given(request.settings)
        response = self._model.prompt(
            messages=_messages(chat), tools=[_tool(each) for each in chat.tools] or None,
            schema=_schema(request.settings), stream=False, options=given,
        )  # fmt: skip
        text, calls, usage = response.text(), response.tool_calls(), response.usage()
        return Output(
            text=text,
            calls=tuple(ToolCall(each.name, json.dumps(each.arguments), each.tool_call_id or "") for each in calls),
            tokens_in=usage.input,
            tokens_out=usage.output,
        )

    def _given(self, settings: Settings) -> dict[str, Any]:
        """The settings that this model has options for."""
        own = {name: getattr(settings, name) for name in ("temperature", "max_tokens", "top_p")}
        said = {**own, "stop": list(settings.stop) or None, **settings.extra}
        return {name: value for name, value in said.items() if value is not None and name in self._options}

    def _failure(self, error: BaseException) -> Failure:
        code = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
        told = f"{self.uri}: {says(error)}"
        if isinstance(error, llm.NeedsKeyException):
            return Failure(kind="fatal", message=told, advice="Set it with: llm keys set NAME")
        if code == 429 or "RateLimit" in type(error).__name__:
            return Failure(kind="rate_limit", message=told)
        if code in _FATAL:
            return Failure(kind="fatal", message=told)
        if code in _TRANSIENT or isinstance(error, OSError) or "Connection" in type(error).__name__:
            return Failure(kind="transient", message=told)
        return Failure(kind="permanent", message=told)


def _plain(prompt: object) -> str:
    if isinstance(prompt, Edit):
        raise TypeError("llm's models edit no pictures")
    return cast("str", prompt)


def _messages(chat: Chat) -> list[Any]:
    """The conversation as llm has it; the result of a tool says which call it answers."""
    named = {call.id: call.name for message in chat.messages for call in message.calls}
    return [llm.Message(role=each.role, parts=_parts(each, named)) for each in chat.messages]


def _parts(message: Message, named: Mapping[str, str]) -> list[Any]:
    if message.role == "tool":
        name = named.get(message.answers, "")
        return [llm.parts.ToolResultPart(name=name, output=message.text, tool_call_id=message.answers or None)]
    parts: list[Any] = [_part(each) for each in message.content if each]
    for call in message.calls:
        values = call.values if isinstance(call.values, dict) else {}
        parts.append(llm.parts.ToolCallPart(name=call.name, arguments=values, tool_call_id=call.id or None))
    return parts


def _part(part: Any) -> Any:
    if isinstance(part, Picture):
        return llm.parts.AttachmentPart(attachment=llm.Attachment(type=part.media_type, content=part.data))
    return llm.parts.TextPart(text=part if isinstance(part, str) else part.text)


def _tool(tool: Any) -> Any:
    return llm.Tool(name=tool.name, description=tool.description or None, input_schema=dict(tool.parameters))


def _schema(settings: Settings) -> Any:
    """The schema of the answer, which a log of llm keeps in OpenAI's words."""
    form = settings.extra.get("response_format")
    inner = form.get("json_schema") if isinstance(form, Mapping) else None
    return inner.get("schema") if isinstance(inner, Mapping) else None
