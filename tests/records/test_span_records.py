"""Calls in exports of spans, as the instrumentation of today and of before wrote them, with what they leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.records.conversation import ASKED, MAIL, PARAMETERS, SYSTEM
from tests.records.test_wire_records import RED, SAMPLES, SENT, codes

from whygen.errors import DataError
from whygen.records import Call, read_calls
from whygen.types import Block, Message, ToolCall

SEND = ToolCall("send_email", SENT)


@pytest.mark.parametrize("name", ["otel_openai_console.json", "otel_openai_otlp.jsonl"])
def test_messages_in_attributes_are_read(name: str) -> None:
    call = Call.read(SAMPLES / name)
    assert call.chat.messages == (
        Message("system", SYSTEM),
        Message("user", ""),  # this instrumentation leaves out contents in parts
        Message("assistant", "", calls=(ToolCall("read_mail", '{"number": 1}'),)),
        Message("tool", MAIL, answers="call_1"),
    )
    assert call.answer is not None
    assert (call.answer.calls, call.answer.tokens_in) == ((SEND,), 120)
    assert call.model == "openai/gpt-4o-mini"
    assert call.base_url is not None
    assert call.base_url.startswith("http://127.0.0.1:")
    assert (call.settings.temperature, call.settings.seed, call.settings.stop) == (0.2, 7, ("END",))
    assert set(codes(call)) == {"empty-message", "no-tools", "address", "span-settings"}


def test_messages_in_events_of_a_log_are_put_to_their_span() -> None:
    call = Call.read(SAMPLES / "otel_openai_events.jsonl")
    system, user, said, result = call.chat.messages
    assert (system.text, user.parts, result.text) == (SYSTEM, (ASKED, RED), MAIL)
    assert said.calls[0].id == result.answers == "call_1"
    assert call.answer is not None
    assert call.answer.calls == (SEND,)


def test_what_openllmetry_kept_of_anthropics_client_is_read() -> None:
    (recorded,) = read_calls(SAMPLES / "otel_traceloop_anthropic.json")  # the client's own span tells nothing
    call = recorded.call()
    system, user, said, result, more = call.chat.messages
    assert (system.text, said.text, result.text, more.text) == (SYSTEM, "I look.", MAIL, "Go on.")
    assert isinstance(user.parts[0], Block)
    assert user.text == f"Budget: 5\n{ASKED}"
    assert user.images == (RED,)
    assert call.chat.tools[1].parameters == PARAMETERS
    assert call.answer is not None
    assert call.answer.text == "I send it."
    assert call.answer.calls[0].name == "send_email"
    assert (call.model, call.protocol) == ("anthropic/claude-opus-5", "openai")
    assert "reasoning" in codes(call)


def test_openinference_keeps_the_request_as_it_was_sent() -> None:
    first, second = read_calls(SAMPLES / "openinference_console.json")
    for recorded, sample in ((first, "openai_chat.json"), (second, "anthropic.json")):
        call, sent = recorded.call(), Call.read(SAMPLES / sample)
        assert (call.chat, call.settings, call.model) == (sent.chat, sent.settings, sent.model)
        assert call.answer is not None
        assert sent.answer is not None
        assert (call.answer.text, call.answer.calls) == (sent.answer.text, sent.answer.calls)
    assert first.run != second.run
    assert len(first.id) == 16


def spans(name: str) -> list[dict[str, Any]]:
    """The spans of a sample, which stand one after another."""
    decoder, found = json.JSONDecoder(), list[dict[str, Any]]()
    text = (SAMPLES / name).read_text(encoding="utf-8")
    while text.strip():
        value, end = decoder.raw_decode(text.strip())
        found.append(value)
        text = text.strip()[end:]
    return found


def without(span: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**span, "attributes": {key: v for key, v in span["attributes"].items() if key not in names}}


def test_openinference_without_the_whole_request_is_read_message_by_message(tmp_path: Path) -> None:
    openai, _, anthropic = spans("openinference_console.json")
    for span, sample in ((openai, "openai_chat.json"), (anthropic, "anthropic.json")):
        (tmp_path / "spans.json").write_text(json.dumps([without(span, "input.value", "output.value")]))
        call, sent = Call.read(tmp_path / "spans.json"), Call.read(SAMPLES / sample)
        assert [turn.role for turn in call.chat.messages] == [turn.role for turn in sent.chat.messages]
        assert [turn.calls for turn in call.chat.messages] == [turn.calls for turn in sent.chat.messages]
        assert call.chat.tools == sent.chat.tools
        assert call.answer is not None
        assert [each.name for each in call.answer.calls] == ["send_email"]


def test_a_table_of_spans_as_phoenix_exports_it_is_read(tmp_path: Path) -> None:
    messages = [{"message.role": "user", "message.content": "Hello"}]
    row = {
        "name": "ChatCompletion", "span_kind": "LLM", "context.span_id": "ab", "context.trace_id": "cd",
        "attributes.openinference.span.kind": "LLM", "attributes.llm.model_name": "gpt-4o",
        "attributes.llm.input_messages": messages, "attributes.llm.provider": "openai",
        "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "Hi"}],
        "attributes.llm.invocation_parameters": '{"temperature": 0.5}',
    }  # fmt: skip
    (tmp_path / "spans.jsonl").write_text(json.dumps(row) + "\n")
    call = Call.read(tmp_path / "spans.jsonl", "ab")
    assert call.chat.messages == (Message("user", "Hello"),)
    assert (call.model, call.settings.temperature) == ("openai/gpt-4o", 0.5)
    assert call.answer is not None
    assert call.answer.text == "Hi"


def test_attributes_by_number_are_read(tmp_path: Path) -> None:
    attributes = {
        "gen_ai.system": "Groq", "gen_ai.request.model": "llama-3", "llm.request.type": "chat",
        "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": '[{"type": "text", "text": "Weather?"}]',
        "gen_ai.prompt.2.role": "assistant", "gen_ai.prompt.2.tool_calls.0.id": "a",
        "gen_ai.prompt.2.tool_calls.0.name": "weather", "gen_ai.prompt.2.tool_calls.0.arguments": "{}",
        "gen_ai.prompt.3.role": "tool", "gen_ai.prompt.3.tool_call_id": "a", "gen_ai.prompt.3.content": "Rain",
        "llm.request.functions.0.name": "weather", "llm.request.functions.0.parameters": '{"type": "object"}',
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "It rains.",
        "gen_ai.completion.0.finish_reason": "length",
    }  # fmt: skip
    span = {"name": "chat", "context": {"trace_id": "0x1", "span_id": "0x2"}, "attributes": attributes}
    (tmp_path / "span.json").write_text(json.dumps(span))
    call = Call.read(tmp_path / "span.json")
    assert [turn.text for turn in call.chat.messages] == ["Be brief.", "Weather?", "", "Rain"]
    assert call.chat.messages[2].calls == (ToolCall("weather", "{}"),)
    assert call.chat.tools[0].parameters == {"type": "object"}
    assert call.answer is not None
    assert (call.answer.text, call.answer.finish) == ("It rains.", "length")
    assert call.model == "groq/llama-3"


def test_spans_without_contents_say_which_setting_keeps_them() -> None:
    (recorded,) = read_calls(SAMPLES / "otel_openai_bare.json")
    assert recorded.model == "gpt-4o-mini"
    with pytest.raises(DataError, match="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only"):
        recorded.call()


def test_a_span_of_a_provider_that_nobody_knows_names_no_model(tmp_path: Path) -> None:
    (span,) = spans("otel_openai_console.json")
    span["attributes"]["gen_ai.provider.name"] = "acme"
    bare = without(span, "server.address", "server.port")
    (tmp_path / "span.json").write_text(json.dumps(bare))
    call = Call.read(tmp_path / "span.json")
    assert call.model == ""
    assert "'acme', which is not known here" in dict(call.notices)["unknown-provider"]


def test_an_attribute_that_the_exporter_cut_says_where_and_which_limit(tmp_path: Path) -> None:
    (span,) = spans("otel_openai_console.json")
    said = span["attributes"]["gen_ai.input.messages"]
    span["attributes"]["gen_ai.input.messages"] = said[: said.index("Read her mail")]
    (tmp_path / "span.json").write_text(json.dumps(span))
    with pytest.raises(DataError, match=r"cut short inside \[0\].parts\[0\].content.*VALUE_LENGTH_LIMIT"):
        Call.read(tmp_path / "span.json")


def test_what_vercels_sdk_traces_is_read_step_by_step() -> None:
    first, second, last = (each.call() for each in read_calls(SAMPLES / "vercel.json"))
    assert [turn.role for turn in last.chat.messages] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert second.chat.messages[2].calls == (ToolCall("read_mail", '{"number": 1}'),)
    assert second.chat.messages[3].text == "From: bob@example.org"
    assert [tool.name for tool in first.chat.tools] == ["read_mail", "send_email"]
    assert second.chat.tools[0].parameters == {"type": "object", "properties": {"number": {"type": "integer"}}}
    assert [call.answer.text for call in (first, second, last) if call.answer] == ["", "", "I have sent it."]
    assert second.answer is not None
    assert [each.name for each in second.answer.calls] == ["send_email"]
    assert (first.model, first.settings.temperature) == ("openai/gpt-4o-mini", 0.2)
    assert len({each.run for each in read_calls(SAMPLES / "vercel.json")}) == 1


def test_what_openinference_traces_of_langchain_is_read_message_by_message() -> None:
    """The request there is made of LangChain's own objects."""
    call, sent = Call.read(SAMPLES / "openinference_langchain.json"), Call.read(SAMPLES / "openai_chat.json")
    assert [turn.text for turn in call.chat.messages] == [SYSTEM, ASKED, "", MAIL]
    assert [turn.calls for turn in call.chat.messages] == [turn.calls for turn in sent.chat.messages]
    assert call.chat.tools == sent.chat.tools
    assert (call.model, call.settings.temperature) == ("openai/gpt-4o-mini", 0.2)
    assert {name for name, value in call.settings.extra.items() if value is not None} == set()
    assert call.answer is not None
    assert (call.answer.calls, call.answer.tokens_in) == ((SEND,), 120)


