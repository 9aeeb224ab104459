"""A server's embeddings endpoint as a text encoder: an install without torch gets optimal transport.

The endpoint gives one vector for a text. The set of a text is therefore made of the embeddings of its words, each by
itself, and optimal transport between such sets is the Word Mover's Distance (Kusner et al., 2015, "From Word Embeddings
To Document Distances", ICML).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from weakref import finalize

import numpy as np
import openai
from numpy.typing import NDArray

from whygen.errors import ModelError
from whygen.remote import Malformed, Service, dig, document, from_status, timed_out, unexpected, unreachable
from whygen.remote.bounded import bounded_client
from whygen.types import Failure, Vectors

BATCH = 256
"""Texts in one call; compatible servers take fewer than OpenAI's 2,048."""
RETRIES = 5
"""Of the client itself: encoding is no call of the model, so that `whygen.calls` does not see it."""
TIMEOUT = 60.0
NOTHING = "(no text)"
"""Stands for a text without words, which the endpoint refuses: a set must not be empty."""
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


LOOK: Final = 5.0
"""Seconds for which a server is asked what it has, when nobody named an encoder."""


def find_embeddings(service: Service) -> OpenAIEmbeddings | None:
    """A server's own embeddings, if it lists a model for them and gives a vector; None if not, whatever the reason.

    The protocol does not say which models embed; by custom their names do. The first by name is taken.
    """
    asking = OpenAIEmbeddings(service, "", timeout=LOOK, retries=0)
    for model in sorted(asking.listed(), key=lambda name: ("embed" not in name.lower(), name))[:1]:
        if "embed" in model.lower() and OpenAIEmbeddings(service, model, timeout=LOOK, retries=0).works():
            return OpenAIEmbeddings(service, model)
    return None


class OpenAIEmbeddings:
    """An embedding model behind a server. What was embedded once is remembered as long as this object lives."""

    def __init__(self, service: Service, model: str, *, timeout: float = TIMEOUT, retries: int = RETRIES) -> None:
        self._service = service
        self._model = model
        silent = {} if service.name == "openai" else {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
        self._client = openai.OpenAI(
            api_key=service.key or "none",
            base_url=service.base_url,
            max_retries=retries,
            timeout=timeout,
            http_client=bounded_client(timeout),
            default_headers=cast(Mapping[str, str], silent),
        )
        finalize(self, self._client.close)  # its connections go with the encoder, not when a collector comes by
        self._known: dict[str, NDArray[np.float64]] = {}

    @property
    def name(self) -> str:
        return f"{self._service.name}/{self._model}"

    def listed(self) -> list[str]:
        """The models that the server has; none if it does not say."""
        try:
            raw = self._client.models.with_raw_response.list()
            data = dig(document(raw.content), "data")
        except Exception:
            return []
        names = [dig(entry, "id") for entry in cast(list[object], data)] if isinstance(data, list) else []
        return [self._service.scrub(name) for name in names if isinstance(name, str)]

    def works(self) -> bool:
        """Whether the server gives a vector."""
        try:
            return len(self.sentences(["a word"])) == 1
        except ModelError:
            return False

    def sentences(self, texts: Sequence[str]) -> Vectors:
        given = [text if text.strip() else NOTHING for text in texts]
        self._learn(given or [NOTHING])
        return np.stack([self._known[text] for text in given or [NOTHING]])[: len(texts)]

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """One row for each word, in order; not contextual, unlike those of a local encoder."""
        sets = [_WORD.findall(text) or [text if text.strip() else NOTHING] for text in texts]
        self._learn([word for words in sets for word in words])
        return [np.stack([self._known[word] for word in words]) for words in sets]

    def _learn(self, texts: Sequence[str]) -> None:
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            self._known |= dict(zip(batch, self._embed(batch), strict=True))

    def _embed(self, texts: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        try:
            raw = self._client.embeddings.with_raw_response.create(
                model=self._model, input=list(texts), encoding_format="float"
            )
            rows = _rows(document(raw.content), len(texts))
        except Exception as error:
            failure = _failure_of(error, self._service)
            raise ModelError(f"The encoder {self.name} gave no embeddings: {failure.sentence}") from None
        return iter(rows)


def _rows(answer: Mapping[str, Any], n: int) -> NDArray[np.float64]:
    """Vectors of length one ``(n, d)``, in the order of the texts: the server may send them in another.

    Raises:
        Malformed: if one is missing, or is no vector.
    """
    data = dig(answer, "data")
    entries = cast(list[object], data) if isinstance(data, list) else []
    found = {dig(entry, "index"): dig(entry, "embedding") for entry in entries}
    try:
        rows = np.array([found[place] for place in range(n)], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        raise Malformed("JSON without an embedding for each text") from None
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True) if rows.ndim == 2 else np.zeros(1)
    if rows.ndim != 2 or not np.isfinite(rows).all() or not (lengths > 0).all():
        raise Malformed("embeddings that are no vectors")
    return rows / lengths


def _failure_of(error: Exception, service: Service) -> Failure:
    if isinstance(error, openai.APIStatusError):
        return from_status(error.status_code, error.response.headers, error.response.text, service)
    if isinstance(error, openai.APITimeoutError):
        return timed_out(service)
    if isinstance(error, openai.APIConnectionError):
        return unreachable(error, service)
    return unexpected(error, service)
