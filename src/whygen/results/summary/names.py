"""What units are called: a part of a recorded call by its name, any other by its text."""

from __future__ import annotations

from whygen.report.texts import quoted, visible
from whygen.results.prompt import PART_KINDS, PromptExplanation, Section


def parts_of(explanation: PromptExplanation) -> dict[tuple[int, int], Section]:
    """The parts that a chat was cut into, by where they stand; empty for any other prompt."""
    if explanation.chat is None:
        return {}
    return {(s.start, s.end): s for s in explanation.sections if s.kind in PART_KINDS or _is_image(s)}


def _is_image(section: Section) -> bool:
    """Whether it is a picture that was cut, or a region of one; notes of pictures that are always sent have no name."""
    return section.kind == "image" and section.name != "image"


def names(explanation: PromptExplanation) -> list[str]:
    """The name of each unit; empty where it is no part with a name."""
    parts = parts_of(explanation)
    found = [parts.get((unit.start, unit.end)) for unit in explanation.units]
    return ["" if part is None else visible(part.name) for part in found]


def labels(explanation: PromptExplanation) -> list[str]:
    """What each unit is called in a sentence: its name, or its text in quotes."""
    return [name or quoted(unit.text) for name, unit in zip(names(explanation), explanation.units, strict=True)]
