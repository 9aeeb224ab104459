"""The log of simonw/llm (``llm logs path``), as it is today and as it was before llm had turns."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from whygen.errors import DataError
from whygen.records.call import Call
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.notices import Notices
from whygen.records.sqlite import Database, Row, opened
from whygen.records.wire import Sent

MOST_TURNS = 10_000
"""Of one conversation."""
Build: TypeAlias = Callable[[Database, Row, str], Sent]
"""What makes a call of a row of the log."""


def _later(path: Path, build: Build, source: str, row: Row, run: object) -> Kept:
    """A call that is put together when it is read."""

    def read(notices: Notices) -> Call:
        with opened(path) as database:
            sent = build(database, row, source)
        return sent.call(notices)

    return Kept(
        read, source, model=str(row["model"] or ""), id=str(row["id"]), time=str(row["time"] or ""), run=str(run or "")
    )


def provider_of(model: str) -> tuple[str, str]:
    """Llm's plugins put their name before a model's; its own names are OpenAI's."""
    prefix, slash, rest = model.partition("/")
    return (prefix, rest) if slash else ("", model)


def has_turns(database: Database) -> bool:
    """Whether this is the log of llm as it is today: turns, whose messages are a chain."""
    return database.has("turns", "id", "parent_message_hash", "tip_message_hash", "model") and database.has("parts")


def turns(database: Database, path: Path) -> Iterable[Kept]:
    """The turns, oldest first."""
    query = (
        "select id, thread_id, model, datetime_utc as time, options_json, schema_id, parent_message_hash as asked, "
        "tip_message_hash as tip, input_tokens, output_tokens from turns order by datetime_utc, id"
    )
    for row in database.rows(query):
        source = f"{database.name}, turn {row['id']}"
        yield _later(path, _turn, source, row, row["thread_id"])


def _turn(database: Database, row: Row, source: str) -> Sent:
    answer = _chain(database, row["tip"], stop=row["asked"])
    tools = database.rows(
        "select t.name, t.description, t.input_schema from turn_tools u join tools t on t.id = u.tool_id "
        "where u.turn_id = ? order by t.id", row["id"],
    )  # fmt: skip
    body = {"messages": _chain(database, row["asked"]), "tools": [_tool(each) for each in tools]}
    return _sent(database, row, body, answer[-1] if answer else None, source)


def _chain(database: Database, tip: object, stop: object = None) -> list[dict[str, Any]]:
    """The messages that lead to one, oldest first."""
    found: list[dict[str, Any]] = []
    while isinstance(tip, str) and tip != stop and len(found) < MOST_TURNS:
        rows = database.rows("select parent_hash, role from messages where hash = ?", tip)
        if not rows:
            break
        found += reversed(_message(database, tip, str(rows[0]["role"])))
        tip = rows[0]["parent_hash"]
    return found[::-1]


def _message(database: Database, name: str, role: str) -> list[dict[str, Any]]:
    """The messages that one of llm's is: each result of a tool is one of its own."""
    content: list[dict[str, Any]] = []
    called: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    query = "select id, type, text, payload from parts where message_hash = ? order by position"
    for part in database.rows(query, name):
        told = Field(part["payload"]).parsed()
        if part["type"] == "tool_call":
            function = {"name": told["name"].value, "arguments": _json(told["arguments"])}
            called.append({"id": told["tool_call_id"].value, "function": function})
        elif part["type"] == "tool_result":
            answers = told["tool_call_id"].value
            results.append({"role": "tool", "tool_call_id": answers, "content": told["output"].value or ""})
        elif part["type"] == "attachment":
            content += _attachments(database, "part_attachments", "part_id", part["id"])
        elif part["type"] == "reasoning":
            content.append({"type": "reasoning"})
        else:
            content.append({"type": "text", "text": part["text"] or _fragments(database, part["id"])})
    if results:
        return results
    plain = len(content) == 1 and content[0]["type"] == "text"
    turn: dict[str, Any] = {"role": role, "content": content[0]["text"] if plain else content or None}
    return [{**turn, "tool_calls": called} if called else turn]


def _json(found: Field) -> Any:
    return {} if found.value is None else found.value


def _fragments(database: Database, part: object) -> str:
    if not database.has("part_fragments"):
        return ""
    rows = database.rows(
        "select f.content from part_fragments p join fragments f on f.id = p.fragment_id "
        'where p.part_id = ? order by p."order"', part,
    )  # fmt: skip
    return "\n".join(str(row["content"] or "") for row in rows)


def _attachments(database: Database, table: str, column: str, name: object) -> list[dict[str, Any]]:
    """Images that were sent. One that is named by a path alone is not opened: a file of a stranger could name any."""
    if not database.has(table):
        return []
    rows = database.rows(
        f"select a.type, a.url, a.content from {table} p join attachments a on a.id = p.attachment_id "  # noqa: S608 - names of ours
        f'where p.{column} = ? order by p."order"', name,
    )  # fmt: skip
    made: list[dict[str, Any]] = []
    for row in rows:
        data = base64.b64encode(row["content"]).decode() if isinstance(row["content"], bytes) else None
        address = f"data:{row['type']};base64,{data}" if data else row["url"]
        made.append({"type": "image_url", "image_url": {"url": address}})
    return made


