"""The audit's figures of PXGen: closed forms, two roads to what they say, and the numbers that the page states."""

# pyright: basic
from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from whygen.stats.seeds import generator
from whygen.stats.wilson import wilson
from whygen_experiments.pxgen_mnist0 import Mnist

torch = pytest.importorskip("torch")
anchors = pytest.importorskip("benchmarks.audit.anchors")
latent_mlp = pytest.importorskip("whygen_experiments.mlp_vae")

RESULTS = json.loads((Path(__file__).parents[3] / "benchmarks/results/audit.json").read_text(encoding="utf-8"))[
    "figures"
]
PAGE = (Path(__file__).parents[3] / "docs/audit.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def module():
    data = generator(0, "data").random((64, 12), dtype=np.float32)
    return latent_mlp.train_mlp_vae(data, seed=0, sizes=latent_mlp.Sizes(values=12, hidden=8, latent=3))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# How "high affinity" ends


def test_the_largest_of_n_lies_where_the_page_says() -> None:
    """The page: near the quantile 1 - 0.56 / N, whatever the law; here for uniform numbers, by the median of maxima."""
    rng = np.random.default_rng(0)
    for n in (100, 1000):
        largest = rng.random((2000, n)).max(axis=1)
        assert np.exp(-np.euler_gamma) == pytest.approx(0.56, abs=0.005)
        below = -np.log(-np.log(largest) * n).mean()  # the mean of a Gumbel variable is Euler's constant
        assert below == pytest.approx(np.euler_gamma, abs=4 * np.pi / np.sqrt(6 * 2000))


def test_the_limit_grows_with_n_and_conformal_does_not_know_n(rng: np.random.Generator) -> None:
    made = rng.exponential(size=(anchors.ROUNDS * max(anchors.PER_ROUND), 2))
    held, zeros = rng.exponential(size=(1999, 2)), rng.exponential(size=(20_000, 2))
    limits, rows = anchors.thresholds(made, held, zeros)
    assert len(limits) == len(rows) == len(anchors.PER_ROUND) + 1
    for size, limit, row in zip(anchors.PER_ROUND, limits, rows, strict=False):
        rounds = [made[start : start + size].max(axis=0) for start in range(0, anchors.ROUNDS * size, size)]
        assert limit == pytest.approx(np.mean(rounds, axis=0))
        expected = 1 / np.arange(1, size + 1)  # the mean of the largest of n exponentials is the harmonic number
        assert limit == pytest.approx(expected.sum(), abs=4 * np.pi / np.sqrt(6 * anchors.ROUNDS))
        assert (row["kld"], row["sse"]) == tuple(limit)
    shares = [row["test zeros above (sse), %"] for row in rows]
    assert [share["mean"] for share in shares[:-1]] == sorted((share["mean"] for share in shares[:-1]), reverse=True)
    conformal = shares[-1]
    assert conformal["mean"] == pytest.approx(100 * anchors.ALPHA, abs=1.2)
    assert conformal["mean"] == pytest.approx(100 * float((zeros[:, 1] >= limits[-1][1]).mean()))


def test_shares_are_wilson_s_in_percent() -> None:
    which = np.array([True] * 3 + [False] * 17)
    low, high = wilson(3, 20)
    assert anchors._percent(which) == {"mean": 15.0, "low": 100 * low, "high": 100 * high}


def test_high_is_strictly_below_both_limits() -> None:
    values = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 3.0], [1.9, 2.9]])
    assert anchors._known(values, np.array([2.0, 3.0])).tolist() == [True, False, False, True]


# Criteria


