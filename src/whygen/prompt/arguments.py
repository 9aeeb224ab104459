"""What the doors of a prompt take by name: the options, and what they are asked with, as editors show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ParamSpec, Protocol, TypeVar, cast

from whygen._arguments import Option, typed
from whygen.calls import DEFAULT_STORE, Progress, RunOptions
from whygen.encoders import AnyEncoder
from whygen.models import ModelOptions
from whygen.prompt.options import EDIT, TEXT, TRIM, Over, PromptOptions
from whygen.prompt.units import Input
from whygen.records import Call
from whygen.types import Settings, Source

_BOTH = frozenset({TEXT, EDIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastArguments(PromptOptions):
    """What `forecast` takes by name. Only the signature is used: editors complete what it shows."""

    inputs: Sequence[Input] | None = None
    over: Over = "like-these"
    preset: str | PromptOptions | None = None  # pyright: ignore[reportIncompatibleVariableOverride] - or an object
    encoder: Annotated[
        AnyEncoder,
        Option(
            "What measures likeness: auto, the name or folder of a sentence encoder, or a file of word vectors.",
            "Or an open encoder (many prompts, one loading). Where the answers are pictures: patches, colour, dinov2, "
            "clip, a transformers vision model by name or folder, or an open encoder of pictures. Where they are "
            "sounds or videos: what `load_timed_encoder` takes.",
            panel="For experts: the answers",
            read_by=_BOTH | {TRIM},
        ),
    ] = "auto"
    settings: Settings | None = None
    seed: Annotated[
        int,
        Option(
            "Of the masks, the folds, the sign flips, and of sampling.",
            panel="For experts: the run",
            read_by=_BOTH | {TRIM},
        ),
    ] = 0
    options: ModelOptions | None = None
    run: RunOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptArguments(ForecastArguments):
    """What `explain_prompt` takes by name."""

    cache: Path | str | None = DEFAULT_STORE
    progress: Progress | None = None


P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class PromptDoor(Protocol[P, R_co]):
    """A function of a model and a prompt whose options editors complete."""

    def __call__(self, model: object, prompt: Source | Call, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


def takes(arguments: Callable[P, object], *own: str) -> Callable[[Callable[..., R_co]], PromptDoor[P, R_co]]:
    """A decorator: the function takes these arguments by name, refuses others, and shows all of them to editors.

    Type checkers read them from the constructor of ``arguments``; notebooks and ``help`` from the signature that is
    made of the options when the program runs.
    """
    del arguments
    return cast("Callable[[Callable[..., R_co]], PromptDoor[P, R_co]]", typed(*own, options=PromptOptions))
