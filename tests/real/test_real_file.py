"""``hf/FILE.gguf`` beside llama.cpp's own server on the same file: template, tokens, likely next tokens, answers."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from whygen import explain_prompt
from whygen.models import Model, ModelOptions, load_model
from whygen.types import Chat, Message, Output, Request, Settings

pytestmark = pytest.mark.live

PROMPTS = (
    "What is the capital of France?",
    "Translate to German: The dog sleeps.",
    "写一句关于雪的话。",
    "Name three colours.  Two  spaces\nand a line",
    "Привет! Как дела?",
    "def f(x):\n\treturn x + 1  # explain 12345",
    "Emoji \U0001f9ca and a joined one \U0001f468\u200d\U0001f469\u200d\U0001f467",
)
NATS = 0.4
"""How far apart the logarithms of likely next tokens may be: the server rounds activations to eight bits, too."""


@pytest.fixture(scope="module")
def model(file: Path) -> Model:
    return load_model(f"hf/{file}")


def posted(server: str, path: str, body: dict[str, Any]) -> Any:
    asked = urllib.request.Request(  # noqa: S310 - a server of this machine
        server.removesuffix("/v1") + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_template_tokens_and_likely_next_tokens_are_those_of_the_server(prompt: str, model: Any, server: str) -> None:
    sent = posted(server, "/apply-template", {"messages": [{"role": "user", "content": prompt}]})["prompt"]
    tokens = posted(server, "/tokenize", {"content": sent, "parse_special": True})["tokens"]
    assert model.count_tokens(Request(prompt=prompt)) == len(tokens)
    # A character may take several tokens, and the server tells nothing before it is whole.
    asked = {"prompt": tokens, "n_predict": 4, "n_probs": 20, "temperature": 0, "ignore_eos": True}
    first = posted(server, "/completion", asked)["completion_probabilities"][0]
    told = [each for each in first["top_logprobs"] if each["token"].strip() and "\ufffd" not in each["token"]][:3]
    assert told or not prompt.isascii()
    for each in told:
        [answer] = model.score([Request(prompt=prompt, continuation=each["token"])])
        assert isinstance(answer, Output), answer
        assert answer.scores is not None
        assert len(answer.scores) == 1
        assert answer.scores[0].logprob == pytest.approx(each["logprob"], abs=NATS)


def test_a_chat_with_a_system_and_two_turns_is_laid_out_alike(model: Any, server: str) -> None:
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Where is Rome?")]
    sent = posted(server, "/apply-template", {"messages": [{"role": r, "content": c} for r, c in turns]})["prompt"]
    tokens = posted(server, "/tokenize", {"content": sent, "parse_special": True})["tokens"]
    assert model.count_tokens(Request(prompt=Chat([Message(r, c) for r, c in turns]))) == len(tokens)  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", PROMPTS[:4])
def test_what_the_server_writes_is_at_each_step_nearly_the_likeliest_here(prompt: str, model: Any, server: str) -> None:
    """Two greedy answers part at the first near tie, so each step is compared given the server's words before it."""
    served = load_model("openai/smollm2", ModelOptions(base_url=server))
    [answer] = served.answer([Request(prompt=prompt, settings=Settings(max_tokens=24))])
    assert isinstance(answer, Output), answer
    asked = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    ids = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (asked, answer.text.strip())]
    with torch.inference_mode():
        logits = model.network(torch.tensor([ids[0] + ids[1]])).logits[0, len(ids[0]) - 1 : -1]
    chosen = logits.gather(1, torch.tensor(ids[1])[:, None])[:, 0]
    assert float((logits.max(dim=1).values - chosen).max()) < NATS


def test_the_sentence_that_holds_the_answer_leads(file: Path) -> None:
    found = explain_prompt(
        f"hf/{file}",
        "The office opens at nine. The code of the door is 4711. The kitchen is on the left. What is the code?",
        units="sentence", target="logprob", budget=20, cache=None, settings=Settings(max_tokens=12),
    )  # fmt: skip
    assert found.calls.failed == 0
    assert "4711" in max(found.units, key=lambda unit: unit.attribution).text
