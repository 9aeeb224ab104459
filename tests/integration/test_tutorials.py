"""The tutorials run again, and still print what they show; and a newcomer's walk, as the README types it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from doc_pages import ROOT, answer, blocks
from faults.server import FaultServer

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
QUICK = ("rag-call",)
"""Opens no large library: run with every change."""


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell printed or gave, but for digits, which may end otherwise on another machine."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
            if not text.startswith(("Asking", "Scoring")):  # bars
                found.append(re.sub(r"[\d.]+", "0", text))
    return found


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem) for path in TUTORIALS],
)
def test_a_tutorial_shows_what_it_prints(path: Path, tmp_path: Path) -> None:
    kept = nbformat.read(path, 4)
    assert sum(map(bool, printed(kept))) >= 3
    again = nbformat.read(path, 4)
    environment = {**os.environ, "WHYGEN_CACHE_DIR": str(tmp_path), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    client = NotebookClient(again, timeout=280, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    assert printed(again) == printed(kept)


def test_a_tutorial_is_small_and_holds_no_state_of_a_widget() -> None:
    assert len(TUTORIALS) == 3
    for path in TUTORIALS:
        assert path.stat().st_size < 100_000, path
        assert "widgets" not in nbformat.read(path, 4).metadata


@pytest.mark.slow
def test_a_newcomers_walk_is_five_commands_to_an_explanation_of_ones_own(tmp_path: Path) -> None:
    """The README's lines in a new environment; pip finds what is installed here, so that nothing is downloaded."""
    walk = next(block for block in blocks(ROOT / "README.md") if "python3 -m venv" in block.text)
    assert len(walk.text.splitlines()) == 5
    for name in ("src", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        (tmp_path / name).symlink_to(ROOT / name)
    with FaultServer(text=answer) as server:
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "OPENAI_API_KEY")},
            "OPENAI_BASE_URL": server.url, "WHYGEN_CACHE_DIR": str(tmp_path / "cache"),
            "WHYGEN_PRICES": str(tmp_path / "prices.json"),
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's word for: build with what is here
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages")),
            "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]]),
        }  # fmt: skip
        (tmp_path / "prices.json").write_text('{"openai/gpt-4o-mini": {"input": 0.15, "output": 0.6}}')
        done = subprocess.run(
            ["bash", "-e", "-c", walk.text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "why" / "report.html").is_file()
    assert "tea" in done.stdout
    assert len(server.received) > 10
