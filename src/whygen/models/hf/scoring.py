# pyright: basic
"""Teacher-forced log-probabilities of given texts: as a trie where a network allows that, else row by row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from whygen.models.hf.jobs import TextJob, padded
from whygen.models.hf.prefixes import Reuse, crops_logits, pack_logits, packed
from whygen.models.hf.steps import NoisyEmbeddings
from whygen.models.hf.tokens import Continuation
from whygen.types import Output, TokenScore

_SCORED_AT_ONCE: Final = 2**27
"""Logits held at a time: half a gigabyte in single precision."""
_PACK: Final = {"cpu": 512}
_PACK_ELSEWHERE: Final = 4096
"""Nodes of a trie in one pass. Attention grows with its square; on a processor that soon outweighs what is shared."""


class TextScorer:
    """Scores jobs that have a target.

    Args:
        network: causal, or sequence to sequence.
        noisy: adds the noise that a job asks for.
        reuse: what rows begin with alike.
        pad: the token that fills up short rows.
        decoder_begins: tells what a decoder is given before the text.
    """

    def __init__(
        self, network: Any, *, noisy: NoisyEmbeddings, reuse: Reuse, pad: int, decoder_begins: Callable[[], list[int]]
    ) -> None:
        self._network = network
        self._noisy = noisy
        self._reuse = reuse
        self._pad = pad
        self._decoder_begins = decoder_begins
        self._seq2seq = bool(network.config.is_encoder_decoder)
        self._crops = crops_logits(network)
        self._vocabulary = int(network.get_output_embeddings().weight.shape[0])
        nodes = _PACK.get(network.device.type, _PACK_ELSEWHERE)
        self._most = min(nodes, max(1, _SCORED_AT_ONCE // self._vocabulary))

    def score(self, batch: Sequence[TextJob]) -> list[Output]:
        """An output for each job."""
        begun = time.perf_counter()
        values = self._values(batch)
        seconds = (time.perf_counter() - begun) / len(batch)
        return [
            Output(
                finish="scored",
                tokens_in=job.length,
                seconds=seconds,
                scores=tuple(TokenScore(a, b, v) for (a, b), v in zip(_target(job).spans, row, strict=True)),
            )
            for job, row in zip(batch, values, strict=True)
        ]

    def _values(self, batch: Sequence[TextJob]) -> list[list[float]]:
        if not any(job.noise for job in batch) and self._reuse.able and all(_target(job).ids for job in batch):
            known = self._reuse.beginning([job.prompt for job in batch])
            shared: list[list[float]] = []

            def two(of: int) -> torch.Tensor:
                """Of the longest row, and of one that stands far from its beginning in the trie."""
                pair = [0, packed(self._rows(batch, known), self._most)[0][0][-1]]
                if of:
                    shared[:] = self._shared(batch, known)
                found = [shared[i] for i in pair] if of else self._plain([batch[i] for i in pair])
                return torch.tensor([value for row in found for value in row], dtype=torch.float64)

            size = known + min(self._most, sum(job.length - known for job in batch))
            if (known or len(batch) > 1) and self._reuse.trusted("score", two, max(known, 1), size=size):
                return shared or self._shared(batch, known)
        return self._plain(batch)

    def _rows(self, batch: Sequence[TextJob], known: int) -> list[list[int]]:
        """What the network reads of each row behind ``known`` tokens."""
        return [(job.prompt + _target(job).ids)[known:-1] for job in batch]

    def _shared(self, batch: Sequence[TextJob], known: int) -> list[list[float]]:
        """By tries behind ``known`` tokens with which all prompts begin alike."""
        values: dict[int, list[float]] = {}
        for places, trie in packed(self._rows(batch, known), self._most):
            cache = self._reuse.cache(batch[0].prompt[:known], 1)
            spoken = [path[len(batch[i].prompt) - 1 - known :] for i, path in zip(places, trie.paths, strict=True)]
            wanted = sorted({node for path in spoken for node in path})
            at = {node: row for row, node in enumerate(wanted)}
            logits = torch.log_softmax(pack_logits(self._network, trie, cache, known, wanted).float(), dim=-1)
            rows_of = [at[node] for path in spoken for node in path]
            said = [token for i in places for token in _target(batch[i]).ids]
            found = iter(logits[rows_of, said].tolist())
            values |= {i: [next(found) for _ in _target(batch[i]).ids] for i in places}
        return [values[i] for i in range(len(batch))]

    def _plain(self, batch: Sequence[TextJob]) -> list[list[float]]:
        """Row by row, in one pass for as many rows as the logits' memory allows."""
        kept = max(job.length for job in batch) - self._first_needed(batch)
        at_once = max(1, _SCORED_AT_ONCE // (kept * self._vocabulary))
        values: list[list[float]] = []
        for start in range(0, len(batch), at_once):
            values += self._plain_rows(batch[start : start + at_once])
        return values

    def _first_needed(self, batch: Sequence[TextJob]) -> int:
        """The first position whose logits are looked at."""
        return 0 if self._seq2seq or not self._crops else min(len(job.prompt) for job in batch) - 1

    def _plain_rows(self, batch: Sequence[TextJob]) -> list[list[float]]:
        with self._noisy.on([job.noise for job in batch], [0] * len(batch)):
            logits, firsts = self._logits(batch)
        values: list[list[float]] = []
        for i, job in enumerate(batch):
            ids = torch.tensor(_target(job).ids, dtype=torch.long, device=logits.device)
            rows = torch.log_softmax(logits[i, firsts[i] : firsts[i] + len(ids)].float(), dim=-1)
            values.append(rows.gather(1, ids[:, None])[:, 0].tolist())
        return values

    def _logits(self, batch: Sequence[TextJob]) -> tuple[torch.Tensor, list[int]]:
        """Logits ``(rows, positions, vocabulary)``, and where each row's continuation is predicted first.

        Rows are padded on the right, where neither a causal model nor an encoder with a mask can see it.
        """
        device = self._network.device
        if self._seq2seq:
            start = self._decoder_begins()
            ids, mask = padded([job.prompt for job in batch], self._pad, device=device)
            decoder, seen = padded([[*start, *_target(job).ids] for job in batch], self._pad, device=device)
            out = self._network(
                input_ids=ids, attention_mask=mask, decoder_input_ids=decoder, decoder_attention_mask=seen
            )
            return out.logits, [len(start) - 1] * len(batch)
        ids, mask = padded([job.prompt + _target(job).ids for job in batch], self._pad, device=device)
        first = self._first_needed(batch)
        crop = {"logits_to_keep": torch.arange(first, ids.shape[1], device=device)} if first else {}
        out = self._network(input_ids=ids, attention_mask=mask, **crop)
        return out.logits, [len(job.prompt) - 1 - first for job in batch]


def _target(job: TextJob) -> Continuation:
    return job.target or Continuation([], [])
