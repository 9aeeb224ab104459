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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from whygen.errors import FormatError, MissingError, UsageError
from whygen.evaluation.result import DOCUMENT as EVALUATION
from whygen.plugins import PYTHON
from whygen.prompt.targets import OWN, TARGETS
from whygen.report.texts import shorten
from whygen.results import Explanation, PromptExplanation, load
from whygen.results.anchors_compared import DOCUMENT as COMPARISON
from whygen.results.files import DETAILS, DOCUMENT, SAMPLES
from whygen.results.many import INDEX, PAGE
from whygen.results.trimmed import DOCUMENT as TRIMMED

MOST_PLACES = 5_000
"""Explanations that the shelf lists."""
MOST_FOLDERS = 100_000
LONGEST_LOOK = 10.0
"""Seconds that looking through the folders may take; then the shelf says that it stopped."""
MOST_ANSWERS = 256 * 2**20
"""Bytes of recorded answers that are read into memory; they take some five times that there."""
MOST_LOADED = 12
"""Explanations, readings and pages that are kept in memory."""
_BESIDE = (DETAILS, SAMPLES, EVALUATION)
"""Files beside the document that are looked at for a change, too."""
_PASSED_BY = frozenset({"node_modules", "__pycache__", "site-packages"})
_MARK_OF_MANY = b'"kind": "many"'
"""Stands in the first line or two of an index that whygen wrote; other programs call their files so as well."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A folder that holds an explanation; ``shown`` is its path below the folder that was named.

    ``name`` is the file of the document: what was made of explanations (a comparison, an evaluation, a list of many)
    and a trimmed prompt have one of their own.
    """

    id: str
    folder: Path
    shown: str
    name: str = DOCUMENT

    @property
    def file(self) -> Path:
        """The document."""
        return self.folder / self.name

    def stamp(self) -> tuple[int, ...]:
        """What changes when another explanation, or an evaluation of this one, is saved here; first, when it was.

        Raises:
            MissingError: if it is gone.
        """
        try:
            found = self.file.stat()
        except FileNotFoundError:
            raise MissingError(f"The explanation in {self.shown!r} is gone since it was listed.") from None
        except OSError as error:
            raise MissingError(f"The explanation in {self.shown!r} cannot be read ({error.strerror}).") from None
        return found.st_mtime_ns, found.st_size, found.st_ino, *(_time(self.folder / name) for name in _BESIDE)

    @property
    def mark(self) -> str:
        """Tells what lies here now from what may be saved here later; in the address of what a page asks for."""
        return hashlib.sha256(repr(self.stamp()[:3]).encode()).hexdigest()[:12]


def require_same(of: str, mark: str) -> None:
    """Refuse to answer a page that shows something else than what lies there now.

    Args:
        of: the mark of what the page shows; empty where it does not say.
        mark: of what lies there now.

    Raises:
        UsageError: if they differ.
    """
    if of not in ("", mark):
        raise UsageError("Another explanation was saved here since this page was opened. Load the page anew.")


