"""The one loop that asks again, as a plan that every executor follows: what to send next, when, and what is final.

It knows nothing of threads. A dispatcher takes calls, and settles them with what came back; in between, calls in flight
count against budgets and rates at the most they may cost.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeGuard

import numpy as np

from whygen.errors import ModelError
from whygen.remote.waiting import PATIENCE, lasting
from whygen.types import Chat, Failure, Output, Request

WINDOW: Final = 64
"""Requests that may change places. Masks are drawn in pairs, and a window is whole pairs."""
LONG: Final = 512
"""Characters of the texts of a window on average, from which on they are sorted: over a hundred tokens."""


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


Reason: TypeAlias = Literal["deadline", "cost", "failures"]


class Interrupted(KeyboardInterrupt):
    """A signal ended a run, which had enough by then: ``explanation`` is made of that."""

    def __init__(self, explanation: Any) -> None:
        super().__init__("interrupted; a partial explanation is at hand")
        self.explanation = explanation


class EndedError(ModelError):
    """A run that ended before its budget: by a deadline, a cap on cost, or a model that answers no more.

    Whoever holds enough answers can go on with `Runner.recall`; whoever does not lets it through (exit code 4).
    """

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason: Reason = reason


Answer: TypeAlias = Output | Failure

PASSING: Final = frozenset({"rate_limit", "transient"})
"""Kinds of failure that may pass by themselves. A refusal is an outcome, and a permanent failure stays one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often to ask, and how long to wait, in seconds.

    A call that the server turns away (``rate_limit``) is not one that failed: it takes none of the ``attempts``.

    Attributes:
        attempts: how often one request is sent in all, when it fails on its way.
        share: requests of a run that are sent again because they failed, at most, as a share of all; 16 always may be.
        turned_away: how often one request may be turned away by a server that does not say when to come back.
        first_wait: the longest first wait of a request that failed; it doubles each time, and the time that is waited
            is drawn below it, so that requests that failed together do not come back together ("full jitter"). One
            that was turned away comes back as soon as there is a place for it; a server that answers nothing at all
            is left alone for a time that doubles likewise.
        longest_wait: bound of that doubling. What a server asks for (``Failure.retry_after``) is waited in full.
        patience: how long a server may turn everything away, or ask to be left alone, until the run ends.
        seed: of the waits. They depend on the request's place and on how often it was asked, never on timing.
    """

    attempts: int = 3
    share: float = 0.5
    turned_away: int = 20
    first_wait: float = 0.5
    longest_wait: float = 60.0
    patience: float = PATIENCE
    seed: int = 0

    def wait(self, place: int, failed: int) -> float:
        """Seconds until a request that failed so many times is asked again."""
        return float(np.random.default_rng([self.seed, place, failed]).uniform(0.0, 1.0)) * self.bound(failed)

    def repeats(self, requests: int) -> int:
        """How many requests may be sent again in a run of so many, because they failed on their way."""
        return max(16, int(self.share * requests)) if self.share > 0 else 0

    def bound(self, times: int) -> float:
        """The longest that may be waited after so many failures in a row."""
        return min(self.longest_wait, self.first_wait * 2.0 ** min(times - 1, 60))


def may_pass(answer: Answer) -> TypeGuard[Failure]:
    """Whether asking again could help."""
    return isinstance(answer, Failure) and answer.kind in PASSING


class InFlight(NamedTuple):
    """A request that is to be sent now, and is in flight until it is settled; ``place`` is its place among all."""

    place: int
    request: Request


class Settled(NamedTuple):
    """A request that is settled: its place among all, and its final answer, which may be a failure."""

    place: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class End:
    """Why nothing more is sent; an ``error`` is what the model raised."""

    reason: Reason | Literal["interrupt", "error"]
    text: str
    again: bool = True
    """Whether the same command can get further, now or once the text's advice is followed."""


