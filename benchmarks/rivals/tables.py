"""The tables of ``docs/rivals.md``, made from ``benchmarks/results/rivals.json``: no number is typed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, table
from benchmarks.rivals.compare import SCORES, behind
from benchmarks.rivals.registry import OURS

PAGE = Path(__file__).parents[2] / "docs" / "rivals.md"
RESULT = RESULTS / "rivals.json"
CELLS = (
    ("planted games", 64),
    ("planted games", 256),
    ("storyteller, logprob", 64),
    ("storyteller, logprob", 256),
    ("storyteller, optimal-transport", 64),
)
"""Parts and budgets that have a table; one that the results lack says so."""

_LACKING = "*Not part of these results.*"

_BLOCK = re.compile(r"(<!-- rivals: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def blocks(record: Mapping[str, Any]) -> dict[str, str]:
    """Every table, by the name that the page calls it by."""
    figures = record["figures"]
    rows = figures["rows"]
    cells = {f"{part}, {budget} calls": (part, budget) for part, budget in CELLS}
    found = {name: _cell([row for row in rows if (row["part"], row["budget"]) == cell]) for name, cell in cells.items()}
    found["where a rival is ahead"] = _ahead(rows)
    found["gpt-3.5"] = _recorded(figures["gpt-3.5"])
    found["agreement"] = _agreement(figures["agreement"])
    found["how it was run"] = _run(record)
    return found


def _cell(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return _LACKING
    shown = [score for score in SCORES if any((row.get("mean") or {}).get(score) is not None for row in rows)]
    return table([_line(row, shown) for row in rows])


def _line(row: dict[str, Any], shown: list[str]) -> dict[str, str]:
    line = {"method": f"**{row['method']}**" if row["method"] in OURS.values() else row["method"]}
    worse = behind(row)
    for score in shown:
        line[score] = _figure((row.get("mean") or {}).get(score), (row.get("ahead") or {}).get(score), score in worse)
    line["calls"] = f"{row['calls']:.0f}" if "calls" in row else "cannot"
    line["seconds"] = f"{row['seconds']:.2f}" if "seconds" in row else ""
    line["questions"] = f"{row['questions']}" + (f" (refused {row['refused']})" if row["refused"] else "")
    return line


def _figure(mean: float | None, ahead: Mapping[str, float] | None, worse: bool) -> str:
    if mean is None:
        return ""
    if ahead is None:
        return f"{mean:.3f}"
    difference = f"{ahead['mean']:+.3f} ± {ahead['half']:.3f}"
    return f"{mean:.3f} ({f'**{difference}**' if worse else difference})"


def _ahead(rows: list[dict[str, Any]]) -> str:
    found = [
        {"part": row["part"], "calls": row["budget"], "method": row["method"], "score": score,
         "whygen is behind by": f"{-row['ahead'][score]['mean']:.3f} ± {row['ahead'][score]['half']:.3f}"}
        for row in rows
        for score in behind(row)
    ]  # fmt: skip
    return table(found) if found else "No rival is ahead of whygen by more than the interval."


def _recorded(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return _LACKING
    played = [row for row in rows if "mean" in row]
    names = [row["method"] for row in rows if "mean" not in row]
    lines = [
        {"method": row["method"], "R2, mean": row["mean"], "10%": row["p10"], "median": row["median"],
         "90%": row["p90"], "splits whygen won": f"{row['splits whygen won']} of {row['splits']}" if number else ""}
        for number, row in enumerate(played)  # ours is the first
    ]  # fmt: skip
    return table(lines) + (
        "\n\nCannot play, since they choose their own masks: " + ", ".join(names) + "." if names else ""
    )


def _agreement(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return _LACKING
    return table(
        [
            {"library": row["library"], "compared with one by one": row.get("way", ""), "model": row.get("model", ""),
             "worst difference": f"{row['worst']:.1e}" if "worst" in row else row.get("failed", ""),
             "spread of scores": f"{row['spread']:.2f}" if "spread" in row else "",
             "agrees": "yes" if row.get("agrees") else "**no**"}
            for row in rows
        ]
    )  # fmt: skip


def _run(record: Mapping[str, Any]) -> str:
    figures, machine = record["figures"], record["machine"]
    asked = ", ".join(f"{part}: {count}" for part, count in figures["questions"].items())
    versions = figures["versions of rivals"].values()
    libraries = ", ".join(f"{name} {version}" for room in versions for name, version in room.items())
    lines = [
        f"- Questions: {asked}. Seeds of each method on each: {figures['seeds']}.",
        f"- {record['date']}, seed {record['seed']}, {machine['processor']}, Python {machine['python']}.",
        f"- whygen {record['versions']['whygen']}, transformers {record['versions']['transformers']}; {libraries}.",
    ]
    lines += [f"- Left out: {name}: {why}" for name, why in figures["left out"].items()]
    return "\n".join(lines)


def fill(page: str, found: Mapping[str, str]) -> str:
    """The page with every block between its marks replaced.

    Raises:
        KeyError: if the page names a block that there is none of.
    """
    return _BLOCK.sub(lambda match: f"{match[1]}\n{found[match['name']]}\n\n{match[3]}", page)


def write() -> None:
    """Fill the page from the results."""
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), blocks(record)), encoding="utf-8")


if __name__ == "__main__":
    write()
