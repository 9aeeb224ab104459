"""The version, where every room can read it without importing the public surface; and what an explanation ran on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

__version__ = "0.1.0"


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of whygen, Python and those of the named distributions that are installed."""
    import platform  # this and `importlib.metadata` take longer than all else that `import whygen` does

    installed = {name: found for name in libraries if (found := _installed(name)) is not None}
    return {"whygen": __version__, "python": platform.python_version(), **installed}


@cache
def _installed(name: str) -> str | None:
    # Kept: finding one reads all of its metadata, ten of them as much time as a small explanation takes otherwise.
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
