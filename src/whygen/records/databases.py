"""Calls in SQLite files: the log of simonw/llm, and larpie's, which holds messages and the text of each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from whygen.errors import DataError
from whygen.records import llm_logs
from whygen.records.fields import Field
from whygen.records.kept import Kept
from whygen.records.llm_logs import provider_of
from whygen.records.sqlite import Database, opened
from whygen.records.wire import Sent
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
        known = ", ".join(sorted(database.tables)[:8]) or "none"
        raise DataError(
            f"The database {database.name} holds no calls of models in a form that is known (simonw/llm's logs.db, "
            f"larpie's calls.db); its tables: {known}."
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


_KINDS: tuple[tuple[Callable[[Database], bool], Callable[[Database, Path], Iterable[Kept]]], ...] = (
    (llm_logs.has_turns, llm_logs.turns), (llm_logs.has_responses, llm_logs.responses), (_has_larpie, _larpie),
)  # fmt: skip
