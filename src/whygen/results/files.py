# pyright: basic
"""Explanations in folders: documents of JSON with the digests of the files beside them, written together.

A folder holds ``explanation.json`` (the contract), and beside it what that names. All are written beside their places
first; then the document takes its own, and the others after it: at every moment a folder holds one whole explanation,
the earlier or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import ValidationError

from whygen.errors import FormatError, MissingError, StoreError
from whygen.files import require_ordinary, write_beside
from whygen.results.records import Record
from whygen.safe import read_json

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorExplanation
    from whygen.results.prompt import PromptExplanation
    from whygen.results.texts import TextAnchorExplanation

DOCUMENT = "explanation.json"
DETAILS = "details.json"
ARRAYS = "arrays.safetensors"
SAMPLES = "samples.jsonl"
EARLIER_SAMPLES = "samples.parquet"
"""As schema 1 wrote them."""
PICTURES = "pictures.safetensors"
MEDIA = "media.safetensors"
IMAGES = "images.safetensors"
REPORT = "report.html"
"""The page that the command line writes beside them."""
MAX_DOCUMENT_BYTES = 64 * 2**20
"""A document larger than this was not written by whygen."""

PARTS = "parts"
"""The field of a document on disk that holds the digests of the files beside it."""

PART_NAMES = (DETAILS, ARRAYS, SAMPLES, EARLIER_SAMPLES, PICTURES, MEDIA, IMAGES)
WITHOUT = f"Load {DOCUMENT} by its own path for the figures without evidence, or explain again; answers are recorded."
"""What to do where a file beside the document is damaged or gone."""
R = TypeVar("R", bound=Record)


def save_figures(explanation: PromptExplanation | AnchorExplanation | TextAnchorExplanation, folder: Path) -> Path:
    """Write the contract's document alone, which takes little room: loaded by its path, it has no evidence.

    Raises:
        StoreError: if the folder cannot be written.
    """
    write_together(folder, {DOCUMENT: document_bytes(explanation.to_dict())}, stale=(DOCUMENT, *PART_NAMES))
    return folder


def write_together(folder: Path, parts: Mapping[str, bytes], *, stale: tuple[str, ...] = ()) -> None:
    """Write files so that the last of them is only there when all are.

    Args:
        folder: made if need be.
        parts: names and contents; the last one is the document.
        stale: names of an earlier state, the document first; those without a new content are removed.

    Raises:
        StoreError: if the folder cannot be written. Nothing half-written is left behind.
    """
    document = list(parts)[-1]
    bound = _bound(parts, document)
    waiting: dict[str, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, parts, stale)
        _require_places(folder, bound)
        for name, data in bound.items():
            waiting[name] = write_beside(folder / name, data)
        # Parts stand beside their places, by the digests that the document names, before it takes its own: whoever
        # reads at any moment, or after a kill at any moment, finds a document and all that belongs to it.
        for name in [name for name in waiting if name != document]:
            waiting[name] = waiting[name].replace(_by_digest(folder, name, parts[name]))
        if document == DOCUMENT and _is_own_report(folder / REPORT):  # of what is replaced now
            (folder / REPORT).unlink()
        waiting.pop(document).replace(folder / document)
        whole, waiting = waiting, {}  # from here on they belong to what is there
        for name, place in whole.items():
            place.replace(folder / name)
        for name in set(stale) - parts.keys():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{str(folder)!r} cannot be written ({error.strerror}). Give another folder with -o, or make room. Answers "
            "that were recorded (not with --no-cache) are kept: running again asks for none of them."
        ) from error
    finally:
        for place in waiting.values():
            place.unlink(missing_ok=True)


def _bound(parts: Mapping[str, bytes], document: str) -> dict[str, bytes]:
    """The parts, and the document with their digests: what was put in place of one of them is noticed."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items() if name != document}
    if not digests or not document.endswith(".json"):
        return dict(parts)
    return {**parts, document: document_bytes({**json.loads(parts[document]), PARTS: digests})}


def _by_digest(folder: Path, name: str, data: bytes) -> Path:
    return folder / f".{name}.{hashlib.sha256(data).hexdigest()[:16]}"


_HALVES = re.compile("[\ud800-\udfff]")
_REPORT_MARK = b"whygen-explanation"
"""Stands in every report (`whygen.report.html`), whose page holds the explanation."""


def _is_own_report(place: Path) -> bool:
    return place.is_file() and _REPORT_MARK in place.read_bytes()


def _sweep(folder: Path, parts: Mapping[str, bytes], stale: tuple[str, ...]) -> None:
    """Take away what a writer that was killed left; but for what the document that is there may need."""
    named: object = None
    if stale and (folder / DOCUMENT).is_file():
        with suppress(FormatError):  # what is damaged is replaced too
            named = _read_json(folder / DOCUMENT).get(PARTS)
    needed = {f".{name}.{str(digest)[:16]}" for name, digest in named.items()} if isinstance(named, Mapping) else set()
    for name in {*parts, *stale}:
        for left in folder.glob(f".{name}.*"):
            if left.name not in needed:
                left.unlink(missing_ok=True)


