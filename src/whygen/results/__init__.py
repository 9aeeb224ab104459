"""Results: the two explanations as plain data, saved and loaded.

`load` reads either kind; the JSON says which it is.
"""

from __future__ import annotations

from pathlib import Path

from whygen.results.anchors import AnchorExplanation as AnchorExplanation
from whygen.results.files import load_prompt, read_document
from whygen.results.prompt import PromptExplanation as PromptExplanation

__all__ = ["AnchorExplanation", "PromptExplanation", "load"]


def load(path: Path | str) -> PromptExplanation | AnchorExplanation:
    """A saved explanation of either kind, from its folder or its JSON file.

    Raises:
        MissingError: if there is none.
        FormatError: if it is damaged, or was written by a newer version.
    """
    if "groups" in read_document(Path(path)):
        return AnchorExplanation.load(Path(path))
    return load_prompt(path)
