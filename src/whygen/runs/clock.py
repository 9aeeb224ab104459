"""The time that runs go by. It is handed in, so that tests can let an hour pass at once."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since any moment, and a way to let some pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class MonotonicClock:
    """The machine's own, which nobody can set: the time of day may jump, this one does not."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
