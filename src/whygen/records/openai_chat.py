"""OpenAI's Chat Completions, which most servers speak: a request to a chat, an answer to an output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from whygen.chats import text_of
from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.records.parts import is_link, kept, sent_picture
from whygen.records.sending import Words, choice_of, settings_of
from whygen.remote import ended_by
from whygen.types import Block, Chat, JsonValue, Message, Output, Part, Role, Settings, Tool, ToolCall

PROTOCOL = "openai"
ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip
_WORDS = Words(
    length=("max_tokens", "max_completion_tokens"),
    stop="stop",
    seed="seed",
    elsewhere=frozenset({"model", "messages", "tools", "tool_choice", "functions", "function_call"}),
)
CHOICES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_REASONING = ("reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks")


def read_request(body: Field, notices: Notices) -> tuple[Chat, Settings]:
    """The chat and the settings of a request.

    Raises:
        DataError: naming the field that cannot be used.
    """
    if (asked := body["n"].whole()) and asked > 1:
        notices.say("several-answers", f"The call asked for {asked} answers (n): one is asked for here.")
    tools = tuple(read_tools(body))
    chosen = body.first("tool_choice", "function_call")
    word = choice_of(chosen, CHOICES)
    if word is None and chosen.is_object and chosen["name"].name():  # the old function_call
        word = chosen["name"].name()
    settings = settings_in(body)
    if word is None:
        settings = _also(settings, tool_choice=chosen.json())
    chat = Chat(read_messages(body["messages"], notices), tools, word or "auto")
    return chat, settings


def settings_in(body: Field) -> Settings:
    """The settings of a request."""
    return settings_of(body, _WORDS)


def _also(settings: Settings, **more: JsonValue) -> Settings:
    return Settings(
        temperature=settings.temperature, max_tokens=settings.max_tokens, top_p=settings.top_p, stop=settings.stop,
        seed=settings.seed, extra={**settings.extra, **more},
    )  # fmt: skip


def read_messages(found: Field, notices: Notices) -> tuple[Message, ...]:
    """The messages, in their order.

    Raises:
        DataError: if this is no list, or holds what is no message.
    """
    if not found.is_list:
        raise found.wrong("a list of messages")
    turns: list[Message] = []
    for each in found:
        turns.append(read_message(each, notices, waiting_in(turns)))
    return tuple(turns)


def waiting_in(turns: Sequence[Message]) -> list[str]:
    """Ids of the calls that the last assistant's message made and no tool has answered since."""
    answered: list[str] = []
    for turn in reversed(turns):
        if turn.role != "tool":
            return [call.id for call in turn.calls if call.id not in answered]
        answered.append(turn.answers)
    return []


def read_message(turn: Field, notices: Notices, waiting: Sequence[str]) -> Message:
    """A message.

    Args:
        turn: an object with a role and a content.
        notices: what is left out of it.
        waiting: ids of the calls before it that no tool has answered so far.

    Raises:
        DataError: naming the field that cannot be used.
    """
    if not turn.is_object:
        raise turn.wrong("a message with role and content")
    role = ROLES.get(turn["role"].name())
    if role is None:
        raise turn["role"].wrong(f"one of {', '.join(ROLES)}")
    if turn["name"].there and turn["role"].name() not in {"tool", "function"}:
        notices.count("name", turn["name"])
    _count_left_out(turn, notices)
    calls = tuple(_calls(turn)) if role == "assistant" else ()
    answers = _answers(turn, notices, waiting) if role == "tool" else ""
    content = _content(turn)
    if content.is_text:
        return _said(role, content.text(), turn, calls, answers)
    if role == "tool" and content.there and not content.is_list and not content["type"].there:
        return _said(role, content.written(), turn, calls, answers)  # a log that kept the result as JSON
    if content.is_object:
        content = Field([content.value], content.place, content.source)
    if content.there:
        if not content.is_list:
            raise content.wrong("a text or a list of parts")
        said = [part for part in content if not calls or part["type"].name() not in _CALLS_AMONG_PARTS]
        parts = tuple(each for part in said for each in _parts(part, notices))
        return Message(role, "", (), (*parts, *_refusal(turn)), calls, answers)
    if not calls and not turn["refusal"].there and role != "assistant":
        raise content.wrong("a text or a list of parts")
    return _said(role, "", turn, calls, answers)


