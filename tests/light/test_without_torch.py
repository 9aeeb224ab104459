"""An install of ``whygen[openai]`` alone: no torch, and a model behind an API is explained. A CI job of its own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import whygen
from faults.server import FaultServer
from whygen.anchors.data import load_samples
from whygen.cli import main
from whygen.models import ModelOptions

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="torch is installed: `make test-light` runs this without it"
)
PROMPT = "Tell me about the red fox in the quiet harbour."


@pytest.mark.parametrize("target", ["auto", "tfidf", "edit", "token-set", "exact"])
def test_an_api_model_is_explained_by_distances_that_need_nothing(target: str) -> None:
    with FaultServer() as server:
        explanation = whygen.explain_prompt(
            "openai/test", PROMPT, target=target, cache=None, options=ModelOptions(base_url=server.url)
        )
    assert len(explanation.units) == 11
    assert explanation.calls.failed == 0
    assert explanation.target.name == ("tfidf" if target == "auto" else target)


def test_the_server_s_embeddings_give_optimal_transport() -> None:
    with FaultServer() as server:
        explanation = whygen.explain_prompt(
            "openai/test", PROMPT, target="optimal-transport", encoder="openai/embeddings", cache=None,
            options=ModelOptions(base_url=server.url),
        )  # fmt: skip
        assert any(received.path.endswith("/embeddings") for received in server.received)
    assert explanation.target.name == "optimal-transport"


def test_the_command_line_and_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FaultServer() as server, pytest.raises(SystemExit) as end:
        main(["prompt", "openai/test", PROMPT, "--base-url", server.url, "--json", "-o", str(tmp_path), "--no-cache"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["model"] == "openai/test"
    assert (tmp_path / "report.html").is_file()


def test_what_is_missing_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(whygen.errors.MissingExtraError, match=r"whygen\[hf\]"):
        whygen.explain_prompt("hf/any/model", PROMPT, cache=None)


def test_an_explanation_is_saved_and_read_without_pyarrow(tmp_path: Path) -> None:
    assert importlib.util.find_spec("pyarrow") is None
    explanation = whygen.explain_prompt("planted/additive", PROMPT, target="tfidf", cache=None)
    explanation.save(tmp_path)
    assert whygen.load(tmp_path) == explanation
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(whygen.errors.MissingExtraError, match=r"whygen\[tables\]"):
        load_samples(tmp_path / "x.parquet")
