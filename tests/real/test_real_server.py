"""A server and a model that nobody here made: llama.cpp's own, with SmolLM2-135M-Instruct. Run by `make test-real`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from whygen import PromptExplanation, explain_prompt
from whygen.cli.app import app
from whygen.models import Model, ModelOptions, load_model
from whygen.prompt.targets.tools import read_tool
from whygen.types import Chat, Message, Output, Request, Settings, Tool, ToolCall

pytestmark = pytest.mark.live

WEATHER = Tool(
    "get_weather",
    "The weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CALLED = ToolCall("get_weather", '{"city": "Paris"}', "call00001")
TURNS = (
    Message("system", "Answer in one short sentence."),
    Message("user", "What is the weather in Paris?"),
    Message("assistant", "", calls=(CALLED,)),
    Message("tool", "Snow, two degrees below zero.", answers="call00001"),
    Message("user", "So do I need a coat in Paris?"),
)
"""A conversation that called a tool and read what it gave back."""

CHOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "enum": ["get_weather", "play_music"]},
        "arguments": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
    "required": ["tool", "arguments"],
    "additionalProperties": False,
}
FORCED = Settings(
    max_tokens=40, extra={"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": CHOICE}}}
)
"""A call of a tool as JSON, which the server holds the model to."""


def opened(address: str, endpoint: str = "chat") -> Model:
    return load_model("openai/smollm2", ModelOptions(base_url=address, endpoint=endpoint))


def said(answer: object) -> Output:
    assert isinstance(answer, Output), answer
    return answer


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_a_conversation_with_tools_is_taken_as_it_stands(server: str, endpoint: str) -> None:
    chat = Chat(TURNS, (WEATHER,), "none")
    answer = said(opened(server, endpoint).answer([Request(prompt=chat, settings=Settings(max_tokens=24))])[0])
    assert answer.text.strip() or answer.calls
    assert answer.tokens_in
    assert answer.tokens_out


def test_masked_conversations_are_taken_too_and_the_result_of_a_tool_is_a_unit(server: str) -> None:
    found = explain_prompt(
        opened(server), Chat(TURNS), units="message", target="tfidf", budget=24, settings=Settings(max_tokens=24)
    )
    assert found.calls.failed == 0
    assert any(unit.text.startswith("Snow") for unit in found.units)


def test_a_tool_that_is_written_as_json_is_read_and_its_argument_explained(server: str) -> None:
    prompt = "Call a tool with the city. What is the weather in Paris today?"
    model = opened(server)
    answer = said(model.answer([Request(prompt=prompt, settings=FORCED)])[0])
    assert str(read_tool(answer)) in ("get_weather", "play_music")
    target = f"tool:{read_tool(answer)}.city"
    found = explain_prompt(model, prompt, target=target, budget=40, settings=FORCED, pin=["Call a tool with the city."])
    assert isinstance(found, PromptExplanation)
    assert "Paris" in found.reference.text
    assert found.calls.failed == 0
    assert found.evidence is not None
    assert {sample.effect for sample in found.evidence.samples} <= {None, 0.0, 1.0}


def test_a_recorded_call_is_asked_again_and_its_cause_named(server: str, tmp_path: Path) -> None:
    asked = "Call a tool with the city. What is the weather in Paris today?"
    [form] = FORCED.extra.values()
    messages = [{"role": "system", "content": "You call tools."}, {"role": "user", "content": asked}]
    request = {"model": "smollm2", "messages": messages, "max_tokens": 40, "temperature": 0, "response_format": form}
    [first] = opened(server).answer([Request(prompt=Chat([Message("user", asked)]), settings=FORCED)])
    answer = {"choices": [{"message": {"role": "assistant", "content": said(first).text}, "finish_reason": "stop"}]}
    record = tmp_path / "call.json"
    record.write_text(json.dumps({"request": request, "response": answer}))
    target = f"tool:{read_tool(said(first))}.city"
    words = ["why", str(record), "--model", "openai/smollm2", "--base-url", server, "--target", target]
    done = CliRunner().invoke(app, [*words, "--budget", "16", "--no-cache", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["calls"]["failed"] == 0
    assert document["why"]["verdict"] in ("request", "untold")  # no part came from outside
    assert max(document["units"], key=lambda unit: unit["attribution"])["text"] == asked
