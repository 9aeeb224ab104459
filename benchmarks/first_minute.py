"""The first minute: seconds from starting `whygen demo`, installed, to the first heatmap and to the end."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import record

POLL = 0.05


def run() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from whygen.cli import main; main()", "demo", "-o", folder, "--no-cache"]
        heatmap = Path(folder) / "prompt" / "report.html"
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        first = None
        while process.poll() is None:
            if first is None and heatmap.exists():
                first = time.perf_counter() - begun
            time.sleep(POLL)
        whole = time.perf_counter() - begun
    return {"first heatmap s": first, "whole demo s": whole, "exit code": process.returncode}


def main(data: Path | None = None) -> None:
    del data
    figures = run()
    print(record.table([figures]))
    record.write("first_minute", figures)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
