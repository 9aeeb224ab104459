"""``demo/``: the embedded models."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from whygen.errors import UnknownNameError
from whygen.models import ModelOptions, Provider


def storyteller_path() -> Path:
    """The folder of the embedded language model."""
    return Path(str(resources.files("whygen.demo.storyteller") / "model"))


def _storyteller(options: ModelOptions) -> object:
    from whygen.models.hf import open_hf

    return open_hf(str(storyteller_path()), options, uri="demo/storyteller")


def _digits(options: ModelOptions) -> object:
    from whygen.demo.digits import open_digits_vae

    return open_digits_vae(options)


OPENERS: dict[str, Callable[[ModelOptions], object]] = {"storyteller": _storyteller, "digits-vae": _digits}


def _open(name: str, options: ModelOptions) -> object:
    if name not in OPENERS:
        raise UnknownNameError("demo model", name, OPENERS)
    return OPENERS[name](options)


def demo() -> Provider:
    """``demo/``."""
    return Provider(
        name="demo", summary="the embedded models, offline", open=_open, names=lambda: tuple(sorted(OPENERS))
    )
