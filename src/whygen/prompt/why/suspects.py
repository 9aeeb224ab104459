"""What parts of a call are called, and which of them came from outside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.units import ChatUnits, Units
from whygen.prompt.units.pieces import is_called
from whygen.results.prompt import PART_KINDS, Section
from whygen.texts import Span

OUTSIDE = frozenset({"result", "document", "memory"})
"""Kinds of parts that neither the person nor whoever wrote the system prompt wrote: suspects by themselves."""


def named_parts(units: Units, suspect: Sequence[str] = ()) -> tuple[list[str], list[bool]]:
    """The name of each unit, and whether it is a suspect.

    Args:
        units: the request, as it was cut.
        suspect: names of parts that are suspects too; ``user message`` means all whose names begin so.

    Raises:
        UnknownNameError: if no part is called so.
    """
    told = [_around(units.sections, span) for span in units.spans]
    names = _distinct(told, units)
    outside = _images_from_outside(units)
    found = [section is not None and (section.kind in OUTSIDE or _image(section) in outside) for section in told]
    for name in suspect:
        asked = _RESULT.sub(r"\1", name.strip())
        called = [place for place, each in enumerate(names) if is_called(each, asked)]
        if not called:
            raise UnknownNameError("part", name, names)
        for place in called:
            found[place] = True
    return names, found


def _image(section: Section) -> int:
    """The number of the picture that a section is, or is a region of; 0 of any other section."""
    match = _PICTURE.match(section.name) if section.kind == "image" else None
    return int(match[1]) if match else 0


def _images_from_outside(units: Units) -> frozenset[int]:
    """The pictures that a tool gave back: a page that it looked at can hold an order as well as a text can."""
    if not isinstance(units, ChatUnits):
        return frozenset()
    roles = [message.role for message in units.chat.messages for _ in message.images]
    return frozenset(number for number, role in enumerate(roles, start=1) if role == "tool")


def check_suspects(units: Units, suspect: Sequence[str]) -> None:
    """Refuse suspects that are not there, before anything is paid.

    Raises:
        UsageError: if there are no parts to suspect, or none of that name.
    """
    if not isinstance(units, ChatUnits):
        raise UsageError("suspect names parts of a chat, and the prompt is none. Leave it out, or explain a Chat.")
    named_parts(units, suspect)


def _around(sections: Sequence[Section], span: Span) -> Section | None:
    """The smallest section that holds a unit, a part before its message; what a tool gave back is a result.

    A whole message is called by its role and its place among all of that role, whether the others are units or not.
    """
    holding = [each for each in sections if each.start <= span[0] and span[1] <= each.end]
    if not holding:
        return None
    found = min(holding, key=lambda each: (each.end - each.start, each.kind not in PART_KINDS))
    if found.kind != "message":
        return found.model_copy(update={"name": _RESULT.sub(r"\1", found.name)})
    role = found.name.partition(" ")[0]
    if role not in _ROLES:
        return found
    place = [each for each in sections if each.kind == "message" and each.name.partition(" ")[0] == role].index(found)
    kind = "result" if role == "tool" else found.kind
    return found.model_copy(update={"kind": kind, "name": f"{_ROLES[role]} {place + 1}"})


_ROLES = {"tool": "tool result", "user": "user message", "assistant": "assistant message"}
_PICTURE = re.compile(r"image (\d+)")
_RESULT = re.compile(r"^(tool result \d+) \(.*\)$")
"""A whole result is called by its number alone; its parts say which tool gave it."""


def _distinct(told: Sequence[Section | None], units: Units) -> list[str]:
    """Names that tell units apart: pieces of one part are quoted."""
    often = Counter(each.name for each in told if each is not None)
    return [
        f"“{_short(text)}”" if section is None or not section.name else
        f"{section.name}, “{_short(text)}”" if often[section.name] > 1 else section.name
        for section, text in zip(told, units.texts, strict=True)
    ]  # fmt: skip


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 40 else plain[:39] + "…"
