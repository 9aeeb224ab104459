"""Every file of the house says in its first words what it holds."""

import ast
from pathlib import Path

import pytest

import whygen

HOUSE = Path(whygen.__file__).parent


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_file_says_what_it_holds(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert said is not None
    assert len(said.split()) >= 4
