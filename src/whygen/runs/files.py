"""Where the store is, and how its file is opened: for writing if possible, else for reading, else not at all."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs

from whygen.errors import StoreError
from whygen.runs import schema

FILE_NAME: Final = "calls.sqlite"
PATIENCE: Final = 10.0
"""Seconds to wait for another process that is writing; one write takes milliseconds."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_FORBIDDEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


class Opened(NamedTuple):
    """A connection, if there is one, and the reason why it cannot be written to (empty: it can)."""

    connection: sqlite3.Connection | None
    trouble: str = ""


def default_store_path() -> Path:
    """``$WHYGEN_CACHE_DIR/calls.sqlite``, else the same file in the user's cache folder."""
    folder = os.environ.get("WHYGEN_CACHE_DIR")
    base = Path(folder).expanduser() if folder else platformdirs.user_cache_path("whygen", appauthor=False)
    return base / FILE_NAME


def open_file(path: Path) -> Opened:
    """Open the store at ``path``, made if it is not there, in a folder of mode 700.

    Raises:
        StoreError: if the file is damaged or belongs to another program. It is left as it is.
        FormatError: if a newer whygen wrote it.
    """
    if path.exists() and not path.is_file():  # SQLite would wait for ever at a pipe
        raise StoreError(f"{path} is no file: give the file of recorded answers, or its folder, with --cache PATH.")
    try:
        _make(path)
        return Opened(_for_writing(path))
    except (OSError, sqlite3.OperationalError) as error:
        held = isinstance(error, sqlite3.Error) and _primary(error) in _LOCKED
        return Opened(None if held else _for_reading(path), trouble_of(error))
    except sqlite3.DatabaseError as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> StoreError:
    """The error for a file that SQLite cannot make sense of."""
    return StoreError(
        f"{path} cannot be read as a store of recorded calls: {error}. Nothing in it was changed. Move it away, or "
        "name another file with --cache PATH; `sqlite3 FILE .recover` may bring recorded answers back."
    )


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is at fault, rather than the disk, the rights or another process."""
    return _primary(error) in _DAMAGED


def trouble_of(error: Exception) -> str:
    """Why a file could not be written, in words a person can act on."""
    if not isinstance(error, sqlite3.Error):
        return f"it cannot be written ({getattr(error, 'strerror', None) or error})"
    code = _primary(error)
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full"
    if code in _LOCKED:
        return "another program keeps it locked"
    if code in _FORBIDDEN:
        return f"it cannot be written ({error})"
    return f"writing to it failed ({error})"


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
        schema.check(connection, path)  # before anything of another program's file could be changed
        _use_wal(connection)
        schema.migrate(connection, path)
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
                if schema.check(connection, path) >= schema.READABLE:
                    return connection
            connection.close()
        except sqlite3.OperationalError:
            continue
        except sqlite3.DatabaseError as error:
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
