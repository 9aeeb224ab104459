"""`whygen why CALL`: which part of a recorded call made the model answer as it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import whygen
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common
from whygen.cli import inputs as given_inputs
from whygen.cli.inputs import read_settings
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.cli.prompt import run_options, show_forecast
from whygen.models import ModelOptions
from whygen.prompt.arguments import PromptArguments
from whygen.prompt.forecast import summed
from whygen.prompt.options import TEXT
from whygen.prompt.why.settings import LENGTHS, sent_as
from whygen.prompt.why.steps import NOT_RUN, UNREAD, run_of, steps_in, steps_of
from whygen.records import Call, read_calls
from whygen.records.reading import picked
from whygen.results.prompt import PromptExplanation
from whygen.safe import visible
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
        str | None,
        option(
            "What to explain",
            help="Ask this model instead of the one that the record names.",
            autocompletion=complete_model,
        ),
    ] = None,
    steps: Annotated[
        bool,
        option("What to explain", "--steps", help="Every step of the run to which the call belongs, one by one."),
    ] = False,
    suspect: Annotated[
        list[str] | None,
        option(
            "What to explain",
            help="A part that is asked whether the answer comes from it, such as 'user message 2'; may be given again. "
            "Results of tools, documents and memories are suspects by themselves.",
        ),
    ] = None,
    setting: given_inputs.Setting = None,
    how: common.Shared,
    given: Given,
) -> None:
    """Explain which part of a recorded call made the model answer, or act, as it did."""
    typed = {**chosen(CHOICES, given), **({} if suspect is None else {"suspect": tuple(suspect)})}
    further = read_settings(setting)

    def choices(asked: Call) -> dict[str, Any]:
        return {
            **typed,
            "settings": _settings(asked, model, given, further),
            "options": made(ModelOptions, given),
            "run": run_options(given),
        }

    calls = _meant(call, pick, steps=steps)
    if how.dry_run:
        foreseen = [whygen.forecast(model, each, **choices(each)) for each in calls]
        show_forecast(foreseen[0] if len(foreseen) == 1 else summed(foreseen), as_json=how.as_json)
        return
    store, progress = how.store, how.progress()

    def explain(asked: Call) -> PromptExplanation:
        return whygen.explain_prompt(model, asked, cache=store, progress=progress, **choices(asked))

    if steps:
        _walk(calls, explain, how)
        return
    common.explained(lambda: explain(calls[0]), how, batch=given.get("batch"))


def _meant(path: Path, pick: str | None, *, steps: bool) -> list[Call]:
    """The call that was picked, or with ``--steps`` all calls of its run, which may stand in one record."""
    if not steps:
        return [Call.read(path, pick)]
    kept = read_calls(path)
    run = run_of(kept, None if pick is None else picked(kept, pick, path.name))
    return run if len(run) > 1 else steps_in(run[0])


def _walk(calls: Sequence[Call], explain: Callable[[Call], PromptExplanation], how: common.Shared) -> None:
    """Explain step after step, save each in a folder of its own, and say which step led to which.

    Raises:
        Exit: with `ENDED_EARLY` where a step did not come to its end; the steps before it are shown.
    """
    common.try_store(how.store)
    done: list[tuple[Call, PromptExplanation]] = []
    with common.made_folder(how.out):
        for number, each in enumerate(calls, start=1):
            done.append((each, explain(each)))
            if how.out is not None:
                common.show(done[-1][1], out=how.out / f"step-{number}", as_json=False, quiet=True)
            if done[-1][1].ended is not None:
                break
    found = steps_of(done)
    if how.as_json:
        common.print_json({"steps": [step.to_json() for step in found], "note": NOT_RUN})
    elif not how.quiet:
        for step in found:
            common.tell(visible(step.sentence))
        for text in (text for call, _ in done for code, text in call.notices if code == UNREAD):
            common.tell(visible(text))
        common.tell(NOT_RUN)
    if done and done[-1][1].ended is not None:
        raise typer.Exit(common.ENDED_EARLY)


def _settings(call: Call, model: str | None, given: Given, extra: dict[str, JsonValue]) -> Settings | None:
    """The record's settings with what was typed in their place; None where nothing was."""
    typed = {name: given[name] for name in ("temperature", "max_tokens", "top_p", "stop") if name in given}
    if not typed and not extra:
        return None
    sent = sent_as(call, model, made(ModelOptions, given))
    lengths = LENGTHS if "max_tokens" in typed else frozenset[str]()
    kept = {name: value for name, value in sent.extra.items() if name not in typed and name not in lengths}
    return replace(sent, **typed, extra={**kept, **extra})
