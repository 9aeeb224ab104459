"""The formulas of the page on scale, held against runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import plan
from benchmarks.anchor_stream import Linear

import whygen
from whygen.anchors.options import AnchorOptions
from whygen.anchors.streaming import stream_anchors


def test_calls_and_tokens_are_those_of_a_run() -> None:
    text = "Tell a story about a red fox that lives in the old forest"
    model = plan.Counting()
    found = whygen.explain_prompt(model, text, budget=128, target="tfidf", cache=None)
    told = plan.prompts(
        1, budget=128, tokens=len(text.split()), pinned=0, answer=5, parameters=1e9, cluster=plan.Cluster()
    )
    assert found.calls.made == pytest.approx(told["calls"], rel=0.02)
    assert model.words == pytest.approx(told["tokens_in"], rel=0.05)
    twice = plan.prompts(2, budget=128, tokens=12, pinned=4, answer=5, parameters=2e9, cluster=plan.Cluster())
    once = plan.prompts(1, budget=128, tokens=12, pinned=4, answer=5, parameters=1e9, cluster=plan.Cluster())
    assert twice["seconds"] == pytest.approx(4 * once["seconds"])
    assert once["seconds_with_prefixes_kept"] < once["seconds"]


@pytest.mark.parametrize("spooled", [False, True])
def test_bytes_of_a_stream_are_those_of_its_files(tmp_path: Path, spooled: bool) -> None:
    rng = np.random.default_rng(0)
    anchors = rng.standard_normal((3000, 16)).astype(np.float32)
    stream_anchors(
        Linear(), iter(np.array_split(anchors, 3)) if spooled else anchors, tmp_path, cache=None,
        preset=AnchorOptions(controls="none", replicates=5, space="pixels"), reference=anchors[:100] + 1,
    )  # fmt: skip
    told = plan.anchors(
        3000, dim=16, latent=0, criteria=2, draws=8, flops=1e6, k=8, cluster=plan.Cluster(), spooled=spooled
    )
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sum(size for name, size in sizes.items() if name.startswith("scores-")) == pytest.approx(
        told["bytes_of_scores"], rel=0.01
    )
    assert sum(size for name, size in sizes.items() if name.endswith(".npy")) == pytest.approx(
        told["bytes_of_verdicts"], rel=0.05
    )
