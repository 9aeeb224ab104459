"""A disk that is full, for real: a small file system where one may be mounted, a bound on file sizes anywhere."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from whygen.calls import RecordedCall, Runner, Store
from whygen.errors import StoreError
from whygen.types import Limits, Output, Request


class Long:
    """Answers at length."""

    uri = "test/long"
    limits = Limits(max_batch=8)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        self.asked += [str(request.prompt) for request in requests]
        return [Output(text=str(request.prompt) * 1000) for request in requests]


REQUESTS = [Request(prompt=f"{number:04d}") for number in range(400)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    except FileNotFoundError:
        made = 1
    if made:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Generator[None, None, None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def run_and_check(path: Path, reason: str) -> None:
    """The run ends with every answer, says that it could not record them, and what it did record is there."""
    model = Long()
    with Store(path) as store:
        runner = Runner(model, store=store)
        answers = runner.ask(REQUESTS)
        assert [answer.text for answer in answers if isinstance(answer, Output)] == [
            str(request.prompt) * 1000 for request in REQUESTS
        ]
        assert runner.ask(REQUESTS) == answers
        assert len(model.asked) == len(REQUESTS)
        ((code, text),) = runner.notices
    assert code == "store-not-written"
    assert reason in text
    assert str(path) in text
    check_recorded(path)


def text_of(call: RecordedCall) -> str:
    prompt = call.request["prompt"]
    assert isinstance(prompt, dict)
    return str(prompt["text"])  # pyright: ignore[reportUnknownArgumentType]


def check_recorded(path: Path) -> None:
    """What was recorded before is still read where there is no room, and only the rest is asked for."""
    again = Long()
    with Store(path) as store:
        recorded = {text_of(call) for call in store.calls()}
        assert 0 < len(recorded) < len(REQUESTS)
        Runner(again, store=store).ask(REQUESTS)
    assert set(again.asked) == {str(request.prompt) for request in REQUESTS} - recorded


def test_a_full_disk(small_disk: Path) -> None:
    run_and_check(small_disk / "calls.sqlite", "the disk is full")


def test_a_disk_without_a_byte_left(small_disk: Path) -> None:
    path = small_disk / "calls.sqlite"
    with Store(path) as store:
        Runner(Long(), store=store).ask(REQUESTS[:40])
    fill(small_disk)
    check_recorded(path)
    with Store(small_disk / "new" / "calls.sqlite") as store:
        runner = Runner(Long(), store=store)
        assert len(runner.ask(REQUESTS)) == len(REQUESTS)
        ((code, text),) = runner.notices
    assert code == "store-not-written"
    assert "full" in text or "No space left" in text


def test_what_deletes_answers_says_that_the_disk_is_full(small_disk: Path) -> None:
    path = small_disk / "calls.sqlite"
    with Store(path) as store:
        Runner(Long(), store=store).ask(REQUESTS[:40])
    fill(small_disk)
    with Store(path) as store, pytest.raises(StoreError, match="nothing was deleted, because the disk is full"):
        store.prune(older_than=timedelta(0))


def test_room_that_is_made_is_used(small_disk: Path) -> None:
    path = small_disk / "calls.sqlite"
    with Store(path) as store:
        runner = Runner(Long(), store=store)
        runner.ask(REQUESTS[:8])
        filler = fill(small_disk)
        runner.ask(REQUESTS[:100])
        assert [notice.code for notice in runner.notices] == ["store-not-written"]
        filler.unlink()
        runner.ask(REQUESTS[:101])
        assert runner.notices == ()
    with Store(path) as store:
        assert store.count() == 101


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    with largest_file(500_000):
        run_and_check(tmp_path / "calls.sqlite", "fail")


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler
