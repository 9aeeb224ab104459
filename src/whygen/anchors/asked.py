"""What `explain_anchors` was asked with, written down so that it can be asked again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from whygen._arguments import declared
from whygen.anchors.options import AnchorArguments
from whygen.models.protocols import ModelOptions
from whygen.results.recipe import AskedRecord
from whygen.safe import without_secrets
from whygen.types import JsonValue

LONGEST = 2_000
"""Characters of an argument that is written down; a longer list is given by hand."""


def asked_of(model: object, anchors: object, given: Mapping[str, Any]) -> AskedRecord:
    """What was asked, as far as it can be written down.

    Args:
        model: as it was given.
        anchors: as they were given.
        given: the other arguments by name. How the run was made (its deadline, its name) is no part of them.
    """
    defaults = {each.name: each.default for each in fields(AnchorArguments)}
    told = {name: value for name, value in given.items() if name != "run" and not _is(value, defaults.get(name))}
    written = {name: _written(value) for name, value in {"model": model, "anchors": anchors, **told}.items()}
    kept: dict[str, Any] = {name: value for name, value in written.items() if value is not None}
    return AskedRecord(
        given=kept,
        by_hand=tuple(name for name, value in written.items() if value is None),
    )


def _is(value: Any, default: Any) -> bool:
    """Whether an argument is its default; arrays and the like never are."""
    return value is None or (isinstance(value, str | int | float) and value == default)


def _written(value: Any) -> JsonValue:
    """A text, a number, a path, a list or a mapping of these, or the options of a model; None for anything else."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | Path):
        text = str(value)
        return text if len(text) <= LONGEST and without_secrets(text) == text else None
    if isinstance(value, ModelOptions):
        value = {name: each for name in declared(ModelOptions) if (each := getattr(value, name)) is not None}
    if isinstance(value, list | tuple):
        parts = [_written(each) for each in cast("Sequence[Any]", value)]
        return parts if None not in parts and len(json.dumps(parts)) <= LONGEST else None
    if isinstance(value, Mapping):
        named = {str(name): _written(each) for name, each in cast("Mapping[Any, Any]", value).items()}
        return named if None not in named.values() and len(json.dumps(named)) <= LONGEST else None
    return None
