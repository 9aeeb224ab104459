"""The outermost handler: whatever happens in a command ends in one sentence on standard error and a documented code.

It imports nothing that takes time: it must stand before the commands are there.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final, TypeGuard

from whygen.errors import WhygenError
from whygen.interrupts import INTERRUPTED, Interrupts
from whygen.safe import clean

FAILED, MISUSED, MISSING = 1, 2, 3
"""Exit codes: our failure or the machine's, wrong usage, something that is not there. `WhygenError` has its own."""

_NAMES: Final[Mapping[int, tuple[int, str]]] = {
    errno.ENAMETOOLONG: (MISUSED, "the name is longer than this file system takes. Give a shorter one."),
    errno.ENOENT: (MISSING, "it is not there. Check the path."),
    errno.EACCES: (MISSING, "this user may not read or write it. Change its rights, or give another path."),
    errno.EPERM: (MISSING, "this user may not do that. Change its rights, or give another path."),
    errno.EISDIR: (MISUSED, "it is a folder, and a file is needed."),
    errno.ENOTDIR: (MISUSED, "a part of the path is a file, and a folder is needed."),
    errno.EEXIST: (MISUSED, "something else is there. Give another path."),
    errno.ELOOP: (MISUSED, "its links lead round in a circle."),
    errno.ENXIO: (MISUSED, "it is a pipe or a device that nobody serves. Give a file."),
    errno.EROFS: (MISSING, "the file system can only be read. Give another path."),
    errno.EMFILE: (FAILED, "this process may open no more files. Raise the limit (ulimit -n 256), and try again."),
    errno.ENFILE: (FAILED, "this machine can open no more files. Close some programs, and try again."),
    errno.ENOSPC: (FAILED, "the disk is full. Make room; recorded answers are kept."),
    errno.EFBIG: (FAILED, "a file would be larger than it may be. Raise the limit (ulimit -f), or give another disk."),
    errno.ENOMEM: (FAILED, "there is not enough memory."),
}


class Stopped(Exception):  # noqa: N818 - it never leaves the command line
    """An interrupt, with what the run says of it: the parser would swallow a `KeyboardInterrupt`, words and all."""


COMPLETES = "_WHYGEN_COMPLETE"
"""The variable by which a shell asks what could stand at its cursor."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the contract's code."""
    given = sys.argv[1:] if arguments is None else arguments
    _write_anything()
    if COMPLETES in os.environ:  # a shell takes each line for a name: no description may go on in a second one
        os.environ["COLUMNS"] = "100000"
    interrupts = Interrupts()
    with ExitStack() as stack:
        stack.enter_context(interrupts.handled())
        try:
            from whygen.cli.app import app

            interrupts.ready = True
            code: object = app(args=given, standalone_mode=False)
            sys.stdout.flush()
        except BaseException as error:
            if _is_gone_reader(error):
                _leave_pipe()
                code = 0
            elif _is_parsers_end(error):
                code = error.code
            else:
                stopped = _is_stop(error, interrupts)
                code = _interrupted(error) if stopped else _explained(error, debug="--debug" in given)
        interrupts.ready = False
        if arguments is None:  # this process ends now: the signals stay with us until it is gone
            stack.pop_all()
    sys.exit(code if isinstance(code, int) else 0)


def say(text: str) -> None:
    """A line for people, on standard error, without keys and control characters; nobody may be there to read it."""
    with suppress(OSError, ValueError):
        sys.stderr.write(clean(text) + "\n")
        sys.stderr.flush()


def _write_anything() -> None:
    """A stream that is not UTF-8 gets what it cannot write spelled out: a run does not end after all was paid."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with suppress(OSError, ValueError):
                reconfigure(errors="backslashreplace")


def _leave_pipe() -> None:
    """The reader of a pipe is gone: let nothing more be written to it, not by the interpreter's end either."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_gone_reader(error: BaseException) -> bool:
    """Whether the reader of our pipe left (``whygen prompt --help | head``); rich ends the program over it."""
    told = error.__context__ if isinstance(error, SystemExit) else error
    return isinstance(told, BrokenPipeError)


