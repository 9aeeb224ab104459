"""A chat cut into units: whole messages, the parts that a recorded call is made of, or words and sentences inside them.

The text that reports show is a transcript (`transcripts`). Images are sent with their message whatever is taken away of
its text, calls of tools with their results; a tool whose definition was taken away is not offered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from whygen.errors import UsageError
from whygen.prompt.units.callparts import CallPart, call_parts, cut_within
from whygen.prompt.units.pieces import Notices, Piece, Units, joined, laid, moved, pin_pieces
from whygen.prompt.units.texts import SPLITTERS, Splitter, whole
from whygen.prompt.units.transcripts import BARE, STAND_IN, Slot, Transcript, saying, transcript, transcript_text
from whygen.results.prompt import PART_KINDS, ChatRecord, Section
from whygen.texts import Span
from whygen.types import Chat, Edit, Message, Prompt, Tool

PART = "part"
"""The kind of unit that a recorded call is cut into: what people have a name for."""

CHAT_KINDS: Mapping[str, Splitter] = {"message": whole, PART: whole, **SPLITTERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatUnits(Units):
    """A chat, its transcript, and where in it each text of the chat stands.

    Attributes:
        chat: the conversation.
        slots: where its texts stand, in order.
        lists: stretches in which passages stand one after another; what parts two of them goes with the second.
        pairs: messages that are an example together, and are left out together.
    """

    chat: Chat
    slots: tuple[Slot, ...]
    lists: tuple[Span, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()

    @property
    def source(self) -> Chat:
        return self.chat

    @property
    def prompt(self) -> Chat:
        return self.chat

    @property
    def named(self) -> tuple[Section, ...]:
        """For each unit the narrowest section that holds it: a part where the chat was cut into parts."""
        return tuple(_narrowest(self.sections, span) for span in self.spans)

    def join(self, parts: Sequence[str]) -> Chat:
        """The chat when these texts stand at the pieces; a request that services take whatever was taken away.

        Roles stand in the order in which they stood: a message of which nothing is left says `STAND_IN`, so does a
        result of a tool, and a system message is left out. One that holds an image, or had no text from the beginning,
        stays; so does one that calls tools, without a word. Both messages of an example go together. Where no message
        is left, the user says `STAND_IN`.
        """
        if tuple(parts) == self.parts:
            return self.chat
        texts = self._texts(self._bared(parts))
        messages = saying(self.chat, self.slots, texts)
        left = {slot.message for slot, text in zip(self.slots, texts, strict=True) if text is not None}
        gone = {each for pair in self.pairs if not left & set(pair) for each in pair}
        kept = tuple(message for number, message in enumerate(messages) if message is not None and number not in gone)
        return self._offering(kept or (Message("user", STAND_IN),), texts)

    def _bared(self, parts: Sequence[str]) -> list[tuple[Piece, str]]:
        """The pieces with what stands at them; the first passage left of a list loses what parted it from others."""
        standing = list(zip(self.pieces, parts, strict=True))
        for start, end in self.lists:
            inside = [index for index, piece in enumerate(self.pieces) if start <= piece.core and piece.stop <= end]
            left = next((index for index in inside if parts[index]), None)
            if left is not None and left != inside[0]:
                piece = self.pieces[left]
                part = parts[left].removeprefix(self.text[piece.start : piece.core])
                standing[left] = replace(piece, start=piece.core), part
        return standing

    def _texts(self, standing: Sequence[tuple[Piece, str]]) -> list[str | None]:
        """What stands at each slot; None where all was taken away."""
        starts = [slot.start for slot in self.slots]
        inside: list[list[tuple[Piece, str]]] = [[] for _ in self.slots]
        for piece, part in standing:
            first = bisect_right(starts, piece.core) - 1
            if first < 0 or piece.core >= self.slots[first].end:
                continue
            if piece.stop <= self.slots[first].end:
                inside[first].append(_trimmed(self.text, self.slots[first], piece, part))
                continue
            whole = part == self.text[piece.start : piece.end]
            for place in range(first, bisect_right(starts, piece.stop - 1)):
                slot = self.slots[place]
                own = self.text[slot.start : slot.end] if whole else part.strip() if place == first else ""
                inside[place].append((Piece(slot.start, slot.start, slot.end, slot.end, 0), own))
        return [self._text(*pair) for pair in zip(self.slots, inside, strict=True)]

    def _text(self, slot: Slot, standing: Sequence[tuple[Piece, str]]) -> str | None:
        own = self.text[slot.start : slot.end]
        if slot.held or not standing or all(part == self.text[piece.start : piece.end] for piece, part in standing):
            return own
        if slot.tool is not None and all(not part.strip() for piece, part in standing if piece.unit is not None):
            return None if any(piece.unit is not None for piece, _ in standing) else own
        return joined(self.text, standing) or None

    def _offering(self, messages: tuple[Message, ...], texts: Sequence[str | None]) -> Chat:
        """The chat of these messages, and the tools of which something is left.

        Where calls stand in it and no tool is left, one is offered by its bare name: services refuse calls otherwise.
        """
        tools = [
            made
            for slot, text in zip(self.slots, texts, strict=True)
            if slot.tool is not None and (made := self._tool(slot, text)) is not None
        ]
        if tools or not self.chat.tools:
            return Chat(messages, tools, self.chat.tool_choice)
        called = [call.name for message in messages for call in message.calls]
        offered = {tool.name for tool in self.chat.tools}
        bare = next((name for name in called if name in offered), self.chat.tools[0].name)
        return Chat(messages, [Tool(bare, "", BARE)] if called else ())

    def _tool(self, slot: Slot, text: str | None) -> Tool | None:
        """A tool with what is left of its description; one that is said otherwise has no arguments."""
        assert slot.tool is not None  # noqa: S101 - whoever asks has looked
        tool = self.chat.tools[slot.tool]
        if text is None or text == self.text[slot.start : slot.end]:
            return None if text is None else tool
        before, after = self.text[slot.start : slot.inner[0]], self.text[slot.inner[1] : slot.end]
        if slot.inner[0] < slot.inner[1] and text.startswith(tool.name) and text.endswith(after.strip()):
            told = text.removeprefix(before.strip()).removesuffix(after).strip()
            return replace(tool, description=told)
        return Tool(tool.name, text, BARE)


def _trimmed(text: str, slot: Slot, piece: Piece, part: str) -> tuple[Piece, str]:
    """A piece and what stands at it, without what lies outside its slot."""
    if slot.start <= piece.start and piece.end <= slot.end:
        return piece, part
    start, end = max(piece.start, slot.start), min(piece.end, slot.end)
    cut = part.removeprefix(text[piece.start : start]) if start > piece.start else part
    cut = cut.removesuffix(text[end : piece.end]) if end < piece.end else cut
    return replace(piece, start=start, end=end), cut


def _narrowest(sections: Sequence[Section], span: Span) -> Section:
    """The narrowest part that holds a span; where there are no parts, the message."""
    start, end = span
    holding = [section for section in sections if section.start <= start and end <= section.end]
    return min(holding, key=lambda section: (section.kind not in PART_KINDS, section.end - section.start))


def split_chat(
    chat: Chat, kind: str, *, pin: Sequence[str] = (), within: Sequence[str] = (), passages: str | None = None
) -> ChatUnits:
    """Cut a chat by a kind of `CHAT_KINDS`.

    Args:
        chat: the conversation.
        kind: ``message``, ``part``, or how the text of each message is cut.
        pin: texts of messages; ``role:system``, ``role:user``, ``role:assistant`` for all messages of a role;
            ``part:NAME`` for parts.
        within: names of parts: these alone are cut by ``kind``, and the rest into parts.
        passages: a regular expression: each match in a text is a part of its own.

    Raises:
        UsageError: if no message has text, no part is called so, or the pins do not fit.
    """
    told = transcript(chat)
    parts = call_parts(chat, told, pattern=passages) if kind == PART or within else ()
    free, fixed = _cuts(chat, told, kind, parts=parts, within=within)
    fixed += _between(told, free)
    pieces = laid(
        told.text, free, sorted(fixed), ends=[place for slot in told.slots for place in (slot.start, slot.end)]
    )
    if not free:
        raise UsageError("The chat holds no text to explain: give at least one message with text.")
    sections = _with(told.sections, [part.section for part in parts if part.section.name])
    marked, notices = pin_pieces(told.text, pieces, pin, sections=sections)
    pairs = tuple(part.pair for part in parts if part.pair)
    lists = tuple(span for part in parts for span in part.lists)
    return ChatUnits(
        told.text,
        marked,
        sections,
        (*notices, *_told(chat, told, marked)),
        chat=chat,
        slots=told.slots,
        lists=tuple(dict.fromkeys(lists)),
        pairs=pairs,
    )


def chat_record(units: Units) -> ChatRecord | None:
    """What is kept of a chat beside its transcript; None of any other prompt."""
    if not isinstance(units, ChatUnits):
        return None
    request = cast("dict[str, Any]", units.chat.to_json())
    return ChatRecord(request=request, lists=units.lists, pairs=units.pairs)


def _cuts(
    chat: Chat, told: Transcript, kind: str, *, parts: Sequence[CallPart], within: Sequence[str]
) -> tuple[list[Span], list[Span]]:
    """What is attributed, and what is always sent of the texts of a chat."""
    if parts:
        return cut_within(told, parts, within, CHAT_KINDS[kind])
    if kind == "message":
        return _messages(chat, told), []
    free: list[Span] = []
    fixed: list[Span] = []
    for slot in told.slots:
        if slot.held:
            continue
        start, end = slot.inner
        spans = moved(CHAT_KINDS[kind](told.text[start:end]), start)
        held = slot.tool is not None and chat.tools[slot.tool].name == chat.tool_choice
        (fixed if held else free).extend(spans)
        for a, b in ((slot.start, start), (end, slot.end)):
            fixed += moved(whole(told.text[a:b]), a)
    return free, fixed


def _messages(chat: Chat, told: Transcript) -> list[Span]:
    """The visible text of each tool and each message, from its first part to its last."""
    free: list[Span] = []
    last: int | None = None
    for slot in told.slots:
        shown = [] if slot.held else moved(whole(told.text[slot.start : slot.end]), slot.start)
        if not shown or (slot.tool is not None and chat.tools[slot.tool].name == chat.tool_choice):
            continue
        if slot.message is not None and slot.message == last:
            free[-1] = (free[-1][0], shown[0][1])
        else:
            free += shown
        last = slot.message
    return free


def _between(told: Transcript, free: Sequence[Span]) -> list[Span]:
    """Role lines and notes: what lies between the slots, and slots that are held, but for what lies inside a unit."""
    slots = [slot for slot in told.slots if not slot.held]
    edges = [0, *(slot.end for slot in slots)], [*(slot.start for slot in slots), len(told.text)]
    found = [span for a, b in zip(*edges, strict=True) for span in moved(whole(told.text[a:b]), a)]
    starts = [start for start, _ in sorted(free)]
    ends = [end for _, end in sorted(free)]

    def inside(span: Span) -> bool:
        place = bisect_right(starts, span[0]) - 1
        return place >= 0 and span[1] <= ends[place]

    return [span for span in found if not inside(span)]


def _with(sections: Sequence[Section], parts: Sequence[Section]) -> tuple[Section, ...]:
    """Sections in order, each part behind what holds it; a tool's definition is a part already."""
    known = {(section.start, section.end, section.kind) for section in sections}
    more = [part for part in parts if (part.start, part.end, part.kind) not in known]
    return tuple(sorted([*sections, *more], key=lambda section: (section.start, -section.end)))


