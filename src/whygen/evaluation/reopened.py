"""What was explained, put together again from its record: a text, a chat, a template with its values, or an edit.

Pieces come from the spans of units and of what was pinned, messages from the sections, the picture of an edit from the
evidence. What was not kept (images inside a chat, the inputs of a template, the parts of a long prompt) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.media import pictures
from whygen.prompt.edits import EditUnits, RegionUnits, filled
from whygen.prompt.units import ChatUnits, Piece, TemplateUnits, Units, split
from whygen.results.prompt import Evidence, PromptExplanation, Section
from whygen.types import Chat, Edit, Message, Output, Picture, Sound, Template

_IMAGES = re.compile(r"\[(1 image|\d+ images), always sent\]$")


def reopened(explanation: PromptExplanation, *, fill: str) -> Units:
    """The prompt as it was cut; `check_kept` says whether that can be done.

    Args:
        explanation: what was saved.
        fill: what stood for a region of a picture that was taken away.
    """
    drawn = None if explanation.evidence is None else explanation.evidence.pictures
    if drawn is not None and drawn.input is not None:
        cut = _plain(explanation)
        if drawn.regions is None:
            return EditUnits(cut.text, cut.pieces, image=drawn.input)
        return _regions(explanation, drawn.input, drawn.regions, fill)
    kinds = {section.kind for section in explanation.sections}
    if "message" in kinds:
        return _chat(explanation)
    return _template(explanation) if kinds else _plain(explanation)


def check_kept(explanation: PromptExplanation, metric: str) -> None:
    """Refuse what cannot be put together from the record.

    Raises:
        UsageError: naming the metric, and what was not kept.
    """
    what = None
    if explanation.inputs:
        what = "a template over many inputs, and what each input made of it was not kept"
    elif explanation.tree is not None:
        what = "a long prompt, part by part, and each level had other units"
    elif any(_shows_images(section, explanation) for section in explanation.sections):
        what = "a chat with images, which were not kept"
    if what is not None:
        raise UsageError(
            f"{metric} asks the model again, and the explanation is of {what}. The metrics that ask nothing still "
            "work: fidelity, accuracy, randomisation, cost."
        )


def _shows_images(section: Section, explanation: PromptExplanation) -> bool:
    """Whether a message ends with the note that stands for its images, and no unit holds it."""
    noted = section.kind == "message" and _IMAGES.search(explanation.prompt[section.start : section.end])
    return bool(noted) and all(not unit.start < section.end <= unit.end for unit in explanation.units)


def _plain(explanation: PromptExplanation) -> Units:
    return split(explanation.prompt, [(unit.start, unit.end) for unit in explanation.units])


def _regions(explanation: PromptExplanation, image: Picture, regions: NDArray[np.int32], fill: str) -> RegionUnits:
    """The instruction is what is pinned first; the regions are listed under it."""
    edit = Edit(image, explanation.prompt[: min(explanation.pinned)[1]])
    return RegionUnits(
        explanation.prompt, _pieces(explanation), edit=edit, labels=regions.astype(np.int64),
        fill=filled(pictures.pixels(image), fill),
    )  # fmt: skip


def _chat(explanation: PromptExplanation) -> ChatUnits:
    """Messages are what their sections hold; the pieces of one do not reach into the next."""
    bodies = tuple((section.start, section.end) for section in explanation.sections)
    messages = tuple(
        Message(cast("Any", section.name), explanation.prompt[section.start : section.end])
        for section in explanation.sections
    )
    return ChatUnits(
        explanation.prompt, _pieces(explanation, ends=[place for body in bodies for place in body]),
        explanation.sections, chat=Chat(messages), bodies=bodies,
    )  # fmt: skip


def _template(explanation: PromptExplanation) -> TemplateUnits:
    """The rendered text; the template itself was not kept, and is not needed to leave parts of it out."""
    documents = [section for section in explanation.sections if section.kind == "document"]
    lists = tuple(
        (field.start, field.end)
        for field in explanation.sections
        if field.kind == "field" and any(field.start <= each.start and each.end <= field.end for each in documents)
    )
    whole = Template(explanation.prompt)
    return TemplateUnits(explanation.prompt, _pieces(explanation), explanation.sections, template=whole, lists=lists)


def _pieces(explanation: PromptExplanation, *, ends: Sequence[int] = ()) -> tuple[Piece, ...]:
    """Units and what was pinned, without gaps; a piece ends with its last character or at the last of ``ends``."""
    free = [(unit.start, unit.end) for unit in explanation.units]
    cores = sorted([*free, *explanation.pinned])
    number = {span: place for place, span in enumerate(free)}
    pieces: list[Piece] = []
    start = 0
    for place, (core, stop) in enumerate(cores):
        last = place == len(cores) - 1
        upto = len(explanation.prompt) if last else cores[place + 1][0]
        end = upto if last else max((each for each in ends if stop <= each <= upto), default=stop)
        pieces.append(Piece(start, core, stop, end, number.get((core, stop))))
        start = end
    return tuple(pieces)


def suffixed(units: Units, suffix: str) -> Units:
    """The same units with a text behind them that is always sent: behind the last message of a chat."""
    if isinstance(units, RegionUnits):
        instruction = units.edit.instruction + suffix
        shown = [instruction, *units.parts[1:]]
        return replace(said(units, shown), edit=replace(units.edit, instruction=instruction))
    place = units.bodies[-1][1] if isinstance(units, ChatUnits) else len(units.text)
    lead = len(suffix) - len(suffix.lstrip())
    held = Piece(place, place + lead, place + len(suffix), place + len(suffix), None)
    before = [piece for piece in units.pieces if piece.end <= place]
    after = [_moved(piece, len(suffix)) for piece in units.pieces if piece.end > place]
    text = units.text[:place] + suffix + units.text[place:]
    pieces = (*before, held, *after)
    if not isinstance(units, ChatUnits):
        return replace(units, text=text, pieces=pieces)
    *first, last = units.chat.messages
    *bodies, (start, _) = units.bodies
    return replace(
        units, text=text, pieces=pieces, bodies=(*bodies, (start, place + len(suffix))),
        chat=Chat((*first, replace(last, text=last.text + suffix))),
    )  # fmt: skip


def said(units: Units, parts: Sequence[str]) -> Units:
    """The same units in other words, at the same places: one text for each piece, white space around it as it was."""
    grown = [len(part) - (piece.end - piece.start) for piece, part in zip(units.pieces, parts, strict=True)]
    before = [0, *accumulate(grown)]

    def place(old: int) -> int:
        """Where a place is now: what stands between two pieces moves by all that grew before."""
        return old + sum(more for more, piece in zip(grown, units.pieces, strict=True) if piece.stop <= old)

    pieces = tuple(
        Piece(piece.start + by, piece.core + by, piece.stop + by + more, piece.end + by + more, piece.unit)
        for piece, by, more in zip(units.pieces, before, grown, strict=False)
    )
    told: dict[str, Any] = {"text": "".join(parts), "pieces": pieces, "sections": _all_moved(units.sections, place)}
    if isinstance(units, TemplateUnits):
        told["lists"] = tuple((place(start), place(end)) for start, end in units.lists)
    if isinstance(units, ChatUnits):
        bodies = tuple((place(start), place(end)) for start, end in units.bodies)
        texts = [told["text"][start:end] for start, end in bodies]
        told["bodies"] = bodies
        told["chat"] = Chat(tuple(replace(m, text=t) for m, t in zip(units.chat.messages, texts, strict=True)))
    return replace(units, **told)


def _all_moved(sections: Sequence[Section], place: Callable[[int], int]) -> tuple[Section, ...]:
    return tuple(
        section.model_copy(update={"start": place(section.start), "end": place(section.end)}) for section in sections
    )


def _moved(piece: Piece, by: int) -> Piece:
    return Piece(piece.start + by, piece.core + by, piece.stop + by, piece.end + by, piece.unit)


def outputs(evidence: Evidence | None, kind: Literal["reference", "measured"]) -> list[Output]:
    """What was answered, in the order of the samples: the references, or the answers whose effect was measured."""
    if evidence is None:
        return []
    found: list[Output] = []
    for place, sample in enumerate(evidence.samples):
        if (sample.kind != "reference") if kind == "reference" else (sample.effect is None):
            continue
        medium = None if evidence.media is None else evidence.media.of(place)
        found.append(
            Output(
                text=sample.output,
                finish=cast("Any", sample.finish),
                picture=None if evidence.pictures is None else evidence.pictures.of(place),
                sound=medium if isinstance(medium, Sound) else None,
                frames=None if isinstance(medium, Sound) else medium,
            )
        )
    return found
