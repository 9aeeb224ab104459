"""LangChain's messages, as it writes one or as it serialises one: put into OpenAI's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from whygen.records.fields import Field

_ROLES = {
    "human": "user", "user": "user", "ai": "assistant", "assistant": "assistant", "system": "system",
    "developer": "system", "tool": "tool", "function": "tool",
}  # fmt: skip
_OWN = frozenset({"human", "ai"})
"""Roles that only LangChain has."""


def speaks(turn: Field) -> bool:
    """Whether a message is in LangChain's words."""
    told = _told(turn)
    said = told.is_object and not told["role"].is_text and _plain(told["type"]) in _ROLES and told["content"].there
    return said or turn["role"].name() in _OWN or _is_serialised(turn)


def _plain(named: Field) -> str:
    """Who says a message, by its kind or by the name of its class; of an answer in pieces, too."""
    return named.name().removesuffix("Chunk").removesuffix("Message").lower()


def _is_serialised(turn: Field) -> bool:
    return turn["lc"].there and turn["kwargs"].is_object


def _told(turn: Field) -> Field:
    return turn["kwargs"] if turn["kwargs"].is_object else turn["data"] if turn["data"].is_object else turn


def messages(turns: Field) -> Iterator[dict[str, Any]]:
    """The messages; definitions of tools that some tracers put among them are none."""
    return (message(turn) for turn in turns if not _defines(turn))


def _defines(turn: Field) -> bool:
    return turn["role"].value == "tool" and turn["content"].is_object and turn["content"]["function"].is_object


def tools(turns: Field) -> list[Any]:
    """The definitions of tools that stand among the messages."""
    return [turn["content"].value for turn in turns if _defines(turn)]


def message(turn: Field) -> dict[str, Any]:
    """A message.

    Raises:
        DataError: if it is none of LangChain's.
    """
    told = _told(turn)
    kind = _plain(told.first("type", "role")) or _plain(turn.first("type", "role"))
    if turn["kwargs"].is_object and kind not in _ROLES:  # older versions write the class alone
        kind = next((_plain(each) for each in list(turn["id"])[::-1] if each.is_text), "")
    if kind not in _ROLES:
        raise turn.wrong("a message of LangChain's")
    role = _ROLES[kind]
    made: dict[str, Any] = {"role": role, "content": _content(told["content"])}
    if role == "tool":
        made["tool_call_id"] = told["tool_call_id"].name()
    called = [_call(each) for each in told["tool_calls"]] if told["tool_calls"].is_list else []
    if not called and told.at("additional_kwargs", "tool_calls").is_list:
        called = told.at("additional_kwargs", "tool_calls").value  # type: ignore[assignment]
    return {**made, **({"tool_calls": called} if called else {})}


def _content(found: Field) -> Any:
    """The content, without the blocks that tell of calls a second time."""
    if not found.is_list:
        return found.value
    return [part.value for part in found if part["type"].name() not in {"tool_use", "tool_call", "function_call"}]


def _call(each: Field) -> Any:
    if each["function"].is_object:
        return each.value
    arguments = json.dumps(each["args"].value or {}, ensure_ascii=False)
    return {
        "id": each["id"].name(),
        "type": "function",
        "function": {"name": each["name"].name(), "arguments": arguments},
    }


_NO_SETTINGS = frozenset(
    {"_type", "model_name", "stream", "stream_usage", "tools", "functions", "ls_structured_output"}
)


def settings(told: Field) -> dict[str, Any]:
    """What `invocation_params` hold of a request: settings in the words of its protocol, and tools."""
    if not told.is_object:
        return {}
    body: dict[str, Any] = {key: each.value for key, each in told.items() if each.there and key not in _NO_SETTINGS}
    return body | {key: told[key].value for key in ("tools", "functions") if told[key].is_list}