def _told(chat: Chat, told: Transcript, pieces: Sequence[Piece]) -> Notices:
    """What is sent in place of what was taken away, where anything may be."""
    found: dict[str, str] = {}
    wholly = _emptied(told, pieces)
    for number, message in enumerate(chat.messages):
        if number not in wholly or message.role == "system" or message.images or message.calls:
            continue
        if message.role == "tool":
            found["emptied-results"] = (
                f"A tool's result of which nothing is left is sent as {STAND_IN!r}: each call keeps its result, as "
                "services want it."
            )
        else:
            found["emptied-messages"] = (
                f"A message of which nothing is left is sent as {STAND_IN!r}, so that roles go on alternating as "
                "servers want it; a system message of which nothing is left is not sent."
            )
    found |= _told_of_tools(chat, told, pieces)
    return tuple(found.items())


def _told_of_tools(chat: Chat, told: Transcript, pieces: Sequence[Piece]) -> dict[str, str]:
    found: dict[str, str] = {}
    names = {tool.name for tool in chat.tools}
    if chat.tool_choice in names:
        found["tool-choice"] = (
            f"tool_choice names {chat.tool_choice}: its definition is always sent, and not attributed."
        )
    free = {
        slot.tool
        for slot in told.slots
        if slot.tool is not None
        and any(p.unit is not None and slot.start <= p.core and p.stop <= slot.end for p in pieces)
    }
    if names and len(free) == len(chat.tools) and any(message.calls for message in chat.messages):
        found["last-tool"] = (
            "Where no definition of a tool is left, the tool that was called first is offered by its bare name: "
            "services refuse calls where no tool is offered."
        )
    return found


def _emptied(told: Transcript, pieces: Sequence[Piece]) -> set[int]:
    """Messages of which a mask may take everything away."""
    starts = [slot.start for slot in told.slots]
    held: set[int | None] = set()
    some: set[int | None] = set()
    for piece in pieces:
        place = bisect_right(starts, piece.core) - 1
        if place >= 0 and piece.core < told.slots[place].end:
            (held if piece.unit is None else some).add(told.slots[place].message)
    return {each for each in some - held if each is not None}


def shown(prompt: Prompt) -> str:
    """A prompt as one text: a chat as its transcript, an edit as its instruction."""
    if isinstance(prompt, Chat):
        return transcript_text(prompt)
    return prompt.instruction if isinstance(prompt, Edit) else prompt
