"""One recorded call as SQLite keeps it, and the few statements that read and write it.

The table ``pictures`` holds whatever bytes an answer is: a picture, a sound or frames; ``output`` says which.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from whygen.errors import DataError, WhygenError
from whygen.models.protocols import HasIdentity, Model
from whygen.safe import read_json
from whygen.types import JsonValue, Output, Request, canonical_json, digest, output_from_json, output_json


def identity_of(model: Model) -> Mapping[str, JsonValue] | None:
    """What makes this model answer as it does: its own account (`HasIdentity`), else its URI.

    ``None`` means that nobody can know, and then nothing it says may be found again by a later run.
    """
    return model.identity if isinstance(model, HasIdentity) else {"uri": model.uri}


def call_key(identity: Mapping[str, JsonValue], request: Request) -> str:
    """sha256 over the canonical JSON of model and request, as 64 hexadecimal digits.

    Raises:
        DataError: if a setting is not JSON (NaN, an object), because such a call could not be found again.
    """
    try:
        return digest({"model": identity, "request": request.to_json()})
    except (TypeError, ValueError) as error:
        raise DataError(
            f"This request cannot be named, because a part of it is not JSON: {error}. Settings and the model's "
            f"identity take text, finite numbers, lists and mappings. The settings were {request.settings!r}."
        ) from error


_SELECT = """
SELECT calls.output, pictures.data FROM calls LEFT JOIN pictures ON pictures.sha256 = calls.picture
WHERE calls.key = ?
"""
_SELECT_ALL = """
SELECT calls.key, models.uri, models.identity, calls.request, calls.output, pictures.data, calls.created
FROM calls JOIN models ON models.id = calls.model LEFT JOIN pictures ON pictures.sha256 = calls.picture
WHERE models.uri = coalesce(?, models.uri) ORDER BY calls.rowid
"""
_COUNT = "SELECT count(*) FROM calls JOIN models ON models.id = calls.model WHERE models.uri = coalesce(?, models.uri)"
_MODELS = "SELECT models.uri, count(*) FROM calls JOIN models ON models.id = calls.model GROUP BY models.uri ORDER BY 1"
_INSERT = """
INSERT INTO calls (key, model, request, output, picture, created)
VALUES (?, (SELECT id FROM models WHERE uri = ? AND identity = ?), ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING
"""
_DELETE = """
DELETE FROM calls WHERE created <= coalesce(?, created)
AND model IN (SELECT id FROM models WHERE uri = coalesce(?, uri))
"""
_SWEEP = (
    "DELETE FROM pictures WHERE sha256 NOT IN (SELECT picture FROM calls WHERE picture IS NOT NULL)",
    "DELETE FROM models WHERE id NOT IN (SELECT model FROM calls) AND id NOT IN (SELECT model FROM batches)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One recorded call. ``created`` is in seconds since the epoch; pictures in ``request`` appear by digest."""

    key: str
    uri: str
    identity: Mapping[str, JsonValue]
    request: Mapping[str, JsonValue]
    output: Output
    created: float = field(default_factory=time.time)


class StoredRow(NamedTuple):
    """A call as SQLite takes it; ``data`` are the bytes of a picture, sound or frames."""

    key: bytes
    uri: str
    identity: str
    request: str
    output: str
    picture: str | None
    created: float
    data: bytes | None

    @classmethod
    def of(cls, call: RecordedCall) -> StoredRow:
        """Raises TypeError or ValueError if the output holds something that is not JSON."""
        medium = call.output.medium
        return cls(
            bytes.fromhex(call.key),
            call.uri,
            _json(call.identity),
            _json(call.request),
            _json(output_json(call.output)),
            None if medium is None else str(medium.to_json()["sha256"]),
            call.created,
            None if medium is None else medium.data,
        )


def insert(connection: sqlite3.Connection, rows: Sequence[StoredRow]) -> int:
    """Write rows and say how many were new; a key that is there keeps its first answer."""
    models = {(row.uri, row.identity) for row in rows}
    connection.executemany("INSERT OR IGNORE INTO models (uri, identity) VALUES (?, ?)", models)
    pictures = {row.picture: row.data for row in rows if row.picture is not None}
    connection.executemany("INSERT OR IGNORE INTO pictures (sha256, data) VALUES (?, ?)", pictures.items())
    return connection.executemany(_INSERT, [row[:-1] for row in rows]).rowcount


class DamagedRowError(Exception):
    """A row that holds no answer any more."""


_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, WhygenError)
"""What reading a row may raise whose bytes are not those that were written."""


def select(connection: sqlite3.Connection, key: str) -> Output | None:
    """The answer recorded for a key.

    Raises:
        DamagedRowError: if the row cannot be read.
    """
    row = connection.execute(_SELECT, (bytes.fromhex(key),)).fetchone()
    try:
        return None if row is None else _output(*row)
    except _UNREADABLE as error:
        raise DamagedRowError(key) from error


def forget(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Delete rows, so that another answer can take their place."""
    connection.executemany("DELETE FROM calls WHERE key = ?", [(bytes.fromhex(key),) for key in keys])


def select_all(connection: sqlite3.Connection, model: str | None) -> Iterator[RecordedCall | None]:
    """Every call, of one model's URI or of all, in the order of recording; None for a row that cannot be read."""
    for key, uri, identity, request, output, data, created in connection.execute(_SELECT_ALL, (model,)):
        try:
            call = RecordedCall(
                key=key.hex(),
                uri=uri,
                identity=read_json(identity),
                request=_request(request),
                output=_output(output, data),
                created=created,
            )
        except _UNREADABLE:  # one damaged row keeps no other from being read
            call = None
        yield call


def count(connection: sqlite3.Connection, model: str | None) -> int:
    """Number of calls, of one model's URI or of all."""
    return int(connection.execute(_COUNT, (model,)).fetchone()[0])


def models(connection: sqlite3.Connection) -> dict[str, int]:
    """Number of calls of each model's URI."""
    return dict(connection.execute(_MODELS).fetchall())


def delete(connection: sqlite3.Connection, *, created_by: float | None, model: str | None) -> int:
    """Delete calls and what only they needed; ``None`` sets no bound. The number of calls deleted."""
    deleted = connection.execute(_DELETE, (created_by, model)).rowcount
    for sweep in _SWEEP:
        connection.execute(sweep)
    return deleted


def _json(value: JsonValue) -> str:
    """Canonical JSON; escaped where a lone surrogate could not be written as UTF-8."""
    text = canonical_json(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    return text


def _request(record: str) -> Mapping[str, JsonValue]:
    found = read_json(record)
    if not isinstance(found, Mapping) or "prompt" not in found:
        raise ValueError("this is no request")
    return cast(Mapping[str, JsonValue], found)


def _output(record: str, data: bytes | None) -> Output:
    """The answer in a row.

    Raises:
        ValueError: if it is none, or its bytes are not those that were recorded.
    """
    found = read_json(record)
    output = output_from_json(found, data=data)
    kept = output_json(output)
    if kept != found or not isinstance(output.text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - it was read
        raise ValueError("this is not what was recorded")
    return output