def _is_parsers_end(error: BaseException) -> TypeGuard[SystemExit]:
    """Whether the parser itself ended the program: it does so after a shell was told how to complete a line."""
    if not isinstance(error, SystemExit) or not isinstance(error.code, int) or error.code == INTERRUPTED:
        return False
    *_, (last, _) = traceback.walk_tb(error.__traceback__)
    return last.f_globals.get("__name__", "").startswith("typer.")


def _is_stop(error: BaseException, interrupts: Interrupts) -> bool:
    """Whether a signal is behind it: a library may make another error of the one that was raised in it."""
    if isinstance(error, KeyboardInterrupt | Stopped):
        return True
    ended = isinstance(error, SystemExit) and error.code == INTERRUPTED  # the parser's own way of ending
    return ended or (interrupts.heard and not isinstance(error, WhygenError))


def _interrupted(error: BaseException) -> int:
    text = str(error).strip() if isinstance(error, KeyboardInterrupt | Stopped) else ""
    say(text or "Interrupted.")
    return INTERRUPTED


def _explained(error: BaseException, *, debug: bool) -> int:
    """Say what happened; the exit code that goes with it."""
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    code, text = _sentence(error)
    say(f"Error: {text}")
    return code


def _sentence(error: BaseException) -> tuple[int, str]:
    if isinstance(error, WhygenError):
        return error.exit_code, str(error)
    if isinstance(error, SystemExit):
        what = f"sys.exit({error.code!r})"
        return FAILED, f"something that was called ended the program by {what}. It is no part of whygen: mend it."
    if type(error).__module__.startswith("typer"):
        return _usage(error)
    for kinds, sentence in _FORESEEN:
        if isinstance(error, kinds):
            return sentence(error)
    return FAILED, (
        f"whygen failed in a way it did not foresee: {type(error).__name__}: {error}. Answers recorded so far are "
        "kept. Run again with --debug to see where, and please report it."
    )


def _usage(error: BaseException) -> tuple[int, str]:
    """Wrong options, as the parser words them."""
    if type(error).__name__ == "Abort":
        return INTERRUPTED, "Interrupted."
    from whygen.cli.usage import told

    sentence = told(error)
    command = getattr(getattr(error, "ctx", None), "command_path", "") or "whygen"
    stop = "" if sentence.endswith(("?", ".")) else "."
    return MISUSED, f"{sentence}{stop} Run `{command} --help` for what there is."


def _of_system(error: Any) -> tuple[int, str]:
    code, why = _NAMES.get(error.errno or 0, (FAILED, f"{error.strerror or error}."))
    name = str(error.filename) if error.filename is not None else ""
    shown = repr(name if len(name) <= 120 else f"{name[:60]}…{name[-20:]}")
    return code, f"{shown}: {why}" if name else f"{why[0].upper()}{why[1:]}"


def _of_memory(error: Any) -> tuple[int, str]:
    del error
    return FAILED, "there is not enough memory for this. Give less at once, or use a larger machine."


def _of_text(error: Any) -> tuple[int, str]:
    return MISUSED, f"a text cannot be read or written as {error.encoding}: {error.reason}. Give it as UTF-8."


def _of_depth(error: Any) -> tuple[int, str]:
    del error
    return FAILED, "something is nested deeper than can be followed. Check what was given for a circle in itself."


def _of_import(error: Any) -> tuple[int, str]:
    return MISSING, f"a package cannot be loaded ({error}). Install it again; `whygen doctor` says what is there."


_FORESEEN: Final[tuple[tuple[type[BaseException], Callable[[Any], tuple[int, str]]], ...]] = (
    (OSError, _of_system),
    (MemoryError, _of_memory),
    (UnicodeError, _of_text),
    (RecursionError, _of_depth),
    (ImportError, _of_import),
)
