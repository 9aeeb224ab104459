"""The published run, number by number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from whygen.errors import UsageError
from whygen.prompt import gsmile

RUN = json.loads((Path(__file__).parents[2] / "data/golden/gsmile_life.json").read_text(encoding="utf-8"))
WORDS = RUN["prompt"].split()


def test_the_masks_come_out_of_the_generator_as_recorded_the_reused_one_included() -> None:
    drawn = gsmile.draw_masks(WORDS)
    assert drawn.masks.astype(int).tolist() == RUN["masks"]


def test_the_filler_words_are_those_that_were_sent() -> None:
    drawn = gsmile.draw_masks(WORDS)
    assert {str(row) for row in drawn.fillers} == set(RUN["padded_prompts"])
    for row in drawn.fillers:
        assert sorted(drawn.words(WORDS, row)) == sorted(RUN["padded_prompts"][str(row)].split())


def test_coefficients_and_fidelity_are_the_published_ones() -> None:
    target = gsmile.similarity(np.array(RUN["output_wmd"]))
    weights = gsmile.kernel(np.array(RUN["prompt_wmd"]))
    found = gsmile.fit(np.array(RUN["masks"], dtype=bool), target, weights)
    assert found.coefficients == pytest.approx(RUN["expected"]["published_coefficients"], abs=1e-6)
    assert found.weighted_r2 == pytest.approx(RUN["expected"]["weighted_r2"], abs=1e-4)


def test_the_coordinate_distance_is_blind_to_order() -> None:
    rng = np.random.default_rng(0)
    vector = rng.normal(size=768)
    assert gsmile.coordinate_wasserstein(vector, rng.permutation(vector)) == 0.0
    assert gsmile.coordinate_wasserstein(vector, vector + 0.1) == pytest.approx(0.1)


def test_one_word_cannot_be_padded() -> None:
    with pytest.raises(UsageError, match="two words"):
        gsmile.draw_masks(["hello"])


def test_a_constant_target_has_no_fidelity() -> None:
    masks = np.array([[1, 0], [0, 1], [1, 1]], dtype=bool)
    found = gsmile.fit(masks, np.full(3, 0.1), np.ones(3))
    assert np.isnan(found.weighted_r2)
    assert np.allclose(found.predicted, 0.1)


def test_letters_weigh_alike_in_every_process() -> None:
    code = (
        "import numpy as np; from whygen.prompt.kernels import Letters\n"
        "texts = [' '.join(w for i, w in enumerate('a quick fox jumps over some lazy dogs'.split()) if m >> i & 1)"
        " for m in range(1, 256)]\n"
        "print([float.hex(float(w)) for w in Letters().weights(np.ones((255, 1), bool), texts, texts[-1])])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
