"""Marks where Anthropic shall keep what it has read: behind what a request begins with like the one before it.

A mark (``cache_control``) changes no answer. What is kept costs 1.25 of the price when it is written and 0.1 when it is
read again within five minutes; shorter beginnings than `LEAST` are kept by no model, marked or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from whygen.types import JsonValue

LEAST: Final = 4096
"""Characters of a beginning that is marked: about the 1,024 tokens that the models keep at least."""
_MARK: Final[dict[str, JsonValue]] = {"type": "ephemeral"}
Body = Mapping[str, JsonValue]


def marked(body: Body, before: Body | None) -> dict[str, JsonValue]:
    """The request with a mark on the last block with which it begins like the one before; as it is if there is none.

    Tools come first, then what the system says, then the turns. A text stays the text it is: a turn or a system message
    is marked as a whole, so no token changes. Whoever sets marks is left alone.
    """
    made = dict(body)
    if before is None or "cache_control" in json.dumps(body):
        return made
    blocks, previous = _blocks(body), _blocks(before)
    same = next((i for i, (a, b) in enumerate(zip(blocks, previous, strict=False)) if a != b), None)
    same = min(len(blocks), len(previous)) if same is None else same
    if not 0 < same < len(blocks) or sum(len(json.dumps(block)) for block in blocks[:same]) < LEAST:
        return made
    room, *place = blocks[same - 1][0]
    made[str(room)] = _with_mark(body[str(room)], [int(each) for each in place])
    return made


def _blocks(body: Body) -> list[tuple[tuple[str | int, ...], Any]]:
    """Places and contents of all that is read, in that order; a turn's role stands with each of its blocks."""
    found: list[tuple[tuple[str | int, ...], Any]] = [
        (("tools", i), tool) for i, tool in enumerate(_listed(body.get("tools")))
    ]
    system = body.get("system")
    if isinstance(system, str):
        found.append((("system",), system))
    found += [(("system", i), block) for i, block in enumerate(_listed(system))]
    for i, turn in enumerate(cast(Sequence[Mapping[str, Any]], _listed(body.get("messages")))):
        content = turn["content"]
        if isinstance(content, str):
            found.append((("messages", i), [turn["role"], content]))
        else:
            found += [(("messages", i, j), [turn["role"], block]) for j, block in enumerate(content)]
    return found


def _listed(found: object) -> list[Any]:
    return cast(list[Any], found) if isinstance(found, list) else []


def _with_mark(room: Any, place: list[int]) -> Any:
    """The tools, the system's message or the turns with a mark at a place."""
    if isinstance(room, str):
        return [{"type": "text", "text": room, "cache_control": _MARK}]
    changed = list(room)
    if not place:
        return changed
    first, *rest = place
    entry = dict(changed[first])
    if "role" in entry and "content" in entry:
        entry["content"] = _with_mark(entry["content"], rest)
    else:
        entry["cache_control"] = _MARK
    changed[first] = entry
    return changed
