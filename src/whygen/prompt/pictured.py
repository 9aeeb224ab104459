"""A chat cut with the pictures in its messages: whole, or by regions, in one game with the words.

Pictures are listed below the transcript, so that each unit of one has a place to be shown at. A picture that is taken
away whole is not sent; a region that is taken away is painted over, and the picture is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UsageError
from whygen.media import pictures
from whygen.prompt.edits import filled, superpixels
from whygen.prompt.options import PromptOptions
from whygen.prompt.units import PART, Piece, split
from whygen.prompt.units.chats import ChatUnits
from whygen.prompt.units.pieces import Notices, pin_pieces
from whygen.prompt.units.transcripts import STAND_IN
from whygen.results.media import PictureEvidence
from whygen.results.prompt import Section
from whygen.types import Block, Chat, Message, Part, Picture, Source

Cut: TypeAlias = Literal["image", "region"]
"""How pictures are cut: not at all, each a unit; or into superpixels."""

CUTS: Final[tuple[Cut, ...]] = ("image", "region")
_SENT: Final = "always sent]"
_BELOW: Final = "shown below]"
"""What the transcript says of pictures that are units; of one length, so that no span moves."""
_GAP: Final = 8
"""Pixels between two pictures where they are shown as one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownPicture:
    """A picture of a chat as it was cut.

    Attributes:
        picture: as it came.
        labels: the piece of each pixel, counted from the first piece of a picture, shape ``(height, width)``.
        fill: what stands where a region was taken away, ``(height, width, 3)``; None of a picture that is one unit.
    """

    picture: Picture
    labels: NDArray[np.int64]
    fill: pictures.Pixels | None = None

    def without(self, gone: NDArray[np.int64]) -> Picture | None:
        """What is sent when these pieces were taken away; None: the picture is not."""
        hidden = np.isin(self.labels, gone)
        if not hidden.any():
            return self.picture
        if self.fill is None:
            return None
        return pictures.picture_of(np.where(hidden[..., None], self.fill, pictures.pixels(self.picture)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturedUnits(ChatUnits):
    """A chat and its pictures; the first `told` pieces are of its transcript, and the others of pictures."""

    shown: tuple[ShownPicture, ...]
    told: int

    def join(self, parts: Sequence[str]) -> Chat:
        """The chat when these texts stand at the pieces; a piece of a picture that has lost its name was taken away."""
        end = self.pieces[self.told - 1].end
        words = ChatUnits(
            self.text[:end],
            self.pieces[: self.told],
            self.sections,
            chat=self.chat,
            slots=self.slots,
            lists=self.lists,
            pairs=self.pairs,
        )
        said = words.join(parts[: self.told])
        of_pictures = list(zip(self.pieces[self.told :], parts[self.told :], strict=True))
        gone = [place for place, (piece, part) in enumerate(of_pictures) if part != self.text_at(piece)]
        if not gone:
            return said
        left = iter([shown.without(np.array(gone)) for shown in self.shown])
        return replace(said, messages=[_showing(message, left) for message in said.messages])


def _showing(message: Message, left: Iterator[Picture | None]) -> Message:
    """A message with what is left of its pictures; one of which nothing is left says `STAND_IN`."""
    if not message.images:
        return message
    parts: list[Part] = []
    for part in message.content:
        found = next(left) if isinstance(part, Picture) else part
        if found is not None:
            parts.append(found)
    if not any(part != "" for part in parts) and not message.calls:
        return replace(message, text=STAND_IN, images=(), parts=())
    if message.parts:
        return replace(message, parts=tuple(parts)) if parts else replace(message, text="", images=(), parts=())
    return replace(message, images=tuple(part for part in parts if isinstance(part, Picture)))


def picture_cut(prompt: Source, options: PromptOptions) -> tuple[str, Cut] | None:
    """How the text of a chat is cut, and how its pictures are; None where pictures are no units.

    ``image`` and ``region`` go with words; ``sentence+image`` says with what, in either order. Parts of a call count
    images among them.

    Raises:
        UsageError: if the chat has no picture.
    """
    if not isinstance(prompt, Chat) or not isinstance(options.units, str):
        return None
    head, plus, tail = options.units.partition("+")
    if head in CUTS and plus:
        head, tail = tail, head
    words, how = (head, tail) if plus else ("word", head) if head in CUTS else (head, "")
    seen = any(message.images for message in prompt.messages)
    if words == PART and not how and seen:
        how = "image"
    if how not in CUTS:
        return None
    if not seen:
        linked = any(isinstance(part, Block) for message in prompt.messages for part in message.parts)
        why = "; what is sent as a link or a file is one unit of units='part'" if linked else ""
        raise UsageError(
            f"units={options.units!r} cuts the pictures of a chat, and it has none{why}. Use units={words!r}, or give "
            "messages with images."
        )
    return words, how


def split_pictured(chat: Chat, options: PromptOptions, words: str, how: Cut) -> PicturedUnits:
    """Cut a chat and its pictures.

    Args:
        chat: with at least one picture.
        options: the other choices: pins (``image 1``, ``image 1, region 3``), regions, fill, within, passages.
        words: how the texts are cut.
        how: how the pictures are.

    Raises:
        UsageError: if the operator puts something in the place of a unit that no picture can show, everything is
            pinned, or a picture is too small.
        DataError: if a picture cannot be read.
        MissingExtraError: for regions, if scikit-image is not installed.
    """
    if options.operator not in ("delete", "placeholder"):
        raise UsageError(
            f"operator={options.operator!r} says units otherwise, and pictures are units here. Use operator='delete', "
            f"or units={words!r}."
        )
    images = [image for message in chat.messages for image in message.images]
    cuts = [_cut(image, how, options) for image in images]
    names = [name for number, (_, count) in enumerate(cuts, start=1) for name in _names(number, count, how)]
    base = split(chat, words, within=options.within, passages=options.passages)
    assert isinstance(base, ChatUnits)  # noqa: S101 - it was given a chat
    return _with_pictures(base, cuts, names, options.pin)


def _cut(image: Picture, how: Cut, options: PromptOptions) -> tuple[ShownPicture, int]:
    """A picture with its pieces counted from 0, and how many there are."""
    values = pictures.pixels(image)
    if how == "image":
        return ShownPicture(picture=image, labels=np.zeros(values.shape[:2], dtype=np.int64)), 1
    labels = superpixels(values, options.regions)
    return ShownPicture(picture=image, labels=labels, fill=filled(values, options.fill)), int(labels.max()) + 1


def _names(number: int, count: int, how: Cut) -> list[str]:
    whole = f"image {number}"
    return [whole] if how == "image" else [f"{whole}, region {place + 1}" for place in range(count)]


def _names_some(pin: str, names: Sequence[str]) -> bool:
    return any(name == pin or name.startswith(f"{pin}, ") for name in names)


def _with_pictures(
    base: ChatUnits, cuts: Sequence[tuple[ShownPicture, int]], names: Sequence[str], pins: Sequence[str]
) -> PicturedUnits:
    text = _shown_below(base)
    pieces: list[Piece] = list(base.pieces)
    sections: list[Section] = list(base.sections)
    for place, name in enumerate(names):
        start, gap = len(text), "\n" if place else "\n\n"
        text += gap + name
        held = any(_names_some(pin, [name]) for pin in pins)
        pieces.append(Piece(start, start + len(gap), len(text), len(text), None if held else 0))
        sections.append(Section(kind="image", name=name, start=start + len(gap), end=len(text)))
    rest = [pin for pin in pins if not _names_some(pin, names)]
    counted, notices = pin_pieces(text, pieces, rest, sections=sections)
    shown: list[ShownPicture] = []
    before = 0
    for each, count in cuts:
        shown.append(replace(each, labels=each.labels + before))
        before += count
    return PicturedUnits(
        text,
        counted,
        tuple(sections),
        (*base.notices, *notices, *_told(cuts)),
        chat=base.chat,
        slots=base.slots,
        lists=base.lists,
        pairs=base.pairs,
        shown=tuple(shown),
        told=len(base.pieces),
    )


def _shown_below(base: ChatUnits) -> str:
    """The transcript, its notes of pictures saying that they are units; what messages say is left alone."""
    written, place = "", 0
    for slot in base.slots:
        written += base.text[place : slot.start].replace(_SENT, _BELOW) + base.text[slot.start : slot.end]
        place = slot.end
    return written + base.text[place:].replace(_SENT, _BELOW)


def _told(cuts: Sequence[tuple[ShownPicture, int]]) -> Notices:
    if any(each.fill is not None for each, _ in cuts):
        return ()
    text = (
        "An image that is taken away is not sent. What its content does, beside there being an image, units='region' "
        "tells: there it is sent, painted over."
    )
    return (("images-left-out", text),)


def seen_evidence(units: PicturedUnits, samples: int) -> PictureEvidence:
    """The pictures that went in, one below the other as one, with the unit of each pixel."""
    drawn = [pictures.pixels(shown.picture) for shown in units.shown]
    order = np.array([-1 if piece.unit is None else piece.unit for piece in units.pieces[units.told :]])
    width = max(values.shape[1] for values in drawn)
    height = sum(values.shape[0] for values in drawn) + _GAP * (len(drawn) - 1)
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    labels = np.full((height, width), -1, dtype=np.int32)
    top = 0
    for values, shown in zip(drawn, units.shown, strict=True):
        rows, columns = values.shape[:2]
        sheet[top : top + rows, :columns] = values
        labels[top : top + rows, :columns] = order[shown.labels]
        top += rows + _GAP
    return PictureEvidence(files=(pictures.picture_of(sheet),), given=0, samples=(None,) * samples, regions=labels)
