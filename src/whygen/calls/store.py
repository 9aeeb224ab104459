"""The store of recorded calls: what was asked, of which model, and what came back.

One SQLite file in WAL mode, JSON in its columns. An answer that cannot be written stays in memory and is tried again
with every later write and on closing; `Store.notices` says so as long as it is true.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from whygen.calls import database, rows
from whygen.calls.database import transaction
from whygen.calls.leases import Leases
from whygen.calls.ledger import Ledger
from whygen.calls.rows import RecordedCall, StoredRow
from whygen.errors import StoreError, UsageError
from whygen.texts import counted
from whygen.types import Output

DEFAULT_STORE: Final = "default"
"""Stands for `default_store_path()`. A file of that very name is written ``./default``."""

_ELSEWHERE = "name another place with --cache PATH or WHYGEN_CACHE_DIR, or choose --no-cache to record nothing"


class Notice(NamedTuple):
    """Something a person should know though the run goes on: a stable code, and a text that says what to do."""

    code: str
    text: str


class Store:
    """Recorded calls in the file at ``path``; ``None`` keeps them in memory, for as long as this object lives.

    Not shared between threads; any number of processes may have the same file open.

    Raises:
        StoreError: if the file is damaged or belongs to another program.
        FormatError: if a newer whygen wrote it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._connection, self._trouble = (None, "") if path is None else database.open_file(path)
        self._memory: dict[str, RecordedCall] = {}  # what is not in the file
        self._waiting: dict[str, StoredRow] = {}  # those of them that belong there
        self._leases: Leases | None = None
        self._damaged: set[str] = set()  # rows that could not be read
        self._passed_over = 0  # of them, when all were read

    @property
    def path(self) -> Path | None:
        """The file, or ``None`` for a store in memory."""
        return self._path

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What could not be recorded, why, and what to do. Empty once everything is written."""
        if self._path is None:
            return ()
        notices: list[Notice] = []
        if self._waiting:
            notices.append(Notice("store-not-written", self._not_written()))
        if damaged := max(len(self._damaged), self._passed_over):
            text = (
                f"{counted(damaged, 'recorded answer')} in {self._path} passed over as damaged: what is asked for "
                "again takes their place."
            )
            notices.append(Notice("rows-damaged", text))
        if odd := len(self._memory) - len(self._waiting):
            text = (
                f"{counted(odd, 'answer')} with something that is not JSON (in `Output.extra`, or a score that is not "
                "finite)"
            )
            notices.append(Notice("answer-not-json", f"{text}, not recorded: a later run asks again."))
        return tuple(notices)

    def get_many(self, keys: Collection[str]) -> dict[str, Output]:
        """The recorded answers among ``keys``; what is not recorded is left out.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        found = {key: self._memory[key].output for key in keys if key in self._memory}
        if self._connection is not None:
            with self._reading(), transaction(self._connection, kind="DEFERRED"):
                for key in set(keys) - found.keys():
                    if (output := self._select(self._connection, key)) is not None:
                        found[key] = output
        return found

    def _select(self, connection: sqlite3.Connection, key: str) -> Output | None:
        """A row that cannot be read is as good as none: it is asked for again, and `notices` say so."""
        try:
            return rows.select(connection, key)
        except rows.DamagedRowError:
            self._damaged.add(key)
            return None

    def put_many(self, calls: Sequence[RecordedCall]) -> int:
        """Record calls in one transaction, and say how many were new. The first answer recorded for a key stays.

        What cannot be written is kept in memory: this never raises for a full disk or missing rights.
        """
        new: dict[str, RecordedCall] = {}
        for call in calls:
            if call.key not in self._memory:
                new.setdefault(call.key, call)
        fresh = {} if self._path is None else _rows(new)
        self._memory |= new
        self._waiting |= fresh
        if self._path is None:
            return len(new)
        written = self._write(fresh)
        if written is None:
            return len(new)
        self.flush()
        return written + len(new) - len(fresh)

    @property
    def ledger(self) -> Ledger:
        """The batches that are under way.

        Raises:
            StoreError: if they could not be written down, in a store that is in memory or cannot be written.
        """
        if self._path is None:
            raise StoreError(
                "A batch needs a store on disk, so that a run that ends can find it again: leave out --no-cache "
                "(cache=None)."
            )
        if self._connection is None or self._trouble:
            raise StoreError(
                f"{self._path} cannot be written, because {self._trouble or 'the store is closed'}, and a batch must "
                f"be written down before it is handed over. To go on, {_ELSEWHERE.partition(',')[0]}."
            )
        return Ledger(self._connection, self._path)

    @property
    def leases(self) -> Leases | None:
        """Who has sent what; None where nobody else can see it."""
        if self._path is None or self._connection is None or self._trouble:
            return None
        self._leases = self._leases or Leases(self._connection, self._path)
        return self._leases

    def try_writing(self) -> str:
        """Write something, and take it back: why the file takes no answers, or nothing where it does."""
        if self._path is None or self._connection is None:
            return self._trouble
        try:
            with transaction(self._connection):
                version = self._connection.execute("PRAGMA user_version").fetchone()[0]
                self._connection.execute(f"PRAGMA user_version = {version}")
        except sqlite3.DatabaseError as error:
            return self._trouble or database.trouble_of(error)
        return self._trouble

    def flush(self) -> None:
        """Try again to write what an earlier write could not place."""
        self._write(dict(self._waiting))

    def count(self, *, model: str | None = None) -> int:
        """Number of calls, of one model's URI or of all; those in memory count."""
        kept = sum(model in (None, call.uri) for call in self._memory.values())
        if self._connection is None:
            return kept
        with self._reading():
            return kept + rows.count(self._connection, model)

    def models(self) -> dict[str, int]:
        """Number of calls of each model, by its URI; those in memory count."""
        kept = Counter(call.uri for call in self._memory.values())
        if self._connection is not None:
            with self._reading():
                kept.update(rows.models(self._connection))
        return dict(sorted(kept.items()))

    def size(self) -> int:
        """Bytes on disk, with the log of changes that SQLite keeps beside the file."""
        if self._path is None:
            return 0
        parts = [self._path, self._path.with_name(self._path.name + "-wal")]
        return sum(part.stat().st_size for part in parts if part.exists())

    def calls(self, *, model: str | None = None) -> Iterator[RecordedCall]:
        """Every call in the order of recording, of one model's URI or of all; those in memory come last."""
        if self._connection is not None:
            with self._reading():
                self._passed_over = 0
                for call in rows.select_all(self._connection, model):
                    if call is None:
                        self._passed_over += 1
                    else:
                        yield call
        yield from [call for call in self._memory.values() if model in (None, call.uri)]

    def prune(self, *, older_than: timedelta | None = None, model: str | None = None) -> int:
        """Delete the calls that are at least so old, those of one model's URI, or those that are both.

        Returns:
            The number of calls deleted.

        Raises:
            UsageError: if neither is given: everything is deleted only by ``older_than=timedelta(0)``.
            StoreError: if the file cannot be written.
        """
        if older_than is None and model is None:
            raise UsageError(
                "prune needs a scope: older_than (an age), model (a URI), or both. "
                "older_than=timedelta(0) deletes everything."
            )
        # Everything means that too which a clock that ran ahead has dated in the future.
        is_bound = older_than is not None and older_than > timedelta(0)
        latest = time.time() - older_than.total_seconds() if older_than is not None and is_bound else None
        deleted = self._delete(latest, model)
        doomed = [call.key for call in self._memory.values() if _in_scope(call, latest, model)]
        for key in doomed:
            del self._memory[key]
            self._waiting.pop(key, None)
        return deleted + len(doomed)

    def close(self) -> None:
        """Try once more to write what is only in memory, then let go of the file. Closing twice does nothing."""
        if self._connection is not None:
            self.flush()
            if self._leases is not None:
                self._leases.close()
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self._path)!r})" if self._path else "Store(None)"

    def _write(self, fresh: Mapping[str, StoredRow]) -> int | None:
        """Number of new rows, or ``None`` if they could not be written; then they stay in memory."""
        if self._connection is None:
            return None
        if not fresh:
            return 0
        try:
            with transaction(self._connection):
                rows.forget(self._connection, self._damaged & fresh.keys())
                new = rows.insert(self._connection, list(fresh.values()))
        except sqlite3.DatabaseError as error:
            self._trouble = self._trouble or database.trouble_of(error)
            self._be_patient(0.1)  # the next try must not wait as long as this one may have: a run has many
            return None
        for key in fresh:
            del self._memory[key], self._waiting[key]
        if self._trouble and not self._waiting:
            self._trouble = ""
            self._be_patient(database.PATIENCE)
        return new

    def _be_patient(self, seconds: float) -> None:
        if self._connection is not None:
            self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")

    def _delete(self, created_by: float | None, model: str | None) -> int:
        if self._path is None:
            return 0
        if self._connection is None:
            raise StoreError(f"{self._path}: nothing was deleted, because {self._trouble or 'the store is closed'}.")
        try:
            with transaction(self._connection):
                deleted = rows.delete(self._connection, created_by=created_by, model=model)
        except database.UNREADABLE as error:
            # A file that could be opened for reading only calls itself read-only; why is known since then.
            why = self._trouble or database.trouble_of(error, self._path)
            raise StoreError(f"{self._path}: nothing was deleted, because {why}.") from error
        with suppress(*database.UNREADABLE):  # no room for the copy, or another process reads: space is reused
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return deleted

    @contextmanager
    def _reading(self) -> Generator[None, None, None]:
        try:
            yield
        except database.UNREADABLE as error:
            if self._path is None or database.is_damage(error):
                raise database.damaged(self._path or Path(), error) from error
            raise StoreError(f"{self._path} cannot be read any more ({error}); {_ELSEWHERE}.") from error

    def _not_written(self) -> str:
        number = len(self._waiting)
        answers = "1 answer is" if number == 1 else f"{number} answers are"
        return (
            f"{answers} kept in memory only, because {self._path} did not take them: {self._trouble}. They are gone "
            f"when this run ends. To keep what later runs ask for, mend that, or {_ELSEWHERE}. What was recorded "
            "before is still there."
        )


def open_store(path: Path | str | None = DEFAULT_STORE) -> Store:
    """The store of a run: a file, or a folder that holds ``calls.sqlite``; ``None`` records nothing on disk.

    Raises:
        StoreError: if the file is damaged or belongs to another program.
        FormatError: if a newer whygen wrote it.
    """
    if path is None:
        return Store(None)
    if path == DEFAULT_STORE:
        return Store(database.default_store_path())
    where = Path(path).expanduser()
    return Store(where / database.FILE_NAME if where.is_dir() else where)


def _rows(calls: Mapping[str, RecordedCall]) -> dict[str, StoredRow]:
    """The calls that can be written: one that holds something other than JSON is left out, see `Store.notices`."""
    fresh: dict[str, StoredRow] = {}
    for key, call in calls.items():
        with suppress(TypeError, ValueError):
            fresh[key] = StoredRow.of(call)
    return fresh


def _in_scope(call: RecordedCall, created_by: float | None, model: str | None) -> bool:
    return (created_by is None or call.created <= created_by) and model in (None, call.uri)
