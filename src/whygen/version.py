"""The version, where every room can read it without importing the public surface; and what an explanation ran on."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of whygen, Python and those of the named distributions that are installed."""
    import platform  # these two take longer than all else that `import whygen` does
    from importlib import metadata

    found = {"whygen": __version__, "python": platform.python_version()}
    for name in libraries:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