class Gate(Protocol):
    """Something that a request must fit through before it is sent: a budget, or a rate."""

    def wait(self, request: Request, now: float) -> float:
        """Seconds until it may fit; 0: now; infinite: not before something that is in flight is settled."""
        ...

    def reserve(self, request: Request) -> None:
        """Set aside the most that it can take."""
        ...

    def settle(self, request: Request, answer: Answer) -> None:
        """Take what it did, and give the rest back."""
        ...

    @property
    def spent(self) -> str:
        """What to say when a request does not fit, and nothing is in flight any more."""
        ...


TROUBLED: Final = 8
"""Requests that may have failed and wait to be sent again before no new one is sent: they may show why to end a run."""


class Claims(Protocol):
    """What other processes have sent, by the places of requests."""

    def claim(self, places: Sequence[int]) -> Mapping[int, Output | None]:
        """Take what nobody has; what another has is handed back with its answer, or None as long as there is none."""
        ...

    def release(self, places: Sequence[int]) -> None:
        """Give places back that are not answered, and not sent any more."""
        ...

    def news(self) -> bool:
        """Whether another process has written since this was asked last: a glance, which takes no lock."""
        ...


LOOK: Final = 0.1
"""Seconds until it is looked again whether another process has its answer, or is gone without one."""
GLANCE: Final = 0.02
"""Seconds between glances at whether anything was written at all: what an answer takes longer for those who wait."""


