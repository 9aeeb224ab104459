"""The size and shape of the package, and how many of its files an explanation passes. No model's answer is judged.

Lines, files, definitions, functions and import lines are counted by `ast` over ``src/whygen``; the walks by
``sys.setprofile``: of a callable model, eleven words, 64 calls and ``target="tfidf"``, and of 30 anchors by a model of
two matrices, each after one explanation that imports whatever is imported. ``python -m benchmarks house``.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np

import whygen
from benchmarks import record
from benchmarks.anchor_scores import walked

ROOT = Path(whygen.__file__).parent
PROMPT = "Write a short story about a fox and an old castle"
SPINE = ("explain", "question", "ask", "answers", "effects", "assemble")
"""The rooms that a reader follows. An estimand chooses the masks before it estimates, so it is entered twice."""

DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def shape() -> dict[str, object]:
    """Counts over the source of the package."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    lines = [len(text.splitlines()) for text in sources.values()]
    total, top = sum(lines), sum(isinstance(node, DEFINES) for tree in trees.values() for node in tree.body)
    bodies = [_length(node) for tree in trees.values() for node in ast.walk(tree) if isinstance(node, DEFINES[:2])]
    classes = Counter(node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef))
    return {
        "files": len(sources),
        "lines": total,
        "longest file": max(lines),
        "median file": int(np.median(lines)),
        "median function": int(np.median(bodies)),
        "90% of functions within": int(np.quantile(bodies, 0.9)),
        "definitions per 1,000 lines": round(1000 * top / total, 1),
        "% comment lines": round(100 * sum(map(_comments, sources.values())) / total, 2),
        "% import lines": round(100 * sum(map(_imports, trees.values())) / total, 2),
        "class names that stand twice": sorted(name for name, count in classes.items() if count > 1),
        "% lines of each kind": _kinds(sources.values()),
    }


def _kinds(sources: Iterable[str]) -> dict[str, float]:
    """What the lines are: code, the heads of functions, docstrings, blank lines, imports, comments, lone brackets."""
    found = Counter(kind for text in sources for kind in _kind_of_lines(text))
    return {kind: round(100 * count / found.total(), 1) for kind, count in found.most_common()}


def _kind_of_lines(text: str) -> list[str]:
    lines, tree = text.splitlines(), ast.parse(text)
    kinds = ["code"] * len(lines)
    for node in ast.walk(tree):
        if isinstance(node, DEFINES):
            kinds[node.lineno - 1 : node.body[0].lineno - 1] = ["heads"] * (node.body[0].lineno - node.lineno)
        if isinstance(node, ast.Import | ast.ImportFrom):
            kinds[node.lineno - 1 : node.end_lineno] = ["imports"] * ((node.end_lineno or 0) - node.lineno + 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            kinds[node.lineno - 1 : node.end_lineno] = ["docstrings"] * ((node.end_lineno or 0) - node.lineno + 1)
    for place, line in enumerate(map(str.strip, lines)):
        if not line and kinds[place] != "docstrings":
            kinds[place] = "blank"
        elif line.startswith("#"):
            kinds[place] = "comments"
        elif kinds[place] == "code" and not line.strip("()[]{},: "):
            kinds[place] = "brackets"
    return kinds


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def _comments(text: str) -> int:
    return sum(line.lstrip().startswith("#") for line in text.splitlines())


def _imports(tree: ast.Module) -> int:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in found)


def walk() -> dict[str, object]:
    """Files and functions that one prompt enters, and whether the spine is entered in its order."""
    _explain("warm up all of this now")
    files: dict[str, None] = {}
    functions: set[tuple[str, str]] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)) and code.co_name != "<module>":
            files[code.co_filename[len(str(ROOT)) + 1 :]] = None
            functions.add((code.co_filename, code.co_qualname))

    sys.setprofile(look)
    try:
        _explain(PROMPT)
    finally:
        sys.setprofile(None)
    order = list(files)
    entered = [order.index(f"prompt/{room}.py") for room in SPINE]
    return {"files": len(order), "functions": len(functions), "spine in order": entered == sorted(entered)}


def _explain(prompt: str) -> None:
    whygen.explain_prompt(str.upper, prompt, budget=64, target="tfidf", cache=None)


def _rows(figures: dict[str, object]) -> Iterator[str]:
    for name, value in figures.items():
        yield f"{name:30} {value}"


def main(data: Path | None = None) -> None:
    """Count, and keep the figures."""
    del data
    found = {"shape": shape(), "one text prompt": walk(), "one set of anchors": walked()}
    record.write("house", found)
    for name, figures in found.items():
        print(name, *_rows(figures), sep="\n")
