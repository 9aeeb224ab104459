"""What `whygen prompt` and `whygen edit` tell a model that draws: the same words for pipelines and for servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from whygen._arguments import Option, Panel
from whygen.errors import UsageError
from whygen.models.names import SERVICES
from whygen.prompt.options import EDIT, TEXT
from whygen.remote import is_service
from whygen.types import JsonValue

PANEL: Final[Panel] = "For experts: the answers"
BOTH: Final = frozenset({TEXT, EDIT})


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """What a model that draws is told, by the names of ``Settings.extra``."""

    steps: Annotated[int | None, Option("For models that draw: denoising steps.", panel=PANEL, read_by=BOTH)] = None
    guidance_scale: Annotated[
        float | None, Option("For models that draw: how strongly the text is followed.", panel=PANEL, read_by=BOTH)
    ] = None
    true_cfg_scale: Annotated[
        float | None,
        Option("Pipelines such as Flux: how strongly the negative prompt is avoided.", panel=PANEL, read_by=BOTH),
    ] = None
    negative_prompt: Annotated[
        str | None, Option("For models that draw: what the picture must not show.", panel=PANEL, read_by=BOTH)
    ] = None
    size: Annotated[
        str | None, Option("For models that draw: WIDTHxHEIGHT, such as 1024x768.", panel=PANEL, read_by=BOTH)
    ] = None
    seed: Annotated[
        int | None,
        Option(
            "For models that draw: of the noise that every picture begins with.",
            panel=PANEL,
            read_by=BOTH,
            flag="--noise-seed",
        ),
    ] = None
    image_guidance_scale: Annotated[
        float | None, Option("How strongly the picture is kept.", panel=PANEL, read_by=frozenset({EDIT}))
    ] = None
    strength: Annotated[
        float | None, Option("Image to image: share of noise, 0 to 1.", panel=PANEL, read_by=frozenset({EDIT}))
    ] = None
    mask: Annotated[
        Path | None, Option("Inpainting: a picture, white where to paint.", panel=PANEL, read_by=frozenset({EDIT}))
    ] = None


_WRITERS = ("anthropic",)
"""Providers whose models answer with texts alone."""

_SPEAKERS = ("hf",)
"""Providers whose models answer with texts or sounds: what these take of the settings below, a model says itself."""

_OF_SOUNDS = ("guidance_scale", "seed")
"""Settings that models of sounds know too."""


def picture_settings(further: Mapping[str, JsonValue], given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Settings of ``--setting NAME=VALUE``, and those that have options of their own.

    Args:
        further: of ``--setting``.
        given: by the names of ``Settings.extra``; None where an option was not given.

    Raises:
        UsageError: for one that is given both ways.
    """
    told = {name: value for name, value in given.items() if value is not None}
    for name in told:
        if name in further:
            raise UsageError(f"{_option(name)} and --setting {name}=... say the same: leave one of them out.")
    return {**further, **told}


def _option(name: str) -> str:
    return "--noise-seed" if name == "seed" else f"--{name.replace('_', '-')}"


def check_draws(model: str, endpoint: str | None, given: Mapping[str, JsonValue]) -> None:
    """Refuse settings of pictures for a model that writes, as far as its URI tells.

    Raises:
        UsageError: naming the options, and for a server the endpoint that draws.
    """
    provider = model.partition("/")[0]
    speaks = provider in _SPEAKERS
    named = [
        _option(name) for name, value in given.items() if value is not None and not (speaks and name in _OF_SOUNDS)
    ]
    is_server = provider == "openai" or provider in SERVICES or is_service(provider)
    if not named or not (speaks or provider in _WRITERS or (is_server and endpoint not in ("images", "chat-images"))):
        return
    way = "; if it draws, add --endpoint images" if is_server else ""
    asked = "texts or sounds" if speaks else "texts"
    goes, it = ("goes", "it") if len(named) == 1 else ("go", "them")
    raise UsageError(
        f"{', '.join(named)} {goes} with models that draw, and {model} is asked for {asked}: leave {it} out{way}."
    )
