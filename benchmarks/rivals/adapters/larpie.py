"""larpie 0.2: its likelihood algorithm (LASSO on removed segments, percentiles of a bootstrap for 95% intervals).

It asks for all masks up to eight segments and for 32 of more, whatever the budget. Here it is granted as many as there
are calls, drawn by its own function. Its intervals are of slopes under masks drawn evenly: held against Banzhaf values.
"""

from __future__ import annotations

import numpy as np
from larpie.algorithms import ablation
from larpie.algorithms.likelihood import LikelihoodAlgorithm
from larpie.segmenter import Segment

from benchmarks.rivals.protocol import Found, Method, Task, mask_of, words


class Engine:
    """Says the effect of a context."""

    model_name = "black box"

    def __init__(self, task: Task) -> None:
        self.task = task

    def score_continuation(self, context: str, continuation: str) -> float:
        del continuation
        return float(self.task.ask(mask_of(context, self.task.n)[None])[0])


def explain(task: Task) -> Found:
    ablation.EXHAUSTIVE_SEGMENT_LIMIT, ablation.SAMPLE_BUDGET = 0, min(task.calls, 2**task.n - 1)
    segments = [Segment(id=word, text=word, source_type="rag_chunk") for word in words(task.n)]
    found = {
        each.segment_id: each for each in LikelihoodAlgorithm(random_state=task.seed).run(Engine(task), segments, "")
    }
    in_order = [found[word] for word in words(task.n)]
    intervals = np.array([each.confidence_interval for each in in_order], dtype=np.float64)
    return Found(np.array([each.score for each in in_order]), intervals=intervals, covers="banzhaf")


METHODS: dict[str, Method] = {"likelihood": explain}
