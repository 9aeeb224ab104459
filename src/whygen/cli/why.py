"""`whygen why CALL`: which part of a recorded call made the model answer as it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import whygen
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common
from whygen.cli import inputs as given_inputs
from whygen.cli.inputs import read_settings
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.cli.prompt import run_options, show_forecast
from whygen.models import ModelOptions
from whygen.prompt.options import TEXT, PromptArguments
from whygen.prompt.why.settings import LENGTHS, sent_as
from whygen.records import Call
from whygen.types import JsonValue, Settings

CHOICES = Offers(PromptArguments, TEXT, but=("suspect",))


@with_options(CHOICES, Offers(Settings), Offers(Budget), Offers(Rates), Offers(RunOptions), Offers(ModelOptions))
def why(
    call: Annotated[
        Path,
        typer.Argument(metavar="CALL", help="A recorded call: JSON of a request, a line of a log, an export."),
    ],
    *,
    pick: Annotated[
        str | None,
        option("What to explain", help="Which of several calls: its number, its id, or last."),
    ] = None,
    model: Annotated[
        str | None, option("What to explain", help="Ask this model instead of the one that the record names.")
    ] = None,
    suspect: Annotated[
        list[str] | None,
        option(
            "What to explain",
            help="A part that is asked whether the answer comes from it, such as 'user message 2'; may be given again. "
            "Results of tools, documents and memories are suspects by themselves.",
        ),
    ] = None,
    setting: given_inputs.Setting = None,
    out: common.Out = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    cache: common.Cache = None,
    no_cache: common.NoCache = False,
    dry_run: common.DryRun = False,
    debug: common.Debug = False,
    given: Given,
) -> None:
    """Explain which part of a recorded call made the model answer, or act, as it did."""
    del debug  # read by the outermost handler of errors
    asked = Call.read(call, int(pick) if pick is not None and pick.isdecimal() else pick)
    choices: dict[str, Any] = {
        **chosen(CHOICES, given),
        **({} if suspect is None else {"suspect": tuple(suspect)}),
        "settings": _settings(asked, model, given, read_settings(setting)),
        "options": made(ModelOptions, given),
        "run": run_options(given),
    }
    if dry_run:
        show_forecast(whygen.forecast(model, asked, **choices), as_json=as_json)
        return
    store, progress = common.store_path(cache, no_cache), common.progress_for(quiet, as_json=as_json)
    common.explained(
        lambda: whygen.explain_prompt(model, asked, cache=store, progress=progress, **choices),
        out=out, as_json=as_json, quiet=quiet, cache=store, batch=given.get("batch"),
    )  # fmt: skip


def _settings(call: Call, model: str | None, given: Given, extra: dict[str, JsonValue]) -> Settings | None:
    """The record's settings with what was typed in their place; None where nothing was."""
    typed = {name: given[name] for name in ("temperature", "max_tokens", "top_p", "stop") if name in given}
    if not typed and not extra:
        return None
    sent = sent_as(call, model, made(ModelOptions, given))
    lengths = LENGTHS if "max_tokens" in typed else frozenset[str]()
    kept = {name: value for name, value in sent.extra.items() if name not in typed and name not in lengths}
    return replace(sent, **typed, extra={**kept, **extra})
