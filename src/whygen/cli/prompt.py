"""`whygen prompt MODEL TEXT`: which units of a prompt drove the output."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import whygen
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common, drawing
from whygen.cli import inputs as given_inputs
from whygen.cli.inputs import read_inputs, read_settings
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.prompt.arguments import PromptArguments
from whygen.prompt.chat_files import read_chat
from whygen.prompt.forecast import Forecast
from whygen.prompt.inputs import as_template
from whygen.prompt.options import TEXT
from whygen.prompt.units import Input
from whygen.safe import visible
from whygen.texts import counted
from whygen.types import Chat, Settings, Template

CHOICES = Offers(PromptArguments, TEXT)
DRAWN = Offers(drawing.PictureSettings, TEXT)


@with_options(CHOICES, DRAWN, Offers(Settings), Offers(Budget), Offers(Rates), Offers(RunOptions), Offers(ModelOptions))
def prompt(
    model: Annotated[str, typer.Argument(help="demo/storyteller, openai/NAME, ...", autocompletion=complete_model)],
    source: Annotated[str | None, typer.Argument(metavar="TEXT|-|@FILE", help="The prompt.")] = None,
    *,
    chat: Annotated[
        Path | None,
        option("What to explain", "--chat", help="Instead of TEXT: a JSON list of messages."),
    ] = None,
    inputs: Annotated[
        Path | None,
        option(
            "What to explain",
            help="A file of inputs to explain it over. One a line, or a JSON list. They stand at {input} in TEXT, "
            "fill its fields if they are objects, or follow it as user messages.",
        ),
    ] = None,
    span: Annotated[
        str | None,
        option("What to measure", help="A text of the output: why did it say this? By log-probability."),
    ] = None,
    text: Annotated[
        str | None, option("For experts: the question", "--text", help="The prompt, whatever it begins with.")
    ] = None,
    over_inputs: Annotated[
        str | None,
        option(
            "For experts: the estimate", "--over", help="With --inputs: what intervals hold for, like-these or these."
        ),
    ] = None,
    setting: given_inputs.Setting = None,
    how: common.Shared,
    given: Given,
) -> None:
    """Explain which units of a prompt drove what the model answered."""
    asked: str | Chat | Template = given_prompt(model, source, text, chat, command="prompt")
    drawn = chosen(DRAWN, given)
    drawing.check_draws(model, given.get("endpoint"), drawn)
    choices: dict[str, Any] = {
        **chosen(CHOICES, given),
        "settings": made(
            Settings,
            given,
            seed=given.get("seed", 0),
            extra=drawing.picture_settings(read_settings(setting), drawn),
        ),
        "options": made(ModelOptions, given),
        "run": run_options(given),
    }
    if span is not None:
        choices["target"] = _with_span(choices.get("target"), span)
    if inputs is None and over_inputs is not None:
        raise UsageError("--over goes with --inputs: leave it out, or give --inputs FILE.")
    if inputs is not None:
        asked, choices["inputs"] = _over(asked, inputs, choices)
        choices |= {} if over_inputs is None else {"over": over_inputs}
    if how.dry_run:
        show_forecast(whygen.forecast(model, asked, **choices), as_json=how.as_json)
        return
    common.explained(
        lambda: whygen.explain_prompt(model, asked, cache=how.store, progress=how.progress(), **choices),
        how,
        batch=given.get("batch"),
    )


def run_options(given: Given) -> RunOptions:
    """What the run may spend, how fast and how long."""
    return made(RunOptions, given, spending=made(Budget, given), rates=made(Rates, given))


def _over(given: str | Chat, path: Path, choices: dict[str, Any]) -> tuple[Template | Chat, list[Input]]:
    """A chat, a template, or a text as the system prompt, to be explained over the inputs in a file."""
    if "preset" in choices:
        raise UsageError("--preset does not go with --inputs: leave one of them out.")
    return as_template(given, read_inputs(path))


def _with_span(target: str | None, span: str) -> str:
    """``--span snow`` is ``--target logprob:snow``; with ``--target contains`` it is that target's span."""
    if target not in {None, "auto", "logprob", "contains"}:
        raise UsageError(f"--span goes with --target logprob or contains, not with {target!r}.")
    return f"{'contains' if target == 'contains' else 'logprob'}:{span}"


def show_forecast(forecast: Forecast, *, as_json: bool) -> None:
    """Print calls, tokens and cost; a price that is not known is said to be unknown, not guessed."""
    if as_json:
        common.print_json(asdict(forecast))
        return
    tell_forecast(forecast, calls=f"{counted(forecast.calls, 'call')} (up to the whole budget if repeats differ)")


def tell_forecast(forecast: Forecast, *, calls: str) -> None:
    """Print a forecast for a person; ``calls`` says how many there will be."""
    tokens = "unknown" if forecast.tokens_in is None else f"{forecast.tokens_in:,}"
    for line in forecast.about:
        common.tell(visible(line))
    common.tell(f"{counted(forecast.units, 'unit')}, {calls}")
    cost = "unknown" if forecast.cost_at_most is None else f"at most ${forecast.cost_at_most:,.4f}"
    if forecast.cost_if_kept is not None:
        cost += (
            f", about ${forecast.cost_if_kept:,.4f} if what all prompts begin with is read from the provider's cache"
        )
    common.tell(f"tokens in: {tokens}; tokens out: at most {forecast.tokens_out_at_most:,}; cost: {cost}")
    if forecast.proxy_calls:
        common.tell(f"The proxy is asked up to {forecast.proxy_calls:,} times besides; its price is not in this.")
    for said in filter(None, (forecast.promise, forecast.doubt)):
        common.tell(said)
    common.tell("Nothing was sent.")


def given_prompt(model: str, source: str | None, text: str | None, chat: Path | None, *, command: str) -> str | Chat:
    """The prompt, from wherever it comes.

    Raises:
        UsageError: if it is given twice, or not at all: says what to type of the command.
    """
    if chat is None:
        return _prompt_text(model, source, text, command)
    if source is not None or text is not None:
        raise UsageError("Give the prompt once: --chat FILE stands in place of TEXT and --text.")
    return read_chat(chat)


def _prompt_text(model: str, source: str | None, text: str | None, command: str) -> str:
    if (source is None) == (text is None):
        if source is None and any(map(str.isspace, model.strip())):
            raise UsageError(
                f"There is a text and no model. Type: whygen {command} MODEL {shlex.quote(model)}, where MODEL is "
                "demo/storyteller, openai/gpt-4o-mini or another (`whygen models` lists the providers)."
            )
        raise UsageError("Give the prompt once: as TEXT, as - for standard input, as @FILE, or with --text TEXT.")
    return text if text is not None else common.read_text(source or "")
