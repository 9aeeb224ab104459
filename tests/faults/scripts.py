"""What a fault server does with each request: functions of the request alone, so that the order does not matter."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came in.

    Attributes:
        repeat: how often an equal request (path and body) had come before this one.
        at: seconds since the server was started.
        action: what the script said to do with it.
        in_flight: requests that were being answered when it came, itself included.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    repeat: int = 0
    at: float = 0.0
    action: str = "ok"
    in_flight: int = 1

    @property
    def json(self) -> dict[str, Any]:
        """The body, if it is a JSON object; else nothing."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


Script: TypeAlias = Callable[[Received], str]
"""Names the action: ``ok``, or a key of `faults.answers.FAULTS`, or ``reset``, ``hang``, ``half``, ``slow``,
``lost`` (done, and no word back)."""


def always(action: str) -> Script:
    """The same to every request."""
    return lambda _: action


def mixed(rates: Mapping[str, float], *, seed: int = 0) -> Script:
    """Each action for its share of the requests, and ``ok`` for the rest.

    Which requests are struck follows from the seed, the request and how often it was seen: neither order nor timing
    plays a part.
    """

    def script(received: Received) -> str:
        told = f"{seed}\n{received.path}\n{received.repeat}\n".encode() + received.body
        drawn = int.from_bytes(hashlib.sha256(told).digest()[:8], "big") / 2**64
        for action, until in zip(rates, itertools.accumulate(rates.values()), strict=True):
            if drawn < until:
                return action
        return "ok"

    return script


def at_first(*actions: str) -> Script:
    """Every distinct request gets these actions in turn, and is answered after that."""
    return lambda received: actions[received.repeat] if received.repeat < len(actions) else "ok"


def in_turn(*actions: str) -> Script:
    """The first requests to arrive, whichever they are, get these actions; later ones are answered."""
    left = iter(actions)
    return lambda _: next(left, "ok")


def after(good: int, action: str) -> Script:
    """The first so many requests are answered, whichever they are, and all later ones get the action."""
    left = iter(range(good))
    return lambda _: action if next(left, None) is None else "ok"


def without(word: str, action: str) -> Script:
    """Requests that lack a word get the action."""
    return lambda received: "ok" if word.encode() in received.body else action
