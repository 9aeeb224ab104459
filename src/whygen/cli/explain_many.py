"""`whygen explain-many FILE`: many prompts or recorded calls, within one budget, each with a report of its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common
from whygen.cli import inputs as given_inputs
from whygen.cli.inputs import read_settings
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.cli.prompt import run_options, tell_forecast
from whygen.interrupts import INTERRUPTED
from whygen.models import ModelOptions
from whygen.prompt.arguments import PromptArguments
from whygen.prompt.each import Damaged, ManyForecast, forecast_many
from whygen.prompt.each import explain_many as explain
from whygen.prompt.options import TEXT
from whygen.report.texts import counted
from whygen.results.many import PAGE, Explanations
from whygen.results.summary.words import drivers
from whygen.types import Settings

CHOICES = Offers(PromptArguments, TEXT)


@with_options(CHOICES, Offers(Settings), Offers(Budget), Offers(Rates), Offers(RunOptions), Offers(ModelOptions))
def explain_many(
    file: Annotated[
        Path, typer.Argument(help="A prompt on each line; or JSON Lines of texts, chats or recorded calls.")
    ],
    *,
    out: Annotated[
        Path, option("Where to write", "-o", "--out", help="A folder for all explanations; the same again goes on.")
    ],
    model: Annotated[
        str | None,
        option(
            "What to explain",
            help="A model URI. Recorded calls name their own without it.",
            autocompletion=complete_model,
        ),
    ] = None,
    setting: given_inputs.Setting = None,
    damaged: Annotated[
        str, option("For experts: the run", help="skip a prompt that cannot be read, or stop before anything is asked.")
    ] = "skip",
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    dry_run: common.DryRun = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Explain many prompts or recorded calls, and write a page that lists them."""
    del debug  # read by the outermost handler of errors
    asked: dict[str, Any] = chosen(CHOICES, given)
    extra = read_settings(setting)
    if extra or any(each.name in given for each in Offers(Settings).options()):  # else a recorded call keeps its own
        asked["settings"] = made(Settings, given, seed=given.get("seed", 0), extra=extra)
    options, run = made(ModelOptions, given), run_options(given)
    if dry_run:
        _show_forecast(forecast_many(model, file, options=options, run=run, **asked), as_json=as_json)
        return
    store, progress = common.store_path(cache, no_cache), common.progress_for(quiet, as_json=as_json)
    common.try_store(store)
    found = explain(
        model, file, out=out, cache=store, progress=progress, options=options, run=run,
        damaged=cast("Damaged", damaged), **asked,
    )  # fmt: skip
    try:
        _show(found, out, as_json=as_json, quiet=quiet)
    except OSError:  # the terminal is gone; everything was saved before
        if found.reason != "interrupt":
            raise
    if found.reason == "interrupt":
        raise typer.Exit(INTERRUPTED)
    if found.reason or found.failed:
        raise typer.Exit(common.ENDED_EARLY)


def _show_forecast(found: ManyForecast, *, as_json: bool) -> None:
    if as_json:
        common.print_json(asdict(found))
        return
    for name, why in found.failed.items():
        common.tell(f"{name}: failed. {why}")
    again = f", of which {len(found.again):,} are asked as one before them" if found.again else ""
    common.tell(f"{counted(len(found.each), 'prompt')}{again}.")
    tell_forecast(found.together, calls=f"{counted(found.together.calls, 'call')} (more where repeats differ)")


def _show(found: Explanations, out: Path, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        common.print_json(found.to_dict())
    elif not quiet:
        for each in found:
            if each.explanation is None:
                common.tell(f"{each.name}: failed. {each.error}")
            else:
                common.tell(f"{each.name}: {drivers(each.explanation)}")
    if not quiet:
        failed = f", {len(found.failed)} failed" if found.failed else ""
        common.say(f"{counted(len(found.explanations), 'prompt')} explained{failed}. Page: {out / PAGE}")
        if found.ended:
            common.say(found.ended)
