"""Which batches are under way at a provider. An entry is written before its batch is handed over, and goes when its
answers are recorded: at every moment in between, a run that was killed can find out what became of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from whygen.calls.database import transaction
from whygen.errors import StoreError
from whygen.types import JsonValue, Request, canonical_json

PATIENCE: Final = 900.0
"""Seconds to wait for another process that is handing something over."""
_ENTRIES = """
SELECT batches.tag, batches.name, batches.created, models.uri, models.identity,
    (SELECT count(*) FROM batch_calls WHERE batch_calls.batch = batches.id)
FROM batches JOIN models ON models.id = batches.model ORDER BY batches.id
"""
_KEYS = "SELECT key FROM batch_calls WHERE batch = (SELECT id FROM batches WHERE tag = ?)"
_REQUESTS = "SELECT key, request FROM batch_calls WHERE batch = (SELECT id FROM batches WHERE tag = ?)"
_CLAIM = """
INSERT INTO batches (model, tag, created)
VALUES ((SELECT id FROM models WHERE uri = ? AND identity = ?), ?, ?)
"""
_DROP = (
    "DELETE FROM batch_calls WHERE batch = (SELECT id FROM batches WHERE tag = ?)",
    "DELETE FROM batches WHERE tag = ?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One batch.

    Attributes:
        tag: our own name for it.
        name: the provider's; None as long as it has not told us.
        created: when it was handed over, in seconds since the epoch.
        uri: of the model.
        identity: of the model, as JSON.
        size: number of requests.
    """

    tag: str
    name: str | None
    created: float
    uri: str
    identity: str
    size: int


class Ledger:
    """The batches in a store. Every method is one transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @contextmanager
    def alone(self) -> Generator[None, None, None]:
        """Keep every other process from handing anything over, until this one has, or is gone.

        A lock in a file of its own, which the system lets go when a process is killed.

        Raises:
            StoreError: if another process holds it for too long.
        """
        path = self._path.with_name(self._path.name + "-batches")
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise StoreError(
                    f"{path}: another process has been handing over a batch for {PATIENCE / 60:.0f} minutes ({error}). "
                    "Wait for it, or end it; the same command goes on from here."
                ) from error
            yield

    def entries(self) -> list[Entry]:
        """All batches, the oldest first."""
        found = self._read(_ENTRIES)
        return [
            Entry(tag=tag, name=name, created=created, uri=uri, identity=identity, size=size)
            for tag, name, created, uri, identity, size in found
        ]

    def keys(self, tag: str) -> frozenset[str]:
        """The keys of a batch's requests."""
        return frozenset(key.hex() for (key,) in self._read(_KEYS, (tag,)))

    def requests(self, tag: str) -> dict[str, str]:
        """Its requests, as JSON, by key."""
        return {key.hex(): request for key, request in self._read(_REQUESTS, (tag,))}

    def claim(
        self, tag: str, requests: Mapping[str, Request], *, uri: str, identity: Mapping[str, JsonValue], now: float
    ) -> None:
        """Write down that these are about to be handed over.

        Raises:
            StoreError: if one of them is in another batch, or this cannot be written.
        """
        model = (uri, canonical_json(identity))
        rows = [(bytes.fromhex(key), tag, canonical_json(request.to_json())) for key, request in requests.items()]
        with self._writing(), transaction(self._connection):
            self._connection.execute("INSERT OR IGNORE INTO models (uri, identity) VALUES (?, ?)", model)
            self._connection.execute(_CLAIM, (*model, tag, now))
            self._connection.executemany(
                "INSERT INTO batch_calls VALUES (?, (SELECT id FROM batches WHERE tag = ?), ?)", rows
            )

    def name(self, tag: str, name: str) -> None:
        """Write down what the provider calls it."""
        with self._writing(), transaction(self._connection):
            self._connection.execute("UPDATE batches SET name = ? WHERE tag = ?", (name, tag))

    def drop(self, tag: str) -> None:
        """Forget a batch: its answers are recorded, or there are none."""
        with self._writing(), transaction(self._connection):
            for statement in _DROP:
                self._connection.execute(statement, (tag,))

    def _read(self, statement: str, values: Sequence[str] = ()) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._path}: the batches under way cannot be read ({error}).") from error

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self._path}: a batch could not be written down ({error}), and without that none is handed over. "
                "Make room or name another file with --cache PATH; the same command goes on from here."
            ) from error