def _time(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How the answers of a prompt's explanation are read; what is None stays as it was."""

    target: str | None = None
    estimand: str | None = None
    matrix: str | None = None

    def __bool__(self) -> bool:
        return self != ReadAs()


@dataclass(frozen=True, slots=True)
class Looked:
    """The places, and what kept some folders from being looked through, in sentences."""

    places: tuple[Shelved, ...]
    troubles: tuple[str, ...] = ()


T = TypeVar("T")
Kept: TypeAlias = OrderedDict[tuple[str, str, ReadAs], tuple[tuple[int, ...], object]]
"""By what it is, the id of the explanation and how that is read: what its document was then, and what was made."""


@dataclass(slots=True)
class State:
    """The viewer's memory. Requests run on several threads; whatever changes is held by the lock."""

    folders: tuple[Path, ...]
    token: str
    live: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Targets that are not whygen's own and may be read by: those of the command line."""
    _known: dict[str, Shelved] = field(default_factory=dict[str, Shelved])
    _loaded: Kept = field(default_factory=Kept)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _closers: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def on_close(self, close: Callable[[], None]) -> None:
        """Call this when the viewer stops; it may take a few seconds."""
        self._closers.append(close)

    def close(self) -> None:
        """The viewer stops."""
        for close in self._closers:
            close()

    def look(self) -> Looked:
        """Every explanation below the folders, by its path."""
        troubles: list[str] = []
        places = {place.id: place for folder in self.folders for place in _below(folder, troubles, self.folders)}
        with self._lock:
            self._known = places
        return Looked(tuple(sorted(places.values(), key=lambda place: place.shown)), tuple(troubles))

    def place(self, known_as: str) -> Shelved:
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
            FormatError: if it is damaged, too large to be shown, or newer than this version.
        """
        place = self.place(known_as)
        return self.kept("explanation", place, ReadAs(), lambda: _loaded(place))

    def figures(self, known_as: str) -> Explanation:
        """The figures alone, where the answers cannot be had.

        Raises:
            MissingError: if there is none.
            FormatError: if the document is damaged too.
        """
        return load(self.place(known_as).file)

    def read(self, known_as: str, reading: ReadAs) -> PromptExplanation:
        """The explanation of a prompt as another target or estimand reads its answers; no model is asked.

        Raises:
            MissingError: if there is none.
            UsageError: if it is of no prompt, or its answers cannot be read so; the message says what to do.
        """
        place, found = self.place(known_as), self.explanation(known_as)
        if not isinstance(found, PromptExplanation):
            raise UsageError("Other targets and estimands read the answers of a prompt, and this explains anchors.")
        if not reading:
            return found
        self.check_code(found, reading.target)
        wanted = {name: value for name, value in asdict(reading).items() if value is not None}
        return self.kept("explanation", place, reading, lambda: found.read(**wanted))

    def check_code(self, found: PromptExplanation, target: str | None = None) -> None:
        """Refuse to read by a target, a distance or an encoder that is code nobody named on the command line.

        An address could come from anybody; and so could a folder, whose recipe names all three.

        Args:
            found: whose answers are read.
            target: by which target; the recipe's own where there is none.

        Raises:
            UsageError: saying where it can be done.
        """
        recipe = found.recipe
        if recipe is None:
            named = [target or "auto"]
        else:
            named = [target] if target else [recipe.target.name, recipe.target.distance or "auto"]
        for name in named:
            if name not in self.targets and name.partition(":")[0] not in OWN:
                raise UsageError(
                    f"The viewer reads by whygen's own targets, and {shorten(name, 80)!r} is none: {', '.join(OWN)}. A "
                    "target of your own is named when the viewer is started: whygen view --target py/MODULE:FUNCTION"
                )
        head = named[0].partition(":")[0]
        compares = head in OWN and (head not in TARGETS or "encoder" in TARGETS[head].takes)
        if compares and recipe is not None and recipe.encoder.startswith(PYTHON):
            raise UsageError(
                f"The target {head!r} compares by {shorten(recipe.encoder, 80)!r}, which is code that this viewer does "
                "not run. Read by another target here, or run: whygen read DIR -o NEW"
            )

    def kept(self, what: str, place: Shelved, reading: ReadAs, make: Callable[[], T]) -> T:
        """What was made of an explanation before, unless its document has changed since.

        Args:
            what: names it.
            place: of the explanation.
            reading: how it is read.
            make: makes it.

        Raises:
            MissingError: if the explanation is gone.
        """
        stamp, key = place.stamp(), (what, place.id, reading)
        with self._lock:
            kept = self._loaded.get(key)
            if kept is not None and kept[0] == stamp:
                self._loaded.move_to_end(key)
                return cast("T", kept[1])
        found = make()
        with self._lock:
            self._loaded[key] = (stamp, found)
            self._loaded.move_to_end(key)
            while len(self._loaded) > MOST_LOADED:
                self._loaded.popitem(last=False)
        return found


def _loaded(place: Shelved) -> Explanation:
    """The whole explanation, unless its answers would fill the memory of a person's computer."""
    if place.name != DOCUMENT:
        raise UsageError(f"{place.shown!r} holds no explanation of one output, but {place.name}. Open its page.")
    with suppress(OSError):
        size = (place.folder / SAMPLES).stat().st_size
        if size > MOST_ANSWERS:
            raise FormatError(
                f"The answers of {place.shown!r} take {size // 2**20:,} MiB, more than the {MOST_ANSWERS // 2**20} MiB "
                f"that the viewer reads. In Python: whygen.load({str(place.folder)!r})."
            )
    return load(place.folder)


def _below(root: Path, troubles: list[str], roots: tuple[Path, ...]) -> Iterator[Shelved]:
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
        folder = Path(at)
        below = folder.relative_to(root).as_posix()
        shown = (prefix + below).removesuffix("/.") if below != "." else root.name or "."
        for name in _documents(folder, files):
            found += 1
            yield Shelved(place_id(folder, name), folder, shown, name)


def _documents(folder: Path, files: list[str]) -> Iterator[str]:
    """The documents of a folder with a row on the shelf; an evaluation beside its explanation is a part of that."""
    for name in (DOCUMENT, COMPARISON, TRIMMED):
        if name in files:
            yield name
    if EVALUATION in files and DOCUMENT not in files:
        yield EVALUATION
    if INDEX in files and PAGE in files and _is_many(folder / INDEX):
        yield INDEX


def _is_many(index: Path) -> bool:
    with suppress(OSError):
        if index.is_file():  # a pipe would be waited for without end
            with index.open("rb") as file:
                return _MARK_OF_MANY in file.read(100)
    return False


def place_id(folder: Path, name: str = DOCUMENT) -> str:
    """The id of an explanation by where it lies, and of another document there by its name, too."""
    where = os.fsencode(folder.resolve()) + (b"" if name == DOCUMENT else b"\0" + name.encode())
    return hashlib.sha256(where).hexdigest()[:16]
