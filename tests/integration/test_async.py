"""`aexplain_prompt`: the loop goes on, and a task that is cancelled loses no answer."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

import whygen
from whygen.calls import RunOptions
from whygen.errors import UsageError

PROMPT = "the quick brown fox jumps over the lazy dog near a river"


class Counting:
    """A slow model that counts what it is asked, and waits at one of its answers where it is told to."""

    uri = "py/counting"

    def __init__(self, *, hold_at: int | None = None) -> None:
        self.asked = 0
        self.lock = threading.Lock()
        self.hold_at = hold_at
        self.held, self.go_on = threading.Event(), threading.Event()

    def __call__(self, text: str) -> str:
        with self.lock:
            self.asked += 1
            holds = self.asked == self.hold_at
        if holds:
            self.held.set()
            self.go_on.wait(60)
        else:
            time.sleep(0.002)
        return "yes" if "fox" in text.split() else "no"


def test_the_answer_is_that_of_the_plain_call_and_the_loop_goes_on() -> None:
    ticks = 0

    async def both() -> whygen.PromptExplanation:
        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        found = await whygen.aexplain_prompt(Counting(), PROMPT, target="exact", budget=40, cache=None)
        ticking.cancel()
        return found

    found = asyncio.run(both())
    plain = whygen.explain_prompt(Counting(), PROMPT, target="exact", budget=40, cache=None)
    assert [unit.attribution for unit in found.units] == [unit.attribution for unit in plain.units]
    assert ticks > 5


def test_several_run_at_once() -> None:
    async def several() -> list[whygen.PromptExplanation]:
        calls = [
            whygen.aexplain_prompt(Counting(), f"{PROMPT} {word}", target="exact", budget=24, cache=None)
            for word in ("one", "two", "three")
        ]
        return list(await asyncio.gather(*calls))

    assert [found.units[-1].text for found in asyncio.run(several())] == ["one", "two", "three"]


def test_a_cancelled_task_sends_nothing_more_and_goes_on_from_its_records(tmp_path: Path) -> None:
    model = Counting(hold_at=20)
    named = RunOptions(name="cancelled")

    async def cancelled() -> int:
        task = asyncio.create_task(
            whygen.aexplain_prompt(model, PROMPT, target="exact", budget=300, cache=tmp_path / "c.sqlite", run=named)
        )
        await asyncio.to_thread(model.held.wait, 60)
        task.cancel()
        for _ in range(5):  # the task hears of it before the model answers
            await asyncio.sleep(0)
        model.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return model.asked

    asked = asyncio.run(cancelled())
    assert model.asked == asked < 20 + 8
    again = Counting()
    found = whygen.explain_prompt(again, PROMPT, target="exact", budget=300, cache=tmp_path / "c.sqlite", run=named)
    assert found.calls.cached >= asked - 4
    assert again.asked + asked <= 300 + 4


def test_an_argument_that_cannot_work_is_refused_as_in_the_plain_call() -> None:
    with pytest.raises(UsageError, match="Did you mean budget"):
        asyncio.run(whygen.aexplain_prompt(Counting(), PROMPT, buget=40))  # type: ignore[call-arg]