class Agenda:
    """What is to be asked, in order; what failed and may pass comes back once its wait is over, ahead of the rest.

    Args:
        requests: in their order.
        policy: how often to ask again, and how long to wait.
        gates: budgets and rates.
        clock: the time.
        until: moment of that clock after which nothing is sent.
        repeats: the most requests that are sent again because they failed; not counting those that were turned away.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        *,
        policy: RetryPolicy | None = None,
        gates: Sequence[Gate] = (),
        clock: Clock | None = None,
        until: float = math.inf,
        repeats: float = math.inf,
        claims: Claims | None = None,
    ) -> None:
        self._requests = requests
        self._claims = claims
        self._elsewhere: list[tuple[float, int]] = []  # a heap: when to look, and which another process has sent
        self._found: list[Settled] = []
        self._repeats = repeats
        self._policy = policy or RetryPolicy()
        self._gates = gates
        self._clock = clock or MonotonicClock()
        self._until = until
        self._fresh = deque(range(len(requests)))
        self._again: list[tuple[float, int]] = []  # a heap: when, and which
        self._failed = [0] * len(requests)
        self._troubled: set[int] = set()  # those that failed and are not final
        self._turned_away = [0] * len(requests)
        self._fruitless = 0  # times that all that was in flight came back turned away, since the last answer
        self._now = self._clock.now()
        self._answered_at = self._now
        self._paused_until = -math.inf
        self._in_flight = 0
        self._gate_wait = 0.0
        self.end: End | None = None
        self.sent = 0
        self.retried = 0
        self.repeated = 0
        self.shared = 0

    @property
    def done(self) -> bool:
        """True when every request is settled, or the run has ended and nothing is in flight."""
        self._look()
        left = self.end is None and (self._fresh or self._again or self._elsewhere)
        return not self._in_flight and not left and not self._found

    @property
    def in_flight(self) -> int:
        """Requests that were taken and are not settled."""
        return self._in_flight

    @property
    def left(self) -> int:
        """Requests that are to be sent, now or later."""
        return len(self._fresh) + len(self._again)

    def stop(self, end: End) -> None:
        """Send nothing more. The first reason stays."""
        self.end = self.end or end

    def take(self, most: int) -> list[InFlight]:
        """The next requests to send now, at most so many, set aside in every budget; may be none."""
        now = self._look()
        calls: list[InFlight] = []
        self._look_elsewhere(now)
        while len(calls) < most and (place := self._next(now)) is not None:
            if not self._fits(self._requests[place], now):
                break
            if self._is_elsewhere(place, now):
                continue
            self._leave(place)
            calls.append(InFlight(place, self._requests[place]))
        return calls

    def wait(self) -> float:
        """Seconds until `take` may give something by the passing of time alone; infinite if only answers help."""
        now = self._look()
        if self.end is not None or not (self._fresh or self._again or self._elsewhere):
            return self.time_left
        ready = now if self._takes_fresh else self._again[0][0] if self._again else math.inf
        if self._elsewhere:
            look = min(self._elsewhere[0][0], now + GLANCE)
            return min(max(ready, self._paused_until, now + self._gate_wait), look, self._until) - now
        return min(max(ready, self._paused_until, now + self._gate_wait), self._until) - now

    @property
    def time_left(self) -> float:
        """Seconds to the deadline; infinite without one."""
        return max(0.0, self._until - self._look()) if self.end is None else math.inf

    def abandon(self) -> None:
        """Forget one call that was taken: nothing will come back for it. What it may have cost stays reserved."""
        self._in_flight -= 1

    def sleep(self) -> None:
        """Let that time pass."""
        self._clock.sleep(max(0.0, self.wait()))  # what it waits for may have come due meanwhile

    def settle(self, answered: Iterable[tuple[InFlight, Answer]]) -> list[Settled]:
        """Note what came back. What may pass is planned again, the rest is final and handed back."""
        final: list[Settled] = []
        for call, answer in answered:
            now = self._look()
            self._in_flight -= 1
            self._gate_wait = 0.0
            for gate in self._gates:
                gate.settle(call.request, answer)
            comes_back = self._comes_back(call.place, answer, now)
            # Others may try what failed here. An answer stays claimed until it is recorded: between the two it would
            # be asked for once more.
            if self._claims is not None and (comes_back or not isinstance(answer, Output)):
                self._claims.release([call.place])
            if not comes_back:
                self._troubled.discard(call.place)
                final.append(Settled(call.place, answer))
        return final

    def found(self) -> list[Settled]:
        """Answers that other processes have recorded since."""
        found, self._found = self._found, []
        return found

    def _is_elsewhere(self, place: int, now: float) -> bool:
        """Whether another process has sent it; then it is set aside."""
        theirs = dict[int, Output | None]() if self._claims is None else self._claims.claim([place])
        if place not in theirs:
            return False
        if self._again and self._again[0][1] == place:
            heapq.heappop(self._again)
        else:
            self._fresh.popleft()
        self._set_aside(place, theirs[place], now)
        return True

    def _set_aside(self, place: int, answer: Output | None, now: float) -> None:
        if answer is None:
            heapq.heappush(self._elsewhere, (now + LOOK, place))
        else:
            self._troubled.discard(place)
            self._found.append(Settled(place, answer))
            self.shared += 1

    def _look_elsewhere(self, now: float) -> None:
        """Take what came meanwhile; what its sender gave up is sent from here."""
        if self._claims is None or self.end is not None or not self._elsewhere:
            return
        due: list[int] = []
        until = math.inf if self._claims.news() else now
        while self._elsewhere and self._elsewhere[0][0] <= until:
            due.append(heapq.heappop(self._elsewhere)[1])
        if not due:
            return
        # What another process gave up without an answer is free to claim; what it still works on stays aside.
        theirs = self._claims.claim(due)
        mine = [place for place in due if place not in theirs]
        self._claims.release(mine)  # each is leased again in the moment when it is sent
        self._fresh.extendleft(reversed(mine))
        for place in due:
            if place in theirs:
                self._set_aside(place, theirs[place], now)

    def _look(self) -> float:
        """The time, which never runs backwards here whatever the clock does; and the end, if it is due."""
        self._now = max(self._now, self._clock.now())
        if self._now >= self._until and (self._fresh or self._again or self._in_flight):
            self.stop(End("deadline", "The deadline of this run is over."))
        return self._now

    def _next(self, now: float) -> int | None:
        if self.end is not None or now < self._paused_until:
            return None
        if self._again and self._again[0][0] <= now:
            return self._again[0][1]
        return self._fresh[0] if self._takes_fresh else None

    @property
    def _takes_fresh(self) -> bool:
        return bool(self._fresh) and len(self._troubled) < TROUBLED

    def _fits(self, request: Request, now: float) -> bool:
        waits = [gate.wait(request, now) for gate in self._gates]
        self._gate_wait = max(waits, default=0.0)
        if self._gate_wait == math.inf and not self._in_flight:
            full = next(gate for gate, wait in zip(self._gates, waits, strict=True) if wait == math.inf)
            self.stop(End("cost", full.spent))
        return self._gate_wait <= 0.0

    def _leave(self, place: int) -> None:
        if self._again and self._again[0][1] == place:
            heapq.heappop(self._again)
            self.retried += 1
        else:
            self._fresh.popleft()
        for gate in self._gates:
            gate.reserve(self._requests[place])
        self._in_flight += 1
        self.sent += 1

    def _comes_back(self, place: int, answer: Answer, now: float) -> bool:
        if isinstance(answer, Output):
            self._fruitless, self._answered_at = 0, now
        elif answer.kind == "fatal":  # every further call would fail alike
            self.stop(End("failures", answer.sentence))
        if not may_pass(answer) or self._is_last(place, answer, now):
            return False
        wait = answer.retry_after or 0.0
        if answer.kind != "rate_limit":
            wait = max(wait, self._policy.wait(place, self._failed[place]))
        self._pause(answer, now)
        heapq.heappush(self._again, (now + wait, place))
        return True

    def _is_last(self, place: int, failure: Failure, now: float) -> bool:
        """Count the failure, and say whether the request has had its share of them."""
        policy = self._policy
        asked_to_wait = failure.retry_after or 0.0
        if asked_to_wait > policy.patience:
            wait = f"{asked_to_wait:.0f} s" if asked_to_wait < _DAYS else lasting(asked_to_wait)
            self.stop(End("failures", f"The server asks to be left alone for {wait}: {failure.said}"))
            return True
        # Being turned away says nothing of the request, only of the moment: it is counted apart, and has more tries.
        if failure.kind != "rate_limit":
            self._failed[place] += 1
            self._troubled.add(place)
            last = self._failed[place] >= policy.attempts or self.repeated >= self._repeats
            self.repeated += not last
            return last
        self._turned_away[place] += 1
        self._fruitless += self._in_flight == 0
        if self._fruitless and now - self._answered_at > policy.patience:
            self.stop(End("failures", f"The server turned every call away for {policy.patience:.0f} s: {failure.said}"))
            return True
        return not _tells_when(failure) and self._turned_away[place] >= policy.turned_away

    def _pause(self, failure: Failure, now: float) -> None:
        """Leave the server alone: as long as it asks for, else longer and longer while it answers nothing at all."""
        wait = failure.retry_after
        if not _tells_when(failure) and failure.kind == "rate_limit" and self._fruitless and not self._in_flight:
            wait = self._policy.bound(self._fruitless)
        if wait is not None:
            self._paused_until = max(self._paused_until, now + wait)


_DAYS: Final = 864_000.0
"""Seconds that are still told as such."""
_AT_ONCE: Final = 0.1
"""Seconds: who asks for less, or names a moment that is over, does not say when to come back."""


def _tells_when(failure: Failure) -> bool:
    """Whether a server says when to come back. Were "at once" believed, one that is busy would be asked without end."""
    return failure.retry_after is not None and failure.retry_after >= _AT_ONCE


def together(missing: Mapping[str, Request]) -> dict[str, Request]:
    """The requests by the same keys, those that begin alike beside each other; draws of one prompt keep their order.

    Servers and local models keep what they computed for the beginning of a prompt. Requests change places within a
    window only: a run that ends early has whole windows of the design, each as balanced as it was drawn. Short prompts,
    of which there is nothing to save, are sent as they were drawn.
    """
    entries = list(missing.items())
    windows = (entries[start : start + WINDOW] for start in range(0, len(entries), WINDOW))
    return {key: request for window in windows for key, request in _sorted(window)}


def _sorted(window: list[tuple[str, Request]]) -> list[tuple[str, Request]]:
    texts = {key: _text(request) for key, request in window}
    if sum(len(text) for said in texts.values() for text in said) < LONG * len(window):
        return window
    return sorted(window, key=lambda each: texts[each[0]])


def _text(request: Request) -> tuple[str, ...]:
    """What is sent, in order; of a picture with an instruction nothing is shared."""
    prompt = request.prompt
    texts = [prompt] if isinstance(prompt, str) else prompt.texts if isinstance(prompt, Chat) else []
    return (*texts, request.continuation or "")
