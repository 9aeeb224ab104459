"""Fills the tables of a page from the results, so that no number is typed: ``python -m benchmarks.tables PAGE ...``.

A page says what it wants, and what stands between is replaced::

    <!-- table influence.defects where reference=clean: method; noise; seconds -->
    <!-- end of table -->

``influence.defects`` is the figure "defects" of ``results/influence.json``, a list of rows; columns may be renamed,
``held-out loss as loss``, and ``mean.R2`` is a figure of a figure. Conditions are parted by semicolons too, values that
will do by ``|``. Means with an interval print as such.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS

_MARK = re.compile(
    r"<!-- table (?P<file>[\w-]+)\.(?P<figure>[^:]+?)(?: where (?P<where>[^:]+))?: (?P<columns>.+?) -->\n"
    r".*?<!-- end of table -->",
    re.DOTALL,
)


TINY = 5e-4
"""What three decimals would show as nothing."""


def filled(text: str, *, results: Path = RESULTS) -> str:
    """The page with its tables as the results have them."""
    return _MARK.sub(lambda found: _table(found, results), text)


def _table(found: re.Match[str], results: Path) -> str:
    result = json.loads((results / f"{found['file']}.json").read_text(encoding="utf-8"))
    figures = result["figures"]
    rows = [row for row in figures[found["figure"]] if _wanted(row, found["where"])]
    columns = [each.strip().partition(" as ")[::2] for each in found["columns"].split(";")]
    lines = ["| " + " | ".join(shown or name for name, shown in columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(_at(row, name)) for name, _ in columns) + " |" for row in rows]
    mark = found[0].partition("\n")[0]
    return "\n".join([mark, "", *lines, "", measured(result), "", "<!-- end of table -->"])


def measured(result: Mapping[str, Any]) -> str:
    """A line under a table: when, and at which commit, its figures were made."""
    commit = result.get("commit")
    at = f"at commit `{commit[:7]}`" if commit else "at a commit that the result does not name"
    return f"*Measured on {result['date']} {at} (`benchmarks/results/{result['benchmark']}.json`).*"


def _at(row: Mapping[str, Any], name: str) -> Any:
    """A figure of a row; of a figure in a figure, by a dotted name."""
    if name in row:
        return row[name]
    outer, _, inner = name.partition(".")
    return row[outer][inner]


def _wanted(row: Mapping[str, Any], where: str | None) -> bool:
    conditions = (each.partition("=") for each in where.split(";")) if where else ()
    return all(str(row[name.strip()]) in value.strip().split("|") for name, _, value in conditions)


def cell(value: Any) -> str:
    """A number to about three digits, a mean with its interval as ``mean [low, high]``."""
    if isinstance(value, dict):
        mean, low, high = (_rounded(value[name]) for name in ("mean", "low", "high"))
        return mean if _unknown(value["low"]) else f"{mean} [{low}, {high}]"
    tiny = isinstance(value, float) and 0 < abs(value) < TINY
    return f"{value:.0e}" if tiny else _rounded(value)


def _rounded(value: Any) -> str:
    if _unknown(value):
        return "-"
    return f"{value:.{_decimals(abs(value))}f}" if isinstance(value, float) else str(value)


def _decimals(size: float) -> int:
    if size == 0:
        return 0
    return 3 if size < 2 else max(0, 2 - math.floor(math.log10(size)))


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def main() -> None:
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
