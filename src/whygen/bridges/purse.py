"""What many processes may spend together: each borrows before it explains, and gives back what it did not spend.

The account is a SQLite file that they share. A process that died spent all that it had borrowed, as far as anybody can
know: the bound is never exceeded.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from whygen.calls import Budget, SharedBudget
from whygen.calls.spending import Cost
from whygen.errors import StoreError

PAUSE = 0.05
"""Seconds between two looks at what the others gave back."""
_TABLES = """
create table if not exists spent (calls real not null, money real not null);
create table if not exists lent (
  id integer primary key, pid integer not null, calls real not null, money real not null
);
"""


class Purse:
    """The account of a session.

    Args:
        folder: where its file is; all processes name the same.
        budget: calls and money that all of them may spend together; tokens are not lent.
    """

    def __init__(self, folder: Path, budget: Budget) -> None:
        self._file, self.budget = folder / "spent.sqlite", budget

    @contextmanager
    def lent(self, wish: Cost) -> Generator[SharedBudget, None, None]:
        """A budget to spend: what is wished for, or what is left where that is less.

        Waits while others hold what may come back.

        Raises:
            StoreError: if the account cannot be written.
        """
        if self.budget == Budget():
            yield SharedBudget(Budget())
            return
        while (found := self._borrow(wish)) is None:
            time.sleep(PAUSE)
        loan, lent = found
        try:
            yield lent
        finally:
            with self._open() as account:
                account.execute("delete from lent where id = ?", (loan,))
                account.execute("insert into spent values (?, ?)", (lent.used.calls, lent.used.money))

    def _borrow(self, wish: Cost) -> tuple[int, SharedBudget] | None:
        """A loan; None while others hold what this one needs."""
        with self._open() as account:
            _bury(account)
            held = account.execute("select count(*), total(calls), total(money) from lent").fetchone()
            spent = account.execute("select total(calls), total(money) from spent").fetchone()
            calls = _part(self.budget.calls, spent[0] + held[1], wish.calls)
            money = _part(self.budget.money, spent[1] + held[2], wish.money)
            if held[0] and ((calls is not None and calls < wish.calls) or (money is not None and money < wish.money)):
                return None
            row = account.execute(
                "insert into lent (pid, calls, money) values (?, ?, ?)", (os.getpid(), calls or 0, money or 0)
            )
            most = Budget(calls=None if calls is None else int(calls), money=money)
            return int(row.lastrowid or 0), SharedBudget(most)

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection, None, None]:
        """The account, which nobody else reads or writes meanwhile."""
        try:
            with closing(sqlite3.connect(self._file, timeout=60, isolation_level=None)) as account:
                account.executescript(_TABLES)
                account.execute("begin immediate")
                yield account
                account.execute("commit")
        except sqlite3.Error as error:
            raise StoreError(
                f"What the session spent cannot be kept in {str(self._file)!r} ({error}). Give a folder that can be "
                "written with TMPDIR, or leave --whygen-budget and --whygen-max-cost out."
            ) from error


def _part(bound: float | None, used: float, wish: float) -> float | None:
    """What of a wish can be lent; None where nothing is bounded."""
    return None if bound is None else min(wish, max(0.0, bound - used))


def _bury(account: sqlite3.Connection) -> None:
    """Book the loans of processes that are gone as spent."""
    for loan, pid, calls, money in account.execute("select id, pid, calls, money from lent").fetchall():
        if not _lives(pid):
            account.execute("delete from lent where id = ?", (loan,))
            account.execute("insert into spent values (?, ?)", (calls, money))


def _lives(pid: int) -> bool:
    if os.name != "posix":  # there, asking by a signal would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
