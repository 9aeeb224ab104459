"""Results: the explanations as plain data, saved and loaded.

`load` reads every kind; the keys of the JSON say which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from whygen._arguments import typed
from whygen.errors import FormatError
from whygen.results.anchors import AnchorExplanation as AnchorExplanation
from whygen.results.files import read_document
from whygen.results.prompt import PromptExplanation as PromptExplanation
from whygen.results.texts import TextAnchorExplanation as TextAnchorExplanation

__all__ = ["AnchorExplanation", "Explanation", "PromptExplanation", "TextAnchorExplanation", "load"]

Explanation: TypeAlias = PromptExplanation | AnchorExplanation | TextAnchorExplanation

_READERS: Mapping[str, Callable[[Path], Explanation]] = {
    "units": PromptExplanation.load,
    "texts": TextAnchorExplanation.load,
    "groups": AnchorExplanation.load,
}
"""The key that tells this kind of explanation from those after it, and what reads it."""


@typed()
def load(path: Path | str) -> Explanation:
    """A saved explanation of any kind, from its folder, or from its JSON file alone (then without evidence).

    Raises:
        MissingError: if there is none.
        FormatError: if it is damaged, or was written by a newer version.
    """
    document = read_document(Path(path))
    for key, reader in _READERS.items():
        if key in document:
            return reader(Path(path))
    raise FormatError(
        f"{str(path)!r} is no explanation: it has neither 'units' (of a prompt) nor 'groups' (of anchors). "
        "Give a folder that -o or save() wrote."
    )
