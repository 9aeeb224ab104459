"""Records that nobody tuned for: frameworks, sessions of agents, commands, rows of logs, and what is no call at all."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.records.conversation import ASKED, MAIL

from whygen.errors import DataError
from whygen.prompt.why.steps import steps_in
from whygen.records import Call, read_calls
from whygen.types import Output, Tool

SENT = {"to": "eve@example.net", "body": "The budget."}
TEXT = {"type": "string"}
USER = {"role": "user", "content": "Qué?"}
SAID = {"choices": [{"message": {"role": "assistant", "content": "Sí"}, "finish_reason": "stop"}]}


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def read(tmp_path: Path, value: object, pick: int | str | None = None) -> Call:
    text = value if isinstance(value, str) else json.dumps(value)
    (tmp_path / "record.json").write_text(text, encoding="utf-8")
    return Call.read(tmp_path / "record.json", pick)


def told(call: Call) -> list[tuple[str, str]]:
    """Who said what, with the calls and results of tools."""
    return [
        (turn.role, turn.text or " ".join(call.name for call in turn.calls)) for turn in call.chat.messages
    ]  # fmt: skip


CONVERSATION = [("user", "Qué?"), ("assistant", "look"), ("tool", "found")]
LANGCHAIN = [
    {"type": "human", "content": "Qué?"},
    {"type": "ai", "content": "", "tool_calls": [{"name": "look", "args": {"at": 1}, "id": "c"}]},
    {"type": "tool", "content": "found", "tool_call_id": "c"},
]
VERCEL = [
    {"role": "user", "content": [{"type": "text", "text": "Qué?"}]},
    {"role": "assistant", "content": [
        {"type": "tool-call", "toolCallId": "c", "toolName": "look", "input": {"at": 1}},
    ]},
    {"role": "tool", "content": [
        {"type": "tool-result", "toolCallId": "c", "toolName": "look", "output": {"type": "text", "value": "found"}},
    ]},
]  # fmt: skip
PAGE = [
    {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Qué?"}]},
    {"id": "2", "role": "assistant", "parts": [
        {"type": "step-start"}, {"type": "tool-look", "toolCallId": "c", "input": {"at": 1}, "output": "found"},
    ]},
]  # fmt: skip
CLASSES = [
    {"type": "HumanMessage", "content": "Qué?"}, {**LANGCHAIN[1], "type": "AIMessageChunk"},
    {**LANGCHAIN[2], "type": "ToolMessage"},
]  # fmt: skip
_RAN = {"state": "result", "toolCallId": "c", "toolName": "look", "args": {"at": 1}, "result": "found"}
BEFORE = [USER, {"role": "assistant", "content": "", "toolInvocations": [_RAN]}]
FOURTH = [
    {**USER, "parts": [{"type": "text", "text": "Qué?"}]},
    {
        "role": "assistant",
        "content": "",
        "parts": [{"type": "step-start"}, {"type": "tool-invocation", "toolInvocation": _RAN}],
    },
]
PYDANTIC = [
    {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": "Qué?"}]},
    {"kind": "response", "model_name": "gpt-4o", "provider_name": "openai", "parts": [
        {"part_kind": "tool-call", "tool_name": "look", "args": '{"at": 1}', "tool_call_id": "c"},
    ]},
    {"kind": "request", "parts": [
        {"part_kind": "tool-return", "tool_name": "look", "content": "found", "tool_call_id": "c"},
    ]},
]  # fmt: skip


@pytest.mark.parametrize("turns", [LANGCHAIN, CLASSES, VERCEL, PAGE, BEFORE, FOURTH, PYDANTIC])
@pytest.mark.parametrize("around", ["messages", "request", "inputs", "generation"])
def test_messages_of_frameworks_are_read_wherever_they_stand(tmp_path: Path, turns: Any, around: str) -> None:
    observation = {"id": "o", "traceId": "t", "type": "GENERATION", "input": turns, "output": "Sí", "model": "gpt-4o"}
    value = {
        "messages": {"model": "gpt-4o", "messages": turns},
        "request": {"request": {"model": "gpt-4o", "messages": turns}, "response": SAID},
        "inputs": {"inputs": turns, "outputs": {"role": "assistant", "content": "Sí"}, "metadata": {"model": "gpt-4o"}},
        "generation": [observation],
    }[around]
    call = read(tmp_path, value)
    assert told(call) == CONVERSATION
    assert json.loads(call.chat.messages[1].calls[0].arguments) == {"at": 1}
    assert call.chat.messages[2].answers == call.chat.messages[1].calls[0].id
    assert call.model == "openai/gpt-4o"
    if around != "messages":
        assert call.answer is not None
        assert call.answer.text == "Sí"


CLAUDE = [
    {"type": "summary", "summary": "x", "leafUuid": "z", "sessionId": "s"},
    {"type": "user", "uuid": "1", "parentUuid": None, "sessionId": "s", "message": USER},
    *(
        {"type": "assistant", "uuid": f"2{name}", "parentUuid": parent, "sessionId": "s", "message": {
            "id": "m1", "role": "assistant", "model": "claude-sonnet-5",
            "content": [{"type": "tool_use", "id": name, "name": "Read", "input": {"file": name}}],
        }} for name, parent in (("a", "1"), ("b", "2a"))
    ),
    *(
        {"type": "user", "uuid": f"3{name}", "parentUuid": f"2{name}", "sessionId": "s", "message": {
            "role": "user", "content": [{"type": "tool_result", "tool_use_id": name, "content": f"text of {name}"}],
        }} for name in "ab"
    ),
    {"type": "assistant", "uuid": "4", "parentUuid": "3b", "sessionId": "s", "message": {
        "id": "m2", "role": "assistant", "model": "claude-sonnet-5", "content": [{"type": "text", "text": "Sí"}],
    }},
]  # fmt: skip


def test_each_answer_in_a_session_of_claude_code_is_a_call_with_all_before_it(tmp_path: Path) -> None:
    (tmp_path / "session.jsonl").write_text(lines(*CLAUDE), encoding="utf-8")
    first, second = (each.call() for each in read_calls(tmp_path / "session.jsonl"))
    assert (told(first), told(second)) == (
        [("user", "Qué?")],
        [("user", "Qué?"), ("assistant", "Read Read"), ("tool", "text of a"), ("tool", "text of b")],
    )
    assert first.answer is not None
    assert [call.values for call in first.answer.calls] == [{"file": "a"}, {"file": "b"}]
    assert [(tool.name, tool.parameters["properties"]) for tool in second.chat.tools] == [
        ("Read", {"file": {"type": "string"}})
    ]
    assert "session" in dict(second.notices)


def test_each_answer_in_a_session_of_codex_is_a_call(tmp_path: Path) -> None:
    def item(**told: Any) -> dict[str, Any]:
        return {"timestamp": "t", "type": "response_item", "payload": told}

    rows = [
        {"type": "session_meta", "payload": {
            "id": "s", "base_instructions": {"text": "Be brief."}, "model_provider": "openai",
        }},
        {"type": "turn_context", "payload": {"model": "gpt-5-codex"}},
        item(type="message", role="user", content=[{"type": "input_text", "text": "Qué?"}]),
        {"type": "event_msg", "payload": {"type": "user_message", "message": "Qué?"}},
        item(type="reasoning", encrypted_content="xyz", summary=[]),
        item(type="function_call", name="shell", arguments='{"command": ["ls"]}', call_id="c"),
        item(type="function_call_output", call_id="c", output="files"),
        item(type="message", role="assistant", content=[{"type": "output_text", "text": "Sí"}]),
    ]  # fmt: skip
    first, second = read(tmp_path, lines(*rows), 1), read(tmp_path, lines(*rows), "last")
    assert told(first) == [("system", "Be brief."), ("user", "Qué?")]
    assert told(second) == [*told(first), ("assistant", "shell"), ("tool", "files")]
    assert (second.model, second.protocol) == ("openai/gpt-5-codex", "responses")
    assert second.answer is not None
    assert second.answer.text == "Sí"


@pytest.mark.parametrize(
    "command",
    [
        "curl http://localhost:1/v1/chat/completions -H 'Authorization: Bearer sk-a' -d '{}'",
        "curl --json '{}' http://localhost:1/v1/chat/completions | jq .",
        "curl 'http://localhost:1/v1/chat/completions' \\\n  --data-raw $'{}' --compressed",
        "### a call\nPOST http://localhost:1/v1/chat/completions\nContent-Type: application/json\n\n{}\n",
        "POST /v1/chat/completions HTTP/1.1\nHost: localhost:1\nAuthorization: Bearer sk-a\n\n{}",
        "curl -sSX POST --limit-rate 10k http://localhost:1/v1/chat/completions -sd '{}' 2>/dev/null",
        "curl localhost:1/v1/chat/completions --max-time 60 -d'{}'",
        "#!/bin/sh\n# what's asked\nexport KEY=1\n\nKEY=2 curl http://localhost:1/v1/chat/completions -d '{}'",
        "time curl http://localhost:1/v1/chat/completions -d @- <<'EOF' | jq .\n{}\nEOF\n",
        "# @name ask\nPOST http://localhost:1/v1/chat/completions\n\n{}\n\n>> answer.json\n",
    ],
)
def test_requests_that_are_written_down_are_read(tmp_path: Path, command: str) -> None:
    text = json.dumps({"model": "m", "messages": [{"role": "user", "content": "It\\'s" if "$'" in command else "Its"}]})
    call = read(tmp_path, command.replace("{}", text.replace("\\\\", "\\")))
    assert call.chat.messages[0].text in {"Its", "It's"}
    assert "localhost:1" in (call.base_url or dict(call.notices)["foreign-address"])


def test_documents_of_cohere_stand_before_the_question_and_both_protocols_are_read(tmp_path: Path) -> None:
    new = {"model": "command-a", "documents": [{"data": {"text": "Rome"}}, "Oslo"], "p": 0.5, "messages": [
        {"role": "system", "content": "S"}, USER,
        {"role": "assistant", "tool_plan": "plan", "tool_calls": [
            {"id": "c", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": "found"}}]},
    ]}  # fmt: skip
    answer = {
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Sí"}]},
    }
    call = read(
        tmp_path, {"request": {"url": "https://api.cohere.com/v2/chat", "body": new}, "response": {"body": answer}}
    )
    assert told(call) == [
        ("system", "S"), ("user", 'Document 1:\n{"text": "Rome"}\n\nDocument 2:\nOslo'), ("user", "Qué?"),
        ("assistant", "plan"), ("tool", "found"),
    ]  # fmt: skip
    assert call.answer is not None
    assert (call.answer.text, call.settings.top_p, call.model) == ("Sí", 0.5, "cohere/command-a")
    old = {
        "model": "command-r",
        "message": "Qué?",
        "preamble": "S",
        "chat_history": [{"role": "CHATBOT", "message": "A"}],
    }
    assert told(read(tmp_path, old)) == [("system", "S"), ("assistant", "A"), ("user", "Qué?")]


def test_tools_that_the_responses_protocol_has_itself_keep_what_they_gave_back(tmp_path: Path) -> None:
    items = [
        {"role": "user", "content": "Qué?"},
        {"type": "shell_call", "call_id": "1", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "1", "output": [{"stdout": "files", "stderr": "oh"}]},
        {"type": "mcp_call", "id": "2", "name": "weather", "arguments": "{}", "output": "rain"},
        {"type": "web_search_call", "id": "3", "action": {"query": "q"}},
        {"type": "mcp_call", "id": "4", "name": "clock", "arguments": "{}", "error": {"message": "down"}},
        {
            "type": "file_search_call",
            "id": "5",
            "queries": ["q"],
            "results": [
                {"file_id": "f", "filename": "a.txt", "text": "Ann"},
                {"file_id": "g", "filename": "b.txt", "text": "Bob"},
            ],
        },
    ]
    call = read(tmp_path, {"model": "gpt-5", "input": items})
    assert told(call) == [
        ("user", "Qué?"), ("assistant", "shell"), ("tool", "files\noh"), ("assistant", "weather"), ("tool", "rain"),
        ("assistant", "clock"), ("tool", "down"), ("assistant", "file_search"), ("tool", "Ann\nBob"),
    ]  # fmt: skip
    assert call.chat.messages[-1].parts == ("Ann", "Bob")
    assert {"own-tool", "lost-part"} <= dict(call.notices).keys()


def test_ollamas_prompt_is_the_chat_that_its_server_makes_and_results_go_by_the_names_of_tools(tmp_path: Path) -> None:
    url = "http://localhost:11434/api/generate"
    asked = {"model": "llama3.2", "prompt": "Qué?", "system": "S", "options": {"temperature": 0, "top_k": 3}}
    pieces = lines({"response": "S", "done": False}, {"response": "í", "done": True, "done_reason": "stop"})
    call = read(tmp_path, {"request": {"url": url, "body": asked}, "response": {"body": pieces}})
    assert (told(call), call.base_url) == ([("system", "S"), ("user", "Qué?")], "http://localhost:11434/v1")
    assert call.answer is not None
    assert call.answer.text == "Sí"
    assert "top_k" in dict(call.notices)["settings-left"]
    assert "cut-answer" not in dict(call.notices)
    broken = {"request": {"url": url, "body": asked}, "response": {"body": pieces[:-10]}}
    assert "cut-answer" in dict(read(tmp_path, broken).notices)
    called = [{"function": {"name": name, "arguments": {}}} for name in "ab"]
    turns = [USER, {"role": "assistant", "content": "", "tool_calls": called}]
    turns += [{"role": "tool", "tool_name": name, "content": f"of {name}"} for name in "ba"]
    chat = read(tmp_path, {"model": "m", "options": {}, "messages": turns}).chat
    first, second = chat.messages[1].calls
    assert {turn.answers: turn.text for turn in chat.messages[2:]} == {first.id: "of a", second.id: "of b"}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ({"status": 429, "body": {"error": {"message": "Too many", "code": "rate_limit"}}}, "answer-error"),
        ({"status": 200, "body": {"weird": 1}}, "answer-unread"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "answer-error"),
        ({"object": "response", "status": "failed", "error": {"message": "Oops"}, "output": []}, "answer-error"),
    ],
)
def test_an_answer_that_is_none_or_is_not_read_is_said(tmp_path: Path, response: Any, code: str) -> None:
    sent = {"input": [USER]} if response.get("object") == "response" else {"messages": [USER]}
    call = read(tmp_path, {"request": {"model": "gpt-4o", **sent}, "response": response})
    assert call.answer is None
    assert code in dict(call.notices)


def test_the_model_in_an_address_and_what_bedrock_logs_are_found(tmp_path: Path) -> None:
    azure = "https://x.openai.azure.com/openai/deployments/dep/chat/completions?api-version=1"
    call = read(tmp_path, {"request": {"url": azure, "body": {"messages": [USER]}}})
    assert "openai/dep" in dict(call.notices)["foreign-address"]
    document = {"format": "txt", "name": "n", "source": {"bytes": base64.b64encode(b"Oslo").decode()}}
    log = {
        "schemaType": "ModelInvocationLog", "requestId": "r", "modelId": "amazon.nova-lite-v1:0",
        "input": {"inputBodyJson": {"messages": [
            {"role": "user", "content": [{"text": "Qué?"}, {"document": document}]},
        ]}},
        "output": {"outputBodyJson": {"output": {"message": {"role": "assistant", "content": [{"text": "Sí"}]}}}},
    }  # fmt: skip
    call = read(tmp_path, log)
    assert call.chat.messages[0].text == "Qué?\nDocument: n\nOslo"
    assert call.answer is not None
    assert call.answer.text == "Sí"
    assert "bedrock" in dict(call.notices)["unknown-provider"]


def test_what_stands_in_a_row_beside_a_request_is_not_sent_and_secrets_by_any_name_are_not_kept(tmp_path: Path) -> None:
    row = {"id": "1", "created_at": "t", "user_id": "ann", "latency_ms": 3, "model": "gpt-4o", "messages": [USER]}
    assert not {key for key, value in read(tmp_path, row).settings.extra.items() if value is not None}
    servers = [{"url": "https://m", "name": "s", "authorization_token": "correct horse battery"}]
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [USER], "mcp_servers": servers}
    call = read(tmp_path, body)
    assert "horse" not in repr(call.settings)
    assert "key" in dict(call.notices)


def test_messages_in_a_record_of_a_form_that_nobody_knows_are_taken_and_that_is_said(tmp_path: Path) -> None:
    call = read(tmp_path, {"tool": "x", "conversation": [USER], "settings": {"model": "gpt-4o"}})
    assert told(call) == [("user", "Qué?")]
    assert "settings" in dict(call.notices)["unknown-form"]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"object": "chat.completion", **SAID}, "without its request"),
        ({"custom_id": "a", "response": {"status_code": 200, "body": SAID}}, "custom_id"),
        ({"id": "r", "object": "response", "output": [{"role": "assistant", "content": []}]}, "without its request"),
        ({"error": {"message": "Overloaded", "type": "overloaded_error"}}, "an error of a service"),
        ({"model": "gpt-5", "prompt": {"id": "pmpt_1"}}, "kept by the provider"),
        ({"object": "trace.span", "span_data": {"type": "response", "response_id": "r"}}, "Agents SDK"),
        ({"request_id": "r", "spend": 0.1, "messages": "{}", "response": "{}"}, "store_prompts_in_spend_logs"),
        ({"id": "o", "traceId": "t", "type": "GENERATION", "input": None}, "Langfuse"),
        ([{"title": "t", "mapping": {}, "current_node": "a"}], "chat's page"),
        ({"model": "m", "prompt": "Once upon"}, "completion of one text"),
        ({"log": {"entries": [{"request": {"method": "GET", "url": "https://x"}}]}}, "HAR"),
        ({"method": "POST", "url": "/v1/embeddings", "body": {"model": "e", "input": "x"}}, "answers nothing"),
        ("id,input\n1,2\n", "CSV"),
        ("model: m\nmessages:\n- role: user\n", "YAML"),
        ("messages:\n  - role: user\n    content: hi\n", "YAML"),
        ("---\n# mine\nmodel: m\nmessages: []\n", "YAML"),
        ("interactions:\n- request:\n    body: '{}'\nversion: 1\n", "vcrpy.*serializer='json'"),
        ("---\n# mine\ninteractions:\n  - request: {}\n", "vcrpy"),
        ("%YAML 1.2\n---\nmodel: m\nmessages: []\n", "YAML"),
        ("messages:\r\n  - role: user\r\n    content: hi\r\n", "YAML"),
        ("Dear Ann, this is no record.\nIt is a letter.\n", "begins with 'Dear Ann"),
        ("4083:4:type;4:http;", "hardump"),
        ("* Host x was resolved.\n> POST / HTTP/1.1\n", "curl says"),
        ('data: {"choices": []}\n\n', "without its request"),
        ("{'model': 'm', 'messages': []}", "json.dumps"),
        ("curl https://api.openai.com/v1/chat/completions -d @body.json", "body.json"),
        ("POST https://api.openai.com/v1/chat/completions\n\n< ./body.json\n", "file './body.json'"),
        (
            'curl https://api.openai.com/v1/chat/completions -d "$(cat body.json)"',
            r"what \$\(cat body.json\) stands for",
        ),
        ('curl ^"https://api.openai.com/v1/chat/completions^" ^\n --data-raw ^"x^"', "cmd.exe"),
        ("curl https://ann:correcthorse@x.org/v1 -d ''", "nothing is sent to https://x.org/v1"),
        ("http POST https://api.openai.com/v1/chat/completions model=m", "a curl command"),
        ("import openai\n\nopenai.OpenAI()", "a curl command"),
        ("OPENAI: sk-abcdefghijklmnop", r"begins with 'OPENAI: \[key\]'"),
    ],
)
def test_what_is_no_call_says_what_it_is_and_what_to_do(tmp_path: Path, value: object, named: str) -> None:
    with pytest.raises(DataError, match=named):
        read(tmp_path, value)


@pytest.mark.parametrize(
    "value",
    [
        {"model": "m", "documents": ["x"], "messages": [{"content": "no role"}]},
        {"model": "m", "messages": [{"kind": "request", "parts": [{"part_kind": ["user-prompt"]}]}]},
    ],
)
def test_broken_words_of_frameworks_are_refused_in_words(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError):
        read(tmp_path, value)


def test_a_part_of_a_page_whose_type_is_no_text_is_read_by_its_text(tmp_path: Path) -> None:
    turn = {"role": "user", "parts": [{"type": {}, "text": "x"}, {"type": "text", "text": "y"}]}
    assert read(tmp_path, {"messages": [turn, *PAGE]}).chat.messages[0].text == "x\ny"


FRAMEWORKS = json.loads((Path(__file__).parent / "samples" / "frameworks.json").read_text("utf-8"))
RUNS = [
    (name, key) for name, kept in FRAMEWORKS.items() for key in kept
    if key not in {"version", "spans", "events", "steps", "rows"}
]  # fmt: skip


def _file(tmp_path: Path, value: Any) -> Path:
    """A record as its framework writes it: JSON, or a database of that SQL."""
    path = tmp_path / ("record.db" if isinstance(value, str) else "record.json")
    if isinstance(value, str):
        with sqlite3.connect(path) as connection:
            connection.executescript(value)
    else:
        path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "key"), RUNS)
def test_what_frameworks_keep_of_a_run_is_read_whole(tmp_path: Path, name: str, key: str) -> None:
    call = Call.read(_file(tmp_path, FRAMEWORKS[name][key]))
    turns = [turn for turn in call.chat.messages if turn.role != "system"]
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [str(part) for part in turns[0].content] == [ASKED]
    assert [[(each.name, each.values) for each in turn.calls] for turn in turns[1::2]] == [
        [("read_mail", {"number": 1})],
        [("send_email", SENT)],
    ]
    assert [turn.text for turn in turns[2::2]] == [MAIL, "sent"]
    assert [turn.answers for turn in turns[2::2]] == [turn.calls[0].id for turn in turns[1::2]]
    assert call.answer is not None
    assert call.answer.text == "I have sent it."
    assert {tool.name for tool in call.chat.tools} == {"read_mail", "send_email"}
    assert "unknown-part" not in dict(call.notices)
    steps = steps_in(call)
    assert [[each.name for each in (step.answer or Output()).calls] for step in steps] == [
        ["read_mail"], ["send_email"], [],
    ]  # fmt: skip
    assert [len(step.chat.messages) for step in steps] == [len(call.chat.messages) - left for left in (4, 2, 0)]


@pytest.mark.parametrize(
    ("name", "key"),
    [("agents", "spans"), ("autogen", "events"), ("braintrust", "rows"), ("smolagents", "steps"), ("dspy", "rows")],
)
def test_what_frameworks_keep_of_each_call_is_read(tmp_path: Path, name: str, key: str) -> None:
    rows = FRAMEWORKS[name][key]
    calls = [each.call() for each in read_calls(_file(tmp_path, rows))]
    assert len(calls) == len(rows) > 1
    called = [each.name for call in calls for each in (call.answer or Output()).calls]
    assert called[0] == ("send_email" if name == "braintrust" else "read_mail")
    assert all(call.chat.messages[-1].role in {"user", "tool"} for call in calls)
    assert not any({"answer-unread", "unknown-form", "unknown-part"} & dict(call.notices).keys() for call in calls)
    if name != "smolagents":
        assert {call.model for call in calls} == {"openai/gpt-4o-mini"}


def test_a_model_is_asked_at_the_address_that_stands_beside_its_settings_or_its_messages(tmp_path: Path) -> None:
    for name, key in (("agents", "spans"), ("pydantic", "messages")):
        [first, *_] = read_calls(_file(tmp_path, FRAMEWORKS[name][key]))
        assert (first.call().model, first.call().base_url) == ("openai/gpt-4o-mini", "http://127.0.0.1:4321/v1")


def test_tools_without_a_definition_are_offered_as_they_were_called(tmp_path: Path) -> None:
    call = Call.read(_file(tmp_path, FRAMEWORKS["haystack"]["messages"]))
    assert call.chat.tools == (
        Tool("read_mail", "", {"type": "object", "properties": {"number": {"type": "integer"}}}),
        Tool("send_email", "", {"type": "object", "properties": {"to": TEXT, "body": TEXT}}),
    )
    assert "read_mail, send_email" in dict(call.notices)["no-tools"]


def test_an_answer_of_calls_alone_is_no_record(tmp_path: Path) -> None:
    items = [{"type": "function_call", "name": "read_mail", "arguments": "{}", "call_id": "c"}]
    with pytest.raises(DataError, match="holds no call"):
        read(tmp_path, items)


@pytest.mark.parametrize(
    ("content", "text"),
    [({"ok": True}, '{"ok": true}'), (7, "7"), (False, "false"), ({"type": "text", "text": "went"}, "went")],
)
def test_a_result_that_a_log_kept_as_json_is_its_text(tmp_path: Path, content: object, text: str) -> None:
    called = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "go"}}]}
    turns = [USER, called, {"role": "tool", "tool_call_id": "c", "content": content}]
    assert read(tmp_path, {"model": "gpt-4o", "messages": turns}).chat.messages[-1].text == text


def test_a_row_of_a_table_and_a_request_beside_its_answer_are_read_where_they_stand(tmp_path: Path) -> None:
    request, answer = {"model": "gpt-4o", "messages": [USER]}, {"choices": [{"message": {"content": "Fine."}}]}
    for record in (
        {"id": 3, "model": "gpt-4o", "messages": json.dumps([USER]), "tools": "[]", "response": json.dumps(answer)},
        {"data": {"event": {"input": request, "output": answer}}},
    ):
        call = read(tmp_path, record)
        assert call.answer is not None
        assert (call.chat.messages[0].text, call.answer.text) == (USER["content"], "Fine.")


def test_a_log_with_names_of_its_own_is_shown_the_smallest_record_and_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A log with names of its own") as told:
        read(tmp_path, {"question": "Where is Bo?", "reply": "In Ulm."})
    call = read(tmp_path, json.loads(str(told.value).partition("written as ")[2].partition("; a last")[0]))
    assert (call.model, len(call.chat.messages), call.answer) == ("openai/gpt-4o", 1, Output(text="..."))


def test_what_a_service_runs_itself_is_not_offered_again_as_a_tool_of_the_request(tmp_path: Path) -> None:
    used = {"type": "mcp_tool_use", "id": "m", "name": "echo", "server_name": "s", "input": {}}
    server = {"type": "url", "url": "https://mcp.example", "name": "s"}
    request = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [USER], "mcp_servers": [server]}
    answer = {"type": "message", "role": "assistant", "content": [used], "stop_reason": "end_turn"}
    call = read(tmp_path, {"request": request, "response": answer})
    assert (call.chat.tools, list(dict(call.notices))) == ((), ["ran-tools"])
