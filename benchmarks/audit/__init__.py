"""The published gSMILE and PXGen procedures beside calibrated ones, on the same data: the figures of ``docs/audit.md``.

``python -m benchmarks audit`` measures gSMILE on the recorded run of the package; ``--data FOLDER`` (with mnist.npz)
PXGen, too. Without it the figures of PXGen stay as they were.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.audit import prompts

SEED = 1


def main(data: Path | None = None) -> None:
    figures = _kept() | prompts.findings(SEED)
    if data is not None:
        from benchmarks.audit import anchors  # torch

        figures |= anchors.findings(data)
    for name, rows in figures.items():
        print(f"\n{name}\n{record.table(rows)}")
    record.write("audit", figures, seed=SEED)


def _kept() -> dict[str, list[dict[str, Any]]]:
    known = record.RESULTS / "audit.json"
    return json.loads(known.read_text(encoding="utf-8"))["figures"] if known.is_file() else {}
