"""OpenAI's Responses endpoint: items in, items out. Reasoning is left out, and nothing is kept at the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import openai

from whygen.models.openai.turns import FOREIGN, data_url, is_free, turns_of
from whygen.models.turns import (
    Refused,
    as_text,
    call_of,
    check_parts,
    choice_of,
    entries,
    fitting,
    is_dated,
    refuse_tool,
    run_by,
    without,
)
from whygen.remote import Malformed, dig, document, refuse_error, told, told_name, usage, with_extra
from whygen.types import (
    Block,
    Chat,
    FinishReason,
    JsonValue,
    Message,
    Output,
    Part,
    Picture,
    Prompt,
    Request,
    Tool,
    ToolCall,
)

RESPONSES: Final = "/v1/responses"
PROTOCOL: Final = "responses"
_INCOMPLETE: Mapping[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "refused"}


def respond(client: openai.OpenAI, name: str, request: Request) -> Output:
    """Ask for one answer.

    Raises:
        Refused: if the protocol has no place for a part of the request.
    """
    body = response_body(name, request)
    del body["model"]
    raw = client.responses.with_raw_response.create(
        model=name, input=cast(Any, body.pop("input")), extra_body=cast(dict[str, object], body)
    )
    return read_response(document(raw.content))


def response_body(name: str, request: Request) -> dict[str, JsonValue]:
    """What `respond` asks with, in a batch too."""
    instructions, items = _input(request.prompt)
    body: dict[str, JsonValue] = {"model": name, "input": items, "instructions": instructions}
    return fitting({**with_extra(body, {}), **_tools(request.prompt), **_parameters(request)})


def _parameters(request: Request) -> dict[str, JsonValue]:
    """Settings in the protocol's words, which knows no seed; those of ``Settings.extra`` win."""
    settings = request.settings
    if settings.stop:
        raise Refused(
            "the endpoint 'responses' takes no text that ends an answer",
            "Leave stop out, or use the endpoint 'chat'.",
        )
    body: dict[str, JsonValue] = {
        "temperature": settings.temperature, "max_output_tokens": settings.max_tokens, "store": False,
    }  # fmt: skip
    if settings.top_p is not None:
        body["top_p"] = settings.top_p
    return with_extra(body, settings.extra)


def _input(prompt: Prompt) -> tuple[str | None, list[JsonValue]]:
    """The instructions, which a first message of the system is where it is plain, and the items."""
    turns = turns_of(prompt)
    check_parts(turns, PROTOCOL, "The endpoint 'responses'")
    free = {tool.name for tool in prompt.tools if is_free(tool)} if isinstance(prompt, Chat) else set[str]()
    made = _free_calls(turns, free)
    plain = [turn.text for turn in turns[:1] if turn.role == "system" and not turn.parts and not turn.images]
    items: list[JsonValue] = [item for turn in turns[len(plain) :] for item in _items(turn, made)]
    return "".join(plain) or None, items


def _free_calls(turns: Sequence[Message], free: set[str]) -> frozenset[str]:
    """Ids of the calls of tools that take a text of any form, whose answers are of another type too."""
    return frozenset(call.id for turn in turns for call in turn.calls if call.name in free)


def _items(turn: Message, free: frozenset[str]) -> list[JsonValue]:
    """What a message is there: itself, its calls, or what a tool gave back."""
    if turn.role == "tool":
        kind = "custom_tool_call_output" if turn.answers in free else "function_call_output"
        return [{"type": kind, "call_id": turn.answers, "output": _content(turn)}]
    calls = [_call(call, free) for call in turn.calls]
    if calls and not turn.text and not turn.images:
        return calls
    return [{"type": "message", "role": turn.role, "content": _content(turn)}, *calls]


def _call(call: ToolCall, free: frozenset[str]) -> JsonValue:
    if call.id in free:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _content(turn: Message) -> JsonValue:
    said = turn.content
    if (not turn.parts and not turn.images) or (
        turn.role == "assistant" and len(said) == 1 and isinstance(said[0], str)
    ):
        return turn.text  # parts of an assistant's message need an id there
    return [_part(part, turn) for part in said]


