"""The benchmark of planted defects: its data are what it says, and it finds what is easy to find."""

# pyright: basic
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from whygen.stats.seeds import generator
from whygen_experiments.pxgen_mnist0 import Mnist

pytest.importorskip("torch")
from benchmarks.influence import CLEAN, CONTAMINATED, KINDS, Size, chances, defects, duplicates, plant
from benchmarks.vaes import auroc, fit, summary

SIZE = Size(training=200, planted=6, reference=80, epochs=3, every=2, looped=3, unique=60, duplicated=10, copies=3)

RESULTS = json.loads(
    (Path(__file__).parents[3] / "benchmarks/results/influence.json").read_text(encoding="utf-8")
)["figures"]  # fmt: skip


@pytest.fixture(scope="module")
def mnist() -> Mnist:
    """Random dots, brighter ones for the other class."""
    rng, labels = generator(0, "stand-in"), np.repeat([0, 1], [500, 60]).astype(np.uint8)
    images = (rng.random((560, 28, 28)) < np.where(labels == 0, 0.1, 0.6)[:, None, None]).astype(np.uint8) * 255
    return Mnist(images, labels, images[:50], labels[:50])


def test_what_is_planted_is_what_it_says(mnist: Mnist) -> None:
    planted = plant(mnist, 1, SIZE)
    assert len(planted.samples) == SIZE.training
    assert [int((planted.kind == kind).sum()) for kind in KINDS] == [SIZE.planted] * 3
    rows = {row.tobytes() for row in planted.samples}
    assert len(rows) == SIZE.training
    for reference in planted.references.values():
        assert len(reference) == SIZE.reference
        assert not rows & {row.tobytes() for row in reference}
    clean, contaminated = (planted.references[name] for name in (CLEAN, CONTAMINATED))
    assert int((clean != contaminated).any(axis=1).sum()) == int(0.05 * SIZE.reference)


def test_every_method_ranks_every_kind(mnist: Mnist) -> None:
    rows, loop = defects(mnist, 1, SIZE)
    assert len(rows) == 8
    assert all(0 <= row[kind] <= 1 for row in rows for kind in (*KINDS, "all"))
    assert min(row["noise"] for row in rows if row["method"] in ("loss only", "nearest neighbour")) > 0.8
    assert loop["largest relative difference, double precision"] < 1e-9
    copied = {row["method"]: row["duplicates"] for row in duplicates(mnist, 1, SIZE)}
    assert set(copied) >= {"memorisation gap", "random"}
    for row in chances(SIZE):
        assert row["low"] < 0.5 < row["high"]


def test_checkpoints_cover_the_whole_training() -> None:
    data = generator(0, "data").random((120, 784), dtype=np.float32)
    module, kept = fit(data, 1, epochs=5, every=2)
    assert [each.interval for each in kept] == [6, 6, 3]  # three batches of 50 an epoch
    for mine, last in zip(module.parameters(), kept[-1].module.parameters(), strict=True):
        assert (mine == last).all()
    assert any(
        (one != other).any() for one, other in zip(module.parameters(), kept[0].module.parameters(), strict=True)
    )


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.data())
def test_the_area_is_that_of_scikit_learn(scores: list[int], data: st.DataObject) -> None:
    positive = np.array(data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores))))
    if positive.any() and not positive.all():
        assert auroc(np.array(scores, float), positive) == pytest.approx(roc_auc_score(positive, scores))


def test_one_seed_has_no_interval() -> None:
    assert summary([0.5]) == {"mean": 0.5, "low": None, "high": None}
    found = summary([1.0, 2.0, 3.0])
    assert found["mean"] == 2.0
    assert found["high"] == pytest.approx(2 + 4.30265 / np.sqrt(3), rel=1e-4)


# What the page says of the committed results


def row(figure: str, **wanted: str) -> dict:
    found = [each for each in RESULTS[figure] if all(each[name] == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_the_vectorised_value_is_the_looped_one_on_every_seed_and_faster() -> None:
    for each in RESULTS["loop"]:
        assert each["largest relative difference"] < 1e-4
        assert each["largest relative difference, double precision"] < 1e-10
        assert each["milliseconds a sample, vectorised"] < each["milliseconds a sample, looped"] / 10


@pytest.mark.parametrize("reference", ["clean", "5% contaminated"])
@pytest.mark.parametrize("defect", ["foreign class", "noise"])
def test_conformal_finds_planted_defects_at_least_as_well_as_self_influence_and_sooner(
    reference: str, defect: str
) -> None:
    ours = row("defects", method="conformal (smaller p-value)", reference=reference)
    theirs = [each for each in RESULTS["defects"] if each["method"].startswith("self-influence")]
    assert len(theirs) == 3
    for each in theirs:
        assert ours[defect]["mean"] >= each[defect]["mean"]
        assert ours["seconds"]["mean"] < each["seconds"]["mean"]


def test_the_memorisation_gap_finds_duplicates_beyond_chance() -> None:
    chance = next(each for each in RESULTS["chance"] if "duplicate" in each["task"])
    assert row("duplicates", method="memorisation gap")["duplicates"]["low"] > chance["high"]
