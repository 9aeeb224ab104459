"""A run that is killed goes on where it was: nothing recorded is asked again, nothing recorded is lost."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faults.server import FaultServer
from faults.signals import hear_signals
from whygen.calls import Notice, RecordedCall, Runner, open_store
from whygen.calls.leases import STALE
from whygen.types import Limits, Output, Request, digest

PROMPTS = 400

CHILD = """
import os, sys, time
from whygen.calls import Runner, open_store
from whygen.types import Limits, Output, Request

class Slow:
    uri = "test/slow"
    limits = Limits(LIMITS)

    def __init__(self, log):
        self.log, self.asked = log, 0

    def answer(self, requests):
        time.sleep(0.01)
        self.asked += len(requests)
        while self.asked > MOST and os.path.exists(sys.argv[2] + ".held"):
            time.sleep(0.01)  # however busy the machine is, the signal comes in the middle
        os.write(self.log, "".join(f"asked {request.prompt}\\n" for request in requests).encode())
        return [Output(text=f"{request.prompt} by {os.getpid()}") for request in requests]

path, log, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
with open_store(path) as store:
    runner = Runner(Slow(log), store=store)
    for start in range(first, last, 40):
        answers = runner.ask([Request(prompt=str(number)) for number in range(start, min(last, start + 40))])
        for number, answer in enumerate(answers, start):
            assert answer.text.startswith(f"{number} by "), answer
            os.write(log, f"used {number} {answer.text}\\n".encode())
    assert runner.notices == (), runner.notices
    print(runner.tally)
"""


@pytest.fixture(params=["max_batch=4", "max_in_flight=8"])
def child(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    """A process that asks and uses answers: of a model that takes batches, or many calls at once."""
    script = tmp_path / "child.py"
    script.write_text(CHILD.replace("LIMITS", request.param).replace("MOST", str(PROMPTS // (KILLS + 2))))
    return [sys.executable, str(script), str(tmp_path / "calls.sqlite"), str(tmp_path / "log")]


KILLS = 6


def text_of(call: RecordedCall) -> str:
    prompt = call.request["prompt"]
    assert isinstance(prompt, dict)
    return str(prompt["text"])  # pyright: ignore[reportUnknownArgumentType]


def recorded(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with open_store(path) as store:
        return {text_of(call): call.output.text for call in store.calls()}


def lines(path: Path, kind: str) -> list[str]:
    if not path.exists():
        return []
    return [line.partition(" ")[2] for line in path.read_text().splitlines() if line.startswith(kind)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_asks_only_for_what_is_missing(child: list[str], tmp_path: Path, how: signal.Signals) -> None:
    rng = random.Random(int(how))
    store, log, held = tmp_path / "calls.sqlite", tmp_path / "log", tmp_path / "log.held"
    kills = 0
    while True:
        before = recorded(store)
        log.unlink(missing_ok=True)
        held.touch()
        process = subprocess.Popen(
            [*child, "0", str(PROMPTS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=hear_signals,  # noqa: PLW1509 - the child starts its program at once
        )
        if kills < KILLS:
            while not log.exists() and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.06))
            process.send_signal(how)
        held.unlink()
        process.communicate(timeout=60)
        after = recorded(store)
        assert before.items() <= after.items()
        assert not before.keys() & set(lines(log, "asked"))
        assert {line.partition(" ")[2] for line in lines(log, "used")} <= set(after.values())
        if process.returncode == 0:
            break
        kills += 1
    assert kills == KILLS
    assert len(recorded(store)) == PROMPTS
    assert integrity(store) == "ok"
    finished = subprocess.run([*child, "0", str(PROMPTS)], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == f"No call was made: all {PROMPTS} answers were recorded before."


def test_processes_share_a_store(child: list[str], tmp_path: Path) -> None:
    """Two ask the same things and two ask others, at once, from the moment the file is made."""
    spans = [(0, PROMPTS), (0, PROMPTS), (PROMPTS // 2, PROMPTS * 3 // 2), (PROMPTS, PROMPTS * 2)]
    processes = [
        subprocess.Popen([*child[:3], f"{child[3]}-{number}", *map(str, span)], stderr=subprocess.PIPE, text=True)
        for number, span in enumerate(spans)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    kept = recorded(tmp_path / "calls.sqlite")
    assert set(kept) == {str(number) for number in range(PROMPTS * 2)}
    for number in range(len(spans)):
        used = lines(tmp_path / f"log-{number}", "used")
        assert {line.partition(" ")[2] for line in used} <= set(kept.values())  # every process used what was recorded
    assert integrity(tmp_path / "calls.sqlite") == "ok"


def test_many_make_one_file_at_once(tmp_path: Path) -> None:
    """Eight openers of a file that is not there yet: each connection is its own, as in eight processes."""
    for attempt in range(40):
        path = tmp_path / f"{attempt}.sqlite"
        gate = threading.Barrier(8)

        def start(path: Path = path, gate: threading.Barrier = gate) -> tuple[Notice, ...]:
            gate.wait()
            with open_store(path) as store:
                Runner(Echo(), store=store).ask([Request(prompt="a")])
                return store.notices

        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(start) for _ in range(8)]
        assert [future.result() for future in futures] == [()] * 8
        assert len(recorded(path)) == 1


class Echo:
    uri = "test/echo"
    limits = Limits()

    def answer(self, requests: Sequence[Request]) -> list[Output]:
        return [Output(text=str(request.prompt)) for request in requests]


def test_a_writer_does_not_block_a_reader_nor_for_long_another_writer(child: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen([*child, "0", "2000"])
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    with open_store(tmp_path / "calls.sqlite") as store:
        while process.poll() is None:
            calls = list(store.calls())
            store.put_many(calls[:1])
            time.sleep(0.02)
        assert store.notices == ()  # whoever waits for longer than `database.PATIENCE` says so
    assert process.returncode == 0


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return str(verdict)


EXPLAINING = """
import hashlib, json, os, sys, time
from whygen import explain_prompt
from whygen.types import Limits, Output

