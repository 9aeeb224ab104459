# pyright: basic
"""A `PromptExplanation` in a folder: JSON and JSON Lines beside safetensors; never pickle.

Beside ``explanation.json`` lie ``details.json``, ``arrays.safetensors`` and ``samples.jsonl``; where the model drew,
``pictures.safetensors`` too, where the answers are sounds or videos, ``media.safetensors``, and where the chat had
images, ``images.safetensors``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from whygen.errors import FormatError
from whygen.results import lines, media
from whygen.results.evidence import Evidence, ProxyEvidence, Sample, misfit
from whygen.results.files import (
    ARRAYS,
    DETAILS,
    DOCUMENT,
    EARLIER_SAMPLES,
    IMAGES,
    MEDIA,
    PART_NAMES,
    PARTS,
    PICTURES,
    SAMPLES,
    WITHOUT,
    check_schema,
    damaged,
    document_bytes,
    part_of,
    read_document,
    write_together,
)
from whygen.results.media import PictureEvidence
from whygen.results.prompt import SCHEMA, PromptExplanation

_SAMPLE = TypeAdapter(Sample)
_Kept = TypeVar("_Kept")


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


def _with_details(explanation: PromptExplanation, file: Path) -> PromptExplanation:
    if not file.is_file():
        return explanation
    details = read_document(file)
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
            raise FormatError(f"{str(where[name])!r} is missing beside {present[0]}. {WITHOUT}")
    samples = _read_samples(where[told])
    arrays = _read_arrays(where[ARRAYS], units=len(explanation.units), samples=len(samples))
    sizes = {"samples": len(samples), "units": len(explanation.units)}
    drawn = _read_beside(where[PICTURES], media.pictures_from_arrays, **sizes)
    heard = _read_beside(where[MEDIA], media.from_arrays, **sizes)
    shown = _read_beside(where[IMAGES], media.pictures_from_arrays, samples=0, units=0)
    images = () if shown is None else shown.files
    evidence = Evidence(**arrays, samples=samples, pictures=drawn, media=heard, images=images)
    return explanation.model_copy(update={"evidence": evidence})


def _read_arrays(file: Path, *, units: int, samples: int) -> dict[str, Any]:
    try:
        found = load_file(file)
        arrays: dict[str, NDArray[Any]] = {name: found[name] for name in _ARRAYS}
    except (SafetensorError, KeyError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {WITHOUT}") from None
    further = {name: found[name] for name in _FURTHER if name in found}
    wrong = misfit({**arrays, **further}, _SHAPES, {"n": units, "samples": samples})
    if wrong:
        raise FormatError(f"{str(file)!r} does not fit {DOCUMENT} and {SAMPLES}: {wrong}. {WITHOUT}")
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
    raise FormatError(f"{str(file)!r} is damaged: what the proxy did does not fit {units} units ({wrong}). {WITHOUT}")


def _read_beside(file: Path, read: Callable[..., _Kept], **sizes: int) -> _Kept | None:
    """Pictures, sounds or videos, where there are any: an explanation of texts has no such file."""
    if not file.is_file():
        return None
    try:
        return read(load_file(file), **sizes)
    except (SafetensorError, ValueError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {WITHOUT}") from None


def _read_samples(file: Path) -> tuple[Sample, ...]:
    try:
        found = lines.read_earlier(file) if file.suffix == ".parquet" else lines.read_lines(file)
        return tuple(_SAMPLE.validate_python(row) for row in found)
    except ValidationError as error:
        raise damaged(file, error) from None
    except (ValueError, OSError) as error:
        raise FormatError(f"{str(file)!r} is damaged ({error}). {WITHOUT}") from None
