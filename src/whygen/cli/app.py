"""Puts the commands together and turns every error into one clear paragraph and an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

import whygen
from whygen.cli import (
    anchors,
    batch,
    cache,
    check,
    compare,
    demo,
    doctor,
    edit,
    evaluate,
    models,
    prompt,
    ratings,
    report,
    reproduce,
)
from whygen.cli.common import INTERRUPTED, console_for_people
from whygen.errors import WhygenError


class _InterruptedError(Exception):
    """Ctrl-C, with what the run says of it: the parser would swallow a `KeyboardInterrupt`, words and all."""


class _Commands(TyperGroup):
    """Lets Ctrl-C through to `main`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _InterruptedError(str(stop)) from stop


app = typer.Typer(
    name="whygen",
    cls=_Commands,
    help="Explains generative AI from the outside: why this output, and what has this model learned.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("prompt")(prompt.prompt)
app.command("edit")(edit.edit)
app.command("anchors")(anchors.anchors)
app.command("reproduce")(reproduce.reproduce)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("evaluate")(evaluate.evaluate)
app.command("check")(check.check)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)
app.add_typer(cache.app, name="cache")
app.add_typer(ratings.app, name="ratings")
app.add_typer(batch.app, name="batch")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"whygen {whygen.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the contract's code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments, standalone_mode=False)
    except WhygenError as error:
        _explain(error, debug="--debug" in arguments)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, _InterruptedError, typer.Abort) as stop:
        _interrupted(str(stop))
    except SystemExit as end:  # the parser ends an interrupted command by itself, without a word
        if end.code == INTERRUPTED:
            _interrupted()
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if type(error).__module__.startswith("typer"):
            _usage(error)
            sys.exit(2)
        _unforeseen(error, debug="--debug" in arguments)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted(text: str = "") -> NoReturn:
    recorded = "Answers so far are recorded: the same command asks only for the rest."
    console_for_people().print(f"{text.strip() or 'Interrupted.'} {recorded}", markup=False, highlight=False)
    sys.exit(INTERRUPTED)


def _usage(error: Exception) -> None:
    """Wrong options, as the parser words them."""
    show = getattr(error, "format_message", None)
    sentence = str(show() if callable(show) else error).rstrip(".")
    console_for_people().print(f"Error: {sentence}. Run `whygen --help` for commands and options.", markup=False)


def _explain(error: WhygenError, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    console_for_people().print(f"Error: {error}", markup=False, highlight=False)


def _unforeseen(error: Exception, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    console_for_people().print(
        f"Error: whygen failed in a way it did not foresee: {type(error).__name__}: {error}. "
        "Answers recorded so far are kept. Run again with --debug to see where, and please report it.",
        markup=False,
        highlight=False,
    )
