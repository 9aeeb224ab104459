"""Messages, tools and calls in the words of Anthropic's messages endpoint."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from whygen.models.turns import (
    Refused,
    as_text,
    call_of,
    check_parts,
    choice_of,
    entries,
    is_dated,
    refuse_tool,
    run_by,
    with_ids,
    without,
)
from whygen.remote import dig
from whygen.types import Block, Chat, Edit, JsonValue, Message, Part, Picture, Prompt, Tool, ToolCall

PROTOCOL: Final = "anthropic"
_FOREIGN: Final = frozenset({"type", "function"})
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9_-]")
_CHOICES: Mapping[str, str] = {"required": "any", "none": "none"}
_CALLING: Final = ("tool_use", "server_tool_use", "mcp_tool_use")
"""Types of blocks that call a tool; the service runs those of the last two itself."""


def split(prompt: Prompt) -> tuple[JsonValue, list[JsonValue]]:
    """What the system says, which this protocol takes apart from the turns (None where it says nothing), and the turns.

    Raises:
        Refused: if a part has no place in the protocol.
    """
    if isinstance(prompt, Edit):
        raise Refused("Anthropic's models change no pictures", "Use a model that edits pictures.")
    turns = with_ids(prompt.messages) if isinstance(prompt, Chat) else (Message("user", prompt),)
    check_parts(turns, PROTOCOL, "Anthropic's protocol")
    leading = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    rest = turns[leading:]
    if any(turn.role == "system" for turn in rest):
        raise Refused("a system message stands among the turns", "Give what the system says first.")
    return _system(turns[:leading]), _turns(rest)


def _system(turns: Sequence[Message]) -> JsonValue:
    """A text, or blocks where there are several, or one with a mark of its own."""
    if any(turn.images for turn in turns):
        raise Refused("the system's message holds an image", "Give images in a message of the user.")
    if len(turns) == 1 and not turns[0].parts:
        return turns[0].text or None
    return _blocks([part for turn in turns for part in turn.content]) or None


def _turns(turns: Sequence[Message]) -> list[JsonValue]:
    """The turns. What several tools gave back is one turn of the user, with what the user then said behind it."""
    made: list[JsonValue] = []
    results: list[JsonValue] = []
    for turn in turns:
        if turn.role == "tool":
            results.append(_result(turn))
            continue
        if turn.role == "user" and results:
            made.append({"role": "user", "content": [*results, *_blocks(turn.content)]})
        else:
            if results:
                made.append({"role": "user", "content": results})
            made.append(_message(turn))
        results = []
    return [*made, {"role": "user", "content": results}] if results else made


def _message(turn: Message) -> JsonValue:
    if not turn.parts and not turn.images and not turn.calls:
        return {"role": turn.role, "content": turn.text}
    return {"role": turn.role, "content": [*_blocks(turn.content), *map(_use, turn.calls)]}


def _result(turn: Message) -> JsonValue:
    """What a tool gave back; a block that is one already, as it stands."""
    block = turn.parts[0] if len(turn.parts) == 1 else None
    if isinstance(block, Block) and block.protocol == PROTOCOL and block.raw.get("type") == "tool_result":
        return dict(block.raw)
    content: JsonValue = _blocks(turn.content) if turn.parts or turn.images else turn.text
    return {"type": "tool_result", "tool_use_id": _id(turn.answers), "content": content}


def _use(call: ToolCall) -> JsonValue:
    """A call. Arguments that are no JSON object, which the protocol asks for, go into one whole."""
    values = call.values
    asked = values if isinstance(values, Mapping) else {"arguments": call.arguments}
    return {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": asked}


def _id(given: str) -> str:
    """Ids are letters, digits, hyphens and underscores here."""
    return _NOT_IN_IDS.sub("_", given)


def _blocks(parts: Sequence[Part]) -> list[JsonValue]:
    """Parts in order; texts of nothing are left out, as the protocol refuses them."""
    return [_block(part) for part in parts if not _says_nothing(part)]


def _says_nothing(part: Part) -> bool:
    return part == "" or (isinstance(part, Block) and part.place != () and part.text == "")


def _block(part: Part) -> JsonValue:
    if isinstance(part, Picture):
        data = base64.b64encode(part.data).decode()
        return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": data}}
    if isinstance(part, Block):
        return dict(part.raw) if part.protocol == PROTOCOL else {"type": "text", "text": part.text}
    return {"type": "text", "text": part}


def tools(prompt: Prompt) -> dict[str, JsonValue]:
    """The tools that may be called, and the choice among them; nothing where there are none.

    Raises:
        Refused: if a tool is one that another service runs, or the choice names one that is not there.
    """
    if not isinstance(prompt, Chat) or not prompt.tools:
        return {}
    choice, named = choice_of(prompt)
    made: dict[str, JsonValue] = {"tools": [_tool(tool) for tool in prompt.tools]}
    if named is not None:
        made["tool_choice"] = {"type": "tool", "name": named.name}
    elif choice != "auto":
        made["tool_choice"] = {"type": _CHOICES[choice]}
    return made


def _tool(tool: Tool) -> JsonValue:
    kind = run_by(tool)
    if kind is not None:
        if not is_dated(kind):
            raise refuse_tool(tool, "Anthropic")
        return dict(tool.extra) if kind == "mcp_toolset" else {**tool.extra, "name": tool.name}
    if (
        tool.extra.get("type") == "custom"
        and not tool.parameters
        and ("format" in tool.extra or "custom" in tool.extra)
    ):
        raise Refused(
            f"the tool {tool.name!r} takes a text of any form, and Anthropic's protocol has functions only",
            "Describe it as a function with parameters, or leave it out.",
        )
    about: dict[str, JsonValue] = {"name": tool.name}
    if tool.description:
        about["description"] = tool.description
    schema = dict(tool.parameters) or {"type": "object", "properties": {}}
    return {**about, "input_schema": schema, **without(tool.extra, _FOREIGN)}


def calls_in(content: object) -> tuple[ToolCall, ...]:
    """The calls in an answer's blocks, in order."""
    return tuple(
        call_of(dig(block, "name"), as_text(cast(Any, dig(block, "input")) or {}), dig(block, "id"))
        for block in entries(content)
        if dig(block, "type") in _CALLING
    )
