"""Who has sent what: processes that share a store pay once for an answer that several want.

Before a request is sent its key is leased, in the store; the lease goes when the answer is recorded, or the request is
given up. Whoever finds a lease of another looks again soon, and sends meanwhile what nobody has. An owner is a lock on
a file of its own, which the system lets go when the process dies: a dead owner's leases are anybody's at once. A
process that hangs without dying no longer touches its file: its leases are anybody's after `STALE` seconds.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from whygen.calls import rows
from whygen.calls.database import transaction
from whygen.types import Output

STALE: Final = 30.0
"""Seconds after which an owner that does not touch its file counts as gone."""
_TOUCH: Final = 3.0


class Leases:
    """The leases of one store in this process. What goes wrong with them costs a call twice, never an answer."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._owner = secrets.token_hex(8)
        self._lock: sqlite3.Connection | None = None
        self._ended = threading.Event()
        self._gone: set[str] = set()
        self._seen = -1

    def claim(self, keys: Sequence[str]) -> Mapping[str, Output | None]:
        """Lease what nobody has. What another process has asked for is handed back: its answer, or None if not yet."""
        try:
            self._stand()
            return self._claim(keys)
        except (sqlite3.Error, OSError):  # a full disk, no rights: then everybody pays for itself
            return {}

    def release(self, keys: Sequence[str]) -> None:
        """Give back leases of this process."""
        if self._lock is None:
            return
        with suppress(sqlite3.Error), transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM leases WHERE key = ? AND owner = ?", [(bytes.fromhex(key), self._owner) for key in keys]
            )

    def news(self) -> bool:
        """Whether another process has written into the store since this was asked last."""
        try:
            before, self._seen = self._seen, self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:  # then whoever asks looks when it would have looked anyway
            return False
        return before != self._seen

    def close(self) -> None:
        """Give everything back."""
        if self._lock is None:
            return
        self._ended.set()
        with suppress(sqlite3.Error), transaction(self._connection):
            self._connection.execute("DELETE FROM leases WHERE owner = ?", (self._owner,))
        with suppress(sqlite3.Error, OSError):
            self._lock.close()
            self._file(self._owner).unlink(missing_ok=True)
        self._lock = None

    def _file(self, owner: str) -> Path:
        return self._path.with_name(f"{self._path.name}-owner-{owner}")

    def _stand(self) -> None:
        """Take the lock that says that this process lives, and touch its file as long as it does."""
        if self._lock is not None:
            return
        file = self._file(self._owner)
        lock = sqlite3.connect(file, isolation_level=None, timeout=0, check_same_thread=False)
        lock.execute("BEGIN EXCLUSIVE")
        self._lock = lock
        threading.Thread(target=self._touch, args=(file,), daemon=True, name="whygen-leases").start()

    def _touch(self, file: Path) -> None:
        while not self._ended.wait(_TOUCH):
            with suppress(OSError):
                os.utime(file)

    def _claim(self, keys: Sequence[str]) -> dict[str, Output | None]:
        theirs: dict[str, Output | None] = {}
        with transaction(self._connection):
            for key in keys:
                blob = bytes.fromhex(key)
                with suppress(rows.DamagedRowError):
                    if (output := rows.select(self._connection, key)) is not None:
                        theirs[key] = output
                        continue
                found = self._connection.execute("SELECT owner FROM leases WHERE key = ?", (blob,)).fetchone()
                if found is not None and found[0] != self._owner and self._lives(found[0]):
                    theirs[key] = None
                    continue
                self._connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?)", (blob, self._owner))
        return theirs

    def _lives(self, owner: str) -> bool:
        if owner in self._gone:
            return False
        file, quiet = self._file(owner), 0.0
        try:
            # Both times are the file system's: clocks of two machines may differ.
            quiet = self._file(self._owner).stat().st_mtime - file.stat().st_mtime
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as other:
                other.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lives = "locked" in str(error) and quiet < STALE
        except OSError:
            lives = False
        else:
            lives = False
        if not lives:
            self._gone.add(owner)
            with suppress(OSError):
                file.unlink(missing_ok=True)
        return lives


class SharedClaims:
    """Leases by the places of requests."""

    def __init__(self, leases: Leases, keys: Sequence[str]) -> None:
        self._leases = leases
        self._keys = keys

    def claim(self, places: Sequence[int]) -> Mapping[int, Output | None]:
        theirs = self._leases.claim([self._keys[place] for place in places])
        return {place: theirs[self._keys[place]] for place in places if self._keys[place] in theirs}

    def release(self, places: Sequence[int]) -> None:
        self._leases.release([self._keys[place] for place in places])

    def news(self) -> bool:
        return self._leases.news()
