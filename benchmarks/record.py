"""Writes results as data: figures with the code, options and seed that made them, and a table for people.

A result says what it measured: the commit, a digest of each room of the package that was loaded, and the options that
were the default then. `python -m benchmarks.stale` compares these with the code as it is now.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import stale

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("whygen", "numpy", "scipy", "scikit-learn", "POT", "torch", "transformers", "sentence-transformers")


def write(name: str, figures: Mapping[str, object], *, seed: int | None = None) -> Path:
    """Keep the figures of one benchmark as ``results/NAME.json``, with the code and the options behind them."""
    RESULTS.mkdir(exist_ok=True)
    loaded = stale.loaded_rooms(sys.modules)
    record = {
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "commit": commit(),
        "code": stale.digests(loaded),
        "options": _options(loaded),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {library: _version(library) for library in _LIBRARIES},
        "figures": figures,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def figures(name: str) -> dict[str, Any]:
    """The figures that were kept before; none where there is no result yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["figures"] if path.is_file() else {}


def rows(name: str) -> list[dict[str, object]]:
    """The rows that were kept before; none where there is no result yet."""
    return figures(name).get("rows", [])


def add_rows(name: str, new: Sequence[Mapping[str, object]], *, key: Sequence[str]) -> list[dict[str, object]]:
    """The kept rows with these in the place of those of equal key, in the order of the first coming; kept at once.

    Each row names the commit it was measured at, since the rows of a file may come from several runs.
    """
    here = [{**row, "commit": commit()} for row in new]
    kept = {tuple(row[each] for each in key): dict(row) for row in (*rows(name), *here)}
    write(name, {"rows": list(kept.values())})
    return list(kept.values())


def commit() -> str | None:
    """The commit that was measured, with a ``+`` where files of the package differed from it; None without git."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = ["git", "status", "--porcelain", "--", "../src", "."]
        dirty = subprocess.run(changed, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    own = [line for line in dirty.stdout.splitlines() if "/results/" not in line]
    return head.stdout.strip() + ("+" if own else "")


def _options(loaded: Sequence[str]) -> dict[str, object]:
    """The options that each wing takes unless told otherwise, of the wings that were loaded."""
    found: dict[str, object] = {}
    if "prompt" in loaded:
        from whygen.prompt.options import PromptOptions

        found["prompt"] = _plain(PromptOptions())
    if "anchors" in loaded:
        from whygen.anchors.options import DEFAULT

        found["anchors"] = _plain(DEFAULT)
    return found


def _plain(options: object) -> dict[str, object]:
    """Fields of a dataclass that JSON can hold; the others by their text."""
    plain = (str, int, float, bool, type(None))
    names = [field.name for field in fields(options)]  # type: ignore[arg-type]
    values = {name: getattr(options, name) for name in names}
    return {name: value if isinstance(value, plain) else str(value) for name, value in values.items()}


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as a Markdown table."""
    heads = [head for head in rows[0] if head != "commit"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(row[head]) for head in heads) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
