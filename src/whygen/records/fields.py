"""The JSON of a record, looked at with its place in mind: every error names the field and what belongs there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from whygen.errors import DataError
from whygen.types import JsonValue

LONGEST_NAME = 300
"""Characters of a name or an id that are read; a longer one names nothing."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a record.

    Attributes:
        value: what stands there; None where nothing does.
        place: the way to it, such as ``messages[2].content``.
        source: the file and the line, for people.
    """

    value: object
    place: str = ""
    source: str = "The record"

    def __getitem__(self, key: str) -> Field:
        """What stands under a key; a field without a value where it is missing, or where this is no object."""
        inside = self.value
        found = cast("Mapping[str, object]", inside).get(key) if isinstance(inside, dict) else None
        return Field(found, f"{self.place}.{key}" if self.place else key, self.source)

    def at(self, *keys: str) -> Field:
        """What stands at the end of several keys."""
        found = self
        for key in keys:
            found = found[key]
        return found

    def first(self, *keys: str) -> Field:
        """What stands under the first of these keys that has a value; without a value where none has."""
        value = self.value
        inside: Mapping[str, object] = cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
        return self[next((key for key in keys if inside.get(key) is not None), keys[0])]

    @property
    def there(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    @property
    def is_text(self) -> bool:
        return isinstance(self.value, str)

    def __iter__(self) -> Iterator[Field]:
        """The values of a list.

        Raises:
            DataError: if something else stands here; nothing at all is an empty list.
        """
        value = self.value
        if value is not None and not isinstance(value, list):
            raise self.wrong("a list")
        for number, each in enumerate(cast("list[object]", value or [])):
            yield Field(each, f"{self.place}[{number}]", self.source)

    def items(self) -> list[tuple[str, Field]]:
        """The values of an object by key.

        Raises:
            DataError: if something else stands here; nothing at all is an empty object.
        """
        return [(key, self[key]) for key in self.object()]

    def keys(self) -> frozenset[str]:
        """The keys of an object; none of what is no object."""
        value = self.value
        return frozenset(cast("dict[str, object]", value)) if isinstance(value, dict) else frozenset()

    def object(self) -> dict[str, JsonValue]:
        """An object as it stands; an empty one where nothing does.

        Raises:
            DataError: if something else stands here.
        """
        value = self.value
        if value is not None and not isinstance(value, dict):
            raise self.wrong("an object")
        return dict(cast("Mapping[str, JsonValue]", value or {}))

    def json(self) -> JsonValue:
        """The value as JSON."""
        return cast("JsonValue", self.value)

    def text(self) -> str:
        """A text.

        Raises:
            DataError: if there is none.
        """
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return self.value

    def name(self) -> str:
        """A short text or number as a text; empty where there is none."""
        if isinstance(self.value, str):
            return self.value[:LONGEST_NAME]
        return str(self.value) if isinstance(self.value, int) and not isinstance(self.value, bool) else ""

    def name_of_data(self) -> str:
        """A text of any length; empty where there is none."""
        return self.value if isinstance(self.value, str) else ""

    def written(self) -> str:
        """A text as it stands; the JSON of anything else."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)

    def number(self) -> float | None:
        """A number; None where nothing stands.

        Raises:
            DataError: if something else stands here.
        """
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong("a number")
        return self.value

    def whole(self) -> int | None:
        """A whole number that counts something; None of anything else."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**12:
            return None
        return int(value) if value == int(value) else None

    def parsed(self) -> Field:
        """The JSON in a text that holds some, as exporters write it into attributes; else this field itself."""
        if not isinstance(self.value, str) or self.value.lstrip()[:1] not in ("{", "["):
            return self
        try:
            found: object = json.loads(self.value)
        except (ValueError, RecursionError):
            return self
        return Field(found, self.place, self.source)

    def wrong(self, wanted: str, *, advice: str = "") -> DataError:
        """That something else than what is wanted stands here."""
        place = self.place or "the whole record"
        stands = f"{place} is missing" if self.value is None else f"{place} is {kind_of(self.value)}"
        return DataError(f"{self.source}: {stands}, and {wanted} belongs there.{f' {advice}' if advice else ''}")


def kind_of(value: object) -> str:
    """What a JSON value is, for people."""
    names: Mapping[type, str] = {
        dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "a truth value",
    }  # fmt: skip
    return names.get(type(value), "a number")
