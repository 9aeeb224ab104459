"""What every service of chats needs: calls with ids, what its protocol cannot take, and calls read without trust."""

from __future__ import annotations

import itertools
import json
import operator
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from whygen.errors import UsageError
from whygen.types import Block, Chat, Failure, JsonValue, Message, Tool, ToolCall

UNNAMED: Final = "(no name)"
"""Stands for the name of a call that has none."""
MOST_CALLS: Final = 1000
"""Of one answer, that are kept."""

_DATED = re.compile(r"_\d{8}$")
"""How the types of tools end that Anthropic runs: ``web_search_20250305``."""


class Refused(Exception):  # noqa: N818 - not an error of ours: an answer to one request
    """A request that cannot be served, and the `Failure` that says why."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.failure = Failure(kind="permanent", message=message, advice=advice)

    def beforehand(self) -> UsageError:
        """The same, where it is said before anything is asked."""
        return UsageError(self.failure.sentence)


def with_ids(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with an id for each call, and the id of its call for each answer of a tool.

    Calls without an id are numbered (nine letters and digits, which every service takes), and answers that name no call
    belong to those of the turn before them, in order.

    Raises:
        Refused: if a tool's message answers no call.
    """
    made: list[Message] = []
    waiting: list[str] = []
    number = itertools.count(1)
    for message in messages:
        calls = tuple(call if call.id else replace(call, id=f"call{next(number):05d}") for call in message.calls)
        answers = message.answers
        if calls:
            waiting = [call.id for call in calls]
        elif message.role == "tool":
            answers = answers or next(iter(waiting), "")
            waiting = [each for each in waiting if each != answers]
            if not answers:
                raise Refused(
                    "a message of a tool answers no call",
                    "Put it after the assistant's message with the call, or name the call in answers=.",
                )
        # By identity: calls that differ in their ids alone are equal.
        same = answers == message.answers and all(map(operator.is_, calls, message.calls))
        made.append(message if same else replace(message, calls=calls, answers=answers))
    return tuple(made)


def check_parts(messages: Sequence[Message], protocol: str, who: str) -> None:
    """Refuse parts that hold no text and that only another protocol takes; others are sent as their text.

    Raises:
        Refused: naming the part.
    """
    for message in messages:
        for part in message.content:
            if isinstance(part, Block) and part.protocol != protocol and not part.place:
                raise Refused(
                    f"{who} takes no part of the type {part.raw.get('type')!r}, which is of the protocol "
                    f"{part.protocol!r}",
                    "Give what it holds as a text, or ask a model that speaks that protocol.",
                )


def run_by(tool: Tool) -> str | None:
    """The type of a tool that a service runs itself; None of a function, which whoever asks runs."""
    kind = tool.extra.get("type")
    return None if kind in (None, "function", "custom") else str(kind)


def refuse_tool(tool: Tool, who: str) -> Refused:
    """The refusal of a tool that another service runs."""
    return Refused(
        f"{who} cannot run the tool {tool.name!r} of the type {run_by(tool) or tool.extra.get('type')!r}, which "
        "another service runs itself",
        "Describe it as a function with a name, a description and parameters, or leave it out.",
    )


def is_dated(kind: str) -> bool:
    """Whether a type of tool is one that Anthropic runs."""
    return _DATED.search(kind) is not None or kind == "mcp_toolset"


def choice_of(chat: Chat) -> tuple[str, Tool | None]:
    """What is said of the choice, and the tool that it names; ``auto`` where no tool is there to be chosen.

    Raises:
        Refused: if a tool is named that is not there.
    """
    if not chat.tools:
        return "auto", None
    named = next((tool for tool in chat.tools if tool.name == chat.tool_choice), None)
    if named is None and chat.tool_choice not in ("auto", "none", "required"):
        raise Refused(
            f"tool_choice={chat.tool_choice!r} names a tool that is not there",
            f"Use 'auto', 'none', 'required', or one of: {', '.join(tool.name for tool in chat.tools)}.",
        )
    return chat.tool_choice, named


_OF_TOOLS: Final = frozenset({"tool_choice", "parallel_tool_calls"})
"""Settings that services refuse where no tool is offered."""


def fitting(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A request without the settings of tools that are not offered: services refuse a choice among what is not there.

    A prompt with parts taken away may have lost any of its tools, and the settings are those of the whole.
    """
    offered = body.get("tools")
    if not isinstance(offered, Sequence) or not offered:
        return without(body, _OF_TOOLS)
    choice = body.get("tool_choice")
    if not isinstance(choice, Mapping):
        return dict(body)
    there = {_known_as(tool) for tool in offered}
    among = choice.get("allowed_tools", choice)
    listed = among.get("tools") if isinstance(among, Mapping) else None
    if not isinstance(listed, Sequence):
        return dict(body) if _known_as(choice) in {*there, *_ANY} else without(body, {"tool_choice"})
    left = [tool for tool in listed if _known_as(tool) in there]
    if not left:
        return without(body, {"tool_choice"})
    kept = {**cast("Mapping[str, JsonValue]", among), "tools": left}
    return {**body, "tool_choice": {**choice, "allowed_tools": kept} if "allowed_tools" in choice else kept}


_ANY: Final = frozenset({"any", "auto", "none", "required"})


def _known_as(tool: JsonValue) -> str:
    """The name of a tool, or of the one that is chosen; its type where it has none, as tools of a service."""
    if not isinstance(tool, Mapping):
        return ""
    inside = tool.get("function") or tool.get("custom") or tool
    named = inside.get("name") if isinstance(inside, Mapping) else None
    return str(named or tool.get("server_label") or tool.get("type"))


def without(extra: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What stood in a definition of a tool, without what another protocol alone knows."""
    return {name: value for name, value in extra.items() if name not in names}


def call_of(name: object, arguments: object, call_id: object = None) -> ToolCall:
    """A call as an answer holds it, whatever its shape: what is broken in it stays visible.

    Args:
        name: of the tool; one that is no text is named as missing.
        arguments: their JSON text, or the JSON itself.
        call_id: by which an answer would name it.
    """
    told = name if isinstance(name, str) and name.strip() else UNNAMED
    text = arguments if isinstance(arguments, str) else "{}" if arguments is None else as_text(arguments)
    return ToolCall(told, text, call_id if isinstance(call_id, str) else "")


def as_text(value: object) -> str:
    """A value of JSON as its text."""
    return json.dumps(value, ensure_ascii=False)


def entries(found: object) -> list[object]:
    """A list as it was read, as far as it is kept; empty where it is none."""
    return cast(list[object], found)[:MOST_CALLS] if isinstance(found, list) else []
