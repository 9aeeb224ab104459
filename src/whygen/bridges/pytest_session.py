"""What a session of tests explains: with one model, store and budget for all, and an account of what it took.

Processes of a session share one bound: each borrows before it explains, and gives back what it did not spend. The
account is a SQLite file. A process that died spent all that it had borrowed, as far as anybody can know: the bound is
never exceeded.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest

import whygen
from whygen._arguments import short
from whygen.bridges.statements import Explained, NotSoError
from whygen.calls import DEFAULT_STORE, Budget, EndedError, RunOptions, SharedBudget, Silent, Spent
from whygen.calls.database import FILE_NAME
from whygen.calls.spending import Cost
from whygen.errors import StoreError, UsageError, WhygenError
from whygen.prompt.options import PromptOptions, choose
from whygen.records import Call
from whygen.report.texts import counted

_OF_RUNS = ("cache", "progress")


class TestSession:
    """What one process of a session explains and spends; the options are those of the plugin."""

    __test__ = False  # pytest would take it for a class of tests

    def __init__(
        self,
        *,
        folder: Path,
        dry_run: bool,
        model: str | None,
        budget: int | None,
        max_cost: float | None,
        cache: str | None,
        unknown: Literal["fail", "skip", "pass"] | None,
    ) -> None:
        self._purse = Purse(folder, Budget(calls=budget, money=max_cost))
        self._dry_run, self._model, self._on_unknown = dry_run, model, _WAYS[unknown or "fail"]
        self._cache = store_of(cache)
        self._told: dict[str, float] = {"explanations": 0, "sent": 0, "cached": 0, "money": 0.0, "priced": 0}
        self._foreseen: dict[str, tuple[int, float | None]] = {}

    def explained(
        self, prompt: object, *more: object, model: object = None, pick: int | str | None = None, **choices: Any
    ) -> Explained:
        """Explain a prompt, or skip the test where nothing is to be sent.

        Args:
            prompt: as in `whygen.explain_prompt`; or a `pathlib.Path`: a recorded call.
            *more: nothing: all else goes by name.
            model: what is asked; that of ``--whygen-model`` unless given. A recorded call names its own.
            pick: which call of a file that holds several.
            **choices: as in `whygen.explain_prompt`.

        Raises:
            UsageError: for a second argument without a name.
            WhygenError: as `whygen.explain_prompt` does.
        """
        __tracebackhide__ = True
        if more:  # as `whygen.explain_prompt` takes them
            line = f"explained({short(more[0])}, model={short(prompt)})"
            raise UsageError(f"explained takes the prompt, and all else by name. Write {line}.")
        try:
            return self._explained(prompt, model, pick, choices)
        except WhygenError as error:
            raise error.with_traceback(None)  # noqa: B904 - a test shows its own line, not those of whygen

    def _explained(
        self, prompt: object, model: object, pick: int | str | None, choices: Mapping[str, Any]
    ) -> Explained:
        __tracebackhide__ = True
        source: Any = Call.read(prompt, pick) if isinstance(prompt, Path) else prompt
        asked = self._asked(source, model)
        if self._dry_run:
            self._foresee(asked, source, choices)
        spending = self._purse.budget
        wish = Cost(_most_calls(source, choices), 0, spending.money or 0.0)
        if spending.money is not None:
            foreseen = whygen.forecast(asked, source, **_forecast_of(choices))
            wish = wish._replace(money=min(wish.money, foreseen.cost_at_most or wish.money))
        with self._purse.lent(wish) as lent:
            run = RunOptions(spending=lent)
            given: dict[str, Any] = {"cache": self._cache, "progress": Silent(), "run": run, **choices}
            try:
                explanation = whygen.explain_prompt(asked, source, **given)
            except EndedError as ended:
                if ended.reason == "cost":
                    _spent(spending, str(ended))
                raise
            finally:
                self._count(lent.total)
        self._told["explanations"] += 1
        self._told["cached"] += explanation.calls.cached
        if explanation.ended == "cost":
            _spent(spending, explanation.warnings[0].text)
        return Explained(explanation, self._on_unknown)

    def report(self) -> dict[str, Any]:
        """What was explained and spent, as plain values."""
        return {**self._told, "foreseen": [[key, *value] for key, value in self._foreseen.items()]}

    def _asked(self, source: object, model: object) -> object:
        """The model to ask.

        Raises:
            UsageError: if none is named.
        """
        if model is not None or isinstance(source, Call):
            return model
        if self._model is None:
            raise UsageError(
                "explained(PROMPT) names no model: give model='openai/NAME', or one for all tests with --whygen-model "
                "URI or `whygen_model = URI` in the configuration of pytest."
            )
        return self._model

    def _foresee(self, model: object, source: Any, choices: Mapping[str, Any]) -> NoReturn:
        """Count what would be sent, and skip the test."""
        __tracebackhide__ = True
        found = whygen.forecast(model, source, **_forecast_of(choices))
        self._foreseen[repr((getattr(model, "uri", model), source, sorted(choices.items(), key=str)))] = (
            found.calls, found.cost_at_most,
        )  # fmt: skip
        pytest.skip(f"dry run: {counted(found.calls, 'call')}, {_price(found.cost_at_most)}")

    def _count(self, spent: Spent) -> None:
        self._told["sent"] += spent.calls
        self._told["money"] += spent.money or 0.0
        self._told["priced"] += spent.money is not None


def _skip(text: str) -> None:
    __tracebackhide__ = True
    pytest.skip(text)


def _fail(text: str) -> None:
    __tracebackhide__ = True
    raise NotSoError(text)


def _pass(text: str) -> None:
    del text


_WAYS: Mapping[str, Callable[[str], None]] = {"fail": _fail, "skip": _skip, "pass": _pass}


def store_of(given: str | None) -> Path | str:
    """The file of recorded answers: the usual one, that which is named, or the one in a folder that is named."""
    if given is None:
        return DEFAULT_STORE
    path = Path(given).expanduser()
    return path if path.suffix and not path.is_dir() else path / FILE_NAME


def _spent(budget: Budget, why: str) -> NoReturn:
    """End the test: the session may spend no more."""
    __tracebackhide__ = True
    bounds = [] if budget.calls is None else [f"--whygen-budget {budget.calls}"]
    bounds += [] if budget.money is None else [f"--whygen-max-cost {budget.money:g}"]
    raise NotSoError(
        f"The budget of the session is spent ({', '.join(bounds) or 'of this explanation'}): {why} Answers are "
        "recorded: the same run with a larger budget goes on from here."
    )


def _most_calls(source: Any, choices: Mapping[str, Any]) -> int:
    """The most calls that an explanation sends unless some fail on their way; that is seldom, and bounded as well."""
    options = {name: value for name, value in choices.items() if name in PromptOptions.__dataclass_fields__}
    chosen = choose(choices.get("preset"), options, prompt=source if not isinstance(source, Call) else source.chat)
    each = chosen.budget + (chosen.sets or 0)
    return each * len(choices["inputs"]) if choices.get("inputs") and "budget" not in choices else each


def _forecast_of(choices: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in choices.items() if name not in _OF_RUNS}


def _price(cost: float | None) -> str:
    return "price unknown" if cost is None else f"at most ${cost:,.4f}"


def summary(reports: Sequence[Mapping[str, Any]]) -> str:
    """What all processes of a session spent, or would spend, in a line."""
    foreseen = {key: (calls, cost) for report in reports for key, calls, cost in report["foreseen"]}
    if foreseen:
        calls = sum(calls for calls, _ in foreseen.values())
        costs = [cost for _, cost in foreseen.values()]
        known = sum(cost for cost in costs if cost is not None)
        cost = None if None in costs else known
        return (
            f"dry run: {counted(len(foreseen), 'explanation')} would ask for {counted(calls, 'call')}, {_price(cost)}. "
            "Nothing was sent; answers that are recorded cost nothing."
        )
    total = {name: sum(report[name] for report in reports) for name in reports[0] if name != "foreseen"}
    money = f", ${total['money']:.4f}" if total["priced"] else ""
    return (
        f"{counted(int(total['explanations']), 'explanation')}: {counted(int(total['sent']), 'call')} sent, "
        f"{total['cached']:.0f} from the cache{money}"
    )


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
