"""Anthropic's Messages: a request to a chat, an answer to an output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.records.openai_chat import arguments_text, image, read_tool
from whygen.records.parts import is_link, kept
from whygen.records.sending import Words, choice_of, settings_of
from whygen.remote import ended_by
from whygen.types import Block, Chat, Message, Output, Part, Role, Settings, ToolCall

PROTOCOL = "anthropic"
_WORDS = Words(
    length=("max_tokens",),
    stop="stop_sequences",
    seed="",
    elsewhere=frozenset({"model", "messages", "system", "tools", "tool_choice"}),
)
_CHOICES = {"auto": "auto", "none": "none", "any": "required"}
_THINKING = frozenset({"thinking", "redacted_thinking"})
_CALLING = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
"""Blocks of an answer that call a tool; the service runs those of the last two itself."""


def read_request(body: Field, notices: Notices) -> tuple[Chat, Settings]:
    """The chat and the settings of a request.

    Raises:
        DataError: naming the field that cannot be used.
    """
    found = body["messages"]
    if not found.is_list:
        raise found.wrong("a list of messages")
    turns = [*_system(body["system"], notices), *(turn for each in found for turn in _turns(each, notices))]
    settings = settings_of(body, _WORDS)
    extra = dict(settings.extra)
    chosen = body["tool_choice"]
    word = choice_of(chosen, _CHOICES)
    if word is None or chosen["disable_parallel_tool_use"].there:
        extra["tool_choice"] = chosen.json()
    if body["thinking"].there and _thought_in_this_turn(found):
        # The service takes no results of tools without the thinking before the call, and that is left out.
        extra["thinking"] = None
        notices.say(
            "thinking-off",
            "Thinking is switched off when the model is asked: the service wants the thinking back that stood before "
            "the last call of a tool, and that would tell what a piece taken out had said. Answers may differ from the "
            "recorded one for this alone; the whole request is asked anew to see it.",
        )
    tools = tuple(read_tool(each) for each in body["tools"])
    return Chat(tuple(turns), tools, word or "auto"), replace(settings, extra=extra)


def _thought_in_this_turn(found: Field) -> bool:
    """Whether the last assistant's message thought and called a tool."""
    last = [each for each in found if each["role"].value == "assistant"][-1:]
    kinds = {part["type"].name() for each in last if each["content"].is_list for part in each["content"]}
    return bool(kinds & _THINKING) and "tool_use" in kinds


def _system(found: Field, notices: Notices) -> Iterable[Message]:
    if found.is_text:
        if found.value:
            yield Message("system", found.text())
    elif found.there:
        parts = tuple(each for part in found for each in _parts(part, notices))
        if parts:
            yield Message("system", "", (), parts)


def _turns(turn: Field, notices: Notices) -> Iterable[Message]:
    """The messages that one is: each result of a tool is one of its own."""
    role: Role | None = {"user": "user", "assistant": "assistant", "system": "system"}.get(turn["role"].name())  # type: ignore[assignment]
    if role is None:
        raise turn["role"].wrong("user or assistant")
    content = turn["content"]
    if content.is_text:
        yield Message(role, content.text())
        return
    if not content.is_list:
        raise content.wrong("a text or a list of blocks")
    parts: list[Part] = []
    calls: list[ToolCall] = []
    for block in content:
        if block["type"].value == "tool_result":
            if parts:
                yield Message(role, "", (), tuple(parts))
                parts = []
            yield _result(block, notices)
        elif block["type"].value == "tool_use":
            calls.append(_call(block))
        else:
            parts += _parts(block, notices)
    if parts or calls or not any(block["type"].value == "tool_result" for block in content):
        yield Message(role, "", (), tuple(parts), tuple(calls))


def _call(block: Field) -> ToolCall:
    if not block["name"].is_text:
        raise block["name"].wrong("the name of the tool that was called")
    return ToolCall(block["name"].text(), arguments_text(block["input"]), block["id"].name())


def _result(block: Field, notices: Notices) -> Message:
    if not block["tool_use_id"].name():
        raise block["tool_use_id"].wrong("the id of the call that it answers")
    content, answers = block["content"], block["tool_use_id"].name()
    if block["is_error"].value is True:
        if (said := _alone(content)) is not None:
            failed = Block({**block.object(), "content": said}, PROTOCOL, ("content",))
            return Message("tool", "", (), (failed,), (), answers)
        notices.count("tool-error", block["is_error"])
    if content.is_text or not content.there:
        return Message("tool", content.text() if content.there else "", answers=answers)
    parts = tuple(each for part in content for each in _parts(part, notices))
    return Message("tool", "", (), parts, (), answers)


def _alone(content: Field) -> str | None:
    """The text of a content that is one text and nothing else."""
    if content.is_text:
        return content.text()
    blocks = list(content) if content.is_list else []
    alone = len(blocks) == 1 and blocks[0]["type"].value == "text" and blocks[0]["text"].is_text
    return blocks[0]["text"].text() if alone else None


def _parts(block: Field, notices: Notices) -> Iterable[Part]:
    """One block of a content: none where it cannot be sent again."""
    if block.is_text:
        yield block.text()
        return
    if not block.is_object:
        raise block.wrong("a block with a type")
    kind = block["type"].name()
    if kind == "text":
        text = block["text"].text()
        plain = block.keys() <= {"type", "text"} or not any(block[key].value for key in block.keys() - {"type", "text"})
        yield text if plain else kept(block, PROTOCOL, "text")
    elif kind == "image":
        yield from image(block, PROTOCOL, notices)
    elif kind in _THINKING:
        notices.count("reasoning", block)
    elif kind == "document":
        yield from _document(block, notices)
    else:
        if kind != "search_result":
            notices.count("file-link" if kind == "container_upload" else _unknown(kind), block)
        yield kept(block, PROTOCOL)


def _unknown(kind: str) -> str:
    """What is said of a block without a text of its own; what tools of the service are, is known."""
    return "own-block" if kind.endswith(("tool_use", "tool_result")) else "unknown-part"


def _document(block: Field, notices: Notices) -> Iterable[Part]:
    source = block["source"]
    if source["type"].name() in {"url", "file"} or is_link(source["url"].value):
        notices.count("file-link", block)
        yield kept(block, PROTOCOL)
    elif source["type"].value == "content":
        yield kept(block, PROTOCOL, "source", "content")
    else:
        yield kept(block, PROTOCOL, "source", "data") if source["type"].value == "text" else kept(block, PROTOCOL)


def read_answer(body: Field, notices: Notices) -> Output | None:
    """The message of a response; None where it holds none."""
    if not body["content"].is_list:
        return None
    texts: list[str] = []
    calls: list[ToolCall] = []
    for block in body["content"]:
        kind = block["type"].name()
        if kind == "text":
            texts.append(block["text"].text())
        elif kind in _CALLING:
            calls.append(_call(block))
        elif kind in _THINKING:
            notices.count("reasoning", block)
    usage, model = body["usage"], body["model"].name()
    read = [usage[name].whole() for name in _READ]
    return Output(
        text="".join(texts),
        calls=tuple(calls),
        finish=ended_by(body["stop_reason"].name()),
        tokens_in=None if read[0] is None else sum(each or 0 for each in read),
        tokens_out=usage["output_tokens"].whole(),
        extra={"model": model} if model else {},
    )


_READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""What was read; what came from the provider's cache is counted apart there."""
