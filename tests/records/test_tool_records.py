"""Calls that tools of others kept: evaluations, observability, logs in databases. Each sample is made by the tool."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.records.conversation import ASKED, MAIL, PARAMETERS, SYSTEM, openai_answer, openai_request
from tests.records.test_wire_records import RED, SAMPLES, SENT, codes

from whygen.errors import DataError, MissingExtraError
from whygen.records import Call, Recorded, read_calls
from whygen.types import Message, ToolCall

READ = ToolCall("read_mail", '{"number": 1}')
SEND = ToolCall("send_email", SENT)


def database(tmp_path: Path, name: str) -> Path:
    """A database from a sample in SQL."""
    path = tmp_path / f"{name}.db"
    connection = sqlite3.connect(path)
    connection.executescript("begin;" + (SAMPLES / f"{name}.sql").read_text(encoding="utf-8") + "commit;")
    connection.close()
    return path


@pytest.mark.parametrize("name", ["llm_turns", "llm_responses"])
def test_the_log_of_llm_is_read_turn_by_turn(tmp_path: Path, name: str) -> None:
    calls = read_calls(database(tmp_path, name))
    assert len(calls) == 4
    assert len({each.run for each in calls}) == 1
    asked = [Message("system", SYSTEM), Message("user", "", (), (ASKED, RED))]
    read, sent = Message("assistant", "", calls=(READ,)), Message("assistant", "", calls=(SEND,))
    results = Message("tool", MAIL, answers="call_1"), Message("tool", "sent", answers="call_2")
    turns = [*asked, read, results[0], sent, results[1], Message("assistant", "I have sent it.")]
    first, second, third, last = (each.call() for each in calls)
    assert list(first.chat.messages) == turns[:2]
    assert list(second.chat.messages) == turns[:4]
    assert list(third.chat.messages) == turns[:6]
    assert list(last.chat.messages) == [*turns, Message("user", "And now?")]
    assert [call.answer.calls for call in (first, second, third) if call.answer] == [(READ,), (SEND,), ()]
    assert last.answer is not None
    assert last.answer.text == "I have sent it."
    assert [tool.name for tool in second.chat.tools] == ["read_mail", "send_email"]
    assert second.chat.tools[1].parameters == PARAMETERS
    assert second.settings.temperature == 0.2
    assert first.model == ""  # llm's own name for it tells nobody whose it is
    assert Call.read(database_again(tmp_path, name), "last").chat == last.chat


def database_again(tmp_path: Path, name: str) -> Path:
    return tmp_path / f"{name}.db"


def test_models_of_llm_are_openais_or_have_their_plugins_name(tmp_path: Path) -> None:
    path = database(tmp_path, "llm_turns")
    for name, uri in (("gpt-4o", "openai/gpt-4o"), ("anthropic/claude-opus-5", "anthropic/claude-opus-5")):
        connection = sqlite3.connect(path)
        connection.execute("update turns set model = ?", (name,))
        connection.commit()
        connection.close()
        assert Call.read(path, 1).model == uri


def test_an_image_that_llm_names_by_its_path_is_not_opened(tmp_path: Path) -> None:
    path = database(tmp_path, "llm_turns")
    (tmp_path / "secret.png").write_bytes(RED.data)
    connection = sqlite3.connect(path)
    connection.execute("update attachments set content = null, path = ?", (str(tmp_path / "secret.png"),))
    connection.commit()
    connection.close()
    call = Call.read(path, 1)
    assert call.chat.messages[1].images == ()
    assert "image-missing" in codes(call)


def test_the_log_of_larpie_is_read(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "calls.db")
    connection.execute(
        "create table calls (id integer primary key, timestamp text, provider text, model text, messages_json text, "
        "response_text text)"
    )
    turns = json.dumps([{"role": "user", "content": "Hello"}])
    connection.execute("insert into calls values (1, '2026-11-01', 'ollama', 'ollama/llama3', ?, 'Hi')", (turns,))
    connection.commit()
    connection.close()
    call = Call.read(tmp_path / "calls.db")
    assert (call.model, call.chat.messages[0].text) == ("ollama/llama3", "Hello")
    assert call.answer is not None
    assert call.answer.text == "Hi"


def test_databases_of_strangers_are_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("create table notes (id, text)")
    connection.execute(
        "create view turns as with recursive n(i) as (select 1 union all select i from n) select i from n"
    )
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match=r"holds no calls of models in a form that is known.*its tables: notes"):
        read_calls(path)
    path.write_bytes(path.read_bytes()[:100] + b"\x00" * 4000)
    with pytest.raises(DataError, match=r"'other.db' cannot be read"):
        read_calls(path)


def test_the_log_of_inspect_is_read_call_by_call() -> None:
    calls = read_calls(SAMPLES / "inspect.json")
    assert [each.id for each in calls] == ["mail/1/1", "mail/1/2", "mail/1/3"]
    call = Call.read(SAMPLES / "inspect.json", "mail/1/2")
    system, user, said, result = call.chat.messages
    assert (system.text, user.parts, said.calls, result.text) == (SYSTEM, (ASKED, RED), (READ,), MAIL)
    assert call.model == "openai/gpt-4o-mini"
    assert call.base_url is not None
    assert call.base_url.startswith("http://127.0.0.1:")
    assert call.settings.temperature == 0.2
    assert call.answer is not None
    assert call.answer.calls == (SEND,)


def test_a_log_of_inspect_without_the_requests_is_read_in_its_own_words(tmp_path: Path) -> None:
    log = json.loads((SAMPLES / "inspect.json").read_text(encoding="utf-8"))
    for event in log["samples"][0]["events"]:
        event.pop("call", None)
    (tmp_path / "log.json").write_text(json.dumps(log), encoding="utf-8")
    for number in (1, 2, 3):
        whole, own = Call.read(SAMPLES / "inspect.json", number), Call.read(tmp_path / "log.json", number)
        assert own.chat.messages == whole.chat.messages
        assert [tool.name for tool in own.chat.tools] == [tool.name for tool in whole.chat.tools]
        assert own.answer is not None
        assert whole.answer is not None
        assert (own.answer.text, own.answer.calls) == (whole.answer.text, whole.answer.calls)


def test_an_archive_of_inspect_is_read_by_its_own_reader() -> None:
    if importlib.util.find_spec("inspect_ai") is None:
        with pytest.raises(MissingExtraError, match=r"inspect log convert --to json.*whygen\[inspect\]"):
            read_calls(SAMPLES / "inspect.eval")
        return
    archived, plain = read_calls(SAMPLES / "inspect.eval"), read_calls(SAMPLES / "inspect.json")
    assert [each.call().chat for each in archived] == [each.call().chat for each in plain]


def test_results_of_promptfoo_are_read() -> None:
    first, second = (each.call() for each in read_calls(SAMPLES / "promptfoo.json"))
    assert [turn.role for turn in first.chat.messages] == ["system", "user"]
    assert first.chat.messages[1].text == f"Ann wants: {MAIL}"
    assert [tool.name for tool in first.chat.tools] == ["read_mail", "send_email"]
    assert (first.settings.temperature, first.settings.max_tokens) == (0.2, 300)
    assert (first.model, first.base_url) == ("openai/gpt-4o-mini", "http://127.0.0.1:8000/v1")
    assert first.answer is not None
    assert first.answer.calls == (SEND,)
    assert second.chat.messages == (Message("user", "Say hello to Ann."),)
    assert second.answer is not None
    assert second.answer.text == "I have sent it."


def test_what_langfuses_client_sends_is_read() -> None:
    call, sent = Call.read(SAMPLES / "langfuse_otlp.json"), Call.read(SAMPLES / "openai_chat.json")
    assert call.chat.tools == sent.chat.tools
    assert [turn.calls for turn in call.chat.messages] == [turn.calls for turn in sent.chat.messages]
    assert call.chat.messages[1].parts == (ASKED,)
    assert "image-missing" in codes(call)  # it keeps images elsewhere
    assert (call.settings.temperature, call.settings.max_tokens) == (0.2, 300)
    assert call.answer is not None
    assert call.answer.calls == (SEND,)


def generation(**more: Any) -> dict[str, Any]:
    """A generation as Langfuse's API gives it (`ObservationsView`)."""
    request = openai_request()
    message = openai_answer()["choices"][0]["message"]
    return {
        "id": "g1", "traceId": "t1", "type": "GENERATION", "name": "OpenAI-generation", "model": "gpt-4o-mini",
        "startTime": "2026-11-01T00:00:01Z", "modelParameters": {"temperature": "0.2", "max_tokens": 300},
        "input": {"messages": request["messages"], "tools": request["tools"]}, "output": message,
        "usage": {"input": 120, "output": 20, "unit": "TOKENS"}, "parentObservationId": None, **more,
    }  # fmt: skip


