"""Why a tool is called: explanations of models that answer with calls, over the wire and in Python."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from whygen import PromptExplanation, explain_prompt, load
from whygen.models import ModelOptions, load_model
from whygen.types import Chat, Message, Output, Request, Tool, ToolCall

PROMPT = "please order me one large tea for Ann today"
CHAT = Chat((Message("user", PROMPT),), (Tool("order"), Tool("show")))


def called(text: str) -> tuple[str, dict[str, str]]:
    """Tea is ordered, for Ann if she is named; anything else is shown."""
    return ("order" if "tea" in text else "show"), {"to": "Ann" if "Ann" in text else "me"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            content = (body.get("messages") or body.get("input"))[-1]["content"]
            name, values = called(content)
            if self.path.endswith("/chat/completions"):
                call = {"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps(values)}}
                answer: dict[str, Any] = {"choices": [{"message": {"content": None, "tool_calls": [call]}}]}
            elif self.path.endswith("/responses"):
                call = {"type": "function_call", "name": name, "arguments": json.dumps(values), "call_id": "c"}
                answer = {"output": [call], "status": "completed"}
            else:
                call = {"type": "tool_use", "id": "c", "name": name, "input": values}
                answer = {"content": [call], "stop_reason": "tool_use"}
            sent = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()
    thread.join()


def significant(explanation: PromptExplanation) -> list[str]:
    return [unit.text for unit in explanation.units if unit.significant]


@pytest.mark.parametrize(
    ("protocol", "target", "words"),
    [("chat", "tool", ["tea"]), ("chat", "auto", ["tea", "Ann"]), ("responses", "tool:order", ["tea"]),
     ("anthropic", "tool", ["tea"])],
)  # fmt: skip
def test_why_a_tool_is_called_on_every_protocol(server: str, protocol: str, target: str, words: list[str]) -> None:
    if protocol == "anthropic":
        model = load_model("anthropic/m", ModelOptions(base_url=server))
    else:
        model = load_model("openai/m", ModelOptions(base_url=f"{server}/v1", endpoint=protocol))
    found = explain_prompt(model, CHAT, target=target, budget=60, seed=1)
    assert found.reference.text == 'order({"to": "Ann"})'
    assert not [warned for warned in found.warnings if "answered the whole prompt with nothing" in warned.text]
    assert significant(found) == words


def orders(request: Request) -> Output:
    name, values = called(str(request.prompt))
    return Output(calls=(ToolCall(name, json.dumps(values)),))


def test_what_was_called_is_kept_with_the_explanation_and_read_again(tmp_path: Path) -> None:
    kept = load(explain_prompt(orders, PROMPT, target="tool", budget=60).save(tmp_path / "run"))
    assert isinstance(kept, PromptExplanation)
    assert kept.evidence is not None
    assert kept.evidence.samples[0].calls == ({"name": "order", "arguments": '{"to": "Ann"}'},)
    assert kept.evidence.samples[0].said == 'order({"to": "Ann"})'
    assert significant(kept) == ["tea"]
    assert significant(kept.read(target="tool:show")) == ["tea"]
    page = kept.to_html()
    assert "order({" in page.replace("&#34;", '"')


def test_the_store_and_a_replay_keep_calls(tmp_path: Path) -> None:
    from whygen.calls.rows import RecordedCall, StoredRow
    from whygen.models.replay import ReplayModel, write_replay

    request = Request(prompt=CHAT)
    output = orders(request)
    row = StoredRow.of(RecordedCall(key=request.digest, uri="m", identity={}, request=request.to_json(), output=output))
    assert json.loads(row.output)["calls"] == [{"name": "order", "arguments": '{"to": "Ann"}'}]
    write_replay(tmp_path / "calls.jsonl", "m", [(request.to_json(), output)])
    assert ReplayModel(tmp_path / "calls.jsonl").answer([request]) == [output]


FLAT = [{"name": "order", "args": {"to": "Ann"}, "id": "c1"}]
NESTED = [{"id": "c1", "type": "function", "function": {"name": "order", "arguments": '{"to": "Ann"}'}}]


@pytest.mark.parametrize(
    "message",
    [
        {"content": "", "tool_calls": FLAT},
        {"role": "assistant", "content": None, "tool_calls": NESTED},
        {"text": "", "tool_calls": NESTED},
        SimpleNamespace(content="", tool_calls=FLAT),
        SimpleNamespace(content=None, tool_calls=NESTED),
        SimpleNamespace(content=[{"type": "text", "text": ""}], tool_calls=FLAT),
        SimpleNamespace(content=None, tool_calls=[SimpleNamespace(model_dump=lambda: NESTED[0])]),
    ],
)
def test_a_function_may_return_a_message_with_calls(message: Any) -> None:
    found = explain_prompt(lambda prompt: message, "one two", target="tool", budget=8)
    assert found.reference.text == 'order({"to": "Ann"})'


def test_a_function_is_given_calls_and_results_and_told_where_the_tools_are() -> None:
    given: list[Any] = []

    def model(messages: Any) -> str:
        given.append(messages)
        return "done"

    asked = Message("assistant", "", calls=(ToolCall("order", "{}", "c1"),))
    turns = (Message("user", "tea please"), asked, Message("tool", "done", answers="c1"))
    explain_prompt(model, Chat(turns), budget=8, units="message")
    assert [turn["role"] for turn in given[0]] == ["user", "assistant", "tool"]
    assert given[0][1]["tool_calls"][0]["function"]["name"] == "order"
    assert given[0][2]["tool_call_id"] == "c1"
    [answer] = load_model_of(model).answer([Request(prompt=CHAT)])
    assert "Annotate the parameter as whygen.types.Request: its prompt has the tools" in answer.sentence


def load_model_of(function: Any) -> Any:
    from whygen.models.python import CallableModel

    return CallableModel(function)
