"""ContextCite's own log-odds of the response: a batch of 16 beside one by one."""

from __future__ import annotations

from typing import Any

from context_cite import ContextCiter
from context_cite.context_partitioner import SimpleContextPartitioner
from context_cite.utils import aggregate_logit_probs

from benchmarks.rivals.agreement import KINDS, MASKS, PROMPT, SEEDS, row, tiny


class Words(SimpleContextPartitioner):
    """Units are words: no sentence model has to be downloaded."""

    def split_context(self) -> None:
        words = self.context.split(" ")
        self._cache["parts"], self._cache["separators"] = words, [""] + [" "] * (len(words) - 1)


def rows() -> list[dict[str, Any]]:
    found = []
    for kind in KINDS:
        for seed in SEEDS:
            network, tokenizer = tiny(kind, seed)
            scores = {}
            for size in (1, 16):
                citer = ContextCiter(
                    network, tokenizer, PROMPT, "Where is it?", num_ablations=MASKS, batch_size=size,
                    partitioner=Words(PROMPT), generate_kwargs={"max_new_tokens": 5, "do_sample": False},
                )  # fmt: skip
                scores[size] = aggregate_logit_probs(citer._logit_probs, "log_prob").astype(float)
            found.append(row("ContextCite", "batch of 16", kind, scores[1], scores[16]))
    return found
