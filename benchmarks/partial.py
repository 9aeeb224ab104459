"""Rows of a long benchmark, kept as they are done: a run that was broken off takes up where it ended."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = Path("build")

Row = dict[str, object]


class Rows:
    """Rows by name, in ``build/NAME.json``.

    Args:
        name: of the benchmark.
        minutes: after so many no further row is begun.
        fresh: forget the rows that are there.
    """

    def __init__(self, name: str, *, minutes: float = 600.0, fresh: bool = False) -> None:
        self._path = FOLDER / f"{name}.json"
        self._end = time.monotonic() + 60.0 * minutes
        self.known: dict[str, Row] = {}
        if self._path.is_file() and not fresh:
            self.known = json.loads(self._path.read_text(encoding="utf-8"))

    def get(self, key: str, work: Callable[[], Mapping[str, object]]) -> Row | None:
        """The row of that name, worked out if it is not there; None where there is no more time for it."""
        if key not in self.known:
            if time.monotonic() > self._end:
                return None
            self.known[key] = dict(work())
            FOLDER.mkdir(exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self.known), encoding="utf-8")
            new.replace(self._path)
        return self.known[key]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """``--minutes`` and ``--fresh``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no further row after so many minutes")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are done")
    return parser
