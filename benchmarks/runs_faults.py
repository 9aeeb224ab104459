"""Runs that are killed, that share a store, and that have a budget: what a server was paid for, by its own count.

Kills: a command line is sent SIGKILL or SIGTERM at a random moment between its start and its end, and started
again, until so many kills have struck; every finished run begins another question. Shares: two and four processes ask
the same at once. Budgets: one command line under a bound of calls, tokens or money, against servers that count in many
ways.

Controls: kills without a store, processes without leases, budgets that learn nothing. They show what the mechanisms do.

    python -m benchmarks.runs_faults --kills 20 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import record
from benchmarks.paying_server import PRICE, WAYS, name_of, paying
from whygen.calls import open_store
from whygen.calls.spending import BudgetGate
from whygen.cli import main as command_line

LATENCY = 0.08
PROMPT = "Tell me a short story about a red fox that lives near the old quiet harbour of town"
BUDGET = 48
SLACK = 0.1
"""Seconds beside the slowest answer: what it takes to record it, and to see that it was recorded."""


def _line(url: str, store: Path | None, question: int) -> list[str]:
    kept = ["--no-cache"] if store is None else ["--cache", str(store)]
    return ["prompt", f"openai/paying-{question}", PROMPT, "--base-url", url, "--target", "token-set",
            "--budget", str(BUDGET), "--temperature", "0.7", "--max-tokens", "20", "--quiet", *kept]  # fmt: skip


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "OPENAI_API_KEY": "none", "XDG_CACHE_HOME": str(folder), "OMP_NUM_THREADS": "1"}


def _start(line: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    # A process whose ancestor was started in the background ignores some signals by inheritance; a person's does not.
    code = "import signal; [signal.signal(n, signal.SIG_DFL) for n in (2, 15)]; from whygen.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *line], cwd=folder, env=_environment(folder), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def _recorded(path: Path) -> set[str]:
    if not path.exists():
        return set()
    with open_store(path) as store:
        return {
            name_of(call.uri.partition("/")[2], call.request["prompt"]["text"], call.output.extra["seed"])
            for call in store.calls()
        }  # type: ignore[index, call-overload]


def kills(number: int, how: signal.Signals, *, seed: int, stores: bool = True) -> dict[str, Any]:
    """Kill so many runs at random moments: half from the start, imports included, half once answers are asked for."""
    rng = random.Random(f"{how} {seed} {stores}")  # noqa: S311 - a draw of moments
    struck = finished = lost = again = tracebacks = 0
    with tempfile.TemporaryDirectory() as place, paying(latency=LATENCY) as server:
        folder = Path(place)
        while struck < number:
            store = folder / f"{finished}.sqlite"
            before, came = _recorded(store), server.bill.came.copy()
            process = _start(_line(server.url, store if stores else None, finished), folder)
            struck += _strike(process, how, rng, lambda came=came: server.bill.came.total() > came.total())
            tracebacks += "Traceback" in process.communicate(timeout=120)[1]
            time.sleep(2 * LATENCY)  # what is under way comes to its end before the next begins
            lost += len(before - _recorded(store))
            fresh = server.bill.came - came
            again += sum(fresh[name] for name in before)
            # Without a store nothing is there to go on from: each run asks for everything.
            finished += process.returncode == 0
        return {
            "signal": how.name, "store": stores, "kills": struck, "runs finished": finished,
            "answers": len(server.bill.came), "recorded lost": lost, "recorded asked again": again,
            "paid twice": server.bill.twice, "tracebacks": tracebacks,
        }  # fmt: skip


def _strike(process: subprocess.Popen[str], how: signal.Signals, rng: random.Random, asks: Callable[[], bool]) -> bool:
    """Send the signal at a random moment; whether it found the process alive."""
    if rng.random() < 0.5:
        while not asks() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 6 * LATENCY))
    else:
        time.sleep(rng.uniform(0.0, 2.0))
    alive = process.poll() is None
    process.send_signal(how)
    return alive


SHARING = """
import sys, time
import whygen
from whygen.models import ModelOptions
from whygen.calls import dispatch, store as stores
from whygen.types import Settings

class Watch:
    longest, last = 0.0, None
    def begin(self, total, label): self.last = time.monotonic()
    def advance(self, n, *, cached):
        if n and self.last is not None:
            now = time.monotonic()
            self.longest, self.last = max(self.longest, now - self.last), now
    def end(self): self.last = None

slowest = [0.0]
class Timed(dispatch.Threads):
    # From the moment it is handed over to the moment it is taken: a machine that others use too is slow in both.
    def collect(self, seconds):
        ended = super().collect(seconds)
        slowest.extend(time.monotonic() - call.sent.at for call in ended)
        return ended
dispatch.RemoteDispatcher.__init__.__kwdefaults__["workers"] = Timed

url, path, prompt, budget, leases = sys.argv[1:]
if leases == "off":
    stores.Store.leases = None
