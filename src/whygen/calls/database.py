"""The file of the store: where it is, its tables, and how it is opened.

It is opened for writing if possible, else for reading, else not at all. Its version stands in ``PRAGMA user_version``;
numbered steps lead from each version to the next. A step never changes once released; a new one is added behind it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs

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
    if version < 1 and not empty:
        raise damaged(path, f"it holds tables, and says that it is of version {version}")
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


FILE_NAME: Final = "calls.sqlite"
PATIENCE: Final = 10.0
"""Seconds to wait for another process that is writing; one write takes milliseconds."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FORBIDDEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


class OpenedFile(NamedTuple):
    """A connection, if there is one, and the reason why it cannot be written to (empty: it can)."""

    connection: sqlite3.Connection | None
    trouble: str = ""


def default_store_path() -> Path:
    """``$WHYGEN_CACHE_DIR/calls.sqlite``, else the same file in the user's cache folder."""
    folder = os.environ.get("WHYGEN_CACHE_DIR")
    base = Path(folder).expanduser() if folder else platformdirs.user_cache_path("whygen", appauthor=False)
    return base / FILE_NAME


def open_file(path: Path) -> OpenedFile:
    """Open the store at ``path``, made if it is not there, in a folder of mode 700.

    Raises:
        StoreError: if the file is damaged or belongs to another program. It is left as it is.
        FormatError: if a newer whygen wrote it.
    """
    if path.exists() and not path.is_file():  # SQLite would wait for ever at a pipe
        raise StoreError(f"{path} is no file: give the file of recorded answers, or its folder, with --cache PATH.")
    try:
        _make(path)
        return OpenedFile(_for_writing(path))
    except (OSError, sqlite3.OperationalError) as error:
        held = isinstance(error, sqlite3.Error) and _primary(error) in _LOCKED
        return OpenedFile(None if held else _for_reading(path), trouble_of(error, path))
    except UNREADABLE as error:
        raise damaged(path, error) from error


UNREADABLE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises: Python may fail to decode what SQLite says of names that are no text any more."""


def damaged(path: Path, error: Exception | str) -> StoreError:
    """The error for a file that SQLite cannot make sense of."""
    why = "its tables have names that are no text" if isinstance(error, UnicodeDecodeError) else error
    return StoreError(
        f"{path} cannot be read as a store of recorded calls: {why}. Nothing in it was changed. Move it away, or "
        "name another file with --cache PATH; `sqlite3 FILE .recover` may bring recorded answers back."
    )


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault, rather than the disk, the rights or another process."""
    return not isinstance(error, sqlite3.Error) or _primary(error) in _DAMAGED


_LEAST_ROOM = 2**16
"""Bytes that SQLite's files beside the store take; with less it says many things, but not that the disk is full."""


def trouble_of(error: Exception, path: Path | None = None) -> str:
    """Why a file could not be written, in words a person can act on."""
    if not isinstance(error, sqlite3.Error):
        return f"it cannot be written ({getattr(error, 'strerror', None) or error})"
    code = _primary(error)
    if code == sqlite3.SQLITE_FULL or (code not in _LOCKED and path is not None and _is_full(path)):
        return "the disk is full"
    if code in _LOCKED:
        return "another program keeps it locked"
    if code in _FORBIDDEN:
        return f"it cannot be written ({error})"
    return f"writing to it failed ({error})"


def _is_full(path: Path) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < _LEAST_ROOM
    return False


def _primary(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)  # absent on errors that the Python module raises itself
    return None if code is None else code & 0xFF


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():  # prompts may be private, whatever the folder is
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _for_writing(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "rw")
    with _closed_on_error(connection):
        check(connection, path)  # before anything of another program's file could be changed
        _use_wal(connection)
        migrate(connection, path)
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and one writer at a time do not wait for each other; a killed process leaves a sound file."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.OperationalError as error:  # this pragma does not always heed the busy timeout
            if _primary(error) not in _LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _for_reading(path: Path) -> sqlite3.Connection | None:
    for mode in _ways_to_read(path):
        try:
            connection = _connect(path, mode)
            with _closed_on_error(connection):
                if check(connection, path) >= READABLE:
                    return connection
            connection.close()
        except sqlite3.OperationalError:
            continue
        except UNREADABLE as error:
            raise damaged(path, error) from error
    return None


def _ways_to_read(path: Path) -> list[str]:
    """WAL needs a second file beside the first. Where none can be made, the file is read as one nobody changes.

    That is right only if no process is writing, or left half a change beside it.
    """
    try:
        quiet = not any(_is_filled(path.with_name(path.name + ending)) for ending in ("-wal", "-journal"))
    except OSError:
        quiet = False
    return ["ro", "ro&immutable=1"] if quiet else ["ro"]


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    # A text whose bytes are damaged is one damaged row, which is no JSON any more; SQLite's own error ends the query.
    connection.text_factory = _text
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Generator[None, None, None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
