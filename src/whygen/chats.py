"""A conversation as it is sent: its messages, the tools that the model may call, and the calls that it made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from whygen._arguments import check_fields, told
from whygen.errors import DataError, UsageError
from whygen.safe import without_keys
from whygen.values import JsonValue, Picture, canonical_json

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
"""Who speaks. ``tool`` is what a tool gave back, see `Message.answers`."""


@told
@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, as a model wrote it.

    Attributes:
        name: of the tool.
        arguments: the JSON text that the model wrote; it may be broken.
        id: by which the tool's answer names it. Services draw it anew for every answer, so it tells no two calls apart.
    """

    name: str
    arguments: str = "{}"
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def values(self) -> JsonValue:
        """What the arguments say; the text itself where it is no JSON."""
        try:
            return cast("JsonValue", json.loads(self.arguments))
        except (ValueError, RecursionError):
            return self.arguments

    @property
    def said(self) -> str:
        """The call as people write one: ``name(arguments)``, the arguments as JSON with sorted keys."""
        values = self.values
        if values in ({}, ""):
            return f"{self.name}()"
        try:
            return f"{self.name}({json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)})"
        except (ValueError, RecursionError):  # NaN is no JSON
            return f"{self.name}({self.arguments})"

    def to_json(self) -> dict[str, JsonValue]:
        call: dict[str, JsonValue] = {"name": self.name, "arguments": self.arguments}
        return {**call, "id": self.id} if self.id else call

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> ToolCall:
        """The inverse of `to_json`."""
        return cls(str(record["name"]), str(record["arguments"]), str(record.get("id", "")))


@told
@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call.

    Attributes:
        name: by which it is called.
        description: what it does, for the model.
        parameters: the JSON schema of its arguments.
        extra: whatever else stood in its definition. One that the service runs itself (a search, an interpreter) has
            its ``type`` here, and no other service knows it.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, JsonValue] = field(default_factory=dict[str, "JsonValue"], hash=False)
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, "JsonValue"], hash=False)

    def __post_init__(self) -> None:
        check_fields(self)

    def to_json(self) -> dict[str, JsonValue]:
        tool: dict[str, JsonValue] = {"name": self.name, "description": self.description}
        tool["parameters"] = dict(self.parameters)
        return {**tool, "extra": without_keys(self.extra)} if self.extra else tool

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Tool:
        """The inverse of `to_json`."""
        return cls(record["name"], record["description"], record["parameters"], record.get("extra", {}))


