"""Names that there are not are told before a model is opened: the model here is one that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import whygen
from whygen._arguments import declared, names_of
from whygen.anchors.options import AnchorChoices
from whygen.cli import main
from whygen.errors import UsageError
from whygen.models import ModelOptions
from whygen.prompt.options import PromptOptions

NOWHERE = "hf/no/such-model"
"""Opening it fails as a model that is missing."""

BY_HAND = {
    "encoder": ("patchs", "dinov3", "./no-folder", "no-vectors.vec"), "device": ("cdua", "gpu0"),
    "dtype": ("flot32", "int8"), "endpoint": ("chatt", "image"), "target": ("refusl", "contain"),
    "operator": ("delte",), "kernel": ("lim",), "surrogate": ("ridg",),
}  # fmt: skip
"""Options whose names are not listed in their type."""


def misspelled(options: type) -> list[tuple[str, str]]:
    """Each option that takes one of a few names, with one of them that lacks its second letter."""
    return [
        (name, names[0][:1] + names[0][2:])
        for name, each in declared(options).items()
        if str not in get_args(each.hint) and (names := [word for word in names_of(each.hint) if len(word) > 3])
    ]


_OF_PROMPTS = [(name, value) for name, values in BY_HAND.items() for value in values]
OF_PROMPTS = [*misspelled(PromptOptions), *misspelled(ModelOptions), *_OF_PROMPTS]
OF_ANCHORS = [
    *misspelled(AnchorChoices), ("encoder", "patchs"), ("encoder", "./no-folder/"), ("device", "cdua"),
    ("dtype", "flot32"),
]  # fmt: skip


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0), capsys.readouterr().err


def arguments(name: str, value: str) -> dict[str, Any]:
    return {"options": ModelOptions(**{name: value})} if name in declared(ModelOptions) else {name: value}


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@pytest.mark.parametrize(("name", "value"), OF_PROMPTS, ids=str)
def test_of_prompts(name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=f"(?i){name}|{value}"):
        whygen.explain_prompt(NOWHERE, "the old castle", cache=None, **arguments(name, value))
    code, said = told(["prompt", NOWHERE, "the old castle", flag(name), value, "--no-cache"], capsys)
    assert code == 2, said
    assert "such-model" not in said
    assert value in said


@pytest.mark.parametrize(("name", "value"), OF_ANCHORS, ids=str)
def test_of_anchors(name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anchors = np.zeros((4, 1, 8, 8), dtype=np.float32)
    np.save(tmp_path / "a.npy", anchors)
    with pytest.raises(UsageError, match=f"(?i){name}|{value}"):
        whygen.explain_anchors("diffusers/no/such-model", anchors, cache=None, **arguments(name, value))
    words = [
        "anchors",
        "diffusers/no/such-model",
        "--anchors",
        str(tmp_path / "a.npy"),
        flag(name),
        value,
        "--no-cache",
    ]
    code, said = told(words, capsys)
    assert code == 2, said
    assert "such-model" not in said
    assert value in said
