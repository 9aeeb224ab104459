"""The transcript of a chat: the one text in which its units live, and where each text of the chat stands in it.

Role lines, notes of what holds no text, and calls of tools are there to be read. They are never attributed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from whygen.results.prompt import Section
from whygen.safe import without_keys
from whygen.texts import Span
from whygen.types import Block, Chat, JsonValue, Message, Picture, Tool

STAND_IN = "…"
"""What a user's, an assistant's or a tool's message says when all its text was taken away.

Left out, two messages of one role would stand in a row, the assistant's last, or a call without its result, and servers
refuse such a chat; many refuse an empty text too.
"""

BARE: dict[str, JsonValue] = {"type": "object", "properties": {}}
"""The schema of a tool that is sent without its own."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Characters ``[start, end)`` of the transcript that are one text of the chat.

    Attributes:
        start: where it begins.
        end: where it ends.
        message: number of the message; None of a tool.
        part: number of the part in it; None of a message that is one text.
        tool: number of the tool's definition; None of a message.
        inner: what may be cut finer: of a tool its description alone, of a note nothing.
        held: whether it is always sent: what an assistant's turn holds beside texts is tools that its service ran, and
            one block of it may not stand without another.
    """

    start: int
    end: int
    message: int | None = None
    part: int | None = None
    tool: int | None = None
    inner: Span = (0, 0)
    held: bool = False

    @property
    def noted(self) -> bool:
        """Whether nothing of it may be cut finer."""
        return self.inner[0] == self.inner[1]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A chat as one text.

    Attributes:
        text: what is shown.
        slots: where texts of the chat stand in it, in order.
        sections: tools, messages, results and calls, in order; a message before what stands in it.
    """

    text: str
    slots: tuple[Slot, ...]
    sections: tuple[Section, ...]


class _Writer:
    """A transcript while it is written."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.place = 0
        self.slots: list[Slot] = []
        self.sections: list[partial[Section]] = []
        """Made where they are asked for: hundreds of prompts are written for their text alone."""

    def write(self, text: str) -> int:
        """Write a text; returns where it began."""
        start = self.place
        self.pieces.append(text)
        self.place += len(text)
        return start

    def tool(self, number: int, tool: Tool) -> None:
        self.write("\n\n" if number else "tools:\n")
        start = self.write(tool.name)
        inner = (self.place, self.place)
        if tool.description:
            self.write("\n")
            begins = self.write(tool.description)
            inner = (begins, self.place)
        for given in (tool.parameters, without_keys(tool.extra)):
            if given:
                self.write("\n" + json.dumps(given, ensure_ascii=False, default=str))
        self.slots.append(Slot(start, self.place, tool=number, inner=inner))
        self.sections.append(
            partial(Section, kind="tool", name=f"tool definition {tool.name}", start=start, end=self.place)
        )

    def message(self, number: int, message: Message, head: str) -> None:
        self.write(("\n\n" if self.place else "") + f"{head}:\n")
        start, place = self.place, len(self.sections)
        if message.parts:
            self._parts(number, message)
        else:
            begins = self.write(message.text)
            self.slots.append(Slot(begins, self.place, message=number, inner=(begins, self.place)))
            if message.images:
                self.write(("\n" if message.text else "") + _pictures(len(message.images)))
        for call in message.calls:
            self.write("\n" if self.place > start else "")
            begins = self.write(f"[calls {call.name} {call.arguments}]")
            self.sections.append(
                partial(Section, kind="call", name=f"call of {call.name}", start=begins, end=self.place)
            )
        self.sections.insert(place, partial(Section, kind="message", name=message.role, start=start, end=self.place))

    def _parts(self, number: int, message: Message) -> None:
        for part, content in enumerate(message.parts):
            self.write("\n" if part else "")
            if isinstance(content, Picture):
                begins = self.write(_pictures(1))
                self.sections.append(partial(Section, kind="image", name="image", start=begins, end=self.place))
                continue
            begins = self.write(content if isinstance(content, str) else content.text or _note(content))
            noted = isinstance(content, Block) and not content.text
            inner = (begins, begins if noted else self.place)
            held = noted and message.role == "assistant"
            self.slots.append(Slot(begins, self.place, message=number, part=part, inner=inner, held=held))


def transcript(chat: Chat) -> Transcript:
    """A chat as one text: its tools, then its messages, each below the name of its role."""
    writer = _written(chat)
    sections = tuple(make() for make in writer.sections)
    return Transcript("".join(writer.pieces), tuple(writer.slots), sections)


def transcript_text(chat: Chat) -> str:
    """The text of a chat's transcript, for whoever needs nothing else of it."""
    return "".join(_written(chat).pieces)


