"""Puts the commands together; `whygen.cli.outermost` runs them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

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
    extensions,
    models,
    prompt,
    report,
)
from whygen.cli.common import tell
from whygen.cli.outermost import Stopped
from whygen.version import __version__


class _Commands(TyperGroup):
    """Finds the commands of other packages beside its own, and lets Ctrl-C through to `main`."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *(name for name in extensions.names() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or extensions.command(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Stopped(str(stop)) from stop


app = typer.Typer(
    name="whygen",
    cls=_Commands,
    help="Explains generative AI from the outside: why this output, and what has this model learned.",
    epilog="Exit codes: 0 done; 1 a failure, or a rule of check does not hold; 2 wrong usage; 3 something is missing "
    "(a key, a file, a package); 4 ended early by a model, a budget or a deadline, with a partial result; "
    "130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("prompt")(prompt.prompt)
app.command("edit")(edit.edit)
app.command("anchors")(anchors.anchors)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("evaluate")(evaluate.evaluate)
app.command("check")(check.check)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)
app.add_typer(cache.app, name="cache")
app.add_typer(batch.app, name="batch")


def _version(wanted: bool) -> None:
    if wanted:
        tell(f"whygen {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version
