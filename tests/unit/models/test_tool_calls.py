"""Calls of tools over the wire: what the official clients are given to send, and what is read of what they bring."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from anthropic.types import MessageParam, ToolUnionParam
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from openai.types.responses import ResponseInputItemParam, ToolParam
from pydantic import TypeAdapter

from whygen.errors import UsageError
from whygen.models import ChecksRequests, Model, ModelOptions, load_model
from whygen.models.anthropic.model import parameters as message_body
from whygen.models.anthropic.model import read_message
from whygen.models.openai.responses import read_response, response_body
from whygen.models.openai.text import chat_body, read_chat
from whygen.remote import Malformed
from whygen.types import Block, Chat, Failure, Message, Output, Picture, Request, Settings, Tool, ToolCall

PNG = Picture(b"\x89PNG\r\n\x1a\n")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"to": {"type": "string"}}}
SEND = Tool("send_email", "Sends an e-mail.", SCHEMA)
SEARCH = Tool("search", "", {"type": "object", "properties": {"q": {"type": "string"}}})
CHAT = Chat(
    (
        Message("system", "Be brief."),
        Message("user", "", parts=("Look at", PNG, "and tell Ann.")),
        Message(
            "assistant", "", calls=(ToolCall("search", '{"q": "Ann"}', "c1"), ToolCall("search", '{"q": "B"}', "c2"))
        ),
        Message("tool", "ann@x.org", answers="c1"),
        Message("tool", "", answers="c2", parts=("b@x.org", "found twice")),
        Message("user", "Go on."),
    ),
    (SEND, SEARCH),
    "send_email",
)
ARGUMENTS = '{"to": "ann@x.org"}'
SENT = {
    "chat": {
        "choices": [{
            "index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": None, "tool_calls": [
                {"id": "k", "type": "function", "function": {"name": "send_email", "arguments": ARGUMENTS}}]},
        }],
    },
    "responses": {
        "status": "completed", "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "secret"}]},
            {"type": "function_call", "call_id": "k", "name": "send_email", "arguments": ARGUMENTS},
        ],
    },
    "anthropic": {
        "type": "message", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "secret"},
            {"type": "tool_use", "id": "k", "name": "send_email", "input": json.loads(ARGUMENTS)},
        ],
    },
}  # fmt: skip
"""One answer, a call of a tool, as each protocol says it."""


@contextmanager
def answering(answer: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that says one thing, and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def opened(root: str, protocol: str) -> Model:
    if protocol == "anthropic":
        return load_model("anthropic/test", ModelOptions(base_url=root))
    return load_model("openai/test", ModelOptions(base_url=f"{root}/v1", endpoint=protocol))


def asked_with(protocol: str, request: Request) -> tuple[dict[str, Any], Output]:
    with answering(SENT[protocol]) as (root, asked):
        [answer] = opened(root, protocol).answer([request])
    assert isinstance(answer, Output), answer
    return asked[0], answer


def plain(value: Any) -> Any:
    """With the lists of pydantic's lazy iterables read."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return (
        value if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else [plain(each) for each in value]
    )


def check_shape(kind: Any, sent: object) -> None:
    """That the official types of a protocol take what was sent, field for field."""
    assert plain(TypeAdapter(list[kind]).validate_python(sent)) == sent


@pytest.mark.parametrize("protocol", SENT)
def test_a_call_of_a_tool_is_read_and_what_is_thought_is_not(protocol: str) -> None:
    _, answer = asked_with(protocol, Request(prompt=CHAT))
    assert (answer.text, answer.finish) == ("", "stop")
    assert [(call.name, call.values, call.id) for call in answer.calls] == [("send_email", json.loads(ARGUMENTS), "k")]
    assert "secret" not in repr(answer)


def test_the_chat_endpoint_is_sent_calls_and_results_parts_in_order() -> None:
    sent, _ = asked_with("chat", Request(prompt=CHAT))
    check_shape(ChatCompletionMessageParam, sent["messages"])
    check_shape(ChatCompletionToolUnionParam, sent["tools"])
    _, user, called, first, second, last = sent["messages"]
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert called["content"] is None
    assert [call["id"] for call in called["tool_calls"]] == ["c1", "c2"]
    assert first == {"role": "tool", "tool_call_id": "c1", "content": "ann@x.org"}
    assert [part["text"] for part in second["content"]] == ["b@x.org", "found twice"]
    assert last == {"role": "user", "content": "Go on."}
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "send_email"}}


