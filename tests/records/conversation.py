"""One conversation in the words of each protocol, and its answer: an assistant reads a mail and sends one."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from PIL import Image

SYSTEM = "You are the assistant of Ann. Read her mail and do what she asks."
ASKED = "What does the newest mail want? Do it if it is harmless."
MAIL = "From: bob@example.org\nPlease send the budget to eve@example.net."
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "body": {"type": "string"}},
    "required": ["to", "body"],
}
READ: dict[str, Any] = {"type": "object", "properties": {"number": {"type": "integer"}}}


def picture() -> str:
    """A small PNG in base64."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def openai_request() -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "developer", "content": SYSTEM},
            {"role": "user", "content": [
                {"type": "text", "text": ASKED},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture()}"}},
            ]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "read_mail", "arguments": '{"number": 1}'}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": MAIL},
        ],
        "tools": [
            {"type": "function", "function": {"name": "read_mail", "description": "Reads a mail.", "parameters": READ}},
            {"type": "function", "function": {
                "name": "send_email", "description": "Sends a mail.", "parameters": PARAMETERS, "strict": False,
            }},
        ],
        "tool_choice": "auto",
        "temperature": 0.2,
        "max_completion_tokens": 300,
        "seed": 7,
        "stop": ["END"],
        "response_format": {"type": "text"},
        "user": "ann-4711",
    }  # fmt: skip


def openai_answer() -> dict[str, Any]:
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1764000000, "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": None, "tool_calls": [{"id": "call_2", "type": "function", "function": {
                "name": "send_email", "arguments": '{"to": "eve@example.net", "body": "The budget."}',
            }}],
        }}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 20, "total_tokens": 140},
    }  # fmt: skip


def agent_answers() -> list[dict[str, Any]]:
    """What a server answers to an agent: it reads the mail, sends one, says so, and says so again."""
    first, last = openai_answer(), openai_answer()
    read = {"id": "call_1", "type": "function", "function": {"name": "read_mail", "arguments": '{"number": 1}'}}
    first["choices"][0]["message"]["tool_calls"] = [read]
    done = {"role": "assistant", "content": "I have sent it."}
    last["choices"][0] = {"index": 0, "finish_reason": "stop", "message": done}
    return [first, openai_answer(), last, last]


def responses_request() -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "instructions": SYSTEM,
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": ASKED},
                {"type": "input_image", "image_url": f"data:image/png;base64,{picture()}", "detail": "auto"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "Z2liYmVyaXNo"},
            {"type": "function_call", "call_id": "call_1", "name": "read_mail", "arguments": '{"number": 1}'},
            {"type": "function_call_output", "call_id": "call_1", "output": MAIL},
        ],
        "tools": [
            {"type": "function", "name": "read_mail", "description": "Reads a mail.", "parameters": READ},
            {"type": "function", "name": "send_email", "description": "Sends a mail.", "parameters": PARAMETERS,
             "strict": False},
        ],
        "max_output_tokens": 300,
        "text": {"format": {"type": "text"}},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "user": "ann-4711",
    }  # fmt: skip


def responses_answer() -> dict[str, Any]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1764000000, "model": "gpt-4o-mini-2024-07-18",
        "status": "completed", "output": [
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "Z2liYmVyaXNo"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "I send it.", "annotations": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_2", "name": "send_email", "status": "completed",
             "arguments": '{"to": "eve@example.net", "body": "The budget."}'},
        ],
        "usage": {"input_tokens": 120, "output_tokens": 20, "total_tokens": 140},
    }  # fmt: skip


def events(*rows: dict[str, Any], named: bool = False) -> str:
    """Server-sent events, as an answer comes in pieces."""
    made = [f"event: {row.get('type')}\n" * named + f"data: {json.dumps(row)}\n\n" for row in rows]
    return "".join(made) + ("" if named else "data: [DONE]\n\n")


def openai_stream() -> str:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [choice]}

    def call(**more: Any) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, **more}]}

    return events(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "I "}), chunk({"content": "send it."}),
        chunk(call(id="call_2", type="function", function={"name": "send_email", "arguments": ""})),
        chunk(call(function={"arguments": '{"to": "eve@example.net", '})),
        chunk(call(function={"arguments": '"body": "The budget."}'})),
        chunk({}, "tool_calls"),
    )  # fmt: skip


def anthropic_stream() -> str:
    whole = anthropic_answer()
    use = {"type": "tool_use", "id": "toolu_2", "name": "send_email", "input": {}}
    return events(
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I send"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " it."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": use},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": '{"to": "eve@example.net", '}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": '"body": "The budget."}'}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 30}},
        {"type": "message_stop"}, named=True,
    )  # fmt: skip


def anthropic_request() -> dict[str, Any]:
    return {
        "model": "claude-opus-5",
        "max_tokens": 1024,
        "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Budget: 5"},
                 "title": "budget.txt"},
                {"type": "text", "text": ASKED},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture()}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "I read the mail first.", "signature": "c2lnbmVk"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "read_mail", "input": {"number": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": MAIL}]},
                {"type": "text", "text": "Go on."},
            ]},
        ],
        "tools": [
            {"name": "read_mail", "description": "Reads a mail.", "input_schema": READ},
            {"name": "send_email", "description": "Sends a mail.", "input_schema": PARAMETERS},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "metadata": {"user_id": "ann-4711"},
    }  # fmt: skip


def anthropic_answer() -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-20260901",
        "content": [
            {"type": "thinking", "thinking": "Harmless.", "signature": "c2lnbmVk"},
            {"type": "text", "text": "I send it."},
            {"type": "tool_use", "id": "toolu_2", "name": "send_email",
             "input": {"to": "eve@example.net", "body": "The budget."}},
        ],
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 30, "cache_read_input_tokens": 20},
    }  # fmt: skip
