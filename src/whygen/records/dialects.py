"""Messages in the words of a framework, wherever they stand: put into OpenAI's before a request is read."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from whygen.records import frameworks, gemini, langchain, pydantic_ai, vercel_messages
from whygen.records.fields import Field

_DIALECTS: tuple[ModuleType, ...] = (pydantic_ai, frameworks, langchain, vercel_messages)
"""Each has ``speaks`` of one message and ``messages`` of all."""
_ITEMS = frozenset(
    {"function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning"}
)
_NAMED = (("model_name",), ("model",), ("meta", "model"), ("response_metadata", "model_name"))
_GIVEN = (("provider_name",), ("response_metadata", "model_provider"))


def is_items(turns: Field) -> bool:
    """Whether these are items of OpenAI's Responses, asked and answered: what is called stands beside what is said."""
    rows = list(turns) if turns.is_list else []
    return (
        any(not row["role"].there and row["type"].name() in _ITEMS for row in rows)
        and any(row["role"].is_text and row["role"].value != "assistant" for row in rows)
        and all(row["role"].is_text or row["type"].is_text for row in rows)
    )


def _about(turns: Field) -> dict[str, str]:
    """The model, who gives it and at which address, as the last message that names one does."""
    rows = [
        turn[name] if (name := next((each for each in ("kwargs", "data") if turn[each].is_object), "")) else turn
        for turn in list(turns)[::-1]
        if turn.is_object
    ]
    last = next((turn for turn in rows if any(turn.at(*way).name() for way in _NAMED)), Field(None))
    model, provider = (next((n for way in ways if (n := last.at(*way).name())), "") for ways in (_NAMED, _GIVEN))
    return {"model": model, "provider": provider, "base_url": last["provider_url"].name()} if model else {}


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
    if is_items(turns) or gemini.are_contents(turns):
        rest = {key: value for key, value in body.object().items() if key != "messages"}
        return Field({**rest, "input" if is_items(turns) else "contents": turns.value}, body.place, body.source)
    dialect = dialect_of(turns)
    if dialect is None:
        return body
    asked: dict[str, Any] = {**_about(turns), **body.object(), "messages": list(dialect.messages(turns))}
    if dialect is langchain and (defined := langchain.tools(turns)):
        asked.setdefault("tools", defined)
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
