"""The tables of ``docs/rivals-smol.md``, made from ``rivals.json`` beside this file: no number is typed by hand.

python -m benchmarks.smol.tables
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import table
from benchmarks.rivals.tables import fill
from benchmarks.smol.rivals import OURS, PRINTED, SHAPLEY, kept_rows

PAGE = Path(__file__).parents[2] / "docs" / "rivals-smol.md"
FAR = 0.02
"""A rival that is further ahead than this in a family is named."""
Rows = list[dict[str, Any]]
Scores = Mapping[tuple[str, int, str], float]
"""Mean over seeds, by method, calls and game."""


def main() -> None:
    """Fill the page."""
    PAGE.write_text(fill(PAGE.read_text("utf-8"), blocks(kept_rows())), "utf-8")


def blocks(rows: Rows) -> dict[str, str]:
    """Every table, by the name that the page calls it by."""
    small, large = [row for row in rows if row["units"] <= 12], [row for row in rows if row["units"] > 12]
    return {
        "smol, games": games(rows),
        "smol, R2": fidelity(small, "R2"),
        "smol, ranks": beside(small),
        "smol, Shapley values": shapley(small),
        "smol, larger games": fidelity(large, "R2") if large else "None was played yet.",
        "smol, intervals": intervals(small),
        "smol, families": families(small),
    }  # fmt: skip


def games(rows: Rows) -> str:
    """How many games of which sizes there are, and with how many seeds."""
    sizes: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        sizes[row["units"]].add(row["question"])
    told = ", ".join(f"{len(names)} of {units} units" for units, names in sorted(sizes.items()))
    seeds: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        seeds[row["question"]].add(row["seed"])
    least, most = min(map(len, seeds.values())), max(map(len, seeds.values()))
    return f"Games: {told}; seeds: {most if least == most else f'{least} to {most}'}."


def scored(rows: Rows, name: str) -> Scores:
    """Means over seeds of one score."""
    found: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for row in rows:
        if row.get(name) is not None:
            found[row["method"], row["calls"], row["question"]].append(row[name])
    return {place: float(np.mean(each)) for place, each in found.items()}


def of(found: Scores, method: str, calls: int) -> dict[str, float]:
    """One method's scores, by game."""
    return {game: value for (name, budget, game), value in found.items() if (name, budget) == (method, calls)}


def fidelity(rows: Rows, name: str) -> str:
    """Means over games, and how far behind whygen's surrogate and its printed attributions, with 95% intervals."""
    found, budgets = scored(rows, name), sorted({row["calls"] for row in rows})
    methods = sorted({key[0] for key in found}, key=lambda each: _first(found, each, budgets))
    lines: list[dict[str, object]] = []
    for method in methods:
        line: dict[str, object] = {"method": f"**{method}**" if method in (OURS, PRINTED) else method}
        for calls in budgets:
            line[f"{calls} calls"] = _figure(_mean(of(found, method, calls)))
        for calls in budgets:
            line[f"behind, {calls}"] = behind(found, method, calls)
        line["games"] = " / ".join(str(len(of(found, method, calls))) for calls in budgets)
        lines.append(line)
    return table(lines)


def behind(found: Scores, method: str, calls: int, first: str = OURS) -> str:
    """How far the first method is ahead, paired by game, with its 95% interval over games."""
    ours, theirs = of(found, first, calls), of(found, method, calls)
    apart = np.array([ours[game] - theirs[game] for game in theirs if game in ours])
    if method == first or len(apart) < 2:
        return ""
    return f"{apart.mean():+.3f} ± {1.96 * apart.std(ddof=1) / np.sqrt(len(apart)):.3f}"


def beside(rows: Rows) -> str:
    """LDS and seconds of every method."""
    budgets = sorted({row["calls"] for row in rows})
    shown: dict[str, Callable[[dict[str, float]], float]] = {"LDS": _mean, "seconds": _median}
    found = {name: scored(rows, name) for name in shown}
    methods = sorted({row["method"] for row in rows}, key=lambda each: _first(found["LDS"], each, budgets))
    return table([
        {"method": method} | {
            f"{name}, {calls}": _figure(read(of(found[name], method, calls)))
            for name, read in shown.items() for calls in budgets
        }
        for method in methods if any(of(found["LDS"], method, calls) for calls in budgets)
    ])  # fmt: skip