def test_the_responses_endpoint_is_sent_items() -> None:
    sent, _ = asked_with("responses", Request(prompt=CHAT, settings=Settings(max_tokens=20, top_p=0.5)))
    check_shape(ResponseInputItemParam, sent["input"])
    check_shape(ToolParam, sent["tools"])
    assert sent["instructions"] == "Be brief."
    assert [item["type"] for item in sent["input"]] == [
        "message", "function_call", "function_call", "function_call_output", "function_call_output", "message",
    ]  # fmt: skip
    assert [part["type"] for part in sent["input"][0]["content"]] == ["input_text", "input_image", "input_text"]
    assert sent["tool_choice"] == {"type": "function", "name": "send_email"}
    assert {name: sent[name] for name in ("max_output_tokens", "top_p", "store")} == {
        "max_output_tokens": 20, "top_p": 0.5, "store": False,
    }  # fmt: skip


def test_what_several_tools_gave_back_is_one_turn_of_the_user_at_anthropic() -> None:
    sent, _ = asked_with("anthropic", Request(prompt=CHAT))
    check_shape(MessageParam, sent["messages"])
    check_shape(ToolUnionParam, sent["tools"])
    assert sent["system"] == "Be brief."
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["tool_use", "tool_use"]
    results = sent["messages"][2]["content"]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert [block["tool_use_id"] for block in results[:2]] == ["c1", "c2"]
    image = sent["messages"][0]["content"][1]
    assert base64.b64decode(image["source"]["data"]) == PNG.data
    assert sent["tool_choice"] == {"type": "tool", "name": "send_email"}


@pytest.mark.parametrize("protocol", SENT)
@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_choice_is_sent_where_there_are_tools(protocol: str, choice: str) -> None:
    turns = (Message("user", "hello"),)
    sent, _ = asked_with(protocol, Request(prompt=Chat(turns, (SEARCH,), choice)))
    words = {"required": {"type": "any"}, "none": {"type": "none"}} if protocol == "anthropic" else {}
    assert sent.get("tool_choice") == (None if choice == "auto" else words.get(choice, choice))
    bare, _ = asked_with(protocol, Request(prompt=Chat(turns, (), choice)))
    assert not {"tools", "tool_choice"} & set(bare)


