"""whygen and its rivals at equal calls. ``python -m benchmarks.rivals --install`` once, then without it."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from benchmarks import record
from benchmarks.rivals import agreement, compare, recorded, rooms, tables
from benchmarks.rivals.play import Players, rounds
from benchmarks.rivals.questions import SEED, TESTED, UNITS, planted, storyteller
from benchmarks.rivals.registry import Rival, chosen

TARGETS = {"logprob": (64, 256), "optimal-transport": (64,)}
"""Targets on the storyteller, and the calls that each is tried with: writing a story takes longer than scoring one."""


def main() -> None:
    options = _options()
    try:
        rivals = chosen(options.only)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    if options.tables:
        tables.write()
        return
    players = Players(rivals)
    if options.install:
        _install(rivals, players)
    figures = measure(players, options)
    print(json.dumps(figures["left out"], indent=1))
    record.write(options.out, figures, seed=SEED)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="rivals or their libraries; all unless given")
    parser.add_argument("--calls", nargs="+", type=int, default=[64, 256], help="model calls, the reference included")
    parser.add_argument("--games", type=int, default=3, help="planted games of each family and size")
    parser.add_argument("--prompts", type=int, default=6, help="prompts of the storyteller")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of each method on each question")
    parser.add_argument("--install", action="store_true", help="make the environments of the rivals first")
    parser.add_argument("--tables", action="store_true", help="only write the tables of docs/rivals.md from the results")
    parser.add_argument("--out", default="rivals", help="name under benchmarks/results")
    return parser.parse_args()


def _install(rivals: tuple[Rival, ...], players: Players) -> None:
    for room in {rival.room: None for rival in rivals if rival.room}:
        try:
            rooms.install(room)
        except rooms.Missing as reason:
            players.left_out |= {rival.name: str(reason) for rival in rivals if rival.room == room}
            print(reason)


def measure(players: Players, options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as data."""
    start = time.perf_counter()
    players.open()
    try:
        records = list(_records(players, options))
        table = recorded.rows(players)
    finally:
        players.close()
    return {
        "questions": {
            "planted games": {"families x sizes x games": f"4 x {len(UNITS)} x {options.games}", "units": list(UNITS)},
            "storyteller": {"prompts": options.prompts, "targets": {name: list(n) for name, n in TARGETS.items()}},
            "seeds": options.seeds,
            "fresh masks": TESTED,
        },
        "calls": options.calls,
        "versions of rivals": {room: rooms.versions(room) for room in players.rooms},
        "left out": players.left_out,
        "rows": compare.rows(records),
        "gpt-3.5": table,
        "agreement": agreement.rows(tuple(players.rooms)),
        "seconds": time.perf_counter() - start,
    }


def _records(players: Players, options: argparse.Namespace) -> Any:
    calls = tuple(options.calls)
    for found in rounds(planted(options.games), players, calls, options.seeds):
        yield _shown(found)
    for target, allowed in TARGETS.items():
        budgets = tuple(n for n in calls if n in allowed)
        if budgets and options.prompts:
            for found in rounds(storyteller(options.prompts, target), players, budgets, options.seeds):
                yield _shown(found)


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    if "failed" in found:
        print(found["question"], found["budget"], found["method"], found["failed"], flush=True)
    elif found["method"].startswith("whygen, b"):
        print(found["part"], found["question"], found["budget"], flush=True)
    return found


if __name__ == "__main__":
    main()
