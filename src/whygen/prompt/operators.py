"""How a mask becomes a prompt: what stands where a unit was taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.units import Piece, Units


class Operator(Protocol):
    """Renders one mask ``(n,)`` (True: kept) to the prompt that is sent."""

    @property
    def name(self) -> str: ...

    def render(self, units: Units, mask: NDArray[np.bool_]) -> str: ...


def _is_kept(piece: Piece, mask: NDArray[np.bool_]) -> bool:
    return piece.unit is None or bool(mask[piece.unit])


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the unit out, with the white space before it; the order of the rest is kept."""

    name: str = "delete"

    def render(self, units: Units, mask: NDArray[np.bool_]) -> str:
        kept = [piece for piece in units.pieces if _is_kept(piece, mask)]
        if not kept:
            return ""
        text = "".join(units.prompt[piece.start : piece.end] for piece in kept)
        begins_the_prompt = kept[0].start == 0
        return text if begins_the_prompt else text[kept[0].core - kept[0].start :]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Put a given string where the unit was; the white space around it stays."""

    text: str
    name: str = "placeholder"

    def render(self, units: Units, mask: NDArray[np.bool_]) -> str:
        prompt = units.prompt
        return "".join(
            prompt[piece.start : piece.core]
            + (prompt[piece.core : piece.stop] if _is_kept(piece, mask) else self.text)
            + prompt[piece.stop : piece.end]
            for piece in units.pieces
        )


OPERATORS: dict[str, Callable[[str], Operator]] = {
    "delete": lambda _: Delete(),
    "placeholder": Placeholder,
}


def load_operator(name: str, *, placeholder: str = "...") -> Operator:
    """The operator of that name.

    Raises:
        UnknownNameError: if there is none.
        UsageError: if the placeholder is empty (that would be `delete` with stray white space).
    """
    if name not in OPERATORS:
        raise UnknownNameError("operator", name, OPERATORS)
    if name == "placeholder" and not placeholder:
        raise UsageError("placeholder is empty: give a text such as '...' or '[MASK]', or use operator='delete'.")
    return OPERATORS[name](placeholder)
