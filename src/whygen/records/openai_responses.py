"""OpenAI's Responses: items in, items out. What only the service can read again is left out, and said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.records.openai_chat import CHOICES, ROLES, arguments_text, image, read_tool
from whygen.records.parts import kept
from whygen.records.sending import Words, choice_of, settings_of
from whygen.types import Chat, FinishReason, Message, Output, Part, Settings, Tool, ToolCall

PROTOCOL = "responses"
_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "refused"}
_WORDS = Words(
    length=("max_output_tokens",),
    stop="",
    seed="",
    elsewhere=frozenset({"model", "input", "instructions", "tools", "tool_choice", "include"}),
)
_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
"""What stands for turns that the service keeps."""


def read_request(body: Field, notices: Notices) -> tuple[Chat, Settings]:
    """The chat and the settings of a request.

    Raises:
        DataError: naming the field that cannot be used.
    """
    for name in _ELSEWHERE:
        if body[name].there:
            notices.count("earlier-turns", body[name])
    turns = [Message("system", body["instructions"].text())] if body["instructions"].is_text else []
    said = body["input"] if body["input"].is_list or body["input"].is_text else body["instructions"]
    if said.is_text:
        turns.append(Message("user", said.text()))
    else:
        for item in said:
            _add(item, turns, notices)
    chosen = body["tool_choice"]
    word = choice_of(chosen, CHOICES)
    settings = settings_of(body, _WORDS)
    if word is None:
        settings = replace(settings, extra={**settings.extra, "tool_choice": chosen.json()})
    return Chat(turns, tuple(map(_tool, body["tools"])), word or "auto"), settings


def _tool(found: Field) -> Tool:
    """A tool. Without a word the service holds a function to its schema: that is kept as no word (None)."""
    tool = read_tool(found)
    return replace(tool, extra={"strict": None, **tool.extra}) if found["type"].value == "function" else tool


def _add(item: Field, turns: list[Message], notices: Notices) -> None:
    """Put an item behind the turns: a call belongs to the assistant's turn right before it."""
    kind = item["type"].name()
    if kind in {"function_call", "custom_tool_call"}:
        call = _call(item)
        if turns and turns[-1].role == "assistant":
            turns[-1] = replace(turns[-1], calls=(*turns[-1].calls, call))
        else:
            turns.append(Message("assistant", "", calls=(call,)))
    elif kind in {"function_call_output", "custom_tool_call_output"}:
        if not item["call_id"].name():
            raise item["call_id"].wrong("the id of the call that it answers")
        turns.append(_message("tool", item["output"], notices, item["call_id"].name()))
    elif kind in {"", "message"}:
        role = ROLES.get(item["role"].name())
        if role is None or role == "tool":
            raise item["role"].wrong("one of system, developer, user, assistant")
        turns.append(_message(role, item["content"], notices))
    elif kind in _OWN_OUTPUTS:
        turns.append(_message("tool", _told(item["output"]), notices, item.first("call_id", "id").name()))
        notices.count("own-tool", item)
    elif kind in _OWN_CALLS:
        _call_own(item, kind, turns, notices)
    elif kind == "item_reference":
        notices.count("earlier-turns", item)
    else:
        notices.count("reasoning" if kind == "reasoning" else "lost-part", item)


_OWN_OUTPUTS = frozenset({
    "computer_call_output", "shell_call_output", "local_shell_call_output", "apply_patch_call_output",
})  # fmt: skip
_OWN_CALLS: dict[str, str] = {
    "computer_call": "action", "shell_call": "action", "local_shell_call": "action", "apply_patch_call": "operation",
    "mcp_call": "arguments", "file_search_call": "queries", "code_interpreter_call": "code",
}  # fmt: skip
"""Tools that the protocol has itself, and what they were called with. What they gave back is what a model acts on."""


def _call_own(item: Field, kind: str, turns: list[Message], notices: Notices) -> None:
    """A call of a tool that the protocol has itself, as one of a function; of some, the result stands in the call."""
    gave = item.first("output", "results", "outputs", "error")
    if not kind.startswith(("computer", "shell", "local_shell", "apply")) and not gave.there:
        notices.count("lost-part", item)
        return
    notices.count("own-tool", item)
    name = item["name"].name() or kind.removesuffix("_call")
    asked, own = item[_OWN_CALLS[kind]], item.first("call_id", "id").name()
    call = ToolCall(name, arguments_text(asked), own)
    if turns and turns[-1].role == "assistant":
        turns[-1] = replace(turns[-1], calls=(*turns[-1].calls, call))
    else:
        turns.append(Message("assistant", "", calls=(call,)))
    if gave.there:
        turns.append(_message("tool", _told(gave), notices, own))


