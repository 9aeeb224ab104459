"""Tools in chat templates of local models: told, refused where there is no place for them, and read when called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from whygen.errors import DataError
from whygen.models import ModelOptions, load_model
from whygen.types import Block, Chat, Failure, Message, Output, Picture, Request, Settings, Tool, ToolCall

TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}[{{ m.role }}] {{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{{ c.id }}{% endfor %}\n"
    "{% endfor %}[assistant]"
)
SEARCH = Tool("search", "Looks it up.", {"type": "object", "properties": {"q": {"type": "string"}}})
TURNS = (
    Message("user", "Who is Ann?"),
    Message("assistant", "", calls=(ToolCall("search", '{"q": "Ann"}', "call-of-thirty"),)),
    Message("tool", 'A "cat".', answers="call-of-thirty"),
)


@pytest.fixture
def model(tmp_path: Path) -> Any:
    found: Any = load_model(f"hf/{tiny_models.save('llama', tmp_path, chat=True)}", ModelOptions(device="cpu"))
    found.network.config.max_position_embeddings = 4096
    found.tokenizer.chat_template = TEMPLATE
    return found


def writes(model: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network write a text."""
    ids = torch.tensor([model.tokenizer(text, add_special_tokens=False)["input_ids"] + [0]])
    monkeypatch.setattr(model.network, "generate", lambda input_ids, **_: torch.cat([input_ids, ids], dim=1))


def ask(model: Any, chat: Chat, **settings: Any) -> Output | Failure:
    return model.answer([Request(prompt=chat, settings=Settings(max_tokens=64, **settings))])[0]


def test_tools_calls_and_results_stand_in_the_prompt(model: Any) -> None:
    told = model._tokens._text(Request(prompt=Chat(TURNS, (SEARCH,))))
    assert '"description": "Looks it up."' in told
    assert '<tool_call>{"name": "search", "arguments": {"q": "Ann"}}</tool_call>call00001' in told
    assert '[tool] A "cat".' in told


@pytest.mark.parametrize("written", ['<tool_call>{"name": "search", "arguments": {"q": "B"}}</tool_call>',
                                     '{"name": "search", "parameters": {"q": "B"}}'])  # fmt: skip
def test_a_call_that_is_written_is_read(model: Any, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writes(model, written, monkeypatch)
    answer = ask(model, Chat(TURNS[:1], (SEARCH,)))
    assert isinstance(answer, Output)
    assert (answer.text, [call.said for call in answer.calls]) == ("", ['search({"q": "B"})'])
    for chat in (Chat(TURNS[:1]), Chat(TURNS[:1], (SEARCH,), "none")):
        plain = ask(model, chat)
        assert isinstance(plain, Output)
        assert (plain.text, plain.calls) == (written, ())


def test_the_tokenizers_own_account_of_its_answers_goes_first(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(raw: str, *, prefix: str, tools: list[Any]) -> dict[str, Any]:
        assert prefix.endswith("[assistant]")
        assert tools[0]["function"]["name"] == "search"
        return {"content": "I look.", "tool_calls": [{"function": {"name": "search", "arguments": {"q": raw[:3]}}}]}

    monkeypatch.setattr(model.tokenizer, "response_template", {}, raising=False)
    monkeypatch.setattr(model.tokenizer, "parse_response", parsed)
    writes(model, "call search with Ann", monkeypatch)
    answer = ask(model, Chat(TURNS[:1], (SEARCH,)))
    assert isinstance(answer, Output)
    assert (answer.text, answer.calls[0].values) == ("I look.", {"q": "cal"})


def test_what_a_template_leaves_out_is_refused_by_name(model: Any) -> None:
    template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
    model.tokenizer.chat_template = template
    for chat, lost in (
        (Chat(TURNS[:1], (SEARCH,)), "no place for tools"),
        (Chat(TURNS), "no place for calls of tools"),
    ):
        answer = ask(model, chat)
        assert isinstance(answer, Failure)
        assert lost in answer.message
        with pytest.raises(DataError, match=lost):
            model.count_tokens(Request(prompt=chat))
    model.tokenizer.chat_template = template.replace("[{{", "{{ m.tool_calls }}[{{").replace("m['content']", "''")
    answer = ask(model, Chat(TURNS))
    assert isinstance(answer, Failure)
    assert "no place for what tools gave back" in answer.message


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        (Chat(TURNS[:1], (SEARCH,), "required"), "cannot be made to call a tool"),
        (Chat(TURNS[:1], (Tool("w", extra={"type": "web_search"}),)), "another service runs itself"),
        (Chat((Message("user", "", parts=(Block({"type": "file"}, "openai"),)),)), "takes no part of the type 'file'"),
        (Chat((Message("user", "Look", (Picture(b"\x89PNG"),)),)), "takes no images"),
    ],
)
def test_what_a_local_model_cannot_do_is_a_sentence(model: Any, chat: Chat, said: str) -> None:
    answer = ask(model, chat)
    assert isinstance(answer, Failure)
    assert said in answer.message
    assert answer.advice
