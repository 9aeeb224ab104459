"""Batches at several workers: every place is filled, everything is answered once, and errors and ends are heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whygen.calls import Budget, EndedError, Runner, Store
from whygen.errors import ModelError
from whygen.models.ray.cluster import share_of
from whygen.types import Failure, Limits, Output, Request


class Several:
    """A model that answers several batches at once, and remembers how many there were."""

    uri = "test/several"

    def __init__(self, places: int, batch: int, *, seconds: float = 0.0, fails: int | None = None) -> None:
        self.places, self._seconds, self._fails = places, seconds, fails
        self.limits = Limits(max_batch=batch)
        self.sizes: list[int] = []
        self.at_once = self.peak = 0
        self._lock = threading.Lock()

    def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
        with self._lock:
            self.at_once += 1
            self.peak = max(self.peak, self.at_once)
            self.sizes.append(len(requests))
        time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
        if any(request.prompt == str(self._fails) for request in requests):
            raise RuntimeError("it broke")
        return [Output(text=f"<{request.prompt}>") for request in requests]


def asked(model: Several, number: int, **bounds: int) -> list[str]:
    with Store(None) as store:
        runner = Runner(model, store=store, spending=Budget(**bounds))
        answers = runner.ask([Request(prompt=str(n)) for n in range(number)])
        assert runner.tally.made == number
        return [answer.text for answer in answers if isinstance(answer, Output)]


@given(places=st.integers(1, 6), batch=st.integers(1, 9), number=st.integers(0, 60))
def test_everything_is_answered_once_and_in_order(places: int, batch: int, number: int) -> None:
    model = Several(places, batch)
    assert asked(model, number) == [f"<{n}>" for n in range(number)]
    assert sum(model.sizes) == number
    assert model.peak <= places


def test_every_place_is_filled_to_the_end() -> None:
    model = Several(4, 8, seconds=0.03)
    asked(model, 40)
    assert model.peak == 4
    assert max(model.sizes) <= 8


def test_a_quick_model_is_handed_more_at_once() -> None:
    model = Several(2, 1)
    asked(model, 3000)
    assert len(model.sizes) < 1500


def test_a_budget_ends_the_run_and_what_was_answered_stays() -> None:
    with pytest.raises(EndedError, match="10 of 30 requests were answered"):
        asked(Several(3, 4), 30, calls=10)


def test_what_the_model_raises_is_raised_here() -> None:
    with pytest.raises(ModelError, match="it broke"):
        asked(Several(3, 4, fails=17), 30)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=6), st.integers(1, 40))
def test_shares_of_processors_fit_their_machines(processors: list[int], workers: int) -> None:
    share = share_of(processors, workers)
    assert sum(int(each / share + 1e-6) for each in processors) >= workers
    if share >= 1:
        assert sum(each // (share + 1) for each in processors) < workers


def test_what_others_have_in_hand_is_kept_where_one_batch_breaks() -> None:
    class Breaks(Several):
        def answer(self, requests: Sequence[Request]) -> list[Output | Failure]:
            if requests[0].prompt == "0":
                raise RuntimeError("it broke")
            time.sleep(0.2)
            return super().answer(requests)

    with Store(None) as store:
        with pytest.raises(ModelError, match="it broke"):
            Runner(Breaks(3, 1), store=store).ask([Request(prompt=str(n)) for n in range(9)])
        assert len(list(store.calls())) == 2
