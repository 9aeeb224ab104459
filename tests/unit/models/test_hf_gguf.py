"""GGUF files as models: the network that was written is the network that answers, and what is wrong is told."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_gguf
import tiny_models
from whygen.errors import MissingError, MissingExtraError, WhygenError
from whygen.models import load_model
from whygen.models.hf.gguf import place_of
from whygen.models.hf.model import HfModel
from whygen.types import Failure, Output, Request, Settings

PROMPT = "Paris is the capital"
SAID = " of France"


@pytest.fixture(scope="module")
def network() -> Any:
    return tiny_gguf.llama()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, network: Any) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    return tiny_gguf.write(folder / "tiny.gguf", network, words=tiny_models.tokenizer(), template=tiny_gguf.TEMPLATE)


def scores(answers: Sequence[Output | Failure]) -> list[float]:
    [answer] = answers
    assert isinstance(answer, Output), answer
    assert answer.scores is not None
    return [score.logprob for score in answer.scores]


def said(answers: Sequence[Output | Failure]) -> str:
    [answer] = answers
    assert isinstance(answer, Output), answer
    return answer.text


def test_the_network_that_was_written_answers(file: Path, network: Any) -> None:
    model, asked = load_model(f"hf/{file}"), Request(prompt=PROMPT, continuation=SAID)
    held = HfModel(network, tiny_models.tokenizer(), uri="hf/held")
    held.tokenizer.chat_template = tiny_gguf.TEMPLATE
    assert isinstance(model, HfModel)
    assert model.tokenizer.chat_template == tiny_gguf.TEMPLATE
    assert scores(model.score([asked])) == pytest.approx(scores(held.score([asked])), abs=1e-4)
    question = Request(prompt=PROMPT, settings=Settings(max_tokens=8))
    assert said(model.answer([question])) == said(held.answer([question]))
    assert model.network.dtype is torch.float32


def test_a_folder_with_one_file_is_that_file_and_its_bytes_are_its_name(file: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(file, alone)
    asked = Request(prompt=PROMPT, continuation=SAID)
    by_file, by_folder = load_model(f"hf/{file}"), load_model(f"hf/{alone}")
    assert scores(by_file.score([asked])) == scores(by_folder.score([asked]))  # type: ignore[attr-defined]
    names = [dict(model.identity or {})["weights"] for model in (by_file, by_folder)]  # type: ignore[attr-defined]
    assert names[0] == names[1]
    shutil.copy(file, alone / "second.gguf")
    with pytest.raises(MissingError, match=r"holds 2 GGUF files \(second\.gguf, tiny\.gguf\)\. Name one of them"):
        load_model(f"hf/{alone}")


@pytest.mark.parametrize(
    ("name", "where", "revision", "gguf"),
    [
        ("ORG/NAME", "ORG/NAME", "main", None),
        ("ORG/NAME@v2", "ORG/NAME", "v2", None),
        ("ORG/NAME/sub/x.Q4.gguf@v2", "ORG/NAME", "v2", "sub/x.Q4.gguf"),
    ],
)
def test_a_file_of_the_hub_is_named_behind_its_repository(
    name: str, where: str, revision: str, gguf: str | None
) -> None:
    place = place_of(name)
    assert (place.where, place.revision, place.gguf) == (where, revision, gguf)


@pytest.mark.parametrize("name", ["no.gguf", "./no/such/no.gguf", "/no/such/no.gguf"])
def test_a_file_that_is_not_there_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(MissingError, match="there is no file"):
        load_model(f"hf/{name}")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("cut", "is no whole GGUF file .* truncated or damaged: download it again"),
        ("header", "is no whole GGUF file .* truncated or damaged: download it again"),
        ("empty", "is no GGUF file: it does not begin with 'GGUF'"),
        ("html", "is no GGUF file: it does not begin with 'GGUF'"),
        ("version 99", r"bad\.gguf is of version 99 of the GGUF format, and only versions 2 and 3 can be read"),
        ("version 1", r"bad\.gguf is of version 1 of the GGUF format"),
        ("big-endian", r"bad\.gguf is a big-endian GGUF file \(version 3\)"),
        ("architecture", "cannot run this GGUF file of the architecture 'mystery'.*openai/NAME with --base-url"),
        ("tokenizer", "carries no tokenizer, so no text can be given to it"),
        ("part", "is one of several files of a model. Join them first"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_a_sentence(
    damage: str, says: str, file: Path, network: Any, tmp_path: Path
) -> None:
    bad, whole = tmp_path / "bad.gguf", file.read_bytes()
    if damage == "architecture":
        tiny_gguf.write(bad, network, architecture="mystery", words=tiny_models.tokenizer())
    elif damage == "tokenizer":
        tiny_gguf.write(bad, network)
    elif damage == "part":
        tiny_gguf.write(bad, network, architecture="mystery", words=tiny_models.tokenizer(), parts=3)
    else:
        cut = {"cut": whole[: len(whole) - 3000], "header": whole[:900], "empty": b"", "html": b"<html>no</html>"}
        cut |= {f"version {n}": whole[:4] + n.to_bytes(4, "little") + whole[8:] for n in (1, 99)}
        cut["big-endian"] = whole[:4] + (3).to_bytes(4, "big") + whole[8:]
        bad.write_bytes(cut[damage])
    with pytest.raises(WhygenError, match=says) as told:
        load_model(f"hf/{bad}")
    assert "\n" not in str(told.value)


def test_without_the_package_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else real(name))
    with pytest.raises(MissingExtraError, match=r"'gguf', which is not installed.*whygen\[smol\]"):
        load_model(f"hf/{file}")


@pytest.mark.parametrize(
    "asked",
    [
        "whygen.explain_prompt('hf/no.gguf', 'a fox ran')",
        "whygen.explain_prompt('hf/missing.gguf', 'a fox ran')",
        "whygen.explain_prompt('planted/additive', 'a fox ran home', proxy='py/nowhere:model', budget=16)",
        "whygen.explain_prompt('planted/additive', 'a fox ran home', proxy='hf/no.gguf', budget=16)",
    ],
)
def test_a_name_that_leads_nowhere_is_refused_before_anything_heavy_is_imported(tmp_path: Path, asked: str) -> None:
    (tmp_path / "no.gguf").write_bytes(b"no such file")
    script = f"import sys, whygen\ntry:\n    {asked}\nexcept whygen.errors.WhygenError as error:\n    print(error)\n"
    script += "assert not {'torch', 'transformers', 'sentence_transformers'} & sys.modules.keys()"
    told = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "GGUF" in told.stdout or "no file" in told.stdout or "cannot be imported" in told.stdout
