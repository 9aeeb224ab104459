"""What a person should know of pictures that were drawn: prompts that were not read whole, sizes that changed."""

from __future__ import annotations

from collections.abc import Sequence

from whygen import pictures
from whygen.errors import DataError
from whygen.models import GivesNotices, Model
from whygen.types import Edit, Output, Request

ROUNDED = 64
"""Pixels by which a side may differ: pipelines round sizes to multiples of up to 64."""

SQUASHED = 0.05
"""The share by which width over height may differ before a picture counts as squashed."""


def picture_notices(model: Model, request: Request, references: Sequence[Output]) -> list[tuple[str, str]]:
    """What the model says of how it reads this request, and whether it drew in another size than the picture's.

    Args:
        model: that answered.
        request: the whole prompt, with the settings that it was asked with.
        references: its answers.
    """
    said = list(model.notices(request)) if isinstance(model, GivesNotices) else []
    drawn = next((output.picture for output in references if output.picture is not None), None)
    if not isinstance(request.prompt, Edit) or drawn is None:
        return said
    try:
        (width, height), (new_width, new_height) = pictures.size(request.prompt.image), pictures.size(drawn)
    except DataError:  # what cannot be opened is said elsewhere
        return said
    is_squashed = abs(new_width * height / (new_height * width) - 1) > SQUASHED
    if is_squashed or max(abs(width - new_width), abs(height - new_height)) >= ROUNDED:
        how = ", in other proportions" if is_squashed else ""
        text = (
            f"The picture has {width} x {height} pixels, and {model.uri} drew {new_width} x {new_height}{how}. Give "
            "the picture in a size that it draws, or ask for a size (--size WxH, the setting 'size') if it takes one."
        )
        said.append(("other-size", text))
    return said
