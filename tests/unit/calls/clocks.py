"""A clock that tests set."""

from __future__ import annotations


class FakeClock:
    """Time passes only by sleeping, or by `at` being set."""

    def __init__(self, at: float = 1000.0) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