def shapley(rows: Rows) -> str:
    """Medians of the Shapley error over games, whygen's on the same games, and in how many of them whygen is nearer."""
    found, budgets = scored(rows, "Shapley error"), sorted({row["calls"] for row in rows})
    last = budgets[len(budgets) // 2]
    lines: list[dict[str, object]] = []
    for method in sorted(
        {key[0] for key in found} - {SHAPLEY}, key=lambda each: (_median(of(found, each, last)), each)
    ):
        line: dict[str, object] = {"method": method}
        for calls in budgets:
            theirs, ours = of(found, method, calls), of(found, SHAPLEY, calls)
            games = [game for game in theirs if game in ours]
            nearer = sum(ours[game] < theirs[game] for game in games)
            told = f"{_median(theirs):.4f} (whygen {_median({game: ours[game] for game in games}):.4f}"
            line[f"{calls} calls"] = f"{told}, nearer in {nearer} of {len(games)})" if games else ""
        lines.append(line)
    return table(lines) if lines else "None was played yet."


def intervals(rows: Rows) -> str:
    """Coverage of printed 95% intervals and their width, of the methods that print some."""
    covered, widths = scored(rows, "covered"), scored(rows, "width")
    budgets = sorted({row["calls"] for row in rows})
    return table([
        {"method": method}
        | {f"covered, {calls}": _figure(_mean(of(covered, method, calls))) for calls in budgets}
        | {f"width, {calls}": _figure(_mean(of(widths, method, calls))) for calls in budgets}
        | {"games": " / ".join(str(len(of(covered, method, calls))) for calls in budgets)}
        for method in sorted({key[0] for key in covered})
    ])  # fmt: skip


def families(rows: Rows) -> str:
    """Where a rival's mean R2 in a family is ahead by more than `FAR`, of each of our two lines."""
    found, family = scored(rows, "R2"), {row["question"]: row["family"] for row in rows}
    lines: list[dict[str, object]] = []
    for first in (OURS, PRINTED):
        for calls in sorted({row["calls"] for row in rows}):
            for kind in sorted(set(family.values())):
                best = max(_leads(found, calls, [game for game in family if family[game] == kind], first), default=None)
                if best is not None and best[0] > FAR:
                    lines.append({
                        "line": first, "calls": calls, "family": kind, "rival": best[1], "ahead by": best[0],
                        "games": best[2],
                    })  # fmt: skip
    return table(lines) if lines else f"No rival is ahead by more than {FAR} in any family."


def _leads(found: Scores, calls: int, names: list[str], first: str) -> list[tuple[float, str, int]]:
    """How far each rival that played all games of a family is ahead, its name, and the number of games."""
    ours = of(found, first, calls)
    rivals = sorted({key[0] for key in found if not key[0].startswith("whygen")})
    played = {rival: of(found, rival, calls) for rival in rivals}
    return [
        (float(np.mean([each[game] - ours[game] for game in names])), rival, len(names))
        for rival, each in played.items()
        if all(game in each and game in ours for game in names)
    ]


def _first(found: Scores, method: str, budgets: list[int]) -> tuple[bool, float, str]:
    """The order of a table: the largest mean at the middle number of calls first, who did not play there last."""
    mean = _mean(of(found, method, budgets[len(budgets) // 2]))
    return bool(np.isnan(mean)), -float(np.nan_to_num(mean)), method


def _mean(values: Mapping[str, float]) -> float:
    return float(np.mean(list(values.values()))) if values else float("nan")


def _median(values: Mapping[str, float]) -> float:
    return float(np.median(list(values.values()))) if values else float("nan")


def _figure(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


if __name__ == "__main__":
    main()
