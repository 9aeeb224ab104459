"""Reading a server's JSON without trusting its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast


class Malformed(Exception):  # noqa: N818 - it never leaves the adapters
    """What came back is no answer of the protocol; the text says what it is."""


def document(content: bytes) -> Mapping[str, Any]:
    """The JSON object in a response's body, whatever its content type says.

    Raises:
        Malformed: if there is none.
    """
    if not content.strip():
        raise Malformed("an empty response")
    try:
        found: object = json.loads(content)
    except ValueError:  # covers bytes that are no text
        is_page = content.lstrip()[:1] == b"<"
        raise Malformed("a web page instead of JSON" if is_page else "something that is not JSON") from None
    if not isinstance(found, dict):
        raise Malformed(f"JSON that is a {type(found).__name__}, not an object")
    return cast(Mapping[str, Any], found)


def dig(found: object, *path: str | int) -> object:
    """What stands at a path of keys and positions; None where there is nothing."""
    for step in path:
        if isinstance(found, Mapping) and isinstance(step, str):
            found = cast(Mapping[str, object], found).get(step)
        elif (
            isinstance(found, list)
            and isinstance(step, int)
            and -len(cast(Sequence[object], found)) <= step < len(cast(Sequence[object], found))
        ):
            found = cast(Sequence[object], found)[step]
        else:
            return None
    return found


def count(found: object, *path: str | int) -> int | None:
    """A whole number at a path; None if there is none."""
    value = dig(found, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
