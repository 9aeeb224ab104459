"""Prompts that differ between two commits, read as data from git: nothing of either commit is checked out or run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from whygen.errors import DataError, MissingError, UsageError
from whygen.safe import read_json
from whygen.texts import decoded
from whygen.types import Chat, Message, Role

MOST_BYTES: Final = 256 * 1024
"""Of a prompt; a larger file is none."""
TIMEOUT: Final = 60.0
_SAFE: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false")
"""A repository may name programs in its configuration; none of them is run for what is asked here."""
_STATES: Final = {"A": "added", "M": "changed", "D": "gone", "R": "changed", "T": "changed"}
State: TypeAlias = Literal["added", "changed", "gone"]
Text: TypeAlias = str | Chat


@dataclass(frozen=True, slots=True)
class ChangedPrompt:
    """A prompt that a commit changed: its path now, its path before if it was moved, and what became of it."""

    path: str
    before: str
    state: State


class Repository:
    """A git repository, as far as files of commits can be read in it.

    Args:
        folder: in the repository.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def commit(self, name: str) -> str:
        """The full name of a commit.

        Raises:
            MissingError: if there is none of that name.
            UsageError: if this is no repository.
        """
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", fails=True)
        if not found:
            self._git("rev-parse", "--git-dir")  # says so where there is no repository at all
            raise MissingError(
                f"There is no commit {name!r} in this repository. Fetch it first: git fetch origin {name}"
            )
        return found.decode().strip()

    def fork_point(self, base: str, head: str) -> str:
        """Where ``head`` left ``base``; ``base`` itself where the history that is here does not tell."""
        return self._git("merge-base", base, head, fails=True).decode().strip() or base

    def changed(self, base: str, head: str, patterns: Sequence[str]) -> list[ChangedPrompt]:
        """The files of these patterns that differ, in the order of their paths.

        Args:
            base: a full name of a commit.
            head: another.
            patterns: such as ``prompts/*.txt``; ``*`` stands for anything, slashes too.
        """
        told = self._git(
            "diff",
            "--name-status",
            "-z",
            "--no-relative",
            "--no-ext-diff",
            "--no-textconv",
            "--find-renames",
            base,
            head,
            "--",
        )
        parts = iter(told.decode("utf-8", "surrogateescape").split("\0"))
        found: list[ChangedPrompt] = []
        for status in parts:
            if not status:
                break
            before = next(parts)
            path = next(parts) if status[0] in "RC" else before
            if status[0] in _STATES and any(fnmatchcase(path, pattern) for pattern in patterns):
                found.append(ChangedPrompt(path, before, cast("State", _STATES[status[0]])))
        return sorted(found, key=lambda each: each.path)

    def text(self, commit: str, path: str) -> str | None:
        """The text of a file in a commit; None where it has none.

        Raises:
            DataError: if it is too large, no plain file, or no text.
        """
        listed = self._git("ls-tree", "--full-tree", "-z", "-l", commit, "--", path).decode("utf-8", "surrogateescape")
        if not listed:
            return None
        mode, kind, name, size = listed.split("\t", 1)[0].split()
        if kind != "blob" or mode == "120000":
            raise DataError(f"{path!r} is a link or a folder, and no prompt.")
        if int(size) > MOST_BYTES:
            raise DataError(f"{path!r} has {int(size):,} bytes: a prompt has {MOST_BYTES:,} at most.")
        return decoded(self._git("cat-file", "blob", name), f"The file {path!r}")

    def _git(self, *arguments: str, fails: bool = False) -> bytes:
        """What git says.

        Raises:
            MissingError: if there is no git, or no repository.
            UsageError: if git fails, and nothing was said that may.
        """
        environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "1",
        }
        try:
            done = subprocess.run(
                ["git", *_SAFE, *arguments], cwd=self._folder, env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise MissingError("whygen review reads commits with git, which is not installed here.") from None
        except subprocess.TimeoutExpired:
            raise UsageError(f"git {arguments[0]} took more than {TIMEOUT:.0f} seconds.") from None
        if done.returncode and not fails:
            raise UsageError(f"git {arguments[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()[:300]}")
        return b"" if done.returncode else done.stdout


def prompt_of(text: str, path: str) -> Text:
    """A prompt as it stands in a file: a text, or in a ``.json`` file a list of messages of texts.

    Messages with images, files or tools are refused: a path in them would be read on the machine that reviews.

    Raises:
        DataError: if it is neither.
    """
    if not path.endswith(".json"):
        if not text.strip():
            raise DataError(f"{path!r} is empty.")
        return text
    form = f'{path!r} is no list of messages: write [{{"role": "system", "content": "..."}}, ...], texts alone.'
    try:
        value: object = read_json(text)
    except ValueError as error:
        raise DataError(f"{form} ({error})") from None
    messages: list[Message] = []
    for each in cast("list[object]", value) if isinstance(value, list) else [None]:
        turn = cast("dict[str, object]", each) if isinstance(each, dict) else {}
        role, content = turn.get("role"), turn.get("content")
        if (
            set(turn) != {"role", "content"}
            or role not in ("system", "user", "assistant")
            or not isinstance(content, str)
        ):
            raise DataError(form)
        messages.append(Message(cast("Role", role), content))
    if not messages:
        raise DataError(form)
    return Chat(tuple(messages))
