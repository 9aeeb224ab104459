"""`whygen edit MODEL IMAGE INSTRUCTION`: which words of an instruction, or parts of a picture, changed the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import whygen
from whygen.calls import Budget, Rates, RunOptions
from whygen.cli import common, drawing
from whygen.cli import inputs as given_inputs
from whygen.cli.names import complete_model
from whygen.cli.options import Given, Offers, chosen, made, option, with_options
from whygen.cli.prompt import run_options, show_forecast
from whygen.errors import UsageError
from whygen.files import is_file
from whygen.media.films import MOST_BYTES, film_of, is_animated, read_video
from whygen.media.pictures import read_picture
from whygen.media.sounds import is_sound, read_sound
from whygen.models import ModelOptions
from whygen.models.diffusers.settings import picture_text
from whygen.models.names import edits_at
from whygen.prompt.arguments import PromptArguments
from whygen.prompt.options import EDIT
from whygen.types import Edit, Picture, Settings, Sound, Video


def _mask(path: Path) -> str:
    return picture_text(read_picture(path))


CHOICES = Offers(PromptArguments, EDIT)
DRAWN = Offers(drawing.PictureSettings, EDIT, read={"mask": _mask})


@with_options(
    CHOICES,
    DRAWN,
    Offers(Settings, but=("max_tokens", "top_p", "stop")),
    Offers(Budget, but=("tokens",)),
    Offers(Rates, but=("tokens_per_minute",)),
    Offers(RunOptions, but=("batch",)),
    Offers(ModelOptions),
)
def edit(
    model: Annotated[str, typer.Argument(help="demo/painter, diffusers/NAME ...", autocompletion=complete_model)],
    image: Annotated[Path, typer.Argument(help="The picture to change, or a sound or a video.")],
    source: Annotated[str | None, typer.Argument(metavar="INSTRUCTION|-|@FILE", help="What to change.")] = None,
    *,
    text: Annotated[
        str | None, option("For experts: the question", "--text", help="The instruction, whatever it begins with.")
    ] = None,
    setting: given_inputs.Setting = None,
    how: common.Shared,
    given: Given,
) -> None:
    """Explain which words of an instruction, or which parts of a picture, changed what an editor made of it."""
    asked = Edit(_medium(image), _instruction(source, text))
    told = drawing.picture_settings(given_inputs.read_settings(setting), chosen(DRAWN, given))
    choices: dict[str, Any] = {
        **chosen(CHOICES, given),
        "settings": made(Settings, given, seed=given.get("seed", 0), extra=told),
        "options": made(ModelOptions, {"endpoint": edits_at(model), **given}),
        "run": run_options(given),
    }
    if how.dry_run:
        show_forecast(whygen.forecast(model, asked, **choices), as_json=how.as_json)
        return
    common.explained(
        lambda: whygen.explain_prompt(model, asked, cache=how.store, progress=how.progress(), **choices), how
    )


def _medium(path: Path) -> Picture | Sound | Video:
    """What is to be changed, told by how the file begins; a file that is none of these is refused as a picture."""
    if any(map(str.isspace, path.name)) and not path.suffix and not path.exists():
        raise UsageError(
            f"{str(path)!r} is a text, and the picture stands before it. The line is `whygen edit MODEL IMAGE "
            "INSTRUCTION`, such as whygen edit demo/painter photo.png 'make it night'."
        )
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder, and one picture is edited. Give the path of a picture in it.")
    if is_file(path):
        with path.open("rb") as file:
            start = file.read(64)
        if is_sound(start):
            return read_sound(path)
        if film_of(start) is not None or (path.stat().st_size <= MOST_BYTES and is_animated(path.read_bytes())):
            return read_video(path)
    return read_picture(path)


def _instruction(source: str | None, text: str | None) -> str:
    if (source is None) == (text is None):
        raise UsageError("Give the instruction once: as TEXT, as - for standard input, as @FILE, or with --text TEXT.")
    return text if text is not None else common.read_text(source or "")