def test_blocks_go_to_their_own_protocol_whole_and_to_others_as_their_text() -> None:
    document = Block(
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Open 9 to 5."}},
        "anthropic", ("source", "data"),
    )  # fmt: skip
    marked = Block({"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}, "anthropic", ("text",))
    prompt = Chat((Message("system", "", parts=(marked,)), Message("user", "", parts=(document, "When?"))))
    sent, _ = asked_with("anthropic", Request(prompt=prompt))
    assert sent["system"] == [marked.raw]
    assert sent["messages"][0]["content"][0] == document.raw
    for protocol in ("chat", "responses"):
        other, _ = asked_with(protocol, Request(prompt=prompt))
        assert "Open 9 to 5." in json.dumps(other)
        assert "cache_control" not in json.dumps(other)
        assert "document" not in json.dumps(other)


PDF = Block({"type": "document", "source": {"type": "base64", "data": "JVBERi0="}}, "anthropic")
FILE = Block({"type": "file", "file": {"file_id": "f"}}, "openai")
WEB = Tool("web_search", extra={"type": "web_search_20250305", "max_uses": 2})
FILES = Tool("file_search", extra={"type": "file_search", "vector_store_ids": ["v"]})
STRANGE = [
    ("chat", Chat((Message("user", "", parts=(PDF, "Sum it up.")),)), "type 'document'"),
    ("responses", Chat((Message("user", "", parts=(PDF,)),)), "type 'document'"),
    ("anthropic", Chat((Message("user", "", parts=(FILE,)),)), "type 'file'"),
    ("chat", Chat((Message("user", "x"),), (WEB,)), "web_search_20250305"),
    ("chat", Chat((Message("user", "x"),), (FILES,)), "file_search"),
    ("responses", Chat((Message("user", "x"),), (WEB,)), "web_search_20250305"),
    ("anthropic", Chat((Message("user", "x"),), (FILES,)), "file_search"),
    ("anthropic", Chat((Message("user", "x"), Message("system", "y"))), "system message stands among"),
    ("chat", Chat((Message("tool", "x"),)), "answers no call"),
    ("responses", Chat((Message("user", "x"),), (SEARCH,), "dig"), "one of: search"),
]


@pytest.mark.parametrize(("protocol", "prompt", "said"), STRANGE)
def test_what_a_protocol_has_no_place_for_is_refused_before_anything_is_sent(
    protocol: str, prompt: Chat, said: str
) -> None:
    with answering(SENT[protocol]) as (root, asked):
        model = opened(root, protocol)
        [answer] = model.answer([Request(prompt=prompt)])
        assert isinstance(model, ChecksRequests)
        with pytest.raises(UsageError, match=said):
            model.check(Request(prompt=prompt))
    assert isinstance(answer, Failure)
    assert answer.kind == "permanent"
    assert said in answer.message + answer.advice
    assert answer.advice
    assert not asked


def test_tools_that_a_service_runs_are_sent_to_it_as_they_stood() -> None:
    sent, _ = asked_with("anthropic", Request(prompt=Chat((Message("user", "x"),), (WEB,))))
    assert sent["tools"] == [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]
    sent, _ = asked_with("responses", Request(prompt=Chat((Message("user", "x"),), (FILES,), "file_search")))
    assert sent["tools"] == [{"type": "file_search", "vector_store_ids": ["v"]}]
    assert sent["tool_choice"] == {"type": "file_search"}


def test_calls_without_ids_are_numbered_alike_on_every_protocol() -> None:
    turns = (
        Message("user", "x"),
        Message("assistant", "I look.", calls=(ToolCall("search", "no json"), ToolCall("search"))),
        Message("tool", "one"),
        Message("tool", "two"),
    )
    sent, _ = asked_with("chat", Request(prompt=Chat(turns, (SEARCH,))))
    assert [turn.get("tool_call_id") for turn in sent["messages"][2:]] == ["call00001", "call00002"]
    sent, _ = asked_with("anthropic", Request(prompt=Chat(turns, (SEARCH,))))
    text, first, second = sent["messages"][1]["content"]
    assert text == {"type": "text", "text": "I look."}
    assert (first["input"], second["input"]) == ({"arguments": "no json"}, {})
    assert [block["tool_use_id"] for block in sent["messages"][2]["content"]] == [first["id"], second["id"]]


def test_a_tool_of_free_form_is_sent_and_read_as_one() -> None:
    free = Tool("sql", "Runs SQL.", extra={"type": "custom"})
    turns = (
        Message("user", "x"),
        Message("assistant", "", calls=(ToolCall("sql", "SELECT 1", "c1"),)),
        Message("tool", "1"),
    )
    sent, _ = asked_with("chat", Request(prompt=Chat(turns, (free,), "sql")))
    check_shape(ChatCompletionMessageParam, sent["messages"])
    check_shape(ChatCompletionToolUnionParam, sent["tools"])
    assert sent["messages"][1]["tool_calls"][0]["custom"] == {"name": "sql", "input": "SELECT 1"}
    sent, _ = asked_with("responses", Request(prompt=Chat(turns, (free,), "sql")))
    check_shape(ResponseInputItemParam, sent["input"])
    assert [item["type"] for item in sent["input"]] == ["message", "custom_tool_call", "custom_tool_call_output"]
    read = read_response({"output": [{"type": "custom_tool_call", "name": "sql", "input": "SELECT 2", "call_id": "k"}]})
    assert read.calls == (ToolCall("sql", "SELECT 2"),)


def test_refusals_and_ends_of_responses_are_read() -> None:
    part = {"type": "refusal", "refusal": "I cannot help."}
    refused = read_response({"status": "completed", "output": [{"type": "message", "content": [part]}]})
    assert (refused.text, refused.finish) == ("I cannot help.", "refused")
    for reason, finish in (("max_output_tokens", "length"), ("content_filter", "refused")):
        cut = read_response({"status": "incomplete", "output": [], "incomplete_details": {"reason": reason}})
        assert cut.finish == finish
    searched = {"type": "web_search_call", "id": "w", "status": "completed", "action": {"query": "fox"}}
    said = {"type": "message", "content": [{"type": "output_text", "text": "A fox."}]}
    both = read_response({"output": [searched, said], "usage": {"input_tokens": 3, "output_tokens": 2}})
    assert (both.text, both.tokens_in, both.tokens_out) == ("A fox.", 3, 2)
    assert both.calls == (ToolCall("web_search", '{"query": "fox"}'),)
    with pytest.raises(Malformed):
        read_response({"id": "resp_1"})


def test_an_old_call_of_a_function_is_read() -> None:
    message = {"content": None, "function_call": {"name": "search", "arguments": "{}"}}
    assert read_chat({"choices": [{"message": message}]}).calls == (ToolCall("search"),)


BROKEN: Sequence[Any] = [
    None, 7, "search", {}, {"function": None}, {"function": {"arguments": "{}"}}, {"function": {"name": 3}},
    {"function": {"name": "search", "arguments": {"q": [1]}}},
    {"id": 4, "function": {"name": "search", "arguments": "{"}},
    {"name": "search", "arguments": None}, [], {"function": {"name": "search", "arguments": 'x' * 9}},
]  # fmt: skip


@pytest.mark.parametrize("entry", BROKEN)
def test_a_broken_call_is_seen_and_never_a_crash(entry: Any) -> None:
    [call] = read_chat({"choices": [{"message": {"content": "", "tool_calls": [entry]}}]}).calls
    assert call.name in ("search", "(no name)")
    assert call.said.startswith(call.name)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "name", "arguments", "function", "input", "content", "id", "call_id", "tool_calls"]),
        inner | st.sampled_from(["tool_use", "function_call", "message", "web_search_call"]), max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(ANY)
