"""Sessions of coding agents (Claude Code, Codex): their logs hold turns, in which the calls are implied.

Each answer of the model is a call that was sent all turns before it. Neither the system prompt of the program nor the
definitions of its tools are in such a log: tools are offered by name, with the arguments that they were called with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.notices import Notices
from whygen.records.wire import Sent, kind_in_schema

_CODEX = frozenset({"session_meta", "response_item", "turn_context", "event_msg", "compacted"})
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
MOST_CALLS = 5_000


def matches(item: Field) -> bool:
    """Whether this is a line of a session."""
    return _is_claude(item) or _is_codex(item)


def _is_claude(item: Field) -> bool:
    return item["sessionId"].is_text and item["type"].is_text and bool(item.keys() & {"uuid", "messageId", "leafUuid"})


def _is_codex(item: Field) -> bool:
    return item["type"].name() in _CODEX and item["payload"].is_object


def calls(items: Sequence[Field]) -> Iterable[Kept]:
    """The answers of the model, in their order, each with what stood before it."""
    yield from _claude([item for item in items if _is_claude(item)])
    codex = [item for item in items if not _is_claude(item)]
    yield from _codex(codex) if codex else ()


def _claude(lines: list[Field]) -> Iterator[Kept]:
    """Claude Code: every line names the one before it; one answer may be several lines, a block each."""
    log = _log(lines)
    answers: dict[str, list[Field]] = {}
    for line in log.told.values():
        if line["message"]["role"].value == "assistant" and line["message"]["content"].is_list:
            answers.setdefault(line["message"]["id"].name() or line["uuid"].name(), []).append(line)
    for name, rows in list(answers.items())[:MOST_CALLS]:
        first = rows[0]
        yield Kept(
            partial(_read_claude, rows, log), first.source, model=first["message"]["model"].name(), id=name,
            time=first["timestamp"].name(), run=first["sessionId"].name(),
        )  # fmt: skip


class _Log(NamedTuple):
    """A session of Claude Code, gone through once for all of its calls.

    Attributes:
        told: the lines that say something, by their ids.
        before: the line before each.
        parts: the lines that one message was written in, by its id.
        results: what tools gave back, by the ids of their calls.
    """

    told: dict[str, Field]
    before: dict[str, str]
    parts: dict[str, list[Field]]
    results: dict[str, Any]


def _log(lines: list[Field]) -> _Log:
    told = {line["uuid"].name(): line for line in lines if line["message"].is_object}
    before = {line["uuid"].name(): line["parentUuid"].name() for line in lines if line["uuid"].is_text}
    parts: dict[str, list[Field]] = {}
    results: dict[str, Any] = {}
    for line in told.values():
        parts.setdefault(line["message"]["id"].name(), []).append(line)
        for block in line["message"]["content"] if line["message"]["content"].is_list else ():
            if block["type"].value == "tool_result":
                results[block["tool_use_id"].name()] = block.value
    return _Log(told, before, parts, results)


def _read_claude(rows: list[Field], log: _Log, notices: Notices) -> Call:
    way: list[Field] = []
    at, seen = rows[0]["parentUuid"].name(), set[str]()
    while at and at not in seen:
        seen.add(at)
        if at in log.told:
            way.append(log.told[at])
        at = log.before.get(at, "")
    turns = _turns(way[::-1], log)
    said = [block for row in rows for block in row["message"]["content"]]
    _say(notices, "Claude Code")
    body: dict[str, Any] = {"model": rows[0]["message"]["model"].name(), "messages": turns}
    answer = {**rows[-1]["message"].object(), "content": [block.value for block in said]}
    source = rows[0].source
    sent = Sent(
        body=Field(body, "", source), response=Field(answer, "message", source), provider="anthropic",
        protocol="anthropic",
    )  # fmt: skip
    return sent.call(notices)


def _turns(way: list[Field], log: _Log) -> list[dict[str, Any]]:
    """Turns of a way through the log; calls that ran side by side have lines that are not on it."""
    turns: list[dict[str, Any]] = []
    seen: set[str] = set()
    for line in way:
        role, name = line["message"]["role"].value, line["message"]["id"].name() or line["uuid"].name()
        if role == "assistant" and name in seen:
            continue
        seen.add(name)
        rows = log.parts.get(name, [line]) if role == "assistant" else [line]
        blocks = [block for row in rows for block in _content(row)]
        _add(turns, role, [block for block in blocks if Field(block)["type"].value != "tool_result"])
        called = [Field(block)["id"].name() for block in blocks if Field(block)["type"].value == "tool_use"]
        _add(turns, "user", [log.results[each] for each in called if each in log.results])
    return turns


def _content(line: Field) -> list[Any]:
    content = line["message"]["content"]
    return [block.value for block in content] if content.is_list else [{"type": "text", "text": content.value}]


def _add(turns: list[dict[str, Any]], role: object, blocks: list[Any]) -> None:
    if blocks and turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks:
        turns.append({"role": role, "content": blocks})


def _codex(lines: list[Field]) -> Iterator[Kept]:
    """Codex: items as the Responses protocol has them; an answer ends where something of the other side follows."""
    about = next((line["payload"] for line in lines if line["type"].value == "session_meta"), Field({}))
    items: list[Field] = []
    model, start, made = "", None, 0
    for line in [*lines, Field({"type": "end", "payload": {}})]:
        kind, inside = line["type"].value, line["payload"]
        if kind == "turn_context":
            model = inside["model"].name() or model
        elif kind == "compacted" and inside["message"].is_text:
            items = [Field({"type": "message", "role": "user", "content": inside["message"].value})]
            start = None
        if kind not in {"response_item", "end"}:
            continue
        own = _is_answer(inside)
        if start is not None and not own and made < MOST_CALLS:
            made += 1
            yield Kept(
                partial(_read_codex, items, start, len(items), about, model), items[start].source, model=model,
                id=str(made), time=about["timestamp"].name(), run=about["id"].name(),
            )  # fmt: skip
        start = (len(items) if start is None else start) if own else None
        if kind == "response_item":
            items.append(inside)


def _is_answer(item: Field) -> bool:
    """Whether the model said an item."""
    kind = item["type"].name()
    return (kind == "message" and item["role"].value == "assistant") or kind in _CALLS | {"reasoning"}


def _read_codex(items: list[Field], start: int, end: int, about: Field, model: str, notices: Notices) -> Call:
    """The call whose answer are the items from ``start`` to ``end``; no item of the list changes once it stands."""
    asked, said = items[:start], items[start:end]
    _say(notices, "Codex")
    instructions = about.at("base_instructions", "text").name_of_data() or about["instructions"].name_of_data()
    called = [item for item in (*asked, *said) if item["type"].name() in {"function_call", "custom_tool_call"}]
    free = {item["name"].name() for item in called if item["type"].value == "custom_tool_call"}
    tools = _tools((item["name"].name(), item.first("arguments", "input").parsed()) for item in called)
    body: dict[str, Any] = {
        "model": model, "input": [item.value for item in asked],
        **({"instructions": instructions} if instructions else {}),
        "tools": [
            {"type": "custom", "name": name} if name in free else
            {"type": "function", "name": name, "parameters": schema} for name, schema in tools
        ],
    }  # fmt: skip
    answer = {"output": [item.value for item in said], "status": "completed"}
    sent = Sent(
        body=Field(body, "", said[0].source), response=Field(answer, "payload", said[0].source),
        provider=about["model_provider"].name(), protocol="responses",
    )  # fmt: skip
    return sent.call(notices)


def _tools(called: Iterable[tuple[str, Field]]) -> list[tuple[str, dict[str, Any]]]:
    """Tools by name, with a schema of the arguments that they were called with."""
    found: dict[str, dict[str, Any]] = {}
    for name, arguments in called:
        known = found.setdefault(name, {})
        if arguments.is_object:
            known |= {key: kind_in_schema(value) for key, value in arguments.object().items()}
    return [(name, {"type": "object", "properties": known}) for name, known in found.items() if name]


def _say(notices: Notices, program: str) -> None:
    notices.say(
        "session",
        f"This is a session of {program}, which keeps turns and neither the settings of a call nor the definitions of "
        "tools: each tool is offered by its name, with the arguments that it was called with. The system prompt is "
        "sent as far as the log holds it. Whether the model does the same with so much less, the whole request is "
        "asked anew to see.",
    )