def test_traces_that_langfuse_exports_are_read(tmp_path: Path) -> None:
    later = generation(id="g2", startTime="2026-11-01T00:00:02Z", input="And now?", output="Nothing.")
    observations = [later, generation(), {"type": "SPAN", "id": "s"}]
    trace: dict[str, Any] = {"id": "t1", "name": "agent", "input": {}, "observations": observations}
    pages: list[Any] = [trace, [trace], {"data": observations, "meta": {}}, observations]
    for value in pages:
        (tmp_path / "trace.json").write_text(json.dumps(value), encoding="utf-8")
        first, second = read_calls(tmp_path / "trace.json")
        assert (first.id, second.id, first.run) == ("g1", "g2", "t1")
        call = first.call()
        assert call.chat.messages[1].parts == (ASKED, RED)
        assert (call.model, call.settings.temperature) == ("openai/gpt-4o-mini", 0.2)
        assert call.answer is not None
        assert (call.answer.calls, call.answer.tokens_in) == ((SEND,), 120)
        assert second.call().chat.messages == (Message("user", "And now?"),)


@pytest.mark.parametrize("name", ["phoenix.json", "phoenix_table.jsonl"])
def test_what_phoenix_gives_back_is_read(name: str) -> None:
    call, sent = Call.read(SAMPLES / name), Call.read(SAMPLES / "openai_chat.json")
    assert (call.chat, call.settings, call.model) == (sent.chat, sent.settings, sent.model)
    assert call.answer is not None
    assert call.answer.calls == (SEND,)


