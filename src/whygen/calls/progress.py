"""Showing how far the calls are: a bar with rate and time left on a terminal and in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar


@runtime_checkable
class Progress(Protocol):
    """Told how many requests there are, then how many were answered, and whether that took a call."""

    def begin(self, total: int, label: str) -> None: ...

    def advance(self, n: int, *, cached: bool) -> None: ...

    def end(self) -> None: ...


@runtime_checkable
class ShowsSpending(Protocol):
    """A progress that shows what was spent so far, as a short text; it is told after each arrival."""

    def spend(self, text: str) -> None: ...


@runtime_checkable
class ShowsNote(Protocol):
    """A progress that shows a word on what is waited for, such as how far a batch is."""

    def note(self, text: str) -> None: ...


@runtime_checkable
class ShowsPromise(Protocol):
    """A progress that says, before anything is sent, what a budget can and cannot promise."""

    def promise(self, text: str) -> None: ...


@runtime_checkable
class AsksToStop(Protocol):
    """A progress whose watcher may have gone: the run then ends as by a person's interrupt."""

    @property
    def stopped(self) -> bool: ...


class Silent:
    """Shows nothing."""

    def begin(self, total: int, label: str) -> None: ...

    def advance(self, n: int, *, cached: bool) -> None: ...

    def end(self) -> None: ...


@dataclass(slots=True)
class ProgressPace:
    """Counts of one bar, and what follows from them. Cached answers take no time, so they set no rate."""

    total: int
    made: int = 0
    cached: int = 0

    @property
    def done(self) -> int:
        return self.made + self.cached

    def text(self, seconds: float) -> str:
        """Rate, time left and cached share after so many seconds; what is not known yet is left out."""
        parts: list[str] = []
        if self.made and seconds > 0:
            rate = self.made / seconds
            parts.append(f"{rate:.3g} calls/s")
            if self.done < self.total:
                parts.append(f"{duration((self.total - self.done) / rate)} left")
        if self.cached:
            parts.append(f"{self.cached / self.total:.0%} cached")
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person would say them: ``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class RichProgress:
    """A bar on stderr if that is a terminal, without colour where NO_COLOR is set; it leaves no trace when done."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._pace = ProgressPace(0)
        self._began = 0.0
        self._spent = ""
        self._noted = ""

    def begin(self, total: int, label: str) -> None:
        self.end()
        if not self._console.is_terminal or not total:
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        self._bar = Bar(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task(label, total=total, pace="")
        self._pace, self._began = ProgressPace(total), time.monotonic()
        self._bar.start()

    def advance(self, n: int, *, cached: bool) -> None:
        if self._bar is None:
            return
        if cached:
            self._pace.cached += n
        else:
            self._pace.made += n
        self._draw(self._bar)

    def spend(self, text: str) -> None:
        """Show what was spent, beside the pace."""
        self._spent = text
        if self._bar is not None:
            self._draw(self._bar)

    def note(self, text: str) -> None:
        """Show what is waited for, beside the pace."""
        self._noted = text
        if self._bar is not None:
            self._draw(self._bar)

    def promise(self, text: str) -> None:
        """Say what a budget can promise; it stays when the bar is gone."""
        self._console.print(text, markup=False, highlight=False)

    def _draw(self, bar: Bar) -> None:
        parts = [self._pace.text(time.monotonic() - self._began), self._spent, self._noted]
        bar.update(self._task, completed=self._pace.done, pace=" · ".join(part for part in parts if part))

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class NotebookProgress:
    """One bar of tqdm (its own choice of kind, ``tqdm.auto``) for all that is asked, which stays below the cell."""

    def __init__(self) -> None:
        self._bar: Any = None

    def begin(self, total: int, label: str) -> None:
        from tqdm.auto import tqdm

        if self._bar is None:
            self._bar = tqdm(total=total, desc=label, unit="call") if total else None
            return
        self._bar.set_description(label, refresh=False)
        self._bar.total += total
        self._bar.refresh()

    def advance(self, n: int, *, cached: bool) -> None:
        del cached
        if self._bar is not None:
            self._bar.update(n)

    def spend(self, text: str) -> None:
        """Show what was spent, beside the pace."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def end(self) -> None:
        """One phase is over; another may begin. The bar is closed with this object."""
        if self._bar is not None:
            self._bar.refresh()


def usual_progress() -> Progress:
    """What shows progress where nobody said: a bar in a notebook that has tqdm, else nothing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    in_notebook = type(shell).__name__ == "ZMQInteractiveShell"
    return NotebookProgress() if in_notebook and find_spec("tqdm") is not None else Silent()
