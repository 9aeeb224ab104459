"""One suite over every text adapter: what `whygen.calls` may rely on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import tiny_models
from faults.server import FaultServer
from whygen.models import HasIdentity, Model, ModelOptions, batched, load_model
from whygen.models.replay import write_replay
from whygen.testing import check_model
from whygen.testing.models import PROMPTS, SHORT
from whygen.types import Failure, Output, Request

ADAPTERS = ["gpt2", "llama", "t5", "bart", "chat", "callable", "batched", "planted", "replay"]
REMOTE = {
    "openai-chat": ("openai", "chat"),
    "openai-completions": ("openai", "completions"),
    "anthropic": ("anthropic", None),
}


def requests() -> list[Request]:
    return [Request(prompt=prompt, settings=SHORT) for prompt in PROMPTS]


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


def texts(answers: Sequence[Output | Failure]) -> list[str]:
    assert all(isinstance(answer, Output) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, Output)]


def test_it_is_a_model(model: Model) -> None:
    check_model(model)
    assert isinstance(model, HasIdentity)


def test_what_can_never_be_answered_says_so(model: Model) -> None:
    [answer] = model.answer([Request(prompt="x " * 300, settings=SHORT)])
    if isinstance(answer, Failure):
        assert answer.kind == "permanent"
        assert answer.message
        assert answer.advice


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
