"""`whygen demo`: both wings on the embedded models, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.rule import Rule

import whygen
from whygen.cli import common
from whygen.report import print_terminal, write_html

PROMPT = (
    "Please write a short story about a curious fox in a misty harbour, and let a golden lantern appear. "
    "My neighbour said the printer is out of paper again."
)
BUDGET = 128


def demo(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the reports.")] = Path("whygen-demo"),
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    seed: common.Seed = 0,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    debug: common.Debug = False,
) -> None:
    """Explain a real prompt to a real (small) language model; no network, under two minutes."""
    del debug
    people = common.console_for_people()
    if not (quiet or as_json):
        people.print(Rule("Why this output? Which words drove the story"))
    explanation = whygen.explain_prompt(
        "demo/storyteller",
        PROMPT,
        budget=BUDGET,
        seed=seed,
        cache=common.store_path(cache, no_cache),
        progress=common.progress_for(quiet or as_json),
    )
    folder = common.make_folder(out / "prompt")
    explanation.save(folder)
    write_html(explanation, folder / "report.html")
    if as_json:
        common.print_json({"prompt": explanation.to_dict(), "reports": [str(folder / "report.html")]})
    elif not quiet:
        print_terminal(explanation, common.console_for_output())
        people.print(f"Report: {folder / 'report.html'}", markup=False, highlight=False)