class Slow:
    uri = "test/slow"
    limits = Limits(max_in_flight=8)

    def __init__(self, log):
        self.log = log

    def answer(self, requests):
        (request,) = requests
        time.sleep(0.005)
        os.write(self.log, f"asked {request.digest}\\n".encode())
        words = sorted(str(request.prompt).split(), key=lambda word: hashlib.sha256(word.encode()).digest())
        return [Output(text=" ".join(words[:4]))]

path, log = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
explanation = explain_prompt(
    Slow(log), "one two three four five six seven eight nine ten", target="token-set", budget=200, cache=path
)
document = explanation.to_dict()
del document["calls"]
print(json.dumps(document, sort_keys=True))
"""


@pytest.mark.slow
def test_an_explanation_killed_twenty_times_is_the_one_of_an_undisturbed_run(tmp_path: Path) -> None:
    """At random moments: no recorded answer is asked for again, none is lost, and nothing in the result differs."""
    script = tmp_path / "explain.py"
    script.write_text(EXPLAINING)
    calm = [sys.executable, str(script), str(tmp_path / "calm.sqlite"), str(tmp_path / "calm.log")]
    expected = subprocess.run(calm, capture_output=True, text=True, check=True).stdout
    store, log = tmp_path / "calls.sqlite", tmp_path / "log"
    rng = random.Random(20)
    child = [sys.executable, str(script), str(store), str(log)]
    for _ in range(20):
        before = digests(store)
        log.unlink(missing_ok=True)
        process = subprocess.Popen(child, stdout=subprocess.DEVNULL)
        while not log.exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.03))
        process.kill()
        process.wait()
        assert before <= digests(store)
        assert not before & set(lines(log, "asked"))
    left = digests(tmp_path / "calm.sqlite") - digests(store)
    log.unlink(missing_ok=True)
    resumed = subprocess.run(child, capture_output=True, text=True, check=True)
    assert resumed.stdout == expected
    assert sorted(lines(log, "asked")) == sorted(left)
    assert integrity(store) == "ok"


def digests(path: Path) -> set[str]:
    """Of the requests whose answers are recorded."""
    if not path.exists():
        return set()
    with open_store(path) as store:
        return {digest(call.request) for call in store.calls()}


SHARING = """
import sys, time
from whygen.models import ModelOptions, load_model
from whygen.calls import Runner, open_store
from whygen.types import Request
model = load_model("openai/test", ModelOptions(base_url=sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
with open_store(sys.argv[2]) as store:
    runner = Runner(model, store=store)
    answers = runner.ask([Request(prompt=f"story {number}") for number in range(int(sys.argv[3]))])
    assert [answer.text for answer in answers] == [f"You said: story {number}" for number in range(int(sys.argv[3]))]
    tally = runner.tally
    assert tally.asked == tally.made + tally.cached, tally
"""


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_ask_the_same_pay_once(processes: int, tmp_path: Path) -> None:
    with FaultServer(latency=0.1) as server:
        command = [sys.executable, "-c", SHARING, server.url, str(tmp_path / "calls.sqlite"), "120"]
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            _, errors = child.communicate(timeout=60)
            assert child.returncode == 0, errors
        assert len(server.received) <= 120 * 1.05
    assert not list(tmp_path.glob("*-owner-*"))


def test_what_a_killed_process_had_in_flight_is_asked_by_the_one_that_waits(tmp_path: Path) -> None:
    with FaultServer(latency=1.0) as server:
        command = [sys.executable, "-c", SHARING, server.url, str(tmp_path / "calls.sqlite"), "8"]
        first, second = (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        )
        for child in (first, second):
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            child.stdin.write("go\n")
            child.stdin.flush()
            while child is first and len(server.received) < 8:
                time.sleep(0.01)
        time.sleep(0.4)
        assert len(server.received) == 8
        first.kill()
        first.communicate()
        began = time.monotonic()
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 0, errors
        assert time.monotonic() - began < STALE  # the dead process is known by its lock, not by its silence
        assert len(server.received) == 16
