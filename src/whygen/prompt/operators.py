"""How a mask becomes a prompt: what stands where a unit was taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from whygen.errors import UnknownNameError, UsageError
from whygen.prompt.units import Piece, Sent, Units


class Operator(Protocol):
    """Renders one mask ``(n,)`` (True: kept) to the prompt that is sent."""

    @property
    def name(self) -> str: ...

    def render(self, units: Units, mask: NDArray[np.bool_]) -> Sent: ...


def _is_kept(piece: Piece, mask: NDArray[np.bool_]) -> bool:
    return piece.unit is None or bool(mask[piece.unit])


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the unit out, with the white space before it; the order of the rest is kept."""

    name: str = "delete"

    def render(self, units: Units, mask: NDArray[np.bool_]) -> Sent:
        standing = zip(units.pieces, units.parts, strict=True)
        return units.join([part if _is_kept(piece, mask) else "" for piece, part in standing])


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Put a given string where the unit was; the white space around it stays."""

    text: str
    name: str = "placeholder"

    def render(self, units: Units, mask: NDArray[np.bool_]) -> Sent:
        text = units.text
        return units.join(
            [
                part
                if _is_kept(piece, mask)
                else text[piece.start : piece.core] + self.text + text[piece.stop : piece.end]
                for piece, part in zip(units.pieces, units.parts, strict=True)
            ]
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
