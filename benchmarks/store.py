"""The store of recorded answers: reading 100,000 calls back, and bytes a call."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks import record
from whygen.calls import Runner, open_store
from whygen.types import Limits, Output, Request

CALLS = 100_000
BATCH = 512


class Echo:
    """Answers at once, so that only the store takes time."""

    uri = "benchmark/echo"
    limits = Limits(max_batch=BATCH)

    def answer(self, requests: list[Request]) -> list[Output]:
        return [Output(text=str(request.prompt) * 5) for request in requests]


def run(calls: int = CALLS) -> dict[str, object]:
    requests = [
        Request(prompt=f"Tell a story about number {index}, please, and let it be short.") for index in range(calls)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.sqlite"
        seconds: list[float] = []
        for _ in range(2):
            with open_store(path) as store:
                begun = time.perf_counter()
                runner = Runner(Echo(), store=store)
                runner.ask(requests)
                seconds.append(time.perf_counter() - begun)
                made, size = runner.tally.made, store.size()
    return {
        "calls": calls, "record s": seconds[0], "read back s": seconds[1], "calls made the second time": made,
        "bytes a call": size / calls,
    }  # fmt: skip


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    print(record.table([figures]))
    record.write("store", figures)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