def test_what_litellm_logs_is_read() -> None:
    call, sent = Call.read(SAMPLES / "litellm.json"), Call.read(SAMPLES / "openai_chat.json")
    assert call.chat.tools == sent.chat.tools
    assert call.settings == sent.settings
    assert call.chat.messages[1].parts == (ASKED,)
    assert "image-missing" in codes(call)  # it shortens images
    assert (call.model, call.base_url) == (sent.model, sent.base_url)
    assert call.answer is not None
    assert call.answer.calls == (SEND,)


def test_what_mitmproxy_saw_is_the_call_with_the_time_at_which_it_was_sent() -> None:
    (recorded,) = read_calls(SAMPLES / "mitmproxy.har")
    call, sent = recorded.call(), Call.read(SAMPLES / "openai_chat.json")
    assert (call.chat, call.settings, call.answer) == (sent.chat, sent.settings, sent.answer)
    assert call.base_url == "http://127.0.0.1:8000/v1"
    assert recorded.time.startswith("2026-")
    assert "sk-not" not in repr(call)


OTHER_WORDS: dict[str, dict[str, Any]] = {
    name: sample
    for file in ("other_words.json", "other_words_bare.json")
    for name, sample in json.loads((SAMPLES / file).read_text(encoding="utf-8")).items()
}
"""What tools keep of a call in words that are not those of its request, each made by the tool itself (``made_by``)."""


def calls_of(tmp_path: Path, name: str) -> list[Recorded]:
    rows = OTHER_WORDS[name]["records"]
    (tmp_path / "record.json").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return read_calls(tmp_path / "record.json")


def shown(call: Call) -> tuple[str, int, str]:
    """Who said something, how many tools there are, and what was answered: a text, or the tools that were called."""
    answer = call.answer
    said = "-" if answer is None else answer.text or " ".join(each.name for each in answer.calls)
    return "".join(turn.role[0] for turn in call.chat.messages), len(call.chat.tools), said


SORRY = "I'm sorry, but I can't help with that."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("otel_events", [("suatt", 3, "send_email"), ("su", 0, '{"mood": "good", "count": 0}'), ("su", 0, "-"),
                         ("u", 0, "-")]),
        ("openinference_beside", [("su", 3, "read_mail read_calendar")]),
        ("langfuse", [("su", 0, "The picture is red."), ("su", 0, "-"), ("u", 0, "-"), ("ssuat", 3, "send_email"),
                      ("suatt", 3, "send_email"), ("suatt", 3, "send_email")]),
        ("promptfoo_lines", [("su", 1, "send_email"), ("u", 0, "Hello.")]),
        ("promptfoo_anthropic", [("su", 0, "Hello.")]),
        ("weave", [("ssu", 3, "read_mail")]),
        ("litellm", [("suat", 3, "send_email"), ("su", 0, "-"), ("u", 0, "Paris is the capital of France.")]),
        ("langchain_events", [("su", 1, "read_mail"), ("suat", 1, "Nothing needs doing today.")]),
        ("phoenix_data_set", [("u", 0, SORRY)]),
        ("phoenix_columns", [("su", 3, "read_mail read_calendar"), ("su", 0, '{"mood": "good", "count": 0}')]),
        ("crewai_events", [("su", 1, "read_mail")]),
        ("pydantic_ai_anthropic", [("suat", 2, "send_email")]),
    ],
)  # fmt: skip
def test_a_call_is_read_whole_in_whatever_words_its_answer_and_its_neighbours_are(
    tmp_path: Path, name: str, expected: list[tuple[str, int, str]]
) -> None:
    read = [each.call() for each in calls_of(tmp_path, name)]
    assert [shown(call) for call in read] == expected
    assert not {code for call in read for code, _ in call.notices} & {"answer-unread", "unknown-part", "lost-part"}