def _told(output: Field) -> Field:
    """What a tool gave back, as a content: its text, its texts one below the other, or its picture."""
    if output.is_object and not output.keys() & {"image_url", "file_id"}:  # what went wrong
        said = output["message"].name_of_data() or output.written()
        return Field(said, output.place, output.source)
    if output["image_url"].there:
        return Field([{**output.object(), "type": "input_image"}], output.place, output.source)
    if output.is_list:
        rows = [each for each in output if each.is_object]
        if rows and all(each["text"].is_text and each.first("file_id", "filename").there for each in rows):
            found = [{"type": "input_text", "text": each["text"].value} for each in rows]  # each passage is a part
            return Field(found if len(found) > 1 else rows[0]["text"].value, output.place, output.source)
        texts = [each.first("text", "stdout", "logs").name_of_data() for each in rows]
        errors = [each["stderr"].name_of_data() for each in rows]
        said = "\n".join(text for pair in zip(texts, errors, strict=True) for text in pair if text)
        return Field(said, output.place, output.source)
    return output


def _message(role: str, content: Field, notices: Notices, answers: str = "") -> Message:
    told = ROLES[role]
    if content.is_text or not content.there:
        return Message(told, content.text() if content.there else "", answers=answers)
    if content.is_object:  # what a computer's tool gave back
        notices.count("lost-part", content)
        return Message(told, "", answers=answers)
    return Message(told, "", (), tuple(each for part in content for each in _parts(part, notices)), (), answers)


def _parts(part: Field, notices: Notices) -> Iterable[Part]:
    if part.is_text:
        yield part.text()
        return
    if not part.is_object:
        raise part.wrong("a part with a type")
    kind = part["type"].name()
    if kind in {"input_text", "output_text", "text"}:
        yield part["text"].text()
    elif kind == "input_image":
        yield from image(part, PROTOCOL, notices)
    elif kind == "refusal":
        yield kept(part, PROTOCOL, "refusal")
    else:
        code = "whole-part" if kind in {"input_file", "input_audio"} else "unknown-part"
        notices.count("file-link" if part.first("file_id", "file_url").there else code, part)
        yield kept(part, PROTOCOL)


def _call(item: Field) -> ToolCall:
    if not item["name"].is_text:
        raise item["name"].wrong("the name of the tool that was called")
    written = item.first("arguments", "input")
    return ToolCall(item["name"].text(), arguments_text(written), item.first("call_id", "id").name())


UNFINISHED = ("queued", "in_progress")
"""What a response is while the service works on it."""


def read_answer(body: Field, notices: Notices) -> Output | None:
    """The answer of a response: its texts and its calls; None where it holds none."""
    if not body["output"].is_list:
        return None
    texts, refusals, calls = list[str](), list[str](), list[ToolCall]()
    for item in body["output"]:
        kind = item["type"].name()
        if kind == "message" and item["content"].is_list:
            texts += [part["text"].text() for part in item["content"] if part["type"].value == "output_text"]
            refusals += [part["refusal"].text() for part in item["content"] if part["type"].value == "refusal"]
        elif kind in {"function_call", "custom_tool_call", "mcp_call"}:
            calls.append(_call(item))
        elif kind.endswith("_call") or kind == "mcp_approval_request":  # a tool that the protocol has itself
            asked = item.first("action", "queries", "code", "operation", "arguments")
            name = item["name"].name() or kind.removesuffix("_call")
            calls.append(ToolCall(name, arguments_text(asked), item.first("call_id", "id").name()))
        elif kind == "reasoning":
            notices.count("reasoning", item)
    if body["status"].value in ("failed", "cancelled", *UNFINISHED) and not (texts or refusals or calls):
        return None
    ended = _INCOMPLETE.get(body.at("incomplete_details", "reason").name(), "length")
    model = body["model"].name()
    return Output(
        text="".join(refusals or texts),
        calls=tuple(calls),
        finish="refused" if refusals else ended if body["status"].value == "incomplete" else "stop",
        tokens_in=body.at("usage", "input_tokens").whole(),
        tokens_out=body.at("usage", "output_tokens").whole(),
        extra={"model": model} if model else {},
    )
