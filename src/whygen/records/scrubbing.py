"""A record without what must not be shown or kept: keys, halves of characters, numbers that are none."""

from __future__ import annotations

import math
import re
from typing import cast

from whygen.errors import DataError
from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.safe import STAND_IN, is_secret, without_secrets

_LONG = 1000
_ENCODED = re.compile(r"(?:data:[\w.+-]{1,80}/[\w.+-]{1,80};base64,)?[A-Za-z0-9+/=\r\n]*")
"""A picture or a file in base64: no key is to be seen in it, and it may be long."""


def scrubbed(found: Field, notices: Notices) -> Field:
    """The same value, clean; notices say what was changed.

    Raises:
        DataError: if a number in it is none.
    """
    return Field(_clean(found, notices), found.place, found.source)


def _clean(found: Field, notices: Notices) -> object:
    value = found.value
    if isinstance(value, str):
        return _text(value, found, notices)
    if isinstance(value, dict):
        inside = cast("dict[str, object]", value)
        return {_name(key, found, notices): _held(key, found, notices) for key in inside}
    if isinstance(value, list):
        return [_clean(each, notices) for each in found]
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{found.source}: {found.place} is {value}, which is no number in JSON.")
    return value


def _held(key: str, found: Field, notices: Notices) -> object:
    """What stands under a key; a secret, if that is what the key calls it."""
    if is_secret(key, found.place.rpartition(".")[2]) and isinstance(found.object()[key], str):
        notices.count("key", found[key])
        return STAND_IN
    return _clean(found[key], notices)


def _name(key: str, found: Field, notices: Notices) -> str:
    return _text(key, Field(key, found.place, found.source), notices)


def _text(text: str, found: Field, notices: Notices) -> str:
    if not text.isascii():
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if whole != text:
            notices.count("half-character", found)
            text = whole
    if len(text) > _LONG and _ENCODED.fullmatch(text):
        return text
    clean = without_secrets(text)
    if clean != text:
        notices.count("key", found)
    return clean
