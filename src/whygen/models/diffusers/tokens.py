# pyright: basic
"""How much of a text each text encoder of a diffusers pipeline reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from whygen.models.diffusers.settings import Parameters, default_of
from whygen.models.protocols import CUT

_ENDLESS = 10**6
"""A tokenizer that says so many has no limit, as far as it knows."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A tokenizer, by its name in the pipeline, and the tokens that its encoder reads, marks included."""

    name: str
    most: int
    ids: Callable[[str], Any]
    decode: Callable[[Any], str]

    def count(self, text: str) -> int:
        """Tokens without the mark of the end, so that a text that just fits is under `most`."""
        return len(self.ids(text)) - 1

    def rest(self, text: str) -> str:
        """The last words that are read of a text that is too long."""
        return " ".join(self.decode(self.ids(text)[: self.most - 1]).split()[-3:])


def readers(pipeline: Any, takes: Parameters) -> list[Reader]:
    """All tokenizers of a pipeline that have a limit.

    CLIP reads what its tokenizer says (77); others, such as T5, what the class cuts at (``max_sequence_length``), or
    their own limit if that is less or the class has none.
    """
    found: list[Reader] = []
    for name, part in pipeline.components.items():
        if re.fullmatch(r"tokenizer(_\d)?", name) and part is not None:
            tokenizer = getattr(part, "tokenizer", None) or part  # processors hold theirs
            most = _most(tokenizer, takes)
            if most is not None:
                found.append(Reader(name, most, _ids(tokenizer), _decode(tokenizer)))
    return found


def _most(tokenizer: Any, takes: Parameters) -> int | None:
    own = getattr(tokenizer, "model_max_length", None)
    limits = [own] if isinstance(own, int) and own < _ENDLESS else []
    told = default_of("max_sequence_length", takes)
    if isinstance(told, int) and "CLIP" not in type(tokenizer).__name__:
        limits.append(told)
    return min(limits, default=None)


def _ids(tokenizer: Any) -> Callable[[str], Any]:
    return lambda text: tokenizer(text).input_ids


def _decode(tokenizer: Any) -> Callable[[Any], str]:
    return lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True))


def said_of_cuts(readers: Sequence[Reader], text: str, uri: str) -> list[tuple[str, str]]:
    """What a person should know of a text that is too long for some of the encoders, or for all (`CUT`)."""
    cut = [reader for reader in readers if reader.count(text) >= reader.most]
    if not cut:
        return []
    said = "; ".join(
        f"{reader.name} reads {reader.most - 1} of its {reader.count(text)} tokens, up to {reader.rest(text)!r}"
        for reader in cut
    )
    if len(cut) == len(readers):
        return [(CUT, f"The prompt is too long for {uri}, which cuts off the rest: {said}.")]
    advice = "What stands behind acts through the other encoders alone."
    return [("cut-for-some", f"Not every text encoder of {uri} reads the whole prompt: {said}. {advice}")]
