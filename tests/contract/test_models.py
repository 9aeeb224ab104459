"""One suite over every text adapter: what `whygen.runs` may rely on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import tiny_models
from whygen.models import HasContext, HasIdentity, Model, ScoresText, batched, load_model
from whygen.models.replay import write_replay
from whygen.types import Chat, Failure, Message, Output, Request, Settings

PROMPTS = [
    "Paris is",
    "the river Seine, where boats",
    "a",
    "",
    "Naïve café 東京!",
    "it lies on the capital of France and",
]
SHORT = Settings(max_tokens=8)
ADAPTERS = ["gpt2", "llama", "t5", "chat", "callable", "batched", "planted", "replay"]


def requests(**changes: object) -> list[Request]:
    return [Request(prompt=prompt, settings=SHORT, **changes) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=ADAPTERS)
def model(request: pytest.FixtureRequest, folder: Path) -> Model:
    kind: str = request.param
    if kind in tiny_models.KINDS:
        return load_model(f"hf/{tiny_models.save(kind, folder / kind)}")
    if kind == "chat":
        return load_model(f"hf/{tiny_models.save('llama', folder / 'chat', chat=True)}")
    if kind == "callable":
        return load_model(lambda prompt: f"{prompt}!")
    if kind == "batched":
        return load_model(batched(lambda prompts: [prompt[::-1] for prompt in prompts]))
    if kind == "planted":
        return load_model("planted/additive")
    path = folder / "calls.jsonl"
    write_replay(path, "planted/echo", [(r.to_json(), Output(text=f"said {r.prompt}")) for r in requests()])
    return load_model(f"replay/{path}")


def texts(answers: list[Output | Failure]) -> list[str]:
    assert all(isinstance(answer, Output) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, Output)]


def test_it_is_a_model(model: Model) -> None:
    assert isinstance(model, Model)
    assert "/" in model.uri
    assert model.limits.max_batch >= 1
    assert isinstance(model, HasIdentity)


def test_order_is_kept_and_the_batch_does_not_matter(model: Model) -> None:
    together = texts(list(model.answer(requests())))
    alone = [texts(list(model.answer([one])))[0] for one in requests()]
    backwards = texts(list(model.answer(requests()[::-1])))[::-1]
    assert together == alone == backwards


def test_the_same_request_has_the_same_answer(model: Model) -> None:
    assert texts(list(model.answer(requests()))) == texts(list(model.answer(requests())))


def test_no_requests_no_answers(model: Model) -> None:
    assert list(model.answer([])) == []


def test_scores_cover_the_text_without_gaps_and_do_not_depend_on_the_batch(model: Model) -> None:
    if not isinstance(model, ScoresText) or model.uri.startswith("replay/"):
        pytest.skip("gives no log-probabilities")
    asked = requests(continuation=" so it is in Naïve 東京.")
    together = list(model.score(asked))
    for request, answer in zip(asked, together, strict=True):
        (alone,) = model.score([request])
        assert isinstance(answer, Output)
        assert isinstance(alone, Output)
        assert answer.scores is not None
        assert alone.scores is not None
        assert "".join(request.continuation[s.start : s.end] for s in answer.scores) == request.continuation
        assert [s.logprob for s in answer.scores] == pytest.approx([s.logprob for s in alone.scores], abs=2e-4)
        assert all(s.logprob <= 0 for s in answer.scores)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_sixteen_together_are_sixteen_alone_greedy_and_sampled(kind: str, folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save(kind, folder / f'{kind}-16')}")
    for settings in (Settings(max_tokens=12), Settings(max_tokens=12, temperature=0.8, top_p=0.9)):
        asked = [Request(prompt=tiny_models.TEXT[: 3 * i + 1], settings=settings, draw=i % 3) for i in range(16)]
        together = texts(list(model.answer(asked)))
        assert together == [texts(list(model.answer([one])))[0] for one in asked]


def test_draws_differ_when_sampling_and_agree_when_greedy(folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('llama', folder / 'draws')}")
    hot = Settings(max_tokens=12, temperature=1.0)
    asked = [Request(prompt="Paris", settings=hot, draw=draw) for draw in range(8)]
    assert len(set(texts(list(model.answer(asked))))) > 1
    cold = [Request(prompt="Paris", settings=SHORT, draw=draw) for draw in range(4)]
    assert len(set(texts(list(model.answer(cold))))) == 1


def test_sampling_follows_the_model_s_probabilities(folder: Path) -> None:
    """Two roads to one number: shares of sampled first tokens, and the probabilities from scoring."""
    model = load_model(f"hf/{tiny_models.save('gpt2', folder / 'shares')}")
    settings = Settings(max_tokens=1, temperature=1.0)
    drawn = texts(list(model.answer([Request(prompt="Paris is", settings=settings, draw=i) for i in range(3000)])))
    single = [text for text in set(drawn) if text.isascii() and len(model.tokenizer(text)["input_ids"]) == 1]
    common = max(single, key=drawn.count)
    assert drawn.count(common) > 10
    (scored,) = model.score([Request(prompt="Paris is", continuation=common)])
    assert isinstance(scored, Output)
    assert scored.scores is not None
    probability = math.exp(sum(s.logprob for s in scored.scores))
    error = 4 * (probability * (1 - probability) / 3000) ** 0.5
    assert abs(drawn.count(common) / 3000 - probability) < error + 0.01


def test_a_prompt_longer_than_the_context_fails_alone(folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('gpt2', folder / 'long')}")
    assert isinstance(model, HasContext)
    assert model.context_tokens == 64
    short, long = model.answer(
        [Request(prompt="Paris", settings=SHORT), Request(prompt="river " * 200, settings=SHORT)]
    )
    assert isinstance(short, Output)
    assert isinstance(long, Failure)
    assert long.kind == "permanent"
    assert "64" in long.message
    assert "Shorten" in long.advice


def test_stop_strings_and_length(folder: Path) -> None:
    model = load_model(f"hf/{tiny_models.save('llama', folder / 'stops')}")
    (whole,) = model.answer([Request(prompt="Paris is", settings=Settings(max_tokens=10))])
    assert isinstance(whole, Output)
    assert whole.finish == "length"
    assert whole.tokens_out == 10
    stop = whole.text[3:5]
    (cut,) = model.answer([Request(prompt="Paris is", settings=Settings(max_tokens=10, stop=(stop,)))])
    assert isinstance(cut, Output)
    assert cut.finish == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


def test_chat_messages_need_a_template(folder: Path) -> None:
    talk = Request(prompt=Chat((Message("system", "be brief"), Message("user", "Paris?"))), settings=SHORT)
    with_template = load_model(f"hf/{tiny_models.save('llama', folder / 'talk', chat=True)}")
    assert isinstance(with_template.answer([talk])[0], Output)
    without = load_model(f"hf/{tiny_models.save('llama', folder / 'plain')}")
    assert isinstance(without.answer([talk])[0], Failure)


def test_weights_are_part_of_the_identity(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    place = tiny_models.save("llama", folder / "identity")
    before = load_model(f"hf/{place}").identity
    assert load_model(f"hf/{place}").identity == before
    network = AutoModelForCausalLM.from_pretrained(place)
    with torch.no_grad():
        next(network.parameters()).add_(1e-3)
    network.save_pretrained(place)
    assert load_model(f"hf/{place}").identity != before


def test_out_of_memory_halves_the_batch() -> None:
    from whygen.models.hf import _halving

    sizes: list[int] = []

    def work(asked: list[Request], ids: list[list[int]]) -> list[Output]:
        sizes.append(len(asked))
        if len(asked) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return [Output(text=str(len(row))) for row in ids]

    asked = requests()
    assert [o.text for o in _halving(work, asked, [[0] * i for i in range(len(asked))])] == list("012345")
    assert sizes[0] == 6
    assert max(sizes[-2:]) <= 2