def part_of(folder: Path, name: str, document: Mapping[str, Any]) -> Path:
    """Where a part of a saved explanation lies: at its place, or beside it if the writer was killed in the last moment.

    Raises:
        FormatError: if what is there is not what the document was saved with.
    """
    named = document.get(PARTS)
    place = folder / name
    if not isinstance(named, Mapping):  # from before parts were bound to their document
        return place
    if name not in named:
        return folder / f".{name}.none"  # it belongs to another document
    wanted = str(named[name])
    for candidate in (place, folder / f".{name}.{wanted[:16]}"):
        try:
            if candidate.is_file() and hashlib.sha256(candidate.read_bytes()).hexdigest() == wanted:
                return candidate
        except OSError:
            continue
    if not place.exists():
        return place
    raise FormatError(f"{str(place)!r} is not what {DOCUMENT} was saved with: one of them was changed. {WITHOUT}")


def make_folder(path: Path, *, by: str = "-o") -> Path:
    """The folder, made if it is not there.

    Args:
        path: where.
        by: what another one is given with.

    Raises:
        StoreError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        why = "a file is in its place" if in_the_way else getattr(error, "strerror", None) or error
        raise StoreError(f"The folder {str(path)!r} cannot be made ({why}). Give another one with {by}.") from None
    return path


def try_folder(folder: Path) -> None:
    """Find out whether files can be written into a folder, before what they hold is paid for.

    Raises:
        StoreError: if not.
    """
    try_places(folder, (DOCUMENT, DETAILS, ARRAYS, SAMPLES, PICTURES, MEDIA, IMAGES, REPORT))


def try_places(folder: Path, names: Iterable[str]) -> None:
    """Find out whether files of these names can be written into a folder.

    Raises:
        StoreError: if not.
    """
    try:
        write_beside(folder / "trial", b" ").unlink()
        _require_places(folder, names)
    except OSError as error:
        raise StoreError(
            f"{str(folder)!r} cannot be written ({error.strerror}). Give another folder with -o."
        ) from None


def _require_places(folder: Path, names: Iterable[str]) -> None:
    for place in (folder / name for name in names):
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{place.name} is a folder there")
        require_ordinary(place)


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """A JSON document as it lies on disk.

    Half a surrogate pair, as in the name of a file whose bytes are no UTF-8, is spelled out: no file can hold it.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    return _HALVES.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()


def digest_of(explanation: Record) -> str:
    """SHA-256 of an explanation's JSON, less the calls it made: these differ when recorded answers are read again."""
    document = explanation.model_dump(mode="json", by_alias=True, exclude={"calls"})
    return hashlib.sha256(document_bytes(document)).hexdigest()


def read_document(path: Path) -> dict[str, Any]:
    """The JSON document of a saved explanation, of either kind and of any version.

    Args:
        path: a folder, or the document itself.

    Raises:
        MissingError: if it is not there.
        FormatError: if it is no JSON object, or too large.
    """
    file = path / DOCUMENT if path.is_dir() else path
    if not file.is_file():
        raise MissingError(f"There is no explanation at {str(path)!r}: give a folder that -o or save() wrote.")
    return _read_json(file)


def check_schema(document: Mapping[str, Any], file: Path, *, newest: int) -> None:
    """Refuse a document that this version does not understand.

    Raises:
        FormatError: naming both versions and what to do.
    """
    schema = document.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise FormatError(f"{str(file)!r} is no explanation: its schema version is {schema!r}, not a number from 1.")
    if schema > newest:
        raise FormatError(
            f"{str(file)!r} has schema {schema}, written by whygen {document.get('whygen')}; this whygen reads up to "
            f"{newest}. Upgrade it with: pip install -U whygen"
        )


def _read_json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MAX_DOCUMENT_BYTES:
        raise FormatError(f"{str(file)!r} is over {MAX_DOCUMENT_BYTES // 2**20} MiB: no explanation is so large.")
    try:
        content = file.read_bytes()
        document = read_json(content)
        if b"\\ud" in content.lower():  # half a surrogate pair can be read, and never written again
            json.dumps(document, ensure_ascii=False).encode()
    except OSError as error:
        raise FormatError(f"{str(file)!r} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise FormatError(f"{str(file)!r} is damaged: {error}. Explain again; recorded answers cost nothing.") from None
    if not isinstance(document, dict):
        raise FormatError(f"{str(file)!r} is no explanation: it holds a {type(document).__name__}, not an object.")
    return cast("dict[str, Any]", document)


def damaged(
    file: Path, error: ValidationError, *, again: str = "Explain again; recorded answers cost nothing."
) -> FormatError:
    """That a document is not what it should be: where that shows first, and what to do."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return FormatError(f"{str(file)!r} is damaged at {where!r}: {first['msg']}. {again}")


def load_document(kind: type[R], path: Path | str, *, name: str, newest: int, what: tuple[str, str], again: str) -> R:
    """What was saved as one document alone.

    Args:
        kind: of record.
        path: its folder, or the file.
        name: of the file in a folder.
        newest: the schema that this version reads up to.
        what: is not there, and what would have written it: ``evaluation``, ``evaluate``.
        again: what makes it again.

    Raises:
        MissingError: if there is nothing at the path.
        FormatError: if it is damaged, or newer than this version.
    """
    file = Path(path) / name if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise MissingError(f"There is no {what[0]} at {str(path)!r}: give a folder that {what[1]} wrote.")
    document = read_document(file)
    check_schema(document, file, newest=newest)
    try:
        return kind.model_validate({key: value for key, value in document.items() if key != PARTS})
    except ValidationError as error:
        raise damaged(file, error, again=again) from None
