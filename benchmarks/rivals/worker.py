"""Runs the adapters of one library in that library's environment; the model stays with whoever started this.

One JSON object a line. In: a task, or values that were asked for. Out: masks to ask for, or what was found.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np

from benchmarks.rivals.protocol import Bools, CannotPlay, Floats, Method, OverBudget, Task, coded, decoded


@dataclass(slots=True)
class Line:
    """The other end, and how long it kept us waiting."""

    reads: TextIO
    writes: TextIO
    waited: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Some libraries ask from several threads: one question at a time."""

    def send(self, message: dict[str, Any]) -> None:
        self.writes.write(json.dumps(message) + "\n")
        self.writes.flush()

    def ask(self, masks: Bools) -> Floats:
        with self.lock:
            start = time.perf_counter()
            self.send({"ask": coded(masks)})
            reply = json.loads(self.reads.readline())
            self.waited += time.perf_counter() - start
        if "refused" in reply:
            raise OverBudget(reply["refused"])
        return np.array(reply["values"], dtype=np.float64)


def answer(message: dict[str, Any], methods: dict[str, Method], line: Line) -> dict[str, Any]:
    """What one task gave."""
    n, given = message["n"], message.get("given")
    task = Task(
        n=n,
        calls=message["calls"],
        seed=message["seed"],
        new=decoded(message["new"], n),
        ask=line.ask,
        given=None if given is None else (decoded(given["masks"], n), np.array(given["values"])),
    )
    random.seed(task.seed)  # some libraries know no other source of chance
    np.random.seed(task.seed)  # noqa: NPY002
    line.waited, start = 0.0, time.perf_counter()
    try:
        found = methods[message["method"]](task)
    except CannotPlay as refusal:
        return {"cannot": str(refusal)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:500]}
    seconds = time.perf_counter() - start - line.waited
    return {
        "attributions": np.asarray(found.attributions, dtype=float).tolist(),
        "predictions": _listed(found.predictions),
        "intervals": _listed(found.intervals),
        "covers": found.covers,
        "seconds": seconds,
    }


def _listed(values: Floats | None) -> list[Any] | None:
    return None if values is None else np.asarray(values, dtype=float).tolist()


def main() -> None:
    name = sys.argv[1]
    writes = os.fdopen(os.dup(1), "w", encoding="utf-8")  # libraries print: that must not be read as an answer
    os.dup2(2, 1)
    line = Line(sys.stdin, writes)
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            methods = importlib.import_module(f"benchmarks.rivals.adapters.{name}").METHODS
        except ImportError as error:
            line.send({"missing": str(error)})
            return
        line.send({"ready": sorted(methods)})
        while text := sys.stdin.readline():
            line.send(answer(json.loads(text), methods, line))


if __name__ == "__main__":
    main()
