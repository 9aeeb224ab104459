"""How many calls a server is given at once: found out from what it does with them.

Calls are counted in stages: as many of those sent in the stage are taken, or turned away, as the limit allows at once.
At the end of a stage the limit is set anew, from three things that a caller can see:

- *where it turns calls away*: a call is sent as the n-th in flight, its level. Turned away above every level at which
  calls were taken, the server is full: the limit sinks by the levels between. Turned away below, it is not full, and
  the limit is not at fault. A server that turns most calls away has another limit, such as calls a minute: the
  concurrency is halved (multiplicative decrease: Chiu and Jain 1989).
- *whether answers take longer*: a server that queues takes as much longer as it is given more. The mean seconds of a
  stage against the shortest such mean, the stretch, say how much of the limit only stands in the queue, as in TCP
  Vegas (Brakmo and Peterson 1995). Answers differ in length too: what a standard error of each may explain is no
  stretch.
- *whether the limit was reached*: one that was not says nothing, and does not grow.

The limit doubles at first, as in slow start (Jacobson 1988), as long as that pays half; after that it grows by
one each stage while the stretch is small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from whygen.calls.agenda import Answer, may_pass

START: Final = 8
"""Calls in flight at once in the first stage."""
PAYS: Final = 4 / 3
"""Doubling pays at least half if answers take no more than this longer: the rate then grew by as much again."""
CONTENT, CROWDED = 1.5, 2.0
"""Stretch under which the limit grows, and over which it shrinks; in between it stays."""
SHRINK: Final = 0.9
REACHED: Final = 0.8
"""Share of the limit that must have been in flight for the stage to tell anything about it."""
FEW: Final = 0.25
"""Share of the limit that may be turned away at its top without an end to doubling: it may be chance."""
LEAST: Final = 4
"""Calls that a stage has at least: fewer say nothing."""
_AGEING: Final = 1.05


class Load(NamedTuple):
    """How busy the server was when a call was sent: the stage, calls in flight with it, and slots that were taken."""

    stage: int
    level: int
    in_use: int


@dataclass(slots=True)
class _Stage:
    """What was seen since the limit was set."""

    taken: int = 0
    taken_level: int = 0
    seconds: float = 0.0
    squares: float = 0.0
    turned_away: int = 0
    turned_away_level: int = 0
    peak: int = 0

    @property
    def excess(self) -> int:
        """Levels at which calls were turned away, above all at which they were taken."""
        return max(0, self.turned_away_level - self.taken_level)

    @property
    def mean(self) -> tuple[float, float]:
        """A standard error below and above the mean seconds of an answer."""
        mean = self.seconds / self.taken
        error = math.sqrt(max(0.0, self.squares / self.taken - mean**2) / self.taken)
        return mean - error, mean + error


class Concurrency:
    """The limit of calls in flight, between 1 and ``most``.

    It is told of each call when it is sent, and when it was answered. It knows no clock and no thread.
    """

    def __init__(self, most: int, *, start: int = START) -> None:
        self._most = max(1, most)
        self._limit = self._floor = float(min(max(1, start), self._most))
        self._doubling = True
        self._number = 0
        self._stage = _Stage()
        self._shortest: float | None = None
        self._seconds: float | None = None

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._limit + 1e-9))

    @property
    def seconds(self) -> float | None:
        """What an answer takes of late; ``None`` as long as there was none."""
        return self._seconds

    def load(self, in_flight: int, *, held: int = 0) -> Load:
        """For a call that is sent now, when so many are in flight with it and so many places are kept empty."""
        return Load(self._number, in_flight, in_flight + held)

    def answered(self, load: Load, answer: Answer, *, seconds: float) -> None:
        """Note the answer to a call, and how long it took."""
        if not may_pass(answer):
            self._seconds = seconds if self._seconds is None else 0.9 * self._seconds + 0.1 * seconds
        if load.stage != self._number:  # sent under an earlier limit: it says nothing of this one
            return
        stage = self._stage
        stage.peak = max(stage.peak, load.in_use)
        if may_pass(answer):
            stage.turned_away += 1
            stage.turned_away_level = max(stage.turned_away_level, load.level)
        else:
            stage.taken += 1
            stage.taken_level = max(stage.taken_level, load.level)
            stage.seconds += seconds
            stage.squares += seconds**2
        if max(stage.taken, stage.turned_away) >= max(self.limit, LEAST):
            self._limit = min(max(self._next(stage), 1.0), float(self._most))
            self._number, self._stage = self._number + 1, _Stage()

    def _next(self, stage: _Stage) -> float:
        # Most calls turned away: the limit is far too high. A few above a level that was taken: it is known exactly.
        # None: whether more at once pays is told by how much longer answers take.
        if stage.turned_away > stage.taken:
            self._doubling = False
            return self._limit / 2
        if stage.excess:
            self._doubling = self._doubling and stage.excess <= FEW * self._limit
            return self._limit - stage.excess
        return self._by_stretch(self._stretch(*stage.mean), stage.peak)

    def _stretch(self, low: float, high: float) -> float:
        """Against the shortest mean so far, which ages: prompts and servers change."""
        # Limits of the mean, not the mean: of few calls, one slow answer must not look like a crowded server.
        aged = high if self._shortest is None else self._shortest * _AGEING
        self._shortest = max(min(high, aged), 1e-9)
        return max(1.0, low / self._shortest)

    def _by_stretch(self, stretch: float, peak: int) -> float:
        if self._doubling and stretch > PAYS:
            self._doubling = False
            return max(self._floor, self._limit / stretch)
        if stretch > CROWDED:
            return max(self._floor, self._limit * SHRINK) if self._limit > self._floor else self._limit
        if peak < REACHED * self._limit or stretch > CONTENT:
            return self._limit
        return 2 * self._limit if self._doubling else self._limit + 1
