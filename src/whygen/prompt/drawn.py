"""What a person should know of pictures that were drawn: prompts that were not read whole, sizes that changed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from whygen.errors import DataError
from whygen.media import pictures
from whygen.models import GivesNotices, Model
from whygen.types import Edit, Output, Picture, Request

ROUNDED = 64
"""Pixels by which a side may differ: pipelines round sizes to multiples of up to 64."""

SQUASHED = 0.05
"""The share by which width over height may differ before a picture counts as squashed."""


def _asked_size(request: Request) -> tuple[int, int] | None:
    """Width and height that the settings ask for, if they do."""
    extra = request.settings.extra
    size = extra.get("size")
    found = re.fullmatch(r"(\d{1,5})\s*[x×]\s*(\d{1,5})", size.strip()) if isinstance(size, str) else None
    width, height = (found[1], found[2]) if found else (extra.get("width"), extra.get("height"))
    sides = [int(each) for each in (width, height) if isinstance(each, int | str) and str(each).isdigit()]
    return (sides[0], sides[1]) if len(sides) == 2 and all(sides) else None


def picture_notices(model: Model, request: Request, references: Sequence[Output]) -> list[tuple[str, str]]:
    """What the model says of how it reads this request, and whether it drew in another size than was asked for, or
    else than the picture's.

    Args:
        model: that answered.
        request: the whole prompt, with the settings that it was asked with.
        references: its answers.
    """
    said = list(model.notices(request)) if isinstance(model, GivesNotices) else []
    drawn = next((output.picture for output in references if output.picture is not None), None)
    wanted = _asked_size(request)
    try:
        image = request.prompt.image if isinstance(request.prompt, Edit) else None
        size = pictures.size(image) if wanted is None and isinstance(image, Picture) else wanted
        if drawn is None or size is None:
            return said
        (width, height), (new_width, new_height) = size, pictures.size(drawn)
    except DataError:  # what cannot be opened is said elsewhere
        return said
    is_squashed = abs(new_width * height / (new_height * width) - 1) > SQUASHED
    if is_squashed or max(abs(width - new_width), abs(height - new_height)) >= ROUNDED:
        how = ", in other proportions" if is_squashed else ""
        drew = f"{model.uri} drew {new_width} x {new_height}{how}"
        text = (
            f"The picture has {width} x {height} pixels, and {drew}. Give the picture in a size that it draws, or ask "
            "for a size (--size WxH, the setting 'size') if it takes one."
            if wanted is None
            else f"A size of {width} x {height} was asked for, and {drew}. Ask for a size that it draws."
        )
        said.append(("other-size", text))
    return said
