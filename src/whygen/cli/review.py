"""`whygen review BASE HEAD`: what a pull request changes in its prompts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from whygen.bridges.review.changes import Repository
from whygen.bridges.review.comment import comment as written
from whygen.bridges.review.explaining import MOST
from whygen.bridges.review.explaining import review as reviewed
from whygen.bridges.review.github import PullRequest
from whygen.calls import Budget, Rates, RunOptions, SharedBudget
from whygen.cli import common
from whygen.cli.inputs import read_inputs
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, made, option, with_options
from whygen.models import ModelOptions
from whygen.results.files import write_together
from whygen.types import Settings


@with_options(Offers(Settings), Offers(Budget), Offers(Rates), Offers(RunOptions, but=("batch",)), Offers(ModelOptions))
def review(
    base: Annotated[str, typer.Argument(help="The commit or branch that is merged into.")],
    head: Annotated[str, typer.Argument(help="The last commit of the pull request.")] = "HEAD",
    *,
    model: Annotated[
        str, option("What to explain", help="A model URI such as openai/gpt-4o-mini.", autocompletion=complete_model)
    ],
    prompts: Annotated[
        list[str],
        option("What to explain", help="Which files are prompts, such as 'prompts/*.txt'; may be given again."),
    ],
    inputs: Annotated[
        Path | None,
        option("What to explain", help="Inputs that every prompt is explained over: lines, JSON Lines or a JSON list."),
    ] = None,
    most: Annotated[
        int, option("How much to spend", min=1, help="Changed prompts that are explained, at most.")
    ] = MOST,
    budget: Annotated[
        int | None, option("How much to spend", min=1, help="Calls for each side of a prompt; 64, or 64 an input.")
    ] = None,
    target: Annotated[
        str, option("What to measure", help="What of the answer: auto, exact, contains:TEXT, label:... and so on.")
    ] = "auto",
    units: Annotated[str, option("What to explain", help="What prompts are cut into.")] = "sentence",
    out: Annotated[Path | None, option("Where to write", "-o", "--out", help="A file for the comment.")] = None,
    comment: Annotated[
        str | None,
        option("Where to write", help="Write the comment to the pull request owner/name#12; 'here' in a workflow."),
    ] = None,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    quiet: common.Quiet = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Explain the prompts that changed between two commits, before and after, and say what does something else."""
    del debug  # read by the outermost handler of errors
    where = None if comment is None else PullRequest.named("" if comment == "here" else comment)
    store = common.store_path(cache, no_cache)
    common.try_store(store)
    choices: dict[str, Any] = {} if budget is None else {"budget": budget}
    found = reviewed(
        Repository(Path()), base, head, model=model, patterns=prompts, most=most, units=units, target=target,
        inputs=None if inputs is None else read_inputs(inputs), cache=store, options=made(ModelOptions, given),
        settings=made(Settings, given), progress=common.progress_for(quiet, as_json=True),
        run=made(RunOptions, given, spending=SharedBudget(made(Budget, given)), rates=made(Rates, given)), **choices,
    )  # fmt: skip
    text = written(found)
    if out is not None:
        write_together(out.parent, {out.name: text.encode()})
    if not quiet:
        sys.stdout.write(text)
    if where is not None and found.prompts:
        common.say(f"Comment: {where.write(text)}")
    if found.ended:
        raise typer.Exit(common.ENDED_EARLY)