def _part(part: Part, turn: Message) -> JsonValue:
    if isinstance(part, Picture):
        return {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
    if isinstance(part, Block) and part.protocol == PROTOCOL:
        return dict(part.raw)
    text = part.text if isinstance(part, Block) else part
    return {"type": "output_text" if turn.role == "assistant" else "input_text", "text": text}


def _tools(prompt: Prompt) -> dict[str, JsonValue]:
    if not isinstance(prompt, Chat) or not prompt.tools:
        return {}
    choice, named = choice_of(prompt)
    made: dict[str, JsonValue] = {"tools": [_tool(tool) for tool in prompt.tools]}
    if named is not None:
        kind = run_by(named)
        about: dict[str, JsonValue] = {"type": "custom" if is_free(named) else kind or "function"}
        made["tool_choice"] = about if kind else {**about, "name": named.name}
    elif choice != "auto":
        made["tool_choice"] = choice
    return made


def _tool(tool: Tool) -> JsonValue:
    kind = run_by(tool)
    if kind is not None:
        if is_dated(kind):
            raise refuse_tool(tool, "The endpoint 'responses'")
        return dict(tool.extra)
    about: dict[str, JsonValue] = {"type": "custom" if is_free(tool) else "function", "name": tool.name}
    if tool.description:
        about["description"] = tool.description
    if is_free(tool):
        held = tool.extra.get("custom")
        inside = cast(Mapping[str, Any], held if isinstance(held, Mapping) else without(tool.extra, FOREIGN))
        return {**inside, **about}
    # Without a word the endpoint holds functions to their schema, which not every schema allows; chat does not.
    schema: dict[str, JsonValue] = {"parameters": dict(tool.parameters) or {"type": "object", "properties": {}}}
    return {**about, **schema, "strict": False, **without(tool.extra, FOREIGN)}


def read_response(answer: Mapping[str, Any], *, seed: JsonValue = None) -> Output:
    """The output in a response: the texts of its messages joined, and its calls; a refusal's words are its text.

    Raises:
        Malformed: if there are no items.
    """
    del seed  # the endpoint takes none
    refuse_error(answer)
    if not isinstance(answer.get("output"), list):
        raise Malformed("JSON without items of an answer in it")
    items = entries(answer.get("output"))
    parts = [part for item in items if dig(item, "type") == "message" for part in entries(dig(item, "content"))]
    refusals = _texts(parts, "refusal")
    read, written = usage(answer)
    return Output(
        text=refusals or _texts(parts, "text"),
        calls=tuple(_read_call(item) for item in items if str(dig(item, "type")).endswith(_CALLED)),
        finish="refused" if refusals else _finish(answer),
        tokens_in=read,
        tokens_out=written,
        extra=told(model=told_name(answer.get("model"))),
    )


def _texts(parts: Sequence[object], field: str) -> str:
    return "".join(text for part in parts if isinstance(text := dig(part, field), str))


def _finish(answer: Mapping[str, Any]) -> FinishReason:
    if answer.get("status") != "incomplete":
        return "stop"
    return _INCOMPLETE.get(str(dig(answer, "incomplete_details", "reason")), "length")


_APPROVAL = "mcp_approval_request"
_CALLED = ("_call", _APPROVAL)
"""How items end that call something; a call of an MCP server may wait for a person's leave."""


def _read_call(item: object) -> ToolCall:
    """A call of a function, of a tool of free form, or of a tool that the service ran itself."""
    kind = str(dig(item, "type"))
    if kind in ("function_call", "mcp_call", _APPROVAL):
        return call_of(dig(item, "name"), dig(item, "arguments"), dig(item, "call_id"))
    if kind == "custom_tool_call":
        return call_of(dig(item, "name"), dig(item, "input"), dig(item, "call_id"))
    names = ("action", "queries", "code", "operation", "arguments")
    asked = next((cast(JsonValue, found) for name in names if (found := dig(item, name)) is not None), "{}")
    return call_of(
        kind.removesuffix("_call"), asked if isinstance(asked, str) else as_text(asked), dig(item, "call_id")
    )
