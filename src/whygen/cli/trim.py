"""`whygen trim MODEL TEMPLATE --inputs FILE`: the shortest prompt found that is not worse over the inputs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from whygen.calls import Budget, Interrupted, Rates, RunOptions
from whygen.cli import common
from whygen.cli import inputs as given_inputs
from whygen.cli.inputs import read_inputs, read_settings
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.cli.outermost import say
from whygen.cli.prompt import given_prompt, run_options, tell_forecast
from whygen.interrupts import INTERRUPTED
from whygen.models import ModelOptions
from whygen.prompt.arguments import PromptArguments
from whygen.prompt.options import TRIM
from whygen.prompt.trim import foresee_trim
from whygen.prompt.trim import trim as trimmed
from whygen.prompt.trim.door import ERROR, MARGIN
from whygen.results.files import REPORT, make_folder
from whygen.results.summary import write_html
from whygen.results.summary.trimmed import summarise_trimmed, told
from whygen.results.trimmed import Trimmed
from whygen.texts import counted
from whygen.types import Settings

CHOICES = Offers(PromptArguments, TRIM)


@with_options(CHOICES, Offers(Settings), Offers(Budget), Offers(Rates), Offers(RunOptions), Offers(ModelOptions))
def trim(
    model: Annotated[
        str,
        typer.Argument(help="A model URI such as openai/gpt-4o-mini or hf/ORG/NAME.", autocompletion=complete_model),
    ],
    source: Annotated[
        str | None,
        typer.Argument(metavar="TEMPLATE|-|@FILE", help="A system prompt, or a text that says {input}."),
    ] = None,
    *,
    inputs: Annotated[
        Path,
        option(
            "What to explain",
            help="Lines, JSON Lines or a JSON list: user messages, texts for {input}, or objects with a text a field.",
        ),
    ],
    chat: Annotated[
        Path | None,
        option("What to explain", "--chat", help="Instead of TEMPLATE: a JSON list of messages before the input."),
    ] = None,
    margin: Annotated[
        float,
        option(
            "What to measure",
            help="How much worse, on average over inputs, still counts as not worse: a share of all an input can lose.",
        ),
    ] = MARGIN,
    error: Annotated[
        float,
        option("What to measure", help="The chance, at most, that a prompt worse by the margin is called not worse."),
    ] = ERROR,
    over: Annotated[
        str,
        option("What to measure", help="What that holds for: inputs like-these, or these alone."),
    ] = "like-these",
    worst: Annotated[
        float | None,
        option("What to measure", help="For a score outside 0 to 1: the fall that counts as losing everything."),
    ] = None,
    budget: Annotated[
        int | None,
        option("How much to spend", help="Answers asked for in all, at most; --dry-run says how many otherwise."),
    ] = None,
    setting: given_inputs.Setting = None,
    how: common.Shared,
    given: Given,
) -> None:
    """Find the shortest prompt that is not worse over many inputs, and write it."""
    template = given_prompt(model, source, None, chat, command="trim")
    choices: dict[str, Any] = {
        **chosen(CHOICES, given),
        "inputs": read_inputs(inputs),
        "margin": margin,
        "error": error,
        "over": over,
        "worst": worst,
        "budget": budget,
        "settings": made(Settings, given, seed=given.get("seed", 0), extra=read_settings(setting)),
        "options": made(ModelOptions, given),
        "run": run_options(given),
    }
    if how.dry_run:
        forecast = foresee_trim(model, template, **choices)
        if how.as_json:
            common.print_json(asdict(forecast))
        else:
            tell_forecast(forecast, calls=f"at most {counted(forecast.calls, 'call')}")
        return
    common.try_store(how.store)
    with common.made_folder(how.out):
        try:
            found = trimmed(model, template, cache=how.store, progress=how.progress(), **choices)
        except Interrupted as stop:
            _show_partial(stop.explanation, how)
            raise typer.Exit(INTERRUPTED) from None
        if found.ended is None:
            _show(found, how.out, how)
            return
        _show_partial(found, how)
    raise typer.Exit(common.ENDED_EARLY)


def _show_partial(found: Trimmed, how: common.Shared) -> None:
    """Save and print what an unfinished run had, and name the command that goes on."""
    with suppress(OSError):  # the terminal is gone; it was saved before it was shown
        _show(found, how.partial(), how)
    how.say_what_goes_on()


def _show(found: Trimmed, out: Path | None, how: common.Shared) -> None:
    """Save what was found with its page, and print it; with --quiet the cleaned prompt alone is on stdout."""
    if out is not None:
        found.save(make_folder(out))
        write_html(summarise_trimmed(found), out / REPORT)
    if how.as_json:
        common.print_json(found.to_dict())
        return
    if not how.quiet:
        for line in told(found):
            say(line)
        if out is not None:
            say(f"The cleaned prompt: {out / found.file[0]}. Report: {out / REPORT}")
    common.tell(found.file[1].removesuffix("\n"))
