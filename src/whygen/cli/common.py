"""What the commands share: their common options, the consoles, reading a prompt, writing results."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir
from typing import Annotated, Any, cast

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from whygen.calls import DEFAULT_STORE, Interrupted, Progress, RichProgress, Silent, open_store
from whygen.cli.options import option
from whygen.cli.outermost import say
from whygen.errors import DataError, MissingError, StoreError, UsageError
from whygen.files import is_file
from whygen.interrupts import INTERRUPTED
from whygen.results import Explanation
from whygen.results.files import REPORT, make_folder, save_figures, try_folder
from whygen.results.summary import print_terminal, write_html
from whygen.safe import visible
from whygen.texts import MAX_TEXT_BYTES, decoded, read_text_file

ENDED_EARLY = 4

Out = Annotated[
    Path | None,
    option("Where to write", "--out", "-o", help="Folder for the report and the saved explanation."),
]
AsJson = Annotated[
    bool, option("Where to write", "--json", help="One JSON document on stdout. All else goes to stderr.")
]
DryRun = Annotated[bool, option("How much to spend", "--dry-run", help="Print calls, tokens and cost; send nothing.")]
Quiet = Annotated[bool, option("For experts: the run", "--quiet", "-q", help="No progress and no summary.")]
Cache = Annotated[Path | None, option("For experts: the run", "--cache", help="File of recorded answers.")]
NoCache = Annotated[bool, option("For experts: the run", "--no-cache", help="Keep answers in memory only.")]
Debug = Annotated[bool, option("For experts: the run", "--debug", help="Show the traceback of an error.")]
Seed = Annotated[int, option("For experts: the run", help="Of everything random.")]
Device = Annotated[str | None, option("For experts: the model", help="cpu, cuda, mps ...; chosen automatically.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Where the result of a command goes, and how it runs: what all commands have that explain."""

    out: Out = None
    as_json: AsJson = False
    quiet: Quiet = False
    cache: Cache = None
    no_cache: NoCache = False
    dry_run: DryRun = False
    debug: Debug = False
    """Read by the outermost handler of errors."""

    @property
    def store(self) -> Path | str | None:
        """Where answers are recorded."""
        return store_path(self.cache, self.no_cache)

    def progress(self) -> Progress:
        """Where progress is reported."""
        return progress_for(self.quiet, as_json=self.as_json)

    def partial(self) -> Path:
        """The folder of what an unfinished run had."""
        return self.out or Path(f"whygen-partial-{time.strftime('%Y%m%d-%H%M%S')}")

    def say_what_goes_on(self) -> None:
        """Name the command that goes on, where answers were recorded."""
        if self.store is not None:
            say(f"To go on: {shlex.join(['whygen', *sys.argv[1:]])}")


class _Console(Console):
    """A console on which nothing that is shown can command the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


class _StandardError:
    """Standard error without an error of its own where nobody is there to read it: its terminal may be closed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def _stream(self) -> Any:
        return getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # a bar that is shown stands before it

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def console_for_people() -> Console:
    """Standard error: what a person reads, never what a program parses."""
    return _Console(stderr=True, file=cast(Any, _StandardError()), soft_wrap=False)


def console_for_output() -> Console:
    """Standard output."""
    return _Console()


