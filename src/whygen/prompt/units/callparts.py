"""The parts of a recorded call that people have a name for, and what of them is cut finer.

Every definition of a tool, message, part of a message and result of a tool; inside texts each document, memory and
example that is marked as one; paragraphs of the system's text; and examples given as a user's and an assistant's turn.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from whygen.errors import UnknownNameError
from whygen.prompt.units.passages import Passages, passages
from whygen.prompt.units.pieces import is_called, moved
from whygen.prompt.units.texts import Splitter, paragraphs, whole
from whygen.prompt.units.transcripts import Slot, Transcript, called_names
from whygen.results.prompt import Section
from whygen.texts import Span
from whygen.types import Block, Chat, Message

_Kind: TypeAlias = Literal["tool", "part", "result", "document", "memory", "example", "block"]

FEW = 6
"""A call of fewer parts than this has its users' texts cut into paragraphs too."""


@dataclass(frozen=True, slots=True)
class CallPart:
    """A part of a call.

    Attributes:
        section: its kind, its name, and its characters of the transcript.
        free: whether it is attributed.
        lists: stretches of passages around it.
        pair: of an example in two turns, the numbers of its messages.
        home: the text in which it stands, by name.
    """

    section: Section
    free: bool = True
    lists: tuple[Span, ...] = ()
    pair: tuple[int, int] | None = None
    home: str = ""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a call, what it is called, and how the part of it that is no passage is called."""

    slot: Slot
    name: str
    kind: _Kind
    role: str


def call_parts(chat: Chat, told: Transcript, *, pattern: str | None = None) -> tuple[CallPart, ...]:
    """The parts of a call, in order; each with a name of its own.

    Args:
        chat: the call.
        told: its transcript.
        pattern: what a passage looks like, if not as `passages` knows them.
    """
    pairs = example_pairs(chat)
    paired = {number for pair in pairs for number in pair}
    made = [*_tools(chat, told), *_examples(told, pairs)]
    texts = [text for text in _texts(chat, told) if text.slot.message not in paired]
    found = {text.slot.start: _found(told, text, pattern) for text in texts}
    cut = [*made, *(part for text in texts for part in _parts(told, text, found[text.slot.start], few=False))]
    if sum(part.free for part in cut) < FEW:
        cut = [*made, *(part for text in texts for part in _parts(told, text, found[text.slot.start], few=True))]
    return _distinct(sorted(cut, key=lambda part: part.section.start))


def _tools(chat: Chat, told: Transcript) -> Iterator[CallPart]:
    sections = {section.start: section for section in told.sections if section.kind == "tool"}
    for slot in told.slots:
        if slot.tool is not None and slot.end > slot.start:
            yield CallPart(sections[slot.start], free=chat.tools[slot.tool].name != chat.tool_choice)


def _examples(told: Transcript, pairs: Sequence[tuple[int, int]]) -> Iterator[CallPart]:
    for number, pair in enumerate(pairs, start=1):
        slots = [slot for slot in told.slots if slot.message in pair]
        (start, _), (_, end) = (_shown(told.text, slot)[0] for slot in (slots[0], slots[-1]))
        yield CallPart(Section(kind="example", name=f"example {number}", start=start, end=end), pair=pair)


def _texts(chat: Chat, told: Transcript) -> Iterator[_Text]:
    """The texts of messages, with their names."""
    roles = Counter(message.role for message in chat.messages)
    called, counts = called_names(chat), Counter[str]()
    names: list[str] = []
    for message in chat.messages:
        counts[message.role] += 1
        names.append(_name(message, counts[message.role], alone=roles[message.role] == 1, called=called))
    several = Counter(slot.message for slot in told.slots if slot.message is not None)
    for slot in told.slots:
        if slot.message is None or slot.held:
            continue
        message, name = chat.messages[slot.message], names[slot.message]
        part = "" if slot.part is None or several[slot.message] == 1 else f", part {slot.part + 1}"
        yield _Text(slot, name + part, _kind(message, slot), message.role)


_DOCUMENTS = frozenset({"document", "search_result", "file", "input_file", "document_url"})
"""Types of blocks that are documents, in whatever protocol's words."""


