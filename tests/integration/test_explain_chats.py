"""Chats and templates, the whole way: on models whose causes are known, and on a real one with a chat template."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny_models
import whygen
from whygen.errors import DataError, ModelError, UsageError
from whygen.results.prompt import PromptExplanation
from whygen.types import Chat, Message, Picture, Request, Settings, Source, Template

CHAT = Chat((
    Message("system", "Write about a fox. Be kind."),
    Message("user", "Hello."),
    Message("assistant", "Hello there."),
    Message("user", "Add a piano, please."),
))  # fmt: skip
RAG = Template(
    "Answer briefly.\n{passages}\nQuestion: {question}",
    {"passages": ["The fox is red.", "The moon is far.", "A castle burns."], "question": "Where is the piano?"},
)


def explain(prompt: Source, model: object = "planted/additive", **options) -> PromptExplanation:
    options.setdefault("target", "token-set")
    options.setdefault("cache", None)
    return whygen.explain_prompt(model, prompt, **options)


def drivers(explanation: PromptExplanation) -> list[str]:
    return [unit.text for unit in explanation.units if unit.attribution > 1e-9]


def test_the_messages_that_matter_are_found() -> None:
    explanation = explain(CHAT, units="message")
    assert [unit.text for unit in explanation.units] == [message.text for message in CHAT.messages]
    assert drivers(explanation) == ["Write about a fox. Be kind.", "Add a piano, please."]
    assert explanation.prompt.startswith("system:\nWrite about a fox. Be kind.\n\nuser:\nHello.")
    assert [explanation.prompt[u.start : u.end] for u in explanation.units] == [u.text for u in explanation.units]


def test_words_inside_messages_and_pinned_roles() -> None:
    assert drivers(explain(CHAT, budget=128)) == ["fox", "piano"]
    pinned = explain(CHAT, pin=["role:system", "role:assistant"])
    assert drivers(pinned) == ["piano"]
    assert pinned.evidence is not None
    assert all("Write about a fox. Be kind." in sample.prompt for sample in pinned.evidence.samples)


def test_documents_fields_and_parts_of_a_template() -> None:
    assert drivers(explain(RAG, units="document")) == ["The fox is red.", "A castle burns."]
    assert drivers(explain(RAG, units="field")) == [
        "The fox is red.\n\nThe moon is far.\n\nA castle burns.", "Where is the piano?",
    ]  # fmt: skip
    assert drivers(explain(RAG, units="part")) == ["The fox is red.", "A castle burns.", "Where is the piano?"]
    assert drivers(explain(RAG)) == []


def test_given_spans_are_units() -> None:
    prompt = "Write about a fox and a piano."
    explanation = explain(prompt, units=[(0, 17), (22, 29)])
    assert [unit.text for unit in explanation.units] == ["Write about a fox", "a piano"]
    assert drivers(explanation) == ["Write about a fox", "a piano"]


@pytest.mark.parametrize("operator", ["delete", "placeholder"])
@pytest.mark.parametrize("prompt", [CHAT, RAG])
def test_it_is_saved_loaded_and_shown(prompt: Source, operator: str, tmp_path: Path) -> None:
    explanation = explain(prompt, units="sentence", operator=operator)
    assert explanation.sections
    assert whygen.load(explanation.save(tmp_path / "e")) == explanation
    page = explanation.to_html()
    assert ('<b class="role">assistant</b>' in page) == isinstance(prompt, Chat)
    assert ("passages 2</span>" in page) == isinstance(prompt, Template)


def test_more_pinned_than_free_is_a_warning() -> None:
    explanation = explain("Write about a fox near the castle", pin=["Write about a", "near the"])
    assert "more-pinned-than-free" in [warning.code for warning in explanation.warnings]


def test_images_go_with_their_message_whatever_is_taken_away() -> None:
    photo = Picture(b"\x89PNG\r\n\x1a\n")
    chat = Chat((Message("user", "What is this fox?", (photo,)),))
    sent: list[Chat] = []

    def seeing(request: Request) -> str:
        assert isinstance(request.prompt, Chat)
        sent.append(request.prompt)
        return "a fox" if "fox" in request.prompt.messages[0].text else "a thing"

    explanation = explain(chat, seeing)
    assert drivers(explanation) == ["fox"]
    assert all(prompt.messages[0].images == (photo,) for prompt in sent)
    assert "[1 image, always sent]" in explanation.prompt
    assert all("image" not in unit.text for unit in explanation.units)


def test_a_model_with_a_chat_template_answers_chats(tmp_path: Path) -> None:
    uri = f"hf/{tiny_models.save('llama', tmp_path / 'talk', chat=True)}"
    chat = Chat((Message("system", "the capital"), Message("user", "of France"), Message("user", "the Seine")))
    settings = Settings(max_tokens=6)
    explanation = explain(chat, uri, units="message", settings=settings)
    assert explanation.design == "enumerated"
    assert any(unit.attribution for unit in explanation.units)
    over = whygen.explain_prompt(
        uri, Chat(chat.messages[:2]), inputs=["a boat", "the day", "Paris"], units="message", settings=settings,
        target="token-set", cache=None, over="these",
    )  # fmt: skip
    assert len(over.inputs) == 3
    plain = f"hf/{tiny_models.save('gpt2', tmp_path / 'plain')}"
    with pytest.raises(DataError, match="has no chat template"):
        explain(chat, plain)


def test_a_dry_run_counts_chats() -> None:
    forecast = whygen.forecast("planted/additive", CHAT, units="message", target="token-set")
    assert (forecast.units, forecast.calls) == (4, 18)
    assert explain(CHAT, units="message").calls.asked == 18


def test_what_is_no_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="give the text as a str, or a Chat, Template or Edit"):
        explain([{"role": "user", "content": "hello"}])  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="no message"):
        explain(Chat(()))
    with pytest.raises(ModelError, match="takes a text"):
        explain(CHAT, str_only)


def str_only(prompt: str) -> str:
    return prompt
