"""Many calls to a server on loopback: wall time against the ideal, and against the bare official client.

The server takes 200 ms for an answer and makes 16 at once; 256 calls ideally take 256 x 0.2 / 16 = 3.2 s. That is
not known to whygen: the concurrency starts at `whygen.calls.concurrency.START`, and doubles as long as it pays.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import record
from whygen.calls import RemoteDispatcher, Runner, Spent, open_store
from whygen.calls.concurrency import START
from whygen.models import ModelOptions, load_model
from whygen.types import Output, Request

CALLS = 256
LATENCY = 0.2
CAPACITY = 16
SHARE = 0.2
IDEAL = CALLS * LATENCY / CAPACITY
ROUNDS = 3
PROMPTS = [f"Tell a story about number {number}." for number in range(CALLS)]


@contextmanager
def server(*, latency: float = LATENCY, rejects: bool = False, share: float = 0.0, seed: int = 0) -> Iterator[str]:
    """The address of a fresh server in a process of its own."""
    options = {"latency": latency, "capacity": CAPACITY, "rejects": rejects, "share": share, "seed": seed}
    command = [sys.executable, "-m", "benchmarks.remote_server", json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def counts(root: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{root}/counts") as answer:  # noqa: S310 - our own server
        return json.loads(answer.read())


def whygen_run(root: str, folder: Path, dispatcher: RemoteDispatcher | None = None) -> float:
    """Seconds for all calls, recorded in a store on disk; every one must be answered."""
    model = load_model("openai/bench", ModelOptions(base_url=f"{root}/v1"))
    model.answer([Request(prompt="warm up")])
    with open_store(folder / f"{time.time_ns()}.sqlite") as store:
        runner = Runner(model, store=store, dispatcher=dispatcher)
        begun = time.perf_counter()
        answers = runner.ask([Request(prompt=prompt) for prompt in PROMPTS])
        seconds = time.perf_counter() - begun
        assert [isinstance(answer, Output) for answer in answers] == [True] * CALLS
        assert runner.spent == Spent(calls=runner.tally.made, tokens_in=10 * CALLS, tokens_out=CALLS)
    return seconds


def bare_run(root: str) -> float:
    """Seconds for the same calls by the official client alone, in as many threads as the server has places."""
    import openai

    client = openai.OpenAI(base_url=f"{root}/v1", api_key="none", max_retries=0)

    def ask(prompt: str) -> str | None:
        messages = [{"role": "user", "content": prompt}]
        answer = client.chat.completions.create(model="bench", messages=messages, temperature=0.0, max_tokens=256)  # type: ignore[arg-type]
        return answer.choices[0].message.content

    ask("warm up")
    begun = time.perf_counter()
    with ThreadPoolExecutor(CAPACITY) as pool:
        assert set(pool.map(ask, PROMPTS)) == {"fine"}
    return time.perf_counter() - begun


def measure(
    name: str, run: Callable[[str, int], float], *, ideal: float, bound: float | None, **options: object
) -> dict[str, object]:
    """Rounds of one case: every call is answered once, and what was sent beyond that was turned away."""
    seconds: list[float] = []
    turned_away = 0
    for number in range(ROUNDS):
        with server(seed=number, **options) as root:  # type: ignore[arg-type]
            seconds.append(run(root, number))
            told = counts(root)
            assert told["answered"] == CALLS + 1
            assert told["distinct"] == CALLS + 1
            turned_away = max(turned_away, told.get("turned away", 0))
    return {
        "case": name, "wall s": median(seconds), "slowest s": max(seconds), "ideal s": ideal,
        "ratio": median(seconds) / ideal, "at most": bound, "turned away, most": turned_away,
    }  # fmt: skip


def run(folder: Path) -> dict[str, object]:
    own = lambda root, _: whygen_run(root, folder)  # noqa: E731
    same = lambda root, _: whygen_run(root, folder, RemoteDispatcher(start=CAPACITY, most=CAPACITY))  # noqa: E731
    bare = lambda root, _: bare_run(root)  # noqa: E731
    floor = measure("official client, 16 threads", bare, ideal=IDEAL, bound=None)
    quick = measure("official client, no latency", bare, ideal=1.0, bound=None, latency=0.0)
    rows = [
        measure("server queues", own, ideal=IDEAL, bound=1.15),
        measure("server answers 429", own, ideal=IDEAL, bound=1.3, rejects=True),
        measure("a fifth answered 429 by chance", own, ideal=IDEAL, bound=1.5, share=SHARE),
        measure("same concurrency as the client", same, ideal=float(str(floor["wall s"])), bound=1.2),
        measure("the same without latency", same, ideal=float(str(quick["wall s"])), bound=None, latency=0.0),
    ]
    return {
        "calls": CALLS, "latency s": LATENCY, "capacity": CAPACITY, "start of concurrency": START, "rounds": ROUNDS,
        "bare client s": floor["wall s"], "bare client without latency s": quick["wall s"], "rows": rows,
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    import tempfile

    del data
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder))
    print(record.table(figures["rows"]))  # type: ignore[arg-type]
    print(f"\n{CALLS} calls by the bare client: {figures['bare client s']:.2f} s")
    record.write("remote", figures, seed=0)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
