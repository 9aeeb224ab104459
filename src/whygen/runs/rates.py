"""Calls and tokens a minute, for accounts whose limits are known beforehand: token buckets, filled by the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whygen.errors import UsageError
from whygen.models.protocols import Model
from whygen.runs.retry import Answer
from whygen.runs.spending import worst_case
from whygen.typed import check_fields, told
from whygen.types import Output, Request

_MINUTE = 60.0
_ROUNDING = 1e-9


@told
@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What an account allows in a minute; ``None`` sets no bound."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"Rates({name}={value!r}): give a number above 0, or None for no bound.")


class Bucket:
    """Fills evenly with ``per_minute``, and holds a second's worth, but at least ``least``.

    What is larger than the bucket may be taken from a full one, which then owes. A clock that jumps ahead fills it
    once, and one that runs backwards fills nothing.
    """

    def __init__(self, per_minute: float, *, least: float = 1.0) -> None:
        self._a_second = per_minute / _MINUTE
        self._room = max(least, self._a_second)
        self._level = self._room
        self._seen = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much may be taken."""
        if now > self._seen:
            self._level = min(self._room, self._level + self._a_second * (now - self._seen))
            self._seen = now
        short = min(amount, self._room) - self._level
        return short / self._a_second if short > _ROUNDING * self._room else 0.0

    def take(self, amount: float) -> None:
        """Take it out; a negative amount gives back."""
        self._level = min(self._room, self._level - amount)


class Pacer:
    """Holds a run to its rates; a `whygen.runs.agenda.Gate`."""

    def __init__(self, model: Model, rates: Rates) -> None:
        self._model = model
        self._requests = None if rates.requests_per_minute is None else Bucket(rates.requests_per_minute)
        self._tokens = None if rates.tokens_per_minute is None else Bucket(rates.tokens_per_minute)

    @property
    def spent(self) -> str:
        """Never said: waiting always helps."""
        return ""

    def wait(self, request: Request, now: float) -> float:
        """Seconds until the request may go."""
        requests = 0.0 if self._requests is None else self._requests.wait(1.0, now)
        tokens = 0.0 if self._tokens is None else self._tokens.wait(self._most(request), now)
        return max(requests, tokens)

    def reserve(self, request: Request) -> None:
        """Take its call, and the most tokens that it can have."""
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(self._most(request))

    def settle(self, request: Request, answer: Answer) -> None:
        """Give back the tokens that it did not have."""
        if self._tokens is None or not isinstance(answer, Output):
            return
        if answer.tokens_in is not None and answer.tokens_out is not None:
            self._tokens.take(min(0.0, answer.tokens_in + answer.tokens_out - self._most(request)))

    def _most(self, request: Request) -> float:
        return float(sum(worst_case(self._model, request)))
