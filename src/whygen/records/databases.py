"""Calls in SQLite files: the log of simonw/llm, larpie's, and any table that keeps messages or records as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from whygen.errors import DataError
from whygen.records import llm_logs, wrappers
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.llm_logs import provider_of
from whygen.records.sqlite import Database, opened
from whygen.records.wire import Sent, is_chat
from whygen.records.wrappers import kept_of


def calls(path: Path) -> list[Kept]:
    """The calls in a database, oldest first.

    Raises:
        DataError: if it is none that is known.
    """
    with opened(path) as database:
        for has, read in _KINDS:
            if has(database):
                return list(read(database, path))
        if kept := list(_rows(database)):
            return kept
        known = ", ".join(sorted(database.tables)[:8]) or "none"
        raise DataError(
            f"The database {database.name} holds no calls of models in a form that is known (simonw/llm's logs.db, "
            f"larpie's calls.db, rows of messages as JSON); its tables: {known}."
        )


def _has_larpie(database: Database) -> bool:
    return database.has("calls", "provider", "model", "messages_json", "response_text")


def _larpie(database: Database, path: Path) -> Iterable[Kept]:
    del path
    query = "select id, timestamp, provider, model, messages_json, response_text from calls order by id"
    for row in database.rows(query):
        source = f"{database.name}, call {row['id']}"
        body = {"model": provider_of(str(row["model"]))[1], "messages": Field(row["messages_json"]).parsed().value}
        answer = {"choices": [{"message": {"content": row["response_text"]}}]}
        sent = Sent(
            body=Field(body, "", source), response=Field(answer, "response", source), provider=str(row["provider"]),
            protocol="openai",
        )  # fmt: skip
        yield kept_of(sent, source, id=str(row["id"]), time=str(row["timestamp"]))


def _rows(database: Database) -> Iterable[Kept]:
    """Tables of any framework: a record in each row, or a message in each, by the conversation that a column names."""
    for table, columns in sorted(database.tables.items()):
        every = 'select * from "' + table.replace('"', '""') + '"'  # noqa: S608 - a name is no value, and is quoted
        said: dict[str, list[Any]] = {}
        for number, row in enumerate(database.rows(every), start=1):
            run = next((str(row[name]) for name in sorted(columns & _OF_RUNS) if row[name] is not None), "")
            source = f"{database.name}, {table}, row {number}"
            for value in row.values():
                found = Field(value, "", source).parsed() if isinstance(value, str) else Field(None)
                if wrappers.matches(found) if found.is_object else is_chat(found):
                    yield wrappers.kept_in(found)._replace(run=run)
                elif found.is_object and found.first("role", "type", "kind").is_text:
                    said.setdefault(run, []).append(found.value)
        for run, turns in said.items():
            chat = Field(turns, "", f"{database.name}, {table}{f', {run}' if run else ''}")
            if is_chat(chat):
                yield wrappers.kept_in(chat)._replace(id=run, run=run)


_OF_RUNS = frozenset({"session_id", "conversation_id", "thread_id", "chat_id", "run_id"})

_KINDS: tuple[tuple[Callable[[Database], bool], Callable[[Database, Path], Iterable[Kept]]], ...] = (
    (llm_logs.has_turns, llm_logs.turns), (llm_logs.has_responses, llm_logs.responses), (_has_larpie, _larpie),
)  # fmt: skip