def test_calls_of_google_without_ids_and_requests_of_mistral_with_empty_settings_are_read() -> None:
    google, mistral = (
        Call.read(SAMPLES / f"{name}.json") for name in ("otel_traceloop_google", "openinference_mistral")
    )
    assert [turn.role for turn in google.chat.messages] == ["system", "user", "assistant", "tool"]
    [called] = google.chat.messages[2].calls
    assert called.id == google.chat.messages[3].answers != ""
    assert MAIL in json.loads(google.chat.messages[3].text)["result"]
    [tool] = google.chat.tools
    assert (tool.name, dict(tool.parameters)) == ("send_email", PARAMETERS)
    assert google.answer is not None
    assert [call.name for call in google.answer.calls] == ["send_email"]
    assert google.model == "gemini/gemini-2.5-flash"
    assert [turn.text for turn in mistral.chat.messages] == [SYSTEM, ASKED]
    assert (mistral.model, mistral.settings.temperature) == ("mistral/mistral-small-latest", 0.2)
    assert {name for name, value in mistral.settings.extra.items() if value is not None} == set()


def test_traces_of_mlflow_hold_each_call_once_as_it_was_sent() -> None:
    chat, items, blocks, chained = (each.call() for each in read_calls(SAMPLES / "mlflow.json"))
    for call in (chat, items, chained):
        assert [(turn.role, turn.text) for turn in call.chat.messages] == [
            ("system", SYSTEM), ("user", ASKED), ("assistant", ""), ("tool", MAIL),
        ]  # fmt: skip
        assert call.model == "openai/gpt-4o-mini"
    for call in (chat, items, blocks, chained):
        assert call.chat.messages[2].calls[0].id == call.chat.messages[3].answers
        assert [tool.name for tool in call.chat.tools] == ["read_mail", "send_email"]
        assert call.answer is not None
        assert call.answer.calls[0].values == json.loads(SENT)
        assert "image-missing" in codes(call)  # MLflow keeps them in files of its own
    assert (chat.settings.temperature, chat.settings.seed, chat.settings.stop) == (0.2, 7, ("END",))
    assert (items.protocol, blocks.protocol, blocks.model) == ("responses", "anthropic", "anthropic/claude-opus-5")


