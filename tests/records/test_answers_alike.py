"""Answers in records are read as answers that are asked for: else the recorded action could never come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.records.test_foreign_records import SAID, USER, lines, read

from whygen.models.anthropic.model import read_message
from whygen.models.openai import text
from whygen.models.openai.responses import read_response
from whygen.records import anthropic, openai_chat, openai_responses
from whygen.records.fields import Field
from whygen.records.notices import Notices
from whygen.remote import reading

SPOKEN = {"id": "a", "transcript": "It is Ann."}
SAYS_NO = {"type": "refusal", "refusal": "No."}
PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
FUNCTION = {"id": "c", "type": "function", "function": {"name": "look", "arguments": {"at": 1}}}
CUSTOM = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "x"},
        {"content": None},
        {"content": None, "audio": SPOKEN},
        {"content": "", "audio": SPOKEN},
        {"content": None, "refusal": "No."},
        {"content": "At first.", "refusal": "No."},
        {"content": [SAYS_NO]},
        {"content": PARTS},
        {"content": [{"type": "thinking", "thinking": [PARTS[0]]}, PARTS[1]]},
        {"content": None, "tool_calls": [FUNCTION, CUSTOM]},
        {"content": None, "function_call": {"name": "look", "arguments": ""}},
    ],
)
def test_of_chat_completions(message: dict[str, Any]) -> None:
    _alike(openai_chat, text.read_chat, {"choices": [{"message": message, "finish_reason": "stop"}]})


def test_the_words_for_an_end_are_the_same() -> None:
    for reason in {*reading.FINISHES, "stop", "tool_calls", "content_filter: SAFETY"}:
        _alike(
            openai_chat, text.read_chat, {"choices": [{"message": {"content": "x"}, "finish_reason": reason.upper()}]}
        )


TOLD = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c"},
        {"type": "custom_tool_call", "name": "shell", "input": "ls", "call_id": "c"},
        {"type": "mcp_call", "name": "send", "arguments": '{"to": "eve"}', "server_label": "s", "output": "sent"},
        {"type": "mcp_approval_request", "name": "send", "arguments": '{"to": "eve"}', "server_label": "s"},
        {"type": "mcp_list_tools", "tools": []},
        {"type": "web_search_call", "action": {"type": "search", "query": "q"}, "status": "completed"},
        {"type": "file_search_call", "queries": ["q"], "results": None, "status": "completed"},
        {"type": "code_interpreter_call", "code": "1+1", "container_id": "c", "outputs": []},
        {"type": "computer_call", "call_id": "c", "action": {"type": "click", "x": 1}},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "tool_search_call", "call_id": "c", "arguments": {"q": 1}},
        {"type": "image_generation_call", "result": "AAAA", "status": "completed"},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "message", "content": [SAYS_NO]},
        {"type": "message", "content": [{"type": "output_text", "text": "At first."}, SAYS_NO]},
    ],
)
@pytest.mark.parametrize("reason", ["", "max_output_tokens", "content_filter"])
def test_of_responses(item: dict[str, Any], reason: str) -> None:
    state = {"status": "incomplete", "incomplete_details": {"reason": reason}} if reason else {"status": "completed"}
    _alike(openai_responses, read_response, {"output": [item, TOLD], **state})


@pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "tool_use", "refusal", "pause_turn", "stop_sequence"])
@pytest.mark.parametrize(
    "blocks",
    [
        [],
        PARTS,
        [{"type": "thinking", "thinking": "h"}, PARTS[1]],
        [{"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}}],
        [{"type": "server_tool_use", "id": "t", "name": "web_search", "input": {"query": "q"}}, PARTS[0]],
        [{"type": "mcp_tool_use", "id": "t", "name": "send", "server_name": "s", "input": {}}],
    ],
)
def test_of_anthropics_messages(blocks: list[dict[str, Any]], reason: str) -> None:
    _alike(anthropic, read_message, {"type": "message", "content": blocks, "stop_reason": reason})


def _alike(recorded: Any, asked: Any, body: dict[str, Any]) -> None:
    one, other = recorded.read_answer(Field(body), Notices()), asked(body)
    assert (one.text, one.calls, one.finish) == (other.text, other.calls, other.finish)


SENT: dict[str, Any] = {"model": "gpt-5", "messages": [USER]}
REQUEST = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": SENT}
RESULT = {"id": "b", "custom_id": "r1", "response": {"status_code": 200, "body": SAID}, "error": None}
CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [USER]}
CLAUDE_SAID = {"type": "message", "content": [{"type": "text", "text": "Sí"}], "stop_reason": "end_turn"}
CLAUDE_RESULT = {"custom_id": "r1", "result": {"type": "succeeded", "message": CLAUDE_SAID}}


@pytest.mark.parametrize(
    "rows",
    [
        [REQUEST, {**REQUEST, "custom_id": "r2"}, RESULT],
        [RESULT, REQUEST],
        [{"custom_id": "r1", "params": CLAUDE}, CLAUDE_RESULT],
    ],
)
def test_lines_of_a_batch_find_their_results_in_the_same_file(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    call = read(tmp_path, lines(*rows), "r1")
    assert call.answer is not None
    assert call.answer.text == "Sí"


def test_what_a_person_preferred_is_the_answer(tmp_path: Path) -> None:
    turn = {"role": "assistant", "content": "Sí"}
    other = [{"role": "assistant", "content": "No"}]
    call = read(tmp_path, {"input": {"messages": [USER]}, "preferred_output": [turn], "non_preferred_output": other})
    assert call.answer is not None
    assert call.answer.text == "Sí"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_that_is_not_there_yet_is_asked_for(tmp_path: Path, status: str) -> None:
    request = {"model": "gpt-5", "input": "Qué?", "background": True}
    call = read(tmp_path, {"request": request, "response": {"object": "response", "status": status, "output": []}})
    assert call.answer is None
    assert status in dict(call.notices)["answer-unfinished"]


@pytest.mark.parametrize(
    ("request_", "response", "named"),
    [
        ({"model": "gpt-5", "input": "Qué?"}, {"object": "response", "output": [
            {"type": "web_search_call", "action": {"type": "search", "query": "q"}}, TOLD]}, "web_search"),
        ({"model": "gpt-5", "input": "Qué?"}, {"object": "response", "output": [
            {"type": "mcp_call", "name": "read_mail", "arguments": "{}", "output": "Send it."}, TOLD]}, "read_mail"),
        (CLAUDE, {**CLAUDE_SAID, "content": [
            {"type": "server_tool_use", "id": "s", "name": "web_fetch", "input": {}}, *PARTS]}, "web_fetch"),
        (SENT, {**SAID, "citations": ["https://x"]}, "a search"),
        (SENT, {"choices": [{"message": {"content": "Sí", "executed_tools": [{"type": "search"}]}}]}, "a search"),
        ({"model": "gemini-2.5-pro", "contents": [{"role": "user", "parts": [{"text": "Qué?"}]}]}, {"candidates": [
            {"content": {"parts": [{"text": "Sí"}]}, "groundingMetadata": {"webSearchQueries": ["q"]}}]}, "a search"),
    ],
)  # fmt: skip
def test_tools_that_the_service_ran_by_itself_are_named(
    tmp_path: Path, request_: dict[str, Any], response: dict[str, Any], named: str
) -> None:
    call = read(tmp_path, {"request": request_, "response": response})
    assert named in dict(call.notices)["ran-tools"]
    assert "ran-tools" not in dict(read(tmp_path, {"request": SENT, "response": SAID}).notices)


@pytest.mark.parametrize("name", ["authentication", "credentials"])
def test_keys_of_what_a_service_reads_besides_are_taken_out(tmp_path: Path, name: str) -> None:
    source = {"parameters": {name: {"type": "api_key", "key": "4f2d6f1c8b"}, "field": {"key": "topic"}}}
    call = read(tmp_path, {"request": {**SENT, "data_sources": [source]}, "response": SAID})
    found: Any = call.settings.extra["data_sources"]
    assert found[0]["parameters"] == {name: {"type": "api_key", "key": "[key]"}, "field": {"key": "topic"}}
    assert "key" in dict(call.notices)


def test_settings_of_geminis_own_are_named_together(tmp_path: Path) -> None:
    contents = [{"role": "user", "parts": [{"text": "Qué?"}]}]
    config = {"topK": 3}
    body = {"contents": contents, "generationConfig": config, "safetySettings": [{"category": "c"}]}
    call = read(tmp_path, {"request": body, "response": {"candidates": [], "modelVersion": "gemini-2.5-flash"}})
    assert call.model == "gemini/gemini-2.5-flash"
    assert "topK, safetySettings" in dict(call.notices)["settings-left"]
