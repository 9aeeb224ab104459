"""Calls as they went over the wire: what the official clients sent is read back whole, and no key with it."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from tests.records.conversation import (
    ASKED,
    MAIL,
    PARAMETERS,
    READ,
    SYSTEM,
    anthropic_answer,
    anthropic_request,
    openai_answer,
    openai_request,
    picture,
    responses_request,
)  # fmt: skip

from whygen.errors import DataError, MissingError, WhygenError
from whygen.records import Call, read_calls
from whygen.records.parts import picture_of_base64
from whygen.types import Block, Message, Tool, ToolCall

SAMPLES = Path(__file__).parent / "samples"
SENT = '{"to": "eve@example.net", "body": "The budget."}'
RED = picture_of_base64(picture(), "it")


def read(tmp_path: Path, value: object, pick: int | str | None = None) -> Call:
    """A call from a file that holds this JSON, or these lines of it."""
    text = value if isinstance(value, str) else json.dumps(value)
    (tmp_path / "record.json").write_text(text, encoding="utf-8")
    return Call.read(tmp_path / "record.json", pick)


def codes(call: Call) -> list[str]:
    return [code for code, _ in call.notices]


def test_what_openais_client_sent_is_read_back() -> None:
    call = Call.read(SAMPLES / "openai_chat.json")
    assert call.chat.messages == (
        Message("system", SYSTEM),
        Message("user", "", (), (ASKED, RED)),
        Message("assistant", "", (), (), (ToolCall("read_mail", '{"number": 1}', "call_1"),)),
        Message("tool", MAIL, (), (), (), "call_1"),
    )
    assert call.chat.messages[2].calls[0].id == "call_1"  # which is no part of what is compared
    assert call.chat.tools == (
        Tool("read_mail", "Reads a mail.", READ),
        Tool("send_email", "Sends a mail.", PARAMETERS, {"strict": False}),
    )
    assert (call.model, call.base_url, call.protocol) == ("openai/gpt-4o-mini", "http://127.0.0.1:8000/v1", "openai")
    settings = call.settings
    assert (settings.temperature, settings.max_tokens, settings.stop, settings.seed) == (0.2, 300, ("END",), 7)
    assert settings.extra == {
        "max_completion_tokens": 300, "max_tokens": None, "seed": 7, "response_format": {"type": "text"},
    }  # fmt: skip
    assert call.answer is not None
    assert (call.answer.text, call.answer.calls) == ("", (ToolCall("send_email", SENT),))
    assert (call.answer.tokens_in, call.answer.tokens_out) == (120, 20)
    assert call.notices == ()


def test_what_anthropics_client_sent_is_read_back() -> None:
    call = Call.read(SAMPLES / "anthropic.json")
    system, user, said, result, more = call.chat.messages
    assert (system.text, user.text) == (SYSTEM, f"Budget: 5\n{ASKED}")
    document = user.parts[0]
    assert isinstance(document, Block)
    assert document.saying("x").raw["title"] == "budget.txt"
    assert user.images == (RED,)
    assert (said.text, said.calls) == ("I look.", (ToolCall("read_mail", '{"number": 1}'),))
    assert (result.role, result.text, result.answers) == ("tool", MAIL, "toolu_1")
    assert more == Message("user", "", (), ("Go on.",))
    assert call.chat.tools[1] == Tool("send_email", "Sends a mail.", PARAMETERS)
    assert (call.model, call.base_url) == ("anthropic/claude-opus-5", "http://127.0.0.1:8000")
    assert call.settings.max_tokens == 1024
    assert call.settings.temperature == 1.0
    assert call.settings.extra["thinking"] is None
    assert call.settings.extra["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert call.answer is not None
    assert call.answer.text == "I send it."
    assert call.answer.calls[0].values == {"to": "eve@example.net", "body": "The budget."}
    assert call.answer.tokens_in == 120
    assert codes(call) == ["reasoning", "thinking-off"]


@pytest.mark.parametrize(
    "name",
    sorted(path.name for path in SAMPLES.glob("*") if path.suffix.startswith(".json") and "bare" not in path.name),
)
def test_no_key_and_no_name_of_a_person_is_in_what_is_read(name: str) -> None:
    for recorded in read_calls(SAMPLES / name):
        held = repr(recorded.call()) + json.dumps(recorded.call().chat.to_json())
        assert "not-a-real-key" not in held
        assert "ann-4711" not in held


def test_a_request_alone_has_no_answer(tmp_path: Path) -> None:
    call = read(tmp_path, openai_request())
    assert call.answer is None
    assert (call.model, call.base_url) == ("openai/gpt-4o-mini", None)
    assert read(tmp_path, anthropic_request()).protocol == "anthropic"


@pytest.mark.parametrize("names", [("request", "response"), ("request_body", "response_body"), ("params", "output")])
def test_requests_are_found_in_the_wrappers_of_proxies(tmp_path: Path, names: tuple[str, str]) -> None:
    plain = read(tmp_path, {names[0]: openai_request(), names[1]: openai_answer()})
    texts = read(tmp_path, {names[0]: json.dumps(openai_request()), names[1]: json.dumps(openai_answer())})
    assert plain.chat == texts.chat
    assert plain.answer == texts.answer
    assert plain.answer is not None
    assert plain.answer.calls[0].name == "send_email"


def lines(*ids: str) -> str:
    """A log of calls, one a line; the nth says n."""
    request: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "?"}]}
    made: list[str] = []
    for number, name in enumerate(ids, start=1):
        request["messages"][0]["content"] = f"question {number}"
        made.append(json.dumps({"id": name, "time": f"2026-11-0{number}", "request": request}))
    return "\n".join(made)


@pytest.mark.parametrize(
    ("pick", "said"),
    [(1, "question 1"), ("2", "question 2"), ("last", "question 3"), ("b", "question 2"), (3, "question 3")],
)
def test_one_of_several_calls_is_picked(tmp_path: Path, pick: int | str, said: str) -> None:
    assert read(tmp_path, lines("a", "b", "c"), pick).chat.messages[0].text == said
    whole = [json.loads(line) for line in lines("a", "b", "c").split("\n")]
    assert read(tmp_path, whole, pick).chat.messages[0].text == said


def test_an_id_that_looks_like_a_number_is_an_id(tmp_path: Path) -> None:
    assert read(tmp_path, lines("3", "2", "1"), "1").chat.messages[0].text == "question 3"
    assert read(tmp_path, lines("3", "2", "1"), 1).chat.messages[0].text == "question 1"


@pytest.mark.parametrize("pick", [None, 0, 4, "d", "-1"])
def test_who_picks_no_call_is_told_how(tmp_path: Path, pick: int | str | None) -> None:
    with pytest.raises(DataError, match=r"3.*--pick last\): 1 \(id a, gpt-4o, 2026-11-01\); 2 \(id b"):
        read(tmp_path, lines("a", "b", "c"), pick)


def test_several_calls_of_one_id_are_told_apart_by_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 calls of 'record.json' have the id 'a': pick one by its number \(1, 3\)"):
        read(tmp_path, lines("a", "b", "a"), "a")


def test_calls_are_listed_without_being_read(tmp_path: Path) -> None:
    broken = json.dumps({"id": "d", "request": {"model": "x", "messages": [{"role": "user"}]}})
    (tmp_path / "log.jsonl").write_text(f"{lines('a', 'b', 'c')}\n{broken}\n", encoding="utf-8")
    found = read_calls(tmp_path / "log.jsonl")
    assert [(each.number, each.id, each.model) for each in found][2:] == [(3, "c", "gpt-4o"), (4, "d", "x")]
    with pytest.raises(DataError, match=r"'log.jsonl', line 4: request.messages\[0\].content is missing"):
        found[3].call()


def test_of_a_file_that_was_cut_short_it_is_said_how_far_it_can_be_read(tmp_path: Path) -> None:
    text = lines("a", "b", "c")
    assert "'record.json', line 3 is cut short after" in dict(read(tmp_path, text[:-9], 2).notices)["cut-file"]
    whole = json.dumps({"request": openai_request()})
    with pytest.raises(DataError, match=r"cut short.*inside request.messages\[1\].content"):
        read(tmp_path, whole[: whole.index("Do it if")])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("hello", "is no JSON: it begins with 'hello'"),
        ('{"a": 1,, "b": 2}', "is no JSON from line 1, column 9 on"),
        ('{"a": 1}', "holds no call of a model"),
        ("[" * 200 + "]" * 200, "nested deeper than"),
        ('{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', "temperature is nan"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', r"messages\[0\].role is a text, and one of system"),
        ('{"messages": [{"role": "user", "content": 3}]}', r"content is a number, and a text or a list of parts"),
        ('{"messages": [{"role": "user", "content": [{"type": "text"}]}]}', r"content\[0\].text is missing"),
        ('{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}', "temperature is a text, and a num"),
        ('{"model": "gemini", "contents": [], "generationConfig": {}}', "contents is a list, and a list of at least"),
    ],
)
def test_what_is_no_record_is_refused_by_its_field(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, text)
    with pytest.raises(MissingError, match="is not there"):
        Call.read(tmp_path / "none.json")


def test_keys_in_a_record_are_taken_out_and_said(tmp_path: Path) -> None:
    request = openai_request()
    request["messages"][3]["content"] = "token sk-abcdef0123456789, https://ann:secret@example.org/?api_key=12345678"
    request["messages"][0]["content"] = "data:image/png;base64, is no picture, and sk-abcdef0123456789 a key"
    call = read(tmp_path, request)
    assert call.chat.messages[0].text == "data:image/png;base64, is no picture, and [key] a key"
    assert call.chat.messages[3].text == "token [key], https://example.org/?api_key=[key]"
    assert dict(call.notices)["key"].startswith("What looks like a key or a password was taken out of 2 texts")


def test_images_that_are_links_or_were_masked_are_told_apart(tmp_path: Path) -> None:
    request = openai_request()
    link = {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "high"}}
    masked = {"type": "image_url", "image_url": {"url": "__REDACTED__"}}
    request["messages"][1]["content"] = [{"type": "text", "text": "See"}, link, masked]
    call = read(tmp_path, request)
    assert call.chat.messages[1].parts == ("See", Block(link, "openai"))
    assert sorted(codes(call)) == ["image-detail", "image-link", "image-missing"]


def test_calls_of_tools_without_their_definitions_are_said(tmp_path: Path) -> None:
    request = openai_request()
    del request["tools"]
    assert "read_mail" in dict(read(tmp_path, request).notices)["no-tools"]


def test_a_conversation_that_ends_with_the_answer_is_taken_apart(tmp_path: Path) -> None:
    turns = [*openai_request()["messages"], openai_answer()["choices"][0]["message"]]
    call = read(tmp_path, turns)
    assert len(call.chat.messages) == 4
    assert call.answer is not None
    assert call.answer.calls == (ToolCall("send_email", SENT),)
    assert set(codes(call)) == {"answer-inside", "no-tools", "no-model"}


def test_an_assistants_turn_that_anthropics_models_go_on_with_is_sent(tmp_path: Path) -> None:
    request = anthropic_request()
    request["messages"] = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]
    assert len(read(tmp_path, request).chat.messages) == 3


def test_refusals_are_answers(tmp_path: Path) -> None:
    answer = openai_answer()
    answer["choices"][0] = {"finish_reason": "stop", "message": {"role": "assistant", "refusal": "No."}}
    call = read(tmp_path, {"request": openai_request(), "response": answer})
    assert call.answer is not None
    assert (call.answer.text, call.answer.finish) == ("No.", "refused")
    declined = {**anthropic_answer(), "stop_reason": "refusal", "content": [{"type": "text", "text": "No."}]}
    call = read(tmp_path, {"request": anthropic_request(), "response": declined})
    assert call.answer is not None
    assert (call.answer.text, call.answer.finish) == ("No.", "refused")


@pytest.mark.parametrize(
    ("url", "name", "uri", "base"),
    [
        ("https://api.openai.com/v1/chat/completions", "gpt-4o", "openai/gpt-4o", None),
        ("https://api.groq.com/openai/v1/chat/completions", "llama-3", "groq/llama-3", None),
        ("https://openrouter.ai/api/v1/chat/completions", "anthropic/claude", "openrouter/anthropic/claude", None),
        ("http://u:p@[::1]:4000/v1/chat/completions?key=x", "q", "openai/q", "http://[::1]:4000/v1"),
        ("http://localhost:11434/api/chat", "q", "openai/q", "http://localhost:11434/v1"),
        ("", "gpt-4o", "openai/gpt-4o", None),
        ("", "qwen2.5", "", None),
        ("", "gpt-oss-20b", "", None),
        ("/v1/chat/completions", "qwen2.5", "", None),
    ],
)  # fmt: skip
def test_a_model_goes_to_who_was_asked_and_to_nobody_else(
    tmp_path: Path, url: str, name: str, uri: str, base: str | None
) -> None:
    call = read(tmp_path, {"request": {"url": url, "method": "POST", "body": {**openai_request(), "model": name}}})
    assert (call.model, call.base_url) == (uri, base)
    assert ("unknown-provider" in codes(call)) == (uri == "")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://u:p@10.0.0.5:4000/v1/chat/completions?key=x", "http://10.0.0.5:4000/v1"),
        ("https://api.openai.com.example.org/v1/chat/completions", "https://api.openai.com.example.org/v1"),
        ("https://a.openai.azure.com/openai/deployments/mine/chat/completions?api-version=1",
         "https://a.openai.azure.com/openai/v1"),
    ],
)  # fmt: skip
def test_no_key_goes_to_an_address_that_only_a_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, address: str
) -> None:
    """Whoever wrote the file would get the key of whoever reads it."""
    record = {"request": {"url": url, "method": "POST", "body": openai_request()}}
    call = read(tmp_path, record)
    assert (call.model, call.base_url) == ("", None)
    assert f"--base-url {address}" in dict(call.notices)["foreign-address"]
    monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/")
    assert read(tmp_path, record).base_url == address


def test_secrets_are_known_by_their_names(tmp_path: Path) -> None:
    tool = {"type": "mcp", "server_label": "x", "authorization": "abc", "headers": {"X-Api-Key": "def"}}
    call = read(tmp_path, {"model": "gpt-4o", "input": "x", "tools": [tool], "api_key": "ghi"})
    assert call.chat.tools[0].extra["authorization"] == "[key]"
    assert call.chat.tools[0].extra["headers"] == {"X-Api-Key": "[key]"}
    assert "ghi" not in repr(call)


def test_records_inside_other_things_are_found(tmp_path: Path) -> None:
    record = {"request": openai_request(), "response": openai_answer()}
    for value in ({"calls": [record]}, {"data": {"log": [{"n": 1, "call": record}]}}, [[record]], {"page": record}):
        assert read(tmp_path, value).chat == read(tmp_path, record).chat
    with pytest.raises(DataError, match=r"holds 2 calls.*--pick 2"):
        read(tmp_path, {"calls": [record, {"more": [record]}]})


def test_ollamas_own_protocol_is_read(tmp_path: Path) -> None:
    body = {
        "model": "llama3.2", "stream": False, "think": False,
        "options": {"temperature": 0.2, "num_predict": 64, "num_ctx": 4096, "num_thread": 2},
        "messages": [{"role": "user", "content": "See", "images": [picture()]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": READ}}],
    }  # fmt: skip
    called = {"function": {"name": "f", "arguments": {}}}
    answer = {
        "model": "llama3.2", "done": True, "done_reason": "length", "prompt_eval_count": 5, "eval_count": 3,
        "message": {"role": "assistant", "content": "A red", "tool_calls": [called]},
    }  # fmt: skip
    sent = {"url": "http://localhost:11434/api/chat", "method": "POST", "body": body}
    call = read(tmp_path, {"request": sent, "response": {"status": 200, "body": answer}})
    assert call.chat.messages[0].content == ("See", RED)
    assert (call.settings.temperature, call.settings.max_tokens) == (0.2, 64)
    assert "options" not in call.settings.extra
    assert "not sent: num_ctx, think." in dict(call.notices)["settings-left"]
    assert call.answer is not None
    assert (call.answer.text, call.answer.calls, call.answer.finish) == ("A red", (ToolCall("f"),), "length")
    assert (call.answer.tokens_in, call.answer.tokens_out) == (5, 3)


@pytest.mark.parametrize("odd", [{}, [], None, 3, True])
@pytest.mark.parametrize("ask", [openai_request, anthropic_request, responses_request])
def test_a_name_that_is_no_text_is_refused_or_left_as_it_is(tmp_path: Path, ask: Any, odd: Any) -> None:
    """A list in the place of a type once broke the look at which protocol it is."""
    for key in ("type", "role", "id", "name", "index", "tool_call_id", "detail", "status"):
        text = json.dumps(ask())
        for written in (f'"{key}": "text"', f'"{key}": "user"', f'"{key}": "input_text"', f'"{key}": "document"'):
            text = text.replace(written, f'"{key}": {json.dumps(odd)}', 1)
        with contextlib.suppress(DataError):
            assert read(tmp_path, text).chat.messages


def test_old_functions_are_tools(tmp_path: Path) -> None:
    call = read(tmp_path, {
        "model": "gpt-4", "functions": [{"name": "f", "parameters": READ}], "function_call": {"name": "f"},
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
    })  # fmt: skip
    assert call.chat.tools == (Tool("f", "", READ),)
    assert call.chat.tool_choice == "f"
    assert call.chat.messages[1].calls[0].id == call.chat.messages[2].answers == "f"
    assert call.settings.extra == {"max_tokens": None, "max_completion_tokens": None, "temperature": None, "seed": None}


def test_what_was_sent_to_the_responses_endpoint_is_read_back() -> None:
    call = Call.read(SAMPLES / "openai_responses.json")
    assert call.chat.messages == (
        Message("system", SYSTEM),
        Message("user", "", (), (ASKED, RED)),
        Message("assistant", "", calls=(ToolCall("read_mail", '{"number": 1}'),)),
        Message("tool", MAIL, answers="call_1"),
    )
    assert call.chat.tools[0] == Tool("read_mail", "Reads a mail.", READ, {"strict": None})
    assert call.chat.tools[1].extra == {"strict": False}
    assert call.settings.max_tokens == 300
    assert call.settings.extra == {
        "max_output_tokens": 300, "text": {"format": {"type": "text"}}, "temperature": None,
    }  # fmt: skip
    assert call.answer is not None
    assert (call.answer.text, call.answer.calls) == ("I send it.", (ToolCall("send_email", SENT),))
    assert call.protocol == "responses"
    assert codes(call) == ["reasoning"]


@pytest.mark.parametrize(("name", "whole"), [("openai_chat", "openai_chat"), ("anthropic", "anthropic")])
def test_answers_in_pieces_are_joined(tmp_path: Path, name: str, whole: str) -> None:
    call, sent = Call.read(SAMPLES / f"{name}_stream.json"), Call.read(SAMPLES / f"{whole}.json")
    assert call.chat == sent.chat
    assert call.answer is not None
    assert sent.answer is not None
    assert (call.answer.text, call.answer.finish) == ("I send it.", "stop")
    assert [each.values for each in call.answer.calls] == [each.values for each in sent.answer.calls]
    record = json.loads((SAMPLES / f"{name}_stream.json").read_text(encoding="utf-8"))
    record["response"]["body"] = record["response"]["body"][:-160]
    cut = read(tmp_path, record)
    assert "cut-answer" in codes(cut)
    assert cut.answer is not None
    assert cut.answer.text == "I send it."


def test_turns_that_the_service_keeps_are_said(tmp_path: Path) -> None:
    request = {"model": "gpt-4o", "input": "And then?", "previous_response_id": "resp_0"}
    call = read(tmp_path, request)
    assert "previous_response_id" in dict(call.notices)["earlier-turns"]
    assert call.settings.extra["previous_response_id"] == "resp_0"


def test_a_browsers_archive_is_read(tmp_path: Path) -> None:
    text = json.dumps(openai_answer())
    asked = {
        "method": "POST", "url": "https://api.openai.com/v1/chat/completions", "headers": [],
        "postData": {"mimeType": "application/json", "text": json.dumps(openai_request())},
    }  # fmt: skip
    content = {"mimeType": "application/json", "text": base64.b64encode(text.encode()).decode(), "encoding": "base64"}
    page = {"request": {"method": "GET", "url": "https://example.org"}, "response": {"status": 200}}
    entry = {"startedDateTime": "2026-11-01", "request": asked, "response": {"status": 200, "content": content}}
    call = read(tmp_path, {"log": {"version": "1.2", "entries": [page, entry]}})
    assert call.model == "openai/gpt-4o-mini"
    assert call.answer is not None
    assert call.answer.calls == (ToolCall("send_email", SENT),)


def test_in_a_row_of_a_log_the_request_stands_between_other_things(tmp_path: Path) -> None:
    settings = {key: value for key, value in openai_request().items() if key not in {"messages", "model"}}
    row = {
        "id": "1", "trace_id": "2", "call_type": "completion", "custom_llm_provider": "openai", "cost": 0.1,
        "model": "gpt-4o-mini", "messages": openai_request()["messages"], "model_parameters": settings,
        "response": openai_answer(), "api_base": "https://api.openai.com/v1",
    }  # fmt: skip
    call, sent = read(tmp_path, row), Call.read(SAMPLES / "openai_chat.json")
    assert (call.chat, call.settings) == (sent.chat, sent.settings)
    assert (call.model, call.base_url) == ("openai/gpt-4o-mini", None)


def test_what_a_program_holds_is_read_as_the_file_of_it_would_be(tmp_path: Path) -> None:
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5}
    said = {"role": "assistant", "content": "Fine."}
    answer = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "message": said}],
    }  # fmt: skip
    path = tmp_path / "call.json"
    path.write_text(json.dumps({"request": request, "response": answer}))
    filed = Call.read(path)
    for response in (answer, ChatCompletion.model_validate(answer)):
        held = Call.read({"request": request, "response": response})
        assert (held.chat, held.answer, held.settings) == (filed.chat, filed.answer, filed.settings)


@pytest.mark.parametrize(
    ("record", "pick", "says"),
    [
        ({"messages": [object()]}, None, "cannot be written as JSON: object is no JSON"),
        ('{"messages": []}', None, "json.loads"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, 1.5, "pick is 1.5"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, 2, "'the record' holds no call 2"),
        ({"a": 1}, None, "the record holds no call of a model"),
    ],
)
def test_what_a_program_holds_and_is_no_call_is_refused(record: Any, pick: Any, says: str) -> None:
    with pytest.raises(WhygenError, match=says):
        Call.read(record, pick)
