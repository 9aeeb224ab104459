"""The tables of the store, and the numbered steps from each version of them to the next.

The version stands in ``PRAGMA user_version``. A step never changes once released; a new one is added behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from whygen.errors import FormatError, StoreError

APPLICATION_ID = 0x57479E17
"""Marks a SQLite file as a whygen store, so that the database of another program is never written to."""


def migrate_to_1(connection: sqlite3.Connection) -> None:
    """Calls, their models, and the bytes of pictures that models drew."""
    connection.execute("CREATE TABLE models (id INTEGER PRIMARY KEY, uri TEXT NOT NULL, identity TEXT NOT NULL)")
    connection.execute("CREATE UNIQUE INDEX models_by_name ON models (uri, identity)")
    connection.execute("CREATE TABLE pictures (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL)")
    connection.execute(
        "CREATE TABLE calls (key BLOB PRIMARY KEY, model INTEGER NOT NULL REFERENCES models (id), "
        "request TEXT NOT NULL, output TEXT NOT NULL, picture TEXT REFERENCES pictures (sha256), created REAL NOT NULL)"
    )
    connection.execute("CREATE INDEX calls_by_picture ON calls (picture) WHERE picture IS NOT NULL")


def migrate_to_2(connection: sqlite3.Connection) -> None:
    """Batches under way at a provider; a request is in one of them at most. ``name`` is what the provider calls it."""
    connection.execute(
        "CREATE TABLE batches (id INTEGER PRIMARY KEY, model INTEGER NOT NULL REFERENCES models (id), "
        "tag TEXT NOT NULL UNIQUE, name TEXT, created REAL NOT NULL)"
    )
    connection.execute(
        "CREATE TABLE batch_calls (key BLOB PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batches (id), "
        "request TEXT NOT NULL)"
    )
    connection.execute("CREATE INDEX batch_calls_by_batch ON batch_calls (batch)")


def migrate_to_3(connection: sqlite3.Connection) -> None:
    """Requests in flight, and the process that has sent each: another that wants the same answer waits for it."""
    connection.execute("CREATE TABLE leases (key BLOB PRIMARY KEY, owner TEXT NOT NULL)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (migrate_to_1, migrate_to_2, migrate_to_3)
VERSION = len(MIGRATIONS)
READABLE = 1
"""The oldest version whose answers can be read as they are, where nothing can be written."""


@contextmanager
def transaction(connection: sqlite3.Connection, *, kind: str = "IMMEDIATE") -> Generator[None, None, None]:
    """All or nothing. ``IMMEDIATE`` takes the write lock at once: waiting happens here, never half-way."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled back already
            connection.execute("ROLLBACK")
        raise


def check(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file: 0 for an empty one.

    Raises:
        FormatError: if a newer whygen wrote it.
        StoreError: if it belongs to another program.
    """
    with nullcontext() if connection.in_transaction else transaction(connection, kind="DEFERRED"):
        # One look at the file: another process may be making it at this moment.
        version = _pragma(connection, "user_version")
        ours = _pragma(connection, "application_id") == APPLICATION_ID
        empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    if not ours and (version or not empty):
        raise StoreError(f"{path} is the database of another program. Name another file with --cache PATH.")
    if version > VERSION:
        raise FormatError(
            f"{path} is a store of version {version}, and this whygen reads versions up to {VERSION}. Upgrade whygen "
            "(pip install -U whygen), or name another file with --cache PATH; this one was left as it is."
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a file to the newest version, in one transaction.

    Raises:
        FormatError: if a newer whygen wrote it.
        StoreError: if it belongs to another program.
    """
    if check(connection, path) == VERSION:
        return
    with transaction(connection):
        for step in MIGRATIONS[check(connection, path) :]:  # another process may have done it while this one waited
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
