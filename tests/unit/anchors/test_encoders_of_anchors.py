"""Encoders of the anchor wing: by name, by folder, open, as a torch module; of grey and of colour pictures."""

# pyright: basic
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_models import vision

import whygen
from whygen.anchors.options import AnchorOptions
from whygen.cli import main
from whygen.errors import DataError, UsageError
from whygen.models.latent import Generator
from whygen.stats.seeds import generator

torch = pytest.importorskip("torch")
FEWER = AnchorOptions(replicates=5, controls="none", criteria="kld,feature-l2")
GREY, COLOUR = (32, 32), (3, 32, 32)


def pictures(shape: tuple[int, ...], n: int = 50, seed: int = 0) -> np.ndarray:
    return generator(seed, "pictures").random((n, *shape)).astype(np.float32)


def model(shape: tuple[int, ...]) -> Generator:
    values = int(np.prod(shape))
    return Generator(
        encode=lambda x: (x.reshape(len(x), values)[:, :9], np.full((len(x), 9), -3.0, np.float32)),
        decode=lambda z: np.clip(np.resize(z, (len(z), values)), 0, 1).astype(np.float32).reshape(-1, *shape),
        shape=shape,
        value_range=(0.0, 1.0),
        layout="NCHW" if len(shape) == 3 else None,
        scale="logvar",
    )


def explain(encoder: object, shape: tuple[int, ...] = GREY):
    return whygen.explain_anchors(
        model(shape), pictures(shape, 12), reference=pictures(shape, seed=1), encoder=encoder, preset=FEWER, cache=None
    )


class Named(torch.nn.Module):
    def __init__(self, give) -> None:
        super().__init__()
        self.layer, self.give = torch.nn.Linear(32, 2), give

    def forward(self, x):
        return self.give(self.layer(x))


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_every_form_of_an_encoder_works_on_grey_and_on_colour(shape: tuple[int, ...], tmp_path: Path) -> None:
    forms = {
        "patches": "patches",
        "folder": str(vision(tmp_path / "vision")),
        "module": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), 5), torch.nn.Dropout()),
        "function": lambda x: x.reshape(len(x), -1)[:, :7],
    }
    for name, encoder in forms.items():
        found = explain(encoder, shape)
        assert found.details.space == "features", name
        assert np.ptp(found.evidence.values[:, 1]) > 0, name


def test_a_module_is_asked_in_evaluation_mode_and_left_as_it_was() -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(1024, 4)).train()
    one, other = (explain(module).evidence.values for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert module.training
    assert module[1].training


def test_a_module_may_return_what_models_of_transformers_do() -> None:
    held = explain(Named(lambda x: {"pooler_output": x.mean(dim=1), "logits": x})).evidence.values
    plain = explain(Named(lambda x: x)).evidence.values
    assert held.shape == plain.shape


@pytest.mark.parametrize(
    ("encoder", "error", "said"),
    [
        (Named(lambda x: {"a": x}), UsageError, "encoder Named returned a dict; it must return a tensor"),
        (torch.nn.Linear(7, 3), UsageError, r"encoder Linear raised RuntimeError.*must take samples \(\d+, 32, 32\)"),
        (Named(lambda x: x.sum()), DataError, r"encoder Named gave shape \(\)"),
        (Named(lambda x: x / 0), DataError, "encoder Named gave NaN or infinite features"),
        (lambda x: x.no_such_thing, UsageError, "raised AttributeError"),
        (3, UsageError, "encoder is a int"),
        ("/no/such/folder", UsageError, "no such file or folder"),
    ],
)
def test_what_is_no_encoder_is_said_in_words(encoder: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        explain(encoder)


def test_the_command_takes_a_module_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_encoding.py").write_text(
        "import torch\ntorch.manual_seed(0)\nnet = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 6))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    np.save(tmp_path / "few.npy", pictures((28, 28), 15))
    given = ["anchors", "demo/digits-vae", "--anchors", str(tmp_path / "few.npy"), "--criteria", "kld,feature-l2"]
    given += ["--encoder", "py/mine_encoding:net", "--controls", "none", "--no-cache", "--quiet"]
    with pytest.raises(SystemExit) as stop:
        main([*given, "-o", str(tmp_path / "out")])
    assert not stop.value.code
    assert whygen.load(tmp_path / "out").details.space == "features"
    sys.modules.pop("mine_encoding", None)
