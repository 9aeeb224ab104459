"""Every dotted name that an error, a docstring or a page tells a reader to use can be used."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import whygen
from whygen import plugins

HOUSE = Path(whygen.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAME = re.compile(r"(?<![\w/.@-])whygen(?:\.[A-Za-z_]\w*)+")


def told() -> Iterator[tuple[str, str]]:
    """Dotted names, and where each is told."""
    for path in sorted(HOUSE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from ((name, path.name) for name in NAME.findall(node.value))
    for path in PAGES:
        yield from ((name, path.name) for name in NAME.findall(path.read_text(encoding="utf-8")))


def is_there(name: str) -> bool:
    """Whether the name is a module, something in one, or a group of entry points."""
    if name in {value for value in vars(plugins).values() if isinstance(value, str)}:
        return True
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def test_a_name_that_is_not_there_is_found_out() -> None:
    assert is_there("whygen.models.LatentModel")
    assert not is_there("whygen.models.Latent")


def test_names_told() -> None:
    """All of them in one test: a parameter each would have every worker read every file before it begins."""
    names = set(told())
    assert len(names) > 300
    lacking = [f"{where} tells of {name}, which is not there" for name, where in sorted(names) if not is_there(name)]
    assert not lacking


def test_the_reference_has_the_whole_surface() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    held = set(re.findall(r":: whygen\.(\w+)$", page, flags=re.MULTILINE))
    assert set(whygen.__all__) - {"__version__"} <= held
