"""What parts of a call are called, and which of them came from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.units import ChatUnits, Units
from whygen.prompt.units.pieces import is_called
from whygen.results.prompt import Section
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
    found = [section is not None and section.kind in OUTSIDE for section in told]
    for name in suspect:
        called = [place for place, each in enumerate(names) if is_called(each, name)]
        if not called:
            raise UnknownNameError("part", name, names)
        for place in called:
            found[place] = True
    return names, found


def check_suspects(units: Units, suspect: Sequence[str]) -> None:
    """Refuse suspects that are not there, before anything is paid.

    Raises:
        UsageError: if there are no parts to suspect, or none of that name.
    """
    if not isinstance(units, ChatUnits):
        raise UsageError("suspect names parts of a chat, and the prompt is none. Leave it out, or explain a Chat.")
    named_parts(units, suspect)


def _around(sections: Sequence[Section], span: Span) -> Section | None:
    """The smallest section that holds a unit; a message that a tool gave back is a result."""
    holding = [each for each in sections if each.start <= span[0] and span[1] <= each.end]
    if not holding:
        return None
    found = min(holding, key=lambda each: each.end - each.start)
    from_tool = found.kind == "message" and found.name.partition(" ")[0] == "tool"
    return found.model_copy(update={"kind": "result"}) if from_tool else found


def _distinct(told: Sequence[Section | None], units: Units) -> list[str]:
    """Names that tell units apart: messages of a role are counted, pieces of one part quoted."""
    shared = Counter((each.start, each.end) for each in told if each is not None)
    often = Counter(each.name for each in told if each is not None)
    places: dict[str, dict[Span, int]] = {}
    made: list[str] = []
    for section, text in zip(told, units.texts, strict=True):
        if section is None or not section.name:
            made.append(f"“{_short(text)}”")
            continue
        span, name = (section.start, section.end), section.name
        role = _ROLES.get(name.partition(" (")[0])
        if role is not None:
            seen = places.setdefault(role, {})
            name = f"{role} {seen.setdefault(span, len(seen) + 1)}"
        is_piece = shared[span] > 1 if role is not None else often[name] > 1
        made.append(f"{name}, “{_short(text)}”" if is_piece else name)
    return made


_ROLES = {"tool": "tool result", "user": "user message", "assistant": "assistant message"}


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 40 else plain[:39] + "…"
