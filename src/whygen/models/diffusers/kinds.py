# pyright: basic
"""What a pipeline class of diffusers answers with, and whether a text (and a picture) is all it needs.

Read from the class, so that what cannot be asked is refused before its weights are loaded.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Any

from whygen.errors import UsageError
from whygen.types import OutputKind

_FIELDS: tuple[tuple[str, OutputKind], ...] = (
    ("frames", "frames"), ("video", "frames"), ("audios", "sound"), ("images", "picture"), ("image", "picture"),
)  # fmt: skip
"""Fields of an output class, the first that is there decides: a video with a sound is a video."""

_GIVEN = ("prompt", "image", "images", "control_image", "mask_image", "video")
"""What whygen can give: the text, and of an `Edit` the picture or the video."""

_EDITS_VIDEO = re.compile(r"VideoToVideo(?!Control)")
"""Names of classes that change the clip of an `Edit`, whether or not their signature asks for it."""

_IN_FACT = ("gligen_phrases", "source_embeds", "original_image")
"""Parameters that signatures let be left out, and calls do not."""

_CHANGES = re.compile(
    r"VideoToVideo|AudioToAudio|Upsampl|SuperResolution|[a-z0-9]SR(?=Pipeline)|Refine|InContext|HDR|Transfer"
    r"|Decode|(?<=Diff)ControlNet|SparseControlNet|FunControl|AnimateControl|AnimateInpaint|Audio\d*Inpaint"
)
"""Names of classes that need a clip, a sound or a control although every parameter of theirs may be left out."""

_RETURNED = re.compile(r"return\s+(\w*Output)\(")


def answers_with(made: type) -> OutputKind:
    """What a pipeline of that class answers with, by the fields of the output that its ``__call__`` returns.

    Raises:
        UsageError: if it is neither a picture nor a sound nor a video.
    """
    fields = _output_fields(made)
    if "images" in fields and "TextToVideo" in made.__name__:
        return "frames"  # the first text-to-video pipelines called their frames images
    for field, kind in _FIELDS:
        if field in fields:
            return kind
    if fields:
        raise UsageError(
            f"{made.__name__} answers with {', '.join(sorted(fields))}, which is no picture, sound or video. Write a "
            "function str -> str, Picture, Sound or Video that calls it, and explain that."
        )
    return "picture"  # pipelines that hand on what another pipeline returns are those of pictures


def _output_fields(made: type) -> set[str]:
    """Names of the fields that the nearest ``__call__`` with an output class of its own returns."""
    for base in made.__mro__:
        call: Any = vars(base).get("__call__")
        if call is None:
            continue
        call = inspect.unwrap(call)
        try:
            names = set(_RETURNED.findall(inspect.getsource(call)))
        except (OSError, TypeError):  # no source: a placeholder of a library that is not installed
            return set()
        known = [getattr(call, "__globals__", {}).get(name) for name in names]
        found = {field.name for each in known if dataclasses.is_dataclass(each) for field in dataclasses.fields(each)}
        if found:
            return found
    return set()


def changes_video(made: type, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a class changes a clip by a text, and needs nothing else."""
    told = parameters.get("video")
    return told is not None and (told.default is told.empty or _EDITS_VIDEO.search(made.__name__) is not None)


def check_class(made: type, name: str) -> OutputKind:
    """What it answers with, or why whygen cannot ask it.

    Args:
        made: the class of the pipeline.
        name: for messages.

    Raises:
        UsageError: if it takes no text, needs more than a text and a picture, or answers with something else.
    """
    parameters = inspect.signature(made.__call__).parameters
    if "prompt" not in parameters:
        raise UsageError(f"{name} ({made.__name__}) takes no text: whygen can change nothing in it.")
    kind = answers_with(made)
    fixed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    needed = [
        each.name
        for each in list(parameters.values())[1:]
        if each.default is each.empty and each.kind not in fixed and each.name not in _GIVEN
    ]
    needed += [name for name in _IN_FACT if name in parameters and name not in needed]
    if "ControlNetUnion" in made.__name__:
        needed.append("a control_mode")
    if "mask_image" in parameters and "image" not in parameters and "video" not in parameters:
        needed.append("a mask and latents that its other methods make of a picture")
    if kind == "picture" and {"image", "control_image"} <= set(parameters):
        needed.append("a control_image beside the picture")
    changes = _CHANGES.search(made.__name__) is not None and not changes_video(made, parameters)
    if needed or (kind != "picture" and changes):
        what = ", ".join(needed) or "a clip or a sound to change"
        raise UsageError(
            f"{name} ({made.__name__}) needs {what}, and whygen gives a text, or a picture or a clip and a text. "
            f"Explain a function that calls it: def f(prompt: str) {_LINES[kind]}."
        )
    return kind


_LINES: dict[OutputKind, str] = {
    "sound": "-> Sound, which returns (samples, rate)", "frames": "-> Video, which returns frames",
    "picture": "-> Picture, which returns the picture (or def f(edit: Edit), which is given one too)",
}  # fmt: skip
