"""One suite over every text adapter: what `whygen.calls` may rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_models
from faults.server import FaultServer
from whygen.models import HasIdentity, Model, ModelOptions, ScoresText, batched, load_model
from whygen.models.replay import write_replay
from whygen.types import Failure, Output, Request, Settings

PROMPTS = [
    "Paris is",
    "the river Seine, where boats",
    "a",
    "",
    "Naïve café 東京!",
    "it lies on the capital of France and",
]
SHORT = Settings(max_tokens=8)
ADAPTERS = ["gpt2", "llama", "t5", "bart", "chat", "callable", "batched", "planted", "replay"]
REMOTE = {
    "openai-chat": ("openai", "chat"),
    "openai-completions": ("openai", "completions"),
    "anthropic": ("anthropic", None),
}


def requests(**changes: object) -> list[Request]:
    return [Request(prompt=prompt, settings=SHORT, **changes) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def remote(kind: str, server: FaultServer) -> Model:
    provider, endpoint = REMOTE[kind]
    address = server.root if provider == "anthropic" else server.url
    return load_model(f"{provider}/test", ModelOptions(base_url=address, endpoint=endpoint))


@pytest.fixture(scope="module", params=[*ADAPTERS, *REMOTE])
def model(request: pytest.FixtureRequest, folder: Path) -> Model:
    kind: str = request.param
    if kind in REMOTE:
        return remote(kind, request.getfixturevalue("server"))
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


def test_a_bad_request_fails_alone_and_nothing_is_raised(model: Model) -> None:
    """A lone surrogate is no text that a tokenizer, a template or a recording knows."""
    bad = Request(prompt="broken \ud800 text", settings=SHORT)
    first, answer, last = model.answer([requests()[0], bad, requests()[1]])
    assert isinstance(answer, Output | Failure)
    assert texts([first, last]) == texts(list(model.answer(requests()[:2])))


def test_a_failure_says_what_happened_and_what_to_do(model: Model) -> None:
    answers = model.answer([Request(prompt="x " * 300, settings=SHORT), Request(prompt="\ud800", settings=SHORT)])
    for answer in answers:
        if isinstance(answer, Failure):
            assert answer.kind == "permanent"
            assert answer.message
            assert answer.advice


def test_more_requests_than_the_limit_are_answered(model: Model) -> None:
    many = (requests() * 20)[: model.limits.max_batch + 3]
    assert len(texts(list(model.answer(many)))) == len(many)


def test_opened_again_it_is_the_same_model(model: Model) -> None:
    assert isinstance(model, HasIdentity)
    if model.uri.startswith(("hf/", "planted/")):
        again = load_model(model.uri)
        assert isinstance(again, HasIdentity)
        assert again.identity == model.identity
        assert texts(list(again.answer(requests()))) == texts(list(model.answer(requests())))
    elif not model.uri.startswith(("openai/", "anthropic/")):
        assert model.identity is None


@pytest.mark.parametrize("kind", REMOTE)
def test_a_remote_model_is_known_by_its_address_and_name_alone(
    kind: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = remote(kind, server)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "another-key-of-this-person")
    after = remote(kind, server)
    assert isinstance(before, HasIdentity)
    assert isinstance(after, HasIdentity)
    assert before.identity == after.identity
    assert before.identity is not None
    assert str(server.port) in str(before.identity["base_url"])
