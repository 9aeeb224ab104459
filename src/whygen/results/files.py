# pyright: basic
"""Saving and loading a prompt explanation: JSON and JSON Lines beside safetensors; never pickle.

A folder holds ``explanation.json`` (the contract), ``details.json``, ``arrays.safetensors`` and ``samples.jsonl``;
where the model drew, ``pictures.safetensors`` too, where the answers are sounds or videos, ``media.safetensors``, and
where the chat had images, ``images.safetensors``.
The document names the digests of the others. All are written beside their places first; then the document takes its
own, and the others after it: at every moment a folder holds one whole explanation, the earlier or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from whygen.errors import FormatError, MissingError, StoreError
from whygen.files import require_ordinary, write_beside
from whygen.results import lines, media
from whygen.results.evidence import Evidence, ProxyEvidence, Sample, misfit
from whygen.results.media import PictureEvidence
from whygen.results.prompt import SCHEMA, PromptExplanation
from whygen.results.records import Record
from whygen.safe import read_json

if TYPE_CHECKING:
    from whygen.results.anchors import AnchorExplanation
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
_SAMPLE = TypeAdapter(Sample)
R = TypeVar("R", bound=Record)


def save_prompt(explanation: PromptExplanation, directory: Path | str) -> Path:
    """Write a prompt explanation into a folder, which is made if need be; an earlier one there is replaced.

    Raises:
        StoreError: if the folder cannot be written.
    """
    folder = Path(directory)
    parts: dict[str, bytes] = {DETAILS: document_bytes(explanation.details())}
    if explanation.evidence is not None:
        parts[ARRAYS] = save(_arrays(explanation.evidence))
        parts[SAMPLES] = lines.to_lines(_row(sample) for sample in explanation.evidence.samples)
        if explanation.evidence.pictures is not None:
            parts[PICTURES] = save(media.pictures_to_arrays(explanation.evidence.pictures))
        if explanation.evidence.media is not None:
            parts[MEDIA] = save(media.to_arrays(explanation.evidence.media))
        if explanation.evidence.images:
            shown = PictureEvidence(files=explanation.evidence.images, given=None, samples=())
            parts[IMAGES] = save(media.pictures_to_arrays(shown))
    parts[DOCUMENT] = document_bytes(explanation.to_dict())
    write_together(folder, parts, stale=(DOCUMENT, *PART_NAMES))
    return folder


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
    raise FormatError(f"{str(place)!r} is not what {DOCUMENT} was saved with: one of them was changed. {_WITHOUT}")


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


def _row(sample: Sample) -> dict[str, Any]:
    """A sample as a row; what only some have takes no room in the others."""
    row = asdict(sample)
    return {name: cell for name, cell in row.items() if cell is not None or name not in {"scores", "extra", "calls"}}


_ARRAYS = ("masks", "effects", "predicted", "groups")
_FURTHER = ("answers", "nearness")
"""Arrays that not every explanation has."""
_SHAPES = {"masks": "b m n", "effects": "f m", "predicted": "g m", "groups": "i m", "nearness": "g m"}
_SHAPES["answers"] = "i<samples m draws"
_PROXY = "proxy."
"""Begins the names of what a cheap model did."""
_PROXY_SHAPES = {
    "masks": "b k n", "effects": "g k", "apart": "b a n", "apart_effects": "f a", "attributions": "f n",
    "standard": "f n", "keep": "f one", "sizes": "f inner", "kept": "f counts", "total": "f one",
}  # fmt: skip


def _arrays(evidence: Evidence) -> dict[str, NDArray[Any]]:
    arrays = {name: getattr(evidence, name) for name in (*_ARRAYS, *_FURTHER)}
    if evidence.proxy is not None:
        told = ((f"{_PROXY}{each.name}", getattr(evidence.proxy, each.name)) for each in fields(evidence.proxy))
        arrays |= {name: None if value is None else np.asarray(value) for name, value in told}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}


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


def load_prompt(path: Path | str) -> PromptExplanation:
    """A saved prompt explanation: all of it from its folder, the contract's fields alone from its JSON file.

    Raises:
        MissingError: if there is none.
        FormatError: naming the part that is damaged or missing.
    """
    place = Path(path)
    document = read_document(place)
    file = place / DOCUMENT if place.is_dir() else place
    check_schema(document, file, newest=SCHEMA)
    try:
        explanation = PromptExplanation.model_validate({k: v for k, v in document.items() if k != PARTS})
    except ValidationError as error:
        raise damaged(file, error) from None
    _check_values(explanation, file)
    if not place.is_dir():
        return explanation
    where = {name: part_of(place, name, document) for name in PART_NAMES}
    return _with_evidence(_with_details(explanation, where[DETAILS]), where)


def _check_values(explanation: PromptExplanation, file: Path) -> None:
    """Refuse figures that no run gives: they were changed by hand, or by chance."""
    size = len(explanation.prompt)
    for unit in explanation.units:
        p, low, high = unit.p_value, unit.low, unit.high
        wrong = (
            "a p-value outside 0 to 1"
            if p is not None and not 0.0 <= p <= 1.0
            else "an interval that ends before it begins"
            if low is not None and high is not None and low > high
            else f"a span outside the prompt of {size} characters"
            if not 0 <= unit.start <= unit.end <= size
            else ""
        )
        if wrong:
            raise FormatError(f"{str(file)!r} was changed: unit {unit.text[:40]!r} has {wrong}. Explain again.")


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


def _with_details(explanation: PromptExplanation, file: Path) -> PromptExplanation:
    if not file.is_file():
        return explanation
    details = _read_json(file)
    kept = {name: details.pop(name, None) for name in ("r2_chance_p95", "noise_ceiling_low", "noise_ceiling_high")}
    known: dict[str, Any] = {name: getattr(explanation, name) for name in PromptExplanation.model_fields}
    known["fidelity"] = {**explanation.fidelity.model_dump(), **kept}
    try:
        return PromptExplanation.model_validate({**known, **details})
    except ValidationError as error:
        raise damaged(file, error) from None


def _with_evidence(explanation: PromptExplanation, where: Mapping[str, Path]) -> PromptExplanation:
    told = EARLIER_SAMPLES if where[EARLIER_SAMPLES].is_file() else SAMPLES
    present = [name for name in (ARRAYS, told) if where[name].is_file()]
    if not present:
        return explanation
    for name in (ARRAYS, told):
        if name not in present:
            raise FormatError(f"{str(where[name])!r} is missing beside {present[0]}. {_WITHOUT}")
    samples = _read_samples(where[told])
    arrays = _read_arrays(where[ARRAYS], units=len(explanation.units), samples=len(samples))
    drawn = _read_pictures(where[PICTURES], samples=len(samples), units=len(explanation.units))
    heard = _read_media(where[MEDIA], samples=len(samples), units=len(explanation.units))
    shown = _read_pictures(where[IMAGES], samples=0, units=0)
    images = () if shown is None else shown.files
    evidence = Evidence(**arrays, samples=samples, pictures=drawn, media=heard, images=images)
    return explanation.model_copy(update={"evidence": evidence})


_WITHOUT = f"Load {DOCUMENT} by its own path for the figures without evidence, or explain again; answers are recorded."


def _read_arrays(file: Path, *, units: int, samples: int) -> dict[str, Any]:
    try:
        found = load_file(file)
        arrays: dict[str, NDArray[Any]] = {name: found[name] for name in _ARRAYS}
    except (SafetensorError, KeyError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {_WITHOUT}") from None
    further = {name: found[name] for name in _FURTHER if name in found}
    wrong = misfit({**arrays, **further}, _SHAPES, {"n": units, "samples": samples})
    if wrong:
        raise FormatError(f"{str(file)!r} does not fit {DOCUMENT} and {SAMPLES}: {wrong}. {_WITHOUT}")
    beside = {name.removeprefix(_PROXY): found[name] for name in found if name.startswith(_PROXY)}
    proxy = _proxy(beside, file, units) if beside else None
    return {**arrays, **further, "masks": arrays["masks"].astype(bool), "proxy": proxy}


def _proxy(found: Mapping[str, NDArray[Any]], file: Path, units: int) -> ProxyEvidence:
    """What a cheap model did, of arrays that fit each other."""
    wrong = misfit(found, _PROXY_SHAPES, {"n": units, "inner": units - 1, "counts": units + 1, "one": 1})
    wrong = wrong or ("apart holds half a pair" if len(found.get("apart", ())) % 2 else "")
    if not wrong:
        numbers = {name: found[name].item() for name in ("keep", "total") if name in found}
        try:
            return ProxyEvidence(**{**found, **numbers, "masks": found["masks"] > 0, "apart": found["apart"] > 0})
        except (TypeError, KeyError):
            wrong = "some of it is missing"
    raise FormatError(f"{str(file)!r} is damaged: what the proxy did does not fit {units} units ({wrong}). {_WITHOUT}")


def _read_pictures(file: Path, *, samples: int, units: int) -> media.PictureEvidence | None:
    """The pictures, where there are any: an explanation of texts has no such file."""
    if not file.is_file():
        return None
    try:
        return media.pictures_from_arrays(load_file(file), samples=samples, units=units)
    except (SafetensorError, ValueError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {_WITHOUT}") from None


def _read_media(file: Path, *, samples: int, units: int) -> media.MediaEvidence | None:
    """The sounds or videos, where there are any: an explanation of texts has no such file."""
    if not file.is_file():
        return None
    try:
        return media.from_arrays(load_file(file), samples=samples, units=units)
    except (SafetensorError, ValueError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {_WITHOUT}") from None


def _read_samples(file: Path) -> tuple[Sample, ...]:
    try:
        found = lines.read_earlier(file) if file.suffix == ".parquet" else lines.read_lines(file)
        return tuple(_SAMPLE.validate_python(row) for row in found)
    except ValidationError as error:
        raise damaged(file, error) from None
    except (ValueError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {_WITHOUT}") from None
