"""What the viewer knows: the folders it shows, the explanations below them, the token, the models that may be asked.

Nothing of a request ever becomes a path. A page names an explanation by an id, a digest of where it lies, and the id is
looked up among the folders that were found below those named on the command line.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from whygen.errors import MissingError
from whygen.results import Explanation, load
from whygen.results.files import DOCUMENT

MOST_PLACES = 5_000
"""Explanations that the shelf lists."""
MOST_FOLDERS = 100_000
LONGEST_LOOK = 10.0
"""Seconds that looking through the folders may take; then the shelf says that it stopped."""
MOST_LOADED = 6
"""Explanations that are kept in memory."""
_PASSED_BY = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that holds an explanation; ``shown`` is its path below the folder that was named."""

    id: str
    folder: Path
    shown: str

    @property
    def file(self) -> Path:
        """The document."""
        return self.folder / DOCUMENT

    def stamp(self) -> tuple[int, int, int]:
        """What changes when another explanation is saved here.

        Raises:
            MissingError: if it is gone.
        """
        try:
            found = self.file.stat()
        except OSError:
            raise MissingError(f"The explanation in {self.shown!r} is gone since it was listed.") from None
        return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True)
class Found:
    """The places, and what kept some folders from being looked through, in sentences."""

    places: tuple[Place, ...]
    troubles: tuple[str, ...] = ()


@dataclass(slots=True)
class State:
    """The viewer's memory. Requests run on several threads; whatever changes is held by the lock."""

    folders: tuple[Path, ...]
    token: str
    live: tuple[str, ...] = ()
    _known: dict[str, Place] = field(default_factory=dict[str, Place])
    _loaded: OrderedDict[str, tuple[tuple[int, int, int], Explanation]] = field(
        default_factory=OrderedDict[str, tuple[tuple[int, int, int], Explanation]]
    )
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def look(self) -> Found:
        """Every explanation below the folders, by its path."""
        troubles: list[str] = []
        places = {place.id: place for folder in self.folders for place in _below(folder, troubles, self.folders)}
        with self._lock:
            self._known = places
        return Found(tuple(sorted(places.values(), key=lambda place: place.shown)), tuple(troubles))

    def place(self, known_as: str) -> Place:
        """The place with that id.

        Raises:
            MissingError: if there is none below the folders.
        """
        if known_as not in self._known:
            self.look()
        found = self._known.get(known_as)
        if found is None:
            raise MissingError(
                "There is no such explanation below the folders of this viewer. It was moved or removed, or the "
                "viewer was started on other folders."
            )
        return found

    def explanation(self, known_as: str) -> Explanation:
        """The explanation with that id, with its evidence; read again when its file has changed.

        Raises:
            MissingError: if there is none.
            FormatError: if it is damaged, or newer than this version.
        """
        place = self.place(known_as)
        stamp = place.stamp()
        with self._lock:
            kept = self._loaded.get(place.id)
            if kept is not None and kept[0] == stamp:
                self._loaded.move_to_end(place.id)
                return kept[1]
        found = load(place.folder)
        with self._lock:
            self._loaded[place.id] = (stamp, found)
            self._loaded.move_to_end(place.id)
            while len(self._loaded) > MOST_LOADED:
                self._loaded.popitem(last=False)
        return found


def _below(root: Path, troubles: list[str], roots: tuple[Path, ...]) -> Iterator[Place]:
    """Folders with an explanation, the root itself too; links are not followed, hidden folders are passed by."""
    until = time.monotonic() + LONGEST_LOOK
    prefix = f"{root.name or root}/" if len(roots) > 1 else ""

    def refused(error: OSError) -> None:
        troubles.append(f"{error.filename!r} cannot be looked through ({error.strerror}).")

    found = 0
    for number, (at, inside, files) in enumerate(os.walk(root, onerror=refused)):
        if found >= MOST_PLACES or number >= MOST_FOLDERS or time.monotonic() > until:
            troubles.append(
                f"There is more below {str(root)!r} than a shelf holds: start the viewer on a folder of it."
            )
            return
        inside[:] = sorted(name for name in inside if not name.startswith(".") and name not in _PASSED_BY)
        if DOCUMENT in files:
            folder = Path(at)
            below = folder.relative_to(root).as_posix()
            found += 1
            yield Place(_id(folder), folder, (prefix + below).removesuffix("/.") if below != "." else root.name or ".")


def _id(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
