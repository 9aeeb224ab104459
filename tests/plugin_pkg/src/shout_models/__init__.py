"""A provider and a command in another package: shout/NAME answers in capitals, `whygen shout` prints them."""

from __future__ import annotations

import sys

from whygen.models import ModelOptions, Provider, load_model


def open_shout(name: str, options: ModelOptions) -> object:
    """Any name will do."""
    del name, options
    return load_model(lambda prompt: prompt.upper())


def provider() -> Provider:
    """``shout/``."""
    return Provider(name="shout", summary="answers in capitals", open=open_shout)


def no_provider() -> str:
    """A mistake: not a provider."""
    return "shout"


def shout(text: str) -> None:
    """Print a text in capitals."""
    sys.stdout.write(text.upper() + "\n")
