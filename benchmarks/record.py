"""Writes results as data: figures with seed, versions and machine, and a table for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("whygen", "numpy", "scipy", "scikit-learn", "POT", "torch", "transformers", "sentence-transformers")


def write(name: str, figures: Mapping[str, object], *, seed: int | None = None) -> Path:
    """Keep the figures of one benchmark as ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    record = {
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {library: _version(library) for library in _LIBRARIES},
        "figures": figures,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def rows(name: str) -> list[dict[str, object]]:
    """The rows that were kept before; none where there is no result yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["figures"].get("rows", []) if path.is_file() else []


def add_rows(name: str, new: Sequence[Mapping[str, object]], *, key: Sequence[str]) -> list[dict[str, object]]:
    """The kept rows with these in the place of those of equal key, in the order of the first coming; kept at once."""
    kept = {tuple(row[each] for each in key): dict(row) for row in (*rows(name), *new)}
    write(name, {"rows": list(kept.values())})
    return list(kept.values())


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as a Markdown table."""
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(row[head]) for head in heads) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
