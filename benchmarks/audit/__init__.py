"""The published gSMILE and PXGen procedures beside calibrated ones, on the same data: figures of ``docs/audit.md``.

``python -m benchmarks audit`` measures gSMILE on the recorded run of the package; with ``--data FOLDER``, which holds
mnist.npz, it measures PXGen. The figures of the other stay as they were.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.audit import prompts

SEED = 1


def main(data: Path | None = None) -> None:
    found = prompts.findings(SEED) if data is None else _anchors(data)
    for name, rows in found.items():
        print(f"\n{name}\n{record.table(rows)}")
    record.write("audit", _kept() | found, seed=SEED)


def _anchors(data: Path) -> dict[str, list[dict[str, Any]]]:
    from benchmarks.audit import anchors  # torch

    return anchors.findings(data)


def _kept() -> dict[str, list[dict[str, Any]]]:
    known = record.RESULTS / "audit.json"
    return json.loads(known.read_text(encoding="utf-8"))["figures"] if known.is_file() else {}
