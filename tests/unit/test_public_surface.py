"""The public surface is what it says, and importing it is light."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import whygen

ROOT = Path(__file__).parents[2]


def test_all_names_are_there_and_nothing_else_is_public() -> None:
    assert sorted(dir(whygen)) == sorted(whygen.__all__)
    assert all(hasattr(whygen, name) for name in whygen.__all__)
    assert not hasattr(whygen, "explain_everything")
    rooms = [path.name for path in (ROOT / "src/whygen").iterdir() if (path / "__init__.py").is_file()]
    assert all(inspect.ismodule(getattr(whygen, room)) for room in rooms)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("explain", "explain_prompt"),
        ("explain_promt", "explain_prompt"),
        ("Explanation", "PromptExplanation"),
        ("Load", "load"),
        ("WhygenError", "whygen.errors.WhygenError"),
    ],
)
def test_a_name_that_is_not_there_is_told_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{wrong}'\. Did you mean .*\b{right}\b"):
        getattr(whygen, wrong)


def test_the_laboratory_lists_its_own_names_alone() -> None:
    assert dir(whygen.lab) == sorted(whygen.lab.__all__)


def test_public_names_have_docstrings_and_keyword_only_options() -> None:
    for name in whygen.__all__:
        member = getattr(whygen, name)
        if name == "__version__":
            continue
        assert inspect.getdoc(member), name
        if inspect.isfunction(member):
            positional = [p for p in inspect.signature(member).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
            assert len(positional) <= 2, name


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == whygen.__version__


@pytest.mark.parametrize(
    "heavy",
    [
        "torch",
        "transformers",
        "sentence_transformers",
        "diffusers",
        "openai",
        "matplotlib",
        "pyarrow",
        "sklearn",
        "ot",
        "scipy.stats",
    ],
)
def test_importing_whygen_imports_nothing_heavy(heavy: str) -> None:
    code = f"import sys, whygen, whygen.cli.app; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_every_dependency_is_pinned() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in (
        "demo",
        "hf",
        "encoder",
        "torch",
        "diffusion",
        "regions",
        "plots",
        "openai",
        "anthropic",
        "dev",
        "shapiq",
        "tables",
        "transport",
    ):
        wanted += project["optional-dependencies"][extra]
    for requirement in wanted:
        name = requirement.split(">")[0].split("=")[0].split("[")[0].strip().lower().replace("_", "-")
        assert name == "whygen" or f"\n{name}==" in f"\n{pins}", requirement
