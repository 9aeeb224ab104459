"""What may be asked again, how often, and how long to wait. Adapters classify failures; only here do they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

import numpy as np

from whygen.types import Failure, Output

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
    patience: float = 300.0
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
