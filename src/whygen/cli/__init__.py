"""The command line: one file a command. Exit codes are a contract (see `whygen.errors`).

Nothing is imported here but what takes the signals: everything else is imported inside of `main`, so that an interrupt
or a failure in the middle of an import ends like any other.
"""

from __future__ import annotations

import os
import signal

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the contract's code."""
    if arguments is None:  # this process is whygen's own
        _take_signals()
    from whygen.cli.outermost import main as run

    run(arguments)


def _take_signals() -> None:
    """End with one line and the documented code until `whygen.interrupts` takes over, which it imports first."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)


def _end(number: int, frame: object) -> None:
    del number, frame
    os.write(2, b"Interrupted.\n")
    os._exit(130)


setattr(_end, "_ends_whygen", True)  # noqa: B010 - functions have no such attribute