@told
@dataclass(frozen=True, slots=True)
class Block:
    """A part of a message that is more than a text or a picture: a document, a PDF, a text with a mark of its service.

    Attributes:
        raw: the part as it went over the wire; at `place` stands its text.
        protocol: who takes it so: ``openai``, ``responses`` or ``anthropic``. Others are sent its text alone.
        place: keys that lead to the text inside `raw`; empty where it holds none that could be explained.
    """

    raw: Mapping[str, JsonValue] = field(hash=False)
    protocol: str
    place: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.place and not isinstance(_at(self.raw, self.place), str):
            raise DataError(f"A block of the type {self.raw.get('type')!r} has no text at {'.'.join(self.place)}.")

    @property
    def text(self) -> str:
        """What can be explained in it; empty where it holds no text."""
        return cast("str", _at(self.raw, self.place)) if self.place else ""

    def saying(self, text: str) -> Block:
        """The same block with another text.

        Raises:
            UsageError: if it has no place for one.
        """
        if not self.place:
            raise UsageError(f"A block of the type {self.raw.get('type')!r} holds no text that could be changed.")
        return Block(_with(self.raw, self.place, text), self.protocol, self.place)

    def to_json(self) -> dict[str, JsonValue]:
        return {"raw": dict(self.raw), "protocol": self.protocol, "place": list(self.place)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Block:
        """The inverse of `to_json`."""
        return cls(record["raw"], record["protocol"], tuple(record["place"]))


def _at(value: object, place: Sequence[str]) -> object:
    for key in place:
        value = cast("Mapping[str, object]", value).get(key) if isinstance(value, Mapping) else None
    return value


def _with(value: Mapping[str, JsonValue], place: Sequence[str], text: str) -> dict[str, JsonValue]:
    first, *rest = place
    inner = value.get(first)
    below = _with(cast("Mapping[str, JsonValue]", inner), rest, text) if rest else text
    return {**value, first: below}


Part: TypeAlias = str | Picture | Block
"""One part of a message's content."""


@told
@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. Images are sent after the text, unless ``parts`` say in which order.

    Attributes:
        role: who speaks.
        text: what is said; of a message in parts, their texts with a line break between two.
        images: those that are sent with it.
        parts: the content part by part, where it was sent so. ``text`` and ``images`` are then made from it, whatever
            was given for them: to change such a message, give other parts.
        calls: the tools that the assistant called in this turn.
        answers: of a tool's message, the id of the call that it answers.

    Raises:
        UsageError: if an image is no `Picture`, which `whygen.media.pictures.picture_from` makes of whatever holds one.
    """

    role: Role
    text: str
    images: tuple[Picture, ...] = ()
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.images, Sequence) or isinstance(self.images, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
            _check_pictures("images", self.images)
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "calls", tuple(self.calls))
        object.__setattr__(self, "parts", tuple(self.parts))
        if self.parts:
            object.__setattr__(
                self, "text", "\n".join(said for part in self.parts if (said := text_of(part)) is not None)
            )
            object.__setattr__(self, "images", tuple(part for part in self.parts if isinstance(part, Picture)))
        _check_pictures("images", *self.images)
        check_fields(self)

    @property
    def content(self) -> tuple[Part, ...]:
        """The parts: as they were given, else the text and then the images; an empty text beside nothing is one."""
        if self.parts:
            return self.parts
        return (self.text, *self.images) if self.text or not self.images else self.images

    def to_json(self) -> dict[str, JsonValue]:
        turn: dict[str, JsonValue] = {"role": self.role, "text": self.text}
        if self.images:
            turn["images"] = [image.to_json() for image in self.images]
        if self.parts:
            turn["parts"] = [part if isinstance(part, str) else part.to_json() for part in self.parts]
        if self.calls:
            turn["calls"] = [call.to_json() for call in self.calls]
        if self.answers:
            turn["answers"] = self.answers
        return turn

    @classmethod
    def from_json(cls, record: Mapping[str, Any], *, pictures: Mapping[str, Picture] | None = None) -> Message:
        """The inverse of `to_json`; ``pictures`` as in `Chat.from_json`."""
        known = pictures or {}
        parts = [_part_from(part, known) for part in record.get("parts", ())]
        return cls(
            record["role"],
            record["text"],
            tuple(_picture_from(image, known) for image in record.get("images", ())),
            tuple(parts),
            tuple(ToolCall.from_json(call) for call in record.get("calls", ())),
            record.get("answers", ""),
        )


def _part_from(record: Any, pictures: Mapping[str, Picture]) -> Part:
    if isinstance(record, str):
        return record
    return Block.from_json(record) if "raw" in record else _picture_from(record, pictures)


def _picture_from(record: Mapping[str, Any], pictures: Mapping[str, Picture]) -> Picture:
    return pictures.get(record["sha256"]) or Picture(b"", record["media_type"])


def text_of(part: Part) -> str | None:
    """What a part says; None of a picture, and of a block that holds no text."""
    if isinstance(part, str):
        return part
    return part.text if isinstance(part, Block) and part.place else None


@told
@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, oldest message first, and the tools that the model may call in it.

    Attributes:
        messages: the turns.
        tools: what the model may call.
        tool_choice: ``auto``, ``none``, ``required`` (one must be called), or the name of the tool that must be.

    Raises:
        DataError: if it is given no list of messages.
    """

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    tool_choice: str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.messages, Sequence) or isinstance(self.messages, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance] - user code
            raise DataError(
                f"messages is a {type(self.messages).__name__}: give a list of messages, such as "
                "[Message('user', 'Hello')]."
            )
        if strange := [each for each in self.messages if not isinstance(each, Message)]:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(f"messages holds a {type(strange[0]).__name__}: give Message('user', 'Hello') for each.")
        object.__setattr__(self, "messages", tuple(self.messages))  # a list cannot be hashed
        object.__setattr__(self, "tools", tuple(self.tools))
        check_fields(self)

    def to_json(self) -> dict[str, JsonValue]:
        chat: dict[str, JsonValue] = {"chat": [message.to_json() for message in self.messages]}
        if self.tools:
            chat["tools"] = [tool.to_json() for tool in self.tools]
        if self.tool_choice != "auto":
            chat["tool_choice"] = self.tool_choice
        return chat

    @classmethod
    def from_json(cls, record: Mapping[str, Any], *, pictures: Mapping[str, Picture] | None = None) -> Chat:
        """The inverse of `to_json`.

        Args:
            record: what `to_json` gave.
            pictures: by their digest, as the record names them; one that is not among them comes back without its
                bytes, and cannot be sent.
        """
        return cls(
            tuple(Message.from_json(message, pictures=pictures) for message in record["chat"]),
            tuple(Tool.from_json(tool) for tool in record.get("tools", ())),
            record.get("tool_choice", "auto"),
        )

    @property
    def texts(self) -> list[str]:
        """What is read of it: what is said, calls with their arguments, tools, and blocks that hold no text."""
        found = [message.text for message in self.messages]
        found += [f"{call.name} {call.arguments}" for message in self.messages for call in message.calls]
        blocks = [part for message in self.messages for part in message.parts if isinstance(part, Block)]
        found += [canonical_json(block.raw) for block in blocks if not block.place]
        return found + [canonical_json(tool.to_json()) for tool in self.tools]


def _check_pictures(name: str, *images: object) -> None:
    for image in images:
        if not isinstance(image, Picture):
            raise UsageError(
                f"{name} holds a {type(image).__name__}: give whygen.media.pictures.picture_from(...) of a path, the "
                "bytes of a file, a Pillow image or an array."
            )
