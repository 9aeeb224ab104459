"""SQLite files of strangers, read with care.

Such a file may hold views that never end and triggers that write: only tables are read, read-only, and a query that
runs too long is stopped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from whygen.errors import DataError

MAGIC = b"SQLite format 3\x00"
MOST_STEPS = 2_000
"""Times ten thousand steps of SQLite's machine that one query may take: some seconds."""
MOST_ROWS = 100_000

Row = Mapping[str, Any]


class Database:
    """A file that is open for reading."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        found = self.rows("select name from sqlite_master where type = 'table'")
        self.tables = {str(row["name"]): self._columns(str(row["name"])) for row in found}

    def _columns(self, table: str) -> frozenset[str]:
        return frozenset(str(row["name"]) for row in self.rows("select name from pragma_table_info(?)", table))

    def has(self, table: str, *columns: str) -> bool:
        """Whether a table is there, with these columns."""
        return set(columns) <= self.tables.get(table, frozenset())

    def rows(self, query: str, *values: object) -> list[Row]:
        """What a query finds.

        Raises:
            DataError: if the file is damaged, or the query takes too long.
        """
        steps = iter(range(MOST_STEPS))
        self._connection.set_progress_handler(lambda: next(steps, None) is None, 10_000)
        try:
            found = self._connection.execute(query, values).fetchmany(MOST_ROWS)
        except (sqlite3.Error, OverflowError) as error:
            raise DataError(f"The database {self.name} cannot be read: {error}.{_advice(error)}") from None
        return [dict(row) for row in found]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@contextmanager
def opened(path: Path) -> Generator[Database, None, None]:
    """A database, for as long as the block runs.

    Raises:
        DataError: if it is damaged.
    """
    named = repr(path.name)
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise DataError(f"The database {named} cannot be opened: {error}.") from None
    try:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        connection.execute("pragma trusted_schema = off")
        yield Database(connection, named)
    except sqlite3.Error as error:
        raise DataError(f"The database {named} cannot be read: {error}.{_advice(error)}") from None
    finally:
        connection.close()


def _advice(error: Exception) -> str:
    """What to do about a file that is no whole database."""
    broken = isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error)
    return " It is damaged or was cut short: get a whole copy." if broken else ""
