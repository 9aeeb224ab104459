"""The command line: one file a command. Exit codes are a contract (see `whygen.errors`).

Nothing is imported here but what turns whatever happens into one sentence and a code: the commands are imported inside
of it, so that an interrupt or a failure in the middle of an import ends like any other.
"""

from __future__ import annotations

from whygen.cli.outermost import main as main

__all__ = ["main"]
