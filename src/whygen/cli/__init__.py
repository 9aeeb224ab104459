"""The command line: one file a command. Exit codes are a contract (see `whygen.errors`)."""

from __future__ import annotations

from whygen.cli.app import main as main

__all__ = ["main"]
