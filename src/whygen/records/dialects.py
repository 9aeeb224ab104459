"""Messages in the words of a framework, wherever they stand: put into OpenAI's before a request is read."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from whygen.records import langchain, pydantic_ai, vercel_messages
from whygen.records.fields import Field

_DIALECTS: tuple[ModuleType, ...] = (pydantic_ai, langchain, vercel_messages)
"""Each has ``speaks`` of one message and ``messages`` of all."""


def dialect_of(turns: Field) -> ModuleType | None:
    """The framework in whose words messages are; None of those that a service takes."""
    if not turns.is_list:
        return None
    rows = [turn for turn in turns if turn.is_object]
    return next((each for each in _DIALECTS if any(map(each.speaks, rows))), None)


def plain_request(body: Field) -> Field:
    """A request whose messages are in OpenAI's words."""
    turns = body["messages"]
    if turns.is_list and len(rows := list(turns)) == 1 and rows[0].is_list:  # LangChain asks for several together
        turns = rows[0]
    dialect = dialect_of(turns)
    if dialect is None:
        return body
    asked: dict[str, Any] = {**body.object(), "messages": list(dialect.messages(turns))}
    if dialect is langchain and (defined := langchain.tools(turns)):
        asked.setdefault("tools", defined)
    if dialect is pydantic_ai:
        asked = {**pydantic_ai.about(turns), **asked}
    return Field(asked, body.place, body.source)


def plain_answer(response: Field) -> Field:
    """A response whose message is in OpenAI's words."""
    first = next(iter(response["choices"]), None) if response["choices"].is_list else None
    message = first["message"] if first is not None else response
    if first is None and not response["role"].is_text and not response["type"].is_text and not response["lc"].there:
        return response
    turns = Field([message.value], message.place, message.source)
    dialect = dialect_of(turns)
    if dialect is None:
        return response
    said: list[Any] = list(dialect.messages(turns))
    choice: dict[str, Any] = {**(first.object() if first is not None else {}), "message": said[0] if said else None}
    whole: dict[str, Any] = dict(response.object()) if first is not None else {}
    return Field({**whole, "choices": [choice]}, response.place, response.source)
