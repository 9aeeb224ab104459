"""The one loop that asks again. Adapters classify failures; only here is it decided what follows from that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from whygen.runs.dispatch import Answer, Arrival, Dispatcher, Send
from whygen.types import Failure, Limits, Request

PASSING: Final = frozenset({"rate_limit", "transient"})
"""Kinds of failure that may pass by themselves. A refusal is an outcome, and a permanent failure stays one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often to ask in all, and how long to wait, in seconds: doubling, or what the failure asks for if longer."""

    attempts: int = 3
    first_wait: float = 0.5
    longest_wait: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def wait(self, round_: int, failures: Sequence[Failure]) -> float:
        """Seconds before asking again, after ``round_`` rounds of waiting."""
        wished = [failure.retry_after for failure in failures if failure.retry_after is not None]
        return min(self.longest_wait, max([self.first_wait * 2**round_, *wished]))


def ask_until_answered(
    dispatcher: Dispatcher, send: Send, requests: Sequence[Request], *, limits: Limits, policy: RetryPolicy
) -> Iterator[list[Arrival]]:
    """Hand over each request's last answer once, as it arrives; what may pass is asked again after the others."""
    left = list(range(len(requests)))
    for round_ in range(max(1, policy.attempts)):
        last = round_ + 1 >= policy.attempts
        again: dict[int, Failure] = {}
        for batch in dispatcher.dispatch(send, [requests[place] for place in left], limits):
            final: list[Arrival] = []
            for position, answer in batch:
                if not last and _may_pass(answer):
                    again[left[position]] = answer
                else:
                    final.append(Arrival(left[position], answer))
            yield final
        if not again:
            return
        policy.sleep(policy.wait(round_, list(again.values())))
        left = sorted(again)


def _may_pass(answer: Answer) -> TypeGuard[Failure]:
    return isinstance(answer, Failure) and answer.kind in PASSING