def test_a_row_of_mlflows_table_and_a_span_without_its_inputs(tmp_path: Path) -> None:
    (first, *_) = json.loads((SAMPLES / "mlflow.json").read_text(encoding="utf-8"))
    row = {"trace_id": "tr-1", "trace": json.dumps(first), "request": "...", "spans": "..."}
    (tmp_path / "rows.json").write_text(json.dumps([row]), encoding="utf-8")
    assert Call.read(tmp_path / "rows.json").chat.messages[3].text == MAIL
    del first["data"]["spans"][0]["attributes"]["mlflow.spanInputs"]
    (tmp_path / "bare.json").write_text(json.dumps(first), encoding="utf-8")
    with pytest.raises(DataError, match="holds no inputs"):
        Call.read(tmp_path / "bare.json")


def test_what_logfire_keeps_is_read() -> None:
    call, sent = Call.read(SAMPLES / "logfire.json"), Call.read(SAMPLES / "openai_chat.json")
    assert [turn.text for turn in call.chat.messages] == [turn.text for turn in sent.chat.messages]
    assert call.chat.messages[1].images == (RED,)
    assert [(tool.name, tool.parameters) for tool in call.chat.tools] == [
        (tool.name, tool.parameters) for tool in sent.chat.tools
    ]
    assert (call.settings.temperature, call.settings.seed, call.settings.stop) == (0.2, 7, ("END",))
    assert call.answer is not None
    assert call.answer.calls == (SEND,)
    assert "which address was asked" in dict(call.notices)["span-settings"]


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
@pytest.mark.parametrize("pieces", [True, False])
def test_what_logfire_kept_before_it_followed_the_conventions_is_read(
    tmp_path: Path, protocol: str, pieces: bool
) -> None:
    # Built by what its version 3.25 writes.
    request = json.loads((SAMPLES / f"{'openai_chat' if protocol == 'openai' else 'anthropic'}.json").read_text())
    body = request["request"]["body"]
    arguments = SENT if protocol == "openai" else json.dumps({"input": json.loads(SENT)})
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "send_email", "arguments": arguments}}]}
    told = {"combined_chunk_content": "I send it.", "chunk_count": 3} if pieces else {"message": message}
    attributes = {"request_data": json.dumps(body), "response_data": json.dumps(told)}
    span = {"name": "Chat", "context": {"trace_id": "0x1", "span_id": "0x2"}, "attributes": attributes, "events": []}
    (tmp_path / "spans.json").write_text(json.dumps(span))
    call, sent = Call.read(tmp_path / "spans.json"), Call.read(request)
    assert (call.chat, call.settings) == (sent.chat, sent.settings)
    assert call.answer is not None
    assert (call.answer.text, call.answer.calls) == (("I send it.", ()) if pieces else ("", (SEND,)))