_CALLS_AMONG_PARTS = frozenset({"tool_use", "tool_call", "function_call"})
"""Parts that frameworks keep of a call which stands beside the content too."""


def _content(turn: Field) -> Field:
    """What a message says; of one that was spoken, its words."""
    spoken = turn.at("audio", "transcript")
    return spoken if spoken.is_text and not turn["content"].value else turn["content"]


def _count_left_out(turn: Field, notices: Notices) -> None:
    if turn["audio"].there and not turn.at("audio", "transcript").is_text:
        notices.count("lost-part", turn["audio"])
    if turn["prefix"].value is True:
        notices.count("prefix", turn["prefix"])
    reasoning = turn.first(*_REASONING)
    if reasoning.value:
        notices.count("reasoning", reasoning)


def _said(role: Role, text: str, turn: Field, calls: tuple[ToolCall, ...], answers: str) -> Message:
    refusal = _refusal(turn)
    if refusal:
        return Message(role, "", (), (*((text,) if text else ()), *refusal), calls, answers)
    return Message(role, text, (), (), calls, answers)


def _refusal(turn: Field) -> tuple[Block, ...]:
    said = turn["refusal"]
    if not said.is_text or not said.value:
        return ()
    return (Block({"type": "refusal", "refusal": said.text()}, PROTOCOL, ("refusal",)),)


def _parts(part: Field, notices: Notices) -> Iterable[Part]:
    """One part of a content: none where it cannot be sent again."""
    if part.is_text:
        yield part.text()
        return
    if not part.is_object:
        raise part.wrong("a part with a type")
    kind = part["type"].name()
    if kind in {"text", "input_text", "output_text"} or (not kind and part["text"].is_text):
        text = part.first("text", "content").text()  # OpenTelemetry's parts say content
        own = not kind or part["content"].there or part.keys() <= {"type", "text", "annotations"}
        yield text if own else kept(part, PROTOCOL, "text")
    elif kind in {"image_url", "input_image", "image"}:
        yield from image(part, PROTOCOL, notices)
    elif kind == "refusal":
        yield kept(part, PROTOCOL, "refusal")
    elif kind in {"thinking", "redacted_thinking", "reasoning"}:
        notices.count("reasoning", part)
    else:
        code = "whole-part" if kind in {"file", "input_audio", "input_file", "audio"} else "unknown-part"
        notices.count("file-link" if part.at("file", "file_id").there else code, part)
        yield kept(part, PROTOCOL)


def image(part: Field, protocol: str, notices: Notices) -> Iterable[Part]:
    """The image of a part, as OpenAI, Anthropic or the older of both write it; a link stays as it is."""
    given = part.first("image_url", "source", "image")
    address = given if given.is_text else given.first("url", "data")
    detail = part["detail"] if part["detail"].there else given["detail"]
    if detail.there and detail.value != "auto":
        notices.count("image-detail", detail)
    if part["file_id"].there or given["file_id"].there:
        notices.count("file-link", part)
        yield kept(part, protocol)
    elif is_link(address.value):
        notices.count("image-link", address)
        yield kept(part, protocol)
    elif address.is_text:
        picture = sent_picture(address.text(), address, notices)
        yield from () if picture is None else (picture,)
    else:
        notices.count("image-missing", address)


def _answers(turn: Field, notices: Notices, waiting: Sequence[str]) -> str:
    """The id of the call that a tool's message answers; by order where it does not say."""
    named = turn.first("tool_call_id", "name").name() if turn["role"].value == "function" else ""
    one = next(iter(turn["tool_results"]), turn) if turn["tool_results"].is_list else turn  # Datadog
    said = one.first("tool_call_id", "toolCallId", "tool_id").name() or named
    if said:
        return said
    if not waiting:
        raise turn["tool_call_id"].wrong("the id of the call that it answers")
    notices.count("tool-id", turn)
    return waiting[0]


