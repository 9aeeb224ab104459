"""Calls in Gemini's and in Bedrock's own words: what Google's and Amazon's clients sent is read back whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.records.conversation import ASKED, MAIL, PARAMETERS, READ, SYSTEM, picture

from whygen.errors import DataError, MissingError
from whygen.records import Call, read_calls
from whygen.records.parts import picture_of_base64
from whygen.types import Message, Tool, ToolCall

SAMPLES = Path(__file__).parent / "samples"
SENT = {"to": "eve@example.net", "body": "The budget."}
RED = picture_of_base64(picture(), "it")


def read(tmp_path: Path, value: object) -> Call:
    (tmp_path / "record.json").write_text(json.dumps(value), encoding="utf-8")
    return Call.read(tmp_path / "record.json")


def said(call: Call) -> dict[str, str]:
    return dict(call.notices)


@pytest.mark.parametrize("name", ["gemini", "gemini_stream"])
def test_what_googles_client_sent_is_read_back(name: str) -> None:
    call = Call.read(SAMPLES / f"{name}.json")
    assert call.chat.messages == (
        Message("system", SYSTEM),
        Message("user", "", (), (ASKED, RED)),
        Message("assistant", "", (), (), (ToolCall("read_mail", '{"number": 1}'),)),
        Message("tool", MAIL, (), (), (), "call_1"),
    )
    assert call.chat.tools == (
        Tool("read_mail", "Reads a mail.", READ),
        Tool("send_email", "Sends a mail.", PARAMETERS),
    )
    assert (call.model, call.base_url) == ("gemini/gemini-2.5-flash", None)
    settings = call.settings
    assert (settings.temperature, settings.max_tokens, settings.stop, settings.seed) == (0.2, 300, ("END",), 7)
    assert call.answer is not None
    assert (call.answer.text, call.answer.calls[0].name, call.answer.calls[0].values) == (
        "I send it.",
        "send_email",
        SENT,
    )
    assert "thinkingConfig" in said(call)["settings-left"]
    assert "cut-answer" not in said(call)


def test_what_amazons_client_sent_is_read_back_and_says_that_bedrock_is_not_asked() -> None:
    call = Call.read(SAMPLES / "bedrock.json")
    assert [(turn.role, turn.text) for turn in call.chat.messages] == [
        ("system", SYSTEM), ("user", f"Document: budget\nBudget: 5\n{ASKED}"), ("assistant", "I look."), ("tool", MAIL),
        ("user", "Go on."),
    ]  # fmt: skip
    assert call.chat.messages[1].images == (RED,)
    assert call.chat.messages[2].calls == (ToolCall("read_mail", '{"number": 1}', "tooluse_1"),)
    assert call.chat.messages[3].answers == "tooluse_1"
    assert call.chat.tools[1] == Tool("send_email", "Sends a mail.", PARAMETERS)
    assert (call.settings.temperature, call.settings.max_tokens, call.settings.stop) == (0.2, 300, ("END",))
    assert call.answer is not None
    assert (call.answer.text, call.answer.calls[0].values) == ("I send it.", SENT)
    assert (call.answer.tokens_in, call.answer.tokens_out) == (120, 20)
    assert call.model == ""
    assert "us.amazon.nova-pro-v1:0" in said(call)["unknown-provider"]


def body(**more: Any) -> dict[str, Any]:
    return {"model": "models/gemini-2.0-flash", "contents": [{"parts": [{"text": "سلام، چطوری؟"}]}], **more}


def test_a_request_of_gemini_alone_in_either_spelling(tmp_path: Path) -> None:
    wire = body(
        systemInstruction={"parts": [{"text": "Be kind."}]}, generationConfig={"maxOutputTokens": 9, "topP": 0.5},
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        tools=[{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}],
    )  # fmt: skip
    kept = body(
        system_instruction="Be kind.", generation_config={"max_output_tokens": 9, "top_p": 0.5},
        tool_config={"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        tools=[{"function_declarations": [{"name": "f"}]}, {"google_search": {}}],
    )  # fmt: skip
    first, second = read(tmp_path, wire), read(tmp_path, kept)
    assert first.chat == second.chat
    assert (first.chat.tool_choice, first.settings.top_p, first.settings.max_tokens) == ("f", 0.5, 9)
    assert [turn.text for turn in first.chat.messages] == ["Be kind.", "سلام، چطوری؟"]
    assert (first.model, second.model) == ("gemini/gemini-2.0-flash",) * 2
    assert "lost-part" in said(first)  # the search, which the service runs itself


def test_results_go_to_the_calls_of_their_names_whatever_their_order(tmp_path: Path) -> None:
    def call(name: str) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {"of": name}}}

    def result(name: str, **told: Any) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": told}}

    contents = [
        {"role": "user", "parts": [{"text": "Compare."}]},
        {"role": "model", "parts": [call("a"), call("b"), call("a")]},
        {"role": "user", "parts": [result("b", value=2), result("a", result="one"), result("a", result="three")]},
    ]
    turns = read(tmp_path, body(contents=contents)).chat.messages
    assert [(turn.answers, turn.text) for turn in turns[2:]] == [
        ("call_2", '{"value": 2}'), ("call_1", "one"), ("call_3", "three"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("response", "finish", "text"),
    [
        ({"candidates": [{"content": {"parts": [{"text": "so"}]}, "finishReason": "MAX_TOKENS"}]}, "length", "so"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "refused", ""),
        ({"promptFeedback": {"blockReason": "OTHER"}}, "refused", ""),
    ],
)
def test_how_an_answer_of_gemini_ended(tmp_path: Path, response: dict[str, Any], finish: str, text: str) -> None:
    answer = read(tmp_path, {"request": body(), "response": response}).answer
    assert answer is not None
    assert (answer.finish, answer.text) == (finish, text)


def test_what_is_kept_elsewhere_or_is_no_text_is_said(tmp_path: Path) -> None:
    parts = [{"text": "Hear this."}, {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}]
    call = read(tmp_path, body(contents=[{"role": "user", "parts": parts}], cachedContent="cachedContents/abc"))
    assert {"cached-content", "lost-part"} <= said(call).keys()
    assert call.chat.messages[0].text == "Hear this."


def test_a_call_at_googles_other_service_is_not_asked_of_this_one(tmp_path: Path) -> None:
    url = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/models/gemini-2.0-flash:generateContent"
    call = read(tmp_path, {"request": {"url": url, "method": "POST", "body": body()}})
    assert call.model == ""
    assert "unknown-provider" in said(call)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (body(contents=[{"role": "robot", "parts": [{"text": "x"}]}]), r"contents\[0\]\.role"),
        (body(contents=[{"role": "model", "parts": [{"functionCall": {"args": {}}}]}]), r"functionCall\.name"),
        ({"modelId": "m", "messages": [{"role": "tool", "content": []}]}, r"messages\[0\]\.role"),
        ({"modelId": "m", "messages": [{"role": "user", "content": [{"toolResult": {"content": []}}]}]}, "toolUseId"),
        ({"modelId": "m", "messages": [{"role": "assistant", "content": [{"toolUse": {"input": {}}}]}]}, "name"),
    ],
)
def test_an_error_names_the_field(tmp_path: Path, value: dict[str, Any], named: str) -> None:
    with pytest.raises(DataError, match=named):
        read(tmp_path, value)


def test_runs_of_langsmith_are_those_of_models_each_once() -> None:
    wrapped, chained = (each.call() for each in read_calls(SAMPLES / "langsmith.jsonl"))
    for call in (wrapped, chained):
        assert [(turn.role, turn.text) for turn in call.chat.messages] == [
            ("system", SYSTEM), ("user", ASKED), ("assistant", ""), ("tool", MAIL),
        ]  # fmt: skip
        assert call.chat.messages[2].calls == (ToolCall("read_mail", '{"number": 1}', "call_1"),)
        assert [tool.name for tool in call.chat.tools] == ["read_mail", "send_email"]
        assert call.answer is not None
        assert call.answer.calls[0].values == SENT
        assert (call.settings.temperature, call.settings.max_tokens) == (0.2, 300)
    # LangChain's run keeps its address, which is asked only because it is on this machine; the other has none.
    assert (wrapped.model, wrapped.base_url) == ("openai/gpt-4o-mini", None)
    assert (chained.model, chained.base_url) == ("openai/gpt-4o-mini", "http://127.0.0.1:8000/v1")


def test_a_run_of_a_chain_holds_those_of_its_models(tmp_path: Path) -> None:
    def run(name: str, kind: str, **more: Any) -> dict[str, Any]:
        return {"id": name, "name": name, "run_type": kind, "trace_id": "t", "dotted_order": name, **more}

    asked = {"messages": [{"type": "system", "content": "Sé breve."}, {"type": "human", "content": "¿Qué hora es?"}]}
    said = {"generations": [[{"text": "Las dos.", "generation_info": {"finish_reason": "length"}}]]}
    old = [
        [{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "HumanMessage"], "kwargs": {"content": "Hi"}}]
    ]
    about = {"metadata": {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-5"}}
    models = [
        run("b", "llm", inputs=asked, outputs=said, extra=about, start_time="2026-01-02"),
        run("a", "llm", inputs={"messages": old}, extra=about, start_time="2026-01-01"),
        run("c", "llm", inputs={"prompts": ["Once upon"]}, extra=about, start_time="2026-01-03"),
    ]
    chain = run("root", "chain", inputs={"x": 1}, child_runs=[models[0], run("tool", "tool", child_runs=models[1:])])
    (tmp_path / "runs.json").write_text(json.dumps({"runs": [chain]}), encoding="utf-8")
    first, second, third = (each.call() for each in read_calls(tmp_path / "runs.json"))
    assert [turn.text for call in (first, second, third) for turn in call.chat.messages] == [
        "Hi", "Sé breve.", "¿Qué hora es?", "Once upon",
    ]  # fmt: skip
    assert second.answer is not None
    assert (second.answer.text, second.answer.finish, second.model) == (
        "Las dos.",
        "length",
        "anthropic/claude-sonnet-5",
    )
    broken = run("x", "llm", inputs={"messages": [{"type": "robot", "content": "?"}]}, extra=about)
    (tmp_path / "runs.json").write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(DataError, match=r"messages\[0\] .*LangChain"):
        Call.read(tmp_path / "runs.json")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a pipe"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "call.json"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        place.symlink_to(tmp_path / "pipe")
    with pytest.raises(MissingError, match="no file"):
        Call.read(place)