def _kind(message: Message, slot: Slot) -> _Kind:
    """What a text of a message is: where it came from, told by its message or by its block."""
    if message.role == "tool":
        return "result"
    part = message.parts[slot.part] if slot.part is not None else None
    if isinstance(part, Block) and part.raw.get("type") in _DOCUMENTS:
        return "document"
    return "block" if slot.noted else "part"


def _name(message: Message, number: int, *, alone: bool, called: dict[str, str]) -> str:
    if message.role == "tool":
        tool = called.get(message.answers)
        return f"tool result {number}" + (f" ({tool})" if tool else "")
    if message.role == "system":
        return "system" if alone else f"system message {number}"
    return f"{message.role} message {number}"


def _shown(text: str, slot: Slot) -> list[Span]:
    return moved(whole(text[slot.start : slot.end]), slot.start)


def _found(told: Transcript, text: _Text, pattern: str | None) -> Passages:
    return Passages() if text.slot.noted else passages(told.text[slice(*text.slot.inner)], pattern=pattern)


def _parts(told: Transcript, text: _Text, found: Passages, *, few: bool) -> Iterator[CallPart]:
    """The parts of one text: its passages, and what stands around them."""
    by = text.slot.start
    own = told.text[text.slot.start : text.slot.end]
    if not found.found:
        yield from _around(own, by, text, few=few)
        return
    lists = tuple(moved(found.lists, by))
    marks = sorted([*((each.start, each.end) for each in found.found), *found.fixed])
    named = {(each.start, each.end): each for each in found.found}
    edges = [0, *(end for _, end in marks)], [*(start for start, _ in marks), len(own)]
    between = [(a, b) for a, b in zip(*edges, strict=True) if own[a:b].strip() and not _parts_list(a, b, found.lists)]
    for a, b in between:
        ends = f" {between.index((a, b)) + 1}" if len(between) > 1 else ""
        around = replace(text, name=f"{text.name}, text{ends}")
        yield from _around(own[a:b], by + a, around, few=few)
    for span in marks:
        each = named.get(span)
        start, end = moved([span], by)[0]
        if each is None:
            yield CallPart(Section(kind="part", name="", start=start, end=end), free=False)
            continue
        name = f"{text.name}, {each.name}" if text.role == "tool" or each.kind == "part" else each.name
        kind = text.kind if each.kind == "part" else each.kind
        yield CallPart(Section(kind=kind, name=name, start=start, end=end), lists=lists, home=text.name)


def _parts_list(start: int, end: int, lists: Sequence[Span]) -> bool:
    """Whether a stretch is what parts two passages of a list."""
    return any(a <= start and end <= b for a, b in lists)


def _around(own: str, by: int, text: _Text, *, few: bool) -> Iterator[CallPart]:
    """A text without passages: whole, or by paragraphs where it is the system's or the call has few parts."""
    spans = whole(own)
    if text.role == "system" or (few and text.role == "user"):
        spans = _paragraphs(own) or spans
    for number, (start, end) in enumerate(spans, start=1):
        name = f"{text.name}, paragraph {number}" if len(spans) > 1 else text.name
        yield CallPart(Section(kind=text.kind, name=name, start=by + start, end=by + end))


def _paragraphs(text: str) -> list[Span]:
    """Paragraphs, each head with what stands below it."""
    found: list[Span] = []
    head: int | None = None
    for start, end in paragraphs(text):
        first = start if head is None else head
        line = text[start:end]
        is_head = "\n" not in line and (line.startswith("#") or line.rstrip("*_ ").endswith((":", "：")))
        head = first if is_head else None
        if not is_head:
            found.append((first, end))
    if head is not None:
        found.append((head, len(text.rstrip())))
    return found


def _distinct(parts: Sequence[CallPart]) -> tuple[CallPart, ...]:
    """The parts with names that tell them apart: of equal ones each says where it stands, or is counted."""
    equal = Counter(part.section.name for part in parts)
    placed = [
        _renamed(part, f"{part.home}, {part.section.name}") if equal[part.section.name] > 1 and part.home else part
        for part in parts
    ]
    equal = Counter(part.section.name for part in placed)
    seen: Counter[str] = Counter()
    made: list[CallPart] = []
    for part in placed:
        name = part.section.name
        seen[name] += 1
        made.append(_renamed(part, f"{name} ({seen[name]})") if name and equal[name] > 1 else part)
    return tuple(made)


