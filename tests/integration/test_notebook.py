"""A real notebook: progress below the cell, plots and pages that show, tables that pandas takes."""

from __future__ import annotations

import os
from typing import Any

import nbformat
from nbclient import NotebookClient

ASKED = """
import whygen
found = whygen.explain_prompt("planted/additive", "a fox ran home", target="token-set", budget=24, cache=None)
"""
WAITED = """
more = await whygen.aexplain_prompt("planted/additive", "a fox ran", target="token-set", budget=16, cache=None)
print(found.top(1)[0].text, found["fox"].text, len(more.units), sorted(found.table())[0])
"""
BESIDE = """
beside = whygen.compare(found, found.read(target="edit"))
print(sorted(beside.table())[:2], len(beside.table()["text"]), sorted(whygen.evaluate(found).table())[:2])
beside
"""
WRONG = """whygen.explain_prompt("planted/additive", "a fox ran home", targt="token-set")"""


def run(*cells: str) -> list[Any]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    NotebookClient(notebook, timeout=120, allow_errors=True).execute(env=environment)
    return [cell.outputs for cell in notebook.cells]


def kinds(outputs: list[Any]) -> set[str]:
    return {kind for output in outputs for kind in output.get("data", {})}


def test_a_notebook_shows_progress_pages_and_plots() -> None:
    asked, page, plot, printed, beside, wrong = run(
        ASKED, "found", "ax = found.plot_attributions()", WAITED, BESIDE, WRONG
    )
    assert "application/vnd.jupyter.widget-view+json" in kinds(asked) or "it/s" in str(asked) or "call" in str(asked)
    assert "text/html" in kinds(page)
    assert "image/png" in kinds(plot)
    assert "fox 3 attribution" in "".join(output.get("text", "") for output in printed)
    assert "['changed', 'first'] 4" in "".join(output.get("text", "") for output in beside)
    assert "text/html" in kinds(beside)
    assert "Did you mean target" in str(wrong[-1])
