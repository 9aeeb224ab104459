"""A chat cut into units: whole messages, or words, sentences, lines and paragraphs inside them.

The text that reports show is a transcript. Its role lines and image notes are pieces that are always there and never
attributed; images are sent with their message whatever is taken away of its text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from whygen.errors import UsageError
from whygen.prompt.units.pieces import Notices, Piece, Units, joined, moved, pieces_of, pin_pieces
from whygen.prompt.units.texts import SPLITTERS, Splitter, whole
from whygen.results.prompt import Section
from whygen.texts import Span
from whygen.types import Chat, Edit, Message, Prompt

CHAT_KINDS: dict[str, Splitter] = {"message": whole, **SPLITTERS}

STAND_IN = "…"
"""What a user's or assistant's message says when all its text was taken away.

Left out, two messages of one role would stand in a row, or the assistant's last, and servers refuse such a chat; many
refuse an empty text too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatUnits(Units):
    """A chat, its transcript, and where in it the text of each message stands."""

    chat: Chat
    bodies: tuple[Span, ...]

    @property
    def source(self) -> Chat:
        return self.chat

    @property
    def prompt(self) -> Chat:
        return self.chat

    def join(self, parts: Sequence[str]) -> Chat:
        """The chat when these texts stand at the pieces.

        Roles stand in the order in which they stood: a message of which nothing is left says `STAND_IN`, and a system
        message is left out. One that holds an image, or had no text from the beginning, stays. Where no message is
        left, the user says `STAND_IN`.
        """
        inside: list[list[tuple[Piece, str]]] = [[] for _ in self.bodies]
        starts = [start for start, _ in self.bodies]
        for piece, part in zip(self.pieces, parts, strict=True):
            place = bisect_right(starts, piece.start) - 1
            if place >= 0 and piece.end <= self.bodies[place][1]:
                inside[place].append((piece, part))
        messages = [self._message(*pair) for pair in zip(self.chat.messages, inside, strict=True)]
        kept = tuple(message for message in messages if message is not None)
        return Chat(kept or (Message("user", STAND_IN),))

    def _message(self, message: Message, standing: Sequence[tuple[Piece, str]]) -> Message | None:
        if not standing:
            return message
        text = joined(self.text, standing)
        if text or message.images:
            return replace(message, text=text)
        return None if message.role == "system" else replace(message, text=STAND_IN)


def split_chat(chat: Chat, kind: str, *, pin: Sequence[str] = ()) -> ChatUnits:
    """Cut a chat by a kind of `CHAT_KINDS`.

    Args:
        chat: the conversation.
        kind: ``message``, or how the text of each message is cut.
        pin: texts of messages, or ``role:system``, ``role:user``, ``role:assistant`` for all messages of a role.

    Raises:
        UsageError: if no message has text, or the pins do not fit.
    """
    text, bodies, sections = _transcript(chat)
    pieces: list[Piece] = []
    place = 0
    for start, end in bodies:
        spans = moved(CHAT_KINDS[kind](text[start:end]), start)
        upto = start if spans else end
        pieces += pieces_of(moved(whole(text[place:upto]), place), within=(place, upto), free=False)
        pieces += pieces_of(spans, within=(start, end))
        place = end
    pieces += pieces_of(moved(whole(text[place:]), place), within=(place, len(text)), free=False)
    if all(piece.unit is None for piece in pieces):
        raise UsageError("The chat holds no text to explain: give at least one message with text.")
    marked, notices = pin_pieces(text, pieces, pin, sections=sections)
    return ChatUnits(text, marked, sections, (*notices, *_told(chat, bodies, marked)), chat=chat, bodies=bodies)


def _told(chat: Chat, bodies: Sequence[Span], pieces: Sequence[Piece]) -> Notices:
    """That a message may be emptied, where one may be."""
    for message, (start, end) in zip(chat.messages, bodies, strict=True):
        inside = [piece.unit for piece in pieces if start <= piece.start and piece.end <= end]
        if inside and None not in inside and message.role != "system" and not message.images:
            text = (
                f"A message of which nothing is left is sent as {STAND_IN!r}, so that roles go on alternating as "
                "servers want it; a system message of which nothing is left is not sent."
            )
            return (("emptied-messages", text),)
    return ()


def _transcript(chat: Chat) -> tuple[str, tuple[Span, ...], tuple[Section, ...]]:
    """The text of a chat, where each message's text stands in it, and each message with its note of images."""
    text = ""
    bodies: list[Span] = []
    sections: list[Section] = []
    for message in chat.messages:
        text += ("\n\n" if text else "") + f"{message.role}:\n"
        start = len(text)
        text += message.text
        bodies.append((start, len(text)))
        text += _note(message)
        sections.append(Section(kind="message", name=message.role, start=start, end=len(text)))
    return text, tuple(bodies), tuple(sections)


def _note(message: Message) -> str:
    count = len(message.images)
    if not count:
        return ""
    note = "[1 image, always sent]" if count == 1 else f"[{count} images, always sent]"
    return f"\n{note}" if message.text else note


def shown(prompt: Prompt) -> str:
    """A prompt as one text: a chat as its transcript, an edit as its instruction."""
    if isinstance(prompt, Chat):
        return _transcript(prompt)[0]
    return prompt.instruction if isinstance(prompt, Edit) else prompt
