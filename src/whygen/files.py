"""Files that are there whole or not at all, whenever a process is killed, and with the rights that this user gives."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def write_beside(place: Path, data: bytes) -> Path:
    """Write a file under a name of its own beside its place; it is on the disk when this returns.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    temporary, handle = _beside(place)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


@contextmanager
def replaced(place: Path) -> Generator[TextIO, None, None]:
    """A text file in UTF-8 to write to; it takes its place when all is written, and an earlier one stays until then.

    Raises:
        OSError: if it cannot be written; nothing is left behind.
    """
    require_ordinary(place)
    temporary, handle = _beside(place)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def require_ordinary(place: Path) -> None:
    """Refuse to put a file in the place of a pipe or a device: others use it, and it would be gone.

    Raises:
        OSError: if something else than a file or a folder is there.
    """
    if place.exists() and not place.is_file() and not place.is_dir():
        raise OSError(errno.EEXIST, f"{place.name} is a pipe or a device there", str(place))


def _beside(place: Path) -> tuple[Path, int]:
    """A new file in the same folder, with the rights of the process's umask, which temporary files do not have."""
    temporary = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}")
    return temporary, os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)


def is_file(path: Path) -> bool:
    """Whether there is an ordinary file; no pipe or device, and nothing under a name that cannot be."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_there(path: str) -> bool:
    """Whether a text is the path of something; a text too long for a path is of nothing."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