def _calls(turn: Field) -> Iterable[ToolCall]:
    for number, each in enumerate(turn.first("tool_calls", "toolCalls"), start=1):
        yield _call(each, number)
    if turn["function_call"].is_object:  # before tools
        said = turn["function_call"]
        yield ToolCall(said["name"].text(), arguments_text(said["arguments"]), said["name"].name())


def _call(found: Field, number: int) -> ToolCall:
    said = found.first("function", "custom")
    inside = said if said.is_object else found
    written = inside.first("arguments", "input", "args")
    name = said if said.is_text else inside["name"]  # AgentDojo and inspect_ai name it alone
    if not name.is_text:
        raise name.wrong("the name of the tool that was called")
    return ToolCall(name.text(), arguments_text(written), found.first("id", "tool_id").name() or f"call_{number}")


def arguments_text(written: Field) -> str:
    """Arguments as the JSON text that was sent: some keep what it says instead."""
    return written.written() if written.there else "{}"


def read_tools(body: Field) -> Iterable[Tool]:
    """The tools of a request, in the form of today (``tools``) or the old one (``functions``).

    Raises:
        DataError: if one has no name.
    """
    for each in body["tools"]:
        if not each["tool_call_id"].there:  # a call that was made, which some keep under this name
            yield read_tool(each)
    for each in body["functions"]:
        yield read_tool(each)


def read_tool(found: Field) -> Tool:
    """A tool as any of the protocols writes it."""
    if not found.is_object:
        raise found.wrong("a tool with a name")
    kind = found["type"].name()
    inner = next((found[key] for key in ("function", "custom") if found[key].is_object), found)
    if kind not in {"", "function", "custom"}:  # the service runs it itself
        return Tool(inner["name"].name() or kind, extra=found.object())
    if not inner["name"].name():
        raise inner["name"].wrong("the name of the tool")
    schema, described = inner.first(*_SCHEMAS), inner["description"]
    extra = {key: each.json() for key, each in (*found.items(), *inner.items()) if key not in _OF_TOOLS and each.there}
    if kind == "custom" and not schema.there:  # it takes a text of any form
        extra["type"] = kind
    return Tool(inner["name"].name(), described.text() if described.there else "", schema.object(), extra)


_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "parametersJsonSchema")
_OF_TOOLS = frozenset({*_SCHEMAS, "name", "description", "type", "function", "custom"})


def read_answer(body: Field, notices: Notices) -> Output | None:
    """The first answer of a response; None where it holds none."""
    choice = next(iter(body["choices"]), None) if body["choices"].is_list else None
    if choice is None:
        return None
    message = choice["message"]
    if not message.is_object:
        return None
    return answer_of(
        message, notices, finish=choice["finish_reason"].name(), model=body["model"].name(), usage=body["usage"]
    )


def answer_of(message: Field, notices: Notices, *, finish: str = "", model: str = "", usage: Field) -> Output:
    """The output that an assistant's message is.

    Args:
        message: of the role assistant.
        notices: what is left out of it.
        finish: why it ended, in the protocol's word.
        model: that answered.
        usage: how many tokens were read and written.
    """
    turn = read_message(Field({**message.object(), "role": "assistant"}, message.place, message.source), notices, [])
    parts = [part for part in message["content"] if part.is_object] if message["content"].is_list else []
    refusal = message["refusal"].name_of_data() or "".join(part["refusal"].name_of_data() for part in parts)
    return Output(
        # Asked again, an answer in parts comes back as their texts joined.
        text=refusal or ("".join(filter(None, map(text_of, turn.parts))) if parts else turn.text),
        calls=turn.calls,
        finish="refused" if refusal else ended_by(finish),
        tokens_in=usage.first("prompt_tokens", "input_tokens").whole(),
        tokens_out=usage.first("completion_tokens", "output_tokens").whole(),
        extra={"model": model} if model else {},
    )
