"""What the commands share: their common options, the consoles, reading a prompt, writing results."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from whygen.errors import DataError, MissingError, StoreError
from whygen.prompt.ending import Interrupted
from whygen.report import print_terminal, write_html
from whygen.results import AnchorExplanation, PromptExplanation
from whygen.runs import DEFAULT_STORE, Progress, RichProgress, Silent, open_store
from whygen.texts import MAX_TEXT_BYTES, decoded, read_text_file

INTERRUPTED = 130
ENDED_EARLY = 4

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the report and the saved explanation.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Seed = Annotated[int, typer.Option(help="Of the masks, the folds, the sign flips, and of sampling.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Address of an OpenAI-compatible server.")]
Endpoint = Annotated[str | None, typer.Option(help="Of a remote model: chat, completions or images.")]
Cache = Annotated[Path | None, typer.Option("--cache", help="File of recorded answers.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep answers in memory only.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps ...; chosen automatically.")]
MaxCost = Annotated[float | None, typer.Option(help="The most the run may cost, in dollars; the price must be known.")]
MaxCalls = Annotated[int | None, typer.Option(help="The most calls that are sent, repeated ones included.")]
TokenBudget = Annotated[int | None, typer.Option(help="The most tokens the run may read and write.")]
Deadline = Annotated[float | None, typer.Option(help="Seconds, after which nothing more is sent.")]
RequestsPerMinute = Annotated[float | None, typer.Option(help="Calls a minute that the account allows.")]
TokensPerMinute = Annotated[float | None, typer.Option(help="Tokens a minute that the account allows.")]
Batch = Annotated[
    str | None, typer.Option("--batch", help="provider: by its batch endpoint, within a day, at about half the price.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print calls, tokens and cost; send nothing.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def console_for_people() -> Console:
    """Standard error: what a person reads, never what a program parses."""
    return Console(stderr=True, soft_wrap=False)


def console_for_output() -> Console:
    """Standard output."""
    return Console()


def store_path(cache: Path | None, no_cache: bool) -> Path | str | None:
    """Where answers are recorded: the given file, nowhere, or the default."""
    if no_cache:
        return None
    return DEFAULT_STORE if cache is None else cache


def progress_for(quiet: bool) -> Progress:
    """A progress bar on a terminal, silence elsewhere."""
    return Silent() if quiet or not sys.stderr.isatty() else RichProgress(console_for_people())


def read_text(given: str) -> str:
    """The text itself, ``-`` for standard input, or ``@FILE``.

    Raises:
        MissingError: if the file is not there.
        DataError: if it is neither UTF-8 nor marked UTF-16, or too large to be a prompt.
    """
    if given == "-":
        data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
        if len(data) > MAX_TEXT_BYTES:
            raise DataError(f"The prompt in standard input is over {MAX_TEXT_BYTES // 2**20} MiB: this is no prompt.")
        return decoded(data, "The prompt in standard input")
    if not given.startswith("@"):
        return given
    try:
        return read_text_file(given[1:], "The prompt file")
    except MissingError as error:
        raise MissingError(f"{error} To give a text that begins with @, use --text.") from None


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def show(explanation: PromptExplanation | AnchorExplanation, *, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Save an explanation with its report, print it, or both: what was asked for."""
    if out is not None:
        folder = make_folder(out)
        explanation.save(folder)
        write_html(explanation, folder / "report.html")
    if as_json:
        print_json(explanation.to_dict())
        return
    if quiet:
        return
    print_terminal(explanation, console_for_output())
    if out is not None:
        console_for_people().print(f"Report: {out / 'report.html'}", markup=False, highlight=False)


def explained(
    explain: Callable[[], PromptExplanation],
    *,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    cache: Path | str | None,
    batch: str | None = None,
) -> None:
    """Explain and show; a run that ended early shows what it had, and its exit status says so.

    Raises:
        Exit: with `INTERRUPTED` after Ctrl-C, with `ENDED_EARLY` where a budget or a deadline ended the run.
    """
    try:
        explanation = explain()
    except Interrupted as stop:
        show_partial(stop.explanation, out=out, as_json=as_json, quiet=quiet)
        if batch is not None:
            show_batches(cache)
        raise typer.Exit(INTERRUPTED) from None
    show(explanation, out=out, as_json=as_json, quiet=quiet)
    if explanation.ended is not None:
        raise typer.Exit(ENDED_EARLY)


def show_batches(cache: Path | str | None) -> None:
    """Say which batches go on at their providers, and how to end them."""
    if cache is None:
        return
    with open_store(cache) as store:
        for entry in store.ledger.entries():
            name = entry.name or entry.tag
            text = f"The batch {name} goes on at the provider; to end it: whygen batch cancel {name}"
            console_for_people().print(text, markup=False, highlight=False)


def show_partial(explanation: PromptExplanation, *, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Save what an interrupted run had, say where, and name the command that goes on."""
    folder = out or Path(f"whygen-partial-{time.strftime('%Y%m%d-%H%M%S')}")
    show(explanation, out=folder, as_json=as_json, quiet=quiet)
    people = console_for_people()
    people.print(
        f"Interrupted. Answers so far are recorded; the partial explanation is in {folder}.",
        markup=False,
        highlight=False,
    )
    people.print(f"To go on: {shlex.join(['whygen', *sys.argv[1:]])}", markup=False, highlight=False)


def make_folder(path: Path) -> Path:
    """The folder, made if it is not there.

    Raises:
        StoreError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {str(path)!r} cannot be made ({error.strerror}). Give another one with -o."
        ) from None
    return path
