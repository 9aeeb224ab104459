"""whygen and its rivals at equal calls. ``python -m benchmarks.rivals --install`` once, then without it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.rivals import agreement, compare, recorded, rooms, tables
from benchmarks.rivals.play import Players, rounds
from benchmarks.rivals.questions import SEED, TESTED, planted, storyteller
from benchmarks.rivals.registry import OURS, Rival, chosen

PARTS: dict[str, tuple[int, ...]] = {
    "games": (64, 256),
    "logprob": (64, 256),
    "optimal-transport": (64,),
    "gpt-3.5": (),
    "agreement": (),
}
"""Planted games, targets on the storyteller, the recorded run, the scorers; and the calls that each is tried with:
writing takes long."""


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
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, default=list(PARTS), help="what is played; all unless given"
    )
    parser.add_argument("--reuse", action="store_true", help="take what build/rivals has of the other parts as well")
    parser.add_argument("--install", action="store_true", help="make the environments of the rivals first")
    parser.add_argument(
        "--tables", action="store_true", help="only write the tables of docs/rivals.md from the results"
    )
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
    """Play the parts that were asked for, and read all that there are as data."""
    if options.parts:
        players.open()
        try:
            for part in options.parts:
                _keep(part, _played(part, players, options))
        finally:
            players.close()
        _keep("left-out", iter([players.left_out]))
    wanted = [part for part in PARTS if part in options.parts or (options.reuse and _file(part).is_file())]
    records = [found for part in wanted if PARTS[part] for found in _kept(part)]
    return {
        "questions": compare.counts(records),
        "seeds": options.seeds,
        "fresh masks": TESTED,
        "versions of rivals": {room: rooms.versions(room) for room in rooms.installed()},
        "left out": next(iter(_kept("left-out")), {}),
        "rows": compare.rows(records),
        "gpt-3.5": _kept("gpt-3.5") if "gpt-3.5" in wanted else [],
        "agreement": _kept("agreement") if "agreement" in wanted else [],
    }


def _played(part: str, players: Players, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if part == "gpt-3.5":
        return iter(recorded.rows(players))
    if part == "agreement":
        return iter(agreement.rows(tuple(players.rooms)))
    questions = planted(options.games) if part == "games" else storyteller(options.prompts, part)
    return rounds(questions, players, tuple(n for n in options.calls if n in PARTS[part]), options.seeds)


def _kept(part: str) -> list[dict[str, Any]]:
    file = _file(part)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def _file(part: str) -> Path:
    return rooms.BUILD / f"{part}.jsonl"


def _keep(part: str, records: Iterator[dict[str, Any]]) -> None:
    """Write records as they come: a run that ends early has not been for nothing."""
    with _file(part).open("w", encoding="utf-8") as file:
        for found in records:
            _show(found)
            file.write(json.dumps(found) + "\n")
            file.flush()


def _show(found: dict[str, Any]) -> None:
    if "failed" in found and "question" in found:
        print(found["question"], found["budget"], found["method"], found["failed"], flush=True)
    elif found.get("method") == OURS["banzhaf"]:
        print(found["part"], found["question"], found["budget"], flush=True)


if __name__ == "__main__":
    main()