@torch.no_grad()
def test_criteria_are_those_of_torch_s_own_laws(module) -> None:
    samples = generator(1, "samples").random((7, 12), dtype=np.float32)
    found = anchors.scored(module, samples, generator(2, "noise"))
    mean, logvar = module.encode(torch.from_numpy(samples))
    posterior = torch.distributions.Normal(mean, torch.exp(logvar / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kld = torch.distributions.kl_divergence(posterior, prior).sum(dim=1).numpy()
    assert found[:, 0] == pytest.approx(kld, rel=1e-4, abs=1e-5)
    noise = torch.from_numpy(generator(2, "noise").standard_normal((7, 3), dtype=np.float32))
    again = module.decode(mean + posterior.scale * noise).numpy()
    assert found[:, 1] == pytest.approx(((again - samples) ** 2).sum(axis=1), rel=1e-4)


def test_generated_samples_are_decoder_means_of_normal_latents(module) -> None:
    found = anchors.generated(module, 40, generator(3, "latents"))
    latents = torch.from_numpy(generator(3, "latents").standard_normal((40, 3), dtype=np.float32))
    with torch.no_grad():
        assert found == pytest.approx(module.decode(latents).numpy(), abs=1e-6)


def test_a_verdict_that_hangs_on_the_draw_is_counted_once() -> None:
    limit = np.array([1.0, 1.0])
    one = np.array([[0.5, 0.5], [0.5, 1.5], [2.0, 2.0], [0.5, 0.5]])
    other = np.array([[0.5, 0.5], [1.5, 0.5], [2.0, 0.5], [0.4, 0.9]])
    row = anchors._redraw("rule", [one, other], limit)
    assert row["anchors"] == 4
    assert row["change group, %"]["mean"] == 50.0


def test_more_draws_change_fewer_verdicts(module) -> None:
    data = generator(4, "anchors").random((400, 12), dtype=np.float32)
    rng = generator(5, "redraws")
    once = [anchors.scored(module, data, rng) for _ in range(2)]
    limit = np.quantile(once[0], 0.8, axis=0)
    averaged = [np.mean([anchors.scored(module, data, rng) for _ in range(16)], axis=0) for _ in range(2)]
    flips = [anchors._redraw("", draws, limit)["change group, %"]["mean"] for draws in (once, averaged)]
    assert flips[1] < flips[0]
    row = anchors._averaged(module, data[:200], held=data[200:], rng=rng)
    assert row["anchors"] == 200
    assert 0 <= row["change group, %"]["mean"] < flips[0]


# Centers


def test_k_medoids_is_better_at_its_sum_and_k_center_at_its_largest_distance() -> None:
    rng = generator(6, "pictures")
    images = (rng.random((60, 28, 28)) * rng.random((60, 1, 1)) * 255).astype(np.uint8)
    blank = np.zeros((1, 28, 28), dtype=np.uint8)
    mnist = Mnist(blank, np.zeros(1, dtype=np.uint8), images, np.zeros(60, dtype=np.uint8))
    medoids, center = anchors.centers(mnist)
    assert (medoids["points"], medoids["starts"], center["starts"]) == (60, anchors.STARTS, 1)
    assert medoids["mean L1 distance to a pick"]["mean"] < center["mean L1 distance to a pick"]["mean"]
    points = rng.random((20, 5))
    picks = np.array([2, 7, 11])
    for order, name in ((1, "cityblock"), (2, "euclidean")):
        expected = cdist(points, points[picks], name).min(axis=1)
        assert anchors._to_picks(points, picks, order) == pytest.approx(expected)


# What the page says in words


def named(table: str, column: str, value: str) -> dict:
    return next(row for row in RESULTS[table] if row[column] == value)


def test_n_sets_the_verdict() -> None:
    rows = RESULTS["thresholds"]
    for name in ("kld", "sse"):
        assert [row[name] for row in rows[:3]] == sorted(row[name] for row in rows[:3])
    shares = [row["zeros HIHE, %"] for row in rows[:3]]
    assert all(a["high"] < b["low"] for a, b in pairwise(shares))
    conformal = rows[3]
    for name in ("kld", "sse"):
        share = conformal[f"test zeros above ({name}), %"]
        assert share["low"] <= 2.5 <= share["high"]


def test_generated_samples_are_easier_than_real_ones() -> None:
    made, held, test = RESULTS["easy"]
    assert made["median sse"] < held["median sse"] / 2
    assert held["median sse"] == pytest.approx(test["median sse"], rel=0.05)
    assert held["median kld"] == pytest.approx(test["median kld"], rel=0.05)


def test_one_draw_decides_more_verdicts_than_eight() -> None:
    published, one, eight = (row["change group, %"] for row in RESULTS["redraw"])
    assert eight["high"] < one["low"] < one["high"] < published["low"]


def test_white_for_grey_moves_both_shares() -> None:
    grey, white = RESULTS["loader"]
    for share in ("zeros HIHE, %", "other digits HIHE, %"):
        assert white[share]["high"] < grey[share]["low"]


def test_the_page_counts_as_the_results_do() -> None:
    assert {row["anchors"] for row in RESULTS["redraw"]} == {10_000}
    assert {(row["points"], row["picks"]) for row in RESULTS["centers"]} == {(anchors.GROUP, anchors.PICKS)}
    assert "Ten picks among 400 test zeros, five random starts" in PAGE
    assert (anchors.PICKS, anchors.GROUP, anchors.STARTS, anchors.DRAWS, anchors.EPOCHS) == (10, 400, 5, 8, 35)
    assert "averages eight draws" in PAGE
    assert "35 epochs" in PAGE
