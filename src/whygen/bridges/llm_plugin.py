"""``llm why``: a command of simonw/llm that explains the last call in its log, by asking the same model again.

llm imports this file whenever it starts, so it imports nothing of whygen until the command is used.
"""
# pyright: basic

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import llm  # pyright: ignore[reportMissingImports]

if TYPE_CHECKING:
    from whygen.records import Call
    from whygen.results import PromptExplanation


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    """Give llm the command."""
    cli.add_command(why)


@click.command()
@click.argument("pick", default="last")
@click.option("-m", "--model", help="Ask this model of llm instead of the one that answered.")
@click.option("-b", "--budget", type=click.IntRange(min=1), default=64, show_default=True, help="Calls to spend.")
@click.option("-u", "--units", help="What it is cut into: part, sentence, word ...; what tells two pieces apart.")
@click.option("-t", "--target", help="What to measure: exact, contains:TEXT, tool ...; chosen from the answer.")
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report.")
@click.option("-d", "--database", type=click.Path(path_type=Path), help="Another log than llm's own.")
@click.option("-n", "--dry-run", is_flag=True, help="Count the calls, and send nothing.")
def why(
    pick: str, *, model: str | None, budget: int, out: Path | None, database: Path | None, dry_run: bool, **chosen: Any
) -> None:
    """Explain which part of a logged call made the model answer as it did.

    PICK is the id of a call, its number from the oldest on, or "last". The model is asked again, many times, with parts
    of the request left out; answers are recorded, so that the same command asks nothing twice.
    """
    from whygen.errors import WhygenError

    choices = {"budget": budget, **{name: value for name, value in chosen.items() if value is not None}}
    try:
        call, asked = _logged(database or llm.user_dir() / "logs.db", pick, model)
        if dry_run:
            _foresee(asked, call, choices)
        else:
            _show(_explained(asked, call, choices), out)
    except WhygenError as error:
        raise click.ClickException(str(error)) from None


def _logged(log: Path, pick: str, model: str | None) -> tuple[Call, Any]:
    """The call that is meant, and llm's model to ask.

    Raises:
        MissingError: if there is no log, or llm does not know the model.
    """
    from whygen.bridges.llm_model import AskedByLlm
    from whygen.errors import MissingError
    from whygen.records.reading import picked, read_calls

    if not log.exists():
        raise MissingError(f"llm has logged nothing yet ({log}). Ask a model first; `llm logs on` turns logging on.")
    recorded = picked(read_calls(log), pick, log.name)
    name = model or recorded.model
    try:
        return recorded.call(), AskedByLlm(llm.get_model(name))
    except llm.UnknownModelError:
        raise MissingError(
            f"llm does not know the model {name!r} that answered. Install its plugin, or name another with -m; "
            "`llm models` lists them."
        ) from None


def _explained(model: Any, call: Call, choices: dict[str, Any]) -> PromptExplanation:
    import whygen
    from whygen.calls import RichProgress

    click.echo(f"Asking {model.uri.removeprefix('llm/')} at most {choices['budget']} times.", err=True)
    return whygen.explain_prompt(model, call, settings=call.settings, progress=RichProgress(), **choices)


def _foresee(model: Any, call: Call, choices: dict[str, Any]) -> None:
    import whygen
    from whygen.texts import counted

    found = whygen.forecast(model, call, settings=call.settings, **choices)
    click.echo(f"{counted(found.units, 'unit')}, {counted(found.calls, 'call')}. Nothing was sent.")


def _show(explanation: PromptExplanation, out: Path | None) -> None:
    """Print what was found, and keep it where that was asked for."""
    from rich.console import Console

    from whygen.results.files import REPORT
    from whygen.results.summary import print_terminal, write_html

    if out is not None:
        explanation.save(out)
        write_html(explanation, out / REPORT)
    print_terminal(explanation, Console())
    if out is not None:
        click.echo(f"Report: {out / REPORT}", err=True)