def test_whatever_stands_in_an_answer_is_read(found: Any) -> None:
    read_chat({"choices": [{"message": {"content": None, "tool_calls": found, "function_call": found}}]})
    blocks = found if isinstance(found, list) else [found]
    read_message({"content": blocks, "stop_reason": "tool_use"})
    read_response({"output": blocks})


@pytest.mark.parametrize("protocol", SENT)
def test_a_key_in_the_arguments_of_a_call_is_not_kept(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "ann@x.org-and-more")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "ann@x.org-and-more")
    answer = json.loads(json.dumps(SENT[protocol]).replace("ann@x.org", "ann@x.org-and-more"))
    with answering(answer) as (root, _):
        [found] = opened(root, protocol).answer([Request(prompt=CHAT)])
    assert isinstance(found, Failure)
    assert "holds the key" in found.message


@pytest.mark.parametrize("protocol", SENT)
def test_a_batch_is_asked_with_the_same_and_reads_the_same(protocol: str) -> None:
    model: Any = opened("http://127.0.0.1:9", protocol)
    line = json.loads(model.batches.line("r1", Request(prompt=CHAT)).rstrip(b","))
    sent, _ = asked_with(protocol, Request(prompt=CHAT))
    assert line.get("body", line.get("params")) == sent
    if protocol != "anthropic":
        assert line["url"] == {"chat": "/v1/chat/completions", "responses": "/v1/responses"}[protocol]
    refused = model.batches.line("r2", Request(prompt=STRANGE[6][1] if protocol == "anthropic" else STRANGE[3][1]))
    assert isinstance(refused, Failure)


NAMES = ("send_email", "search")
FLAT = {
    "type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": name} for name in NAMES],
}  # fmt: skip
LISTED = {"mode": "auto", "tools": [{"type": "function", "function": {"name": name}} for name in NAMES]}
NESTED = {"type": "allowed_tools", "allowed_tools": LISTED}


@pytest.mark.parametrize(
    ("body", "choice"),
    [
        (lambda request: chat_body("m", request, length="max_tokens"), NESTED),
        (lambda request: response_body("m", request), FLAT),
        (message_body, {"type": "any", "disable_parallel_tool_use": True}),
        (message_body, {"type": "tool", "name": "send_email", "disable_parallel_tool_use": True}),
        (lambda request: response_body("m", request), {"type": "web_search"}),
    ],
)
def test_settings_of_tools_that_a_mask_took_away_are_not_sent(body: Any, choice: Mapping[str, Any]) -> None:
    settings = Settings(extra={"tool_choice": choice, "parallel_tool_calls": False})
    web = Tool("web_search", "", {}, extra={"type": "web_search"})
    whole = (SEND, SEARCH, web) if choice["type"] == "web_search" else (SEND, SEARCH)
    sent = [
        body(Request(prompt=Chat([Message("user", "Hi")], left), settings=settings)) for left in (whole, (SEARCH,), ())
    ]
    assert sent[0]["tool_choice"] == choice
    assert "parallel_tool_calls" in sent[1]
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & sent[2].keys()
    left = json.dumps(sent[1].get("tool_choice", ""))
    assert "send_email" not in left
    assert "web_search" not in left
    assert ("search" in left) == (choice["type"] == "allowed_tools")
