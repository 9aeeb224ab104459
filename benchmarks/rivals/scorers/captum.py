"""Captum's `LLMAttribution` with feature ablation: its differences beside our own, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from captum.attr import FeatureAblation, LLMAttribution, TextTemplateInput

from benchmarks.rivals.agreement import KINDS, PROMPT, SEEDS, TARGET, one_by_one, row, tiny

WAYS: dict[str, dict[str, bool]] = {
    "default (cached keys and values)": {},
    "use_cached_outputs=False": {"use_cached_outputs": False},
    "forward_in_tokens=False": {"forward_in_tokens": False},
}


def rows() -> list[dict[str, Any]]:
    words = PROMPT.split(" ")
    template = TextTemplateInput(" ".join(["{}"] * len(words)), words, baselines=[""] * len(words))
    without = [" ".join([*words[:i], "", *words[i + 1 :]]) for i in range(len(words))]
    found = []
    for kind in KINDS:
        for seed in SEEDS:
            network, tokenizer = tiny(kind, seed)
            whole, *rest = one_by_one(network, tokenizer, [PROMPT, *without])
            for way, options in WAYS.items():
                told = LLMAttribution(FeatureAblation(network), tokenizer).attribute(template, target=TARGET, **options)
                scores = np.asarray(told.seq_attr.float().cpu(), dtype=np.float64)
                found.append(row("Captum", way, kind, whole - np.array(rest), scores))
    return found
