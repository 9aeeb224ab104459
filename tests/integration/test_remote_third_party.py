"""A server that others wrote (`transformers serve`), with the storyteller's own weights: asked remotely and locally."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import whygen
from whygen.models import ModelOptions, load_model
from whygen.types import Output, Request, Settings

pytestmark = pytest.mark.slow
WEIGHTS = Path(whygen.__file__).parent / "demo/storyteller/model"
PROMPT = "Write a story about a fox and a piano."
PROMPTS = [PROMPT, "Write a story about a fox.", "a piano", "Write about the castle, please."]
SHORT = Settings(max_tokens=40)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [
        sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", str(WEIGHTS),
        "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32",
    ]  # fmt: skip
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(health, timeout=1).close()  # noqa: S310 - our own address
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(log.read_text())


def test_the_answers_are_those_of_the_local_adapter(address: str) -> None:
    """But for white space around them, which the local adapter takes off a chat's answer and this server does not."""
    remote = load_model(f"openai/{WEIGHTS}", ModelOptions(base_url=address))
    requests = [Request(prompt=prompt, settings=SHORT) for prompt in PROMPTS]
    pairs = list(zip(remote.answer(requests), load_model("demo/storyteller").answer(requests), strict=True))
    for far, near in pairs:
        assert isinstance(far, Output), far
        assert isinstance(near, Output)
        assert (far.text.strip(), far.finish, far.tokens_in) == (near.text, near.finish, near.tokens_in)


def test_the_explanation_is_that_of_the_local_adapter(address: str) -> None:
    def explained(uri: str, options: ModelOptions | None = None) -> list[float]:
        found = whygen.explain_prompt(
            uri, PROMPT, budget=40, target="token-set", settings=SHORT, options=options, cache=None
        )
        return [unit["attribution"] for unit in found.to_dict()["units"]]

    remote = explained(f"openai/{WEIGHTS}", ModelOptions(base_url=address))
    assert remote == pytest.approx(explained("demo/storyteller"), abs=1e-9)
    assert max(map(abs, remote)) > 0


def test_a_server_that_does_not_echo_is_told_apart(address: str) -> None:
    model = load_model(f"openai/{WEIGHTS}", ModelOptions(base_url=address, endpoint="completions"))
    (answer,) = model.answer([Request(prompt="Once upon a time", settings=SHORT)])
    assert isinstance(answer, Output)
    (scored,) = model.score([Request(prompt="Once upon a time", continuation=" someone")])
    assert not isinstance(scored, Output)
    assert scored.kind == "permanent"
    assert scored.advice