def test_what_an_exporter_left_out_of_an_answer_is_said(tmp_path: Path) -> None:
    codes = [dict(each.call().notices) for each in calls_of(tmp_path, "otel_events")]
    assert ["answer-error" in each for each in codes] == [False, False, False, True]
    assert ["empty-answer" in each for each in codes] == [False, False, True, False]
    assert "429" in codes[3]["answer-error"]
    assert "answer-error" in dict(calls_of(tmp_path, "litellm")[1].call().notices)
    assert "results.json" in dict(calls_of(tmp_path, "promptfoo_lines")[0].call().notices)["no-settings"]


def test_an_observation_of_langfuse_that_failed_says_so_and_one_without_its_input_is_named(tmp_path: Path) -> None:
    kept = {
        "id": "o",
        "traceId": "t",
        "type": "GENERATION",
        "model": "gpt-4o",
        "modelParameters": {"max_tokens": "inf"},
    }
    asked = {**kept, "input": [{"role": "user", "content": "Hi"}], "level": "ERROR", "statusMessage": "Error code: 429"}
    for output in ({"output": None}, {"output": "null"}, {}):
        call = Call.read({"data": [{**asked, **output}], "meta": {"page": 1}})
        assert (call.answer, call.settings.extra["max_tokens"]) == (None, None)
        assert "429" in dict(call.notices)["answer-error"]
    with pytest.raises(DataError, match="observation of Langfuse without its input"):
        Call.read({"data": [kept], "meta": {"cursor": None}})


def test_json_in_a_text_stays_the_text_that_it_was(tmp_path: Path) -> None:
    result = calls_of(tmp_path, "otel_events")[0].call().chat.messages[-1]
    assert result.text.startswith('[{"at": "09:00", "what": "Zahnarzt"}')
    assert not result.parts


def test_two_names_that_become_one_where_keys_are_taken_out_stop_no_reading(tmp_path: Path) -> None:
    row = OTHER_WORDS["otel_events_bare"]["records"][0]
    keys = {f"sk-proj-{letter * 40}": 1 for letter in "aB"}
    turn = [{"role": "user", "parts": [{"type": "text", "content": json.dumps(keys)}]}]
    span = row["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    told = {"key": "gen_ai.input.messages", "value": {"stringValue": json.dumps(turn)}}
    whole = {**span, "attributes": [*span["attributes"], told]}
    call = Call.read({"resourceSpans": [{"scopeSpans": [{"spans": [whole]}]}]})
    assert "sk-proj" not in repr(call)
    assert "[key]" in call.chat.messages[0].text


def test_refusals_and_results_under_another_id_are_read_and_turns_that_only_the_provider_has_are_named(
    tmp_path: Path,
) -> None:
    refused, whole = calls_of(tmp_path, "openllmetry")
    (rest,) = calls_of(tmp_path, "openllmetry_rest")
    assert (answer := refused.call().answer) is not None
    assert (answer.text, answer.finish) == (SORRY, "refused")
    turns = whole.call().chat.messages
    assert turns[-1].answers == turns[-2].calls[0].id
    assert "tool-id" in dict(whole.call().notices)
    with pytest.raises(DataError, match="previous_response_id"):
        rest.call()


def test_messages_without_contents_name_the_setting_and_a_log_of_tasks_says_what_to_keep(tmp_path: Path) -> None:
    (bare,) = calls_of(tmp_path, "otel_events_bare")
    with pytest.raises(DataError, match=r"without their contents.*CAPTURE_MESSAGE_CONTENT"):
        bare.call()
    with pytest.raises(DataError, match=r"CrewAI.*LLMCallCompletedEvent"):
        calls_of(tmp_path, "crewai_log")
    with pytest.raises(DataError, match="no call of a model"):
        Call.read({"task": "t", "agent": "a", "status": ["started"]})


def test_a_request_without_a_message_and_a_table_with_quoted_cells_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a message"):
        Call.read({"model": "gpt-4o", "messages": []})
    (tmp_path / "t.csv").write_text('mail,"[a] p: [{""role"":""user""}]",Status\nsoup,"Hi, you",ok\n', encoding="utf-8")
    with pytest.raises(DataError, match="table"):
        Call.read(tmp_path / "t.csv")


def test_a_response_that_has_a_status_and_a_format_of_its_text_is_no_wrapper() -> None:
    body = {"model": "gpt-5-mini", "input": "Hi", "text": {"format": {"type": "text"}}}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Ho"}]}
    response = {
        "object": "response",
        "status": "completed",
        "model": "gpt-5-mini",
        "output": [said],
        "text": body["text"],
    }
    for came in (response, {"status": 200, "body": response}):
        assert (answer := Call.read({"request": body, "response": came}).answer) is not None
        assert answer.text == "Ho"


def test_a_log_and_a_database_that_were_cut_short_say_so(tmp_path: Path) -> None:
    whole = database(tmp_path, "llm_turns").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DataError, match="cut short: get a whole copy"):
        read_calls(tmp_path / "cut.db")
