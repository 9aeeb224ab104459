"""`whygen demo`: both wings on the embedded models, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer
from rich.rule import Rule

import whygen
from whygen.cli import common
from whygen.cli.anchors import DIGITS
from whygen.results import AnchorExplanation, PromptExplanation

PROMPT = (
    "Please write a short story about a curious fox in a foggy harbor, and let a lantern appear. "
    "My neighbour called twice about the printer."
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
    """Explain a real prompt to a language model, and what a VAE has learned; no network, under two minutes."""
    del debug
    silent = quiet or as_json
    _announce("Why this output? Which words drove the story", silent)
    store = common.store_path(cache, no_cache)
    with common.made_folder(out / "prompt"), common.made_folder(out / "anchors"):
        story = _explain_story(store, seed, silent)
        common.show(story, out=out / "prompt", as_json=False, quiet=silent)
        _announce("What has this model learned? A VAE of handwritten zeros", silent)
        digits = _explain_digits(store, seed, silent)
        common.show(digits, out=out / "anchors", as_json=False, quiet=silent)
    if as_json:
        reports = [str(out / part / "report.html") for part in ("prompt", "anchors")]
        common.print_json({"prompt": story.to_dict(), "anchors": digits.to_dict(), "reports": reports})


def _announce(title: str, silent: bool) -> None:
    if not silent:
        common.console_for_people().print(Rule(title))


def _explain_story(cache: Path | str | None, seed: int, silent: bool) -> PromptExplanation:
    progress = common.progress_for(silent)
    return whygen.explain_prompt("demo/storyteller", PROMPT, budget=BUDGET, seed=seed, cache=cache, progress=progress)


def _explain_digits(cache: Path | str | None, seed: int, silent: bool) -> AnchorExplanation:
    from whygen.demo.digits import digits

    progress = common.progress_for(silent)
    found = whygen.explain_anchors(DIGITS, digits("anchors"), seed=seed, cache=cache, progress=progress)
    return cast("AnchorExplanation", found)
