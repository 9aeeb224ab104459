"""The command line itself: its name, its help, its version. `whygen.cli.outermost` runs it."""

from __future__ import annotations

import sys

import typer

from whygen.cli.commands import Commands
from whygen.version import __version__

app = typer.Typer(
    name="whygen",
    cls=Commands,
    help="Explains generative AI from the outside: why this output, and what has this model learned.",
    epilog="Exit codes: 0 done; 1 a failure, or a rule of check does not hold; 2 wrong usage; 3 something is missing "
    "(a key, a file, a package); 4 ended early by a model, a budget or a deadline, with a partial result; "
    "130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"whygen {__version__}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version
