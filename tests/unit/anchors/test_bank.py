"""Criteria that look into a bank of generated samples, hold against their formulas and against what cannot be known."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from whygen import explain_anchors
from whygen.anchors.bank import Bank, bank_size, nearest_sample, realism, survey_bank
from whygen.anchors.choosing import choose
from whygen.anchors.criteria import Batch
from whygen.anchors.diagnostics import check_generated
from whygen.anchors.samples import prepare
from whygen.errors import ModelError, UsageError
from whygen.models import Generator
from whygen.results.anchors_words import headline

SHAPE = (2, 3)


def drawn(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


def batch_of(samples: np.ndarray, bank: Bank) -> Batch:
    nothing = np.zeros((len(samples), 0), np.float32)
    model = Generator(sampler=lambda n, rng: drawn(0, n))
    return Batch(samples, nothing, nothing, images=lambda x: x, span=1.0, model=model, bank=bank)


def values(criterion, samples: np.ndarray, bank: Bank) -> np.ndarray:
    batch = batch_of(samples, bank)
    return criterion.begin(batch)(samples if criterion.way is None else batch.compared(criterion.way))


@given(st.integers(0, 999), st.integers(21, 60), st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_both_criteria_are_their_formulas(seed: int, made: int, n: int) -> None:
    bank, samples = Bank(drawn(seed, made)), drawn(seed + 1000, n)
    known, points = bank.samples.reshape(made, -1), samples.reshape(n, -1)
    apart = cdist(points, known)
    assert values(nearest_sample(None, size=made), samples, bank) == pytest.approx(apart.min(axis=1), rel=1e-4)
    radii = np.sort(cdist(known, known), axis=1)[:, 3]  # itself comes first
    inner = radii <= np.median(radii)
    expected = np.log(apart[:, inner] / radii[inner]).min(axis=1)
    assert values(realism(None, size=made), samples, bank) == pytest.approx(expected, abs=1e-3)


def test_features_take_the_place_of_values() -> None:
    bank, samples = Bank(drawn(0, 30)), drawn(1, 5)

    def first(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)[:, :1]

    apart = np.abs(first(samples) - first(bank.samples).T).min(axis=1)
    assert values(nearest_sample(first, size=30), samples, bank) == pytest.approx(apart, rel=1e-4)
    assert "of first features" in nearest_sample(first, size=30).unit


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_constant_generator_leaves_distances_to_compare(value: float) -> None:
    bank, samples = Bank(np.full((40, *SHAPE), value, np.float32)), drawn(1, 6)
    deep, near = (values(each(None, size=40), samples, bank) for each in (realism, nearest_sample))
    assert np.isfinite(deep).all()
    assert np.array_equal(np.argsort(deep), np.argsort(near))


def test_a_sample_that_was_generated_lies_in_the_manifold() -> None:
    bank = Bank(drawn(0, 50))
    assert values(nearest_sample(None, size=50), bank.samples[:4], bank) == pytest.approx(0, abs=1e-6)
    assert (values(realism(None, size=50), bank.samples, bank) <= 1e-6).mean() > 0.5


def test_the_size_of_a_bank_is_bounded_by_what_there_is_and_by_memory() -> None:
    assert bank_size(5_000, (28, 28), None) == 5_000
    assert bank_size(5_000, (28, 28), 300) == 300
    assert bank_size(5_000, (3, 1024, 1024), None) == 42


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (np.zeros((50, *SHAPE), np.float32), "are the same"),
        (0.5 * drawn(0, 50), "vary 5.% as much as the reference"),
        (np.repeat(drawn(0, 25), 4, axis=0), "0% as far from their nearest neighbour"),
        (drawn(0, 50), None),
    ],
)
def test_a_collapsed_generator_is_told_by_how_its_samples_vary(made: np.ndarray, words: str | None) -> None:
    record = survey_bank(Bank(made), drawn(1, 400), np.random.default_rng(0))
    found = check_generated(record, beside="the reference")
    if words is None:
        assert found == ()
        return
    assert [each.code for each in found] == ["generator-collapse"]
    assert re.search(words, found[0].text)


@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_a_generator_that_makes_one_sample_is_told_so_in_the_first_sentences(spread: float) -> None:
    class One:
        def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
            return np.clip(0.5 + spread * rng.standard_normal((n, *SHAPE)), 0, 1)

    found = explain_anchors(One(), drawn(2, 20), reference=drawn(1, 60), bank=300, cache=None, controls="none")
    told = next(each.text for each in found.warnings if each.code == "generator-collapse")
    assert headline(found).endswith(f" {told.partition(':')[0]}.")


LATENT = Generator(decode=lambda z: np.tanh(z @ np.eye(4, 16, dtype=np.float32)).reshape(-1, 4, 4), latent_dim=4,
                   value_range=(-1, 1))  # fmt: skip
REACHED = np.tanh(np.random.default_rng(3).normal(size=(60, 4)) @ np.eye(4, 16)).reshape(-1, 4, 4).astype(np.float32)


def test_a_search_among_latents_finds_what_the_model_makes_and_no_worse_than_the_bank() -> None:
    given = {"reference": REACHED[20:], "controls": "none", "cache": None, "bank": 40, "alpha": 0.1}
    both = explain_anchors(LATENT, REACHED[:20], criteria="inversion", **given)
    bank = explain_anchors(LATENT, REACHED[:20], criteria="nearest-sample", **given)
    found, near = both.evidence.values[:, 0], bank.evidence.values[:, 0]
    assert (found <= near + 1e-6).all()
    assert np.median(found) < 0.05 < np.median(near)
    assert both.given_back == "nearest sample found among its latents"


def test_searches_that_fail_are_a_state_of_their_anchors_alone() -> None:
    def invert(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.where(samples[:, :1, :1] > 0.5, np.nan, samples)

    model = replace(LATENT, invert=invert)
    found = explain_anchors(model, REACHED[:20], reference=REACHED[20:], criteria="inversion", controls="none",
                            cache=None, bank=40, alpha=0.1)  # fmt: skip
    lost = REACHED[:20, 0, 0] > 0.5
    assert lost.any()
    assert found.table()["search_failed"] == lost.tolist()
    assert f"For {lost.sum()} of 20 anchors" in next(
        each.text for each in found.warnings if each.code == "inversion-failed"
    )
    assert (found.evidence.values[~lost, 0] == 0).all()
    assert (found.evidence.values[lost, 0] > 0).all()
    none = replace(LATENT, invert=lambda samples, rng: np.full_like(samples, np.nan))
    found = explain_anchors(none, REACHED[:20], reference=REACHED[20:], criteria="inversion", controls="none",
                            cache=None, bank=40, alpha=0.1)  # fmt: skip
    (told,) = [each.text for each in found.warnings if each.code == "inversion-failed"]
    assert "For 20 of 20 anchors" in told
    assert "So nothing here was found by a search" in told


def test_a_density_says_what_is_too_well_known() -> None:
    rng = np.random.default_rng(0)
    held, usual = rng.normal(size=(400, 9)).astype(np.float32), rng.normal(size=(50, 9)).astype(np.float32)
    model = Generator(log_prob=lambda x: -0.5 * np.square(x).sum(axis=1), value_range=(-np.inf, np.inf))
    anchors = np.concatenate([usual, np.zeros((1, 9)), np.full((1, 9), 9.0)]).astype(np.float32)
    found = explain_anchors(model, anchors, reference=held, cache=None)
    groups = np.array(found.table()["group"])
    assert groups[-2:].tolist() == ["BELOW", "LOW"]
    assert found.groups["HIGH"].share > 0.8
    assert "unusually well known" in found.table()["reason"][-2]
    assert found.evidence.values[-1, 0] == pytest.approx(0.5 * 9 * 81)
    assert found.read(alpha=0.05).groups["HIGH"].share <= found.groups["HIGH"].share


def test_a_sample_without_any_density_is_a_number_and_none_is_nan() -> None:
    inside = Generator(
        log_prob=lambda x: np.where(np.abs(x).max(axis=1) < 2, 0.0, -np.inf), value_range=(-np.inf, np.inf)
    )
    held = np.random.default_rng(0).uniform(-1, 1, size=(60, 5)).astype(np.float32)
    found = explain_anchors(inside, np.float32([[7] * 5, [8] * 5]), reference=held, controls="none", cache=None)
    assert found.groups["LOW"].count == 2
    assert (found.evidence.values == 1e9).all()


def test_what_a_model_can_decides_what_is_measured() -> None:
    can = {
        "kld,sse": Generator(encode=lambda x: (x, x), decode=lambda z: z),
        "kld": Generator(encode=lambda x: (x, x)),
        "nll": Generator(log_prob=lambda x: x),
        "nll,nearest-sample": Generator(log_prob=lambda x: x, sampler=lambda n, rng: drawn(0, n)),
        "realism,nearest-sample": Generator(decode=lambda z: z, latent_dim=6),
    }
    prepared = prepare(np.random.default_rng(0).random((4, 8, 8)), next(iter(can.values())))
    for names, model in can.items():
        assert choose("auto", prepared, model=model).names == tuple(names.split(","))
    with pytest.raises(UsageError, match=r"'sse' compares a sample with what the model gives back.*of nll"):
        choose("sse", prepared, model=can["nll"])
    with pytest.raises(UsageError, match="'kld' needs a model that can encode samples"):
        choose("kld", prepared, model=can["nll,nearest-sample"])
    with pytest.raises(UsageError, match="can do nothing"):
        Generator()


def test_samples_without_a_value_are_drawn_anew_and_said() -> None:
    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        made = rng.normal(size=(n, *SHAPE)).astype(np.float32)
        made[rng.random(n) < rate] = np.nan
        return made

    held, anchors = drawn(1, 60), drawn(2, 20)
    model = Generator(sampler=sample, value_range=(-np.inf, np.inf), shape=SHAPE)
    given = {"reference": held, "bank": 300, "cache": None}
    rate = 0.05
    found = explain_anchors(model, anchors, metrics="kid", **given)
    assert 0 < found.generated.anew < 60
    assert found.generated.n == 300
    told = next(each.text for each in found.warnings if each.code == "generated-without-value")
    assert told.startswith(f"{found.generated.anew} generated samples held NaN")
    assert np.isfinite(found.evidence.values).all()
    rate = 0.9
    with pytest.raises(ModelError, match="NaN or an infinite value for generated sample"):
        explain_anchors(model, anchors, **given)


@pytest.mark.parametrize("places", [slice(0, None, 7), slice(0, 1), slice(-1, None)])
def test_a_place_of_each_call_that_never_has_a_value_does_not_end_the_run(places: slice) -> None:
    class Odd:
        def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
            made = rng.random((n, *SHAPE)).astype(np.float32)
            made[places] = np.nan
            return made

    found = explain_anchors(Odd(), drawn(2, 20), reference=drawn(1, 60), bank=300, cache=None, controls="none")
    assert found.generated.n == 300
    assert found.generated.anew > 0


ANCHORS, KNOWN = drawn(2, 40), drawn(1, 80)


class Lacking:
    """Models that have no number for some samples, each by the method that it has."""

    def __init__(self, without: np.ndarray) -> None:
        self.without = without.reshape(len(without), int(np.prod(SHAPE)))

    def _lost(self, samples: np.ndarray) -> np.ndarray:
        flat = samples.reshape(len(samples), 1, -1)
        return np.isclose(flat, self.without[None], atol=1e-3).all(axis=2).any(axis=1)

    def log_prob(self, samples: np.ndarray) -> np.ndarray:
        return np.where(self._lost(samples), np.nan, -np.square(samples).sum(axis=(1, 2)))

    def encode(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = samples.reshape(len(samples), -1) / 2
        return np.where(self._lost(samples)[:, None], np.nan, mean).astype(np.float32), np.zeros_like(mean) - 1

    def generator(self, way: str) -> Generator:
        able = {"log_prob": self.log_prob} if way == "log_prob" else {
            "encode": self.encode, "decode": lambda z: 2 * z.reshape(len(z), *SHAPE), "latent_dim": int(np.prod(SHAPE)),
        }  # fmt: skip
        return Generator(**able, shape=SHAPE, value_range=(-np.inf, np.inf))


@pytest.mark.parametrize("way", ["log_prob", "encode"])
@pytest.mark.parametrize("role", ["anchor", "reference sample"])
def test_samples_that_a_model_has_no_number_for_are_left_out_and_named_where_they_are_few(way: str, role: str) -> None:
    rows = [3, 17, 39]
    samples = ANCHORS if role == "anchor" else KNOWN
    given = {"reference": KNOWN, "cache": None, "controls": "none", "alpha": 0.05}
    found = explain_anchors(Lacking(samples[rows]).generator(way), ANCHORS, **given)
    (told,) = [each.text for each in found.warnings if each.code == "no-number"]
    assert f"no number for 3 of {len(samples)} {role}s (3, 17, 39)" in told
    assert [each.name for each in found.details.skipped] == ["3", "17", "39"]
    left = [each for each in range(len(samples)) if each not in rows]
    anchors, known = (ANCHORS[left], KNOWN) if role == "anchor" else (ANCHORS, KNOWN[left])
    alone = explain_anchors(Lacking(samples[:0]).generator(way), anchors, **{**given, "reference": known})
    np.testing.assert_allclose(found.evidence.values, alone.evidence.values)
    if role == "anchor":
        assert found.table()["name"] == [str(each) for each in left]
    with pytest.raises(ModelError, match=f"for {role} 0"):
        explain_anchors(Lacking(samples[: len(samples) // 5]).generator(way), ANCHORS, **given)


@pytest.mark.parametrize(
    ("noise", "batch", "is_said"), [(0.0, 0.0, False), (1e-4, 0.0, False), (5.0, 0.0, True), (0.0, 1.0, True)]
)
def test_a_density_that_is_not_of_the_sample_alone_is_said(noise: float, batch: float, is_said: bool) -> None:
    rng = np.random.default_rng(0)

    def log_prob(x: np.ndarray) -> np.ndarray:
        own = -0.5 * np.square(x - batch * x.mean(axis=0)).sum(axis=1)
        return own + noise * rng.normal(size=len(x))

    model = Generator(log_prob=log_prob, value_range=(-np.inf, np.inf))
    samples = np.random.default_rng(1).normal(size=(80, 9)).astype(np.float32)
    found = explain_anchors(model, samples[:20], reference=samples[20:], controls="none", cache=None)
    assert ("density-varies" in {each.code for each in found.warnings}) == is_said


@pytest.mark.parametrize(("scale", "criteria", "is_said"), [
    (1.0, "auto", False), (100.0, "auto", True), (100.0, "nll", False),
])  # fmt: skip
def test_a_value_in_a_unit_of_its_own_is_said_where_values_are_compared(
    scale: float, criteria: str, is_said: bool
) -> None:
    def drawn_rows(n: int, rng: np.random.Generator) -> np.ndarray:
        return (rng.normal(size=(n, 3)) * [1, scale, 1]).astype(np.float32)

    rng = np.random.default_rng(0)
    model = Generator(sampler=drawn_rows, log_prob=lambda x: -(x[:, 0] ** 2), value_range=(-np.inf, np.inf), shape=(3,))
    found = explain_anchors(model, drawn_rows(20, rng), reference=drawn_rows(60, rng), criteria=criteria, bank=60,
                            controls="none", cache=None)  # fmt: skip
    told = [each.text for each in found.warnings if each.code == "one-value-decides"]
    assert bool(told) == is_said
    if told:
        assert told[0].startswith("Value 1 of each sample has 100.0% of the variance of all 3 values")