def tell(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(visible(text) + "\n")


def store_path(cache: Path | None, no_cache: bool) -> Path | str | None:
    """Where answers are recorded: the given file, nowhere, or the default."""
    if no_cache:
        return None
    return DEFAULT_STORE if cache is None else cache


class _Spoken(Silent):
    """No bar, but what a person must know before anything is paid."""

    def promise(self, text: str) -> None:
        say(text)


def progress_for(quiet: bool, *, as_json: bool = False) -> Progress:
    """A progress bar on a terminal; elsewhere, and beside JSON, only what must be said before anything is sent."""
    if quiet:
        return Silent()
    return _Spoken() if as_json or not sys.stderr.isatty() else RichProgress(console_for_people())


def read_text(given: str) -> str:
    """The text itself, ``-`` for standard input, or ``@FILE``.

    Raises:
        UsageError: for the name of a file that is there, without the ``@``.
        MissingError: if the file is not there.
        DataError: if it is neither UTF-8 nor marked UTF-16, or too large to be a prompt.
    """
    if given == "-":
        data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
        if len(data) > MAX_TEXT_BYTES:
            raise DataError(f"The prompt in standard input is over {MAX_TEXT_BYTES // 2**20} MiB: this is no prompt.")
        return decoded(data, "The prompt in standard input")
    if not given.startswith("@"):
        if re.fullmatch(r"\S+\.\w{1,8}", given) and is_file(Path(given)):
            raise UsageError(
                f"{given!r} names a file. Type @{given} for what is in it; for these letters: --text {given}."
            )
        return given
    try:
        return read_text_file(given[1:], "The prompt file")
    except MissingError as error:
        raise MissingError(f"{error} To give a text that begins with @, use --text.") from None


_HIDDEN = re.compile(
    r"[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that JSON may hold as they are, and a terminal obeys or hides."""


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document on stdout, in whatever encoding that has; characters that command a terminal are escaped."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeError:
        text = json.dumps(document, allow_nan=False)
    sys.stdout.write(_HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n")


def show(explanation: Explanation, *, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Save an explanation with its report, print it, or both: what was asked for.

    Raises:
        StoreError: after it was printed, if it could not be saved where it was asked for; it says where it is instead.
    """
    trouble = None if out is None else _saved(explanation, out)
    if as_json:
        print_json(explanation.to_dict())
    elif not quiet:
        print_terminal(explanation, console_for_output())
        if out is not None and trouble is None:
            say(f"Report: {out / REPORT}")
    if trouble is not None:
        raise trouble


def _saved(explanation: Explanation, out: Path) -> StoreError | None:
    """Save an explanation with its report, elsewhere or without its evidence if need be; what became of it, if so."""
    try:
        explanation.save(make_folder(out))
    except StoreError as error:
        return StoreError(f"{error} {_rescued(explanation, out)}")
    try:
        write_html(explanation, out / REPORT)
    except StoreError as error:
        return StoreError(
            f"The explanation is in {out} without its report ({_reason(error)}). To write that elsewhere: "
            f"whygen report {shlex.quote(str(out))} -o FILE"
        )
    return None


def _rescued(explanation: Explanation, out: Path) -> str:
    """Save an explanation where there is room, whole if possible, and say where: it was paid for."""
    folders = [Path(f"whygen-saved-{time.strftime('%Y%m%d-%H%M%S')}"), Path(gettempdir()) / f"whygen-{token_hex(4)}"]
    ways = ((type(explanation).save, "The explanation is"), (save_figures, "The figures, without the evidence, are"))
    for save, what in ways:
        for folder in folders if save is not save_figures else [*folders, out]:
            is_new = not folder.exists()
            with suppress(StoreError, OSError):
                save(cast(Any, explanation), folder)
                return f"{what} in {folder} instead."
            if is_new:
                with suppress(OSError):
                    folder.rmdir()
    return "There was room for it nowhere else."


def _reason(error: StoreError) -> str:
    cause = error.__cause__
    return (cause.strerror if isinstance(cause, OSError) else None) or str(error)


def explained(
    explain: Callable[[], Explanation], how: Shared, *, batch: str | None = None
) -> None:  # fmt: skip
    """Explain and show; a run that ended early shows what it had, and its exit status says so.

    Raises:
        StoreError: before anything is asked, if the folder or the file of recorded answers cannot be written.
        Exit: with `INTERRUPTED` after Ctrl-C, with `ENDED_EARLY` where a budget, a deadline or a failure ended the run.
    """
    try_store(how.store)
    with made_folder(how.out):
        try:
            explanation = explain()
        except Interrupted as stop:
            show_partial(stop.explanation, how)
            if batch is not None:
                show_batches(how.store)
            raise typer.Exit(INTERRUPTED) from None
        if explanation.ended is None:
            show(explanation, out=how.out, as_json=how.as_json, quiet=how.quiet)
            return
        show_partial(explanation, how)
    raise typer.Exit(ENDED_EARLY)


def show_batches(cache: Path | str | None) -> None:
    """Say which batches go on at their providers, and how to end them."""
    if cache is None:
        return
    with open_store(cache) as store:
        for entry in store.ledger.entries():
            name = entry.name or entry.tag
            say(f"The batch {name} goes on at the provider; to end it: whygen batch cancel {name}")


def show_partial(explanation: Explanation, how: Shared) -> None:
    """Say why a run ended, save what it had, say where, and name the command that goes on."""
    folder = how.partial()
    say(explanation.warnings[0].text)
    try:
        show(explanation, out=folder, as_json=how.as_json, quiet=how.quiet)
    except StoreError as error:
        say(str(error))
    except OSError:  # the terminal is gone; the explanation was saved before it was shown
        pass
    else:
        say(f"The partial explanation is in {folder}.")
    how.say_what_goes_on()


def try_store(cache: Path | str | None) -> None:
    """Find out before anything is paid whether answers can be recorded.

    Raises:
        StoreError: if a file that was named for them cannot be written. The usual one is warned about.
    """
    if cache is None:
        return
    with open_store(cache) as store:
        trouble = store.try_writing()
    if trouble and cache != DEFAULT_STORE:
        raise StoreError(
            f"Answers cannot be recorded in {str(cache)!r}, because {trouble}. Nothing was asked. Name another file "
            "with --cache, or choose --no-cache."
        )
    if trouble:
        say(
            f"Answers of this run will not be recorded, because {trouble} ({store.path}): they are kept in memory "
            "only. Name another file with --cache PATH or WHYGEN_CACHE_DIR."
        )


@contextmanager
def made_folder(path: Path | None) -> Generator[None, None, None]:
    """Make the folder of a result and try it before anything is paid; if nothing came into a new one, it goes again.

    Raises:
        StoreError: if it cannot be written.
    """
    is_new = path is not None and not path.exists()
    if path is not None:
        try_folder(make_folder(path))
    try:
        yield
    finally:
        if path is not None and is_new:
            with suppress(OSError):
                path.rmdir()  # only an empty one goes