def _renamed(part: CallPart, name: str) -> CallPart:
    return replace(part, section=part.section.model_copy(update={"name": name}))


def example_pairs(chat: Chat) -> tuple[tuple[int, int], ...]:
    """Turns of a user and the assistant that are examples, and no conversation: two or more, all of one form.

    Of one form are users' texts that begin with the same label (``Review: ...``), and answers that are JSON of the same
    keys, or short and said more than once. What follows must be a user's turn again.
    """
    turns = [(number, message) for number, message in enumerate(chat.messages) if message.role != "system"]
    pairs: list[tuple[int, int]] = []
    for (i, user), (j, answer) in zip(turns[::2], turns[1::2], strict=False):
        if not (user.role == "user" and answer.role == "assistant") or user.images or answer.calls or j != i + 1:
            break
        pairs.append((i, j))
    rest = turns[2 * len(pairs) :]
    if len(pairs) < 2 or not rest or rest[0][1].role != "user":
        return ()
    asked = [chat.messages[i].text for i, _ in pairs]
    answers = [chat.messages[j].text for _, j in pairs]
    if not all(text.strip() for text in (*asked, *answers)):
        return ()
    alike = _labelled([*asked, rest[0][1].text]) or _same_keys(answers) or _short(answers)
    return tuple(pairs) if alike else ()


_LABEL = re.compile(r"\s*([^\W\d_][^\n:：]{0,24})[:：]")


def _labelled(texts: Sequence[str]) -> bool:
    labels = [match[1].casefold() if (match := _LABEL.match(text)) else None for text in texts]
    return None not in labels and len(set(labels)) == 1


def _same_keys(texts: Sequence[str]) -> bool:
    keys: set[tuple[str, ...]] = set()
    for text in texts:
        try:
            value: object = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(value, dict):
            return False
        keys.add(tuple(sorted(cast("dict[str, object]", value))))
    return len(keys) == 1


def _short(texts: Sequence[str]) -> bool:
    return all(len(text.split()) <= 3 and len(text) <= 40 for text in texts) and len(set(texts)) < len(texts)


def cut_within(
    told: Transcript, parts: Sequence[CallPart], within: Sequence[str], splitter: Splitter
) -> tuple[list[Span], list[Span]]:
    """What is attributed and what is always sent: the parts, those that are named cut by the splitter.

    Raises:
        UnknownNameError: if no part is called so.
    """
    chosen = {part.section.start for name in within for part in parts_called(parts, name)}
    free: list[Span] = []
    fixed: list[Span] = []
    for part in parts:
        span = part.section.start, part.section.end
        if not part.free:
            fixed.append(span)
        elif part.section.start in chosen:
            inner, outer = _finer(told, span, splitter)
            free += inner or [span]
            fixed += outer if inner else []
        else:
            free.append(span)
    return free, fixed


def _finer(told: Transcript, span: Span, splitter: Splitter) -> tuple[list[Span], list[Span]]:
    free: list[Span] = []
    fixed: list[Span] = []
    for slot in told.slots:
        start, end = max(span[0], slot.start), min(span[1], slot.end)
        if start >= end:
            continue
        a, b = max(start, slot.inner[0]), min(end, slot.inner[1])
        free += moved(splitter(told.text[a:b]), a)
        for c, d in ((start, min(a, end)), (max(b, start), end)):
            fixed += moved(whole(told.text[c:d]), c)
    return free, fixed


def parts_called(parts: Sequence[CallPart], name: str) -> list[CallPart]:
    """The parts of a name; ``tool result`` are all whose names begin so.

    Raises:
        UnknownNameError: if there is none.
    """
    found = [part for part in parts if part.section.name and is_called(part.section.name, name)]
    if not found:
        raise UnknownNameError("part", name, [part.section.name for part in parts if part.section.name])
    return found