watch = Watch()
print("ready", flush=True)
sys.stdin.readline()
whygen.explain_prompt(
    "openai/paying", prompt, target="token-set", budget=int(budget), cache=path, progress=watch,
    options=ModelOptions(base_url=url), settings=Settings(temperature=0.7, max_tokens=20),
)
print(watch.longest, max(slowest))
"""


def shares(processes: int, *, leases: bool = True) -> dict[str, Any]:
    """So many processes ask the same at once: what is paid twice, and the longest wait of one for its next answer."""
    with tempfile.TemporaryDirectory() as place, paying(latency=4 * LATENCY) as server:
        command = [sys.executable, "-c", SHARING, server.url, f"{place}/calls.sqlite", PROMPT, str(2 * BUDGET),
                   "on" if leases else "off"]  # fmt: skip
        children = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(Path(place))
            )
            for _ in range(processes)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        figures = [child.communicate(timeout=120)[0].split() for child in children]
        longest, slowest = (max(float(figure) for figure in column) for column in zip(*figures, strict=True))
        return {
            "processes": processes, "leases": leases, "answers": len(server.bill.came), "paid twice": server.bill.twice,
            "share": server.bill.twice / len(server.bill.came), "slowest answer, s": round(slowest, 2),
            "longest wait, s": round(longest, 2), "waits in bound": longest <= slowest + SLACK,
        }  # fmt: skip


TOKENS, CALLS = 4000, 20
MONEY = TOKENS * PRICE[1] / 1e6 / 2
BOUNDS = {"--token-budget": TOKENS, "--max-cost": MONEY, "--max-calls": CALLS, "--budget": 2 * CALLS}


def budgets(way: str, bound: str, *, learns: bool = True) -> dict[str, Any]:
    """One command line under a bound; what the server charges for, by its own count."""
    with tempfile.TemporaryDirectory() as place, paying(way=way) as server:
        (Path(place) / "prices.json").write_text(
            json.dumps({"openai/paying-0": {"input": PRICE[0], "output": PRICE[1]}}), encoding="utf-8"
        )
        line = [*_line(server.url, None, 0), "-o", f"{place}/out"]
        at = line.index("--budget")
        del line[at : at + 2]
        known = {"WHYGEN_PRICES": f"{place}/prices.json", "OPENAI_API_KEY": "none"}
        with mock.patch.dict(os.environ, known), _forgetful(learns):
            code = _in_process([*line, bound, str(BOUNDS[bound])])
        paid = {"--token-budget": server.bill.tokens, "--max-cost": server.bill.money}
        charged = paid.get(bound, server.bill.came.total())
        return {
            "way of counting": way, "bound": bound, "learns": learns, "allowed": BOUNDS[bound],
            "charged": charged, "calls": server.bill.came.total(), "exit": code, "over": charged > BOUNDS[bound],
        }  # fmt: skip


def _in_all(figures: Mapping[str, Any], bound: str) -> dict[str, Any]:
    """How many ways of counting went over a bound, and over the same bound without learning where that was tried."""
    rows = [row for row in figures["budgets"] if row["bound"] == bound]
    forgetful = [row for row in figures["budgets that learn nothing"] if row["bound"] == bound]
    return {
        "bound": bound, "ways of counting": len(rows), "over": sum(row["over"] for row in rows),
        "share used at most": max(row["charged"] / row["allowed"] for row in rows),
        "over, if nothing is learned": sum(row["over"] for row in forgetful) if forgetful else "-",
    }  # fmt: skip


@contextlib.contextmanager
def _forgetful(learns: bool) -> Iterator[None]:
    """With ``learns=False``, budgets that take nothing from what calls have shown."""

    def learn(gate: Any, *_: object) -> None:
        gate._is_known = True

    with contextlib.nullcontext() if learns else mock.patch.object(BudgetGate, "_learn", learn):
        yield


def _in_process(line: list[str]) -> int:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            command_line(line)
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def main(data: Path | None = None) -> None:
    del data
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("kills", "shares", "budgets"), action="append")
    chosen, _ = parser.parse_known_args(sys.argv[1:] if sys.argv[0].endswith("runs_faults.py") else [])
    parts = chosen.part or ["kills", "shares", "budgets"]
    figures: dict[str, Any] = record.figures("runs_faults")
    if "kills" in parts:
        figures["kills"] = [
            kills(chosen.kills, signal.SIGKILL, seed=chosen.seed),
            kills(chosen.kills, signal.SIGTERM, seed=chosen.seed),
            kills(chosen.kills // 4, signal.SIGKILL, seed=chosen.seed, stores=False),
        ]
    if "shares" in parts:
        figures["shares"] = [shares(2), shares(4), shares(2, leases=False)]
    if "budgets" in parts:
        figures["budgets"] = [budgets(way, bound) for way in WAYS for bound in BOUNDS]
        figures["budgets that learn nothing"] = [budgets(way, "--token-budget", learns=False) for way in WAYS]
    figures["budgets in all"] = [_in_all(figures, bound) for bound in BOUNDS] if "budgets" in figures else []
    for name, rows in figures.items():
        print(f"\n{name}\n{record.table(rows)}")
    record.write("runs_faults", figures, seed=chosen.seed)


if __name__ == "__main__":
    main()
