"""A child process that hears signals as a person's does."""

from __future__ import annotations

import signal


def hear_signals() -> None:
    """For ``preexec_fn``: what was started in the background, or under nohup, ignores signals, and so do children."""
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