def _tool(row: Row) -> dict[str, Any]:
    schema = Field(row["input_schema"]).parsed()
    return {
        "name": row["name"], "description": row["description"], "parameters": schema.value if schema.is_object else {},
    }  # fmt: skip


def _sent(database: Database, row: Row, body: Mapping[str, Any], answer: Any, source: str) -> Sent:
    options, schema = Field(row["options_json"]).parsed(), None
    if row["schema_id"] and database.has("schemas"):
        found = database.rows("select content from schemas where id = ?", row["schema_id"])
        schema = Field(found[0]["content"]).parsed().value if found else None
    asked: dict[str, Any] = {**(options.object() if options.is_object else {}), **body}
    if schema is not None:
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
    provider, name = provider_of(str(row["model"] or ""))
    usage = {"prompt_tokens": row["input_tokens"], "completion_tokens": row["output_tokens"]}
    response = None if answer is None else {"choices": [{"message": answer}], "usage": usage}
    return Sent(
        body=Field(asked, "", source), response=Field(response, "response", source), provider=provider, name=name,
        protocol="openai",
    )  # fmt: skip


def has_responses(database: Database) -> bool:
    """Whether this is the log of llm before it had turns: prompts and responses."""
    return database.has("responses", "id", "model", "prompt", "system", "response", "conversation_id")


def responses(database: Database, path: Path) -> Iterable[Kept]:
    """The responses, oldest first."""
    for row in database.rows(_RESPONSES.format(_optional(database), "1")):
        source = f"{database.name}, response {row['id']}"
        yield _later(path, _response, source, row, row["conversation_id"])


_RESPONSES = (
    "select id, model, prompt, system, options_json, response, conversation_id, datetime_utc as time, {} "
    "from responses where {} order by datetime_utc, id"
)


def _optional(database: Database) -> str:
    names = ("schema_id", "input_tokens", "output_tokens")
    return ", ".join(name if name in database.tables["responses"] else f"null as {name}" for name in names)


def _response(database: Database, row: Row, source: str) -> Sent:
    where = "conversation_id = ?" if row["conversation_id"] else "id = ?"
    rows = database.rows(_RESPONSES.format(_optional(database), where), row["conversation_id"] or row["id"])
    messages: list[dict[str, Any]] = []
    for each in rows[:MOST_TURNS]:
        last = each["id"] == row["id"]
        system = each["system"] or _whole(database, "system_fragments", each["id"])
        if system and not any(turn["role"] == "system" for turn in messages):
            messages.insert(0, {"role": "system", "content": system})
        messages += _results(database, each["id"])
        if prompt := _prompt(database, each):
            messages.append({"role": "user", "content": prompt})
        answer: dict[str, Any] = {"role": "assistant", "content": each["response"] or ""}
        if called := _called(database, each["id"]):
            answer["tool_calls"] = called
        if last:
            tools = _tools_of(database, each["id"])
            return _sent(database, row, {"messages": messages, "tools": tools}, answer, source)
        messages.append(answer)
    raise DataError(f"{source} is not among the responses of its conversation.")


def _prompt(database: Database, row: Row) -> Any:
    """What the user said: fragments stand before the prompt."""
    whole = "\n".join(filter(None, (_whole(database, "prompt_fragments", row["id"]), row["prompt"])))
    images = _attachments(database, "prompt_attachments", "response_id", row["id"])
    return [*([{"type": "text", "text": whole}] if whole else []), *images] if images else whole


def _whole(database: Database, table: str, name: object) -> str:
    if not database.has(table):
        return ""
    rows = database.rows(
        f"select f.content from {table} p join fragments f on f.id = p.fragment_id "  # noqa: S608 - names of ours
        'where p.response_id = ? order by p."order"', name,
    )  # fmt: skip
    return "\n".join(str(row["content"] or "") for row in rows)


def _results(database: Database, name: object) -> list[dict[str, Any]]:
    if not database.has("tool_results"):
        return []
    rows = database.rows("select output, tool_call_id from tool_results where response_id = ? order by id", name)
    return [{"role": "tool", "tool_call_id": row["tool_call_id"], "content": row["output"] or ""} for row in rows]


def _called(database: Database, name: object) -> list[dict[str, Any]]:
    if not database.has("tool_calls"):
        return []
    rows = database.rows("select name, arguments, tool_call_id from tool_calls where response_id = ? order by id", name)
    return [
        {"id": row["tool_call_id"], "function": {"name": row["name"], "arguments": row["arguments"] or "{}"}}
        for row in rows
    ]


def _tools_of(database: Database, name: object) -> list[dict[str, Any]]:
    if not database.has("tool_responses"):
        return []
    rows = database.rows(
        "select t.name, t.description, t.input_schema from tool_responses r join tools t on t.id = r.tool_id "
        "where r.response_id = ? order by t.id", name,
    )  # fmt: skip
    return [_tool(row) for row in rows]
