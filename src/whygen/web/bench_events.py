"""What happens to a run, in order and with numbers, so that any page can hear all of it at any time.

Server-sent events: a browser that was away says which number it heard last (``Last-Event-ID``), and hears the rest.
What is kept is bounded whatever the run does: one event of a kind that is replaced (how far it is), at most `MOST` of
the others. A page that reads slowly is sent what there is when it reads: nothing waits for it, and no queue grows.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

MOST: Final = 200
"""Events that a run keeps; a run has some thirty looks at most."""
MOST_LISTENERS: Final = 16
"""Pages that hear one run at once."""
QUIET: Final = 15.0
"""Seconds of silence after which a listener is sent a comment, so that a connection which is gone is noticed."""


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened."""

    number: int
    kind: str
    data: dict[str, Any]

    def text(self) -> str:
        """As it is sent. JSON has no line break outside of its strings, and none unescaped in them."""
        return f"id: {self.number}\nevent: {self.kind}\ndata: {json.dumps(self.data, allow_nan=False)}\n\n"


@dataclass(slots=True)
class Events:
    """The events of one run: told from its thread, heard by the event loop of the server."""

    _kept: list[RunEvent] = field(default_factory=list[RunEvent])
    _number: int = 0
    _closed: bool = False
    _hung_up: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = field(
        default_factory=dict[asyncio.Event, asyncio.AbstractEventLoop]
    )

    def tell(self, kind: str, *, instead: Collection[str] = (), last: bool = False, **data: Any) -> None:
        """Something happened.

        Args:
            kind: what.
            instead: kinds that it takes the place of: what was told of them before is no more.
            last: nothing follows.
            data: JSON.
        """
        with self._lock:
            self._number += 1
            if instead:
                self._kept = [event for event in self._kept if event.kind not in instead]
            self._kept.append(RunEvent(self._number, kind, data))
            del self._kept[:-MOST]
            self._closed = last
            self._wake()

    def hang_up(self) -> None:
        """End every listener's stream: the server stops, and would wait for them."""
        with self._lock:
            self._hung_up = True
            self._wake()

    def _wake(self) -> None:
        for heard, loop in self._listeners.items():
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(heard.set)

    def since(self, number: int) -> tuple[list[RunEvent], bool]:
        """Events after that number, and whether nothing follows."""
        with self._lock:
            return [event for event in self._kept if event.number > number], self._closed

    @property
    def crowded(self) -> bool:
        """Whether as many listen as may."""
        with self._lock:
            return len(self._listeners) >= MOST_LISTENERS

    async def heard(self, number: int = 0) -> AsyncIterator[str]:
        """Events after that number as they happen, as text; comments while nothing does."""
        here = asyncio.Event()
        with self._lock:
            self._listeners[here] = asyncio.get_running_loop()
        try:
            while True:
                here.clear()
                events, over = self.since(number)
                for event in events:
                    number = event.number
                    yield event.text()
                if over or self._hung_up:
                    return
                try:
                    await asyncio.wait_for(here.wait(), QUIET)
                except TimeoutError:
                    yield ": still there\n\n"
        finally:
            with self._lock:
                self._listeners.pop(here, None)
