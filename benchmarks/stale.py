"""Which results, and which pages that show them, are older than the code that they describe.

    python -m benchmarks.stale          # or: make bench-check

A result holds a digest of every room of the package (a folder or a file of `src/whygen`), and of every module of the
experiments (as ``whygen_experiments.NAME``), that its benchmark loaded.
The digest is of the code alone: comments, docstrings and layout do not count. A room that cannot change a figure
(`QUIET`) is left out. Exit code 1 where a result is stale, so that a release can be held to it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "whygen"
EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "src" / "whygen_experiments"
RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"
QUIET = frozenset({"cli", "report", "results", "errors", "version", "__init__", "typed"})
"""Rooms that show and save figures and do not make them."""

_TABLE = re.compile(r"<!-- table ([\w-]+)\.")


def loaded_rooms(modules: Iterable[str]) -> list[str]:
    """Rooms among names of modules, sorted: ``prompt`` of ``whygen.prompt.sets``."""
    parts = [name.split(".") for name in modules]
    own = {part[1] for part in parts if part[0] == "whygen" and len(part) > 1} - QUIET
    return sorted(own | {".".join(part[:2]) for part in parts if part[0] == EXPERIMENTS.name and len(part) > 1})


def digests(rooms: Iterable[str]) -> dict[str, str | None]:
    """Digest of the code of each room; None where the room is no more."""
    return {room: _digest(room) for room in rooms}


def _digest(room: str) -> str | None:
    distribution, dot, name = room.rpartition(".")
    root, name = (EXPERIMENTS, name) if dot and distribution == EXPERIMENTS.name else (PACKAGE, room)
    folder, file = root / name, root / f"{name}.py"
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [file] if file.is_file() else []
    if not files:
        return None
    found = hashlib.sha256()
    for path in files:
        code = _code(path.read_text(encoding="utf-8"))
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + code.encode() + b"\0")
    return found.hexdigest()[:16]


@cache  # a benchmark writes its record after each row
def _code(source: str) -> str:
    """A program without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [each for each in body if not _is_text(each)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a text alone: a docstring, or one below a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def why_stale(path: Path) -> str | None:
    """Why a result is older than the code; None where it is not."""
    result = json.loads(path.read_text(encoding="utf-8"))
    measured = result.get("code")
    if not measured:
        return "does not say which code it measured"
    now = digests(measured)
    changed = [room for room, digest in measured.items() if now[room] != digest]
    if changed:
        return f"measured before changes in {', '.join(changed)}"
    rows = result["figures"].get("rows")
    commits = {row.get("commit") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    return "holds rows of an earlier commit" if commits - {None, result["commit"]} else None


def pages_of(result: str) -> list[str]:
    """Pages of the docs that show a table of a result."""
    pages = sorted(DOCS.rglob("*.md"))
    return [page.relative_to(DOCS).as_posix() for page in pages if result in _TABLE.findall(page.read_text("utf-8"))]


def main() -> int:
    """Print a line for each result that is older than the code, and the pages that show it."""
    late = 0
    for path in sorted(RESULTS.glob("*.json")):
        why = why_stale(path)
        if why is None:
            continue
        late += 1
        shown = pages_of(path.stem)
        print(f"{path.stem}: {why}; shown on {', '.join(shown) or 'no page'}")
    print(f"{late} results are older than the code." if late else "Every result was measured with the code as it is.")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