def _written(chat: Chat) -> _Writer:
    writer = _Writer()
    for number, tool in enumerate(chat.tools):
        writer.tool(number, tool)
    called = called_names(chat)
    for number, message in enumerate(chat.messages):
        name = called.get(message.answers) if message.role == "tool" else None
        writer.message(number, message, f"tool ({name})" if name else message.role)
    return writer


def called_names(chat: Chat) -> dict[str, str]:
    """The tool that each call of a chat went to, by the id of the call."""
    return {call.id: call.name for message in chat.messages for call in message.calls if call.id}


def _pictures(count: int) -> str:
    return "[1 image, always sent]" if count == 1 else f"[{count} images, always sent]"


def _note(block: Block) -> str:
    """What stands for a block without a text of its own: its type, and its title where it has one."""
    title = block.raw.get("title") or block.raw.get("filename")
    kind = str(block.raw.get("type", "part"))
    return f"[{kind} {title}]" if isinstance(title, str) and title.strip() else f"[{kind}]"


def saying(chat: Chat, slots: Sequence[Slot], texts: Sequence[str | None]) -> list[Message | None]:
    """The messages of a chat when these texts stand at its slots; None: nothing is left of that text.

    A message of which nothing is left says `STAND_IN`; one of the system is None, and one that calls tools calls them
    without a word. One that holds an image, or had no text from the beginning, stays.

    Args:
        chat: the conversation.
        slots: where its texts stand; those of tools are passed over.
        texts: one for each slot.
    """
    given: list[dict[int | None, str | None]] = [{} for _ in chat.messages]
    for slot, text in zip(slots, texts, strict=True):
        if slot.message is not None:
            given[slot.message][slot.part] = text
    return [_saying(*pair) for pair in zip(chat.messages, given, strict=True)]


def _saying(message: Message, texts: dict[int | None, str | None]) -> Message | None:
    if message.parts:
        return _saying_in_parts(message, texts)
    text = texts.get(None, message.text)
    if text == message.text:
        return message
    if text or message.images or message.calls:
        return replace(message, text=text or "")
    return _emptied(message)


def _saying_in_parts(message: Message, texts: dict[int | None, str | None]) -> Message | None:
    parts: list[str | Picture | Block] = []
    for number, part in enumerate(message.parts):
        if number not in texts or isinstance(part, Picture):
            parts.append(part)
        elif (text := texts[number]) is not None:
            parts.append(_part(part, text))
    if tuple(parts) == message.parts:
        return message
    if any(not isinstance(part, str) or part.strip() for part in parts):
        return replace(message, parts=tuple(parts))
    return _emptied(message)


def _part(part: str | Block, text: str) -> str | Block:
    if isinstance(part, str):
        return text
    if part.text:
        return part if text == part.text else part.saying(text)
    return part if text == _note(part) else text


def _emptied(message: Message) -> Message | None:
    """A message of which nothing is left, in the way that servers take it."""
    if message.calls:
        return replace(message, text="", images=(), parts=())
    if message.role == "system":
        return None
    return replace(message, text=STAND_IN, images=(), parts=())
