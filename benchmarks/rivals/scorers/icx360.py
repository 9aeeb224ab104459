"""ICX360's probability scalarizer: all prompts in one call beside one call each."""

from __future__ import annotations

from typing import Any

import numpy as np
from icx360.utils.model_wrappers import HFModel
from icx360.utils.scalarizers import ProbScalarizedModel

from benchmarks.rivals.agreement import KINDS, PROMPT, SEEDS, prompts, row, tiny


def rows() -> list[dict[str, Any]]:
    found = []
    for kind in KINDS:
        for seed in SEEDS:
            model = HFModel(*tiny(kind, seed))
            reference = model.generate([PROMPT], text_only=False, max_new_tokens=5, do_sample=False)
            score, texts = ProbScalarizedModel(model).scalarize_output, prompts(seed)
            together = score(inputs=texts, ref_output=reference)
            alone = [float(score(inputs=[text], ref_output=reference)[0]) for text in texts]
            found.append(row("ICX360", "all in one batch", kind, np.array(alone), np.asarray(together, dtype=float)))
    return found
